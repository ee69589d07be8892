//! Hours of a series that stand out (definition 18): robust z over the 48 hours before.
//!
//! Needs: the hours with a count. Promises: an hour without a count is 0; a long gap costs no more than 48
//! hours; O(48) a judged hour with small constants, the deviation only where the distance could matter.
//! Leaves out: what the series counts.
//! Invariant 1: an hour is judged by hours before it only.

use std::collections::BTreeMap;
use std::ops::Range;

use hostread_schemas::Hour;
use hostread_schemas::view::AnomalyRow;

/// Hours before that an hour is judged by, at most.
const HOURS_BEFORE_MAX: usize = 48;
/// Hours before that are needed to judge.
const HOURS_BEFORE_MIN: usize = 24;
/// Robust z in thousandths that is flagged.
const SCORE_MILLI_MIN: i128 = 3_500;
/// Distance to the median that is flagged: small counts always scatter.
const DISTANCE_MIN: u64 = 10;

/// How far a count reaches: the hours after its own that are judged by it.
pub const HOURS_AFTER: i32 = HOURS_BEFORE_MAX as i32;

/// The hours that are flagged among those to be judged. Reads these and the 48 before.
#[must_use]
pub fn flags(hours: &BTreeMap<Hour, i64>, judged: Range<Hour>) -> Vec<(Hour, AnomalyRow)> {
    let first = hours.iter().find(|(_, count)| **count != 0);
    first.map_or_else(Vec::new, |(first, _)| flags_since(*first, hours, judged))
}

/// As [`flags`], of a series that begins with an hour, also if nothing was counted in it.
#[must_use]
pub fn flags_since(
    first: Hour,
    hours: &BTreeMap<Hour, i64>,
    judged: Range<Hour>,
) -> Vec<(Hour, AnomalyRow)> {
    let mut flagged = Vec::new();
    let begin = judged.start.0.saturating_sub(HOURS_AFTER).max(first.0);
    if begin >= judged.end.0 {
        return flagged;
    }
    let mut before = Before::default();
    let mut judge = |hour: i64, count: i64| {
        if hour >= i64::from(judged.start.0)
            && let Some(row) = before.judge(count)
        {
            flagged.extend(i32::try_from(hour).ok().map(|hour| (Hour(hour), row)));
        }
        before.push(count);
    };
    let counts = hours.range(Hour(begin)..judged.end);
    let counts = counts.map(|(hour, count)| (hour.0, Some(*count)));
    let mut next = i64::from(begin);
    for (hour, count) in counts.chain([(judged.end.0, None)]) {
        let hour = i64::from(hour);
        // After 48 empty hours further ones change nothing and cannot stand out.
        let empty = (hour - next).min(HOURS_BEFORE_MAX as i64);
        for hour in next..next + empty {
            judge(hour, 0);
        }
        if let Some(count) = count {
            judge(hour, count);
        }
        next = hour + 1;
    }
    flagged
}

/// The counts of the hours before: in order of time and sorted.
struct Before {
    ring: [i64; HOURS_BEFORE_MAX],
    oldest: usize,
    sorted: Vec<i64>,
}

impl Default for Before {
    fn default() -> Self {
        Self {
            ring: [0; HOURS_BEFORE_MAX],
            oldest: 0,
            sorted: Vec::with_capacity(HOURS_BEFORE_MAX),
        }
    }
}

impl Before {
    fn push(&mut self, count: i64) {
        let gone = std::mem::replace(&mut self.ring[self.oldest], count);
        self.oldest = (self.oldest + 1) % HOURS_BEFORE_MAX;
        let to = self.sorted.partition_point(|x| *x < count);
        if self.sorted.len() < HOURS_BEFORE_MAX {
            self.sorted.insert(to, count);
            return;
        }
        // What lies between the place of the one that goes and the new one's moves by one.
        let from = self.sorted.partition_point(|x| *x < gone);
        let to = if from < to {
            self.sorted.copy_within(from + 1..to, from);
            to - 1
        } else {
            self.sorted.copy_within(to..from, to + 1);
            to
        };
        if let Some(place) = self.sorted.get_mut(to) {
            *place = count;
        }
    }

