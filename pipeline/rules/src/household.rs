//! Which days a household is shared by too many agents to stand for anybody (definition 7).
//!
//! Needs: each (day, agent) of one household once, in order; the agent `none` marks a day on which
//! something without an agent came. Promises: days in order, each once; a day without presence is
//! listed too when it lies in a crowded span (a conversion may fall on it). O(n log n).
//! Invariant 1: one agent more never takes a day off the list.

use hostread_schemas::fact::SettingsFact;
use hostread_schemas::{AgentId, Day};

/// Days of the long span.
pub const SHARED_SPAN_DAYS: i32 = 30;

/// Days on which the household is shared.
#[must_use]
pub fn shared_days(presence: &[(Day, AgentId)], settings: &SettingsFact) -> Vec<Day> {
    let day_max = settings.shared_agents_day_max as usize;
    let month_max = settings.shared_agents_month_max as usize;
    if presence.len() <= day_max.min(month_max) {
        return Vec::new();
    }
    let mut shared: Vec<Day> = presence
        .chunk_by(|a, b| a.0 == b.0)
        .filter(|day| day.iter().filter(|(_, agent)| agent.is_some()).count() > day_max)
        .filter_map(|day| day.first().map(|(day, _)| *day))
        .collect();
    if presence.len() > month_max {
        crowded_spans(presence, month_max, &mut shared);
        shared.sort_unstable();
        shared.dedup();
    }
    shared
}

/// Adds the days of every span of 30 days, begun on a day with presence, with too many agents.
fn crowded_spans(presence: &[(Day, AgentId)], month_max: usize, shared: &mut Vec<Day>) {
    let mut agents: Vec<AgentId> = presence.iter().map(|(_, agent)| *agent).collect();
    agents.retain(|agent| agent.is_some());
    agents.sort_unstable();
    agents.dedup();
    if agents.len() <= month_max {
        return;
    }
    let mut times_seen = vec![0_u32; agents.len()];
    let mut distinct = 0;
    let mut ahead = 0;
    let mut next_free = i64::MIN;
    for day in presence.chunk_by(|a, b| a.0 == b.0) {
        let Some((start, _)) = day.first() else {
            continue;
        };
        let start = i64::from(start.0);
        let end = start + i64::from(SHARED_SPAN_DAYS);
        while let Some((_, agent)) = presence.get(ahead).filter(|p| i64::from(p.0.0) < end) {
            if let Ok(at) = agents.binary_search(agent) {
                distinct += usize::from(times_seen[at] == 0);
                times_seen[at] += 1;
            }
            ahead += 1;
        }
        if distinct > month_max {
            let days = next_free.max(start)..end;
            shared.extend(days.filter_map(|day| i32::try_from(day).ok()).map(Day));
            next_free = end;
        }
        for (_, agent) in day {
            if let Ok(at) = agents.binary_search(agent) {
                distinct -= usize::from(times_seen[at] == 1);
                times_seen[at] = times_seen[at].saturating_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const SETTINGS: SettingsFact = SettingsFact {
        lookback_secs: 0,
        half_life_secs: 0,
        shared_agents_day_max: 3,
        shared_agents_month_max: 5,
    };

    fn naive(presence: &BTreeSet<(Day, AgentId)>) -> Vec<Day> {
        let count = |from: i32, to: i32| {
            let inside = presence
                .iter()
                .filter(|(day, _)| day.0 >= from && day.0 <= to);
            let agents: BTreeSet<_> = inside.map(|p| p.1).filter(|a| a.is_some()).collect();
            agents.len()
        };
        let mut shared = BTreeSet::new();
        for (day, _) in presence {
            if count(day.0, day.0) > 3 {
                shared.insert(*day);
            }
            if count(day.0, day.0 + 29) > 5 {
                shared.extend((day.0..day.0 + 30).map(Day));
            }
        }
        shared.into_iter().collect()
    }

    fn presence(pairs: &[(i32, u64)]) -> Vec<(Day, AgentId)> {
        let set: BTreeSet<_> = pairs.iter().map(|p| (Day(p.0), AgentId(p.1))).collect();
        set.into_iter().collect()
    }

    #[test]
    fn more_than_the_limit_in_a_day() {
        let three = presence(&[(5, 0), (5, 1), (5, 2), (5, 3), (6, 1)]);
        assert_eq!(shared_days(&three, &SETTINGS), []);
        let four = presence(&[(5, 1), (5, 2), (5, 3), (5, 4), (6, 1)]);
        assert_eq!(shared_days(&four, &SETTINGS), [Day(5)]);
    }

    #[test]
    fn more_than_the_limit_in_thirty_days_shares_each_of_them() {
        let inside = presence(&[(0, 1), (0, 2), (0, 3), (29, 4), (29, 5), (29, 6)]);
        let days: Vec<Day> = (0..30).map(Day).collect();
        assert_eq!(shared_days(&inside, &SETTINGS), days);
        let outside = presence(&[(0, 1), (0, 2), (0, 3), (30, 4), (30, 5), (30, 6)]);
        assert_eq!(shared_days(&outside, &SETTINGS), []);
    }

    #[test]
    fn absurd_days() {
        let far: Vec<_> = (1..9).map(|agent| (i32::MAX - 1, agent)).collect();
        let days = shared_days(&presence(&far), &SETTINGS);
        assert_eq!(days, [Day(i32::MAX - 1), Day(i32::MAX)]);
    }

    proptest! {
        #[test]
        fn the_naive_count_says_the_same(
            set in proptest::collection::btree_set((-40_i32..80, 0_u64..12), 0..40),
            more in (-40_i32..80, 0_u64..20),
        ) {
            let pairs: BTreeSet<_> = set.iter().map(|p| (Day(p.0), AgentId(p.1))).collect();
            let list: Vec<_> = pairs.iter().copied().collect();
            let days = shared_days(&list, &SETTINGS);
            prop_assert_eq!(&days, &naive(&pairs));
            let mut with_more = pairs;
            with_more.insert((Day(more.0), AgentId(more.1)));
            let list: Vec<_> = with_more.into_iter().collect();
            let after = shared_days(&list, &SETTINGS);
            prop_assert!(days.iter().all(|day| after.contains(day)), "invariant 1");
        }
    }
}
