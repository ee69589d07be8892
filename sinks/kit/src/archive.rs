//! Keeping what no view will show again.

use hostread_schemas::view::Change;
use hostread_schemas::{Names, Tick};

use crate::Result;

/// Where rows go that readers know and that can no longer be computed.
pub trait Archive: Send {
    /// Keeps, durably, what stood in rows before a tick changed or took them away without its readers seeing
    /// it; sorted by key. The same tick may come again, and is the same then.
    ///
    /// # Errors
    /// When it could not be kept. The tick must not count as done.
    fn keep(&mut self, tick: Tick, withheld: &[Change], names: &Names) -> Result<()>;
}
