//! From accepted events to durable ones: the log, or for single events the spill while the log is away; dead letters.
//! Promises: `Ok` means durable.    Leaves out: what an event is.
//! Invariant 1: nothing is answered with 2xx before the log, the spill or the dead letters have synced it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::http::HeaderMap;
use hostread_connectors_kit::{DeadLetter, DeadLetters, RETRY_HEADER, Resend, Retry};
use hostread_disk::Spill;
use hostread_eventlog::{ErrorKind, EventLog, Record};
use hostread_schemas::event::Event;
use hostread_schemas::{Encoder, partition};

use crate::problem::Problem;
use crate::telemetry;
use crate::tenants::Tenant;

/// Milliseconds since 1970, as the whole installation counts them.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Records of one append; larger batches go in several.
const APPEND_RECORDS_MAX: usize = 4_096;
/// After a failed append single events go straight to the spill for this long.
const LOG_PAUSE_MS: i64 = 1_000;
const DRAIN_EVERY: Duration = Duration::from_millis(500);
const DRAIN_RECORDS_MAX: usize = 4_096;
const DRAIN_BYTES_MAX: u64 = 4 << 20;

/// When a record reached the log, by the machine: what freshness is measured from. Not a fact.
fn wall_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

pub(crate) struct Intake {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) encoder: Encoder,
    pub(crate) spill: Arc<Spill>,
    pub(crate) dead_letters: Arc<DeadLetters>,
    pub(crate) clock: Clock,
    pub(crate) append_timeout: Duration,
    /// Until when the log is taken to be away.
    pub(crate) away_until_ms: AtomicI64,
}

impl Intake {
    pub(crate) fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    /// Whether the log has just refused; it is tried again after a pause.
    pub(crate) fn log_away(&self) -> bool {
        monotonic_ms() < self.away_until_ms.load(Ordering::Relaxed)
    }

    fn record(&self, event: &Event) -> Record {
        let encoded = self.encoder.encode(event);
        Record {
            partition: partition(&event.meta.tenant, self.log.partitions(encoded.topic)),
            topic: encoded.topic.to_owned(),
            key: encoded.key,
            headers: encoded.headers,
            value: encoded.value,
            timestamp_ms: wall_ms(),
        }
    }

    /// Makes events durable in the log.
    pub(crate) async fn append(&self, events: &[Event]) -> Result<(), Problem> {
        for part in events.chunks(APPEND_RECORDS_MAX) {
            let records = part.iter().map(|event| self.record(event)).collect();
            self.append_records(records)
                .await
                .map_err(|()| Problem::LogAway)?;
        }
        Ok(())
    }

    async fn append_records(&self, records: Vec<Record>) -> Result<(), ()> {
        let appended = tokio::time::timeout(self.append_timeout, self.log.append(records)).await;
        let passing = match appended {
            Ok(Ok(())) => {
                self.away_until_ms.store(i64::MIN, Ordering::Relaxed);
                return Ok(());
            }
            Ok(Err(error)) => {
                telemetry::log_away(&error);
                error.kind() != ErrorKind::Input
            }
            Err(_) => {
                telemetry::log_slow(self.append_timeout);
                true
            }
        };
        if passing {
            let until = monotonic_ms().saturating_add(LOG_PAUSE_MS);
            self.away_until_ms.store(until, Ordering::Relaxed);
        }
        Err(())
    }

    /// Makes single events durable: in the log, or while that is away in the spill. Says how many found no room there.
    pub(crate) async fn append_or_spill(&self, events: &[Event]) -> u64 {
        let mut cut = 0;
        for part in events.chunks(APPEND_RECORDS_MAX) {
            let there = !self.log_away() && {
                let records = part.iter().map(|event| self.record(event)).collect();
                self.append_records(records).await.is_ok()
            };
            if !there {
                cut += self.spill(part).await;
            }
        }
        cut
    }

    /// Says how many are not in the spill.
    async fn spill(&self, events: &[Event]) -> u64 {
        let lines: Vec<Vec<u8>> = events
            .iter()
            .map(|event| {
                let mut line = Vec::with_capacity(512);
                hostread_schemas::json::write(event, &mut line);
                line
            })
            .collect();
        let spill = Arc::clone(&self.spill);
        let spilled = tokio::task::spawn_blocking(move || spill.append(&lines)).await;
        let count = events.len() as u64;
        match spilled {
            Ok(Ok(appended)) => {
                telemetry::spilled(count - appended.cut);
                if appended.cut > 0 {
                    telemetry::spill_cut(appended.cut);
                }
                appended.cut
            }
            Ok(Err(error)) => {
                telemetry::spill_failed(&error);
                count
            }
            Err(_) => count,
        }
    }

