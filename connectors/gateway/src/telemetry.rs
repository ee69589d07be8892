//! What happens at the doors, as metrics and log lines. Labels come from closed sets; nothing personal.

use hostread_connectors_kit::DeadLetterError;
use hostread_disk::DiskError;
use hostread_eventlog::LogError;
use metrics::{counter, gauge};
use tracing::{error, warn};

use crate::hits::Lost;

/// An error with its causes, on one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// A request was answered.
pub(crate) fn answered(door: &'static str, status: u16) {
    let status = match status {
        200..=299 => "2xx",
        302 => "302",
        401 => "401",
        413 => "413",
        422 => "422",
        429 => "429",
        503 => "503",
        400..=499 => "4xx",
        _ => "5xx",
    };
    counter!("gateway_requests_total", "door" => door, "status" => status).increment(1);
}

/// Events went in.
pub(crate) fn accepted(door: &'static str, count: usize) {
    counter!("gateway_events_accepted_total", "door" => door).increment(count as u64);
}

/// Entries came back to their sender.
pub(crate) fn rejected(door: &'static str, count: usize) {
    counter!("gateway_events_rejected_total", "door" => door).increment(count as u64);
}

/// The log did not take a batch.
pub(crate) fn log_away(error: &LogError) {
    counter!("gateway_log_append_failures_total").increment(1);
    warn!(error = %Chain(error), "the log did not take a batch");
}

/// The log did not answer in time.
pub(crate) fn log_slow(waited: std::time::Duration) {
    counter!("gateway_log_append_failures_total").increment(1);
    warn!(
        waited_ms = waited.as_millis() as u64,
        "the log did not take a batch in time"
    );
}

/// Events went to the spill.
pub(crate) fn spilled(count: u64) {
    counter!("gateway_spilled_events_total").increment(count);
}

/// The spill is full: events were refused.
pub(crate) fn spill_cut(count: u64) {
    counter!("gateway_spill_cut_events_total").increment(count);
    warn!(
        events = count,
        "the spill is full and the log is away: events were refused"
    );
}

/// Hits of a prefix are durable; so many are not yet.
pub(crate) fn hits_kept(count: u64, waiting: u64) {
    accepted("prefix", usize::try_from(count).unwrap_or(usize::MAX));
    gauge!("gateway_prefix_hits_waiting").set(waiting as f64);
}

/// Hits of a prefix were led on and are not kept.
pub(crate) fn hits_lost(why: Lost, count: u64) {
    counter!("gateway_prefix_hits_lost_total", "reason" => why.name()).increment(count);
}

/// The spill's files failed.
pub(crate) fn spill_failed(error: &DiskError) {
    counter!("gateway_spill_failures_total").increment(1);
    error!(error = %Chain(error), "the spill cannot be used");
}

/// A spilled event that nothing can be made of.
pub(crate) fn spill_unreadable() {
    counter!("gateway_spill_unreadable_events_total").increment(1);
    error!("a spilled event cannot be read and is dropped");
}

/// Spilled events reached the log.
pub(crate) fn drained(count: usize) {
    counter!("gateway_spill_drained_events_total").increment(count as u64);
}

/// Inputs went to dead letters.
pub(crate) fn buried(connector: &'static str, count: usize) {
    counter!("gateway_dead_letters_total", "connector" => connector).increment(count as u64);
}

/// Dead letters cannot be kept.
pub(crate) fn dead_letters_failed(error: &DeadLetterError) {
    counter!("gateway_dead_letter_failures_total").increment(1);
    error!(error = %Chain(error), "dead letters cannot be kept");
}

/// Lines of an import, by what became of them.
pub(crate) fn imported(
    format: &'static str,
    accepted: u64,
    malformed: &std::collections::BTreeMap<&'static str, u64>,
) {
    counter!("gateway_import_lines_total", "format" => format, "outcome" => "accepted")
        .increment(accepted);
    for (reason, count) in malformed {
        counter!("gateway_import_lines_total", "format" => format, "outcome" => *reason)
            .increment(*count);
    }
}
