//! The system of record of a cell: which events are live, in which order they came in, and nothing that was given back.
//!
//! Needs: a folder on a [`hostread_disk::Disk`], one process at a time.
//! Promises: a tick that `sync` covered survives; reopening gives a prefix of the appended ticks; damage is named by file and
//! byte; released and erased facts leave the disk with the next compactions.
//! Leaves out: what facts mean (`rules`, `dataflow`), the clock, when to cut, compact or release (`job`).
//!
//! ```text
//! log records --offer--> Head --cut--> TickRecord --append, sync--> tick log --compact--> fact files (as of since)
//!                                          |                            |                      |
//!                                          +--> dataflow                +---- ticks(P+1..) ----+---- load(P) ----> restart
//! ```

mod codec;
mod compact;
mod error;
mod fact_file;
mod going;
mod head;
mod journal;
mod learn;
mod manifest;
mod merge;
mod open;
mod record;
mod restore;
mod snapshot;
mod table;
mod tick_log;

pub use codec::precedence;
pub use error::{JournalError, Result};
pub use going::Going;
pub use head::{Head, Offered, Refusal};
pub use journal::{Journal, LOAD_SLICE_FACTS_MAX, Ticks, UNSYNCED_TICKS_MAX};
pub use open::Opened;
pub use record::{BATCHES_PER_TENANT_MAX, Offsets, ReleaseRecord, Revision, TickRecord};
pub use snapshot::Snapshot;
