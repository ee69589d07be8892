//! The fields of one line to a request. Pure.

use std::borrow::Cow;

use hostread_connectors_kit::Rejected;
use hostread_connectors_kit::text::percent_decode;
use hostread_schemas::event::{Method, RequestText, SourceKind};

use super::Values;
use super::mapping::{Mapping, Part};
use crate::log::{
    Delivered, Delivery, LogSettings, body_of, decoded, malformed, method, number, status,
};
use crate::range::{default_first, range_asked, served_range};

/// What a line says, by part.
struct Parts<'a> {
    mapping: &'a Mapping,
    values: Values<'a>,
}

impl Parts<'_> {
    /// As it stands in the line; `-` and nothing are nothing.
    fn text(&self, part: Part) -> Option<&str> {
        let named = self.mapping.named.iter().zip(&self.values);
        let mut there = named
            .filter(|(named, _)| named.part == Some(part))
            .filter_map(|(_, value)| value.as_deref())
            .filter(|text| !matches!(*text, "" | "-"));
        let fixed = self.mapping.fixed.get(part as usize);
        there.next().or_else(|| fixed?.as_deref())
    }

    /// The log's name of a part.
    fn name(&self, part: Part) -> &str {
        self.mapping.name_of(part)
    }

    fn needed(&self, part: Part) -> Result<&str, Rejected> {
        let missing = || Rejected::field("missing", self.name(part), "is missing");
        self.text(part).ok_or_else(missing)
    }

    /// Without the encodings that the log put around it.
    fn decoded(&self, part: Part) -> Result<String, Rejected> {
        let mut bytes = Cow::Borrowed(self.text(part).unwrap_or_default().as_bytes());
        let times = self.mapping.encoded.get(part as usize).copied();
        for _ in 0..times.unwrap_or(0) {
            bytes = Cow::Owned(percent_decode(&bytes).into_owned());
        }
        decoded(bytes.into_owned(), self.name(part))
    }

    fn number(&self, part: Part) -> Result<Option<u64>, Rejected> {
        let text = self.text(part);
        text.map(|text| number(text, self.name(part))).transpose()
    }

    /// Bytes of the body.
    fn body_bytes(&self) -> Result<Option<u64>, Rejected> {
        if let Some(bytes) = self.number(Part::Bytes)? {
            return Ok(Some(bytes));
        }
        let length = self.number(Part::Length)?;
        let bytes = self.number(Part::BytesWithHeaders)?;
        Ok(bytes.map(|bytes| body_of(bytes, length)))
    }
}

pub(super) fn delivery<T>(
    mapping: &Mapping,
    line: &[u8],
    values: Values<'_>,
    settings: LogSettings,
    then: impl FnOnce(&Delivered<'_>) -> T,
) -> Result<T, Rejected> {
    let parts = Parts { mapping, values };
    let method = method(&parts.needed(Part::Method)?.to_ascii_uppercase());
    let code = parts.needed(Part::Status)?;
    let status = status(code)
        .map_err(|_| Rejected::field("number", parts.name(Part::Status), "is not a status"))?;
    let body_bytes = match (method, parts.body_bytes()?) {
        (_, Some(bytes)) => bytes,
        (Method::Get, None) if settings.source_kind != SourceKind::Prefix => {
            return Err(Rejected::field(
                "missing",
                parts.name(Part::Bytes),
                "is missing",
            ));
        }
        (_, None) => 0,
    };
    let time = parts.needed(Part::Time)?;
    let time = mapping
        .time
        .read(time)
        .ok_or_else(|| Rejected::field("date", parts.name(Part::Time), "is not a date and time"))?;
    let asked = parts.text(Part::Range).and_then(range_asked);
    let served = served_range(parts.text(Part::ContentRange).unwrap_or_default())?;
    let first = match (parts.number(Part::FirstByte)?, served) {
        (Some(first), _) => first,
        (None, Some(served)) => served.first,
        (None, None) => default_first(status, asked),
    };
    let total = match served {
        Some(served) => served.total,
        None if status == 200 => Some(parts.number(Part::Length)?.unwrap_or(body_bytes)),
        None => None,
    };
    parts.needed(Part::Path)?;
    let target = target(&parts.decoded(Part::Host)?, parts.decoded(Part::Path)?);
    let own_id = parts.text(Part::Id).map_or(line, str::as_bytes);
    let session = parts.text(Part::Session);
    if session.is_some_and(|text| text.len() > SESSION_BYTES_MAX) {
        return Err(malformed("value", "the session is too long"));
    }
    let ip = without_port(parts.needed(Part::Ip)?);
    let referrer = parts.decoded(Part::Referrer).unwrap_or_default();
    let agent = parts.decoded(Part::Agent)?;
    Delivery {
        own_id,
        time,
        ip,
        target: &target,
        referrer: &referrer,
        request: RequestText {
            method,
            status,
            range_first: asked.map(|(first, _)| first),
            range_last: asked.and_then(|(_, last)| last),
            sent_first: first,
            sent_bytes: body_bytes,
            total_bytes: total,
            agent: &agent,
            session,
            ..RequestText::default()
        },
    }
    .hear(settings, then)
}

/// A longer one is no id.
const SESSION_BYTES_MAX: usize = 512;

/// The whole address, where the log has the host apart.
fn target(host: &str, path: String) -> String {
    if host.is_empty() || !path.starts_with('/') {
        path
    } else {
        format!("https://{host}{path}")
    }
}

/// `192.0.2.1:443` and `[2001:db8::1]:443` are the address before the port.
fn without_port(text: &str) -> &str {
    if text.starts_with('[') {
        return text
            .find(']')
            .and_then(|at| text.get(..=at))
            .unwrap_or(text);
    }
    match text.split_once(':') {
        Some((address, port)) if !port.contains(':') && address.contains('.') => address,
        _ => text,
    }
}
