//! What the connectors for delivery logs share: settings of a feed, reading numbers and texts, the event of a line.

use std::borrow::Cow;

use std::net::IpAddr;
use std::sync::Arc;

use hostread_connectors_kit::text::{enclosure_path, host_of};
use hostread_connectors_kit::{Mapped, Origin, Rejected, parse_address};
use hostread_schemas::event::{Body, Event, Method, RequestText, SourceKind};
use hostread_schemas::unit::EventTimeMs;

use crate::cloudflare;
use crate::cloudfront::Cloudfront;
use crate::combined::Combined;
use crate::mapped::{MappedLog, Mapping};
use crate::web::clean_agent;

/// What a log feed is, beyond its format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogSettings {
    /// Delivery log, or log of a redirect prefix: there a redirect is a request like any other, and no bytes are known.
    pub source_kind: SourceKind,
    /// Ads are stitched into the files at delivery: the total length marks the version. Leave it off for plain files, where a
    /// line says the total only sometimes and one file must stay one version.
    pub stitched: bool,
}

/// Every log format, by its name in commands and addresses.
pub const LOG_FORMATS: [&str; 4] = ["cloudfront", "combined", "cloudflare", MAPPED];
/// The format that a mapping says.
pub const MAPPED: &str = "mapped";

/// A log format.
#[derive(Clone, Debug)]
pub enum LogFormat {
    /// CloudFront standard access log.
    Cloudfront(Box<Cloudfront>),
    /// nginx, Apache, Fastly.
    Combined(Combined),
    /// JSON or CSV as a mapping says; Cloudflare's is one that comes with the product.
    Mapped(Box<MappedLog>),
}

impl LogFormat {
    /// One of `LOG_FORMATS`; `mapped` needs a mapping.
    #[must_use]
    pub fn named(
        name: &str,
        settings: LogSettings,
        mapping: Option<&Arc<Mapping>>,
    ) -> Option<Self> {
        let mapped = |mapping| Self::Mapped(Box::new(MappedLog::new(mapping, settings)));
        match name {
            "cloudfront" => Some(Self::Cloudfront(Box::new(Cloudfront::new(settings)))),
            "combined" => Some(Self::Combined(Combined::new(settings))),
            "cloudflare" => Some(mapped(cloudflare::mapping())),
            MAPPED => mapping.map(|mapping| mapped(Arc::clone(mapping))),
            _ => None,
        }
    }

    /// The format of a file by a line, if it tells one: as the mapping says, if the line fits it.
    #[must_use]
    pub fn told_by(
        line: &[u8],
        settings: LogSettings,
        mapping: Option<&Arc<Mapping>>,
    ) -> Option<Self> {
        let quoted = |line: &[u8]| line.windows(3).any(|three| three == b"] \"");
        let name = match line {
            _ if mapping.is_some_and(|mapping| mapping.fits(line)) => MAPPED,
            [b'#', ..] => "cloudfront",
            [b'{', ..] => "cloudflare",
            line if line.get(10) == Some(&b'\t') => "cloudfront",
            line if quoted(line) => "combined",
            _ => return None,
        };
        Self::named(name, settings, mapping)
    }

    /// Takes note of a header line, which changes how the later ones are read; any other line changes nothing, except that
    /// the first of CSV is one.
    pub fn learn(&mut self, line: &[u8]) {
        match self {
            Self::Cloudfront(log) => log.learn(line),
            Self::Combined(_) => {}
            Self::Mapped(log) => log.learn(line),
        }
    }

    /// The next line of the file.
    pub fn line(&mut self, origin: &Origin<'_>, line: &[u8]) -> Mapped {
        self.hear(line, |delivered| Box::new(delivered.event(origin)))
    }

    /// What `then` makes of the next line of the file.
    pub fn hear<T>(&mut self, line: &[u8], then: impl FnOnce(&Delivered<'_>) -> T) -> Mapped<T> {
        match self {
            Self::Cloudfront(log) => {
                log.learn(line);
                log.hear(line, then)
            }
            Self::Combined(log) => log.hear(line, then),
            Self::Mapped(log) => log.hear_next(line, then),
        }
    }

    /// Whether later lines cannot be read without this one.
    #[must_use]
    pub fn is_head(&self, line: &[u8]) -> bool {
        match self {
            Self::Cloudfront(_) => line.starts_with(b"#Fields:"),
            Self::Combined(_) => false,
            Self::Mapped(log) => log.is_head(line),
        }
    }
}

/// What response headers take of bytes that a log counts with them. Only used where the body's length must be derived: a
/// transfer that was cut, or one without a length. Real headers are some 350 to 650 bytes; a minute of audio is hundreds of
/// thousands.
const RESPONSE_HEADER_BYTES: u64 = 500;

/// Bytes of the body, of bytes with headers: all of it unless fewer bytes than its length were sent altogether.
pub(crate) fn body_of(bytes_with_headers: u64, length: Option<u64>) -> u64 {
    match length {
        Some(length) if bytes_with_headers >= length => length,
        _ => bytes_with_headers.saturating_sub(RESPONSE_HEADER_BYTES),
    }
}

/// The line cannot be read.
pub(crate) fn malformed(reason: &'static str, message: impl Into<String>) -> Rejected {
    Rejected::whole(reason, message)
}

/// The line as text.
pub(crate) fn text_of(line: &[u8]) -> Result<&str, Rejected> {
    if memchr::memchr(0, line).is_some() {
        return Err(malformed("nul", "the line holds a NUL byte"));
    }
    std::str::from_utf8(line).map_err(|_| malformed("utf8", "the line is not UTF-8"))
}

/// A piece of a line's text without the log's own encoding; `-` is nothing. Most pieces stay as they are.
pub(crate) fn undone<'a>(
    field: &'a str,
    name: &str,
    decode: impl Fn(&'a [u8]) -> Cow<'a, [u8]>,
) -> Result<Cow<'a, str>, Rejected> {
    if field == "-" {
        return Ok(Cow::Borrowed(""));
    }
    match decode(field.as_bytes()) {
        Cow::Borrowed(_) => Ok(Cow::Borrowed(field)),
        Cow::Owned(bytes) => decoded(bytes, name).map(Cow::Owned),
    }
}

