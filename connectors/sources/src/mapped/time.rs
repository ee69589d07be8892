//! Times as logs write them.

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use hostread_schemas::unit::EventTimeMs;

/// How a log writes times.
#[derive(Clone, Debug)]
pub(super) struct TimeFormat {
    kind: Kind,
    /// Of times that do not say theirs.
    zone: TimeZone,
}

#[derive(Clone, Debug)]
enum Kind {
    /// RFC 3339 with or without an offset, or a number whose size says its unit.
    Auto,
    /// A number of so many in a second.
    Unix(i128),
    Pattern(String),
}

const WORDS: [(&str, i128); 4] = [
    ("unix", 1),
    ("unix_ms", 1_000),
    ("unix_us", 1_000_000),
    ("unix_ns", 1_000_000_000),
];
const NANOS: i128 = 1_000_000_000;
/// A larger number counts no seconds: they would lie behind the year 5138.
const SECS_MAX: i128 = 100_000_000_000;

impl TimeFormat {
    pub(super) fn new(format: Option<&str>, zone: TimeZone) -> Result<Self, String> {
        let kind = match format {
            None | Some("auto" | "rfc3339") => Kind::Auto,
            Some(pattern) if pattern.contains('%') => {
                let sample = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
                strtime::format(pattern, &sample)
                    .map_err(|error| format!("\"{pattern}\" is no pattern: {error}"))?;
                Kind::Pattern(pattern.to_owned())
            }
            Some(word) => {
                let unit = WORDS.iter().find(|(known, _)| *known == word);
                let (_, per_sec) = unit.ok_or_else(|| {
                    format!("\"{word}\" is none of rfc3339, unix, unix_ms, unix_us, unix_ns, and no pattern such as %d/%b/%Y:%H:%M:%S %z")
                })?;
                Kind::Unix(*per_sec)
            }
        };
        Ok(Self { kind, zone })
    }

    pub(super) fn read(&self, text: &str) -> Option<EventTimeMs> {
        match &self.kind {
            Kind::Auto => match decimal(text) {
                Some(number) => unix(number, unit_of(number)),
                None => self.written(text),
            },
            Kind::Unix(per_sec) => unix(decimal(text)?, *per_sec),
            Kind::Pattern(pattern) => {
                let parts = strtime::parse(pattern, text).ok()?;
                match parts.to_timestamp() {
                    Ok(time) => Some(ms(time)),
                    Err(_) => self.local(parts.to_datetime().ok()?),
                }
            }
        }
    }

    fn written(&self, text: &str) -> Option<EventTimeMs> {
        match text.parse::<Timestamp>() {
            Ok(time) => Some(ms(time)),
            Err(_) => self.local(text.parse().ok()?),
        }
    }

    /// Of an hour that comes twice the first; of one that does not come, as far behind its begin.
    fn local(&self, civil: jiff::civil::DateTime) -> Option<EventTimeMs> {
        self.zone.to_timestamp(civil).ok().map(ms)
    }
}

fn ms(time: Timestamp) -> EventTimeMs {
    EventTimeMs(time.as_millisecond())
}

/// A decimal number in billionths, exactly; more than nine places are cut.
fn decimal(text: &str) -> Option<i128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 20 || !digits(whole) || !digits(part) {
        return None;
    }
    let part: String = part.chars().chain("000000000".chars()).take(9).collect();
    Some(whole.parse::<i128>().ok()? * NANOS + part.parse::<i128>().ok()?)
}

/// Seconds, else milliseconds, microseconds, nanoseconds.
fn unit_of(number: i128) -> i128 {
    let units = [1, 1_000, 1_000_000];
    let fits = |unit: &i128| number / NANOS < SECS_MAX * unit;
    units.into_iter().find(fits).unwrap_or(NANOS)
}

fn unix(number: i128, per_sec: i128) -> Option<EventTimeMs> {
    let millis = number / per_sec / 1_000_000;
    i64::try_from(millis).ok().map(EventTimeMs)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;

    fn read(format: Option<&str>, zone: &str, text: &str) -> Option<i64> {
        let zone = TimeZone::get(zone).unwrap();
        let format = TimeFormat::new(format, zone).unwrap();
        format.read(text).map(|time| time.0)
    }

    #[test]
    fn one_moment_in_every_spelling() {
        const MOMENT: i64 = 1_794_205_901_500;
        for (format, zone, text) in [
            (None, "UTC", "2026-11-09T06:31:41.5Z"),
            (None, "UTC", "2026-11-09T07:31:41.5+01:00"),
            (None, "Europe/Berlin", "2026-11-09 07:31:41.5"),
            (None, "UTC", "1794205901.5"),
            (None, "UTC", "1794205901500"),
            (None, "UTC", "1794205901500000"),
            (None, "UTC", "1794205901500000999"),
            (Some("unix"), "UTC", "1794205901.500"),
            (Some("unix_ns"), "UTC", "1794205901500000000"),
        ] {
            assert_eq!(read(format, zone, text), Some(MOMENT), "{text}");
        }
        let second = Some(MOMENT - 500);
        let apache = Some("%d/%b/%Y:%H:%M:%S %z");
        assert_eq!(read(apache, "UTC", "09/Nov/2026:07:31:41 +0100"), second);
        let local = Some("%d.%m.%Y %H:%M:%S");
        assert_eq!(read(local, "Europe/Berlin", "09.11.2026 07:31:41"), second);
    }

    #[test]
    fn an_hour_that_comes_twice_or_never() {
        let at = |text| read(None, "Europe/Berlin", text);
        assert_eq!(at("2026-10-25 02:30:00"), at("2026-10-25T00:30:00Z"));
        assert_eq!(at("2026-03-29 02:30:00"), at("2026-03-29T01:30:00Z"));
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "-1",
            "1e9",
            "yesterday",
            "2026-13-01T00:00:00Z",
            "99999999999999999999999",
        ] {
            assert_eq!(read(None, "UTC", text), None, "{text}");
        }
        assert!(TimeFormat::new(Some("epoch"), TimeZone::UTC).is_err());
        assert!(TimeFormat::new(Some("%Y %&"), TimeZone::UTC).is_err());
    }
}
