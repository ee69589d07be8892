//! What every sink says about itself.

use std::sync::atomic::Ordering;
use std::time::Duration;

use hostread_schemas::Tick;

use crate::RangeBatch;
use crate::error::SinkError;

/// Rows of one table were inserted, out of a range.
pub fn rows_written(
    sink: &'static str,
    table: &'static str,
    batch: &RangeBatch,
    rows: usize,
    took: Duration,
) {
    batch.rows_done.fetch_add(rows as u64, Ordering::Relaxed);
    metrics::counter!("sink_table_rows_written_total", "sink" => sink, "table" => table)
        .increment(rows as u64);
    metrics::counter!("sink_inserts_total", "sink" => sink, "table" => table).increment(1);
    metrics::histogram!("sink_insert_seconds", "sink" => sink).record(took);
}

/// A range was applied.
pub fn range_written(sink: &'static str, lower: Tick, upper: Tick, rows: usize, took: Duration) {
    metrics::histogram!("sink_apply_seconds", "sink" => sink).record(took);
    tracing::debug!(sink, %lower, %upper, rows, ms = took.as_millis() as u64, "wrote range");
}

/// Something is tried again; `code` is the server's own. Its words are left out: they may quote a row.
pub fn retried(sink: &'static str, error: &SinkError, code: Option<u32>) {
    metrics::counter!("sink_retries_total", "sink" => sink).increment(1);
    tracing::warn!(sink, %error, code, "retrying");
}

/// The sink is ours.
pub fn opened(sink: &'static str, epoch: u64, upper: Tick) {
    tracing::info!(sink, epoch, %upper, "opened");
}
