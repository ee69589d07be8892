//! The job without threads, sinks and a log: one event and one tick at a time, on one's own clock.
//!
//! Promises: the ticks that the sequencer would cut from the same events, clock and cuts, and what
//! of them leaves for the sinks. For replays and for tests that look at every tick.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use hostread_dataflow::Dataflow;
use hostread_dataflow::changes::by_tick;
use hostread_dataflow::ledger::{CAUSE_BATCHES_MAX, TickContext, settle};
use hostread_disk::SimDisk;
use hostread_journal::{Head, Journal, Offered, ReleaseRecord, TickRecord};
use hostread_rules::Horizons;
use hostread_schemas::event::Event;
use hostread_schemas::intern::IdHasher;
use hostread_schemas::view::Change;
use hostread_schemas::{BatchId, EventId, EventTimeMs, HOUR_MS, NameKind, Names, TenantId};

use crate::collect::Handover;
use crate::error::JobError;
use crate::open_tick::is_cause;
use crate::release;
use crate::sequence::context_of;

/// A tick that is done.
#[derive(Debug)]
pub struct Stepped {
    /// What its record says.
    pub context: TickContext,
    /// The changes that leave, by key.
    pub changes: Vec<Change>,
}

/// What has gathered for the next tick besides the head's facts.
#[derive(Default)]
struct Open {
    batches: BTreeMap<TenantId, BTreeSet<BatchId>>,
    events: u64,
    cause: Option<(TenantId, BatchId, EventId, u32)>,
}

/// See the module.
pub struct Stepper {
    hasher: IdHasher,
    horizons: Horizons,
    journal: Journal,
    head: Head,
    names: Names,
    dataflow: Dataflow,
    handover: Handover,
    clock: EventTimeMs,
    clock_fed: Option<i64>,
    released: Option<ReleaseRecord>,
    open: Open,
    done: Vec<Stepped>,
}

impl std::fmt::Debug for Stepper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stepper({:?}, {})", self.head, self.clock)
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
        Ok(Self {
            hasher,
            horizons,
            journal: opened.journal,
            head: opened.head,
            names: opened.names,
            dataflow: Dataflow::start(workers, horizons).map_err(JobError::Dataflow)?,
            handover: Handover::default(),
            clock: EventTimeMs(0),
            clock_fed: None,
            released: None,
            open: Open::default(),
            done: Vec::new(),
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
        self.clock
    }

    /// Takes an event into the open tick; a cause (rules, catalog, deals, settings) closes the one
    /// before it.
    ///
    /// # Errors
    /// When the dataflow fails.
    pub fn offer(&mut self, event: &Event) -> Result<Offered, JobError> {
        let tenant = self.hasher.tenant(&event.meta.tenant);
        let batch = BatchId(
            self.hasher
                .name(NameKind::Batch, tenant, &event.meta.batch_id),
        );
        let cause = is_cause(&event.body);
        let fits = match &self.open.cause {
            Some((of, with, ..)) => cause && *of == tenant && *with == batch,
            None => !cause || self.open.events == 0,
        };
        if !fits {
            self.close()?;
        }
        let sealed = self.horizons.sealed_through(self.clock);
        let offered = self.head.offer_event(event, sealed);
        if !matches!(offered, Offered::Duplicate | Offered::Refused(_)) {
            self.open.events += 1;
            self.open.batches.entry(tenant).or_default().insert(batch);
            if cause {
                let open = (tenant, batch, event.meta.id, 0);
                self.open.cause.get_or_insert(open).3 += 1;
            }
        }
        Ok(offered)
    }

    /// Changes gathered for the open tick.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.head.pending()
    }

    /// Moves the clock on, an hour a tick, and gives back what the hours allow.
    ///
    /// # Errors
    /// When the dataflow fails or a release moves a number.
    pub fn go_to(&mut self, target: EventTimeMs) -> Result<(), JobError> {
        let target = EventTimeMs(target.0.max(self.clock.0));
        if target.0 <= 0 {
            return Ok(());
        }
        if self.clock.0 == 0 {
            self.clock = target;
        }
        loop {
            let hour = target.0.div_euclid(HOUR_MS);
            let at = self.clock.0.div_euclid(HOUR_MS);
            if hour <= at && self.clock_fed == Some(at) {
                self.clock = target;
                return Ok(());
            }
            if self.open.events > 0 {
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

    /// Closes the open tick, whether or not it holds events.
    ///
    /// # Errors
    /// When the dataflow fails.
    pub fn close(&mut self) -> Result<(), JobError> {
        let mut record = self.head.cut(&self.journal)?;
        let open = std::mem::take(&mut self.open);
        record.cause = match open.cause {
            Some((.., event, 1)) => Some(event),
            _ => None,
        };
        record.batches = open
            .batches
            .into_iter()
            .map(|(tenant, batches)| {
                let more = batches.len().saturating_sub(CAUSE_BATCHES_MAX);
                let kept = batches.into_iter().take(CAUSE_BATCHES_MAX).collect();
                (tenant, kept, u32::try_from(more).unwrap_or(u32::MAX))
            })
            .collect();
        self.hand_on(record)
    }

    /// Takes the ticks that are done.
    pub fn take_done(&mut self) -> Vec<Stepped> {
        std::mem::take(&mut self.done)
    }

    fn hand_on(&mut self, mut record: TickRecord) -> Result<(), JobError> {
        record.clock = self.clock;
        let tick = record.tick;
        self.journal.append(&record)?;
        self.journal.sync()?;
        let context = context_of(&record).context;
        let hour = self.clock.0.div_euclid(HOUR_MS);
        let clock = (self.clock_fed != Some(hour) && self.clock.0 > 0).then_some(self.clock);
        if clock.is_some() {
            self.clock_fed = Some(hour);
        }
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
        self.handover.keep(&output.material);
        let changes = settle(output.changes, &context, &self.horizons)?;
        self.done.push(Stepped { context, changes });
        Ok(())
    }

    fn release_if_due(&mut self) -> Result<(), JobError> {
        let Some(through) = release::due(&self.horizons, self.clock, self.released) else {
            return Ok(());
        };
        self.released = Some(through);
        if self.head.live_count() == 0 {
            return Ok(());
        }
        if self.head.has_pending() {
            self.close()?;
        }
        let carries = self.handover.carries_through(through);
        let tick = self.head.open_tick();
        for fact in release::carry_facts(self.hasher, tick, self.clock, carries) {
            self.head.carry(fact)?;
        }
        let record = self.head.release(&self.journal, through)?;
        self.hand_on(record)
    }
}
