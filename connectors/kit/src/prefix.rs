//! Addresses inside addresses: an enclosure behind the prefixes of trackers, each of which redirects to what is written behind it.
//! Promises: pure, and bounded by `CHAIN_MAX`; of one episode, every wrapping gives the same address.
//! Leaves out: asking anyone. A prefix that the table does not have is part of the address.

use std::sync::LazyLock;

/// Prefixes around one address.
pub const CHAIN_MAX: usize = 12;

static TABLE: LazyLock<Vec<Prefix>> = LazyLock::new(|| {
    let lines = include_str!("prefixes.txt").lines();
    let known = lines.filter(|line| !line.starts_with('#'));
    known.filter_map(Prefix::read).collect()
});

/// A line of the table.
struct Prefix {
    text: &'static str,
    host: &'static str,
    segments: Vec<&'static str>,
}

impl Prefix {
    fn read(text: &'static str) -> Option<Self> {
        let (host, path) = text
            .strip_suffix('/')?
            .split_once('/')
            .unwrap_or((text.strip_suffix('/')?, ""));
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        Some(Self {
            text,
            host,
            segments: segments.collect(),
        })
    }

    /// What is written behind it.
    fn behind<'a>(&self, host: &str, mut path: &'a str) -> Option<&'a str> {
        if !host.eq_ignore_ascii_case(self.host) {
            return None;
        }
        path = path.strip_prefix('/')?;
        for pattern in &self.segments {
            let (segment, rest) = path.split_once('/')?;
            let fits = match pattern.strip_suffix('*') {
                Some(start) => segment.len() > start.len() && segment.starts_with(start),
                None => segment == *pattern,
            };
            path = fits.then_some(rest)?;
        }
        Some(path)
    }
}

/// An address without its prefixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwrapped<'a> {
    /// The prefixes around it, as the table writes them, outermost first.
    pub prefixes: Vec<&'static str>,
    /// From its host on, without a scheme.
    pub address: &'a str,
    /// It is itself behind a prefix and no address: where it leads is not known.
    pub open: bool,
}

/// Takes the known prefixes off an address.
#[must_use]
pub fn unwrap(address: &str) -> Unwrapped<'_> {
    let mut address = without_scheme(address);
    let mut prefixes = Vec::new();
    loop {
        let behind = known(address);
        let next = behind.map(|(prefix, rest)| (prefix, without_scheme(rest)));
        match next {
            Some((prefix, rest)) if is_address(rest) && prefixes.len() < CHAIN_MAX => {
                prefixes.push(prefix);
                address = rest;
            }
            _ => {
                return Unwrapped {
                    prefixes,
                    address,
                    open: next.is_some(),
                };
            }
        }
    }
}

/// A prefix around an address, known or not, as `wrappers` finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapper<'a> {
    /// Host and path up to what is wrapped.
    pub text: &'a str,
    /// The table has it: it is taken off.
    pub known: bool,
}

/// What an address is wrapped in, outermost first. Of a prefix that is not known, what is behind it is told by its look: another
/// scheme, or a host in the middle of the path. It is kept as part of the address, and so is all behind it.
#[must_use]
pub fn wrappers(address: &str) -> Vec<Wrapper<'_>> {
    let address = address.split(['?', '#']).next().unwrap_or_default();
    let mut rest = without_scheme(address);
    let mut found = Vec::new();
    while found.len() < CHAIN_MAX {
        let (known, behind) = match known(rest) {
            Some((_, behind)) => (true, Some(behind)),
            None => (false, inside(rest)),
        };
        let Some(behind) = behind.filter(|behind| is_address(without_scheme(behind))) else {
            break;
        };
        let end = rest.len() - behind.len();
        let text = rest.get(..end).unwrap_or_default();
        found.push(Wrapper { text, known });
        rest = without_scheme(behind);
    }
    found
}

/// Endings of files that look like domains.
const FILES: [&str; 10] = [
    "asp", "aspx", "cgi", "htm", "html", "jsp", "mpga", "mpeg", "php", "wav",
];

/// The address in the path of another one.
fn inside(address: &str) -> Option<&str> {
    let mut rest = address;
    while let Some((_, behind)) = rest.split_once('/') {
        let host = behind.split(['/', ':']).next().unwrap_or_default();
        let (_, last) = host.rsplit_once('.').unwrap_or_default();
        let schemed = without_scheme(behind).len() < behind.len();
        let file = FILES.iter().any(|file| last.eq_ignore_ascii_case(file));
        if schemed || (is_address(behind) && !file) {
            return Some(behind);
        }
        rest = behind;
    }
    None
}

/// The prefix at the front of an address, and what is written behind it.
fn known(address: &str) -> Option<(&'static str, &str)> {
    let at = address.find('/')?;
    let (authority, path) = address.split_at(at);
    let host = authority.split(':').next().unwrap_or_default();
    let mut table = TABLE.iter();
    table.find_map(|prefix| Some((prefix.text, prefix.behind(host, path)?)))
}

/// Some who redirect write one slash for two.
fn without_scheme(address: &str) -> &str {
    for scheme in ["https:/", "http:/"] {
        let start = address.get(..scheme.len());
        if start.is_some_and(|start| start.eq_ignore_ascii_case(scheme)) {
            let rest = address.get(scheme.len()..).unwrap_or_default();
            return rest.strip_prefix('/').unwrap_or(rest);
        }
    }
    address
}

