//! Everything that the pipeline depends on is away in turn, while MIX-1 flows on: killed, standing still, slow, refusing, cut off.
//! `HOSTREAD_AWAY_SECS` says for how long at least; 8 unless told, and until the pipeline says so.
//!
//! Promises: `/readyz` says what is wrong, in words; memory stays bounded; afterwards all is caught up and equals an
//! uninterrupted run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use hostread_schemas::DAY_MS;
use hostread_schemas::event::Event;
use hostread_simulate::rng::Rng;
use nix::sys::signal::Signal;

use super::crash::{World, kafka, seed, send, workload};
use super::databases::{Databases, Engine};
use super::process::Pipeline;
use super::proxy::{Deed, holds};
use crate::kafka::Broker;

/// Whatever is away, the pipeline needs no more memory than this, in MiB: its limits and MIX-1 itself.
const MEMORY_MAX_MIB: u64 = 400;
/// What ClickHouse says when it has no memory for an insert.
const NO_MEMORY: &str = "HTTP/1.1 500 Internal Server Error\r\nX-ClickHouse-Exception-Code: 241\r\nContent-Length: 48\r\n\
                         Connection: close\r\n\r\nCode: 241. DB::Exception: memory limit exceeded.";

fn away() -> Duration {
    let given = std::env::var("HOSTREAD_AWAY_SECS").ok();
    Duration::from_secs(given.map_or(8, |text| text.parse().unwrap()))
}

/// What happens on a day, and what `/readyz` says meanwhile.
type Day = (Trouble, &'static [&'static str]);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trouble {
    None,
    Stopped(Engine),
    Killed(Engine),
    /// ClickHouse is.
    Slow,
    /// ClickHouse refuses chunks of one table.
    Refused,
    /// PostgreSQL does not hear of a commit.
    CutAtCommit,
    /// PostgreSQL commits, and nobody hears of it.
    AnswerLost,
    KafkaStopped,
    KafkaKilled,
}

const AWAY: &str = "in sink \"clickhouse\" did not work";
const DAYS: [Day; 10] = [
    (Trouble::None, &[]),
    (
        Trouble::Stopped(Engine::ClickHouse),
        &["clickhouse: ", AWAY],
    ),
    (Trouble::Killed(Engine::ClickHouse), &["clickhouse: ", AWAY]),
    (Trouble::Slow, &[]),
    (Trouble::Refused, &["clickhouse: ", "Code: 241"]),
    (
        Trouble::Stopped(Engine::Postgres),
        &["postgres: ", "in sink \"postgres\" did not work"],
    ),
    (
        Trouble::Killed(Engine::Postgres),
        &["postgres: ", "in sink \"postgres\" did not work"],
    ),
    (Trouble::CutAtCommit, &[]),
    (Trouble::AnswerLost, &[]),
    (Trouble::KafkaStopped, &["log: it does not answer"]),
];
/// On the day after.
const LAST: Day = (Trouble::KafkaKilled, &["log: it does not answer"]);