/// A decoded piece of a line as text.
pub(crate) fn decoded(bytes: Vec<u8>, field: &str) -> Result<String, Rejected> {
    if bytes.contains(&0) {
        return Err(Rejected::field("nul", field, "holds a NUL byte"));
    }
    String::from_utf8(bytes).map_err(|_| Rejected::field("utf8", field, "is not UTF-8"))
}

/// Digits only: no sign, no blanks.
pub(crate) fn number(text: &str, field: &str) -> Result<u64, Rejected> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .ok_or_else(|| Rejected::field("number", field, "is not a number"))
}

/// `-` or nothing is no number.
pub(crate) fn number_or_none(text: &str, field: &str) -> Result<Option<u64>, Rejected> {
    match text {
        "" | "-" => Ok(None),
        digits => number(digits, field).map(Some),
    }
}

/// A three-digit status.
pub(crate) fn status(text: &str) -> Result<u16, Rejected> {
    if text.len() != 3 {
        return Err(Rejected::field("number", "status", "is not a status"));
    }
    number(text, "status").map(|status| status as u16)
}

pub(crate) fn method(text: &str) -> Method {
    match text {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        _ => Method::Other,
    }
}

/// Time from civil parts and an offset in seconds.
pub(crate) fn time(
    [year, month, day]: [u64; 3],
    [hour, minute, second]: [u64; 3],
    offset_secs: i64,
) -> Result<EventTimeMs, Rejected> {
    let wrong = || Rejected::field("date", "time", "is not a date and time");
    let small = |value: u64| i8::try_from(value).map_err(|_| wrong());
    let civil = jiff::civil::DateTime::new(
        i16::try_from(year).map_err(|_| wrong())?,
        small(month)?,
        small(day)?,
        small(hour)?,
        small(minute)?,
        small(second)?,
        0,
    )
    .map_err(|_| wrong())?;
    let utc = jiff::tz::Offset::UTC
        .to_timestamp(civil)
        .map_err(|_| wrong())?;
    Ok(EventTimeMs(utc.as_millisecond() - offset_secs * 1000))
}

/// 2000 to 2100: before it there were no podcasts, and what lies behind it is a clock gone wrong.
const TIMES: std::ops::Range<i64> = 946_684_800_000..4_102_444_800_000;
/// 1 TiB: larger is no audio file, and sums of such sizes would not fit.
const BODY_BYTES_MAX: u64 = 1 << 40;

/// What a line says, before the feed's settings.
pub(crate) struct Delivery<'a> {
    pub(crate) own_id: &'a [u8],
    pub(crate) time: EventTimeMs,
    pub(crate) ip: &'a str,
    /// Address asked for, still percent-encoded as in HTTP.
    pub(crate) target: &'a str,
    pub(crate) referrer: &'a str,
    /// Without audio address, referrer and source kind.
    pub(crate) request: RequestText<'a>,
}

/// What a line of a delivery log says.
#[derive(Clone, Copy, Debug)]
pub struct Delivered<'a> {
    /// What the source itself calls it.
    pub own_id: &'a [u8],
    /// When it was asked for.
    pub time: EventTimeMs,
    /// By whom.
    pub address: IpAddr,
    /// What was asked for and sent.
    pub request: RequestText<'a>,
}

impl Delivered<'_> {
    /// As an event.
    #[must_use]
    pub fn event(&self, origin: &Origin<'_>) -> Event {
        let ip = origin.pseudonyms.address(self.address);
        let request = self.request.of_client(ip);
        origin.event(self.own_id, self.time, Body::Request(request))
    }
}

impl Delivery<'_> {
    /// What `then` makes of it; settings decide what a prefix's redirect and a total length mean.
    pub(crate) fn hear<T>(
        self,
        settings: LogSettings,
        then: impl FnOnce(&Delivered<'_>) -> T,
    ) -> Result<T, Rejected> {
        let address = parse_address(self.ip)
            .ok_or_else(|| Rejected::field("ip", "ip", "is not an address"))?;
        let enclosure = enclosure_path(self.target)
            .ok_or_else(|| Rejected::field("utf8", "path", "is not UTF-8 once it is decoded"))?;
        if !TIMES.contains(&self.time.0) {
            return Err(Rejected::field("date", "time", "is no time of a podcast"));
        }
        let end = self.request.sent_first.checked_add(self.request.sent_bytes);
        if end.is_none_or(|end| end > BODY_BYTES_MAX) {
            return Err(Rejected::field("number", "bytes", "is no size of a file"));
        }
        let referrer = host_of(self.referrer);
        let agent = clean_agent(self.request.agent);
        let mut request = RequestText {
            enclosure: &enclosure,
            agent: &agent,
            referrer: referrer.as_deref(),
            source_kind: settings.source_kind,
            ..self.request
        };
        if request.method != Method::Get {
            request.sent_bytes = 0;
        }
        if !settings.stitched {
            request.total_bytes = None;
        }
        if settings.source_kind == SourceKind::Prefix {
            (request.sent_first, request.sent_bytes) = (0, 0);
            if matches!(request.status, 301 | 302 | 303 | 307 | 308) {
                request.status = 200;
            }
        }
        Ok(then(&Delivered {
            own_id: self.own_id,
            time: self.time,
            address,
            request,
        }))
    }
}
