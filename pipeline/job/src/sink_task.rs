//! One task per sink: folds settled ticks into ranges and applies them, for ever retrying what may
//! work later.
//!
//! Invariant 1: ranges are applied in order without gaps. Invariant 2: a row is written once per
//! range, with its newest value, even when it ends as it began: an earlier epoch may have written
//! what stood between. Invariant 3: the first range covers all that an owner before had begun to
//! write: no reader sees a row go back.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hostread_schemas::view::{View, ViewKey};
use hostread_schemas::{Names, Tick};
use hostread_sink_kit::{FreshnessRow, RangeBatch, Sink, SinkErrorKind, Upsert};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use crate::clock::wall_ms;
use crate::collect::SettledTick;
use crate::error::JobError;
use crate::status::{Status, guard};

/// First and longest pause between tries of a range.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_LONGEST: Duration = Duration::from_secs(10);
/// Parts from which the ranges are stretched.
const PARTS_MANY: u64 = 1_500;
/// The longest range when parts grow.
const RANGE_STRETCHED: Duration = Duration::from_secs(1);

pub(crate) struct SinkTask {
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) upper: Tick,
    /// Rows of an owner before may stand below this tick, above `upper`.
    pub(crate) begun: Tick,
    pub(crate) names: Names,
    pub(crate) status: Arc<Status>,
    pub(crate) waiting: Arc<AtomicUsize>,
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

#[derive(Default)]
struct Range {
    upserts: BTreeMap<ViewKey, Upsert>,
    upper: Tick,
    changes: usize,
    events: u64,
    accepted_at_ms: i64,
    clock: hostread_schemas::EventTimeMs,
}

impl SinkTask {
    pub(crate) async fn run(
        mut self,
        mut ticks: UnboundedReceiver<Arc<SettledTick>>,
    ) -> Result<(), JobError> {
        let mut range = Range {
            upper: self.upper,
            ..Range::default()
        };
        let mut due = Instant::now() + self.range_every;
        let mut every = self.range_every;
        let mut ranges = 0_u64;
        loop {
            let tick = tokio::time::timeout_at(due, ticks.recv()).await;
            let ended = match tick {
                Ok(Some(tick)) => {
                    self.fold(&mut range, &tick)?;
                    false
                }
                Ok(None) => true,
                Err(_) => false,
            };
            let full = range.upserts.len() >= self.range_rows_max;
            let whole = range.upper > self.upper && range.upper >= self.begun;
            if (ended || full || Instant::now() >= due) && whole {
                let done = std::mem::take(&mut range);
                self.apply(done).await?;
                range.upper = self.upper;
                ranges += 1;
                if ranges.is_multiple_of(16) {
                    let parts = self.sink.parts_count().await.unwrap_or(0);
                    every = if parts > PARTS_MANY {
                        RANGE_STRETCHED
                    } else {
                        self.range_every
                    };
                }
            }
            if ended {
                return Ok(());
            }
            if Instant::now() >= due {
                due = Instant::now() + every;
            }
        }
    }

    /// Adds a tick to the range.
    fn fold(&self, range: &mut Range, tick: &SettledTick) -> Result<(), JobError> {
        range.changes += tick.changes.len();
        if tick.tick < self.upper {
            return Ok(());
        }
        let views: &[View] = self.sink.views();
        for change in tick
            .changes
            .iter()
            .filter(|change| views.contains(&change.key.view()))
        {
            let upsert = Upsert {
                tick: tick.tick,
                key: change.key,
                value: change.new.clone(),
            };
            match range.upserts.entry(change.key) {
                Entry::Vacant(entry) => {
                    entry.insert(upsert);
                }
                Entry::Occupied(mut entry) => {
                    if entry.get().value != change.old {
                        return Err(JobError::BrokenRow(tick.tick));
                    }
                    entry.insert(upsert);
                }
            }
        }
        range.upper = tick.tick.next();
        range.events += tick.events;
        range.accepted_at_ms = oldest(range.accepted_at_ms, tick.accepted_at_ms);
        range.clock = tick.clock;
        Ok(())
    }

    async fn apply(&mut self, range: Range) -> Result<(), JobError> {
        // A tick of the journal's own, such as a release, was accepted at no door.
        let freshness = (range.accepted_at_ms > 0).then(|| FreshnessRow {
            tick: Tick(range.upper.0.saturating_sub(1)),
            clock: range.clock,
            accepted_at_ms: range.accepted_at_ms,
            visible_at_ms: wall_ms(),
            events: range.events,
        });
        let batch = RangeBatch {
            lower: self.upper,
            upper: range.upper,
            upserts: range.upserts.into_values().collect(),
            freshness,
        };
        let name = self.sink.name();
        let mut pause = RETRY_FIRST;
        while let Err(error) = self.sink.apply(&batch, &self.names).await {
            if !matches!(error.kind(), SinkErrorKind::Dependency { .. }) {
                return Err(JobError::Sink {
                    sink: name,
                    source: error,
                });
            }
            tracing::warn!(sink = name, %error, lower = %batch.lower, upper = %batch.upper, "range not written yet");
            self.status.set_trouble(name, Some(error.to_string()));
            if self.status.stopping() {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_LONGEST);
        }
        self.status.set_trouble(name, None);
        self.upper = batch.upper;
        guard(&self.status.uppers).insert(name, batch.upper);
        self.waiting.fetch_sub(range.changes, Ordering::Relaxed);
        let rows = batch.upserts.len() as u64;
        self.status.rows_written.fetch_add(rows, Ordering::Relaxed);
        if let Some(freshness) = freshness {
            self.status
                .note_freshness(wall_ms() - freshness.accepted_at_ms);
        }
        metrics::counter!("sink_rows_written_total", "sink" => name).increment(rows);
        metrics::gauge!("sink_upper_ticks", "sink" => name).set(batch.upper.0 as f64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use hostread_sink_kit::{MemorySink, MemoryStore};
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    #[tokio::test]
    async fn the_first_range_covers_what_an_owner_before_had_begun() {
        let store = MemoryStore::default();
        let mut sink = MemorySink::new(store.clone());
        sink.open(7).await.unwrap();
        let task = SinkTask {
            sink: Box::new(sink),
            upper: Tick(0),
            begun: Tick(3),
            names: Names::default(),
            status: Arc::default(),
            waiting: Arc::default(),
            range_every: Duration::from_millis(1),
            range_rows_max: 1,
        };
        let (sender, receiver) = unbounded_channel();
        let running = tokio::spawn(task.run(receiver));
        for tick in 0..5 {
            let settled = SettledTick {
                tick: Tick(tick),
                clock: hostread_schemas::EventTimeMs(0),
                events: 0,
                accepted_at_ms: 0,
                changes: Vec::new(),
            };
            sender.send(Arc::new(settled)).unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drop(sender);
        running.await.unwrap().unwrap();
        let uppers = store.uppers();
        assert!(
            uppers
                .iter()
                .all(|upper| *upper == Tick(0) || *upper >= Tick(3)),
            "{uppers:?}"
        );
        assert_eq!(store.progress().unwrap().upper, Tick(5));
    }
}
