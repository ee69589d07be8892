//! What the connectors for delivery logs share: settings of a feed, reading numbers and texts, the event of a line.

use hostread_connectors_kit::text::{enclosure_path, host_of};
use hostread_connectors_kit::{Mapped, Origin, Rejected};
use hostread_schemas::event::{Body, Method, Request, SourceKind};
use hostread_schemas::unit::EventTimeMs;

use crate::cloudfront::Cloudfront;
use crate::combined::Combined;
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

/// A log format, by its name in commands and addresses.
#[derive(Clone, Debug)]
pub enum LogFormat {
    /// CloudFront standard access log.
    Cloudfront(Box<Cloudfront>),
    /// nginx, Apache, Fastly.
    Combined(Combined),
}

impl LogFormat {
    /// `cloudfront` or `combined`.
    #[must_use]
    pub fn named(name: &str, settings: LogSettings) -> Option<Self> {
        match name {
            "cloudfront" => Some(Self::Cloudfront(Box::new(Cloudfront::new(settings)))),
            "combined" => Some(Self::Combined(Combined::new(settings))),
            _ => None,
        }
    }

    /// Takes note of a header line, which changes how the later ones are read; any other line changes nothing.
    pub fn learn(&mut self, line: &[u8]) {
        match self {
            Self::Cloudfront(log) => log.learn(line),
            Self::Combined(_) => {}
        }
    }

    /// The next line of the file.
    pub fn line(&mut self, origin: &Origin<'_>, line: &[u8]) -> Mapped {
        self.learn(line);
        match self {
            Self::Cloudfront(log) => log.read(origin, line),
            Self::Combined(log) => log.read(origin, line),
        }
    }
}

/// The line cannot be read.
pub(crate) fn malformed(reason: &'static str, message: impl Into<String>) -> Rejected {
    Rejected::whole(reason, message)
}

/// The line as text.
pub(crate) fn text_of(line: &[u8]) -> Result<&str, Rejected> {
    if line.contains(&0) {
        return Err(malformed("nul", "the line holds a NUL byte"));
    }
    std::str::from_utf8(line).map_err(|_| malformed("utf8", "the line is not UTF-8"))
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

/// What a line says, before the feed's settings.
pub(crate) struct Delivery<'a> {
    pub(crate) own_id: &'a [u8],
    pub(crate) time: EventTimeMs,
    pub(crate) ip: &'a str,
    /// Address asked for, still percent-encoded as in HTTP.
    pub(crate) target: &'a str,
    pub(crate) referrer: &'a str,
    pub(crate) request: Request,
}

impl Delivery<'_> {
    /// The event; settings decide what a prefix's redirect and a total length mean.
    pub(crate) fn event(
        self,
        origin: &Origin<'_>,
        settings: LogSettings,
    ) -> Result<hostread_schemas::event::Event, Rejected> {
        let ip = origin
            .pseudonyms
            .address_text(self.ip)
            .ok_or_else(|| Rejected::field("ip", "ip", "is not an address"))?;
        let enclosure = enclosure_path(self.target)
            .ok_or_else(|| Rejected::field("utf8", "path", "is not UTF-8 once it is decoded"))?;
        let mut request = Request {
            enclosure,
            ip,
            referrer: host_of(self.referrer),
            source_kind: settings.source_kind,
            ..self.request
        };
        request.agent = clean_agent(request.agent);
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
        Ok(origin.event(self.own_id, self.time, Body::Request(request)))
    }
}