    /// Keeps inputs that cannot be used.
    pub(crate) async fn bury(
        &self,
        tenant: &Arc<Tenant>,
        connector: &'static str,
        letters: Vec<Letter>,
        retry: Option<Retry>,
    ) -> Result<(), Problem> {
        if letters.is_empty() {
            return Ok(());
        }
        telemetry::buried(connector, letters.len());
        let (dead_letters, tenant) = (Arc::clone(&self.dead_letters), Arc::clone(tenant));
        let received_at = hostread_schemas::ReceivedAtMs(self.now_ms());
        let buried = tokio::task::spawn_blocking(move || {
            let letters: Vec<DeadLetter<'_>> = letters
                .iter()
                .map(|letter| DeadLetter {
                    tenant: &tenant.name,
                    source: &letter.source,
                    connector,
                    reason: &letter.reason,
                    position: &letter.position,
                    received_at,
                    body: &letter.body,
                    resend: letter.resend.as_ref(),
                    retry: retry.as_ref(),
                })
                .collect();
            dead_letters.append(&tenant.key, &letters)
        })
        .await;
        match buried {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                telemetry::dead_letters_failed(&error);
                Err(Problem::LogAway)
            }
            Err(_) => Err(Problem::Internal),
        }
    }

    /// Moves what was spilled into the log, until the task is dropped. Also removes old dead letters.
    pub(crate) async fn drain(self: Arc<Self>) {
        let mut tick = tokio::time::interval(DRAIN_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            while self.spill.stats().records > 0 && self.drain_once().await {}
            let now = hostread_schemas::ReceivedAtMs(self.now_ms());
            let dead_letters = Arc::clone(&self.dead_letters);
            let pruned = tokio::task::spawn_blocking(move || dead_letters.prune(now)).await;
            if let Ok(Err(error)) = pruned {
                telemetry::dead_letters_failed(&error);
            }
        }
    }

    /// One piece of the spill; `false` when it has to wait.
    async fn drain_once(&self) -> bool {
        let spill = Arc::clone(&self.spill);
        let peeked =
            tokio::task::spawn_blocking(move || spill.peek(DRAIN_RECORDS_MAX, DRAIN_BYTES_MAX))
                .await;
        let lines = match peeked {
            Ok(Ok(lines)) if !lines.is_empty() => lines,
            Ok(Err(error)) => {
                telemetry::spill_failed(&error);
                return false;
            }
            _ => return false,
        };
        let mut records = Vec::with_capacity(lines.len());
        for line in &lines {
            match hostread_schemas::json::read(line) {
                Ok(event) => records.push(self.record(&event)),
                // Written by a version that knew more: nobody else could read it either.
                Err(_) => telemetry::spill_unreadable(),
            }
        }
        if !records.is_empty() && self.append_records(records).await.is_err() {
            return false;
        }
        let (spill, count) = (Arc::clone(&self.spill), lines.len());
        match tokio::task::spawn_blocking(move || spill.release(count)).await {
            Ok(Ok(())) => {
                telemetry::drained(count);
                true
            }
            Ok(Err(error)) => {
                telemetry::spill_failed(&error);
                false
            }
            Err(_) => false,
        }
    }
}

/// An input that cannot be used.
pub(crate) struct Letter {
    pub(crate) source: String,
    pub(crate) reason: String,
    pub(crate) position: String,
    pub(crate) body: Vec<u8>,
    /// How to send it again; nothing where the body is not whole.
    pub(crate) resend: Option<Resend>,
}

/// The dead letter that a request sends again, if it says so.
pub(crate) fn retry_of(headers: &HeaderMap) -> Option<Retry> {
    Retry::read(headers.get(RETRY_HEADER)?.to_str().ok()?)
}

/// For pauses only: never leaves the process.
fn monotonic_ms() -> i64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START
        .get_or_init(std::time::Instant::now)
        .elapsed()
        .as_millis() as i64
}
