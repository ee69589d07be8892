//! Civil days in the zone of a line item.

use hostread_schemas::{Day, EventTimeMs};
use jiff::tz::TimeZone;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

/// The civil day on which a second falls.
pub(crate) fn local_day(secs: i64, zone_name: &str) -> Day {
    let timestamp = jiff::Timestamp::from_second(secs).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    Day::from_date(timestamp.to_zoned(zone(zone_name)).date())
}

/// When a civil day begins.
pub(crate) fn local_midnight(day: Day, zone_name: &str) -> EventTimeMs {
    let begins = day.date().to_zoned(zone(zone_name));
    EventTimeMs(begins.map_or(day.start().0, |zoned| zoned.timestamp().as_millisecond()))
}
