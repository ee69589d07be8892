//! Keeps PostgreSQL equal to the maintained views that billing and the platform read.
//! Needs: ranges in order, without gaps; the roles `hostread_sink` and `hostread_reader`, and an owner who is neither.
//! Promises: rows and progress of a range commit together, for the one live epoch, or not at all.
//! Leaves out: making roles (`engines`, or the administrator), retrying for more than a few seconds (`pipeline/job`).
//!
//! ```text
//! serving    one table a view, sink_progress                row-level security, forced; written here only
//! hostread   views for people, every column with a comment
//! a range:   lock progress -> upsert and delete what is not newer -> move progress -> commit
//! ```
//!
//! The rows of a chunk travel as one JSON parameter of the upsert itself. COPY to a staging table was tried first: sqlx
//! leaves Nagle on, and COPY's end is a second small packet, so every table cost 45 ms.
//!
//! Invariant 1: `sink_progress.upper` never moves back, and moves only for the stored epoch (compare and set under a lock).
//! Invariant 2: a row's `version` is epoch x 2^40 + tick; an older version never replaces a newer one.
//! Invariant 3: a row that is gone is deleted. No mark is left behind: unlike in ClickHouse, nothing of an old owner can
//! come later, since every range compares the epoch in its own transaction.

mod config;
mod error;
mod json;
mod rows;
mod sink;
mod tables;

pub use config::PostgresConfig;
pub use sink::PostgresSink;

use hostread_schemas::view::View;

/// The views that PostgreSQL keeps.
pub const VIEWS: &[View] = &[
    View::DeliveryDaily,
    View::Pacing,
    View::BillingLines,
    View::Restatements,
    View::LateAfterSeal,
];

pub(crate) const NAME: &str = "postgres";
