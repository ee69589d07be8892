//! Hours of a series that stand out (definition 18): robust z over the 48 hours before.
//!
//! Needs: the hours with a count, in order. Promises: an hour without a count is 0; a long gap
//! costs no more than 48 hours; O(48) an hour with small constants, the deviation only where the
//! distance could matter. Leaves out: what the series counts.
//! Invariant 1: an hour is judged by hours before it only.

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

/// The flagged hours before the clock's. `hours` are sorted and distinct.
#[must_use]
pub fn flags(hours: &[(Hour, i64)], clock: Hour) -> Vec<(Hour, AnomalyRow)> {
    let mut flagged = Vec::new();
    let closed = hours.partition_point(|(hour, _)| *hour < clock);
    let mut counts = hours.get(..closed).unwrap_or_default().iter();
    let mut before = Before::default();
    let mut judge = |before: &mut Before, hour: i64, count: i64| {
        if let Some(row) = before.judge(count) {
            flagged.extend(i32::try_from(hour).ok().map(|hour| (Hour(hour), row)));
        }
        before.push(count);
    };
    let Some((first, count)) = counts.by_ref().find(|(_, count)| *count != 0) else {
        return flagged;
    };
    judge(&mut before, i64::from(first.0), *count);
    let mut next = i64::from(first.0) + 1;
    let rest = counts.map(|(hour, count)| (i64::from(hour.0), Some(*count)));
    for (hour, count) in rest.chain([(i64::from(clock.0), None)]) {
        // After 48 empty hours further ones change nothing and cannot stand out.
        let empty = (hour - next).min(HOURS_BEFORE_MAX as i64);
        for hour in next..next + empty {
            judge(&mut before, hour, 0);
        }
        if let Some(count) = count.filter(|_| hour >= next) {
            judge(&mut before, hour, count);
        }
        next = next.max(hour + 1);
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
        let place = &mut self.ring[self.oldest];
        if self.sorted.len() == HOURS_BEFORE_MAX {
            let at = self.sorted.partition_point(|x| x < place);
            self.sorted.remove(at);
        }
        *place = count;
        self.oldest = (self.oldest + 1) % HOURS_BEFORE_MAX;
        let at = self.sorted.partition_point(|x| *x < count);
        self.sorted.insert(at, count);
    }

    fn judge(&self, count: i64) -> Option<AnomalyRow> {
        if self.sorted.len() < HOURS_BEFORE_MIN {
            return None;
        }
        let middle = (self.sorted.len() - 1) / 2;
        let median = *self.sorted.get(middle)?;
        if count.abs_diff(median) < DISTANCE_MIN {
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
