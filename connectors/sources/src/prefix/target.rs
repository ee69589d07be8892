//! Where a prefix may lead. Pure.
//! Promises: what is answered as `Location` names a host of the feed to every reader of addresses, and what a known prefix behind it
//! would lead to is one of them too: it is no open redirect.

use hostread_connectors_kit::prefix::unwrap;
use serde::Deserialize;

/// A longer address is none of an episode.
const ADDRESS_BYTES_MAX: usize = 8 << 10;

/// The prefix of one feed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrefixFeed {
    /// Hosts that it leads to: `media.example.com`, `media.example.com:8443`, `*.example.com` for all below it.
    pub hosts: Vec<String>,
}

/// Why a prefix does not lead somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetRefused {
    /// Not an address that every reader understands alike.
    #[error("is no plain http or https address")]
    Address,
    /// The host is not on the feed's list.
    #[error("its host is none of this feed's")]
    Host,
    /// It leads on to a host that is not on the list, or who knows where.
    #[error("it leads on to a host that is none of this feed's")]
    Chain,
}

impl PrefixFeed {
    /// Whether the hosts are hosts.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        let plain = |host: &String| {
            let name = host.strip_prefix("*.").unwrap_or(host);
            name.contains('.') && is_authority(name) && *host == host.to_ascii_lowercase()
        };
        !self.hosts.is_empty() && self.hosts.iter().all(plain)
    }

    /// The address to lead to, of what stands behind the feed's name in the address that was asked for.
    pub fn target(&self, asked: &str) -> Result<String, TargetRefused> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\\"<>^`{|}#".contains(&byte);
        if asked.len() > ADDRESS_BYTES_MAX || !asked.bytes().all(plain) {
            return Err(TargetRefused::Address);
        }
        let (scheme, rest) = scheme_of(asked);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, behind) = rest.split_at(end);
        if !is_authority(authority) || climbs(behind) {
            return Err(TargetRefused::Address);
        }
        if !self.has(authority) {
            return Err(TargetRefused::Host);
        }
        let last = unwrap(rest);
        let end = last.address.find(['/', '?']).unwrap_or(last.address.len());
        let (last_authority, _) = last.address.split_at(end);
        if last.open || !self.has(last_authority) {
            return Err(TargetRefused::Chain);
        }
        Ok(format!("{scheme}://{rest}"))
    }

    fn has(&self, authority: &str) -> bool {
        let authority = authority.to_ascii_lowercase();
        self.hosts.iter().any(|host| match host.strip_prefix('*') {
            Some(domain) => authority.len() > domain.len() && authority.ends_with(domain),
            None => authority == *host,
        })
    }
}

/// Without one it is https; one slash may have been lost on the way.
fn scheme_of(asked: &str) -> (&'static str, &str) {
    for (start, scheme) in [("https:/", "https"), ("http:/", "http")] {
        let found = asked.get(..start.len());
        if found.is_some_and(|found| found.eq_ignore_ascii_case(start)) {
            let rest = asked.get(start.len()..).unwrap_or_default();
            return (scheme, rest.strip_prefix('/').unwrap_or(rest));
        }
    }
    ("https", asked)
}

/// A host and at most a port: no user, no number of an address in brackets, nothing encoded.
fn is_authority(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, "1"));
    let digits = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    digits && !host.is_empty() && !host.ends_with('.') && host.bytes().all(plain)
}

