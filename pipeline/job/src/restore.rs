//! From the journal back to where the job stood: the live facts, then the ticks since.
//!
//! Promises: the dataflow is as it was, bit for bit. Rows up to the loaded tick are in the sinks already and stay inside, unless a
//! sink was emptied: then they are gathered for it ([`Handover::refill`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hostread_dataflow::{Output, OutputUpdate};
use hostread_journal::Journal;
use hostread_schemas::fact::Fact;
use hostread_schemas::view::ViewRow;
use hostread_schemas::{EventTimeMs, Tick};

use crate::collect::LOADING_LOOK_EVERY;
use crate::cutter::Cutter;
use crate::error::JobError;
use crate::feeder::Feeder;

/// Slices of a load that the dataflow may be behind.
const SLICES_AHEAD: u64 = 4;
/// Ticks that may be in flight during a replay.
const REPLAY_AHEAD: u64 = 16;

/// Loads the live facts as of the lowest upper and replays the ticks since; then a tick says which records are given up.
pub(crate) fn restore(
    cutter: &mut Cutter<Feeder>,
    last: Tick,
    refills: bool,
) -> Result<(), JobError> {
    let journal = Arc::clone(&cutter.journal);
    let status = Arc::clone(&cutter.onward.status);
    let dataflow = Arc::clone(&cutter.onward.dataflow);
    let loaded = Tick(status.upper().0.saturating_sub(1));
    let clock = clock_of(&journal, loaded, last, cutter.clock)?;
    if !refills {
        dataflow.rows_from(loaded.next());
    }
    dataflow.feed(Tick(0), Vec::new(), cutter.new_hour(clock));
    let mut loader = Loader {
        onward: &cutter.onward,
        loaded,
        slices: 0,
        facts: 0,
        updates: Vec::new(),
        rows: refills.then(BTreeMap::new),
    };
    journal.load(loaded, &mut |facts| loader.feed(facts))?;
    let facts_count = loader.finish()?;
    status.settled.store(loaded.next().0, Ordering::Release);
    status.fed.store(last.0, Ordering::Release);
    status.durable.store(last.0, Ordering::Release);
    status.clock.store(cutter.clock.0, Ordering::Release);
    tracing::info!(tick = %loaded, facts = facts_count, "loaded the live events");
    fail::fail_point!("restore.loaded");
    if last > loaded {
        replay(cutter, &journal, loaded.next())?;
    }
    if !cutter.open.offsets.is_empty() {
        // Records that are given up stay so, also when nothing comes behind them.
        cutter.close()?;
    }
    Ok(())
}

/// Slices of live facts become ticks before `loaded`, as far as there are any: the dataflow works while
/// the next ones are read.
struct Loader<'a> {
    onward: &'a Feeder,
    loaded: Tick,
    slices: u64,
    facts: u64,
    updates: Vec<OutputUpdate>,
    /// How often each row stands, if a sink lacks them.
    rows: Option<BTreeMap<ViewRow, i64>>,
}

impl Loader<'_> {
    fn feed(&mut self, facts: Vec<Fact>) {
        fail::fail_point!("restore.loading");
        let dataflow = &self.onward.dataflow;
        let tick = Tick(self.slices.min(self.loaded.0));
        self.slices += 1;
        self.facts += facts.len() as u64;
        dataflow.feed(
            tick,
            facts.into_iter().map(|fact| (fact, 1)).collect(),
            None,
        );
        if tick < self.loaded {
            dataflow.advance(tick.next());
        }
        while dataflow.completed().0 + SLICES_AHEAD < tick.0 && !dataflow.failed() {
            dataflow.pause(LOADING_LOOK_EVERY, &mut self.updates);
            self.keep();
        }
    }

    /// Waits for all; returns how many facts there were.
    fn finish(mut self) -> Result<u64, JobError> {
        let dataflow = &self.onward.dataflow;
        dataflow.advance(self.loaded.next());
        if !dataflow.wait(self.loaded.next(), &mut self.updates) {
            return Err(JobError::Dataflow("a worker died while loading".to_owned()));
        }
        self.keep();
        if let Some(rows) = self.rows {
            let standing = rows.into_iter().filter(|(_, count)| *count != 0);
            let rows = standing.map(|(row, _)| (row.key, row.value)).collect();
            self.onward.handover.refill(rows);
        }
        Ok(self.facts)
    }

    /// Keeps what a release would carry, and rows if they are wanted.
    fn keep(&mut self) {
        let rows = &mut self.rows;
        let material = self
            .updates
            .drain(..)
            .filter_map(|(output, _, diff)| match output {
                Output::Material(material) => Some((material, diff)),
                Output::Row(row) => {
                    if let Some(rows) = rows {
                        *rows.entry(row).or_default() += diff;
                    }
                    None
                }
            });
        self.onward.handover.keep(material);
    }
}

fn replay(cutter: &mut Cutter<Feeder>, journal: &Journal, from: Tick) -> Result<(), JobError> {
    let mut ticks = 0_u64;
    for record in journal.ticks(from)? {
        let record = record?;
        let new_hour = cutter.new_hour(record.clock);
        let tick = record.tick;
        cutter.onward.feed(record, new_hour);
        fail::fail_point!("restore.replaying");
        ticks += 1;
        // At most a few ticks in flight, as while running.
        let behind = Tick(tick.0.saturating_sub(REPLAY_AHEAD));
        if !cutter.onward.beside.wait_settled(behind) {
            break;
        }
    }
    fail::fail_point!("restore.replayed");
    tracing::info!(ticks, "replayed the tick log");
    Ok(())
}

/// The clock of a tick; `newest` is the clock of the last one.
fn clock_of(
    journal: &Journal,
    tick: Tick,
    last: Tick,
    newest: EventTimeMs,
) -> Result<EventTimeMs, JobError> {
    if tick == last {
        return Ok(newest);
    }
    if tick <= journal.since() {
        return Ok(journal.since_clock());
    }
    match journal.ticks(tick)?.next() {
        Some(record) => Ok(record?.clock),
        None => Ok(newest),
    }
}
