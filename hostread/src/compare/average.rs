//! Splits a gap by what differs, averaged over all orders of switching (Shapley).
//!
//! ```text
//!   part of i = sum over sets S without i of |S|! (n - |S| - 1)! / n! x (count(S and i) - count(S))
//! ```
//! Needs: the count under each set of switches. Promises: the parts of a group sum exactly to its gap, and no order of the
//! switches matters. Parts are whole sixtieths of a download: no weight of up to six switches has another denominator.

use std::collections::BTreeMap;

/// A part of 1 is a sixtieth of a download.
pub(crate) const PARTS: i64 = 60;
/// Weights of more are no whole sixtieths.
pub(crate) const SWITCHES_MAX: usize = 6;

/// Which switches are set: bit i says that i counts as theirs.
pub(crate) type Switches = u32;

/// What a group comes to: counts under no and all switches, and the sum's parts so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) ours: i64,
    pub(crate) theirs: i64,
    /// By switch, in sixtieths.
    pub(crate) parts: Vec<i64>,
}

/// Adds up counts, one set of switches after the other, in any order.
pub(crate) struct Average<K> {
    switches: usize,
    pub(crate) groups: BTreeMap<K, Split>,
}

impl<K: Ord> Average<K> {
    /// Of so many switches.
    pub(crate) const fn new(switches: usize) -> Self {
        assert!(switches <= SWITCHES_MAX, "weights are whole sixtieths");
        let groups = BTreeMap::new();
        Self { switches, groups }
    }

    /// All sets of switches.
    pub(crate) fn sets(&self) -> std::ops::Range<Switches> {
        0..1 << self.switches
    }

    /// Adds a group's count under a set of switches. A count that is not added is 0.
    pub(crate) fn add(&mut self, group: K, set: Switches, count: i64) {
        let all = self.sets().end - 1;
        let split = self.groups.entry(group).or_insert_with(|| Split {
            ours: 0,
            theirs: 0,
            parts: vec![0; self.switches],
        });
        if set == 0 {
            split.ours += count;
        }
        if set == all {
            split.theirs += count;
        }
        let others = self.switches as u64;
        let set_size = u64::from(set.count_ones());
        for (switch, part) in split.parts.iter_mut().enumerate() {
            if set >> switch & 1 == 1 {
                *part += count * weight(others, set_size - 1);
            } else {
                *part -= count * weight(others, set_size);
            }
        }
    }
}

/// In how many of sixty orders of n switches exactly a given set of so many comes before a given other one.
fn weight(switches: u64, before: u64) -> i64 {
    let factorial = |n: u64| (1..=n).product::<u64>();
    let orders = factorial(before) * factorial(switches - 1 - before) * PARTS as u64;
    (orders / factorial(switches)) as i64
}

/// Hundredths of a download that sum exactly to what the parts sum to, which are whole downloads: leftovers go to the largest
/// remainders, ties to the earlier part.
pub(crate) fn hundredths(parts: &[i64]) -> Vec<i64> {
    let scaled = parts.iter().map(|part| part * 100);
    let mut shown: Vec<i64> = scaled.clone().map(|part| part.div_euclid(PARTS)).collect();
    let left = scaled.clone().sum::<i64>() / PARTS - shown.iter().sum::<i64>();
    let mut by_remainder: Vec<(i64, usize)> = scaled
        .enumerate()
        .map(|(at, part)| (-part.rem_euclid(PARTS), at))
        .collect();
    by_remainder.sort_unstable();
    for (_, at) in by_remainder
        .into_iter()
        .take(usize::try_from(left).unwrap_or(0))
    {
        if let Some(part) = shown.get_mut(at) {
            *part += 1;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;
    use proptest::prelude::*;

    fn average(switches: usize, counts: &[i64]) -> Split {
        let mut average = Average::new(switches);
        for (set, count) in (0..).zip(counts) {
            average.add((), set, *count);
        }
        average.groups.remove(&()).unwrap()
    }

    fn games() -> impl Strategy<Value = (usize, Vec<i64>)> {
        (1..=SWITCHES_MAX).prop_flat_map(|switches| {
            let counts = prop::collection::vec(0..1_000_000_i64, 1 << switches);
            (Just(switches), counts)
        })
    }

    proptest! {
        /// Every order, one after the other: what each switch changed when its turn came.
        #[test]
        fn a_part_is_the_average_over_all_orders((switches, counts) in games()) {
            let all: Vec<usize> = (0..switches).collect();
            let split = average(switches, &counts);
            let mut expected = vec![0_i64; switches];
            let mut tell = |order: &[usize]| {
                let mut set = 0;
                for switch in order {
                    let then = set | 1 << switch;
                    expected[*switch] += counts[then] - counts[set];
                    set = then;
                }
            };
            let mut order = all.clone();
            let mut told = 0;
            permute(&mut order, 0, &mut |order| { tell(order); told += 1; });
            for (part, sum) in split.parts.iter().zip(&expected) {
                prop_assert_eq!(part * told, sum * PARTS);
            }
        }

        #[test]
        fn parts_sum_to_the_gap_whatever_is_counted((switches, counts) in games()) {
            let split = average(switches, &counts);
            prop_assert_eq!(split.ours, counts[0]);
            prop_assert_eq!(split.theirs, counts[counts.len() - 1]);
            let gap = split.theirs - split.ours;
            prop_assert_eq!(split.parts.iter().sum::<i64>(), gap * PARTS);
            prop_assert_eq!(hundredths(&split.parts).iter().sum::<i64>(), gap * 100);
        }

        /// Switch i is numbered `n - 1 - i`: the parts are the same ones in the other order.
        #[test]
        fn the_numbers_of_switches_do_not_matter((switches, counts) in games()) {
            let mirrored = |set: usize| (0..switches).fold(0, |all, bit| all << 1 | set >> bit & 1);
            let other: Vec<i64> = (0..counts.len()).map(|set| counts[mirrored(set)]).collect();
            let mut parts = average(switches, &other).parts;
            parts.reverse();
            prop_assert_eq!(parts, average(switches, &counts).parts);
        }
    }

    fn permute(order: &mut Vec<usize>, from: usize, each: &mut dyn FnMut(&[usize])) {
        if from == order.len() {
            return each(order);
        }
        for at in from..order.len() {
            order.swap(from, at);
            permute(order, from + 1, each);
            order.swap(from, at);
        }
    }

    #[test]
    fn what_two_switches_do_only_together_is_shared() {
        let split = average(2, &[100, 100, 100, 90]);
        assert_eq!(split.parts, [-5 * PARTS, -5 * PARTS]);
        let alone = average(2, &[100, 93, 100, 93]);
        assert_eq!(
            alone.parts,
            [-7 * PARTS, 0],
            "a switch that changes nothing has no part"
        );
        assert_eq!(average(0, &[5]).parts, [0; 0]);
    }

    #[test]
    fn hundredths_go_to_the_largest_remainders() {
        assert_eq!(hundredths(&[20, 20, 20]), [34, 33, 33]);
        assert_eq!(hundredths(&[-20, -20, -20]), [-33, -33, -34]);
        assert_eq!(hundredths(&[90, -30]), [150, -50]);
        assert_eq!(hundredths(&[]), [0; 0]);
    }
}
