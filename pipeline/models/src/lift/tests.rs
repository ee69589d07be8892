#![allow(clippy::unwrap_used, reason = "tests panic")]

use proptest::prelude::*;

use super::*;

const DAY: i64 = DAY_SECS;
const WEEK: i64 = WEEK_SECS;
/// A Monday.
const START: i64 = MONDAY_SECS + 2_900 * WEEK_SECS;

fn trials(weeks: i64, window_days: i64) -> Trials {
    Trials {
        period: START..START + weeks * WEEK,
        window_secs: window_days * DAY,
    }
}

/// Chance by a hash of what it is asked for.
struct Chance(u64);

impl Chance {
    /// Evenly between 0 and a million.
    fn millionth(&self, household: u64, what: u64) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.0, household);
        hasher.write_u64(what);
        hasher.finish() % 1_000_000
    }

    fn comes(&self, household: u64, what: u64, millionths: u64) -> bool {
        self.millionth(household, what) < millionths
    }
}

/// Households that differ in how much they hear and, by as much, in how often they buy; ads come with downloads by chance.
struct World {
    seed: u64,
    households: u64,
    /// How likely an ad comes with a download of the four weeks, in millionths.
    ad: u64,
    /// Purchases a day of a household that hears little, in millionths.
    buys: u64,
    /// What an ad adds once: the chance of a purchase the day after the first, in millionths.
    effect: u64,
    /// Weeks in which ads are.
    weeks: i64,
}

impl World {
    fn histories(&self) -> Vec<History> {
        (0..self.households).map(|it| self.history(it)).collect()
    }

    fn history(&self, number: u64) -> History {
        let chance = Chance(self.seed);
        let household = self.seed << 32 | number;
        let taste = [1, 1, 1, 2, 2, 4, 8][chance.millionth(household, 1) as usize % 7];
        let mut history = History {
            household,
            ..History::default()
        };
        for day in -60..60 {
            let of_day = |what: u64| what << 32 | (day + 100) as u64;
            let at = START + day * DAY;
            if chance.comes(household, of_day(2), taste * 80_000) {
                let secs = at + chance.millionth(household, of_day(3)) as i64 % DAY;
                history.downloads.push((secs, 1));
                let runs = (0..7 * self.weeks).contains(&day);
                if runs && chance.comes(household, of_day(4), self.ad) {
                    history.ads.push((secs, true));
                }
            }
            if chance.comes(household, of_day(5), taste * self.buys) {
                history.conversions.push(at + 60_000);
            }
        }
        if let Some((first, _)) = history.ads.first()
            && chance.comes(household, 6, self.effect)
        {
            history.conversions.push(first + DAY);
        }
        history
    }

    fn entries(&self, window_days: i64) -> Vec<Entry<Alike>> {
        let trials = trials(self.weeks, window_days);
        let histories = self.histories().into_iter();
        histories.flat_map(|history| trials.of(&history)).collect()
    }

    fn lift(&self, window_days: i64) -> Lift {
        lift(&self.entries(window_days))
    }
}

const fn null(seed: u64) -> World {
    World {
        seed,
        households: 700,
        ad: 200_000,
        buys: 600,
        effect: 0,
        weeks: 4,
    }
}

const fn covers(effect: &Effect, truth: i64) -> bool {
    effect.between.0 <= truth && truth <= effect.between.1
}

/// Nobody buys because of an ad: the interval has zero in it in 92 to 98 of 100 worlds, and the one of what came before too.
#[test]
fn without_an_effect_the_interval_covers_zero() {
    let (mut told, mut after, mut before, mut significant) = (0, 0, 0, 0);
    for seed in 0..500 {
        if let Lift {
            after: Some(then),
            before: Some(earlier),
            ..
        } = null(seed).lift(14)
        {
            told += 1;
            after += u32::from(covers(&then, 0));
            before += u32::from(covers(&earlier, 0));
            significant += u32::from(then.p < 50_000);
        }
    }
    let share = |count: u32| f64::from(count) / f64::from(told);
    assert!(told > 480, "{told}");
    assert!((0.92..=0.98).contains(&share(after)), "{after} of {told}");
    assert!((0.92..=0.98).contains(&share(before)), "{before} of {told}");
    assert!(
        (0.02..=0.08).contains(&share(significant)),
        "{significant} of {told}"
    );
}

