//! The sequencer: reads the log and the clock; the cutter makes ticks of them.
//!
//! Invariant 1: a tick's offsets never pass a record that is not in it or an earlier tick, unless the log lost it and it is
//! given up ([`JobConfig::skip_lost`]).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hostread_eventlog::{ErrorKind, LogReader, Offsets, ReadRecord};
use hostread_journal::Offered;

use crate::backlog::Backlog;
use crate::clock::Pace;
use crate::config::JobConfig;
use crate::cutter::Cutter;
use crate::decode::{Decode, Undecodable, Unread};
use crate::error::{JobError, in_full};
use crate::feeder::Feeder;
use crate::status::Status;

/// Records taken from the log at once.
const POLL_RECORDS_MAX: usize = 8_192;
/// How long the sequencer sleeps while a limit is reached.
const LIMIT_WAIT: Duration = Duration::from_millis(2);

/// How often the registry is asked for a schema that it did not give.
const SCHEMA_ASK_EVERY_MS: i64 = 1_000;
/// The part of [`Status`] that says so.
const SCHEMAS: &str = "schemas";
/// The log, among what `/readyz` names.
const LOG: &str = "log";

/// What becomes of records that cannot be used.
pub type DeadLetters = Box<dyn FnMut(Undecodable<'_>) + Send>;

pub(crate) struct Sequencer {
    pub(crate) config: JobConfig,
    pub(crate) cutter: Cutter<Feeder>,
    pub(crate) status: Arc<Status>,
    pub(crate) decode: Decode,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) received_max: i64,
    pub(crate) backlog: Backlog,
    pub(crate) pace: Pace,
    /// Read from the log, not taken yet.
    pub(crate) unread: VecDeque<ReadRecord>,
    /// The first of them waits for its schema until then.
    pub(crate) schema_asked_again_ms: Option<i64>,
}

impl Sequencer {
    /// Reads and cuts until told to stop.
    pub(crate) fn run(&mut self, reader: &mut dyn LogReader) -> Result<(), JobError> {
        while !self.status.stopping() {
            if !self.turn(reader)? {
                std::thread::sleep(LIMIT_WAIT);
            }
        }
        self.close()
    }

    /// Reads once and cuts what is due; `false` when a limit says to wait.
    pub(crate) fn turn(&mut self, reader: &mut dyn LogReader) -> Result<bool, JobError> {
        if self.cutter.onward.dataflow.failed() {
            return Err(JobError::Dataflow("a worker died".to_owned()));
        }
        self.pace.look()?;
        if self.limited() {
            return Ok(false);
        }
        if self.unread.is_empty() {
            self.unread = reader.poll(POLL_RECORDS_MAX, self.wait())?.into();
        }
        let idle = self.unread.is_empty();
        while let Some(record) = self.unread.pop_front() {
            if !self.take(&record)? {
                self.unread.push_front(record);
                self.status.caught_up.store(false, Ordering::Release);
                // What is behind it may be of any time.
                self.close_when_due(Some(0))?;
                return Ok(false);
            }
            if self.status.stopping() {
                break;
            }
        }
        let until = self.until(reader)?;
        self.close_when_due(until)?;
        self.tell_size();
        let idle = idle && until.is_none() && !self.is_open();
        self.status.caught_up.store(idle, Ordering::Release);
        Ok(true)
    }