/// Has a segment that a browser would leave out, so that the path is not what it looks like.
fn climbs(behind: &str) -> bool {
    let path = behind.split('?').next().unwrap_or_default();
    path.split('/').any(|segment| {
        let dots = segment.to_ascii_lowercase().replace("%2e", ".");
        matches!(dots.as_str(), "." | "..")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;
    use proptest::prelude::*;

    fn feed() -> PrefixFeed {
        PrefixFeed {
            hosts: [
                "media.example.com",
                "*.cdn.example",
                "alt.example:8443",
                "pdst.fm",
            ]
            .map(str::to_owned)
            .to_vec(),
        }
    }

    #[test]
    fn it_leads_to_the_feeds_hosts() {
        for (asked, target) in [
            (
                "https://media.example.com/a.mp3?x=1&u=https://o.example/",
                "https://media.example.com/a.mp3?x=1&u=https://o.example/",
            ),
            (
                "media.example.com/a%20b.mp3",
                "https://media.example.com/a%20b.mp3",
            ),
            (
                "HTTP://MEDIA.example.com/a.mp3",
                "http://MEDIA.example.com/a.mp3",
            ),
            (
                "https:/media.example.com/a.mp3",
                "https://media.example.com/a.mp3",
            ),
            (
                "https://a.b.cdn.example/a.mp3",
                "https://a.b.cdn.example/a.mp3",
            ),
            (
                "https://alt.example:8443/a.mp3",
                "https://alt.example:8443/a.mp3",
            ),
            (
                "https://pdst.fm/e/media.example.com/a.mp3",
                "https://pdst.fm/e/media.example.com/a.mp3",
            ),
            ("media.example.com?x", "https://media.example.com?x"),
        ] {
            assert_eq!(feed().target(asked).as_deref(), Ok(target), "{asked}");
        }
    }

    #[test]
    fn it_is_no_open_redirect() {
        use TargetRefused::{Address, Chain, Host};
        for (asked, why) in [
            ("https://evil.example/a.mp3", Host),
            ("https://media.example.com.evil.example/a.mp3", Host),
            ("https://evilmedia.example.com/a.mp3", Host),
            ("https://cdn.example/a.mp3", Host),
            ("https://media.example.com:444/a.mp3", Host),
            ("https://alt.example/a.mp3", Host),
            ("https://evil.example?media.example.com/", Host),
            ("https://media.example.com@evil.example/a.mp3", Address),
            ("https://u:p@media.example.com/a.mp3", Address),
            ("https://evil.example\\@media.example.com/a.mp3", Address),
            ("https://media.example.com\\.evil.example/a.mp3", Address),
            ("https://evil.example%2F@media.example.com/a.mp3", Address),
            ("https%3A%2F%2Fevil.example/a.mp3", Address),
            ("https%253A%252F%252Fevil.example/a.mp3", Address),
            ("https://media.example.com%2Eevil.example/a.mp3", Address),
            ("https://evil.example#@media.example.com/", Address),
            ("https:///evil.example/a.mp3", Address),
            ("////evil.example/a.mp3", Address),
            ("https://[::1]/a.mp3", Address),
            ("https://media.example.com./a.mp3", Address),
            ("https://media.example.com:/a.mp3", Address),
            ("javascript:alert(1)//media.example.com/", Address),
            ("ftp://media.example.com/a.mp3", Address),
            ("data:text/html,media.example.com", Address),
            ("https://media.example.com/a\r\nSet-Cookie:x", Address),
            ("https://media.example.com/\u{2025}/a.mp3", Address),
            ("", Address),
            ("https://pdst.fm/e/evil.example/a.mp3", Chain),
            ("https://pdst.fm/e/https://u@evil.example/a.mp3", Chain),
            ("https://pdst.fm/e/https%3A%2F%2Fevil.example/a.mp3", Chain),
            ("https://pdst.fm/x/../e/evil.example/a.mp3", Address),
            ("https://pdst.fm/x/%2e%2E/e/evil.example/a.mp3", Address),
        ] {
            assert_eq!(feed().target(asked), Err(why), "{asked}");
        }
    }

    #[test]
    fn hosts_that_are_none() {
        for host in [
            "",
            "com",
            "*.com",
            "*",
            "https://a.example",
            "a.example/",
            "A.example",
            "a.*.example",
            "u@a.example",
        ] {
            let feed = PrefixFeed {
                hosts: vec![host.to_owned()],
            };
            assert!(!feed.is_usable(), "{host}");
        }
        assert!(feed().is_usable() && !PrefixFeed::default().is_usable());
    }

    proptest! {
        #[test]
        fn wherever_it_leads_is_a_host_of_the_feed(asked in "(https?:|/|\\\\|@|%2[fe]|\\.|media\\.example\\.com|evil\\.example|pdst\\.fm/e|\\?|#|:|[a-z0-9]){0,24}") {
            if let Ok(target) = feed().target(&asked) {
                let authority = target.split(['/', '?']).nth(2).unwrap();
                prop_assert!(feed().has(authority) && !target.contains(['\\', '#']), "{}", target);
            }
        }
    }
}
