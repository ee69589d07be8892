//! One line to a request. Pure.

use std::borrow::Cow;

use hostread_connectors_kit::Rejected;
use hostread_connectors_kit::text::percent_decode;
use hostread_schemas::event::{Method, RequestText};

use crate::log::{
    Delivered, Delivery, LogSettings, body_of, malformed, method, number, number_or_none, status,
    text_of, time, undone,
};

const NAMES: [&str; 13] = [
    "date",
    "time",
    "sc-bytes",
    "c-ip",
    "cs-method",
    "cs-uri-stem",
    "sc-status",
    "cs(User-Agent)",
    "cs(Referer)",
    "x-edge-request-id",
    "sc-content-len",
    "sc-range-start",
    "sc-range-end",
];
/// The first 8 must be there; the others may be missing in older logs.
const REQUIRED: usize = 8;
const DEFAULT_NAMES: &str = "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) \
    cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken \
    x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status fle-encrypted-fields \
    c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len sc-range-start sc-range-end";

/// Where each field stands.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    count: usize,
    places: [Option<usize>; NAMES.len()],
}

impl Default for Columns {
    fn default() -> Self {
        Self::from_names(DEFAULT_NAMES)
    }
}

impl Columns {
    pub(super) fn from_names(names: &str) -> Self {
        let names: Vec<&str> = names.split_ascii_whitespace().collect();
        Self {
            count: names.len(),
            places: NAMES.map(|name| names.iter().position(|there| *there == name)),
        }
    }
}

pub(super) fn delivery<T>(
    columns: &Columns,
    line: &[u8],
    settings: LogSettings,
    then: impl FnOnce(&Delivered<'_>) -> T,
) -> Result<T, Rejected> {
    let text = text_of(line)?;
    let mut fields = ["-"; NAMES.len()];
    let mut count = 0;
    for (place, field) in text.split('\t').enumerate() {
        count += 1;
        for (known, slot) in columns.places.iter().zip(&mut fields) {
            if *known == Some(place) {
                *slot = field;
            }
        }
    }
    if count != columns.count {
        return Err(malformed(
            "fields",
            format!("has {count} fields where {} are expected", columns.count),
        ));
    }
    if let Some(missing) = columns
        .places
        .iter()
        .take(REQUIRED)
        .position(Option::is_none)
    {
        let name = NAMES.get(missing).copied().unwrap_or_default();
        return Err(malformed(
            "fields",
            format!("the file has no field \"{name}\""),
        ));
    }
    let [
        date,
        clock,
        sc_bytes,
        ip,
        verb,
        stem,
        code,
        agent,
        referrer,
        request_id,
        length,
        range_start,
        range_end,
    ] = fields;
    let method = method(verb);
    let length = number_or_none(length, "sc-content-len")?;
    let first = number_or_none(range_start, "sc-range-start")?;
    let last = number_or_none(range_end, "sc-range-end")?;
    let body_bytes = match (method, number(sc_bytes, "sc-bytes")?) {
        (Method::Get, bytes) => body_of(bytes, length),
        _ => 0,
    };
    // CloudFront writes 000 when the client was gone before the last byte of the answer's head was out. If bytes of a body did go
    // out it is a 206 cut short; with none nothing was delivered and the status stays what it is.
    let status = match status(code)? {
        0 if body_bytes > 0 => 206,
        status => status,
    };
    let stem = decode(stem, "cs-uri-stem")?;
    let referrer = decode(referrer, "cs(Referer)").unwrap_or_default();
    let time = time(triple(date, '-')?, triple(clock, ':')?, 0)?;
    let agent = decode(agent, "cs(User-Agent)")?;
    Delivery {
        own_id: if request_id == "-" || request_id.is_empty() {
            line
        } else {
            request_id.as_bytes()
        },
        time,
        ip,
        target: &stem,
        referrer: &referrer,
        request: RequestText {
            method,
            status,
            range_first: first,
            range_last: last.filter(|_| first.is_some()),
            sent_first: first.unwrap_or(0),
            sent_bytes: body_bytes,
            total_bytes: length.filter(|_| first.is_none() && status == 200),
            agent: &agent,
            ..RequestText::default()
        },
    }
    .hear(settings, then)
}

fn decode<'a>(field: &'a str, name: &str) -> Result<Cow<'a, str>, Rejected> {
    undone(field, name, percent_decode)
}

fn triple(text: &str, separator: char) -> Result<[u64; 3], Rejected> {
    let wrong = || Rejected::field("date", "time", "is not a date and time");
    let mut parts = text
        .split(separator)
        .map(|part| number(part, "time").map_err(|_| wrong()));
    let mut next = || parts.next().unwrap_or_else(|| Err(wrong()));
    let triple = [next()?, next()?, next()?];
    match parts.next() {
        None => Ok(triple),
        Some(_) => Err(wrong()),
    }
}