    fn judge(&self, count: i64) -> Option<AnomalyRow> {
        if self.sorted.len() < HOURS_BEFORE_MIN {
            return None;
        }
        let middle = (self.sorted.len() - 1) / 2;
        let median = *self.sorted.get(middle)?;
        if count.abs_diff(median) < DISTANCE_MIN || !self.may_stand_out(count, middle, median) {
            return None;
        }
        let mad = self.deviation(middle, median);
        let distance = i128::from(count) - i128::from(median);
        let score = 6745 * distance / (10 * i128::from(mad.max(1)));
        (score.abs() >= SCORE_MILLI_MIN).then(|| AnomalyRow {
            count,
            median,
            mad: i64::try_from(mad).unwrap_or(i64::MAX),
            score_milli: score.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64,
        })
    }

    /// The score reaches its limit exactly when the deviation is at most `6745 x distance / 35000`,
    /// that is when more than `middle` counts lie so near to the median. Cheaper than the deviation.
    fn may_stand_out(&self, count: i64, middle: usize, median: i64) -> bool {
        let distance = i128::from(count.abs_diff(median));
        let near = 6745 * distance / (10 * SCORE_MILLI_MIN);
        let median = i128::from(median);
        let from = self
            .sorted
            .partition_point(|x| i128::from(*x) < median - near);
        let to = self
            .sorted
            .partition_point(|x| i128::from(*x) <= median + near);
        near >= 1 && to - from > middle
    }

