//! What a document may say: every parameter with a source, those that the engine does one way with the value that it does.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hostread_schemas::{INCLUSION_DAYS_MAX, INCLUSION_MAX};
use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Document, DocumentError, Inclusion, ListFile, Row, parameters};

/// Names and texts are at most so long.
const TEXT_BYTES_MAX: usize = 1_024;
/// A referrer list has at most so many hosts; as many as an event.
const REFERRERS_MAX: usize = 10_000;

/// The value that the engine applies, of a parameter that it does one way.
pub(super) fn fixed_value(parameter: &str) -> Value {
    match parameter {
        "filters" => json!([
            "malformed",
            "not_an_episode",
            "method",
            "status",
            "no_user_agent",
            "watch",
            "bot_user_agent",
            "nonhuman_ip",
            "range_0_1",
            "referrer",
            "ip_volume",
        ]),
        "methods" => json!(["GET"]),
        "statuses" => json!([200, 206]),
        "watch" => json!([
            "begins with \"atc/\" and contains \"watchOS\"",
            "contains \"(null)/(null) watchOS\"",
        ]),
        _ => Value::Null,
    }
}

/// Every parameter is there once, has a source, and none asks for what the engine cannot do.
pub(super) fn fixed(rows: &BTreeMap<String, Row>) -> Result<(), DocumentError> {
    let known = parameters();
    for name in rows.keys() {
        if !known.iter().any(|row| row.parameter == *name) {
            return Err(DocumentError::of(name, "is no parameter of the engine"));
        }
    }
    for parameter in known {
        let name = &parameter.parameter;
        let Some(row) = rows.get(name) else {
            return Err(DocumentError::of(name, "is missing"));
        };
        text(&format!("parameters.{name}.source"), &row.source)?;
        let fixed = fixed_value(name);
        if !fixed.is_null() && row.value != fixed {
            let why = format!("the engine applies {fixed} only, not {}", row.value);
            return Err(DocumentError::of(name, why));
        }
    }
    Ok(())
}

/// What becomes of requests for bytes 0-1.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Range01 {
    cdn: Fate,
    prefix: Fate,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Fate {
    Drop,
    Keep,
}

impl Range01 {
    pub(super) fn value(prefix_drops: bool) -> Value {
        let prefix = if prefix_drops { "drop" } else { "keep" };
        json!({"cdn": "drop", "prefix": prefix})
    }

    pub(super) fn prefix_drops(&self) -> Result<bool, DocumentError> {
        if self.cdn != Fate::Drop {
            let why = "the engine drops these requests of a cdn, it cannot keep them";
            return Err(DocumentError::of("range_0_1.value.cdn", why));
        }
        Ok(self.prefix == Fate::Drop)
    }
}

fn text(field: &str, text: &str) -> Result<(), DocumentError> {
    if text.trim().is_empty() {
        return Err(DocumentError::new(field, "is empty"));
    }
    if text.len() > TEXT_BYTES_MAX {
        let why = format!("is longer than {TEXT_BYTES_MAX} bytes");
        return Err(DocumentError::new(field, why));
    }
    Ok(())
}

fn date(field: &str, text: &str) -> Result<Date, DocumentError> {
    text.parse()
        .map_err(|_| DocumentError::new(field, "is no date such as 2026-11-09"))
}

fn is_range(text: &str) -> bool {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let most = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.is_none_or(|bits| bits.parse::<u8>().is_ok_and(|bits| bits <= most))
}

/// Values in their limits.
pub(super) fn document(it: &Document) -> Result<(), DocumentError> {
    let number = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b))
    };
    for (field, word) in [("name", &it.name), ("version", &it.version)] {
        text(field, word)?;
        if !number(word) || word.len() > 100 {
            let why = "is of letters, digits, ., - and _, 100 at most";
            return Err(DocumentError::new(field, why));
        }
    }
    if !(1..=3_600).contains(&it.threshold_secs) {
        let why = "must be from 1 to 3600";
        return Err(DocumentError::of("threshold_secs.value", why));
    }
    if it.referrers_denied.len() > REFERRERS_MAX {
        let why = format!("has more than {REFERRERS_MAX} entries");
        return Err(DocumentError::of("referrers_denied.value", why));
    }
    for (at, host) in it.referrers_denied.iter().enumerate() {
        text(&format!("parameters.referrers_denied.value[{at}]"), host)?;
    }
    if TimeZone::get(&it.zone).is_err() {
        let why = "must be a zone of the IANA database such as Europe/Berlin";
        return Err(DocumentError::of("zone.value", why));
    }
    if it.inclusion.len() > INCLUSION_MAX {
        let why = format!("has more than {INCLUSION_MAX} entries");
        return Err(DocumentError::of("inclusion.value", why));
    }
    for (at, entry) in it.inclusion.iter().enumerate() {
        inclusion(&format!("parameters.inclusion.value[{at}]"), entry)?;
    }
    for (name, files) in [("bots", &it.bots), ("data_centres", &it.data_centres)] {
        for (at, file) in files.iter().enumerate() {
            list(&format!("parameters.{name}.value[{at}]"), file)?;
        }
    }
    Ok(())
}

fn inclusion(at: &str, entry: &Inclusion) -> Result<(), DocumentError> {
    if !is_range(&entry.range) {
        let why = "is no address or network such as 192.0.2.0/24";
        return Err(DocumentError::new(format!("{at}.range"), why));
    }
    text(&format!("{at}.who"), &entry.who)?;
    text(&format!("{at}.evidence"), &entry.evidence)?;
    let when = date(&format!("{at}.when"), &entry.when)?;
    let expires = date(&format!("{at}.expires"), &entry.expires)?;
    let latest = when.saturating_add(INCLUSION_DAYS_MAX.days());
    if expires <= when || expires > latest {
        let why =
            format!("must be after \"when\" and at most {INCLUSION_DAYS_MAX} days later, {latest}");
        return Err(DocumentError::new(format!("{at}.expires"), why));
    }
    Ok(())
}

fn list(at: &str, file: &ListFile) -> Result<(), DocumentError> {
    text(&format!("{at}.file"), &file.file)?;
    let hex = file
        .sha256
        .bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if file.sha256.len() != 64 || !hex {
        let why = "must be 64 hexadecimal digits in small letters";
        return Err(DocumentError::new(format!("{at}.sha256"), why));
    }
    date(&format!("{at}.date"), &file.date).map(drop)
}
