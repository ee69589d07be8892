//! The disk under the journal is full, really: the pipeline stops and says so, and when there is room it goes on.
//! Needs: root, for a file system of its own. Without it nothing is tried here; `stopped.rs` has a simulated disk.

use std::time::{Duration, Instant};

use hostread_schemas::event::Event;
use hostread_sink_kit::{Columns, Sink};

use super::checks::{LEDGER, assert_equal, assert_filled};
use super::crash::{seed, workload};
use super::databases::Databases;
use super::feed::Feed;
use super::process::Pipeline;
use super::settings;
use super::uninterrupted::Run;
use crate::small_disk::Small;

const STUCK: Duration = Duration::from_mins(1);
const QUIET: Duration = Duration::from_millis(300);
/// Bytes that are left when the disk begins to fill up: no tick fits, some ticks, some ticks and a part of a day's file.
const LEFT: [usize; 3] = [0, 30_000, 300_000];
/// Events that come before, and each time.
const PIECE: usize = 10_000;

async fn drained(pipeline: &mut Pipeline, events: &[Event]) {
    let clock_ms = events.last().unwrap().meta.received_at.0;
    pipeline.wait_drained(clock_ms, QUIET).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_the_pipeline_until_there_is_room() {
    let (seed, dir) = (seed(), tempfile::tempdir().unwrap());
    let Some(disk) = Small::mount(&dir.path().join("journal")) else {
        return;
    };
    let databases = Databases::start().await;
    let events = workload(seed);
    let feed = Feed::embedded(&dir.path().join("log")).await;
    let config = dir.path().join("hostread.toml");
    let text = settings(dir.path(), "kind = \"embedded\"", &databases.settings());
    std::fs::write(&config, text).unwrap();
    let mut pieces = events.chunks(PIECE);
    feed.append(pieces.next().unwrap()).await;
    let mut pipeline = Pipeline::start(&config, 2);
    drained(&mut pipeline, &events[..PIECE]).await;
    for (piece, left) in pieces.zip(LEFT) {
        disk.fill(left);
        feed.append(piece).await;
        let began = Instant::now();
        let said = loop {
            if let Some(said) = pipeline.ended() {
                break said;
            }
            assert!(began.elapsed() < STUCK, "{left} bytes were enough");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        println!(
            "{left} bytes left: {}",
            said.lines().last().unwrap_or_default()
        );
        let last = said.lines().last().unwrap_or_default();
        // The archive lies on that disk, too: whoever writes next says it.
        let by_whom = ["the journal failed", "sink \"archive\" failed"];
        assert!(
            by_whom.iter().any(|who| last.contains(who)) && last.contains("No space left"),
            "{said}"
        );
        disk.empty();
        pipeline = Pipeline::start(&config, 2);
        drained(&mut pipeline, piece).await;
    }
    assert!(pipeline.stop().success());
    let numbers = databases.tables(Columns::Row).await;
    assert_filled(&numbers);

    databases.clear().await;
    let run = Run {
        journal: &dir.path().join("own"),
        feed: &feed,
        workers: 1,
        tick_events_max: 700,
        range_rows_max: 50_000,
        clock_ms: events.last().unwrap().meta.received_at.0,
        quiet: QUIET,
    };
    let sinks: Vec<Box<dyn Sink>> = vec![
        Box::new(databases.clickhouse()),
        Box::new(databases.postgres()),
    ];
    run.into_sinks(sinks).await;
    let expected = databases.tables(Columns::Row).await;
    assert_equal("a run of its own", &numbers, &expected, &LEDGER);
    databases.stop().await;
}
