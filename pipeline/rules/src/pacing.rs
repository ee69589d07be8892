//! How a line item stands against its plan at an hour (definition 16).
//!
//! Needs: the line, its aired reads, its billable deliveries so far, the clock's hour.
//! Promises: pure of all but these; absurd goals and flights saturate. Leaves out: who counts, and
//! which hours are passed on. Invariant 1: expected never shrinks as the clock goes on, and is
//! never above the goal (baked-in: the sum of the episodes' goals).

use hostread_schemas::event::AdKind;
use hostread_schemas::fact::LineFact;
use hostread_schemas::view::{PacingRow, PacingState};
use hostread_schemas::{DAY_MS, Day, EpisodeId, EventTimeMs, Hour};
use serde::{Deserialize, Serialize};

use crate::delivery::{BAKED_IN_MS, day_start};

/// Ads expected before a line is judged, unless a day has passed.
const JUDGED_FROM: i64 = 50;
/// Ads expected in 24 hours that make silence a sign.
const STALLED_FROM: i64 = 20;
const UNDER_BELOW: i64 = 850;
const AT_RISK_BELOW: i64 = 950;
const OVER_ABOVE: i64 = 1050;
const HOURS_PER_DAY: i32 = 24;

/// One read of a line that went out.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
pub struct AiredRead {
    /// Episode.
    pub episode: EpisodeId,
    /// When.
    pub aired_at: EventTimeMs,
    /// Ads expected over 30 days.
    pub episode_goal: u64,
}

/// Judges a line at the start of the clock's hour.
///
/// `last_billable_hour` is the latest hour with a billable delivery; one after the clock's hour
/// counts as recent.
#[must_use]
pub fn pace(
    line: &LineFact,
    aired: &[AiredRead],
    billable_total: i64,
    last_billable_hour: Option<Hour>,
    clock: Hour,
) -> PacingRow {
    let plan = Plan::of(line, aired);
    let now = clock.start().0;
    let expected = plan.expected(now);
    let index_permille = match expected {
        0 => -1,
        expected => saturate((i128::from(billable_total) * 1000).div_euclid(i128::from(expected))),
    };
    let young = plan
        .start()
        .is_none_or(|start| now.saturating_sub(start) < DAY_MS);
    let day_ago = Hour(clock.0.saturating_sub(HOURS_PER_DAY));
    let due = expected.saturating_sub(plan.expected(day_ago.start().0));
    let silent = last_billable_hour.is_none_or(|last| last < day_ago);
    let state = if expected == 0 || (expected < JUDGED_FROM && young) {
        PacingState::None
    } else if due >= STALLED_FROM && silent {
        PacingState::Stalled
    } else if index_permille < UNDER_BELOW {
        PacingState::Under
    } else if index_permille < AT_RISK_BELOW {
        PacingState::AtRisk
    } else if index_permille <= OVER_ABOVE {
        PacingState::OnTrack
    } else {
        PacingState::Over
    };
    PacingRow {
        kind: line.kind,
        goal: line.goal,
        delivered: billable_total,
        expected,
        index_permille,
        state,
        as_of: clock,
    }
}

enum Plan<'a> {
    /// Even from start to end, both in ms.
    Inserted { goal: u64, start: i64, end: i64 },
    /// Even over 30 days from each read.
    BakedIn(&'a [AiredRead]),
}

impl<'a> Plan<'a> {
    fn of(line: &LineFact, aired: &'a [AiredRead]) -> Self {
        match line.kind {
            AdKind::BakedIn => Self::BakedIn(aired),
            AdKind::Inserted => Self::Inserted {
                goal: line.goal,
                start: day_start(line.start, &line.zone).0,
                end: day_start(Day(line.end.0.saturating_add(1)), &line.zone).0,
            },
        }
    }

    fn start(&self) -> Option<i64> {
        match self {
            Self::Inserted { start, .. } => Some(*start),
            Self::BakedIn(aired) => aired.iter().map(|read| read.aired_at.0).min(),
        }
    }

