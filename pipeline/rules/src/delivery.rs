//! Days of a zone, and which ads can be billed (definition 15).
//!
//! Needs: the zone's name; zone rules are compiled in, never read from the machine.
//! Promises: an unknown zone is UTC; times beyond year 9999 are cut as in UTC; the last zones
//! used are kept per thread, so that a call costs a lookup in a short list.
//! Leaves out: counting. Invariant 1: `civil_day(t) >= d` exactly when `t >= day_start(d)`.

use std::cell::RefCell;

use hostread_schemas::event::AdKind;
use hostread_schemas::fact::LineFact;
use hostread_schemas::unit::DAY_MS;
use hostread_schemas::view::Period;
use hostread_schemas::{Day, EventTimeMs};
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

/// A baked-in read is billed for so long after it was aired.
pub const BAKED_IN_MS: i64 = 30 * DAY_MS;
/// Zones kept per thread. Deals use a dozen; more only cost a look-up again.
const ZONES_KEPT_MAX: usize = 32;
/// The days of year -9998 to 9998, where every zone can be calculated with.
const DAYS: std::ops::RangeInclusive<i32> = -4_371_000..=2_932_000;

thread_local! {
    /// Last used first. A cache of a pure function: what it holds changes no answer.
    static ZONES: RefCell<Vec<(String, Option<TimeZone>)>> = const { RefCell::new(Vec::new()) };
}

/// Calls `then` with the zone; none is UTC.
fn with_zone<T>(name: &str, then: impl FnOnce(Option<&TimeZone>) -> T) -> T {
    if name == "UTC" || name.is_empty() {
        return then(None);
    }
    ZONES.with_borrow_mut(|zones| {
        match zones.iter().position(|(known, _)| known == name) {
            Some(0) => {}
            Some(at) => zones.swap(0, at),
            None => {
                zones.truncate(ZONES_KEPT_MAX - 1);
                zones.insert(0, (name.to_owned(), TimeZone::get(name).ok()));
            }
        }
        then(zones.first().and_then(|(_, zone)| zone.as_ref()))
    })
}

/// The civil day on which a time falls in a zone.
#[must_use]
pub fn civil_day(time: EventTimeMs, zone: &str) -> Day {
    with_zone(zone, |zone| {
        let timestamp = zone.and_then(|_| Timestamp::from_millisecond(time.0).ok());
        let (Some(zone), Some(timestamp)) = (zone, timestamp) else {
            return time.day();
        };
        let offset_ms = i64::from(zone.to_offset(timestamp).seconds()) * 1000;
        EventTimeMs(time.0.saturating_add(offset_ms)).day()
    })
}

/// The first millisecond of a civil day in a zone.
#[must_use]
pub fn day_start(day: Day, zone: &str) -> EventTimeMs {
    with_zone(zone, |zone| {
        let zoned = zone.filter(|_| DAYS.contains(&day.0)).and_then(|zone| {
            let midnight = date(day).to_datetime(Time::midnight());
            zone.to_ambiguous_timestamp(midnight).compatible().ok()
        });
        zoned.map_or(day.start(), |start| EventTimeMs(start.as_millisecond()))
    })
}

/// The date of a day; days that no calendar has become the nearest one.
fn date(day: Day) -> Date {
    Day(day.0.clamp(*DAYS.start(), *DAYS.end())).date()
}

/// The month of a civil day; the same for absurd days.
#[must_use]
pub fn period_of(day: Day) -> Period {
    Period::of(Day::from_date(date(day)))
}

/// Can an ad of a line, delivered at `time` on the civil `day` of its zone, be billed?
#[must_use]
pub fn billable(
    line: &LineFact,
    day: Day,
    time: EventTimeMs,
    aired_at: Option<EventTimeMs>,
) -> bool {
    let in_flight = (line.start..=line.end).contains(&day);
    in_flight
        && match line.kind {
            AdKind::Inserted => true,
            AdKind::BakedIn => {
                aired_at.is_some_and(|aired| time.0 < aired.0.saturating_add(BAKED_IN_MS))
            }
        }
}
