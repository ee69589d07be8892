//! What the sink says about itself.

use std::time::Duration;

use hostread_schemas::Tick;

use crate::NAME;

pub(crate) fn rows_written(table: &'static str, rows: usize, took: Duration) {
    metrics::counter!("sink_table_rows_written_total", "sink" => NAME, "table" => table)
        .increment(rows as u64);
    metrics::counter!("sink_inserts_total", "sink" => NAME, "table" => table).increment(1);
    metrics::histogram!("sink_insert_seconds", "sink" => NAME).record(took);
}

pub(crate) fn range_written(lower: Tick, upper: Tick, rows: usize, took: Duration) {
    metrics::histogram!("sink_apply_seconds", "sink" => NAME).record(took);
    tracing::debug!(sink = NAME, %lower, %upper, rows, ms = took.as_millis() as u64, "wrote range");
}

pub(crate) fn retried(error: &hostread_sink_kit::SinkError) {
    metrics::counter!("sink_retries_total", "sink" => NAME).increment(1);
    tracing::warn!(sink = NAME, %error, "retrying");
}

pub(crate) fn opened(epoch: u64, upper: Tick) {
    tracing::info!(sink = NAME, epoch, %upper, "opened");
}