/// Whoever hears much both hears the ad and buys more often: beside just any control there seems to be an effect.
#[test]
fn controls_that_are_not_alike_find_an_effect_that_is_none() {
    let mut covered = 0;
    for seed in 0..100 {
        let entries = null(seed).entries(14).into_iter();
        let any = entries.map(|entry| Entry {
            household: entry.household,
            stratum: (),
            side: entry.side,
            after: entry.after,
            before: entry.before,
        });
        let found = lift(&any.collect::<Vec<_>>());
        covered += u32::from(found.after.is_some_and(|after| covers(&after, 0)));
    }
    assert!(covered < 90, "{covered}");
}

/// One week of ads, each with a chance of a purchase: the interval has what that really added in 92 to 98 of 100 worlds.
#[test]
fn an_effect_is_found_as_large_as_it_is() {
    let world = |seed, effect| World {
        households: 2_500,
        ad: 400_000,
        weeks: 1,
        effect,
        ..null(seed)
    };
    let seeds = 1_000..1_150;
    let (mut added, mut exposed) = (0, 0);
    for seed in seeds.clone() {
        let bought = |effect| {
            let entries = world(seed, effect).entries(14).into_iter();
            let of = entries.filter(Entry::exposed).map(|it| i64::from(it.after));
            of.fold((0, 0), |(sum, count), after| (sum + after, count + 1))
        };
        let (with, count) = bought(60_000);
        (added, exposed) = (added + with - bought(0).0, exposed + count);
    }
    let truth = added * 1_000_000 / exposed;
    let (mut told, mut covered) = (0, 0);
    for seed in seeds {
        if let Some(after) = world(seed, 60_000).lift(14).after {
            told += 1;
            covered += u32::from(covers(&after, truth));
        }
    }
    let share = f64::from(covered) / f64::from(told);
    assert!(
        told > 147 && (0.92..=0.98).contains(&share),
        "{covered} of {told}"
    );
}

/// Controls that hear the ad later buy because of it too: the lift is told too small, and how many they are.
#[test]
fn controls_that_hear_it_later_make_the_lift_smaller() {
    let worlds = (0..60).map(|seed| World {
        effect: 100_000,
        ..null(seed)
    });
    let (mut sum, mut told) = (0, 0);
    for world in worlds {
        let found = world.lift(14);
        assert!(found.later > 0 && found.later < found.controls, "{found:?}");
        if let Some(after) = found.after {
            (sum, told) = (sum + after.difference, told + 1);
        }
    }
    let mean = sum / told;
    assert!((30_000..90_000).contains(&mean), "{mean}");
}

fn history(ads: &[(i64, bool)], downloads: &[i64]) -> History {
    let secs = |days: i64| START + days * DAY + 3_600;
    History {
        household: 5,
        downloads: downloads.iter().map(|day| (secs(*day), 1)).collect(),
        ads: ads
            .iter()
            .map(|(day, usable)| (secs(*day), *usable))
            .collect(),
        ..History::default()
    }
}

#[test]
fn a_household_is_a_control_until_it_hears_the_ad() {
    let parts = |ads: &[(i64, bool)], downloads: &[i64]| -> Vec<(i64, bool, bool)> {
        let found = trials(4, 14).of(&history(ads, downloads)).into_iter();
        let first = START.div_euclid(WEEK) + 1;
        found
            .map(|it| {
                (
                    it.stratum.week - first,
                    it.exposed(),
                    it.side == Side::HeardLater,
                )
            })
            .collect()
    };
    let control = |week, later| (week, false, later);
    assert_eq!(
        parts(&[], &[-1, 0, 6, 13, 28]),
        [control(0, false), control(1, false)]
    );
    assert_eq!(
        parts(&[(15, true), (22, true)], &[1, 8, 15, 22]),
        [control(0, false), control(1, true), (2, true, false)],
        "day 15 is within 14 days of day 8, not of day 1"
    );
    assert_eq!(
        parts(&[(8, false), (15, true)], &[1, 8, 15]),
        [control(0, true)],
        "not to be matched"
    );
    assert_eq!(parts(&[(-1, true)], &[0, 7]), [], "it knew the ad before");
    assert_eq!(
        parts(&[(8, true)], &[15]),
        [],
        "no download in the week of the ad"
    );
    let mut cut = trials(4, 14);
    cut.period.start += 2 * DAY;
    let heard_before = history(&[(1, true)], &[1, 3]);
    assert_eq!(
        cut.of(&heard_before),
        [],
        "in the week, but before the period"
    );
}