    /// Until when nothing in the log is missing; `None`: nothing waits. A log that does not answer may hold anything.
    fn until(&self, reader: &mut dyn LogReader) -> Result<Option<i64>, JobError> {
        match reader.behind() {
            Ok(behind) => {
                self.tell_behind(&behind);
                Ok(self.backlog.until(&behind))
            }
            Err(error) if error.kind() == ErrorKind::Dependency => {
                let why = format!("it does not answer: {}", in_full(&error));
                if self.status.set_trouble(LOG, Some(why)) {
                    tracing::warn!(error = %in_full(&error), "the log does not answer");
                }
                Ok(Some(0))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn tell_behind(&self, behind: &Offsets) {
        let records: u64 = behind.values().sum();
        self.status.behind.store(records, Ordering::Relaxed);
        if self.status.set_trouble(LOG, None) {
            tracing::info!(behind = records, "the log answers again");
        }
    }

    /// Cuts what is open.
    pub(crate) fn close(&mut self) -> Result<(), JobError> {
        if self.is_open() {
            self.cutter.close()?;
        }
        Ok(())
    }

    fn tell_size(&self) {
        let head = &self.cutter.head;
        let (live, bytes) = (head.live_count(), head.bytes());
        self.status.live_events.store(live, Ordering::Relaxed);
        self.status.head_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Is one of the limits reached that pause reading?
    fn limited(&self) -> bool {
        let ahead = self.status.fed().0.saturating_sub(self.status.settled().0);
        let waiting = self.status.waiting_changes();
        waiting > self.config.waiting_changes_max || ahead > self.config.ahead_ticks_max.max(1)
    }

    fn wait(&self) -> Duration {
        if self.is_open() {
            let open_ms = self.config.clock.machine_ms() - self.cutter.open.opened_at_ms;
            let left =
                i64::try_from(self.config.tick_open_max.as_millis()).unwrap_or(250) - open_ms;
            Duration::from_millis(u64::try_from(left.clamp(1, 1_000)).unwrap_or(1))
        } else {
            Duration::from_millis(50)
        }
    }

    fn is_open(&self) -> bool {
        self.cutter.open.is_open()
    }

    /// Takes one record in; `false` while its schema is not known.
    fn take(&mut self, record: &ReadRecord) -> Result<bool, JobError> {
        if self.waits_for_schema() {
            return Ok(false);
        }
        let event = match self.decode.event(&record.topic, &record.value) {
            Ok(event) => event,
            Err(Unread::Broken(reason)) => {
                self.status.undecodable.fetch_add(1, Ordering::Relaxed);
                (self.dead_letters)(Undecodable { record, reason });
                self.note_offset(record);
                return Ok(true);
            }
            Err(unknown @ Unread::UnknownSchema(_)) => {
                self.wait_for_schema(record, &unknown);
                return Ok(false);
            }
        };
        if self.schema_asked_again_ms.take().is_some() {
            self.status.set_trouble(SCHEMAS, None);
        }
        self.status.events.fetch_add(1, Ordering::Relaxed);
        let received_ms = event.meta.received_at.0;
        self.received_max = self.received_max.max(received_ms);
        self.backlog
            .note(&record.topic, record.partition, received_ms);
        if self.pace.is_samples() {
            self.follow_clock(Some(self.received_max))?;
        }
        match self.cutter.offer(&event)? {
            Offered::Duplicate => {
                self.status.duplicates.fetch_add(1, Ordering::Relaxed);
            }
            Offered::Late(_) => {
                self.status.late.fetch_add(1, Ordering::Relaxed);
                self.note_arrival(record);
            }
            Offered::Refused(refusal) => {
                self.status.refused.fetch_add(1, Ordering::Relaxed);
                (self.dead_letters)(Undecodable {
                    record,
                    reason: refusal.to_string(),
                });
            }
            _ => self.note_arrival(record),
        }
        self.note_offset(record);
        if self.cutter.head.pending() >= self.config.tick_events_max {
            self.cutter.close()?;
        }
        Ok(true)
    }

    fn waits_for_schema(&self) -> bool {
        let now = self.config.clock.machine_ms();
        self.schema_asked_again_ms.is_some_and(|then| now < then)
    }

    /// What is behind the record waits, too: the log is the buffer.
    fn wait_for_schema(&mut self, record: &ReadRecord, why: &Unread) {
        let (topic, partition, offset) = (&record.topic, record.partition, record.offset);
        let why = format!("{why}, which {topic}/{partition}@{offset} was written with");
        if self.schema_asked_again_ms.is_none() {
            tracing::warn!(%why, "waiting for a schema");
        }
        self.status.set_trouble(SCHEMAS, Some(why));
        self.schema_asked_again_ms = Some(self.config.clock.machine_ms() + SCHEMA_ASK_EVERY_MS);
    }

    fn note_offset(&mut self, record: &ReadRecord) {
        let key = (record.topic.to_string(), record.partition);
        self.cutter.open.offsets.insert(key, record.offset + 1);
    }

    fn note_arrival(&mut self, record: &ReadRecord) {
        let open = &mut self.cutter.open;
        if open.opened_at_ms == 0 {
            open.opened_at_ms = self.config.clock.machine_ms();
        }
        open.accepted_at_ms = crate::sink_task::oldest(open.accepted_at_ms, record.timestamp_ms);
    }

    /// Closes the open tick when its time is over, then lets the clock go on.
    fn close_when_due(&mut self, until: Option<i64>) -> Result<(), JobError> {
        let open_ms = self.config.clock.machine_ms() - self.cutter.open.opened_at_ms;
        if self.is_open()
            && u128::try_from(open_ms).unwrap_or(0) >= self.config.tick_open_max.as_millis()
        {
            self.cutter.close()?;
        }
        if self.pace.is_samples() {
            return self.follow_clock(Some(self.received_max));
        }
        self.follow_clock(until)
    }

    /// Moves the clock on to where the configured one stands.
    fn follow_clock(&mut self, until: Option<i64>) -> Result<(), JobError> {
        let target = self.pace.next(self.cutter.clock, until);
        self.cutter.go_to(target)
    }
}