/// Begins with a host that has a domain, and has a path.
fn is_address(text: &str) -> bool {
    let Some((authority, path)) = text.split_once('/') else {
        return false;
    };
    let host = authority.split(':').next().unwrap_or_default();
    let domain = host.rsplit_once('.').is_some_and(|(name, last)| {
        !name.is_empty() && last.len() > 1 && last.bytes().all(|byte| byte.is_ascii_alphabetic())
    });
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    domain && host.bytes().all(plain) && !path.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EPISODE: &str = "media.example.com/show/ep%201.mp3?a=https://x.example/y";

    #[test]
    fn every_wrapping_is_the_one_address() {
        for (wrapped, count) in [
            ("media.example.com/show/ep%201.mp3?a=https://x.example/y", 0),
            (
                "https://media.example.com/show/ep%201.mp3?a=https://x.example/y",
                0,
            ),
            (
                "https://op3.dev/e/media.example.com/show/ep%201.mp3?a=https://x.example/y",
                1,
            ),
            (
                "https://op3.dev/e,pg=1b2c/https://media.example.com/show/ep%201.mp3?a=https://x.example/y",
                1,
            ),
            (
                "HTTP://OP3.dev/e/http:/media.example.com/show/ep%201.mp3?a=https://x.example/y",
                1,
            ),
            (
                "https://www.podtrac.com/pts/redirect.mp3/pdst.fm/e/chrt.fm/track/A1B2/2.gum.fm/mgln.ai/e/35/https://media.blubrry.com/some-show/media.example.com/show/ep%201.mp3?a=https://x.example/y",
                6,
            ),
        ] {
            let found = unwrap(wrapped);
            assert_eq!(
                (found.address, found.prefixes.len(), found.open),
                (EPISODE, count, false),
                "{wrapped}"
            );
        }
    }

    #[test]
    fn what_is_no_prefix_stays() {
        for address in [
            "chrt.fm/about/media.example.com/a.mp3",
            "notop3.dev/e/media.example.com/a.mp3",
            "tracker.example/e/https://media.example.com/a.mp3",
            "media.blubrry.example/show/media.example.com/a.mp3",
        ] {
            let found = unwrap(address);
            assert_eq!((found.address, found.open), (address, false));
        }
        for address in [
            "chrt.fm/track/A1/",
            "op3.dev/e/a.mp3",
            "op3.dev/e/evil%2Ecom/a",
            "chrt.fm/track/A/u@evil.com/a",
        ] {
            let found = unwrap(address);
            assert_eq!((found.address, found.open), (address, true));
        }
    }

    #[test]
    fn what_is_wrapped_by_nobody_known_is_found() {
        let of = |address: &str| -> Vec<String> {
            let found = wrappers(address).into_iter();
            let text = |it: Wrapper<'_>| format!("{}{}", it.text, if it.known { "" } else { "?" });
            found.map(text).collect()
        };
        for (address, found) in [
            (
                "https://media.example.com/show/ep.mp3?a=https://x.example/y",
                &[][..],
            ),
            (
                "https://media.example.com/redirect.mp3/files.php/v1.0/ep.mp3",
                &[],
            ),
            ("https://op3.dev/e/media.example.com/a.mp3", &["op3.dev/e/"]),
            (
                "https://track.example/r/media.example.com/a.mp3",
                &["track.example/r/?"],
            ),
            (
                "https://track.example/https://media.example.com:8443/a.mp3",
                &["track.example/?"],
            ),
            (
                "https://pdst.fm/e/track.example/x/y/http:/op3.dev/e/media.example.com/a.mp3",
                &["pdst.fm/e/", "track.example/x/y/?", "op3.dev/e/"],
            ),
            ("https://track.example/r/a.mp3", &[]),
        ] {
            assert_eq!(of(address), found, "{address}");
        }
        assert_eq!(of(&"track.example/".repeat(40)).len(), CHAIN_MAX);
    }

    #[test]
    fn twelve_and_no_more() {
        let of = |count: usize| format!("{}media.example.com/a.mp3", "pdst.fm/e/".repeat(count));
        assert_eq!(unwrap(&of(12)).address, "media.example.com/a.mp3");
        let more = of(13);
        let more = unwrap(&more);
        assert_eq!((more.prefixes.len(), more.open), (12, true));
    }

    #[test]
    fn the_table_is_whole() {
        let lines = include_str!("prefixes.txt").lines();
        let count = lines.filter(|line| !line.starts_with('#')).count();
        assert_eq!(TABLE.len(), count);
        for prefix in TABLE.iter() {
            let one = format!("{}media.example.com/a.mp3", prefix.text.replace('*', "x"));
            assert_eq!(unwrap(&one).prefixes, [prefix.text]);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_unwrapped_to_a_part_of_itself(text in "(pdst.fm/e/|op3.dev|/|http:|\\PC){0,20}") {
            let found = unwrap(&text);
            prop_assert!(text.ends_with(found.address) && found.prefixes.len() <= CHAIN_MAX);
            prop_assert!(wrappers(&text).len() <= CHAIN_MAX);
        }
    }
}
