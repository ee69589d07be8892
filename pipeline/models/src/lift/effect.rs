//! The difference between exposed and controls, and how far it may be chance: households are drawn anew many times, as in
//! [`crate::bootstrap`], and the controls are weighed anew in each draw.

use std::collections::{BTreeMap, BTreeSet};

use crate::bootstrap::{DRAWS, INSIDE, UNITS_MIN, weight};

/// Fewer households that converted on either side say nothing about chance.
pub const CONVERTED_MIN: u64 = 5;

/// On which side a household is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// It heard the ad.
    Exposed,
    /// It did not, in all of the window.
    Control,
    /// A control that heard it within the window after all.
    HeardLater,
}

/// A household's part in one trial.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<S> {
    /// Whose: draws take or leave all of a household's parts.
    pub household: u64,
    /// Who is compared with whom.
    pub stratum: S,
    /// Exposed or control.
    pub side: Side,
    /// It converted within the window behind it.
    pub after: bool,
    /// It converted within the same window before it.
    pub before: bool,
}

impl<S> Entry<S> {
    /// It heard the ad.
    #[must_use]
    pub fn exposed(&self) -> bool {
        self.side == Side::Exposed
    }
}

/// Exposed households beside their controls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lift {
    /// Households exposed.
    pub exposed: u64,
    /// Of these, how many have controls that are alike.
    pub compared: u64,
    /// Households that are controls of them.
    pub controls: u64,
    /// Of these, how many heard the ad within the window after all, which makes the lift too small, never too large.
    pub later: u64,
    /// What followed.
    pub after: Option<Effect>,
    /// The same of what came before: what differed without the ad.
    pub before: Option<Effect>,
}

/// In millionths of the exposed households that are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Effect {
    /// How many of the exposed converted.
    pub exposed: i64,
    /// How many of the controls, weighed as the exposed are.
    pub controls: i64,
    /// The one less the other.
    pub difference: i64,
    /// In 95 of 100 draws it is between these.
    pub between: (i64, i64),
    /// How often chance alone would make a difference as large, in millionths; never 0.
    pub p: i64,
}

/// What of a stratum is summed.
#[derive(Clone, Copy, Default)]
struct Sums {
    exposed: i64,
    controls: i64,
    /// Converted after and before: exposed, controls.
    converted: [(i64, i64); 2],
}

/// Digits behind the point of an expected conversion, in bits.
const PARTS: u32 = 40;

/// Compares.
#[must_use]
pub fn lift<S: Ord + Copy>(entries: &[Entry<S>]) -> Lift {
    let strata: BTreeSet<S> = entries.iter().map(|entry| entry.stratum).collect();
    let places: BTreeMap<S, usize> = strata.into_iter().zip(0..).collect();
    let placed = entries.iter().map(|entry| Entry {
        household: entry.household,
        stratum: places.get(&entry.stratum).copied().unwrap_or_default(),
        side: entry.side,
        after: entry.after,
        before: entry.before,
    });
    let mut placed: Vec<Entry<usize>> = placed.collect();
    placed.sort_unstable_by_key(|entry| (entry.household, entry.stratum));
    let exposed = count(&placed, Entry::exposed);
    let whole = sums(&placed, places.len(), |_| 1);
    // What has nothing to be compared with would only be left out again in every draw.
    placed.retain(|entry| {
        let sum = whole.get(entry.stratum);
        sum.is_some_and(|sum| sum.exposed > 0 && sum.controls > 0)
    });
    let tell = [
        enough(&placed, |entry| entry.after),
        enough(&placed, |entry| entry.before),
    ];
    let drawn = if tell.contains(&true) {
        draws(&placed, places.len())
    } else {
        Vec::new()
    };
    let (after, before) = drawn.into_iter().unzip();
    Lift {
        exposed,
        compared: count(&placed, Entry::exposed),
        controls: count(&placed, |entry| !entry.exposed()),
        later: count(&placed, |entry| entry.side == Side::HeardLater),
        after: tell[0].then(|| effect(rates(&whole, 0), after)),
        before: tell[1].then(|| effect(rates(&whole, 1), before)),
    }
}

