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
use hostread_schemas::{Day, EpisodeId, EventId, EventTimeMs, LineId, ListenerId};
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use crate::conversion::mix;

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

/// The civil day on which an ad of a line, delivered at `time`, bills, and whether it can be billed.
#[must_use]
pub fn billed(line: &LineFact, time: EventTimeMs, aired_at: Option<EventTimeMs>) -> (Day, bool) {
    let day = civil_day(time, &line.zone);
    (day, billable(line, day, time, aired_at))
}

/// Identity of a delivery's touch: its (line, episode, listener, day), whatever reported it (definition 6).
#[must_use]
pub const fn touch_id(listener: ListenerId, day: Day, line: LineId, episode: EpisodeId) -> EventId {
    let hi = mix(listener.0 ^ mix(line.0));
    let lo = mix(hi ^ mix(episode.0 ^ day.0.unsigned_abs() as u64));
    EventId { hi, lo }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> EventTimeMs {
        EventTimeMs::from_rfc3339(text).unwrap_or_default()
    }

    fn day(text: &str) -> Day {
        hostread_schemas::intern::civil_day(text).unwrap_or_default()
    }

    #[test]
    fn days_of_zones() {
        let new_york = "America/New_York";
        assert_eq!(
            civil_day(at("2026-11-10T04:59:59.999Z"), new_york),
            day("2026-11-09")
        );
        assert_eq!(
            civil_day(at("2026-11-10T05:00:00Z"), new_york),
            day("2026-11-10")
        );
        assert_eq!(
            civil_day(at("2026-07-10T04:00:00Z"), new_york),
            day("2026-07-10"),
            "summer"
        );
        assert_eq!(
            civil_day(at("2026-11-09T14:30:00Z"), "Asia/Kolkata"),
            day("2026-11-09")
        );
        assert_eq!(
            civil_day(at("2026-11-09T18:30:00Z"), "Asia/Kolkata"),
            day("2026-11-10")
        );
        for zone in ["UTC", "", "Mars/Olympus", "../etc/passwd"] {
            assert_eq!(
                civil_day(at("2026-11-09T23:59:59.999Z"), zone),
                day("2026-11-09"),
                "{zone}"
            );
        }
    }

    #[test]
    fn days_begin_where_clocks_change_at_midnight() {
        let start = |text, zone| day_start(day(text), zone);
        assert_eq!(
            start("2026-11-09", "Europe/Berlin"),
            at("2026-11-08T23:00:00Z")
        );
        assert_eq!(
            start("2026-07-09", "Europe/Berlin"),
            at("2026-07-08T22:00:00Z")
        );
        // 2018-11-04 began at 01:00 in São Paulo, 2011-12-30 did not exist in Apia.
        assert_eq!(
            start("2018-11-04", "America/Sao_Paulo"),
            at("2018-11-04T03:00:00Z")
        );
        assert_eq!(
            start("2011-12-30", "Pacific/Apia"),
            start("2011-12-31", "Pacific/Apia")
        );
        assert_eq!(start("2026-11-09", "Nowhere"), at("2026-11-09T00:00:00Z"));
    }

    #[test]
    fn more_zones_than_are_kept_still_answer() {
        let noon = at("2026-11-09T12:00:00Z");
        for _ in 0..2 {
            for hour in 0..ZONES_KEPT_MAX as i32 + 4 {
                let zone = format!("Etc/GMT+{}", hour % 13);
                let zone = if hour < 13 {
                    zone
                } else {
                    format!("No/{hour}")
                };
                assert_eq!(civil_day(noon, &zone), day("2026-11-09"), "{zone}");
            }
        }
        assert_eq!(civil_day(noon, "Pacific/Auckland"), day("2026-11-10"));
    }

    #[test]
    fn flights_and_the_thirty_days_of_a_read() {
        let mut line = LineFact {
            start: Day(10),
            end: Day(12),
            kind: AdKind::Inserted,
            ..LineFact::default()
        };
        let in_flight = |line: &LineFact, days: [i32; 4]| {
            days.map(|day| billable(line, Day(day), Day(day).start(), Some(Day(-19).start())))
        };
        assert_eq!(
            in_flight(&line, [9, 10, 12, 13]),
            [false, true, true, false]
        );
        line.kind = AdKind::BakedIn;
        assert_eq!(
            in_flight(&line, [9, 10, 11, 12]),
            [false, true, false, false],
            "day 30"
        );
        let last = EventTimeMs(Day(11).start().0 - 1);
        assert!(billable(&line, Day(10), last, Some(Day(-19).start())));
        assert!(
            !billable(&line, Day(10), last, None),
            "nobody said that it was aired"
        );
        assert!(billable(&line, Day(10), last, Some(EventTimeMs(i64::MAX))));
    }

    proptest! {
        #[test]
        fn invariant_1_days_begin_at_their_start(
            ms in -3_000_000_000_000_i64..6_000_000_000_000,
            zone in prop::sample::select(vec![
                "UTC", "America/Sao_Paulo", "Pacific/Apia", "Atlantic/Azores", "America/Havana",
                "Asia/Kathmandu", "Australia/Lord_Howe", "Europe/Berlin",
            ]),
            near in -90_000_000_i64..90_000_000,
        ) {
            let day = civil_day(EventTimeMs(ms), zone);
            for start in [day_start(day, zone), day_start(Day(day.0 + 1), zone)] {
                for time in [start.0 - 1, start.0, ms, start.0 + near] {
                    let started = day_start(day, zone).0 <= time;
                    prop_assert_eq!(civil_day(EventTimeMs(time), zone) >= day, started, "{}", time);
                }
            }
        }

        #[test]
        fn nothing_panics(ms: i64, day: i32, zone in prop::sample::select(vec!["UTC", "Asia/Tokyo"])) {
            let today = civil_day(EventTimeMs(ms), zone);
            prop_assert!(today.0.abs_diff(EventTimeMs(ms).day().0) <= 1);
            prop_assert!(day_start(Day(day), zone).0.abs_diff(Day(day).start().0) <= 86_400_000);
            prop_assert!(period_of(Day(day)) <= period_of(Day(day.saturating_add(31))));
        }
    }

    #[test]
    fn absurd_days_have_a_month() {
        assert_eq!(period_of(Day(i32::MAX)).to_string(), "9997-07");
        assert!(period_of(Day(i32::MIN)) < period_of(Day(0)));
        assert_eq!(period_of(day("2026-11-30")), Period(2026 * 12 + 10));
    }
}
