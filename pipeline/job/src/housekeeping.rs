//! Compacts the journal behind the slowest sink.

use std::time::Duration;

use hostread_journal::Journal;
use hostread_schemas::Tick;

use crate::error::{JobError, in_full};
use crate::status::Status;

/// How often it is looked whether compaction is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long it waits for room on the disk before it tries again.
const TRY_EVERY: Duration = Duration::from_secs(2);
/// The part of [`Status`] that says so.
const COMPACTION: &str = "compaction";

/// Runs until the job stops. Without room for files of days the job goes on: it says so, and the tick log grows.
pub(crate) fn run(journal: &Journal, status: &Status, compact_events: u64) -> Result<(), JobError> {
    let mut compacted_at_events = 0;
    let mut wait = LOOK_EVERY;
    while !status.stopping() {
        std::thread::sleep(wait);
        wait = LOOK_EVERY;
        let events = status.events();
        if events.saturating_sub(compacted_at_events) < compact_events {
            continue;
        }
        match compact(journal, status) {
            Ok(()) => {
                compacted_at_events = events;
                if status.set_trouble(COMPACTION, None) {
                    tracing::info!("there is room to compact the journal again");
                }
            }
            Err(JobError::Journal(error)) if error.is_no_space() => {
                let why = format!("no room for it on the journal's disk: {}", in_full(&error));
                if status.set_trouble(COMPACTION, Some(why)) {
                    tracing::warn!(error = %in_full(&error), "the journal cannot be compacted");
                }
                wait = TRY_EVERY;
            }
            Err(error) => return Err(error),
        }
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
