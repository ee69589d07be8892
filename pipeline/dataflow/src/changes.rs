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

/// Updates of ticks that need not be complete yet, by tick.
#[derive(Default, Debug)]
pub struct Updates(BTreeMap<u64, OfTick>);

/// Of one tick, as they came.
#[derive(Default, Debug)]
struct OfTick {
    rows: Vec<(Option<ViewRow>, i64)>,
    material: Vec<(Material, i64)>,
}

impl Extend<OutputUpdate> for Updates {
    fn extend<T: IntoIterator<Item = OutputUpdate>>(&mut self, updates: T) {
        let mut updates = updates.into_iter().peekable();
        while let Some((_, tick, _)) = updates.peek() {
            let tick = *tick;
            let of_tick = self.0.entry(tick).or_default();
            while let Some((output, _, diff)) = updates.next_if(|(_, next, _)| *next == tick) {
                match output {
                    Output::Row(row) => of_tick.rows.push((Some(row), diff)),
                    Output::Material(material) => of_tick.material.push((material, diff)),
                }
            }
        }
    }
}

impl Updates {
    /// Takes what all ticks through this one, which are complete, changed.
    ///
    /// # Panics
    /// When a row is there twice (invariant 1): a bug, and stopping beats a wrong number.
    #[must_use]
    pub fn take(&mut self, through: Tick) -> BTreeMap<Tick, TickOutput> {
        let later = self.0.split_off(&through.0.saturating_add(1));
        let taken = std::mem::replace(&mut self.0, later);
        let outputs = taken.into_iter().map(|(tick, mut of_tick)| {
            consolidate(&mut of_tick.material);
            let output = TickOutput {
                changes: fold(Tick(tick), of_tick.rows),
                material: of_tick.material,
            };
            (Tick(tick), output)
        });
        outputs.collect()
    }
}

/// Old and new rows of a tick, side by side, become changes. Rows are large: places are sorted, rows move once.
fn fold(tick: Tick, mut rows: Vec<(Option<ViewRow>, i64)>) -> Vec<Change> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_unstable_by(|at, other| rows.get(*at).cmp(&rows.get(*other)));
    let mut changes: Vec<Change> = Vec::with_capacity(rows.len());
    let mut standing: Option<(ViewRow, i64)> = None;
    for at in order {
        let Some((place, diff)) = rows.get_mut(at) else {
            continue;
        };
        match &mut standing {
            Some((row, sum)) if place.as_ref() == Some(row) => *sum += *diff,
            _ => {
                let next = place.take().map(|row| (row, *diff));
                note_row(tick, std::mem::replace(&mut standing, next), &mut changes);
            }
        }
    }
    note_row(tick, standing, &mut changes);
    changes
}

fn note_row(tick: Tick, row: Option<(ViewRow, i64)>, changes: &mut Vec<Change>) {
    if let Some((row, diff)) = row.filter(|(_, diff)| *diff != 0) {
        note(tick, row, diff, changes);
    }
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