    fn expected(&self, now: i64) -> i64 {
        match self {
            Self::Inserted { goal, start, end } => share(
                *goal,
                now.saturating_sub(*start),
                end.saturating_sub(*start),
            ),
            Self::BakedIn(aired) => aired
                .iter()
                .map(|read| {
                    let age = now.saturating_sub(read.aired_at.0);
                    share(read.episode_goal, age, BAKED_IN_MS)
                })
                .fold(0, i64::saturating_add),
        }
    }
}

/// floor(goal x elapsed / whole), elapsed clamped to 0..=whole; 0 when there is no whole.
fn share(goal: u64, elapsed: i64, whole: i64) -> i64 {
    if whole <= 0 {
        return 0;
    }
    let elapsed = i128::from(elapsed.clamp(0, whole));
    saturate(i128::from(goal) * elapsed / i128::from(whole))
}

fn saturate(value: i128) -> i64 {
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostread_schemas::intern::civil_day;
    use proptest::prelude::*;

    fn inserted(goal: u64) -> LineFact {
        LineFact {
            kind: AdKind::Inserted,
            goal,
            start: Day(100),
            end: Day(109),
            zone: "UTC".to_owned(),
            ..LineFact::default()
        }
    }

    fn hour(day: i32, hour: i32) -> Hour {
        Hour(day * HOURS_PER_DAY + hour)
    }

    fn judge(line: &LineFact, delivered: i64, clock: Hour) -> (i64, i64, PacingState) {
        let row = pace(line, &[], delivered, Some(clock), clock);
        (row.expected, row.index_permille, row.state)
    }

    #[test]
    fn even_over_the_flight() {
        let line = inserted(1000);
        assert_eq!(judge(&line, 0, hour(99, 23)), (0, -1, PacingState::None));
        assert_eq!(judge(&line, 5, hour(100, 0)), (0, -1, PacingState::None));
        assert_eq!(
            judge(&line, 425, hour(105, 0)),
            (500, 850, PacingState::AtRisk)
        );
        assert_eq!(
            judge(&line, 424, hour(105, 0)),
            (500, 848, PacingState::Under)
        );
        assert_eq!(
            judge(&line, 475, hour(105, 0)),
            (500, 950, PacingState::OnTrack)
        );
        assert_eq!(
            judge(&line, 525, hour(105, 0)),
            (500, 1050, PacingState::OnTrack)
        );
        assert_eq!(
            judge(&line, 526, hour(105, 0)),
            (500, 1052, PacingState::Over)
        );
        assert_eq!(
            judge(&line, 1000, hour(300, 0)),
            (1000, 1000, PacingState::OnTrack)
        );
        let row = pace(&line, &[], 500, None, hour(120, 5));
        assert_eq!(
            (row.goal, row.delivered, row.as_of),
            (1000, 500, hour(120, 5))
        );
    }

    #[test]
    fn too_early_to_judge() {
        assert_eq!(
            judge(&inserted(1000), 0, hour(100, 11)).2,
            PacingState::None,
            "45 expected"
        );
        assert_eq!(
            judge(&inserted(1000), 0, hour(100, 12)).2,
            PacingState::Under,
            "50 expected"
        );
        assert_eq!(
            judge(&inserted(100), 0, hour(100, 23)).2,
            PacingState::None,
            "9, 23 hours"
        );
        assert_eq!(
            judge(&inserted(100), 0, hour(101, 0)).2,
            PacingState::Under,
            "10, 24 hours"
        );
    }

    #[test]
    fn stalled_is_silence_where_twenty_were_due() {
        let state = |goal, last, clock| pace(&inserted(goal), &[], 150, last, clock).state;
        let clock = hour(105, 0);
        assert_eq!(state(200, None, clock), PacingState::Stalled);
        assert_eq!(state(190, None, clock), PacingState::Over, "19 were due");
        assert_eq!(state(200, Some(hour(103, 23)), clock), PacingState::Stalled);
        assert_eq!(state(200, Some(hour(104, 0)), clock), PacingState::Over);
        assert_eq!(state(200, Some(hour(105, 1)), clock), PacingState::Over);
        assert_eq!(
            state(200, None, hour(112, 0)),
            PacingState::Under,
            "nothing was due: 150 of 200"
        );
    }

    #[test]
    fn flights_are_days_of_the_zone() {
        let line = LineFact {
            start: civil_day("2026-10-25").unwrap_or_default(),
            end: civil_day("2026-10-25").unwrap_or_default(),
            zone: "Europe/Berlin".to_owned(),
            ..inserted(2500)
        };
        // The clocks go back: 25 hours, from 22:00Z to 23:00Z.
        let start = EventTimeMs::from_rfc3339("2026-10-24T22:00:00Z")
            .unwrap_or_default()
            .hour();
        let expected = |hours| judge(&line, 0, Hour(start.0 + hours)).0;
        assert_eq!([0, 1, 24, 25, 26].map(expected), [0, 100, 2400, 2500, 2500]);
    }

    #[test]
    fn baked_in_goes_by_the_air_dates() {
        let line = LineFact {
            kind: AdKind::BakedIn,
            ..inserted(5)
        };
        let read = |day: i32, episode_goal| AiredRead {
            aired_at: Day(day).start(),
            episode_goal,
            ..AiredRead::default()
        };
        let aired = [read(100, 300), read(110, 3001)];
        let expected =
            |aired: &[AiredRead], day| pace(&line, aired, 0, None, hour(day, 0)).expected;
        assert_eq!(expected(&aired, 100), 0);
        assert_eq!(expected(&aired, 110), 100);
        assert_eq!(expected(&aired, 111), 110 + 100, "each floored");
        assert_eq!(expected(&aired, 400), 300 + 3001);
        let none = pace(&line, &[], 7, None, hour(400, 0));
        assert_eq!((none.index_permille, none.state), (-1, PacingState::None));
        let young = pace(&line, &[read(100, 900)], 0, None, hour(100, 23));
        assert_eq!((young.expected, young.state), (28, PacingState::None));
        let day_old = pace(&line, &[read(100, 900)], 0, None, hour(101, 0));
        assert_eq!(
            (day_old.expected, day_old.state),
            (30, PacingState::Stalled)
        );
    }

    proptest! {
        #[test]
        fn invariant_1_expected_grows_to_the_goal(goal: u64, from in 2300_i32..2700, hours in 0_i32..400) {
            let line = inserted(goal);
            let early = pace(&line, &[], 0, None, Hour(from)).expected;
            let late = pace(&line, &[], 0, None, Hour(from + hours)).expected;
            prop_assert!(early <= late && late <= i64::try_from(goal).unwrap_or(i64::MAX));
        }

        #[test]
        fn nothing_panics(
            days: (i32, i32), goal: u64, delivered: i64, last: Option<i32>, clock: i32, baked: bool,
            aired in proptest::collection::vec((any::<i64>(), any::<u64>()), 0..3),
        ) {
            let kind = if baked { AdKind::BakedIn } else { AdKind::Inserted };
            let zone = "Asia/Tokyo".to_owned();
            let (start, end) = (Day(days.0), Day(days.1));
            let line = LineFact { kind, start, end, zone, goal, ..LineFact::default() };
            let read = |(at, episode_goal): &(i64, u64)| AiredRead {
                aired_at: EventTimeMs(*at),
                episode_goal: *episode_goal,
                ..AiredRead::default()
            };
            let aired: Vec<_> = aired.iter().map(read).collect();
            let row = pace(&line, &aired, delivered, last.map(Hour), Hour(clock));
            prop_assert!(row.expected >= 0);
            prop_assert!(row.expected != 0 || row.state == PacingState::None);
        }
    }
}
