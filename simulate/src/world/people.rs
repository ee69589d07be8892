//! Addresses, agents and households.

use std::collections::{BTreeMap, BTreeSet};

use super::DAY_SECS;
use crate::rng::Rng;

pub(crate) const AGENTS: [&str; 16] = [
    "AppleCoreMedia/1.0.0.21F90 (iPhone; U; CPU OS 17_5_1 like Mac OS X; en_us)",
    "Podcasts/4023.510.2 CFNetwork/1494.0.7 Darwin/23.4.0",
    "Overcast/3.0 (+http://overcast.fm/; iOS podcast app)",
    "Spotify/8.9.42 iOS/17.5 (iPhone14,5)",
    "Spotify/8.6.14 Android/30 (Pixel 3a)",
    "PodcastAddict/v5 (+https://podcastaddict.com/; Android podcast app)",
    "Pocket Casts/7.64 (Android 14)",
    "AntennaPod/3.4.0",
    "CastBox/8.30.1 (Linux;Android 13) ExoPlayerLib/2.10.4",
    "Acast%20Beta/2481 CFNetwork/808.2.16 Darwin/16.3.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
    "Amazon Music/24.5.0 Android/13",
    "\"QuotedApp\"/1.0 (Android 14)",
    "Podcast-F\u{fc}chse/2.1 (iPhone; iOS 17.4)",
];

/// Browsers that people buy with.
pub(crate) const BROWSERS: [&str; 3] = [AGENTS[10], AGENTS[11], AGENTS[12]];

pub(crate) const BOTS: [&str; 6] = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; http://ahrefs.com/robot/)",
    "GuzzleHttp/6.1.0 curl/7.50.1 PHP/7.0.13-0ubuntu0.16.10.1",
    "Python/3.10 aiohttp/3.9.3",
    "Apache-HttpClient/4.5.3-SNAPSHOT (Java/1.8.0_73)",
    "Blubrry Podcasting/1.0",
];

/// Patterns of the sample rule set: they match every one of [`BOTS`] and no other agent here.
pub(crate) const BOT_PATTERNS: [&str; 6] = [
    "Googlebot/",
    "AhrefsBot/",
    "^GuzzleHttp/",
    "^Python/",
    "^Apache-HttpClient/",
    "^Blubrry Podcasting/",
];

pub(crate) const WATCHES: [&str; 3] = [
    "atc/1.0 watchOS/7.1 model/Watch4,2 hwp/t8006 build/18R590 (6; dt:191)",
    "(null)/(null) watchOS/5.0.1 model/Watch3,3 hwp/t8004 build/16R381 (6; dt:155)",
    "atc/1.0 watchOS/10.5 model/Watch6,7 hwp/t8301 build/21T576 (6; dt:258)",
];

/// Networks that the demo's configuration names as data centres.
pub(crate) const DATA_CENTRES: [&str; 3] = ["192.0.2.0/24", "198.51.100.0/24", "2001:db8:dc::/48"];

/// Where a household's requests come from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Address {
    V4([u8; 4]),
    /// First 64 bits; the rest changes from request to request.
    V6([u16; 4]),
}

impl Address {
    /// An address as a log or a request shows it; never twice the same spelling for a V6 one.
    pub(crate) fn text(&self, rng: &mut Rng) -> String {
        match self {
            Self::V4([a, b, c, d]) => format!("{a}.{b}.{c}.{d}"),
            Self::V6([a, b, c, d]) => {
                let host: Vec<String> = (0..4)
                    .map(|_| format!("{:x}", 1 + rng.below(0xFFFF)))
                    .collect();
                format!("{a:x}:{b:x}:{c:x}:{d:x}:{}", host.join(":"))
            }
        }
    }

    /// A V4 address as a V6 socket sees it.
    pub(crate) fn mapped(&self, rng: &mut Rng) -> String {
        match self {
            Self::V4(_) => format!("::ffff:{}", self.text(rng)),
            Self::V6(_) => self.text(rng),
        }
    }
}

