//! Lift: how many more of the households that an ad reached convert than of households like them that it did not reach.
//!
//! Needs: what is known of every household that downloads. Promises: integers only; the same households give the same lift in
//! whatever order they come. Leaves out: what the two sides do not have in common and nobody recorded. It is observational.
//!
//! Each week is a trial (Hernán and Robins, "Using Big Data to Emulate a Target Trial", 2016). Whoever downloads in it and has not
//! heard the campaign before takes part: exposed, if its first ad comes in that week, else control, also when the ad comes later.
//! To wait and see who never hears the ad would pick the controls by their future.

mod effect;
mod randomised;

use std::collections::BTreeSet;
use std::hash::Hasher;
use std::ops::Range;

use siphasher::sip::SipHasher13;

pub use effect::{CONVERTED_MIN, Effect, Entry, Lift, Side, lift};
pub use randomised::{Chances, drawn_as_said};

const DAY_SECS: i64 = 86_400;
const WEEK_SECS: i64 = 7 * DAY_SECS;
/// 1970 began on a Thursday; weeks begin on Mondays.
const MONDAY_SECS: i64 = -3 * DAY_SECS;
/// How far back a household's habits are looked at.
const HABIT_SECS: i64 = 28 * DAY_SECS;

/// What is known of a household. Times: whole seconds since 1970.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct History {
    /// Tells it from all others.
    pub household: u64,
    /// When it downloaded from an address that one can match, and which of its listeners did.
    pub downloads: Vec<(i64, u64)>,
    /// When it got ads of the campaign, and whether it can be matched by them.
    pub ads: Vec<(i64, bool)>,
    /// When it got ads of the brand's other campaigns.
    pub others: Vec<i64>,
    /// When it came to the brand's shops.
    pub visits: Vec<i64>,
    /// When it converted there.
    pub conversions: Vec<i64>,
}

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trials {
    /// When the ad that makes a household exposed may come; controls download in it.
    pub period: Range<i64>,
    /// How long a conversion may follow.
    pub window_secs: i64,
}

/// What exposed and control have in common: the week, and how much they downloaded, with how many agents, whether they came to
/// the shop and whether they heard another campaign of its brand before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Alike {
    week: i64,
    downloads: u32,
    agents: usize,
    visited: bool,
    heard_others: bool,
}

impl Trials {
    /// A household's part in the trials: as a control of several weeks, exposed at most once, or in none.
    #[must_use]
    pub fn of(&self, history: &History) -> Vec<Entry<Alike>> {
        let first = history.ads.iter().min_by_key(|(time, _)| *time).copied();
        let mut weeks: Vec<(i64, Vec<(i64, u64)>)> = Vec::new();
        let mut downloads = history.downloads.clone();
        downloads.retain(|(time, _)| self.period.contains(time));
        downloads.sort_unstable();
        for download in downloads {
            let week = (download.0 - MONDAY_SECS).div_euclid(WEEK_SECS);
            match weeks.last_mut() {
                Some((last, of_week)) if *last == week => of_week.push(download),
                _ => weeks.push((week, vec![download])),
            }
        }
        let weeks = weeks.iter();
        weeks
            .filter_map(|(week, downloads)| self.entry(history, *week, downloads, first))
            .collect()
    }

    fn entry(
        &self,
        history: &History,
        week: i64,
        downloads: &[(i64, u64)],
        first: Option<(i64, bool)>,
    ) -> Option<Entry<Alike>> {
        let monday = MONDAY_SECS + week * WEEK_SECS;
        let trial = monday.max(self.period.start)..(monday + WEEK_SECS).min(self.period.end);
        let (side, index) = match first {
            // It knows the ad, or cannot be matched where it heard it.
            Some((time, _)) if time < trial.start => return None,
            Some((time, usable)) if time < trial.end => (usable.then_some(Side::Exposed)?, time),
            _ => {
                let index = drawn(history.household, week, downloads)?;
                let later = first.is_some_and(|(time, _)| time < index + self.window_secs);
                let side = if later {
                    Side::HeardLater
                } else {
                    Side::Control
                };
                (side, index)
            }
        };
        let any = |times: &[i64], range: Range<i64>| times.iter().any(|time| range.contains(time));
        let habits = monday - HABIT_SECS..trial.end;
        let of_habit = history.downloads.iter();
        let of_habit = of_habit.filter(|(time, _)| habits.contains(time));
        let agents: BTreeSet<u64> = of_habit.clone().map(|(_, agent)| *agent).collect();
        Some(Entry {
            household: history.household,
            stratum: Alike {
                week,
                downloads: about(of_habit.count()),
                agents: agents.len().min(3),
                visited: any(&history.visits, index - HABIT_SECS..index),
                heard_others: any(&history.others, i64::MIN..index),
            },
            side,
            after: any(&history.conversions, index..index + self.window_secs),
            before: any(&history.conversions, index - self.window_secs..index),
        })
    }
}

/// Downloads to a fifth: few are told apart, many are not.
fn about(downloads: usize) -> u32 {
    match downloads {
        0..=5 => u32::try_from(downloads).unwrap_or(0),
        more => 6 + more.ilog2() * 2 + u32::from(more >= 3 << (more.ilog2() - 1)),
    }
}

/// The download at which a control might have heard the ad.
fn drawn(household: u64, week: i64, downloads: &[(i64, u64)]) -> Option<i64> {
    let mut hasher = SipHasher13::new_with_keys(household, week.cast_unsigned());
    hasher.write_u8(1);
    let place = hasher.finish().checked_rem(downloads.len() as u64)?;
    let download = downloads.get(usize::try_from(place).ok()?)?;
    Some(download.0)
}

#[cfg(test)]
mod tests;
