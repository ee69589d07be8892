//! Undoing the encodings of logs and addresses, on bytes, once.

use std::borrow::Cow;

use crate::prefix;

/// Replaces each `%HH` by its byte, once (`%2520` becomes `%20`). A `%` without two digits stays.
#[must_use]
pub fn percent_decode(text: &[u8]) -> Cow<'_, [u8]> {
    unescape(text, b"%")
}

/// Replaces each `\xHH` by its byte, and `\"`, `\\`, `\n`, `\r`, `\t` by what they stand for (nginx, Apache).
#[must_use]
pub fn backslash_decode(text: &[u8]) -> Cow<'_, [u8]> {
    unescape(text, b"\\x")
}

fn unescape<'a>(text: &'a [u8], mark: &[u8]) -> Cow<'a, [u8]> {
    let Some(lead) = mark.first() else {
        return Cow::Borrowed(text);
    };
    if memchr::memchr(*lead, text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        if let Some((byte, behind)) = rest.strip_prefix(mark).and_then(take_hex) {
            out.push(byte);
            rest = behind;
        } else if let Some((byte, behind)) = (mark == b"\\x").then(|| short_escape(rest)).flatten()
        {
            out.push(byte);
            rest = behind;
        } else {
            out.push(*first);
            rest = after;
        }
    }
    Cow::Owned(out)
}

fn take_hex(text: &[u8]) -> Option<(u8, &[u8])> {
    let ([high, low], rest) = text.split_first_chunk::<2>()?;
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    Some((digit(*high)? << 4 | digit(*low)?, rest))
}

fn short_escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let ([b'\\', letter], rest) = text.split_first_chunk::<2>()? else {
        return None;
    };
    let byte = match letter {
        b'"' | b'\\' => *letter,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        _ => return None,
    };
    Some((byte, rest))
}

/// Path of an address without scheme, host, query and fragment, percent-decoded once, behind all prefixes that are known; `None`
/// when it is not UTF-8 or holds a NUL.
#[must_use]
pub fn enclosure_path(address: &str) -> Option<Cow<'_, str>> {
    // First of all without its query, which may hold an address too.
    let end = memchr::memchr2(b'?', b'#', address.as_bytes());
    let address = end.map_or(address, |end| address.get(..end).unwrap_or_default());
    let path = match behind_scheme(address) {
        Some(rest) => {
            let rest = prefix::unwrap(rest).address;
            rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
        }
        None => address,
    };
    let decoded = match percent_decode(path.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(path),
        Cow::Owned(decoded) => Cow::Owned(String::from_utf8(decoded).ok()?),
    };
    memchr::memchr(0, decoded.as_bytes())
        .is_none()
        .then_some(decoded)
}

/// What follows the first `://`.
fn behind_scheme(address: &str) -> Option<&str> {
    let rests = memchr::memchr_iter(b':', address.as_bytes()).map(|at| address.get(at..));
    rests.flatten().find_map(|rest| rest.strip_prefix("://"))
}

/// Host of an address, lower case, without user and port; `None` when there is none.
#[must_use]
pub fn host_of(address: &str) -> Option<String> {
    let rest = behind_scheme(address).unwrap_or(address);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

/// At most `bytes_max` bytes of a text, cut between characters.
#[must_use]
pub fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_once() {
        for (from, to) in [
            ("a%20b", "a b"),
            ("%2520", "%20"),
            ("%", "%"),
            ("%2", "%2"),
            ("%zz%41", "%zzA"),
            ("plain", "plain"),
        ] {
            assert_eq!(&*percent_decode(from.as_bytes()), to.as_bytes());
        }
    }

    #[test]
    fn backslashes() {
        for (from, to) in [
            ("M\\xC3\\xBCsli", "Müsli"),
            ("a\\x22b\\x5C", "a\"b\\"),
            ("\\\"q\\\"", "\"q\""),
            ("\\q\\", "\\q\\"),
        ] {
            assert_eq!(&*backslash_decode(from.as_bytes()), to.as_bytes());
        }
    }

    #[test]
    fn paths_and_hosts() {
        assert_eq!(
            enclosure_path("https://cdn.example.com/a%20b/e.mp3?x=1#y").as_deref(),
            Some("/a b/e.mp3")
        );
        for query in ["x", "from=https://x.example/y", "u=//x.example/y"] {
            let address = format!("/a/e.mp3?{query}");
            assert_eq!(enclosure_path(&address).as_deref(), Some("/a/e.mp3"));
        }
        for wrapped in [
            "https://op3.dev/e/cdn.example.com/a%20b/e.mp3?x=1",
            "/p/feed/https://pdst.fm/e/https://cdn.example.com/a%20b/e.mp3",
        ] {
            assert_eq!(enclosure_path(wrapped).as_deref(), Some("/a b/e.mp3"));
        }
        assert_eq!(
            enclosure_path("https://cdn.example.com").as_deref(),
            Some("/")
        );
        assert_eq!(enclosure_path("/%ff"), None);
        assert_eq!(enclosure_path("/%00"), None);
        assert_eq!(
            host_of("https://u@WWW.Example.com:8443/p?q").as_deref(),
            Some("www.example.com")
        );
        assert_eq!(
            host_of("http://[2001:db8::1]:80/").as_deref(),
            Some("2001:db8::1")
        );
        assert_eq!(host_of(""), None);
        assert_eq!(cut("aü", 2), "a");
    }
}
