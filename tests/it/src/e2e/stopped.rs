//! A job that cannot go on stops, says why, and writes nothing that is not durable.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hostread_disk::SimDisk;
use hostread_job::{Clock, JobConfig, Parts};
use hostread_schemas::intern::IdHasher;
use hostread_simulate::{Mix1, Mix1Config};
use hostread_sink_kit::{MemorySink, MemoryStore};

use super::feed::Feed;
use super::{HORIZONS, ID_KEY};

/// Longer than any stop may take.
const STUCK: Duration = Duration::from_secs(30);

async fn until(done: impl Fn() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(since.elapsed() < STUCK);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_without_room_stops_the_job_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let feed = Feed::embedded(&dir.path().join("log")).await;
    let mix = Mix1::new(Mix1Config {
        events: 2_000,
        ..Mix1Config::default()
    });
    let events: Vec<_> = mix.events().collect();
    let (first, second) = events.split_at(1_000);
    feed.append(first).await;
    let (disk, store) = (SimDisk::new(1), MemoryStore::default());
    let parts = Parts {
        disk: Arc::new(disk.clone()),
        journal_dir: Path::new("/journal").to_owned(),
        journal_id: 1,
        hasher: IdHasher::new(ID_KEY),
        log: Arc::clone(&feed.log),
        decode: feed.decode(),
        sinks: vec![Box::new(MemorySink::new(store.clone()))],
        dead_letters: Box::new(|_| {}),
    };
    let config = JobConfig {
        horizons: HORIZONS,
        clock: Clock::Samples,
        ..JobConfig::default()
    };
    let job = hostread_job::start(config, parts).await.unwrap();
    let status = Arc::clone(&job.status);
    until(|| status.caught_up() && status.events() >= 1_000).await;
    let durable = status.durable();

    disk.set_free_bytes(Some(0));
    feed.append(second).await;
    until(|| status.failure().is_some()).await;
    let stopped = tokio::time::timeout(STUCK, job.stop()).await;
    let why = stopped.expect("the job stops").unwrap_err();
    assert!(why.contains("journal") && why.contains("space"), "{why}");
    let upper = store.progress().unwrap().upper;
    assert_eq!(upper, durable.next(), "nothing leaves that is not durable");
}
