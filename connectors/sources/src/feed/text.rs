//! What stands in a feed: its encoding, the attributes of an element, references to letters.

use std::borrow::Cow;

use quick_xml::events::{BytesRef, BytesStart};

use super::FeedError;

/// Attributes of an element that are looked at.
pub(super) const ATTRIBUTES_MAX: usize = 64;

/// UTF-8, or what says that it is ISO-8859-1, of which Windows-1252 is taken for the same.
pub(super) fn decoded(bytes: &[u8]) -> Result<Cow<'_, str>, FeedError> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(Cow::Borrowed(text));
    }
    let head = bytes.get(..bytes.len().min(200)).unwrap_or_default();
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    if head.contains("iso-8859-1") || head.contains("windows-1252") {
        return Ok(Cow::Owned(
            bytes.iter().map(|byte| char::from(*byte)).collect(),
        ));
    }
    Err(FeedError::Text)
}

/// The values of these attributes.
pub(super) fn attributes<const N: usize>(
    element: &BytesStart<'_>,
    names: [&str; N],
) -> [Option<String>; N] {
    let mut found = [const { None }; N];
    let mut all = element.attributes();
    let all = all.with_checks(false).take(ATTRIBUTES_MAX);
    for attribute in all.filter_map(Result::ok) {
        let place = names
            .iter()
            .position(|name| name.as_bytes() == attribute.key.as_ref());
        if let Some(slot) = place.and_then(|place| found.get_mut(place)) {
            *slot = Some(unescaped(&String::from_utf8_lossy(&attribute.value)));
        }
    }
    found
}

/// Replaces the references of XML itself; others stay as they are written.
pub(super) fn unescaped(mut text: &str) -> String {
    let mut plain = String::new();
    while let Some((before, rest)) = text.split_once('&') {
        plain.push_str(before);
        let name = rest.split_once(';').filter(|(name, _)| name.len() < 12);
        match name.and_then(|(name, rest)| Some((entity(name)?, rest))) {
            Some((letter, rest)) => {
                plain.push(letter);
                text = rest;
            }
            None => {
                plain.push('&');
                text = rest;
            }
        }
    }
    plain.push_str(text);
    plain
}

pub(super) fn referred(name: &BytesRef<'_>) -> String {
    let name = String::from_utf8_lossy(name);
    match entity(&name) {
        Some(letter) => letter.to_string(),
        None => format!("&{name};"),
    }
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let number = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(number).filter(|letter| *letter != '\0')
        }
    }
}
