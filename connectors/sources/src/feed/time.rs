//! Times and lengths as feeds write them.

use hostread_schemas::unit::EventTimeMs;
use jiff::fmt::rfc2822::DateTimeParser;

/// Podcasts and radio archives are not older, and what is announced is not further ahead.
const MS_MIN: i64 = -2_208_988_800_000;
const MS_MAX: i64 = 4_102_444_800_000;

/// Weekdays that are wrong are common, and say nothing.
static RFC_2822: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);

/// `Tue, 10 Nov 2026 05:00:00 -0500`, or an RFC 3339 time.
pub(super) fn published_at(text: &str) -> Option<EventTimeMs> {
    let time = match RFC_2822.parse_timestamp(text) {
        Ok(time) => EventTimeMs(time.as_millisecond()),
        Err(_) => EventTimeMs::from_rfc3339(text)?,
    };
    (MS_MIN..MS_MAX).contains(&time.0).then_some(time)
}

/// `3600`, `60:00`, `1:00:00` or `01:00:00.5`; in thousandths of a second.
pub(super) fn length_ms(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let mut seconds: u64 = 0;
    for (place, number) in whole.split(':').enumerate() {
        let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        if place > 2 || !plain {
            return None;
        }
        let number: u64 = number.parse().ok()?;
        seconds = seconds.checked_mul(60)?.checked_add(number)?;
    }
    let part = part.get(..part.len().min(3))?;
    if !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{part:0<3}").parse::<u64>().ok()?;
    seconds.checked_mul(1_000)?.checked_add(thousandths)
}
