//! When to give memory back, and the facts that then carry the numbers on.

use std::collections::BTreeMap;

use hostread_dataflow::Material;
use hostread_journal::ReleaseRecord;
use hostread_rules::Horizons;
use hostread_rules::anomaly::HOURS_AFTER;
use hostread_schemas::fact::{Carry, Fact, FactBody, RetentionClass, Series};
use hostread_schemas::intern::IdHasher;
use hostread_schemas::view::Period;
use hostread_schemas::{Day, EventId, EventTimeMs, LineId, TenantId, Tick};

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

/// The last day that takes nothing more: sealed, or released already under a shorter horizon, before an operator chose a longer
/// one. Nothing would give back what came for a day behind its release.
pub(crate) fn sealed_through(
    horizons: &Horizons,
    clock: EventTimeMs,
    released: Option<ReleaseRecord>,
) -> Day {
    let sealed = horizons.sealed_through(clock);
    released.map_or(sealed, |released| {
        sealed
            .max(released.exposures_through)
            .max(released.conversions_through)
    })
}

/// When no span of 30 days reaches back to a day any more.
pub(crate) const fn presence_until(day: Day) -> Day {
    Day(day.0.saturating_add(30))
}

/// What is carried of a line's month, or of a series, and may be one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Pile {
    Delivery(TenantId, LineId, Period),
    Credits(TenantId, LineId, Period),
    Series(TenantId, Series),
}

impl Pile {
    /// Where a carry belongs; `None` while it must stand alone.
    fn of(tenant: TenantId, carry: &Carry, through: ReleaseRecord) -> Option<Self> {
        let is_over = |day, through| Period::of(day).end() <= through;
        match *carry {
            // What was heard on the first day that is live may count for the day before, in its zone.
            Carry::Delivery { line, day, .. } => is_over(day, through.exposures_through)
                .then(|| Self::Delivery(tenant, line, Period::of(day))),
            Carry::Credits { line, day, .. } => is_over(day, through.conversions_through)
                .then(|| Self::Credits(tenant, line, Period::of(day))),
            Carry::Series { series, hour, .. } => {
                let through = match series {
                    Series::ShowDownloads(_) => through.exposures_through,
                    Series::CampaignConversions(_) => through.conversions_through,
                };
                let first = Day(through.0.saturating_add(1)).start().hour();
                let is_past = hour.0.saturating_add(HOURS_AFTER) < first.0;
                is_past.then_some(Self::Series(tenant, series))
            }
            _ => None,
        }
    }
}

/// See [`pile`].
pub(crate) struct Piled {
    /// Carries of before that go.
    pub(crate) gone: Vec<EventId>,
    /// What is carried now.
    pub(crate) carries: Vec<Material>,
}

/// What would grow with every day is made one: of a month the sum, of hours that judge no hour any
/// more the last one, which says that the series had begun. `standing` is what was carried before.
pub(crate) fn pile<'a>(
    standing: impl Iterator<Item = &'a Fact>,
    carries: Vec<Material>,
    through: ReleaseRecord,
) -> Piled {
    let mut piles: BTreeMap<Pile, Vec<(Option<EventId>, Material)>> = BTreeMap::new();
    let mut alone = Vec::new();
    for fact in standing {
        let FactBody::Carry(carry) = &fact.body else {
            continue;
        };
        if let Some(pile) = Pile::of(fact.tenant, carry, through) {
            let material = Material {
                class: RetentionClass::Reference,
                day: fact.time.day(),
                tenant: fact.tenant,
                carry: carry.clone(),
            };
            piles
                .entry(pile)
                .or_default()
                .push((Some(fact.id), material));
        }
    }
    for material in carries {
        match Pile::of(material.tenant, &material.carry, through) {
            Some(pile) => piles.entry(pile).or_default().push((None, material)),
            None => alone.push(material),
        }
    }
    let mut piled = Piled {
        gone: Vec::new(),
        carries: alone,
    };
    for (_, pile) in piles {
        if let [(Some(_), _)] = pile[..] {
            continue;
        }
        piled.gone.extend(pile.iter().filter_map(|(id, _)| *id));
        let one = pile.into_iter().map(|(_, material)| material).reduce(sum);
        piled.carries.extend(one);
    }
    piled
}

