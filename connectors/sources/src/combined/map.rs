//! One line to a request. Pure.
//! ```text
//! ip ident user [time offset] "METHOD target protocol" status body_bytes "referer" "agent" ["range" "content-range"]
//! ```

use std::borrow::Cow;

use hostread_connectors_kit::Rejected;
use hostread_connectors_kit::text::backslash_decode;
use hostread_schemas::event::RequestText;
use hostread_schemas::unit::EventTimeMs;

use crate::log::{
    Delivered, Delivery, LogSettings, malformed, method, number_or_none, status, text_of, time,
    undone,
};
use crate::range::{default_first, range_asked, served_range};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// What is left of a line, taken from the front.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn wrong() -> Rejected {
        malformed("fields", "is not a line of the combined format")
    }

    fn eat(&mut self, start: &str) -> Result<(), Rejected> {
        self.0 = self.0.strip_prefix(start).ok_or_else(Self::wrong)?;
        Ok(())
    }

    /// Up to `end`, which is taken too.
    fn until(&mut self, end: u8) -> Result<&'a str, Rejected> {
        self.taken(memchr::memchr(end, self.0.as_bytes()), 1)
    }

    /// What stands before `at`; what is between is taken too.
    fn taken(&mut self, at: Option<usize>, between: usize) -> Result<&'a str, Rejected> {
        let (found, rest) = self.0.split_at(at.ok_or_else(Self::wrong)?);
        self.0 = rest.get(between..).unwrap_or_default();
        Ok(found)
    }

    /// Up to two characters, which are taken too.
    fn until_both(&mut self, [one, other]: [u8; 2]) -> Result<&'a str, Rejected> {
        let bytes = self.0.as_bytes();
        let ends = |at: &usize| bytes.get(at + 1) == Some(&other);
        let at = memchr::memchr_iter(one, bytes).find(ends);
        self.taken(at, 2)
    }

    /// What stands between quotes; a quote behind a backslash does not end it.
    fn quoted(&mut self) -> Result<&'a str, Rejected> {
        self.eat("\"")?;
        let bytes = self.0.as_bytes();
        let escaped = |end: &usize| {
            let before = bytes.get(..*end).unwrap_or_default();
            before
                .iter()
                .rev()
                .take_while(|byte| **byte == b'\\')
                .count()
                % 2
                == 1
        };
        let end = memchr::memchr_iter(b'"', bytes).find(|end| !escaped(end));
        self.taken(end, 1)
    }
}

pub(super) fn delivery<T>(
    line: &[u8],
    settings: LogSettings,
    then: impl FnOnce(&Delivered<'_>) -> T,
) -> Result<T, Rejected> {
    let mut rest = Rest(text_of(line)?);
    let ip = rest.until(b' ')?;
    // ident and user: a user's name may hold blanks.
    let names = rest.until_both(*b" [")?;
    if !names.contains(' ') {
        return Err(Rest::wrong());
    }
    let time = clock(rest.until_both(*b"] ")?)?;
    let asked = rest.quoted()?;
    rest.eat(" ")?;
    let status = status(rest.until(b' ')?)?;
    let body_bytes = number_or_none(rest.until(b' ')?, "body_bytes")?.unwrap_or(0);
    let referrer = rest.quoted()?;
    rest.eat(" ")?;
    let agent = rest.quoted()?;
    let (range, content_range) = if rest.0.is_empty() {
        ("-", "-")
    } else {
        rest.eat(" ")?;
        let range = rest.quoted()?;
        rest.eat(" ")?;
        (range, rest.quoted()?)
    };
    if !rest.0.is_empty() {
        return Err(Rest::wrong());
    }
    let (verb, target) = request_line(asked)?;
    let target = unescape(target, "path")?;
    let referrer = unescape(referrer, "referer").unwrap_or_default();
    let asked = range_asked(range);
    let served = served_range(content_range)?;
    let agent = unescape(agent, "agent")?;
    Delivery {
        own_id: line,
        time,
        ip,
        target: &target,
        referrer: &referrer,
        request: RequestText {
            method: method(verb),
            status,
            range_first: asked.map(|(first, _)| first),
            range_last: asked.and_then(|(_, last)| last),
            sent_first: served.map_or_else(|| default_first(status, asked), |served| served.first),
            sent_bytes: body_bytes,
            total_bytes: match served {
                Some(served) => served.total,
                None => (status == 200).then_some(body_bytes),
            },
            agent: &agent,
            ..RequestText::default()
        },
    }
    .hear(settings, then)
}

fn unescape<'a>(field: &'a str, name: &str) -> Result<Cow<'a, str>, Rejected> {
    undone(field, name, backslash_decode)
}

fn request_line(text: &str) -> Result<(&str, &str), Rejected> {
    let wrong = || malformed("request", "the request line cannot be read");
    let (verb, rest) = text.split_once(' ').ok_or_else(wrong)?;
    let (target, protocol) = rest.rsplit_once(' ').ok_or_else(wrong)?;
    let readable = !target.is_empty()
        && protocol.starts_with("HTTP/")
        && verb.bytes().all(|b| b.is_ascii_alphabetic());
    if readable {
        Ok((verb, target))
    } else {
        Err(wrong())
    }
}

/// `09/Nov/2026:00:31:41 +0000`
fn clock(text: &str) -> Result<EventTimeMs, Rejected> {
    let wrong = || Rejected::field("date", "time", "is not a date and time");
    let text: &[u8; 26] = text.as_bytes().try_into().map_err(|_| wrong())?;
    let digits = |range: std::ops::Range<usize>| {
        let number = text[range].iter().try_fold(0, |number, digit| {
            let digit = digit.is_ascii_digit().then_some(digit & 0xF)?;
            Some(number * 10 + u64::from(digit))
        });
        number.ok_or_else(wrong)
    };
    let marks = [
        (2, b'/'),
        (6, b'/'),
        (11, b':'),
        (14, b':'),
        (17, b':'),
        (20, b' '),
    ];
    if marks.iter().any(|(at, mark)| text[*at] != *mark) {
        return Err(wrong());
    }
    let month = MONTHS
        .iter()
        .position(|month| month.as_bytes() == &text[3..6])
        .ok_or_else(wrong)? as u64
        + 1;
    let (hours, minutes) = (digits(22..24)?, digits(24..26)?);
    if hours > 23 || minutes > 59 {
        return Err(wrong());
    }
    let ahead = (hours * 3600 + minutes * 60) as i64;
    let offset_secs = match text[21] {
        b'+' => ahead,
        b'-' => -ahead,
        _ => return Err(wrong()),
    };
    time(
        [digits(7..11)?, month, digits(0..2)?],
        [digits(12..14)?, digits(15..17)?, digits(18..20)?],
        offset_secs,
    )
}