/// Households with a part that is wanted. Parts of a household stand together.
fn count(entries: &[Entry<usize>], wanted: impl Fn(&Entry<usize>) -> bool) -> u64 {
    let homes = entries.chunk_by(|a, b| a.household == b.household);
    homes.filter(|parts| parts.iter().any(&wanted)).count() as u64
}

/// Households enough on both sides, and of them enough that converted.
fn enough(entries: &[Entry<usize>], converted: impl Fn(&Entry<usize>) -> bool) -> bool {
    [true, false].into_iter().all(|side| {
        count(entries, |entry| entry.exposed() == side) >= UNITS_MIN as u64
            && count(entries, |it| it.exposed() == side && converted(it)) >= CONVERTED_MIN
    })
}

/// The differences of every draw, after and before; on all cores, in the order of the draws.
fn draws(entries: &[Entry<usize>], strata: usize) -> Vec<(i64, i64)> {
    let draw = |draw| {
        let sums = sums(entries, strata, |household| weight(household, draw));
        (rates(&sums, 0).2, rates(&sums, 1).2)
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let share = DRAWS.div_ceil(threads);
    std::thread::scope(|scope| {
        let parts = (0..threads).map(|part| {
            let of = part * share..DRAWS.min((part + 1) * share);
            scope.spawn(move || of.map(draw).collect::<Vec<_>>())
        });
        let parts: Vec<_> = parts.collect();
        let parts = parts.into_iter().map(|part| {
            let drawn = part.join();
            drawn.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        parts.flatten().collect()
    })
}

/// Sums of every stratum, each household so many times. Parts of a household stand together.
fn sums(entries: &[Entry<usize>], strata: usize, times: impl Fn(u64) -> i64) -> Vec<Sums> {
    let mut sums = vec![Sums::default(); strata];
    for parts in entries.chunk_by(|a, b| a.household == b.household) {
        let weight = parts.first().map_or(0, |entry| times(entry.household));
        if weight == 0 {
            continue;
        }
        for entry in parts {
            let Some(sum) = sums.get_mut(entry.stratum) else {
                continue;
            };
            if entry.exposed() {
                sum.exposed += weight;
            } else {
                sum.controls += weight;
            }
            let converted = [entry.after, entry.before];
            for ((exposed, controls), converted) in sum.converted.iter_mut().zip(converted) {
                let side = if entry.exposed() { exposed } else { controls };
                *side += weight * i64::from(converted);
            }
        }
    }
    sums
}

/// Of the exposed, of the controls as if they were the exposed, and the difference: millionths.
fn rates(sums: &[Sums], when: usize) -> (i64, i64, i64) {
    let (mut households, mut exposed, mut controls) = (0, 0, 0_i128);
    for sum in sums {
        let (of_exposed, of_controls) = sum.converted.get(when).copied().unwrap_or_default();
        let expected = (i128::from(sum.exposed) * i128::from(of_controls)) << PARTS;
        if let Some(expected) = expected.checked_div(i128::from(sum.controls)) {
            households += i128::from(sum.exposed);
            exposed += i128::from(of_exposed) << PARTS;
            controls += expected;
        }
    }
    let rate = |part: i128| {
        let whole = households << PARTS;
        let rounded = (part * 2_000_000 + whole).checked_div_euclid(2 * whole);
        rounded.map_or(0, |rate| i64::try_from(rate).unwrap_or(0))
    };
    let (exposed, controls) = (rate(exposed), rate(controls));
    (exposed, controls, exposed - controls)
}

fn effect((exposed, controls, difference): (i64, i64, i64), mut draws: Vec<i64>) -> Effect {
    draws.sort_unstable();
    let at = |place: usize| draws.get(place).copied().unwrap_or(difference);
    let below = draws.iter().filter(|draw| **draw <= 0).count() as u64;
    let above = draws.iter().filter(|draw| **draw >= 0).count() as u64;
    let chance = (2_000_000 * (below.min(above) + 1)) / (DRAWS + 1);
    Effect {
        exposed,
        controls,
        difference,
        between: (at(INSIDE.start), at(INSIDE.end)),
        p: chance.min(1_000_000).cast_signed(),
    }
}
