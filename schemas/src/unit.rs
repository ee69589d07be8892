//! Units: time, credit and money. Integers only; the unit is part of the name.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds in a UTC day.
pub const DAY_MS: i64 = 86_400_000;
/// Milliseconds in an hour.
pub const HOUR_MS: i64 = 3_600_000;
/// One conversion is a million credits, in every model.
pub const CREDIT_MICROS_PER_CONVERSION: u64 = 1_000_000;

/// One step of ingest order, the only time that the dataflow orders by.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
pub struct Tick(pub u64);

impl Tick {
    /// The tick after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl std::fmt::Display for Tick {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A UTC day: days since 1970-01-01.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
pub struct Day(pub i32);

impl Day {
    /// First millisecond of the day.
    #[must_use]
    pub const fn start(self) -> EventTimeMs {
        EventTimeMs(self.0 as i64 * DAY_MS)
    }

    /// First millisecond after the day.
    #[must_use]
    pub const fn end(self) -> EventTimeMs {
        EventTimeMs((self.0 as i64 + 1) * DAY_MS)
    }

    /// The civil date; the calendar's first or last one when the day lies outside it.
    #[must_use]
    pub fn date(self) -> jiff::civil::Date {
        // `days` panics beyond what a span can hold.
        let out = if self.0 < 0 {
            jiff::civil::Date::MIN
        } else {
            jiff::civil::Date::MAX
        };
        jiff::Span::new()
            .try_days(self.0)
            .and_then(|days| jiff::civil::date(1970, 1, 1).checked_add(days))
            .unwrap_or(out)
    }

    /// The day of a civil date.
    #[must_use]
    pub fn from_date(date: jiff::civil::Date) -> Self {
        let span = date.since((jiff::Unit::Day, jiff::civil::date(1970, 1, 1)));
        Self(span.map_or(0, |s| s.get_days()))
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.date())
    }
}

/// A UTC hour: hours since 1970-01-01T00:00Z.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
pub struct Hour(pub i32);

impl Hour {
    /// First millisecond of the hour.
    #[must_use]
    pub const fn start(self) -> EventTimeMs {
        EventTimeMs(self.0 as i64 * HOUR_MS)
    }
}

/// When something happened, by the source's clock (Unix milliseconds): data, never an order of
/// ingest. As JSON: RFC 3339; an integer of milliseconds is read too.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EventTimeMs(pub i64);

/// The nearest `i32`: a time far outside the calendar falls on its last day, not on a wrong one.
const fn clamped(count: i64) -> i32 {
    if count > i32::MAX as i64 {
        i32::MAX
    } else if count < i32::MIN as i64 {
        i32::MIN
    } else {
        count as i32
    }
}

impl EventTimeMs {
    /// The UTC day it falls on.
    #[must_use]
    pub const fn day(self) -> Day {
        Day(clamped(self.0.div_euclid(DAY_MS)))
    }

    /// The UTC hour it falls in.
    #[must_use]
    pub const fn hour(self) -> Hour {
        Hour(clamped(self.0.div_euclid(HOUR_MS)))
    }

    /// Whole seconds since the epoch, cut.
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// RFC 3339 with milliseconds, UTC.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(timestamp) => format!("{timestamp:.3}"),
            Err(_) => self.0.to_string(),
        }
    }

    /// Reads RFC 3339 with any offset.
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>()
            .ok()
            .map(|t| Self(t.as_millisecond()))
    }
}

impl std::fmt::Display for EventTimeMs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

/// When a door got the event (Unix milliseconds). Kept in the event; the pipeline's results never
/// depend on it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReceivedAtMs(pub i64);

/// Reads RFC 3339 or integer milliseconds.
struct TimeVisitor;

impl serde::de::Visitor<'_> for TimeVisitor {
    type Value = i64;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an RFC 3339 time or integer milliseconds")
    }

    fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<i64, E> {
        Ok(v)
    }

    fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<i64, E> {
        i64::try_from(v).map_err(|_| E::custom("the time is out of range"))
    }

    fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<i64, E> {
        EventTimeMs::from_rfc3339(v)
            .map(|t| t.0)
            .ok_or_else(|| E::custom("an RFC 3339 time such as 2026-11-09T10:00:00Z is needed"))
    }
}

macro_rules! serde_time {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let sayable = jiff::Timestamp::from_millisecond(self.0).is_ok();
                if serializer.is_human_readable() && sayable {
                    serializer.serialize_str(&EventTimeMs(self.0).to_rfc3339())
                } else {
                    serializer.serialize_i64(self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    deserializer.deserialize_any(TimeVisitor).map(Self)
                } else {
                    i64::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}
serde_time!(EventTimeMs);
serde_time!(ReceivedAtMs);

/// Millionths of one conversion.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
pub struct CreditMicros(pub i64);

/// Millionths of a currency's main unit (1.50 = 1,500,000). The currency stands beside it.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
pub struct MoneyMicros(pub i64);

impl MoneyMicros {
    /// Reads a decimal such as `34.40` or `-5`; `None` when it is not one, has more than six
    /// decimals that are not zero, or does not fit.
    #[must_use]
    pub fn from_decimal(text: &str) -> Option<Self> {
        let text = text.trim();
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let (kept, rest) = fraction.split_at_checked(6).unwrap_or((fraction, ""));
        if rest.bytes().any(|b| b != b'0') {
            return None;
        }
        let digit = |value: i128, byte: u8| value * 10 + i128::from(byte - b'0');
        let zeros = kept.len()..6;
        let fraction = kept.bytes().chain(zeros.map(|_| b'0')).fold(0, digit);
        let whole: i128 = whole.parse().ok()?;
        let micros = whole.checked_mul(1_000_000)?.checked_add(fraction)?;
        i64::try_from(if negative { -micros } else { micros })
            .ok()
            .map(Self)
    }

    /// The exact decimal, two digits at least: `34.40`, `0.000001`.
    #[must_use]
    pub fn to_decimal(self) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        let micros = self.0.unsigned_abs();
        let fraction = format!("{:06}", micros % 1_000_000);
        let trimmed = fraction.trim_end_matches('0');
        let shown = if trimmed.len() < 2 {
            fraction.get(..2).unwrap_or("00")
        } else {
            trimmed
        };
        format!("{sign}{}.{shown}", micros / 1_000_000)
    }
}

/// An ISO 4217 code, upper case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Currency(pub [u8; 3]);

impl Default for Currency {
    fn default() -> Self {
        Self(*b"USD")
    }
}

impl Currency {
    /// Reads three letters of any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 3] = text.trim().as_bytes().try_into().ok()?;
        bytes
            .iter()
            .all(u8::is_ascii_alphabetic)
            .then(|| Self(bytes.map(|b| b.to_ascii_uppercase())))
    }

    /// The three letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }

    /// Millionths in the currency's smallest unit: 10,000 for cents, 1,000,000 for yen.
    /// Currencies outside the three short lists of ISO 4217 have two digits.
    #[must_use]
    pub fn minor_unit_micros(self) -> i64 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG"
            | b"RWF" | b"UGX" | b"UYI" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 1_000_000,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 1_000,
            b"CLF" | b"UYW" => 100,
            _ => 10_000,
        }
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.as_str())
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
            Self::parse(&text)
                .ok_or_else(|| serde::de::Error::custom("a currency has three letters (ISO 4217)"))
        } else {
            <[u8; 3]>::deserialize(deserializer).map(Self)
        }
    }
}
