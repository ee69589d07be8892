//! `/metrics`: what the parts count, and where the pipeline stands at the moment of asking.

use std::time::Duration;

use hostread_job::{Restating, Status};
use metrics::gauge;
use metrics_exporter_prometheus::PrometheusHandle;

/// How often old samples of histograms are dropped when nobody reads `/metrics`.
const UPKEEP: Duration = Duration::from_secs(5);

/// Renders `/metrics`.
#[derive(Clone)]
pub(crate) struct Metrics(PrometheusHandle);

impl Metrics {
    pub(crate) fn new(handle: PrometheusHandle) -> Self {
        Self(handle)
    }

    /// Keeps histograms small for as long as the process runs.
    pub(crate) fn keep_small(&self) {
        let handle = self.0.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(UPKEEP).await;
                handle.run_upkeep();
            }
        });
    }

    /// The text, with the pipeline's gauges when there is a pipeline.
    pub(crate) fn render(&self, status: Option<&Status>) -> String {
        if let Some(status) = status {
            note(status);
        }
        self.0.render()
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
fn note(status: &Status) {
    let upper_wanted = status.fed().0.saturating_add(1);
    for (sink, upper) in status.uppers() {
        let lag = upper_wanted.saturating_sub(upper.0);
        gauge!("sink_lag_ticks", "sink" => sink).set(lag as f64);
    }
    let (live, bytes) = status.head();
    let (freshness, restating) = (status.freshness(), status.restating());
    let of = |count: fn(Restating) -> u64| restating.map_or(0.0, |it| count(it) as f64);
    for (name, value) in [
        (
            "pipeline_ready",
            f64::from(u8::from(status.trouble().is_none())),
        ),
        (
            "pipeline_restating",
            f64::from(u8::from(restating.is_some())),
        ),
        ("pipeline_restating_done_count", of(|it| it.done)),
        ("pipeline_restating_total_count", of(|it| it.total)),
        ("pipeline_fed_ticks", status.fed().0 as f64),
        ("pipeline_durable_ticks", status.durable().0 as f64),
        ("pipeline_settled_ticks", status.settled().0 as f64),
        ("pipeline_clock_seconds", status.clock().0 as f64 / 1_000.0),
        ("pipeline_events_read_count", status.events() as f64),
        ("log_behind_records", status.behind() as f64),
        (
            "pipeline_waiting_changes_count",
            status.waiting_changes() as f64,
        ),
        ("pipeline_duplicates_count", status.duplicates() as f64),
        ("pipeline_dead_letters_count", status.dead_letters() as f64),
        ("pipeline_late_events_count", status.late() as f64),
        ("pipeline_live_events_count", live as f64),
        ("pipeline_head_bytes", bytes as f64),
        (
            "pipeline_freshness_p50_seconds",
            f64::from(freshness.p50_ms) / 1_000.0,
        ),
        (
            "pipeline_freshness_p99_seconds",
            f64::from(freshness.p99_ms) / 1_000.0,
        ),
    ] {
        gauge!(name).set(value);
    }
}
