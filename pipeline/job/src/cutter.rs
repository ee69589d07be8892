//! Cuts ticks: events and hours in, journaled records out. The sequencer, replays and tests share it.
//!
//! Promises: the same events, hours and closings give the same ticks.
//! Leaves out: where events and the hour come from, and what becomes of a tick's output ([`Onward`]).
//!
//! Invariant 1: a release tick holds nothing but the release.

use std::sync::Arc;

use hostread_dataflow::{Dataflow, Material};
use hostread_journal::{Head, Journal, Offered, ReleaseRecord, TickRecord};
use hostread_rules::Horizons;
use hostread_schemas::event::Event;
use hostread_schemas::fact::Fact;
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{EventTimeMs, HOUR_MS};

use crate::error::JobError;
use crate::open_tick::OpenTick;
use crate::release::{self, Piled};

/// What happens to a record that is in the journal.
pub(crate) trait Onward {
    /// Feeds it to the dataflow, with the clock when an hour has begun, and sees to it that the
    /// journal is synced.
    ///
    /// # Errors
    /// When the journal cannot be synced, or the tick's output not be taken.
    fn take(&mut self, record: TickRecord, new_hour: Option<EventTimeMs>) -> Result<(), JobError>;

    /// What must be carried when these days are released, from the dataflow's rows as of the last
    /// tick; `None` when the job stops before they are there.
    fn carries(&mut self, through: ReleaseRecord) -> Option<Vec<Material>>;
}

/// See the module.
pub(crate) struct Cutter<O> {
    pub(crate) hasher: IdHasher,
    pub(crate) horizons: Horizons,
    pub(crate) journal: Arc<Journal>,
    pub(crate) head: Head,
    pub(crate) clock: EventTimeMs,
    /// The dataflow knows the clock through this hour.
    pub(crate) clock_fed: Option<i64>,
    pub(crate) released: Option<ReleaseRecord>,
    pub(crate) open: OpenTick,
    pub(crate) onward: O,
}

impl<O: Onward> Cutter<O> {
    /// Takes an event into the open tick; a cause (rules, catalog, deals, settings) closes the one
    /// before it.
    pub(crate) fn offer(&mut self, event: &Event) -> Result<Offered, JobError> {
        if !self.open.fits(&self.hasher, event) {
            self.close()?;
        }
        let sealed = release::sealed_through(&self.horizons, self.clock, self.released);
        let offered = self.head.offer_event(event, sealed);
        if !matches!(offered, Offered::Duplicate | Offered::Refused(_)) {
            self.open.note_event(&self.hasher, event);
        }
        Ok(offered)
    }

    /// Moves the clock on, an hour a tick, and gives back what the hours allow. A new hour closes the
    /// open tick.
    pub(crate) fn go_to(&mut self, target: EventTimeMs) -> Result<(), JobError> {
        let target = target.max(self.clock);
        if target.0 <= 0 {
            return Ok(());
        }
        if self.clock.0 == 0 {
            self.clock = target;
        }
        loop {
            let at = hour_of(self.clock);
            if hour_of(target) <= at && self.clock_fed == Some(at) {
                self.clock = target;
                return Ok(());
            }
            if self.open.is_open() {
                self.close()?;
            }
            if self.clock_fed == Some(at) {
                self.clock = EventTimeMs(target.0.min((at + 1) * HOUR_MS));
            }
            // The hour first: it freezes the paths that a release must carry.
            self.close()?;
            self.release_if_due()?;
        }
    }

    /// Cuts the open tick, whether or not it holds events, and hands it on.
    pub(crate) fn close(&mut self) -> Result<(), JobError> {
        let mut record = self.head.cut(&self.journal)?;
        std::mem::take(&mut self.open).finish(&mut record, self.head.names());
        self.hand_on(record)
    }

    /// The clock, if the dataflow does not know its hour yet; from now on it does.
    pub(crate) fn new_hour(&mut self, clock: EventTimeMs) -> Option<EventTimeMs> {
        let hour = hour_of(clock);
        if clock.0 <= 0 || self.clock_fed == Some(hour) {
            return None;
        }
        self.clock_fed = Some(hour);
        Some(clock)
    }

    /// Journals a record and hands it on; feeding and syncing go on beside each other.
    fn hand_on(&mut self, mut record: TickRecord) -> Result<(), JobError> {
        record.clock = self.clock;
        self.journal.append(&record)?;
        let new_hour = self.new_hour(self.clock);
        self.onward.take(record, new_hour)
    }

    /// Gives back what the clock allows, with the carries that keep every number as it is.
    fn release_if_due(&mut self) -> Result<(), JobError> {
        let Some(through) = release::due(&self.horizons, self.clock, self.released) else {
            return Ok(());
        };
        if self.head.live_count() == 0 {
            self.released = Some(through);
            return Ok(());
        }
        if self.head.has_pending() {
            self.close()?;
        }
        // Read while the dataflow comes to the last tick.
        let going = self.journal.going(self.released, through)?;
        let Some(carries) = self.onward.carries(through) else {
            return Ok(());
        };
        let tick = self.head.open_tick();
        let Piled { gone, carries } = release::pile(self.head.reference(), carries, through);
        for id in gone {
            self.head.retract(id);
        }
        for fact in release::carry_facts(self.hasher, tick, self.clock, carries) {
            self.head.carry(fact)?;
        }
        fail::fail_point!("release.before_cut");
        let record = self.head.release(&self.journal, going)?;
        self.released = Some(through);
        tracing::info!(%tick, facts = record.events.len(), "released");
        self.hand_on(record)?;
        fail::fail_point!("release.handed_on");
        Ok(())
    }
}

fn hour_of(clock: EventTimeMs) -> i64 {
    clock.0.div_euclid(HOUR_MS)
}

/// Feeds a record and closes its tick.
pub(crate) fn feed(dataflow: &Dataflow, record: TickRecord, new_hour: Option<EventTimeMs>) {
    let tick = record.tick;
    let facts: Vec<(Fact, i64)> = record
        .events
        .into_iter()
        .map(|(fact, diff)| (fact, i64::from(diff)))
        .collect();
    dataflow.feed(tick, facts, new_hour);
    dataflow.advance(tick.next());
}