#[test]
fn windows_are_as_long_before_as_behind() {
    let of = |hours: i64| {
        let mut one = history(&[(8, true)], &[8]);
        let ad = START + 8 * DAY + 3_600;
        one.conversions.push(ad + hours * 3_600);
        let found = trials(4, 14).of(&one).pop().unwrap();
        (found.before, found.after)
    };
    let day = 24;
    let neither = (false, false);
    assert_eq!(
        [-14 * day - 1, -14 * day, -1].map(of),
        [neither, (true, false), (true, false)]
    );
    assert_eq!(
        [0, 14 * day - 1, 14 * day].map(of),
        [(false, true), (false, true), neither]
    );
}

#[test]
fn alike_is_who_did_alike_before() {
    let stratum = |change: fn(&mut History)| {
        let mut one = history(&[(8, true)], &[-19, 3, 8]);
        change(&mut one);
        trials(4, 14).of(&one).pop().unwrap().stratum
    };
    let plain = stratum(|_| {});
    assert_eq!((plain.downloads, plain.agents), (3, 1));
    assert!(!plain.visited && !plain.heard_others);
    assert_eq!(stratum(|one| one.downloads[0].1 = 2).agents, 2);
    assert_eq!(
        stratum(|one| one.downloads[0].0 -= 8 * DAY).downloads,
        2,
        "28 days before the week"
    );
    for days in [-19, 7] {
        let visit = START + days * DAY + 7_200;
        let mut one = history(&[(8, true)], &[8]);
        one.visits.push(visit);
        assert!(trials(4, 14).of(&one)[0].stratum.visited, "{days}");
        one.visits[0] = visit + 28 * DAY;
        assert!(!trials(4, 14).of(&one)[0].stratum.visited, "{days}");
    }
    assert!(stratum(|one| one.others.push(START)).heard_others);
    assert!(!stratum(|one| one.others.push(START + 9 * DAY)).heard_others);
}

#[test]
fn few_households_have_no_lift() {
    let entries = |exposed: u64, converted: u64| -> Vec<Entry<u8>> {
        let one = |household, exposed, after| Entry {
            household,
            stratum: 0,
            side: if exposed {
                Side::Exposed
            } else {
                Side::Control
            },
            after,
            before: false,
        };
        let controls = (0..100).map(|it| one(it, false, it < 5));
        let exposed = (0..exposed).map(|it| one(1_000 + it, true, it < converted));
        controls.chain(exposed).collect()
    };
    assert_eq!(lift(&entries(29, 9)).after, None);
    assert_eq!(lift(&entries(30, 4)).after, None);
    let found = lift(&entries(30, 6));
    let after = found.after.unwrap();
    assert_eq!(
        (after.exposed, after.controls, after.difference),
        (200_000, 50_000, 150_000)
    );
    assert!(after.between.0 < 150_000 && 150_000 < after.between.1);
    assert_eq!(found.before, None, "nobody converted before");
    assert_eq!(
        (found.exposed, found.compared, found.controls),
        (30, 30, 100)
    );
}

/// By hand: two strata, controls weighed as the exposed are, a stratum without controls left out.
#[test]
fn controls_are_weighed_as_the_exposed() {
    let mut entries = Vec::new();
    for (stratum, side, count, converted) in [
        (0, Side::Exposed, 60, 12),
        (0, Side::Control, 20, 2),
        (1, Side::Exposed, 20, 10),
        (1, Side::HeardLater, 40, 10),
        (2, Side::Exposed, 7, 7),
    ] {
        let households = entries.len() as u64 * 1_000;
        entries.extend((0..count).map(|number| Entry {
            household: households + number,
            stratum,
            side,
            after: number < converted,
            before: number >= converted,
        }));
    }
    let found = lift(&entries);
    let after = found.after.unwrap();
    assert_eq!(after.exposed, 275_000, "22 of 80");
    assert_eq!(after.controls, 137_500, "6 and 5 of 80");
    assert_eq!(
        found.before.unwrap().difference,
        -137_500,
        "58, and 54 and 15"
    );
    assert_eq!(
        (found.exposed, found.compared, found.controls, found.later),
        (87, 80, 60, 40)
    );
    assert!(
        after.p >= 50_000 && covers(&after, 0),
        "one says what the other does: {after:?}"
    );
}

proptest! {
    #[test]
    fn order_does_not_matter(seed in 0_u64..500, split in 0_usize..900) {
        let mut entries = null(seed).entries(14);
        let found = lift(&entries);
        let split = split % entries.len();
        entries.rotate_left(split);
        prop_assert_eq!(lift(&entries), found);
    }
}
