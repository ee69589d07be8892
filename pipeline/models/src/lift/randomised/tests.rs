#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::hash::Hasher;

use proptest::prelude::*;
use siphasher::sip::SipHasher13;

use super::super::{DAY_SECS, Effect, Lift, lift};
use super::*;

/// A Monday.
const START: i64 = MONDAY_SECS + 2_900 * WEEK_SECS;
const DAY: i64 = DAY_SECS;

const fn trials() -> Trials {
    Trials {
        period: START..START + 4 * WEEK_SECS,
        window_secs: 14 * DAY,
    }
}

fn chances(ads: &[(i64, bool)], held_out: &[(i64, bool)]) -> Chances {
    let secs = |list: &[(i64, bool)]| {
        let secs = list
            .iter()
            .map(|(day, usable)| (START + day * DAY, *usable));
        secs.collect()
    };
    Chances {
        household: 5,
        ads: secs(ads),
        held_out: secs(held_out),
        conversions: Vec::new(),
    }
}

#[test]
fn the_first_chance_decides_the_side() {
    let side = |ads: &[(i64, bool)], held_out: &[(i64, bool)]| {
        let part = trials().drawn(&chances(ads, held_out))?;
        let week = (START - MONDAY_SECS) / WEEK_SECS;
        Some((part.stratum - week, part.side))
    };
    assert_eq!(side(&[], &[]), None, "no chance");
    assert_eq!(side(&[(8, true)], &[]), Some((1, Side::Exposed)));
    let crossed = side(&[(9, true)], &[(10, true), (8, true)]);
    assert_eq!(crossed, Some((1, Side::HeardLater)));
    let long_after = side(&[(22, true)], &[(8, true)]);
    assert_eq!(long_after, Some((1, Side::Control)), "behind the window");
    let then_withheld = side(&[(8, true)], &[(9, true)]);
    assert_eq!(then_withheld, Some((1, Side::Exposed)), "as it was drawn");
    assert_eq!(side(&[(8, true)], &[(8, true)]), None, "both at once");
    assert_eq!(
        side(&[], &[(8, false), (9, true)]),
        None,
        "not to be matched"
    );
    assert_eq!(side(&[(8, false), (9, true)], &[]), None);
    assert_eq!(side(&[(-1, true)], &[(3, true)]), None, "before the period");
    assert_eq!(side(&[], &[(28, true)]), None, "behind it");
}

#[test]
fn windows_are_as_long_before_as_behind() {
    for held_out in [false, true] {
        let of = |secs: i64| {
            let first = [(8, true)];
            let mut one = if held_out {
                chances(&[], &first)
            } else {
                chances(&first, &[])
            };
            one.conversions.push(START + 8 * DAY + secs);
            let part = trials().drawn(&one).unwrap();
            (part.before, part.after)
        };
        let window = 14 * DAY;
        let ought = [(false, false), (true, false), (true, false)];
        assert_eq!([-window - 1, -window, -1].map(of), ought);
        let ought = [(false, true), (false, true), (false, false)];
        assert_eq!([0, window - 1, window].map(of), ought);
    }
}

/// Households that differ in how much they hear and buy; three of ten are held out, and an ad adds `effect` purchases in a
/// million, once.
fn world(seed: u64, effect: u64) -> Lift {
    let parts = (0..900_u64).filter_map(|number| {
        let household = seed << 32 | number;
        let millionth = |what: u64| {
            let mut hasher = SipHasher13::new_with_keys(seed, number);
            hasher.write_u64(what);
            hasher.finish() % 1_000_000
        };
        let taste = [1, 1, 2, 4, 8][millionth(1) as usize % 5];
        let held_out = millionth(2) < 300_000;
        let mut it = Chances {
            household,
            ..Chances::default()
        };
        for day in -20..60_i64 {
            let of_day = |what: u64| what << 32 | (day + 100) as u64;
            let at = START + day * DAY;
            if (0..28).contains(&day) && millionth(of_day(3)) < taste * 30_000 {
                let chances = if held_out {
                    &mut it.held_out
                } else {
                    &mut it.ads
                };
                chances.push((at, true));
            }
            if millionth(of_day(4)) < taste * 1_000 {
                it.conversions.push(at + 60_000);
            }
        }
        let bought = millionth(5) < effect;
        it.conversions
            .extend(it.ads.first().filter(|_| bought).map(|ad| ad.0 + DAY));
        trials().drawn(&it)
    });
    lift(&parts.collect::<Vec<_>>())
}

const fn covers(effect: &Effect, truth: i64) -> bool {
    effect.between.0 <= truth && truth <= effect.between.1
}

/// Nobody buys because of an ad, and who hears much buys much: the interval has zero in it in 92 to 98 of 100 worlds.
#[test]
fn without_an_effect_the_interval_covers_zero() {
    let (mut told, mut after, mut before) = (0, 0, 0);
    for seed in 0..500 {
        let found = world(seed, 0);
        let (Some(then), Some(earlier)) = (found.after, found.before) else {
            continue;
        };
        told += 1;
        after += u32::from(covers(&then, 0));
        before += u32::from(covers(&earlier, 0));
        assert_eq!(found.later, 0, "nobody that is held out hears it");
    }
    let share = |count: u32| f64::from(count) / f64::from(told);
    assert!(told > 480, "{told}");
    assert!((0.92..=0.98).contains(&share(after)), "{after} of {told}");
    assert!((0.92..=0.98).contains(&share(before)), "{before} of {told}");
}

/// One of ten buys because of the ad, if it had not bought anyway: some 2 of 100 had.
#[test]
fn an_effect_is_found() {
    let found = (0..60).map(|seed| world(seed, 100_000).after.unwrap());
    let found: Vec<Effect> = found.collect();
    let mean = found.iter().map(|it| it.difference).sum::<i64>() / 60;
    assert!((80_000..100_000).contains(&mean), "{mean}");
    let covered = found.iter().filter(|it| covers(it, mean)).count();
    assert!(covered >= 53, "{covered}");
}

#[test]
fn a_draw_is_not_trusted_that_is_far_from_what_was_said() {
    assert!(drawn_as_said(0, 0, 10), "nobody, no doubt");
    // 100 of 1,000 are to be; the standard deviation is 9.49, and 3.29 of them are 31.2.
    let trusted = |held_out| drawn_as_said(held_out, 1_000, 10);
    assert_eq!([68, 69, 131, 132].map(trusted), [false, true, true, false]);
    assert!(!drawn_as_said(u64::MAX / 2, u64::MAX, 99), "no overflow");
}

proptest! {
    /// Shuffled and said twice, it is the same part.
    #[test]
    fn order_does_not_matter(
        ads in proptest::collection::vec((-3_i64..32, any::<bool>()), 0..5),
        held_out in proptest::collection::vec((-3_i64..32, any::<bool>()), 0..5),
    ) {
        let one = chances(&ads, &held_out);
        let mut other = one.clone();
        other.ads.reverse();
        other.held_out.extend_from_within(..);
        prop_assert_eq!(trials().drawn(&other), trials().drawn(&one));
    }
}
