//! How far the difference of two models may be chance: shares of parts, drawn anew many times over the units that made them.
//!
//! Needs: units (households) with what each gave to each part under two models; a unit's number is its own and stays.
//! Promises: integers only; the same units give the same interval in whatever order they come, and another one more changes no draw
//! of the rest. Leaves out: what is not chance over units, above all whether either model is right.
//!
//! A draw gives each unit a weight, Poisson with mean 1, by a hash of the unit and the draw: the bootstrap for data of which one
//! does not know how much more will come (Chamandy et al., "Estimating Uncertainty for Massive Data Streams", 2012).

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::ops::Range;

use siphasher::sip::SipHasher13;

/// Draws of an interval. More: it is smoother, and takes longer.
pub const DRAWS: u64 = 1_000;
/// Of so many draws, in order, the interval is from this one to that one: 95% of them.
pub(crate) const INSIDE: Range<usize> = 24..975;
/// Fewer units say nothing about chance.
pub const UNITS_MIN: usize = 30;

/// 2^64 times the chance that Poisson with mean 1 is at most 0, 1, 2, …; more than 16 never comes.
const AT_MOST: [u64; 16] = [
    0x5e2d_58d8_b3bc_df1a,
    0xbc5a_b1b1_6779_be35,
    0xeb71_5e1d_c158_2dc2,
    0xfb23_9797_34a2_52f1,
    0xff10_25f5_9174_dc3d,
    0xffd9_0f3b_a405_5e19,
    0xfffa_8b71_fc72_c913,
    0xffff_540c_0914_b3c9,
    0xffff_ed1f_4aa8_f120,
    0xffff_fe21_6e64_1462,
    0xffff_ffd4_d85d_3183,
    0xffff_fffc_6da2_62b4,
    0xffff_ffff_ba12_d178,
    0xffff_ffff_fb07_c64c,
    0xffff_ffff_ffab_8ea5,
    0xffff_ffff_fffa_be22,
];

/// What one unit gave to parts under both models, in millionths of a conversion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unit<P> {
    /// Tells it from all others.
    pub number: u64,
    /// Part, under the one model, under the other.
    pub gave: Vec<(P, i64, i64)>,
}

/// A part's share of all under two models, in millionths.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Apart {
    /// Under the one model.
    pub one: i64,
    /// Under the other.
    pub other: i64,
    /// The one less the other.
    pub difference: i64,
    /// In 95 of 100 draws the difference is between these, both included; none of fewer than [`UNITS_MIN`] units.
    pub between: Option<(i64, i64)>,
}

/// Every part's shares, and how far apart they are.
#[must_use]
pub fn apart<P: Ord + Clone>(units: &[Unit<P>]) -> BTreeMap<P, Apart> {
    let parts: BTreeMap<&P, usize> = {
        let gave = units.iter().flat_map(|unit| &unit.gave);
        let names: std::collections::BTreeSet<&P> = gave.map(|(part, ..)| part).collect();
        names.into_iter().zip(0..).collect()
    };
    let placed: Vec<(u64, Vec<(usize, i64, i64)>)> = units
        .iter()
        .map(|unit| {
            let gave = unit.gave.iter();
            let gave =
                gave.filter_map(|(part, one, other)| Some((*parts.get(part)?, *one, *other)));
            (unit.number, gave.collect())
        })
        .collect();
    let whole = sums(&placed, parts.len(), |_| 1);
    let mut draws: Vec<Vec<i64>> = vec![Vec::new(); parts.len()];
    if units.len() >= UNITS_MIN {
        for draw in 0..DRAWS {
            let drawn = sums(&placed, parts.len(), |unit| weight(unit, draw));
            for (differences, shares) in draws.iter_mut().zip(shares(&drawn)) {
                differences.push(shares.difference);
            }
        }
    }
    let shares = shares(&whole);
    let found = parts.into_keys().zip(shares.into_iter().zip(draws));
    found
        .map(|(part, (shares, mut differences))| {
            differences.sort_unstable();
            let at = |place: usize| differences.get(place).copied();
            let between = at(INSIDE.start).zip(at(INSIDE.end));
            (part.clone(), Apart { between, ..shares })
        })
        .collect()
}

/// What all units gave to each part, each unit so many times.
fn sums(
    units: &[(u64, Vec<(usize, i64, i64)>)],
    parts: usize,
    times: impl Fn(u64) -> i64,
) -> Vec<(i128, i128)> {
    let mut sums = vec![(0, 0); parts];
    for (number, gave) in units {
        let times = i128::from(times(*number));
        for (part, one, other) in gave {
            if let Some(sum) = sums.get_mut(*part) {
                sum.0 += times * i128::from(*one);
                sum.1 += times * i128::from(*other);
            }
        }
    }
    sums
}

