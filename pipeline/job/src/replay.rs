//! The same pipeline without a server: events in, rows out, nothing on disk.
//!
//! Promises: the same set of events gives the same rows, whatever the order of the lines or the
//! number of workers. Events are taken in the order in which they were received, hour by hour, so
//! that the ledger says the same as it did live.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hostread_dataflow::Dataflow;
use hostread_dataflow::changes::by_tick;
use hostread_dataflow::ledger::{TickContext, settle};
use hostread_disk::SimDisk;
use hostread_journal::{Head, Journal, Offered};
use hostread_rules::Horizons;
use hostread_schemas::event::Event;
use hostread_schemas::intern::IdHasher;
use hostread_schemas::view::{ViewKey, ViewValue};
use hostread_schemas::{EventTimeMs, HOUR_MS, Names};

use crate::error::JobError;
use crate::open_tick::OpenTick;
use crate::sequence::context_of;

/// Events of a tick at most.
const TICK_EVENTS_MAX: usize = 20_000;

/// What a replay gives.
#[derive(Debug)]
pub struct Replayed {
    /// Every row that stands at the end.
    pub rows: BTreeMap<ViewKey, ViewValue>,
    /// The names in them.
    pub names: Names,
    /// The clock at the end.
    pub clock: EventTimeMs,
    /// Events that the head refused.
    pub refused: u64,
}

/// Runs the events received by `as_of` (all, when absent), with the clock ending there.
///
/// # Errors
/// When the dataflow fails.
pub fn replay(
    mut events: Vec<Event>,
    as_of: Option<EventTimeMs>,
    workers: usize,
    horizons: Horizons,
    hasher: IdHasher,
) -> Result<Replayed, JobError> {
    if let Some(as_of) = as_of {
        events.retain(|event| event.meta.received_at.0 <= as_of.0);
    }
    events.sort_by_key(|event| (event.meta.received_at, event.meta.id, event.meta.revision));
    let newest = events.last().map_or(0, |event| event.meta.received_at.0);
    let end = as_of.unwrap_or(EventTimeMs(newest));
    let mut machine = Machine::new(workers, horizons, hasher)?;
    for event in &events {
        machine.offer(event)?;
    }
    machine.finish(end)
}

struct Machine {
    journal: Journal,
    head: Head,
    dataflow: Dataflow,
    horizons: Horizons,
    names: Names,
    clock: EventTimeMs,
    clock_fed: Option<i64>,
    refused: u64,
    hasher: IdHasher,
    open: OpenTick,
    rows: BTreeMap<ViewKey, ViewValue>,
}

impl Machine {
    fn new(workers: usize, horizons: Horizons, hasher: IdHasher) -> Result<Self, JobError> {
        let disk = Arc::new(SimDisk::new(0));
        let opened = Journal::open(disk, Path::new("/replay"), 1, hasher)?;
        Ok(Self {
            journal: opened.journal,
            head: opened.head,
            dataflow: Dataflow::start(workers, horizons).map_err(JobError::Dataflow)?,
            horizons,
            names: opened.names,
            clock: EventTimeMs(0),
            clock_fed: None,
            refused: 0,
            hasher,
            open: OpenTick::default(),
            rows: BTreeMap::new(),
        })
    }

    fn offer(&mut self, event: &Event) -> Result<(), JobError> {
        self.go_to(EventTimeMs(event.meta.received_at.0))?;
        if !self.open.fits(&self.hasher, event) {
            self.tick()?;
        }
        self.open.note_cause(&self.hasher, event);
        let sealed = self.horizons.sealed_through(self.clock);
        match self.head.offer_event(event, sealed) {
            Offered::Refused(_) => self.refused += 1,
            Offered::Duplicate => {}
            _ => self.open.note_event(&self.hasher, event),
        }
        if self.head.pending() >= TICK_EVENTS_MAX {
            self.tick()?;
        }
        Ok(())
    }

    /// Moves the clock, an hour a tick.
    fn go_to(&mut self, target: EventTimeMs) -> Result<(), JobError> {
        if self.clock.0 == 0 {
            self.clock = target;
        }
        while target.0.div_euclid(HOUR_MS) > self.clock.0.div_euclid(HOUR_MS) {
            if self.head.has_pending() || self.clock_fed.is_none() {
                self.tick()?;
            }
            let next = (self.clock.0.div_euclid(HOUR_MS) + 1) * HOUR_MS;
            self.clock = EventTimeMs(next.min(target.0));
            self.tick()?;
        }
        self.clock = EventTimeMs(self.clock.0.max(target.0));
        Ok(())
    }

    fn tick(&mut self) -> Result<(), JobError> {
        let mut record = self.head.cut(&self.journal)?;
        std::mem::take(&mut self.open).finish(&mut record, &self.names);
        record.clock = self.clock;
        let tick = record.tick;
        self.journal.append(&record)?;
        self.journal.sync()?;
        let context: TickContext = context_of(&record).context;
        let hour = self.clock.0.div_euclid(HOUR_MS);
        let clock = (self.clock_fed != Some(hour) && self.clock.0 > 0).then_some(self.clock);
        self.clock_fed = Some(hour);
        let facts = record
            .events
            .into_iter()
            .map(|(fact, diff)| (fact, i64::from(diff)))
            .collect();
        self.dataflow.feed(tick, facts, clock);
        self.dataflow.advance(tick.next());
        let mut updates = Vec::new();
        if !self.dataflow.wait(tick.next(), &mut updates) {
            return Err(JobError::Dataflow("a worker died".to_owned()));
        }
        let output = by_tick(updates).remove(&tick).unwrap_or_default();
        for change in settle(output.changes, &context, &self.horizons)? {
            match change.new {
                Some(value) => self.rows.insert(change.key, value),
                None => self.rows.remove(&change.key),
            };
        }
        Ok(())
    }

    fn finish(mut self, end: EventTimeMs) -> Result<Replayed, JobError> {
        self.go_to(end)?;
        self.tick()?;
        Ok(Replayed {
            rows: self.rows,
            names: self.names,
            clock: self.clock,
            refused: self.refused,
        })
    }
}
