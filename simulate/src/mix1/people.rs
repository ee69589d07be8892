//! Households and agents of MIX-1, made from their number when they are needed.

use hostread_schemas::event::{Hash64, IpClass, IpFacts};

use crate::rng::{Rng, mix64};

/// Number of the household that makes one event in a hundred.
pub(super) const HOT: u64 = 0;
/// Number of the office that has more agents than one household may have.
const OFFICE: u64 = 1;
const OFFICE_AGENTS: u64 = 30;

const AGENTS: [&str; 12] = [
    "AppleCoreMedia/1.0.0.21F90 (iPhone; U; CPU OS 17_5_1 like Mac OS X; en_us)",
    "Podcasts/4023.510.2 CFNetwork/1494.0.7 Darwin/23.4.0",
    "Overcast/3.0 (+http://overcast.fm/; iOS podcast app)",
    "Spotify/8.9.42 iOS/17.5 (iPhone14,5)",
    "Spotify/8.6.14 Android/30 (Pixel 3a)",
    "PodcastAddict/v5 (+https://podcastaddict.com/; Android podcast app)",
    "Pocket Casts/7.64 (Android 14)",
    "AntennaPod/3.4.0",
    "CastBox/8.30.1 (Linux;Android 13) ExoPlayerLib/2.10.4",
    "Amazon Music/24.5.0 Android/13",
    "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
    "Castro 2023.9/1305",
];

const BOTS: [&str; 4] = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; http://ahrefs.com/robot/)",
    "curl/8.5.0",
    "atc/1.0 watchOS/10.5 model/Watch6,7 hwp/t8301 build/21T576 (6; dt:258)",
];

/// A household, a network connection of it and one of its agents.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) tenant: usize,
    pub(super) household: u64,
    pub(super) ip: IpFacts,
    pub(super) agent: String,
    pub(super) session: Option<String>,
}

impl Person {
    pub(super) fn of(tenant: usize, household: u64, rng: &mut Rng) -> Self {
        let agent = match household {
            HOT => AGENTS[rng.index(6)].to_owned(),
            OFFICE => format!(
                "OfficePlayer/1.{} (Windows NT 10.0)",
                rng.below(OFFICE_AGENTS)
            ),
            _ if rng.chance(1, 80) => (*rng.pick(&BOTS)).to_owned(),
            _ => {
                let own = 1 + mix64(household) % 3;
                let nth = mix64(household ^ mix64(rng.below(own)));
                AGENTS[(nth % AGENTS.len() as u64) as usize].to_owned()
            }
        };
        // One household with ever new sessions has ever new listeners: the longest history of all.
        let session =
            (household == HOT && rng.chance(1, 2)).then(|| format!("s{:x}", rng.next_u64()));
        Self {
            tenant,
            household,
            ip: ip_facts(tenant, household),
            agent,
            session,
        }
    }
}

/// Facts of the address of a household; two tenants hash the same address to different values.
pub(super) fn ip_facts(tenant: usize, household: u64) -> IpFacts {
    let class = match mix64(household ^ 0xC1A5) % 100 {
        _ if household <= OFFICE => IpClass::Residential,
        0 => IpClass::DataCentre,
        1 => IpClass::Vpn,
        2..=4 => IpClass::Office,
        5..=14 => IpClass::Cellular,
        _ => IpClass::Residential,
    };
    let key = mix64(u64::from_be_bytes(*b"sample-k") ^ tenant as u64);
    IpFacts {
        star: Hash64(mix64(key ^ mix64(household)).max(1)),
        net: Hash64(mix64(key ^ mix64(household / 64) ^ 0x4E).max(1)),
        class,
        asn: 0,
        country: if household.is_multiple_of(3) {
            "DE"
        } else {
            "US"
        }
        .to_owned(),
        dated: String::new(),
    }
}
