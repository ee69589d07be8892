//! A job that cannot go on stops, says why, and writes nothing that is not durable. One that can goes on, and says what is wrong.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hostread_disk::{Disk, SimDisk};
use hostread_job::{Clock, JobConfig, Running};
use hostread_schemas::event::Event;
use hostread_simulate::{Mix1, Mix1Config};
use hostread_sink_kit::{MemorySink, MemoryStore, Sink};

use super::HORIZONS;
use super::feed::Feed;

/// Longer than any stop may take.
const STUCK: Duration = Duration::from_secs(30);

async fn until(done: impl Fn() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(since.elapsed() < STUCK);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A job on a journal in memory, and what outlives it.
struct World {
    feed: Feed,
    disk: SimDisk,
    store: MemoryStore,
    job: Running,
    _dir: tempfile::TempDir,
}

impl World {
    async fn start(compact_events: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let feed = Feed::embedded(&dir.path().join("log")).await;
        let (disk, store) = (SimDisk::new(1), MemoryStore::default());
        let sinks = vec![Box::new(MemorySink::new(store.clone())) as Box<dyn Sink>];
        let parts = feed.parts(disk.clone(), Path::new("/journal"), sinks);
        let config = JobConfig {
            horizons: HORIZONS,
            clock: Clock::Samples,
            compact_events,
            ..JobConfig::default()
        };
        let job = hostread_job::start(config, parts).await.unwrap();
        Self {
            feed,
            disk,
            store,
            job,
            _dir: dir,
        }
    }

    /// They come and are seen by readers.
    async fn take(&self, events: &[Event], so_far: u64) {
        self.feed.append(events).await;
        let status = &self.job.status;
        until(|| status.caught_up() && status.events() >= so_far).await;
    }
}

fn events(count: u64) -> Vec<Event> {
    let mix = Mix1::new(Mix1Config {
        events: count,
        ..Mix1Config::default()
    });
    mix.events().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_room_for_files_of_days_the_job_goes_on_and_says_so() {
    let events = events(3_000);
    let world = World::start(1_500).await;
    world.take(&events[..1_400], 1_400).await;
    let facts = || {
        let names = world.disk.list(Path::new("/journal")).unwrap();
        names
            .iter()
            .filter(|name| name.starts_with("facts-"))
            .count()
    };
    assert_eq!(facts(), 0, "not compacted yet");
    // Enough for ticks, not for files of two weeks as well.
    world.disk.set_free_bytes(Some(100_000));
    world.take(&events[1_400..1_600], 1_600).await;
    let status = &world.job.status;
    let trouble = || status.trouble().unwrap_or_default();
    until(|| trouble().contains("compaction: no room for it on the journal's disk")).await;
    assert_eq!(facts(), 0, "what was begun is removed");
    let upper = status.upper();
    world.take(&events[1_600..1_700], 1_700).await;
    assert!(status.upper() > upper, "readers see what comes meanwhile");
    assert_eq!(status.failure(), None);

    world.disk.set_free_bytes(None);
    until(|| facts() > 0 && status.trouble().is_none()).await;
    world.take(&events[1_700..], 3_000).await;
    world.job.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_without_room_stops_the_job_with_the_reason() {
    let events = events(2_000);
    let (first, second) = events.split_at(1_000);
    let world = World::start(u64::MAX).await;
    world.take(first, 1_000).await;
    let World {
        feed,
        disk,
        store,
        job,
        _dir,
    } = world;
    let status = Arc::clone(&job.status);
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
