//! What a sink is, and what every sink does alike: ranges of ticks, ownership, chunks, the suite that each passes.
//! Needs: ranges in order, without gaps, from one live epoch; at most one upsert per key and range.
//! Promises: a range is applied as if once, however often it is handed over and whoever did so before.
//! Leaves out: making ranges (`pipeline/job`), tables and servers (the sinks), retrying for ever (the job).
//!
//! Invariant 1: a sink's stored upper never goes back.
//! Invariant 2: nothing of an older epoch is written once a newer one has opened the sink; what was under way then loses
//! to the newer epoch's rows (`version_of`).
//! Invariant 3: progress is written after the data that it covers, or together with it.
//! Invariant 4: what is given is written, equal values too: a replay must overwrite what an older epoch wrote.

mod admit;
mod columns;
pub mod conformance;
mod error;
mod memory;
mod names;
mod plan;
pub mod telemetry;
pub mod words;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use async_trait::async_trait;
use hostread_schemas::view::{Change, View, ViewKey, ViewValue};
use hostread_schemas::{EventTimeMs, Names, Tick};

pub use admit::{Admission, admit, claim};
pub use columns::{ColumnWriter, write_columns};
pub use error::{Result, SinkError, SinkErrorKind};
pub use memory::{FailPoint, MemorySink, MemoryStore};
pub use names::NameCache;
pub use plan::{CHUNK_ROWS_MAX, Chunk, plan_chunks};

/// The newest state of one row in a range.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Upsert {
    /// The last tick of the range that changed the row.
    pub tick: Tick,
    /// Which row.
    pub key: ViewKey,
    /// What stands there after the range; `None`: the row is gone.
    pub value: Option<ViewValue>,
}

/// What `[lower, upper)` changed.
#[derive(Clone, Debug)]
pub struct RangeBatch {
    /// First tick.
    pub lower: Tick,
    /// First tick after the range.
    pub upper: Tick,
    /// At most one per key, sorted by key.
    pub upserts: Vec<Upsert>,
    /// Changes of the range that readers do not see, by tick, each part sorted by key: what stood before is final. For an
    /// archive; the others get none.
    pub withheld: Vec<(Tick, Arc<Vec<Change>>)>,
    /// How old the range is when it becomes visible.
    pub freshness: Option<FreshnessRow>,
    /// Rows that have arrived so far, for whoever looks on while it is applied. Not every sink counts them.
    pub rows_done: Arc<AtomicU64>,
}

/// What readers know of rows; `None`: there is no such row.
pub type Known = BTreeMap<ViewKey, Option<ViewValue>>;

/// How old a range was when it became visible. Appended by sinks that keep it; no view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FreshnessRow {
    /// Last tick of the range.
    pub tick: Tick,
    /// The clock of that tick.
    pub clock: EventTimeMs,
    /// When the oldest event of the range was accepted, by the machine's clock.
    pub accepted_at_ms: i64,
    /// When the range was handed over to be written.
    pub visible_at_ms: i64,
    /// Events in the range.
    pub events: u64,
}

/// That numbers do not all follow a change of rules, catalog, deals or settings yet. The newest one counts; no view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RestatingRow {
    /// The newest such change.
    pub tick: Tick,
    /// The clock of that tick.
    pub clock: EventTimeMs,
    /// When the oldest such change was accepted, by the machine's clock.
    pub accepted_at_ms: i64,
    /// When it was so, by the machine's clock.
    pub told_at_ms: i64,
    /// What is under way; empty: nothing any more.
    pub stage: &'static str,
    /// How much of it is done.
    pub done: u64,
    /// Of how much.
    pub total: u64,
}

/// Tells readers of a sink how far its numbers are, while ranges are written.
#[async_trait]
pub trait Teller: Send + Sync {
    /// Tries to tell, once. Nothing rests on it.
    async fn tell(&self, row: &RestatingRow) -> Result<()>;
}

/// How far a sink has come, and for whom.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Progress {
    /// The journal that the rows were made from.
    pub journal_id: u128,
    /// Counts the owners; only the newest may write.
    pub epoch: u64,
    /// Every tick below it is in the sink.
    pub upper: Tick,
}

/// Where rows go.
#[async_trait]
pub trait Sink: Send + Sync {
    /// A word for logs and metrics.
    fn name(&self) -> &'static str;
    /// The views that it keeps; upserts of others are passed over.
    fn views(&self) -> &'static [View];
    /// Brings the tables up to date.
    async fn migrate(&mut self) -> Result<()>;
    /// Takes ownership: the stored epoch + 1, or (`journal_id`, 1, 0) when nothing is stored.
    async fn open(&mut self, journal_id: u128) -> Result<Progress>;
    /// Writes a range, or what of it is not written yet.
    async fn apply(&mut self, batch: &RangeBatch, names: &Names) -> Result<()>;
    /// The tick below which rows may stand although their range was never ended. The first range of a new owner must reach
    /// it: a shorter one would show its readers older rows again. 0: a range is there as a whole or not at all.
    async fn begun_upper(&self) -> Result<Tick> {
        Ok(Tick(0))
    }
    /// Does it keep for good what readers know and nothing can compute again? It gets `withheld`, and when it is lost, nothing
    /// fills it again.
    fn is_archive(&self) -> bool {
        false
    }
    /// What an archive keeps, as of a tick. Holds it in memory.
    async fn known(&self, _through: Tick) -> Result<Known> {
        Ok(Known::new())
    }
    /// Who tells its readers that numbers are being restated, while the sink is ours.
    fn teller(&self) -> Option<Box<dyn Teller>> {
        None
    }
    /// What is stored now, by whomever.
    async fn progress(&self) -> Result<Option<Progress>>;
    /// Parts or the like that the store has not merged yet; a caller writes less often while it grows. 0: no such thing.
    async fn parts_count(&self) -> Result<u64> {
        Ok(0)
    }
    /// Empties every table and forgets the progress, so that another journal can begin: what `hostread sinks resync` does.
    async fn clear(&mut self) -> Result<()>;
}

/// Which columns [`Dump::dump`] shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Columns {
    /// All but the version.
    Row,
    /// The version too.
    RowAndVersion,
}

/// Reads whole tables back, for tests and comparisons.
#[async_trait]
pub trait Dump {
    /// Every row that stands in a view, one string each, sorted.
    async fn dump(&self, view: View, columns: Columns) -> Result<Vec<String>>;
}

/// Ticks that a version can tell apart within an epoch.
pub const VERSION_TICK_BITS: u32 = 40;

/// Version of a row: epoch x 2^40 + tick. A later owner's row wins over an earlier owner's, within an owner the later tick.
#[must_use]
pub const fn version_of(epoch: u64, tick: Tick) -> u64 {
    (epoch << VERSION_TICK_BITS) | tick.0
}