/// Two carries of a pile as one.
fn sum(mut one: Material, other: Material) -> Material {
    match (&mut one.carry, other.carry) {
        (
            Carry::Delivery {
                day,
                delivered,
                billable,
                last_hour,
                ..
            },
            Carry::Delivery {
                day: other_day,
                delivered: more,
                billable: more_billable,
                last_hour: other_hour,
                ..
            },
        ) => {
            *day = other_day.max(*day);
            *delivered = delivered.saturating_add(more);
            *billable = billable.saturating_add(more_billable);
            *last_hour = other_hour.max(*last_hour);
        }
        (
            Carry::Credits { day, credits, .. },
            Carry::Credits {
                day: other_day,
                credits: more,
                ..
            },
        ) => {
            *day = other_day.max(*day);
            *credits = credits.saturating_add(more);
        }
        (
            Carry::Series { hour, count, .. },
            Carry::Series {
                hour: other_hour,
                count: other_count,
                ..
            },
        ) if other_hour > *hour => (*hour, *count) = (other_hour, other_count),
        _ => {}
    }
    one
}

/// The facts of a release's carries. A receipt belongs to the day of its conversion's last signal, and open windows to the day
/// that they go into, so that they go with it; sums stay.
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
                Carry::Windows { day, .. } => day.end(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use hostread_schemas::{Hour, ShowId};

    const TENANT: TenantId = TenantId(1);
    /// 2026-03-05.
    const THROUGH: ReleaseRecord = ReleaseRecord {
        exposures_through: Day(20_517),
        conversions_through: Day(20_517),
    };

    fn material(carry: Carry) -> Material {
        Material {
            class: RetentionClass::Exposure,
            day: THROUGH.exposures_through,
            tenant: TENANT,
            carry,
        }
    }

    fn ads(day: i32, delivered: i64) -> Carry {
        Carry::Delivery {
            line: LineId(1),
            day: Day(day),
            delivered,
            billable: delivered - 1,
            last_hour: Hour(day * 24),
        }
    }

    fn hour(hour: i32) -> Carry {
        Carry::Series {
            series: Series::ShowDownloads(ShowId(1)),
            hour: Hour(hour),
            count: 5,
        }
    }

    fn standing(id: u64, carry: Carry) -> Fact {
        Fact {
            tenant: TENANT,
            time: EventTimeMs(0),
            id: EventId { hi: 0, lo: id },
            body: FactBody::Carry(carry),
        }
    }

    fn piled(before: &[Carry], now: Vec<Carry>) -> (Vec<u64>, Vec<Carry>) {
        let before: Vec<Fact> = (0..)
            .zip(before)
            .map(|(id, c)| standing(id, c.clone()))
            .collect();
        let now = now.into_iter().map(material).collect();
        let piled = pile(before.iter(), now, THROUGH);
        let carries = piled.carries.into_iter().map(|material| material.carry);
        (
            piled.gone.iter().map(|id| id.lo).collect(),
            carries.collect(),
        )
    }

    #[test]
    fn a_longer_horizon_opens_no_day_that_was_released() {
        let of = |horizon_days| Horizons {
            horizon_days,
            lookback_days: 2,
            conversion_days: 9,
            ..Horizons::default()
        };
        let clock = Day(20_517).start();
        let released = due(&of(3), clock, None);
        let through = released.expect("days are over").exposures_through;
        assert!(of(30).sealed_through(clock) < through);
        assert_eq!(sealed_through(&of(30), clock, released), through);
        let sealed = of(3).sealed_through(clock);
        assert_eq!(sealed_through(&of(3), clock, released), sealed);
        assert_eq!(sealed_through(&of(3), clock, None), sealed);
    }

    #[test]
    fn a_month_that_is_released_is_one_sum() {
        // February ends with day 20,512.
        let (gone, carries) = piled(&[ads(20_500, 7), ads(20_513, 2)], vec![ads(20_512, 4)]);
        let sum = Carry::Delivery {
            line: LineId(1),
            day: Day(20_512),
            delivered: 11,
            billable: 9,
            last_hour: Hour(20_512 * 24),
        };
        assert_eq!((gone, carries), (vec![0], vec![sum]));
        assert_eq!(piled(&[ads(20_500, 7)], vec![]), (vec![], vec![]));
    }

    #[test]
    fn a_series_keeps_what_judges_a_live_hour() {
        let first_live = 20_518 * 24;
        let needed = first_live - HOURS_AFTER;
        let before = [hour(needed - 9), hour(needed - 3), hour(needed)];
        let now = vec![hour(needed - 1), hour(needed + 1)];
        let kept = vec![hour(needed + 1), hour(needed - 1)];
        assert_eq!(piled(&before, now), (vec![0, 1], kept));
        assert_eq!(piled(&before[1..2], vec![]), (vec![], vec![]));
    }
}
