//! A sink that is away for long: reading pauses at the limit of what may wait in memory, and goes on when it is back.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hostread_disk::RealDisk;
use hostread_eventlog::async_trait;
use hostread_job::{Clock, JobConfig};
use hostread_schemas::Names;
use hostread_schemas::event::Event;
use hostread_schemas::view::View;
use hostread_sink_kit::{MemorySink, MemoryStore, Progress, RangeBatch, Result, Sink, SinkError};

use super::HORIZONS;
use super::crash::{seed, workload};
use super::feed::Feed;

const STUCK: Duration = Duration::from_mins(1);
const WAITING_MAX: usize = 2_000;
/// What was read at once is cut to its end, and each event may change a few rows.
const AT_ONCE: usize = 8_192;
const ROWS_OF_AN_EVENT: usize = 3;
const EVENTS: usize = 30_000;

/// A sink that is away while somebody says so.
struct Remote {
    sink: MemorySink,
    away: Arc<AtomicBool>,
}

#[async_trait]
impl Sink for Remote {
    fn name(&self) -> &'static str {
        "remote"
    }

    fn views(&self) -> &'static [View] {
        self.sink.views()
    }

    async fn migrate(&mut self) -> Result<()> {
        self.sink.migrate().await
    }

    async fn open(&mut self, journal_id: u128) -> Result<Progress> {
        self.sink.open(journal_id).await
    }

    async fn apply(&mut self, batch: &RangeBatch, names: &Names) -> Result<()> {
        if self.away.load(Ordering::Relaxed) {
            return Err(SinkError::Dependency {
                sink: "remote",
                doing: "writing a range".to_owned(),
                source: "nobody is there".into(),
            });
        }
        self.sink.apply(batch, names).await
    }

    async fn progress(&self) -> Result<Option<Progress>> {
        self.sink.progress().await
    }

    async fn clear(&mut self) -> Result<()> {
        self.sink.clear().await
    }
}

/// The rows of a run whose sink is away for a while, or never; and the most that waited.
async fn rows_after(dir: &Path, events: &[Event], is_away: bool) -> MemoryStore {
    let feed = Feed::embedded(&dir.join("log")).await;
    feed.append(events).await;
    let (store, away) = (MemoryStore::default(), Arc::new(AtomicBool::new(is_away)));
    let remote = Remote {
        sink: MemorySink::new(store.clone()),
        away: Arc::clone(&away),
    };
    let parts = feed.parts(RealDisk, &dir.join("journal"), vec![Box::new(remote)]);
    let config = JobConfig {
        horizons: HORIZONS,
        clock: Clock::Samples,
        tick_events_max: 100,
        range_every: Duration::from_millis(40),
        waiting_changes_max: WAITING_MAX,
        ..JobConfig::default()
    };
    let job = hostread_job::start(config, parts).await.unwrap();
    let status = Arc::clone(&job.status);
    let began = Instant::now();
    if is_away {
        while status.waiting_changes() <= WAITING_MAX {
            assert!(began.elapsed() < STUCK, "{status:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (read, waiting) = (status.events(), status.waiting_changes());
        tokio::time::sleep(Duration::from_secs(1)).await;
        println!(
            "{read} of {} events were read, {waiting} changes wait",
            events.len()
        );
        assert_eq!(status.events(), read, "reading goes on");
        assert!(read <= 2 * AT_ONCE as u64, "{read} events were read");
        assert!(
            waiting <= WAITING_MAX + AT_ONCE * ROWS_OF_AN_EVENT,
            "{waiting}"
        );
        let said = status.trouble().unwrap();
        assert!(
            said.contains("remote: writing a range") && said.contains("nobody"),
            "{said}"
        );
        away.store(false, Ordering::Relaxed);
    }
    while !status.caught_up() || status.events() < events.len() as u64 {
        assert_eq!(status.failure(), None);
        assert!(began.elapsed() < STUCK, "{status:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(status.trouble(), None);
    job.stop().await.unwrap();
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_away_pauses_reading_at_the_limit_and_loses_nothing() {
    let (seed, dirs) = (
        seed(),
        [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()],
    );
    let events = &workload(seed)[..EVENTS];
    let at_once = rows_after(dirs[0].path(), events, false).await;
    let later = rows_after(dirs[1].path(), events, true).await;
    assert!(at_once.rows().len() > 1_000);
    assert_eq!(at_once.rows(), later.rows());
}
