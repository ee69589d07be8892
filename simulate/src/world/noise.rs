//! Everything in a log that is not a listener, and two waves that stand out.

use hostread_schemas::view::Verdict;

use super::catalog::{LUMEN_PARTNER, PARTNER_SHOW};
use super::people::{AGENTS, Addresses, BOTS, Home, WATCHES};
use super::plays::{Who, daytime};
use super::{DAY_SECS, Impression, Request, TenantWorld};
use crate::rng::Rng;

/// Downloads a day behind one address from which the sample rule set takes all of them away.
pub(crate) const IP_VOLUME_MAX: u32 = 60;
const FARM_AGENTS: u64 = 16;
const FARM_EPISODES: u64 = 5;
const _: () = assert!(FARM_AGENTS * FARM_EPISODES > IP_VOLUME_MAX as u64);
const PATHS: [&str; 4] = [
    "/feed.xml",
    "/art/cover.jpg",
    "/audio/daily-brew/",
    "/audio/unknown/999.mp3",
];

impl TenantWorld {
    pub(super) fn noise(&mut self, listeners: u32, addresses: &mut Addresses, rng: &mut Rng) {
        let units = u64::from(listeners / 30).max(2);
        for _ in 0..units * 18 {
            let secs = rng.range(self.first_secs, self.last_secs);
            self.stray(secs, addresses, rng);
        }
        self.farm(addresses, rng);
        self.wave(listeners, addresses, rng);
        for _ in 0..units {
            self.partner_noise(addresses, rng);
        }
    }

    /// One request that some filter drops.
    fn stray(&mut self, secs: i64, addresses: &mut Addresses, rng: &mut Rng) {
        let episode = self.recent_episode(secs, rng);
        let secs = daytime(secs, rng);
        let agent = (*rng.pick(&AGENTS)).to_owned();
        let (address, agent, verdict) = match rng.below(18) {
            0..8 => {
                let bot = (*rng.pick(&BOTS)).to_owned();
                (addresses.any(), bot, Verdict::BotUserAgent)
            }
            8..10 => {
                let watch = (*rng.pick(&WATCHES)).to_owned();
                (addresses.any(), watch, Verdict::Watch)
            }
            10..13 => (addresses.data_centre(), agent, Verdict::NonhumanIp),
            13 => (addresses.any(), String::new(), Verdict::NoUserAgent),
            _ => {
                self.homes.push(Home::new(addresses.any(), Vec::new()));
                let home = self.homes.len() - 1;
                let ip = self.homes[home].address.text(rng);
                let request = Request {
                    secs,
                    ip,
                    agent,
                    path: (*rng.pick(&PATHS)).to_owned(),
                    method: "GET",
                    status: 200,
                    range: None,
                    asked: 5_120,
                    sent: 5_120,
                    referrer: None,
                    verdict: Verdict::NotAnEpisode,
                };
                self.request(home, request);
                return;
            }
        };
        self.homes.push(Home::new(address, Vec::new()));
        let who = Who {
            home: self.homes.len() - 1,
            agent,
            episode,
        };
        self.dropped(&who, secs, verdict, rng);
    }

    /// A farm: so many downloads behind one address that the day is taken away from it.
    fn farm(&mut self, addresses: &mut Addresses, rng: &mut Rng) {
        let day = self.first_secs + (self.last_secs - self.first_secs) / DAY_SECS / 2 * DAY_SECS;
        self.homes.push(Home::new(addresses.v4(), Vec::new()));
        let home = self.homes.len() - 1;
        if (self.catalog.episodes.len() as u64) < FARM_EPISODES {
            return;
        }
        for agent in 0..FARM_AGENTS {
            for episode in 0..FARM_EPISODES as usize {
                let who = Who {
                    home,
                    agent: format!("AutoPlayer/{agent}.0 (Android 12)"),
                    episode,
                };
                let secs = day + rng.range(2 * 3_600, 20 * 3_600);
                self.dropped(&who, secs, Verdict::IpVolume, rng);
            }
        }
    }

    /// An hour in which a show is fetched far more than before: the anomaly of every world.
    fn wave(&mut self, listeners: u32, addresses: &mut Addresses, rng: &mut Rng) {
        let days = (self.last_secs - self.first_secs) / DAY_SECS;
        let hour = self.first_secs + days * 2 / 3 * DAY_SECS + rng.range(6, 18) * 3_600;
        let newest = (0..self.catalog.episodes.len())
            .filter(|&index| self.catalog.episodes[index].show == 0)
            .filter(|&index| self.catalog.episodes[index].published < hour)
            .max_by_key(|&index| self.catalog.episodes[index].published);
        let Some(episode) = newest else { return };
        for _ in 0..40 + listeners / 20 {
            let agent = (*rng.pick(&AGENTS)).to_owned();
            self.homes
                .push(Home::new(addresses.any(), vec![agent.clone()]));
            let who = Who {
                home: self.homes.len() - 1,
                agent,
                episode,
            };
            self.play_plain(&who, hour + rng.range(0, 3_590), rng);
        }
    }

    /// Impressions of a partner's episode that deliver nothing: bots, data centres, players.
    fn partner_noise(&mut self, addresses: &mut Addresses, rng: &mut Rng) {
        let secs = daytime(rng.range(self.first_secs, self.last_secs), rng);
        let (address, agent, confirmed) = match rng.below(3) {
            0 => (addresses.any(), *rng.pick(&BOTS), false),
            1 => (addresses.data_centre(), *rng.pick(&AGENTS), false),
            _ => (addresses.any(), *rng.pick(&AGENTS), true),
        };
        self.homes.push(Home::new(address, Vec::new()));
        let home = self.homes.len() - 1;
        let impression = Impression {
            secs,
            line: self.catalog.lines[LUMEN_PARTNER].name.to_owned(),
            show: PARTNER_SHOW.to_owned(),
            episode: format!("{PARTNER_SHOW}-0"),
            confirmed,
            ip: self.homes[home].address.text(rng),
            agent: agent.to_owned(),
        };
        self.impression(home, impression);
    }
}
