//! Counts a household's day: its listeners together, for the limit of an address is on all of them (definition 3, `ip_volume`).
//!
//! Needs: the exposures of each of its listeners on one day, each in order (time, event id). Promises: one [`ListenerDay`] per
//! listener, in order. Leaves out: what changed since last time (the dataflow keeps that itself).

use hostread_schemas::HouseholdId;

use crate::counting::{Dimensions, Item, ListenerDay, count_listener_day};

/// What a household's day comes to, and how many downloads count towards its limit.
#[must_use]
pub fn count_household_day<'a, D: Dimensions + ?Sized>(
    household: HouseholdId,
    listeners: impl Iterator<Item = &'a [Item]> + Clone,
    dims: &D,
) -> (Vec<ListenerDay>, u64) {
    let count = |items, over_volume| count_listener_day(items, over_volume, dims);
    let mut days: Vec<ListenerDay> = listeners.clone().map(|items| count(items, false)).collect();
    // Without a household listeners have no address in common.
    if !household.is_some() {
        return (days, 0);
    }
    let volume = days.iter().map(|day| u64::from(day.volume)).sum();
    if dims.rules().ip_volume_exceeded(volume) {
        for (day, items) in days.iter_mut().zip(listeners) {
            if day.volume > 0 {
                *day = count(items, true);
            }
        }
    }
    (days, volume)
}
