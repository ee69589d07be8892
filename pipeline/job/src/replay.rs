//! The same pipeline without a server: events in, rows out, nothing on disk.
//!
//! Promises: the same set of events gives the same rows, whatever the order of the lines or the
//! number of workers. Events are taken in the order in which they were received, hour by hour, so
//! that the ledger says the same as it did live.

use std::collections::BTreeMap;

use hostread_journal::Offered;
use hostread_rules::Horizons;
use hostread_schemas::event::Event;
use hostread_schemas::intern::IdHasher;
use hostread_schemas::view::{ViewKey, ViewValue};
use hostread_schemas::{EventTimeMs, Names};

use crate::error::JobError;
use crate::step::{Stepped, Stepper};

/// Events of a tick at most.
const TICK_EVENTS_MAX: usize = 20_000;

/// What a replay gives.
#[derive(Debug)]
pub struct Replayed {
    /// Every row that stands at the end.
    pub rows: BTreeMap<ViewKey, ViewValue>,
    /// The names in them.
    pub names: Names,
    /// The clock at the end.
    pub clock: EventTimeMs,
    /// Events that the head refused.
    pub refused: u64,
}

/// Runs the events received by `as_of` (all, when absent), with the clock ending there.
///
/// # Errors
/// When the dataflow fails.
pub fn replay(
    mut events: Vec<Event>,
    as_of: Option<EventTimeMs>,
    workers: usize,
    horizons: Horizons,
    hasher: IdHasher,
) -> Result<Replayed, JobError> {
    if let Some(as_of) = as_of {
        events.retain(|event| event.meta.received_at.0 <= as_of.0);
    }
    events.sort_by_key(|event| (event.meta.received_at, event.meta.id, event.meta.revision));
    let newest = events.last().map_or(0, |event| event.meta.received_at.0);
    let end = as_of.unwrap_or(EventTimeMs(newest));
    let mut stepper = Stepper::new(workers, horizons, hasher)?;
    let mut rows = BTreeMap::new();
    let mut refused = 0;
    for event in &events {
        stepper.go_to(EventTimeMs(event.meta.received_at.0))?;
        if let Offered::Refused(_) = stepper.offer(event)? {
            refused += 1;
        }
        if stepper.pending() >= TICK_EVENTS_MAX {
            stepper.close()?;
        }
        settle(&mut rows, stepper.take_done());
    }
    stepper.go_to(end)?;
    stepper.close()?;
    settle(&mut rows, stepper.take_done());
    Ok(Replayed {
        rows,
        names: stepper.names().clone(),
        clock: stepper.clock(),
        refused,
    })
}

fn settle(rows: &mut BTreeMap<ViewKey, ViewValue>, ticks: Vec<Stepped>) {
    for change in ticks.into_iter().flat_map(|tick| tick.changes) {
        match change.new {
            Some(value) => rows.insert(change.key, value),
            None => rows.remove(&change.key),
        };
    }
}
