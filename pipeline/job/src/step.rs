//! The job without threads, sinks and a log: one event and one tick at a time, on one's own clock.
//!
//! Promises: the ticks that the sequencer would cut from the same events, clock and closings, and
//! what of them leaves for the sinks. For replays and for tests that look at every tick.

use std::path::Path;
use std::sync::Arc;

use hostread_dataflow::Material;
use hostread_dataflow::ledger::TickContext;
use hostread_disk::SimDisk;
use hostread_journal::{Journal, Offered, ReleaseRecord, TickRecord};
use hostread_rules::Horizons;
use hostread_schemas::event::Event;
use hostread_schemas::fact::Fact;
use hostread_schemas::intern::IdHasher;
use hostread_schemas::view::Change;
use hostread_schemas::{EventTimeMs, Names};

use crate::again::Again;
use crate::collect::Handover;
use crate::cutter::{Cutter, Onward};
use crate::error::JobError;
use crate::open_tick::OpenTick;

/// A tick that is done.
#[derive(Debug)]
pub struct Stepped {
    /// What its record says.
    pub context: TickContext,
    /// The changes that leave, by key.
    pub changes: Vec<Change>,
    /// The changes that nobody sees: what stood before is final.
    pub withheld: Vec<Change>,
}

/// See the module.
pub struct Stepper {
    cutter: Cutter<InPlace>,
    names: Names,
}

impl std::fmt::Debug for Stepper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stepper({:?}, {})", self.cutter.head, self.cutter.clock)
    }
}

impl Stepper {
    /// Starts with nothing, on a disk in memory.
    ///
    /// # Errors
    /// When the dataflow cannot be started.
    pub fn new(workers: usize, horizons: Horizons, hasher: IdHasher) -> Result<Self, JobError> {
        let disk = Arc::new(SimDisk::new(0));
        let opened = Journal::open(disk, Path::new("/steps"), 1, hasher)?;
        let journal = Arc::new(opened.journal);
        let onward = InPlace {
            again: Again::new(workers, horizons)?,
            handover: Handover::default(),
            journal: Arc::clone(&journal),
            done: Vec::new(),
        };
        let cutter = Cutter {
            hasher,
            horizons,
            journal,
            head: opened.head,
            clock: EventTimeMs(0),
            clock_fed: None,
            released: None,
            open: OpenTick::default(),
            onward,
        };
        Ok(Self {
            cutter,
            names: opened.names,
        })
    }

    /// The names known so far.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> EventTimeMs {
        self.cutter.clock
    }

    /// Takes an event into the open tick; a cause (rules, catalog, deals, settings) closes the one
    /// before it.
    ///
    /// # Errors
    /// When the dataflow fails.
    pub fn offer(&mut self, event: &Event) -> Result<Offered, JobError> {
        self.cutter.offer(event)
    }

    /// Changes gathered for the open tick.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.cutter.head.pending()
    }

    /// Moves the clock on, an hour a tick, and gives back what the hours allow.
    ///
    /// # Errors
    /// When the dataflow fails or a release moves a number.
    pub fn go_to(&mut self, target: EventTimeMs) -> Result<(), JobError> {
        self.cutter.go_to(target)
    }

    /// Closes the open tick, whether or not it holds events.
    ///
    /// # Errors
    /// When the dataflow fails.
    pub fn close(&mut self) -> Result<(), JobError> {
        self.cutter.close()
    }

    /// The live facts, as the journal has them.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn live(&self) -> Result<Vec<Fact>, JobError> {
        let journal = &self.cutter.journal;
        let mut live = Vec::new();
        journal.load(journal.appended(), &mut |facts| live.extend(facts))?;
        Ok(live)
    }

    /// How far events were released.
    #[must_use]
    pub fn released(&self) -> Option<ReleaseRecord> {
        self.cutter.released
    }

    /// Takes the ticks that are done.
    pub fn take_done(&mut self) -> Vec<Stepped> {
        std::mem::take(&mut self.cutter.onward.done)
    }
}

/// Every tick is waited for.
struct InPlace {
    again: Again,
    handover: Handover,
    journal: Arc<Journal>,
    done: Vec<Stepped>,
}

impl Onward for InPlace {
    fn take(&mut self, record: TickRecord, new_hour: Option<EventTimeMs>) -> Result<(), JobError> {
        self.journal.sync()?;
        let (stepped, material) = self.again.run(record, new_hour)?;
        self.handover.keep(material);
        self.done.push(stepped);
        Ok(())
    }

    fn carries(&mut self, through: ReleaseRecord) -> Option<Vec<Material>> {
        Some(self.handover.carries_through(through))
    }
}