/// Draws addresses that nobody else has.
#[derive(Debug)]
pub(crate) struct Addresses {
    rng: Rng,
    used: BTreeSet<Address>,
}

const V4_NETS: [u8; 9] = [24, 71, 73, 81, 86, 98, 109, 174, 188];
const V6_NETS: [u16; 3] = [0x2600, 0x2a02, 0x2601];

impl Addresses {
    pub(crate) const fn new(rng: Rng) -> Self {
        Self {
            rng,
            used: BTreeSet::new(),
        }
    }

    pub(crate) fn v4(&mut self) -> Address {
        loop {
            let byte = |rng: &mut Rng, lower| rng.range(lower, 255) as u8;
            let rng = &mut self.rng;
            let net = *rng.pick(&V4_NETS);
            let address = Address::V4([net, byte(rng, 0), byte(rng, 0), byte(rng, 1)]);
            if self.used.insert(address.clone()) {
                return address;
            }
        }
    }

    pub(crate) fn v6(&mut self) -> Address {
        loop {
            let rng = &mut self.rng;
            let part = |rng: &mut Rng| rng.range(0x100, 0xFFFF) as u16;
            let net = *rng.pick(&V6_NETS);
            let address = Address::V6([net, part(rng), part(rng), part(rng)]);
            if self.used.insert(address.clone()) {
                return address;
            }
        }
    }

    pub(crate) fn any(&mut self) -> Address {
        if self.rng.chance(28, 100) {
            self.v6()
        } else {
            self.v4()
        }
    }

    /// An address of a data centre, which may come more than once.
    pub(crate) fn data_centre(&mut self) -> Address {
        let host = self.rng.range(1, 255) as u8;
        match self.rng.below(3) {
            0 => Address::V4([192, 0, 2, host]),
            1 => Address::V4([198, 51, 100, host]),
            _ => Address::V6([0x2001, 0xdb8, 0xdc, u16::from(host)]),
        }
    }
}

/// A touch as it was made; whether it can be matched is known when the world is complete.
#[derive(Clone, Debug)]
pub(crate) struct Touch {
    pub(crate) secs: i64,
    pub(crate) line: usize,
    pub(crate) show: String,
}

/// Everything behind one address.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    pub(crate) address: Address,
    pub(crate) agents: Vec<String>,
    /// Agents seen per day, by any request or impression.
    pub(crate) seen: BTreeMap<i64, BTreeSet<String>>,
    pub(crate) touches: Vec<Touch>,
    /// Seconds in which a download begins; no two share one.
    pub(crate) begun: BTreeSet<i64>,
}

/// Settings of both tenants: what more makes a household shared.
pub(crate) const SHARED_DAY_MAX: usize = 12;
pub(crate) const SHARED_MONTH_MAX: usize = 40;
const SPAN_DAYS: i64 = 30;

impl Home {
    pub(crate) fn new(address: Address, agents: Vec<String>) -> Self {
        Self {
            address,
            agents,
            seen: BTreeMap::new(),
            touches: Vec::new(),
            begun: BTreeSet::new(),
        }
    }

    pub(crate) fn saw(&mut self, secs: i64, agent: &str) {
        if !agent.is_empty() {
            let day = self.seen.entry(secs.div_euclid(DAY_SECS)).or_default();
            if !day.contains(agent) {
                day.insert(agent.to_owned());
            }
        }
    }

    /// Definitions 7.
    pub(crate) fn shared(&self, secs: i64) -> bool {
        let day = secs.div_euclid(DAY_SECS);
        if self
            .seen
            .get(&day)
            .is_some_and(|a| a.len() > SHARED_DAY_MAX)
        {
            return true;
        }
        let first = day - SPAN_DAYS + 1;
        self.seen.range(first..=day).any(|(&start, _)| {
            let span = self.seen.range(start..start + SPAN_DAYS);
            let agents: BTreeSet<&String> = span.flat_map(|(_, agents)| agents).collect();
            agents.len() > SHARED_MONTH_MAX
        })
    }
}
