//! When to give memory back, and the facts that then carry the numbers on.

use hostread_dataflow::Material;
use hostread_journal::ReleaseRecord;
use hostread_rules::Horizons;
use hostread_schemas::fact::{Carry, Fact, FactBody};
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{Day, EventTimeMs, Tick};

/// Kind of the derived ids of carries.
const CARRY: u8 = 0xC0;

/// What the clock allows to release beyond what is released; `None` when that is nothing.
pub(crate) fn due(
    horizons: &Horizons,
    clock: EventTimeMs,
    released: Option<ReleaseRecord>,
) -> Option<ReleaseRecord> {
    if clock.0 <= 0 {
        return None;
    }
    let through = ReleaseRecord {
        exposures_through: horizons.exposures_released_through(clock),
        conversions_through: horizons.conversions_released_through(clock),
    };
    match released {
        Some(released)
            if released.exposures_through >= through.exposures_through
                && released.conversions_through >= through.conversions_through =>
        {
            None
        }
        _ => Some(through),
    }
}

/// When no span of 30 days reaches back to a day any more.
pub(crate) const fn presence_until(day: Day) -> Day {
    Day(day.0.saturating_add(30))
}

/// The facts of a release's carries. A receipt belongs to the day of its conversion's last signal,
/// so that it goes with it; sums stay.
pub(crate) fn carry_facts(
    hasher: IdHasher,
    tick: Tick,
    clock: EventTimeMs,
    carries: Vec<Material>,
) -> impl Iterator<Item = Fact> {
    carries
        .into_iter()
        .enumerate()
        .map(move |(index, material)| {
            let time = match material.carry {
                Carry::Receipt { .. } => material.day.start(),
                Carry::Signal { until, .. } => until.start(),
                Carry::Presence { day, .. } => presence_until(day).start(),
                _ => clock,
            };
            Fact {
                tenant: material.tenant,
                time,
                id: hasher.derived(CARRY, &[tick.0, index as u64]),
                body: FactBody::Carry(material.carry),
            }
        })
}
