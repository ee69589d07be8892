//! The sequencer: reads the log, cuts ticks, writes the journal, feeds the dataflow.
//!
//! Invariant 1: a tick's offsets never pass a record that is not in it or an earlier tick.
//! Invariant 2: a release tick holds nothing but the release.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hostread_dataflow::Dataflow;
use hostread_dataflow::ledger::TickContext;
use hostread_eventlog::{LogReader, ReadRecord};
use hostread_journal::{Head, Journal, Offered, ReleaseRecord, TickRecord};
use hostread_schemas::event::Event;
use hostread_schemas::fact::Fact;
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{EventTimeMs, HOUR_MS};

use crate::collect::{Collected, Handover};
use crate::config::JobConfig;
use crate::decode::{Decode, Undecodable};
use crate::error::JobError;
use crate::open_tick::OpenTick;
use crate::release;
use crate::status::Status;

/// Records taken from the log at once.
const POLL_RECORDS_MAX: usize = 8_192;
/// How long the sequencer sleeps while a limit is reached.
const LIMIT_WAIT: Duration = Duration::from_millis(2);

/// What becomes of records that cannot be used.
pub type DeadLetters = Box<dyn FnMut(Undecodable<'_>) + Send>;

pub(crate) struct Sequencer {
    pub(crate) config: JobConfig,
    pub(crate) hasher: IdHasher,
    pub(crate) journal: Arc<Journal>,
    pub(crate) head: Head,
    pub(crate) dataflow: Arc<Dataflow>,
    pub(crate) handover: Arc<Handover>,
    pub(crate) status: Arc<Status>,
    pub(crate) decode: Decode,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) clock: EventTimeMs,
    /// The dataflow knows the clock through this hour.
    pub(crate) clock_fed: Option<i64>,
    pub(crate) released: Option<ReleaseRecord>,
    pub(crate) received_max: i64,
    pub(crate) open: OpenTick,
}

impl Sequencer {
    /// Reads and cuts until told to stop.
    pub(crate) fn run(&mut self, reader: &mut dyn LogReader) -> Result<(), JobError> {
        while !self.status.stopping() {
            if self.dataflow.failed() {
                return Err(JobError::Dataflow("a worker died".to_owned()));
            }
            if self.limited() {
                std::thread::sleep(LIMIT_WAIT);
                continue;
            }
            let records = reader.poll(POLL_RECORDS_MAX, self.wait())?;
            let caught_up = records.len() < POLL_RECORDS_MAX;
            for record in &records {
                self.take(record)?;
                if self.status.stopping() {
                    break;
                }
            }
            let idle = records.is_empty();
            self.close_when_due(caught_up)?;
            self.status
                .caught_up
                .store(idle && !self.is_open(), Ordering::Release);
        }
        if self.is_open() {
            self.close()?;
        }
        Ok(())
    }

    /// Is one of the limits reached that pause reading?
    fn limited(&self) -> bool {
        let ahead = self.status.fed().0.saturating_sub(self.status.settled().0);
        self.handover.waiting_changes() > self.config.waiting_changes_max
            || ahead > self.config.unsynced_ticks_max.max(1) * 4
    }

    fn wait(&self) -> Duration {
        if self.is_open() {
            let open_ms = crate::clock::wall_ms() - self.open.opened_at_ms;
            let left =
                i64::try_from(self.config.tick_open_max.as_millis()).unwrap_or(250) - open_ms;
            Duration::from_millis(u64::try_from(left.clamp(1, 1_000)).unwrap_or(1))
        } else {
            Duration::from_millis(50)
        }
    }

    fn is_open(&self) -> bool {
        self.open.is_open()
    }

    /// Takes one record in.
    fn take(&mut self, record: &ReadRecord) -> Result<(), JobError> {
        let event = match self.decode.event(record) {
            Ok(event) => event,
            Err(reason) => {
                self.status.undecodable.fetch_add(1, Ordering::Relaxed);
                (self.dead_letters)(Undecodable { record, reason });
                self.note_offset(record);
                return Ok(());
            }
        };
        self.status.events.fetch_add(1, Ordering::Relaxed);
        self.received_max = self.received_max.max(event.meta.received_at.0);
        if matches!(self.config.clock, crate::clock::Clock::Samples) {
            self.follow_clock(false)?;
        }
        self.separate_causes(&event)?;
        let sealed = self.config.horizons.sealed_through(self.clock);
        match self.head.offer_event(&event, sealed) {
            Offered::Duplicate => {
                self.status.duplicates.fetch_add(1, Ordering::Relaxed);
            }
            Offered::Late(_) => {
                self.status.late.fetch_add(1, Ordering::Relaxed);
                self.note_event(record, &event);
            }
            Offered::Refused(refusal) => {
                self.status.refused.fetch_add(1, Ordering::Relaxed);
                (self.dead_letters)(Undecodable {
                    record,
                    reason: refusal.to_string(),
                });
            }
            _ => self.note_event(record, &event),
        }
        self.note_offset(record);
        if self.head.pending() >= self.config.tick_events_max {
            self.close()?;
        }
        Ok(())
    }

    fn note_offset(&mut self, record: &ReadRecord) {
        let key = (record.topic.to_string(), record.partition);
        self.open.offsets.insert(key, record.offset + 1);
    }

