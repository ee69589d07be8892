//! Households with habits, and places that more people share than a household has.

use super::people::{AGENTS, Addresses, Home, SHARED_DAY_MAX};
use super::plays::Who;
use super::{DAY_SECS, TenantWorld};
use crate::rng::Rng;

const OFFICE_AGENTS: usize = SHARED_DAY_MAX + 4;
const CAMPUS_AGENTS_A_DAY: usize = 9;
const CAMPUS_AGENTS: usize = 50;

impl TenantWorld {
    /// Everybody who listens; says how many of the homes are plain households (the first ones).
    pub(super) fn crowd(
        &mut self,
        listeners: u32,
        addresses: &mut Addresses,
        rng: &mut Rng,
    ) -> usize {
        for _ in 0..listeners {
            let first = rng.index(AGENTS.len());
            let count = [1, 1, 1, 2, 2, 3][rng.index(6)];
            let agent = |nth: usize| AGENTS[(first + nth * 5) % AGENTS.len()].to_owned();
            let home = Home::new(addresses.any(), (0..count).map(agent).collect());
            self.homes.push(home);
            self.habits(self.homes.len() - 1, rng);
        }
        let regular = self.homes.len();
        self.offices(listeners, addresses, rng);
        self.campus(addresses, rng);
        regular
    }

    /// One or two favourite shows, whose new episodes are fetched soon, older ones seldom.
    fn habits(&mut self, home: usize, rng: &mut Rng) {
        let shows = self.catalog.shows.len();
        let first = rng.index(shows);
        let second = rng.chance(1, 2).then(|| rng.index(shows));
        for episode in 0..self.catalog.episodes.len() {
            let (show, published) = {
                let episode = &self.catalog.episodes[episode];
                (episode.show, episode.published)
            };
            if show != first && Some(show) != second {
                continue;
            }
            let back = published < self.first_secs;
            if !rng.chance(if back { 20 } else { 75 }, 100) {
                continue;
            }
            for agent in self.homes[home].agents.clone() {
                if rng.chance(1, 4) {
                    continue;
                }
                let who = Who {
                    home,
                    agent,
                    episode,
                };
                let secs = self.fetch_time(published, rng);
                if rng.chance(1, 60) {
                    self.play_midnight(&who, secs, rng);
                } else {
                    self.play(&who, secs, rng);
                }
                if rng.chance(1, 14) {
                    // Again on another day: another download.
                    self.play(&who, secs + rng.range(1, 3) * DAY_SECS, rng);
                }
            }
        }
        if rng.chance(15, 100) {
            for _ in 0..=rng.below(2) {
                let secs = rng.range(self.first_secs, self.last_secs);
                self.partner(home, secs, rng);
            }
        }
    }

    /// Soon after publication; episodes from before the world at any time in it.
    fn fetch_time(&self, published: i64, rng: &mut Rng) -> i64 {
        if published < self.first_secs {
            return rng.range(self.first_secs, self.last_secs);
        }
        let delay = |rng: &mut Rng| rng.range(600, 5 * DAY_SECS);
        published + delay(rng).min(delay(rng))
    }

    /// Places with more agents a day than a household may have: their touches match nothing.
    fn offices(&mut self, listeners: u32, addresses: &mut Addresses, rng: &mut Rng) {
        for office in 0..(listeners / 300).max(1) {
            let agent = |nth| format!("OfficePlayer/{office}.{nth} (Windows NT 10.0)");
            let agents: Vec<String> = (0..OFFICE_AGENTS).map(agent).collect();
            self.homes.push(Home::new(addresses.v4(), agents.clone()));
            let home = self.homes.len() - 1;
            let mut day = self.first_secs + DAY_SECS * i64::from(office % 2);
            while day < self.last_secs {
                let episode = self.recent_episode(day, rng);
                for agent in &agents {
                    let who = Who {
                        home,
                        agent: agent.clone(),
                        episode,
                    };
                    self.play(&who, day + rng.range(9 * 3_600, 17 * 3_600), rng);
                }
                day += 3 * DAY_SECS;
            }
        }
    }

    /// Few agents a day, but ever others: shared once more than 40 came in 30 days.
    fn campus(&mut self, addresses: &mut Addresses, rng: &mut Rng) {
        let agent = |nth| format!("CampusPlayer/{nth} (Linux; Android 14)");
        let agents: Vec<String> = (0..CAMPUS_AGENTS).map(agent).collect();
        self.homes.push(Home::new(addresses.v4(), agents.clone()));
        let home = self.homes.len() - 1;
        let mut day = self.first_secs;
        for agents in agents.chunks(CAMPUS_AGENTS_A_DAY) {
            if day >= self.last_secs {
                return;
            }
            let episode = self.recent_episode(day, rng);
            for agent in agents {
                let who = Who {
                    home,
                    agent: agent.clone(),
                    episode,
                };
                self.play(&who, day + rng.range(8 * 3_600, 20 * 3_600), rng);
            }
            day += DAY_SECS;
        }
    }

    /// Some episode that is out on a day, rather a new one.
    pub(super) fn recent_episode(&self, secs: i64, rng: &mut Rng) -> usize {
        let episodes = self.catalog.episodes.iter().enumerate();
        let mut out: Vec<(i64, usize)> = episodes
            .filter(|(_, episode)| episode.published < secs)
            .map(|(index, episode)| (episode.published, index))
            .collect();
        out.sort_unstable();
        let newest: Vec<usize> = out.iter().rev().take(6).map(|&(_, index)| index).collect();
        if newest.is_empty() {
            0
        } else {
            *rng.pick(&newest)
        }
    }
}
