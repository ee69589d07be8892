//! The same job in this process, from start to end without a stop.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hostread_disk::RealDisk;
use hostread_eventlog::async_trait;
use hostread_job::{Clock, JobConfig, Parts};
use hostread_schemas::view::View;
use hostread_schemas::{Names, Tick};
use hostread_sink_archive::ArchiveSink;
use hostread_sink_kit::{Progress, RangeBatch, Result, Sink};

use super::HORIZONS;
use super::feed::Feed;

/// Progress must be seen so often.
const STUCK: Duration = Duration::from_mins(1);

/// What a run takes.
pub(super) struct Run<'a> {
    pub(super) journal: &'a Path,
    pub(super) feed: &'a Feed,
    pub(super) workers: usize,
    pub(super) tick_events_max: usize,
    pub(super) range_rows_max: usize,
    /// The clock at the end.
    pub(super) clock_ms: i64,
    /// The log says nothing new for so long: it was read to its end.
    pub(super) quiet: Duration,
}

impl Run<'_> {
    /// Runs to the end of the log and stops cleanly. Says how many events were refused.
    pub(super) async fn into_sinks(self, mut sinks: Vec<Box<dyn Sink>>) -> u64 {
        let archive = ArchiveSink::new(Arc::new(RealDisk), &self.journal.join("archive"));
        sinks.push(Box::new(archive));
        let refused = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&refused);
        let parts = Parts {
            dead_letters: Box::new(move |_| {
                count.fetch_add(1, Ordering::Relaxed);
            }),
            ..self.feed.parts(RealDisk, self.journal, sinks)
        };
        let config = JobConfig {
            workers: self.workers,
            horizons: HORIZONS,
            tick_events_max: self.tick_events_max,
            range_rows_max: self.range_rows_max,
            compact_events: u64::MAX,
            clock: Clock::Samples,
            ..JobConfig::default()
        };
        let job = hostread_job::start(config, parts).await.unwrap();
        let status = &job.status;
        let (mut quiet_since, mut moved, mut seen) = (None, Instant::now(), Tick(0));
        loop {
            assert_eq!(status.failure(), None);
            let now = status.upper();
            if now != seen {
                (moved, seen, quiet_since) = (Instant::now(), now, None);
            }
            let ended = status.caught_up() && status.clock().0 >= self.clock_ms;
            match (ended, quiet_since) {
                (true, None) => quiet_since = Some(Instant::now()),
                (true, Some(since)) if since.elapsed() >= self.quiet => break,
                (true, _) => {}
                (false, _) => quiet_since = None,
            }
            assert!(moved.elapsed() < STUCK, "stuck: {status:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        job.stop().await.unwrap();
        refused.load(Ordering::Relaxed)
    }
}

/// Rows that a tick changes, by sink: what an uninterrupted run that writes after every tick would write.
#[derive(Clone, Default)]
pub(super) struct Changes(
    Arc<Mutex<BTreeMap<Tick, [u64; 2]>>>,
    Arc<Mutex<Option<Progress>>>,
);

impl Changes {
    /// Of the ticks in `[lower, upper)`.
    pub(super) fn between(&self, lower: Tick, upper: Tick) -> [u64; 2] {
        let counts = self.0.lock().unwrap();
        let counts = counts.range(lower..upper.max(lower)).map(|(_, n)| n);
        counts.fold([0, 0], |sum, n| [sum[0] + n[0], sum[1] + n[1]])
    }

    /// A sink that only counts. It must be given one tick at a time: `range_rows_max` 1.
    pub(super) fn sink(&self) -> Box<dyn Sink> {
        Box::new(Counting {
            changes: self.clone(),
        })
    }
}

struct Counting {
    changes: Changes,
}

#[async_trait]
impl Sink for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn views(&self) -> &'static [View] {
        View::ALL
    }

    async fn migrate(&mut self) -> Result<()> {
        Ok(())
    }

    async fn open(&mut self, journal_id: u128) -> Result<Progress> {
        let mut stored = self.changes.1.lock().unwrap();
        let progress = hostread_sink_kit::claim("counting", *stored, journal_id)?;
        *stored = Some(progress);
        Ok(progress)
    }

    async fn apply(&mut self, batch: &RangeBatch, _: &Names) -> Result<()> {
        let mut counts = self.changes.0.lock().unwrap();
        for upsert in &batch.upserts {
            let count = counts.entry(upsert.tick).or_default();
            let view = upsert.key.view();
            count[0] += u64::from(hostread_sink_clickhouse::VIEWS.contains(&view));
            count[1] += u64::from(hostread_sink_postgres::VIEWS.contains(&view));
        }
        if let Some(progress) = &mut *self.changes.1.lock().unwrap() {
            progress.upper = batch.upper;
        }
        Ok(())
    }

    async fn progress(&self) -> Result<Option<Progress>> {
        Ok(*self.changes.1.lock().unwrap())
    }

    async fn clear(&mut self) -> Result<()> {
        *self.changes.1.lock().unwrap() = None;
        Ok(())
    }
}
