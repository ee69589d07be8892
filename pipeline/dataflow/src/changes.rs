//! Updates of a tick become changes: at most one per row, with what stood there before.
//!
//! Invariant 1: in one tick a row goes at most once and comes at most once.
//! Invariant 2: of two keys the smaller one's lead is not the larger one.

use std::collections::BTreeMap;

use differential_dataflow::consolidation::consolidate;
use hostread_schemas::view::{Change, ViewKey, ViewRow, ViewValue};
use hostread_schemas::{Day, Tick};

use crate::output::{Material, Output};
use crate::run::OutputUpdate;
use crate::sorted::consolidated;

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
    rows: Vec<(ViewRow, i64)>,
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
                    Output::Row(row) => of_tick.rows.push((row, diff)),
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

/// Old and new rows of a tick, side by side, become changes.
fn fold(tick: Tick, rows: Vec<(ViewRow, i64)>) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::with_capacity(rows.len());
    for (row, diff) in consolidated(rows, |row| lead(&row.key)) {
        note(tick, row, diff, &mut changes);
    }
    changes
}

/// The beginning of a key as one number: view, tenant, then what tells most keys of the view apart, cut.
fn lead(key: &ViewKey) -> u128 {
    let rest = match key {
        ViewKey::Verdicts(key) => of_day(key.day, 0, key.request.hi),
        ViewKey::Downloads(key) => of_day(key.day, key.window as u8, key.episode.0),
        ViewKey::DownloadsDaily(key) => of_day(key.day, key.window as u8, key.show.0),
        ViewKey::AttributionDaily(key) => of_day(key.day, 0, key.campaign.0),
        ViewKey::Conversions(key) => key.conversion.0 >> 4,
        ViewKey::Credits(key) => key.conversion.0 >> 4,
        ViewKey::DeliveryDaily(key) => key.line.0 >> 4,
        ViewKey::Pacing(key) => key.line.0 >> 4,
        ViewKey::BillingLines(key) => key.line.0 >> 4,
        ViewKey::Anomalies(_) | ViewKey::Restatements(_) | ViewKey::LateAfterSeal(_) => 0,
    };
    (u128::from(key.view() as u8) << 124) | (u128::from(key.tenant().0) << 60) | u128::from(rest)
}

/// 24 bits of the day, 2 of the window, 34 of an id. A day beyond these bits is told apart by the rest of its key alone.
fn of_day(day: Day, window: u8, id: u64) -> u64 {
    const FIRST: i32 = -(1 << 23);
    const LAST: i32 = !FIRST;
    match day.0 {
        FIRST..=LAST => ((day.0 - FIRST) as u64) << 36 | u64::from(window) << 34 | id >> 30,
        ..FIRST => 0,
        _ => (1 << 60) - 1,
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

#[cfg(test)]
mod tests;
