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
    let mut outputs: BTreeMap<Tick, TickOutput> = BTreeMap::new();
    let mut rows: Vec<Option<ViewRow>> = Vec::with_capacity(updates.len());
    let mut order: Vec<(u64, usize, i64)> = Vec::with_capacity(updates.len());
    for (output, tick, diff) in updates {
        match output {
            Output::Row(row) => {
                order.push((tick, rows.len(), diff));
                rows.push(Some(row));
            }
            Output::Material(material) => {
                let output = outputs.entry(Tick(tick)).or_default();
                output.material.push((material, diff));
            }
        }
    }
    for output in outputs.values_mut() {
        consolidate(&mut output.material);
    }
    // Rows are large: places are sorted, rows move once.
    order.sort_unstable_by(|(tick, at, _), (other_tick, other, _)| {
        (tick, rows.get(*at)).cmp(&(other_tick, rows.get(*other)))
    });
    for of_tick in order.chunk_by(|(tick, ..), (other, ..)| tick == other) {
        let Some((tick, ..)) = of_tick.first() else {
            continue;
        };
        let changes = fold(Tick(*tick), of_tick, &mut rows);
        if !changes.is_empty() {
            outputs.entry(Tick(*tick)).or_default().changes = changes;
        }
    }
    outputs
}

/// Rows in order of their keys, old and new side by side, become changes.
fn fold(tick: Tick, order: &[(u64, usize, i64)], rows: &mut [Option<ViewRow>]) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    let mut rest = order;
    while let Some((_, at, _)) = rest.first() {
        let same = rest
            .iter()
            .take_while(|(_, other, _)| rows.get(*other) == rows.get(*at));
        let same = same.count();
        let (alike, after) = rest.split_at(same);
        rest = after;
        let diff: i64 = alike.iter().map(|(.., diff)| diff).sum();
        let row = rows.get_mut(*at).and_then(Option::take);
        if let Some(row) = row.filter(|_| diff != 0) {
            note(tick, row, diff, &mut changes);
        }
    }
    changes
}

fn note(tick: Tick, row: ViewRow, diff: i64, changes: &mut Vec<Change>) {
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