fn shares(sums: &[(i128, i128)]) -> Vec<Apart> {
    let one: i128 = sums.iter().map(|sum| sum.0).sum();
    let other: i128 = sums.iter().map(|sum| sum.1).sum();
    let share = |sum: &(i128, i128)| {
        let (one, other) = (millionths(sum.0, one), millionths(sum.1, other));
        Apart {
            one,
            other,
            difference: one - other,
            between: None,
        }
    };
    sums.iter().map(share).collect()
}

/// A part of a whole to the nearest millionth; 0 of nothing.
fn millionths(part: i128, whole: i128) -> i64 {
    if whole <= 0 {
        return 0;
    }
    i64::try_from((2_000_000 * part + whole).div_euclid(2 * whole)).unwrap_or(0)
}

/// How often a unit comes in a draw.
pub(crate) fn weight(unit: u64, draw: u64) -> i64 {
    let mut hasher = SipHasher13::new_with_keys(unit, draw);
    hasher.write_u8(0);
    let drawn = hasher.finish();
    AT_MOST.iter().map(|most| i64::from(drawn >= *most)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Households with one conversion each, by two campaigns in turn: the last touch is of `a` in so many of 1,000.
    fn world(seed: u64, households: u64, a_last_permille: u64) -> Vec<Unit<&'static str>> {
        let household = |number: u64| {
            let mut hasher = SipHasher13::new_with_keys(seed, 77);
            hasher.write_u64(number);
            let is_a = i64::from(hasher.finish() % 1_000 < a_last_permille);
            Unit {
                number: seed << 32 | number,
                gave: vec![
                    ("a", 1_000_000 * is_a, 500_000),
                    ("b", 1_000_000 * (1 - is_a), 500_000),
                ],
            }
        };
        (0..households).map(household).collect()
    }

    #[test]
    fn weights_are_poisson_with_mean_one() {
        let mut chance = (-1.0_f64).exp();
        let mut at_most = chance;
        for (count, most) in AT_MOST.into_iter().enumerate() {
            let table = most as f64 / 2.0_f64.powi(64);
            assert!(
                (table - at_most).abs() < 1e-12,
                "{count}: {table} {at_most}"
            );
            chance /= (count + 1) as f64;
            at_most += chance;
        }
        let drawn: Vec<i64> = (0..100_000).map(|unit| weight(unit, 5)).collect();
        let mean = drawn.iter().sum::<i64>() as f64 / 1e5;
        let square = drawn.iter().map(|it| it * it).sum::<i64>() as f64 / 1e5;
        assert!((mean - 1.0).abs() < 0.02 && (square - mean * mean - 1.0).abs() < 0.03);
    }

    /// Worlds whose truth is known: the interval covers it in about 95 of 100.
    #[test]
    fn the_interval_covers_the_truth_as_often_as_it_says() {
        let mut covered = 0;
        for seed in 0..400 {
            let found = apart(&world(seed, 120, 620));
            let (low, high) = found["a"].between.expect("households enough");
            covered += u32::from(low <= 120_000 && 120_000 <= high);
            assert!(high - low > 100_000 && high - low < 300_000);
        }
        assert!((368..=392).contains(&covered), "{covered} of 400");
    }

    #[test]
    fn few_households_have_no_interval() {
        let few = UNITS_MIN as u64 - 1;
        assert_eq!(apart(&world(1, few, 500))["a"].between, None);
        assert!(apart(&world(1, few + 1, 500))["a"].between.is_some());
        assert_eq!(apart::<u8>(&[]), BTreeMap::new());
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_shares_are_exact(seed in 0_u64..1_000, split in 0_usize..40) {
            let units = world(seed, 40, 300);
            let mut turned = units.clone();
            turned.rotate_left(split);
            let found = apart(&units);
            prop_assert_eq!(&apart(&turned), &found);
            let a = units.iter().filter(|unit| unit.gave[0].1 > 0).count() as i64;
            prop_assert_eq!(found["a"].one, a * 25_000);
            prop_assert_eq!(found["a"].other, 500_000);
            prop_assert_eq!(found["a"].difference, a * 25_000 - 500_000);
            let (low, high) = found["a"].between.expect("households enough");
            prop_assert!(low <= high);
            prop_assert_eq!(found["b"].between, Some((-high, -low)));
        }
    }
}
