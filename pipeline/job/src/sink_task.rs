//! One task per sink: gathers settled ticks into ranges and applies them, for ever retrying what may
//! work later.
//!
//! Invariant 1: ranges are applied in order without gaps. Invariant 2: a row is written once per
//! range, with its newest value, even when it ends as it began: an earlier epoch may have written
//! what stood between. Invariant 3: the first range covers all that an owner before had begun to
//! write: no reader sees a row go back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hostread_schemas::view::{Change, View};
use hostread_schemas::{Names, Tick};
use hostread_sink_kit::{FreshnessRow, RangeBatch, Sink, SinkErrorKind, Upsert};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::collect::SettledTick;
use crate::error::{JobError, in_full};
use crate::status::{Status, guard};

/// First and longest pause between tries of a range.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_LONGEST: Duration = Duration::from_secs(10);
/// Parts from which the ranges are stretched.
const PARTS_MANY: u64 = 1_500;
/// A sink that shows events this late has fallen behind: its ranges are stretched, for a larger one
/// costs less a row.
const BEHIND_MS: i64 = 2_000;
/// The longest range when parts grow or the sink is behind.
const RANGE_STRETCHED: Duration = Duration::from_secs(1);
/// Times as many rows may lie in a stretched range.
const STRETCHED_ROWS: usize = 4;

pub(crate) struct SinkTask {
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) upper: Tick,
    /// Rows of an owner before may stand below this tick, above `upper`.
    pub(crate) begun: Tick,
    pub(crate) names: Names,
    pub(crate) clock: Clock,
    pub(crate) status: Arc<Status>,
    pub(crate) range_every: Duration,
    pub(crate) range_rows_max: usize,
}

/// The earlier of two moments; 0: none yet.
pub(crate) fn oldest(one: i64, other: i64) -> i64 {
    if one == 0 || (other != 0 && other < one) {
        other
    } else {
        one
    }
}

/// Ticks that gather for a sink.
#[derive(Default)]
pub(crate) struct Range {
    ticks: Vec<Arc<SettledTick>>,
    upper: Tick,
    /// Changes of the sink's views.
    rows: usize,
    /// Changes of all views.
    changes: usize,
    events: u64,
    accepted_at_ms: i64,
    clock: hostread_schemas::EventTimeMs,
}

impl Range {
    fn is_behind(&self, now_ms: i64) -> bool {
        self.accepted_at_ms > 0 && now_ms - self.accepted_at_ms > BEHIND_MS
    }

    fn withheld(&self) -> Vec<(Tick, Arc<Vec<Change>>)> {
        let ticks = self.ticks.iter().filter(|tick| !tick.withheld.is_empty());
        ticks
            .map(|tick| (tick.tick, Arc::clone(&tick.withheld)))
            .collect()
    }

    /// Every row that changed with its newest value, by key.
    fn upserts(&self, views: &[View]) -> Result<Vec<Upsert>, JobError> {
        let mut changes: Vec<&Change> = Vec::with_capacity(self.rows);
        for tick in &self.ticks {
            changes.extend(
                tick.changes
                    .iter()
                    .filter(|c| views.contains(&c.key.view())),
            );
        }
        // Stable: the changes of a row stay in order of their ticks.
        changes.sort_by_key(|change| change.key);
        let mut upserts = Vec::with_capacity(changes.len());
        for of_row in changes.chunk_by(|one, other| one.key == other.key) {
            let follows = |pair: &[&Change]| matches!(pair, [one, next] if one.new == next.old);
            let Some(newest) = of_row.last() else {
                continue;
            };
            if !of_row.windows(2).all(follows) {
                return Err(JobError::BrokenRow(newest.tick));
            }
            upserts.push(Upsert {
                tick: newest.tick,
                key: newest.key,
                value: newest.new.clone(),
            });
        }
        Ok(upserts)
    }
}

