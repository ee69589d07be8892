//! MIX-1 with failures at random: the pipeline, ClickHouse, PostgreSQL and Kafka are killed or stand still, again and again.
//! `HOSTREAD_CHAOS_MINUTES` says for about how long, 2 unless told; `HOSTREAD_TEST_SEED` repeats the draws.

use std::time::Duration;

use hostread_schemas::DAY_MS;
use hostread_schemas::event::Event;
use hostread_simulate::rng::Rng;
use nix::sys::signal::Signal;
use tokio::time::Instant;

use super::crash::{World, kafka, seed, workload_of};
use super::databases::Engine;
use super::process::Pipeline;
use crate::kafka::Broker;

/// Days of MIX-1 in a minute.
const DAYS_A_MINUTE: u32 = 7;
/// A day's events come over this time; the rest of its share is for failures that outlast it and for catching up.
const A_DAY: Duration = Duration::from_secs(5);
/// Batches of a day: sent evenly over its time.
const BATCHES: usize = 24;
/// What the pipeline says when it is started while Kafka is away: whoever runs it starts it again.
const WITHOUT_KAFKA: &[&str] = &["opening Kafka", "the event log failed"];

fn minutes() -> u32 {
    let given = std::env::var("HOSTREAD_CHAOS_MINUTES").ok();
    let given = given.filter(|text| !text.is_empty());
    given.map_or(2, |text| text.parse().unwrap())
}

/// Where the parts are; the reader and the log are the world's.
struct Parts<'a> {
    world: &'a World,
    rng: Rng,
    pipeline: Pipeline,
    broker: Option<Broker>,
    /// How often what happened.
    counts: std::collections::BTreeMap<&'static str, u32>,
}

impl Parts<'_> {
    async fn pause(&mut self, ms_min: u64, ms_max: u64) {
        let ms = ms_min + self.rng.below(ms_max - ms_min);
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    /// One that ended because Kafka was away is started again.
    fn keep_running(&mut self) {
        let Some(said) = self.pipeline.ended() else {
            return;
        };
        let known = WITHOUT_KAFKA.iter().any(|word| said.contains(word));
        assert!(known, "the pipeline ended by itself:\n{said}");
        self.start_pipeline();
    }

    fn start_pipeline(&mut self) {
        let workers = 1 + self.rng.below(3);
        self.pipeline = Pipeline::start(&self.world.config, workers);
    }

    async fn kafka(&mut self, work: impl FnOnce(&mut Broker) + Send + 'static) {
        let mut broker = self.broker.take().unwrap();
        let done = tokio::task::spawn_blocking(move || {
            work(&mut broker);
            broker
        });
        self.broker = Some(done.await.unwrap());
    }

    /// One failure, from its beginning to its end.
    async fn fail(&mut self) {
        let databases = &self.world.databases;
        let engine = *self.rng.pick(&[Engine::ClickHouse, Engine::Postgres]);
        let what = match self.rng.below(12) {
            0..4 => {
                self.pipeline.signal(Signal::SIGKILL);
                while self.pipeline.ended().is_none() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                self.start_pipeline();
                "pipeline killed"
            }
            4 => {
                self.pipeline.signal(Signal::SIGSTOP);
                self.pause(200, 4_000).await;
                self.pipeline.signal(Signal::SIGCONT);
                "pipeline stopped"
            }
            5..8 => {
                databases.signal(engine, Signal::SIGSTOP);
                self.pause(200, 6_000).await;
                databases.signal(engine, Signal::SIGCONT);
                "database stopped"
            }
            8..10 => {
                databases.signal(engine, Signal::SIGKILL);
                "database killed"
            }
            10 => {
                self.broker.as_ref().unwrap().signal(Signal::SIGSTOP);
                self.pause(200, 4_000).await;
                self.broker.as_ref().unwrap().signal(Signal::SIGCONT);
                "Kafka stopped"
            }
            _ => {
                self.kafka(|broker| {
                    broker.kill();
                    broker.restart();
                })
                .await;
                "Kafka killed"
            }
        };
        *self.counts.entry(what).or_default() += 1;
    }

    /// Failures one after the other for so long.
    async fn failures(&mut self, time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time {
            self.keep_running();
            self.pause(100, 1_500).await;
            self.fail().await;
        }
    }

    /// Everything runs.
    async fn calm(&mut self) {
        self.world.databases.wait_ready().await;
        self.keep_running();
        self.pipeline.wait_ready().await;
    }
}

async fn send(world: &World, events: &[Event], time: Duration) {
    let pause = time / BATCHES as u32;
    for batch in events.chunks(events.len().div_ceil(BATCHES)) {
        world.kind.feed.append(batch).await;
        tokio::time::sleep(pause).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_at_random() {
    let (seed, dir) = (seed(), tempfile::tempdir().unwrap());
    let broker = tokio::task::spawn_blocking(Broker::start).await.unwrap();
    let mut kind = kafka(dir.path(), &broker.bootstrap()).await;
    kind.databases_fail = true;
    let days = minutes() * DAYS_A_MINUTE;
    let world = World::start(kind, dir, workload_of(seed, days)).await;
    let mut parts = Parts {
        world: &world,
        rng: Rng::new(seed).part("failures"),
        pipeline: Pipeline::start(&world.config, 2),
        broker: Some(broker),
        counts: std::collections::BTreeMap::new(),
    };
    let first = world.events[0].meta.received_at.0;
    let day = |event: &Event| (event.meta.received_at.0 - first) / DAY_MS;
    for events in world.events.chunk_by(|a, b| day(a) == day(b)) {
        assert!(!world.reader.failed(), "the reader found something wrong");
        tokio::join!(send(&world, events, A_DAY), Box::pin(parts.failures(A_DAY)));
        parts.calm().await;
        let until = events.last().unwrap().meta.received_at.0;
        parts.pipeline.wait_drained(until, world.kind.quiet).await;
    }
    let Parts {
        pipeline, counts, ..
    } = parts;
    world.note(&format!("{counts:?}"));
    assert!(pipeline.stop().success());
    world.finish(&[]).await;
}
