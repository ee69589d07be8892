//! Compacts the journal behind the slowest sink.

use std::time::Duration;

use hostread_journal::Journal;
use hostread_schemas::Tick;

use crate::error::JobError;
use crate::status::Status;

/// How often it is looked whether compaction is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Runs until the job stops.
pub(crate) fn run(journal: &Journal, status: &Status, compact_events: u64) -> Result<(), JobError> {
    let mut compacted_at_events = 0;
    while !status.stopping() {
        std::thread::sleep(LOOK_EVERY);
        let events = status.events();
        if events.saturating_sub(compacted_at_events) < compact_events {
            continue;
        }
        compact(journal, status)?;
        compacted_at_events = events;
    }
    Ok(())
}

/// Compacts behind the slowest sink, if it moved. `since` stays two ticks below its upper: the state
/// before the next range and the clock of its last tick can be read after a restart.
pub(crate) fn compact(journal: &Journal, status: &Status) -> Result<(), JobError> {
    let since = Tick(status.upper().0.saturating_sub(2));
    if since > journal.since() && since <= journal.synced() {
        journal.compact(since)?;
        tracing::info!(%since, "compacted the journal");
    }
    Ok(())
}
