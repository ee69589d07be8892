//! Keeps ClickHouse equal to the maintained views, for dashboards and analysts.
//! Needs: ranges in order, without gaps. Of several owners the newest epoch writes.
//! Promises: a read with `FINAL` at or above the stored upper shows exactly the rows of the views; repeats are harmless.
//! Leaves out: readers and their row filters (`engines`), retrying for more than a few seconds (`pipeline/job`).
//!
//! ```text
//! serving    one ReplacingMergeTree(version, is_deleted) table a view; freshness, restating  written here only
//! hostread   views for people, every column with a comment                                  read by people
//! internal   migrations, sink_progress                                                      ours
//! ```
//!
//! Invariant 1: a row's version is epoch x 2^40 + tick, so what a former owner still has under way loses.
//! Invariant 2: progress is written after the data; within an epoch its upper never goes back.
//! Invariant 3: restatements of a range are there before the numbers move.
//! Invariant 4: an insert that begins when another one owns the sink is refused by ClickHouse itself, and a new owner waits
//! until none of an earlier one runs (`fence.rs`).

mod client;
mod config;
mod dump;
mod encode;
mod error;
mod fence;
mod migrate;
mod progress;
mod rows;
mod sink;
mod tell;

pub use config::ClickHouseConfig;
pub use sink::ClickHouseSink;

use hostread_schemas::view::View;

/// The views that ClickHouse keeps: all but the billing lines, which are PostgreSQL's.
pub const VIEWS: &[View] = &[
    View::Verdicts,
    View::Downloads,
    View::DownloadsDaily,
    View::Conversions,
    View::Credits,
    View::AttributionDaily,
    View::DeliveryDaily,
    View::Pacing,
    View::Anomalies,
    View::Restatements,
    View::LateAfterSeal,
];

/// Tables of `serving` that hold a tenant's rows, each with a column `tenant`: what row filters go on.
#[must_use]
pub fn tenant_tables() -> Vec<String> {
    VIEWS.iter().map(|view| view.name().to_owned()).collect()
}

pub(crate) const NAME: &str = "clickhouse";
