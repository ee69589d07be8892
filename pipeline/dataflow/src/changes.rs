//! Updates of a tick become changes: at most one per row, with what stood there before.
//!
//! Invariant 1: in one tick a row goes at most once and comes at most once.

use std::collections::BTreeMap;

use differential_dataflow::consolidation::consolidate;
use hostread_schemas::Tick;
use hostread_schemas::view::{Change, ViewRow, ViewValue};

use crate::output::{Material, Output};
use crate::run::OutputUpdate;

/// One tick's output.
#[derive(Default, Debug)]
pub struct TickOutput {
    /// Rows that changed, by key.
    pub changes: Vec<Change>,
    /// Carries that came (+) and went (-).
    pub material: Vec<(Material, i64)>,
}

/// Sorts updates of complete ticks into changes.
///
/// # Panics
/// When a row is there twice (invariant 1): a bug, and stopping beats a wrong number.
#[must_use]
pub fn by_tick(updates: Vec<OutputUpdate>) -> BTreeMap<Tick, TickOutput> {
    let mut rows: BTreeMap<u64, Vec<(ViewRow, i64)>> = BTreeMap::new();
    let mut outputs: BTreeMap<Tick, TickOutput> = BTreeMap::new();
    for (output, tick, diff) in updates {
        match output {
            Output::Row(row) => rows.entry(tick).or_default().push((row, diff)),
            Output::Material(material) => {
                outputs
                    .entry(Tick(tick))
                    .or_default()
                    .material
                    .push((material, diff));
            }
        }
    }
    for output in outputs.values_mut() {
        consolidate(&mut output.material);
    }
    for (tick, mut rows) in rows {
        consolidate(&mut rows);
        let changes = fold(Tick(tick), rows);
        if !changes.is_empty() {
            outputs.entry(Tick(tick)).or_default().changes = changes;
        }
    }
    outputs
}

/// Rows sorted by key, old and new side by side, become changes.
fn fold(tick: Tick, rows: Vec<(ViewRow, i64)>) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    for (row, diff) in rows {
        let ViewRow { key, value } = row;
        let standing = match changes.last_mut() {
            Some(last) if last.key == key => last,
            _ => {
                changes.push(Change {
                    tick,
                    key,
                    old: None,
                    new: None,
                });
                changes.last_mut().expect("one was just pushed")
            }
        };
        let side: &mut Option<ViewValue> = match diff {
            1 => &mut standing.new,
            -1 => &mut standing.old,
            _ => panic!("invariant 1: {key:?} moved {diff} times in tick {tick}"),
        };
        assert!(
            side.is_none(),
            "invariant 1: {key:?} stands twice in tick {tick}"
        );
        *side = Some(value);
    }
    changes
}