    /// The lower median of the distances to the median: they grow on both sides of it.
    fn deviation(&self, middle: usize, median: i64) -> u64 {
        let (mut left, mut right) = (middle, middle + 1);
        let mut deviation = 0;
        for _ in 0..middle {
            let down = left.checked_sub(1).and_then(|at| self.sorted.get(at));
            let up = self.sorted.get(right);
            let (down, up) = (
                down.map(|x| x.abs_diff(median)),
                up.map(|x| x.abs_diff(median)),
            );
            if down.is_some_and(|down| up.is_none_or(|up| down <= up)) {
                left -= 1;
                deviation = down.unwrap_or(deviation);
            } else {
                right += 1;
                deviation = up.unwrap_or(deviation);
            }
        }
        deviation
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All hours before the clock's.
    fn until(hours: &[(Hour, i64)], clock: Hour) -> Vec<(Hour, AnomalyRow)> {
        flags(&hours.iter().copied().collect(), Hour(i32::MIN)..clock)
    }

    /// Definition 18 as it reads.
    fn naively(hours: &[(Hour, i64)], clock: Hour) -> Vec<(Hour, AnomalyRow)> {
        let count = |at: i32| {
            hours
                .iter()
                .find(|(hour, _)| hour.0 == at)
                .map_or(0, |(_, count)| *count)
        };
        let first = hours
            .iter()
            .find(|(_, count)| *count != 0)
            .map_or(clock, |(hour, _)| *hour);
        let middle = |mut of: Vec<i64>| {
            of.sort_unstable();
            of[(of.len() - 1) / 2]
        };
        let mut flagged = Vec::new();
        for hour in first.0..clock.0 {
            let before: Vec<i64> = (first.0.max(hour - 48)..hour).map(count).collect();
            if before.len() < 24 {
                continue;
            }
            let x = count(hour);
            let median = middle(before.clone());
            let mad = middle(before.iter().map(|y| (y - median).abs()).collect());
            let score_milli = 6745 * (x - median) / (10 * mad.max(1));
            if score_milli.abs() >= 3500 && (x - median).abs() >= 10 {
                flagged.push((
                    Hour(hour),
                    AnomalyRow {
                        count: x,
                        median,
                        mad,
                        score_milli,
                    },
                ));
            }
        }
        flagged
    }

    fn series(from: i32, counts: &[i64]) -> Vec<(Hour, i64)> {
        let hour = |(at, count): (usize, &i64)| (Hour(from + at as i32), *count);
        counts
            .iter()
            .enumerate()
            .map(hour)
            .filter(|(_, count)| *count != 0)
            .collect()
    }

    #[test]
    fn a_spike_is_flagged_once_a_day_is_known() {
        let mut counts = [100_i64, 104, 96].repeat(9);
        counts[23] = 900;
        counts[26] = 900;
        let hours = series(1000, &counts);
        let row = AnomalyRow {
            count: 900,
            median: 100,
            mad: 4,
            score_milli: 134_900,
        };
        assert_eq!(until(&hours, Hour(1027)), [(Hour(1026), row)]);
        assert_eq!(until(&hours, Hour(1026)), [], "its hour is not closed");
    }

    #[test]
    fn silence_is_flagged_until_it_is_normal() {
        let hours = series(0, &[50; 24]);
        let flagged: Vec<i32> = until(&hours, Hour(5_000_000))
            .iter()
            .map(|(hour, _)| hour.0)
            .collect();
        // The lower median of 24 + 24 hours is 0 already.
        assert_eq!(flagged, (24..48).collect::<Vec<_>>());
    }

    #[test]
    fn limits_are_inclusive() {
        let last = |distance: i64| {
            let mut counts = [100_i64, 101, 99].repeat(8);
            counts.push(100 + distance);
            until(&series(0, &counts), Hour(25)).len()
        };
        assert_eq!(
            [last(9), last(10), last(-9), last(-10)],
            [0, 1, 0, 1],
            "the distance"
        );
        let wide = |distance: i64| {
            let mut counts = [1000_i64, 1000 + 674_500, 1000 - 674_500].repeat(8);
            counts.push(1000 + distance);
            until(&series(0, &counts), Hour(25)).len()
        };
        assert_eq!([wide(3_500_000), wide(3_499_999)], [1, 0], "the score");
        assert_eq!([wide(-3_500_000), wide(-3_499_999)], [1, 0]);
    }

    #[test]
    fn absurd_series() {
        let hours = [
            (Hour(i32::MIN), i64::MIN),
            (Hour(0), i64::MAX),
            (Hour(i32::MAX - 1), i64::MAX),
        ];
        let flagged = until(&hours, Hour(i32::MAX));
        let hours: Vec<i32> = flagged.iter().map(|(hour, _)| hour.0).collect();
        assert_eq!(hours, [0, i32::MAX - 1]);
        assert_eq!(flagged[0].1.score_milli, i64::MAX);
        assert_eq!(until(&[(Hour(3), 0)], Hour(9)), []);
        assert_eq!(until(&[], Hour(i32::MIN)), []);
    }

    proptest! {
        #[test]
        fn the_naive_count_says_the_same(
            counts in proptest::collection::vec(
                prop_oneof![8 => 20_i64..30, 2 => 0_i64..90, 3 => Just(0)], 0..170),
            gap in 0_i32..120,
            more in proptest::collection::vec(0_i64..90, 0..40),
            idle in 0_i32..60,
            from in 480_i32..700,
        ) {
            let mut hours = series(500, &counts);
            hours.extend(series(500 + counts.len() as i32 + gap, &more));
            let clock = Hour(500 + (counts.len() + more.len()) as i32 + gap + idle);
            prop_assert_eq!(until(&hours, clock), naively(&hours, clock));
            let earlier = Hour(clock.0 - idle - gap);
            prop_assert_eq!(until(&hours, earlier), naively(&hours, earlier), "invariant 1");
            let mut some = naively(&hours, clock);
            some.retain(|(hour, _)| hour.0 >= from);
            let by_hour = hours.iter().copied().collect();
            prop_assert_eq!(flags(&by_hour, Hour(from)..clock), some, "from an hour on");
        }

        #[test]
        fn nothing_panics(hours in proptest::collection::vec((any::<i32>(), any::<i64>()), 0..60), clock: i32) {
            let hours: Vec<_> = hours.iter().map(|(hour, count)| (Hour(*hour), *count)).collect();
            prop_assert!(until(&hours, Hour(clock)).len() <= hours.len() * 49);
        }
    }
}
