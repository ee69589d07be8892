//! The job: log -> head -> journal -> dataflow -> sinks. The one crate that knows both ends.
//!
//! ```text
//!            sequencer thread                        workers          collector thread         a task per sink
//!  log ─► decode ─► head ─► tick record ─┬─ feed ──► dataflow ─► complete ticks ─┐
//!                                        └─ syncer ► durable ────────────────────┴─► settle ─► merge ─► apply [lower, upper)
//! ```
//! Needs: one process per journal; sinks that keep their own progress.
//! Promises: every tick's changes reach every sink once, in order, and only when the tick is both
//! durable and complete; after a restart they are the same changes.
//! Leaves out: reading configuration, opening logs and sinks (the binary), dead-letter files.
//!
//! Invariant 1: changes of a tick leave only when its record is synced.
//! Invariant 2: the journal's `since` stays below every sink's upper.
//! Invariant 3: within a range a row's old value is the last new one.
//!
//! Limits: [`JobConfig::ahead_ticks_max`], [`JobConfig::waiting_changes_max`]; either pauses reading
//! the log. The doors never feel it.

mod again;
mod backlog;
pub mod by_hand;
mod clock;
mod collect;
mod config;
mod cutter;
mod decode;
mod error;
mod feeder;
mod housekeeping;
mod open_tick;
mod release;
pub mod replay;
mod restating;
mod restore;
mod sequence;
mod sink_task;
mod start;
mod status;
pub mod step;
mod tell;

pub use again::Again;
pub use clock::{Clock, Now, wall_ms};
pub use config::JobConfig;
pub use decode::{AskSchema, Decode, Undecodable, Unread};
pub use error::JobError;
pub use restating::{Restating, Stage};
pub use sequence::DeadLetters;
pub use start::{Parts, Running, start};
pub use status::{FreshnessSummary, Status};