/// Waits for so long, and until `/readyz` says all that.
async fn until_said(pipeline: &mut Pipeline, words: &[&str], least: Duration) -> String {
    let began = Instant::now();
    let mut said = String::new();
    loop {
        if let Some(status) = pipeline.status().await
            && let Some(reason) = status["reason"].as_str()
            && words.iter().all(|word| reason.contains(word))
        {
            reason.clone_into(&mut said);
        }
        let known = words.is_empty() || !said.is_empty();
        if known && began.elapsed() >= least {
            return said;
        }
        let late = began.elapsed() > least + Duration::from_mins(1);
        assert!(
            !late,
            "/readyz never said {words:?}: {:?}",
            pipeline.status().await
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Kills an engine whenever it has come back.
async fn keep_killed(databases: &Databases, engine: Engine) {
    loop {
        databases.signal(engine, Signal::SIGKILL);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// From its beginning to its end.
async fn happen(world: &World, pipeline: &mut Pipeline, broker: Broker, day: Day) -> Broker {
    let (trouble, words) = day;
    let databases = &world.databases;
    let mut broker = Some(broker);
    let said = match trouble {
        Trouble::Stopped(engine) => {
            assert!(databases.signal(engine, Signal::SIGSTOP));
            let said = until_said(pipeline, words, away()).await;
            assert!(databases.signal(engine, Signal::SIGCONT));
            said
        }
        Trouble::Killed(engine) => tokio::select! {
            said = until_said(pipeline, words, away()) => said,
            () = keep_killed(databases, engine) => unreachable!(),
        },
        Trouble::KafkaStopped => {
            broker.as_ref().unwrap().signal(Signal::SIGSTOP);
            let said = until_said(pipeline, words, away()).await;
            broker.as_ref().unwrap().signal(Signal::SIGCONT);
            said
        }
        Trouble::KafkaKilled => {
            let mut killed = broker.take().unwrap();
            killed.kill();
            let said = until_said(pipeline, words, away()).await;
            let restarted = tokio::task::spawn_blocking(move || {
                killed.restart();
                killed
            });
            broker = Some(restarted.await.unwrap());
            said
        }
        _ => {
            let met = by_proxy(databases, trouble);
            let said = until_said(pipeline, words, Duration::from_secs(3)).await;
            until_met(trouble, &met).await;
            databases.clickhouse_proxy.pass();
            databases.postgres_proxy.pass();
            said
        }
    };
    databases.wait_ready().await;
    println!("{trouble:?}: {said}");
    broker.unwrap()
}

/// What is between the pipeline and its databases makes the trouble; counts how often.
fn by_proxy(databases: &Databases, trouble: Trouble) -> Arc<AtomicU32> {
    let met = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&met);
    let is_met = move || count.fetch_add(1, Ordering::Relaxed);
    match trouble {
        Trouble::Slow => databases.clickhouse_proxy.set(move |_| {
            is_met();
            Deed::Wait(Duration::from_millis(100))
        }),
        Trouble::Refused => databases.clickhouse_proxy.set(move |bytes| {
            if holds(bytes, "INSERT") && holds(bytes, "serving.credits") {
                is_met();
                return Deed::Answer(NO_MEMORY);
            }
            Deed::Pass
        }),
        Trouble::CutAtCommit | Trouble::AnswerLost => databases.postgres_proxy.set(move |bytes| {
            if !holds(bytes, "COMMIT") || is_met() >= 3 {
                return Deed::Pass;
            }
            match trouble {
                Trouble::CutAtCommit => Deed::Cut,
                _ => Deed::PassAndCut,
            }
        }),
        _ => {}
    }
    met
}

async fn until_met(trouble: Trouble, met: &AtomicU32) {
    let began = Instant::now();
    while trouble != Trouble::None && met.load(Ordering::Relaxed) < 3 {
        assert!(
            began.elapsed() < Duration::from_mins(1),
            "{trouble:?} was never met"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_dependency_away_in_turn() {
    let (seed, dir) = (seed(), tempfile::tempdir().unwrap());
    let mut broker = tokio::task::spawn_blocking(Broker::start).await.unwrap();
    let mut kind = kafka(dir.path(), &broker.bootstrap()).await;
    kind.databases_fail = true;
    let world = World::start(kind, dir, workload(seed)).await;
    let rng = Rng::new(seed).part("pauses");
    let mut pipeline = Pipeline::start(&world.config, 2);
    pipeline.wait_ready().await;
    let first = world.events[0].meta.received_at.0;
    let day = |event: &Event| (event.meta.received_at.0 - first) / DAY_MS;
    let days = world.events.chunk_by(|a, b| day(a) == day(b));
    let mut troubles = DAYS.iter().chain([&LAST]);
    for events in days {
        assert!(!world.reader.failed(), "the reader found something wrong");
        let trouble = *troubles.next().unwrap_or(&DAYS[0]);
        let sending = send(&world.kind.feed, events, rng.part("pauses"));
        let happening = Box::pin(happen(&world, &mut pipeline, broker, trouble));
        ((), broker) = tokio::join!(sending, happening);
        let until = events.last().unwrap().meta.received_at.0;
        pipeline.wait_drained(until, world.kind.quiet).await;
        world.note("the day is in the databases");
    }
    assert_eq!(troubles.next(), None, "more troubles than days");
    let mib = pipeline.memory_peak();
    println!("the pipeline had at most {mib} MiB");
    assert!(mib <= MEMORY_MAX_MIB, "{mib} MiB");
    assert!(pipeline.stop().success());
    world.finish(&[]).await;
}
