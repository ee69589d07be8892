//! A test whose sides were drawn: who could have heard the ad heard it, or was held out by chance.
//!
//! Needs: where the ad was delivered, and where it was withheld. Promises: the side of a household is that of its first chance,
//! whatever came later ("intention to treat"), so nothing that it did can have chosen the side. Leaves out: whether the draw was
//! one; [`drawn_as_said`] finds some that were not, and what came before the ad finds others.

use std::ops::Range;

use super::{Entry, MONDAY_SECS, Side, Trials, WEEK_SECS};

/// What is known of a household in a test. Times: whole seconds since 1970; with a chance stands whether the household can be
/// matched by it.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Chances {
    /// Tells it from all others.
    pub household: u64,
    /// Where ads of the test were delivered.
    pub ads: Vec<(i64, bool)>,
    /// Where they were withheld.
    pub held_out: Vec<(i64, bool)>,
    /// When it converted in the brand's shops.
    pub conversions: Vec<i64>,
}

impl Trials {
    /// A household's part in a test, compared with those that had their first chance in the same week: the share that is held
    /// out may change. None: it had no chance in the period or had one before, cannot be matched by the first, or had both
    /// at once.
    #[must_use]
    pub fn drawn(&self, chances: &Chances) -> Option<Entry<i64>> {
        let heard = chances.ads.iter().min().copied();
        let withheld = chances.held_out.iter().min().copied();
        let after = |other: Option<(i64, bool)>, time| other.is_none_or(|(other, _)| time < other);
        let (index, usable, exposed) = match (heard, withheld) {
            (Some((time, usable)), _) if after(withheld, time) => (time, usable, true),
            (_, Some((time, usable))) if after(heard, time) => (time, usable, false),
            _ => return None,
        };
        if !usable || !self.period.contains(&index) {
            return None;
        }
        let (since, until) = (index - self.window_secs, index + self.window_secs);
        let side = if exposed {
            Side::Exposed
        } else if heard.is_some_and(|(time, _)| time < until) {
            Side::HeardLater
        } else {
            Side::Control
        };
        let converted = |range: Range<i64>| chances.conversions.iter().any(|at| range.contains(at));
        Some(Entry {
            household: chances.household,
            stratum: (index - MONDAY_SECS).div_euclid(WEEK_SECS),
            side,
            after: converted(index..until),
            before: converted(since..index),
        })
    }
}

/// Were so many of all held out as a draw of so many in a hundred gives? No: in one of a thousand draws it is as far off
/// (chi-squared with one degree of freedom, 10.828).
#[must_use]
pub fn drawn_as_said(held_out: u64, all: u64, percent: u8) -> bool {
    let (held_out, all, percent) = (i128::from(held_out), i128::from(all), i128::from(percent));
    let off = 100 * held_out - percent * all;
    let squared = off.saturating_mul(off);
    squared.saturating_mul(1_000) <= 10_828 * all * percent * (100 - percent)
}

#[cfg(test)]
mod tests;
