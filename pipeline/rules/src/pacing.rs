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
