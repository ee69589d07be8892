//! Keeping what no view will show again.

use std::collections::BTreeMap;

use hostread_schemas::view::{Change, ViewKey, ViewValue};
use hostread_schemas::{Names, Tick};

use crate::Result;

/// What readers know of rows; `None`: there is no such row.
pub type Known = BTreeMap<ViewKey, Option<ViewValue>>;

/// Where rows go that readers know and that can no longer be computed.
pub trait Archive: Send {
    /// Keeps, durably, what stood in rows before a tick changed or took them away without its readers seeing
    /// it; sorted by key. The same tick may come again, and is the same then.
    ///
    /// # Errors
    /// When it could not be kept. The tick must not count as done.
    fn keep(&mut self, tick: Tick, withheld: &[Change], names: &Names) -> Result<()>;

    /// What readers knew, when a tick was done, of every row that is kept. Of a daily view the first row of a key counts, of
    /// another the last. Holds them in memory.
    ///
    /// # Errors
    /// When something kept cannot be read.
    fn known(&self, through: Tick) -> Result<Known>;
}