impl SinkTask {
    pub(crate) async fn run(
        mut self,
        mut ticks: UnboundedReceiver<Arc<SettledTick>>,
    ) -> Result<(), JobError> {
        let mut range = self.next_range();
        let mut began = Instant::now();
        let mut many_parts = false;
        let mut ranges = 0_u64;
        loop {
            let left = self.range_every.saturating_sub(began.elapsed());
            let wait = left.max(self.range_every / 8);
            let ended = match tokio::time::timeout(wait, ticks.recv()).await {
                Ok(Some(tick)) => {
                    self.take(&mut range, tick);
                    false
                }
                Ok(None) => true,
                Err(_) => false,
            };
            let is_behind = range.is_behind(self.clock.machine_ms()) && !self.status.idle();
            let stretched = many_parts || is_behind;
            let (every, rows_max) = if stretched {
                (RANGE_STRETCHED, self.range_rows_max * STRETCHED_ROWS)
            } else {
                (self.range_every, self.range_rows_max)
            };
            let is_due = ended || range.rows >= rows_max || began.elapsed() >= every;
            if is_due && self.may_end(&range) {
                self.apply(range).await?;
                range = self.next_range();
                ranges += 1;
                if ranges.is_multiple_of(16) {
                    many_parts = self.sink.parts_count().await.unwrap_or(0) > PARTS_MANY;
                }
            }
            if ended {
                return Ok(());
            }
            if is_due {
                began = Instant::now();
            }
        }
    }

    /// The range that follows what is written, still empty.
    pub(crate) fn next_range(&self) -> Range {
        Range {
            upper: self.upper,
            ..Range::default()
        }
    }

    /// Holds the range something new, and all that an owner before had begun?
    pub(crate) fn may_end(&self, range: &Range) -> bool {
        range.upper > self.upper && range.upper >= self.begun
    }

    /// Adds a tick to the range.
    pub(crate) fn take(&self, range: &mut Range, tick: Arc<SettledTick>) {
        if tick.tick < self.upper {
            // Another sink needed it again.
            self.status.passages.pass(self.sink.name(), tick.len());
            return;
        }
        range.changes += tick.len();
        let views: &[View] = self.sink.views();
        let rows = tick.changes.iter().map(|change| change.key.view());
        range.rows += rows.filter(|view| views.contains(view)).count();
        range.upper = tick.tick.next();
        range.events += tick.events;
        range.accepted_at_ms = oldest(range.accepted_at_ms, tick.accepted_at_ms);
        range.clock = tick.clock;
        range.ticks.push(tick);
    }

    async fn apply(&mut self, range: Range) -> Result<(), JobError> {
        let batch = self.batch(&range)?;
        let mut pause = RETRY_FIRST;
        while !self.write(&range, &batch).await? {
            if self.status.stopping() {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_LONGEST);
        }
        Ok(())
    }

    /// What is handed to the sink.
    pub(crate) fn batch(&self, range: &Range) -> Result<RangeBatch, JobError> {
        // A tick of the journal's own, such as a release, was accepted at no door.
        let freshness = (range.accepted_at_ms > 0).then(|| FreshnessRow {
            tick: Tick(range.upper.0.saturating_sub(1)),
            clock: range.clock,
            accepted_at_ms: range.accepted_at_ms,
            visible_at_ms: self.clock.machine_ms(),
            events: range.events,
        });
        Ok(RangeBatch {
            lower: self.upper,
            upper: range.upper,
            upserts: range.upserts(self.sink.views())?,
            withheld: range.withheld(),
            freshness,
            rows_done: Arc::default(),
        })
    }

