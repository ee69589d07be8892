//! Hours that stand out (definitions 18).

use std::collections::{BTreeMap, BTreeSet};

use hostread_schemas::HOUR_MS;

use super::Truth;
use crate::world::{HOUR_SECS, TenantWorld};

const BEFORE_MIN: usize = 24;
const BEFORE_MAX: usize = 48;

/// Flagged hours of a series that is counted by hour up to `end` (exclusive).
fn flagged(counts: &BTreeMap<i64, i64>, end: i64) -> Vec<i64> {
    let Some((&first, _)) = counts.first_key_value() else {
        return Vec::new();
    };
    let hours: Vec<i64> = (first..end)
        .map(|hour| counts.get(&hour).copied().unwrap_or(0))
        .collect();
    let mut flags = Vec::new();
    for (nth, &count) in hours.iter().enumerate().skip(BEFORE_MIN) {
        let before = &hours[nth.saturating_sub(BEFORE_MAX)..nth];
        let middle = median(before.to_vec());
        let spread = median(before.iter().map(|x| (x - middle).abs()).collect());
        let score = 6_745 * (count - middle) / (10 * spread.max(1));
        if score.abs() >= 3_500 && (count - middle).abs() >= 10 {
            flags.push(first + nth as i64);
        }
    }
    flags
}

/// The middle one, the lower of two.
fn median(mut values: Vec<i64>) -> i64 {
    values.sort_unstable();
    values
        .get(values.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(0)
}

impl Truth {
    pub(super) fn flag(&mut self, tenant: &TenantWorld) {
        let mut series: BTreeMap<String, BTreeMap<i64, i64>> = BTreeMap::new();
        let mut count = |name: String, secs: i64| {
            let hours = series.entry(name).or_default();
            *hours.entry(secs.div_euclid(HOUR_SECS)).or_default() += 1;
        };
        for download in &tenant.downloads {
            let show = tenant.catalog.episodes[download.episode].show;
            count(
                format!("show:{}", tenant.catalog.shows[show].name),
                download.secs,
            );
        }
        for order in self
            .orders
            .iter()
            .filter(|order| order.tenant == tenant.name)
        {
            let touches = order.path.iter();
            let campaigns: BTreeSet<&String> = touches.map(|touch| &touch.campaign).collect();
            for campaign in campaigns {
                count(format!("campaign:{campaign}"), order.secs);
            }
        }
        let end = tenant.clock_end_ms() / HOUR_MS;
        for (name, counts) in series {
            for hour in flagged(&counts, end) {
                let flag = (tenant.name.to_owned(), name.clone(), hour * HOUR_MS);
                self.anomalies.insert(flag);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_stands_out_only_with_enough_before_it() {
        let mut counts: BTreeMap<i64, i64> = (0..30).map(|hour| (hour, 5)).collect();
        counts.insert(20, 50);
        counts.insert(29, 15);
        assert_eq!(flagged(&counts, 30), [29]);
        counts.insert(29, 14);
        assert!(flagged(&counts, 30).is_empty());
        // An hour of silence is an hour, too.
        counts.insert(28, 0);
        assert!(flagged(&counts, 40).is_empty());
    }

    #[test]
    fn of_two_middle_values_the_lower_one() {
        assert_eq!(median(vec![4, 1, 3, 2]), 2);
        assert_eq!(median(vec![3, 1, 2]), 2);
    }
}