    fn note_event(&mut self, record: &ReadRecord, event: &Event) {
        if !self.is_open() {
            self.open.opened_at_ms = crate::clock::wall_ms();
        }
        self.open.accepted_at_ms =
            crate::sink_task::oldest(self.open.accepted_at_ms, record.timestamp_ms);
        self.open.note_event(&self.hasher, event);
    }

    /// Cause events do not share a tick with others, but a run of one batch shares one.
    fn separate_causes(&mut self, event: &Event) -> Result<(), JobError> {
        if !self.open.fits(&self.hasher, event) {
            self.close()?;
        }
        self.open.note_cause(&self.hasher, event);
        Ok(())
    }

    /// Closes the open tick when its time is over, then lets the clock go on.
    fn close_when_due(&mut self, caught_up: bool) -> Result<(), JobError> {
        let open_ms = crate::clock::wall_ms() - self.open.opened_at_ms;
        if self.is_open()
            && u128::try_from(open_ms).unwrap_or(0) >= self.config.tick_open_max.as_millis()
        {
            self.close()?;
        }
        self.follow_clock(caught_up)
    }

    /// Moves the clock, at most an hour a tick; a new hour closes the open tick.
    fn follow_clock(&mut self, caught_up: bool) -> Result<(), JobError> {
        loop {
            let target = self
                .config
                .clock
                .target(self.clock, self.received_max, caught_up);
            if target.0 <= 0 {
                return Ok(());
            }
            if self.clock.0 == 0 {
                self.clock = target;
            }
            let hour = target.0.div_euclid(HOUR_MS);
            let at = self.clock.0.div_euclid(HOUR_MS);
            if hour <= at && self.clock_fed == Some(at) {
                self.clock = target;
                return Ok(());
            }
            if self.is_open() {
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

    /// Cuts the tick, whether or not it holds events, and hands it on.
    fn close(&mut self) -> Result<(), JobError> {
        let mut record = self.head.cut(&self.journal)?;
        std::mem::take(&mut self.open).finish(&mut record, self.head.names());
        self.hand_on(record)
    }

    /// Journals a record and feeds it; both go on beside each other.
    fn hand_on(&mut self, mut record: TickRecord) -> Result<(), JobError> {
        record.clock = self.clock;
        let tick = record.tick;
        self.journal.append(&record)?;
        let hour = self.clock.0.div_euclid(HOUR_MS);
        let new_hour = (self.clock_fed != Some(hour) && self.clock.0 > 0).then_some(self.clock);
        if new_hour.is_some() {
            self.clock_fed = Some(hour);
        }
        let context = context_of(&record);
        feed(&self.dataflow, &self.handover, record, context, new_hour);
        self.status.fed.store(tick.0, Ordering::Release);
        self.status.clock.store(self.clock.0, Ordering::Release);
        let durable = self.journal.sync()?;
        self.status.durable.store(durable.0, Ordering::Release);
        self.handover.wake();
        self.status
            .live_events
            .store(self.head.live_count(), Ordering::Relaxed);
        self.status
            .head_bytes
            .store(self.head.bytes(), Ordering::Relaxed);
        Ok(())
    }

    /// Gives back what the clock allows, with the carries that keep every number as it is.
    fn release_if_due(&mut self) -> Result<(), JobError> {
        let Some(through) = release::due(&self.config.horizons, self.clock, self.released) else {
            return Ok(());
        };
        if self.head.live_count() == 0 {
            self.released = Some(through);
            return Ok(());
        }
        // The carries are computed from the dataflow's own rows as of the tick before.
        if self.head.has_pending() {
            self.close()?;
        }
        let settled = self.handover.wait_settled(self.status.fed(), &self.status);
        if !settled {
            return Ok(());
        }
        let carries = self.handover.carries_through(through);
        let tick = self.head.open_tick();
        for fact in release::carry_facts(self.hasher, tick, self.clock, carries) {
            self.head.carry(fact)?;
        }
        let record = self.head.release(&self.journal, through)?;
        self.released = Some(through);
        tracing::info!(%tick, facts = record.events.len(), "released");
        self.hand_on(record)
    }
}

/// What the ledger needs of a record.
pub(crate) fn context_of(record: &TickRecord) -> Collected {
    let context = TickContext {
        tick: record.tick,
        clock: record.clock,
        cause: record.cause,
        batches: record
            .batches
            .iter()
            .map(|(tenant, batches, more)| (*tenant, (batches.clone(), *more)))
            .collect(),
        late: record.late.clone(),
        release: record
            .release
            .map(|r| (r.exposures_through, r.conversions_through)),
    };
    Collected {
        context,
        events: record.events.len() as u64,
        accepted_at_ms: record.accepted_at_ms,
    }
}

/// Feeds a record to the dataflow and tells the collector to expect its output.
pub(crate) fn feed(
    dataflow: &Dataflow,
    handover: &Handover,
    record: TickRecord,
    collected: Collected,
    clock: Option<EventTimeMs>,
) {
    let tick = record.tick;
    handover.expect(collected);
    let facts: Vec<(Fact, i64)> = record
        .events
        .into_iter()
        .map(|(fact, diff)| (fact, i64::from(diff)))
        .collect();
    dataflow.feed(tick, facts, clock);
    dataflow.advance(tick.next());
}