    /// Tries to write a range; `false` when it may work later.
    pub(crate) async fn write(
        &mut self,
        range: &Range,
        batch: &RangeBatch,
    ) -> Result<bool, JobError> {
        let name = self.sink.name();
        let rows = batch.upserts.len();
        self.status
            .passages
            .begin(name, range.changes, rows, &batch.rows_done);
        if let Err(source) = self.sink.apply(batch, &self.names).await {
            if !matches!(source.kind(), SinkErrorKind::Dependency { .. }) {
                return Err(JobError::Sink { sink: name, source });
            }
            let why = in_full(&source);
            tracing::warn!(sink = name, error = why, lower = %batch.lower, upper = %batch.upper, "range not written yet");
            self.status.set_trouble(name, Some(why));
            return Ok(false);
        }
        self.status.set_trouble(name, None);
        self.upper = batch.upper;
        guard(&self.status.uppers).insert(name, batch.upper);
        self.status.passages.finish(name);
        let rows = batch.upserts.len() as u64;
        self.status.rows_written.fetch_add(rows, Ordering::Relaxed);
        // Nobody reads an archive.
        if let Some(freshness) = batch.freshness.filter(|_| !self.sink.is_archive()) {
            self.status
                .note_freshness(self.clock.machine_ms() - freshness.accepted_at_ms);
        }
        metrics::counter!("sink_rows_written_total", "sink" => name).increment(rows);
        metrics::gauge!("sink_upper_ticks", "sink" => name).set(batch.upper.0 as f64);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use hostread_sink_kit::conformance::samples;
    use hostread_sink_kit::{MemorySink, MemoryStore};
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;
    use crate::clock::wall_ms;

    fn settled(tick: Tick, accepted_at_ms: i64, changes: Vec<Change>) -> Arc<SettledTick> {
        Arc::new(SettledTick {
            tick,
            clock: hostread_schemas::EventTimeMs(0),
            events: 0,
            accepted_at_ms,
            changes,
            withheld: Arc::default(),
        })
    }

    /// Five ticks, 20 ms apart and accepted then, through a task with ranges of 1 ms; the uppers that
    /// the sink had.
    async fn uppers(begun: Tick, status: Status, accepted_at_ms: i64) -> Vec<Tick> {
        let store = MemoryStore::default();
        let mut sink = MemorySink::new(store.clone());
        sink.open(7).await.unwrap();
        let task = SinkTask {
            sink: Box::new(sink),
            upper: Tick(0),
            begun,
            names: Names::default(),
            clock: Clock::wall(),
            status: Arc::new(status),
            range_every: Duration::from_millis(1),
            range_rows_max: 1,
        };
        let (sender, receiver) = unbounded_channel();
        let running = tokio::spawn(task.run(receiver));
        for tick in 0..5 {
            sender
                .send(settled(Tick(tick), accepted_at_ms, Vec::new()))
                .unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drop(sender);
        running.await.unwrap().unwrap();
        assert_eq!(store.progress().unwrap().upper, Tick(5));
        let mut uppers = store.uppers();
        uppers.retain(|upper| *upper > Tick(0));
        uppers
    }

    /// A start replays what the slowest sink needs; another has written it before.
    #[tokio::test]
    async fn what_a_sink_has_already_does_not_wait_for_it() {
        let status = Arc::new(Status::default());
        let task = SinkTask {
            sink: Box::new(MemorySink::new(MemoryStore::default())),
            upper: Tick(1),
            begun: Tick(0),
            names: Names::default(),
            clock: Clock::wall(),
            status: Arc::clone(&status),
            range_every: Duration::from_millis(1),
            range_rows_max: 1,
        };
        let mut range = task.next_range();
        for tick in [0, 1] {
            let change = Change {
                tick: Tick(tick),
                key: samples::key(View::Downloads, 0),
                old: None,
                new: Some(samples::value(View::Downloads, 0)),
            };
            let settled = settled(Tick(tick), 0, vec![change]);
            status.passages.send(task.sink.name(), settled.len());
            task.take(&mut range, settled);
            assert_eq!(status.waiting_changes() as u64, tick, "tick {tick}");
        }
        assert_eq!((range.changes, range.upper), (1, Tick(2)));
    }

    #[tokio::test]
    async fn the_first_range_covers_what_an_owner_before_had_begun() {
        let uppers = uppers(Tick(3), Status::default(), 0).await;
        assert!(uppers.iter().all(|upper| *upper >= Tick(3)), "{uppers:?}");
    }

    #[tokio::test]
    async fn a_sink_that_is_behind_takes_larger_ranges_until_nothing_waits() {
        let long_ago = wall_ms() - 2 * BEHIND_MS;
        let behind = uppers(Tick(0), Status::default(), long_ago).await;
        assert!(behind.len() <= 2, "one when the ticks end: {behind:?}");
        let idle = Status::default();
        idle.caught_up.store(true, Ordering::Release);
        for uppers in [
            uppers(Tick(0), idle, long_ago).await,
            uppers(Tick(0), Status::default(), wall_ms()).await,
        ] {
            assert!(uppers.len() >= 3, "{uppers:?}");
        }
    }
}
