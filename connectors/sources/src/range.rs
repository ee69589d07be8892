//! `Range` and `Content-Range` as logs keep them.

use hostread_connectors_kit::Rejected;

use crate::log::number;

/// First and last byte of a single explicit range; a suffix, several ranges or anything else is none.
pub(crate) fn range_asked(text: &str) -> Option<(u64, Option<u64>)> {
    let (first, last) = text.strip_prefix("bytes=")?.trim().split_once('-')?;
    let first = number(first.trim(), "range").ok()?;
    let last = match last.trim() {
        "" => None,
        last => Some(number(last, "range").ok()?),
    };
    Some((first, last))
}

/// What a Content-Range says.
#[derive(Clone, Copy)]
pub(crate) struct Served {
    pub(crate) first: u64,
    pub(crate) total: Option<u64>,
}

/// `bytes 0-1576068/51203377`, total `*` when it is not known; `bytes */123` (416) is none.
pub(crate) fn served_range(text: &str) -> Result<Option<Served>, Rejected> {
    if text == "-" || text.is_empty() || text.starts_with("bytes */") {
        return Ok(None);
    }
    let wrong = || Rejected::field("number", "content-range", "is not a range");
    let (range, total) = text
        .strip_prefix("bytes ")
        .and_then(|range| range.split_once('/'))
        .ok_or_else(wrong)?;
    let (first, last) = range.split_once('-').ok_or_else(wrong)?;
    let (first, last) = (
        number(first, "content-range")?,
        number(last, "content-range")?,
    );
    if last < first {
        return Err(wrong());
    }
    let total = match total {
        "*" => None,
        total => Some(number(total, "content-range")?),
    };
    Ok(Some(Served { first, total }))
}

/// Without a Content-Range, a 206 starts where it was asked to.
pub(crate) fn default_first(status: u16, asked: Option<(u64, Option<u64>)>) -> u64 {
    match (status, asked) {
        (206, Some((first, _))) => first,
        _ => 0,
    }
}
