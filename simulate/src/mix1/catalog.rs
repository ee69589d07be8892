//! Shows, deals and rules of MIX-1, and the times at which their events arrive.
//!
//! Both tenants get the same outside ids: nothing but the tenant tells them apart.

use hostread_schemas::event::{
    AdKind, Aired, Body, Campaign, Code, ControllingSource, Episode, LineItem, Model, PriceKind,
    RuleSet, Settings, Show, Slot, Store,
};
use hostread_schemas::{Currency, DAY_MS, EventTimeMs, MoneyMicros};

use super::Mix1Config;
use crate::rng::Rng;

pub(super) const BRANDS: usize = 4;
/// Days between two episodes of a show.
const RHYTHM_DAYS: i64 = 2;
/// Episodes of a show that are out when the run begins.
const BACK_EPISODES: i64 = 3;
const EPISODE_GOAL: u64 = 20_000;

/// An episode as the generator of requests needs it.
#[derive(Clone, Debug)]
pub(super) struct EpisodeInfo {
    pub(super) show: String,
    pub(super) episode: String,
    pub(super) enclosure: String,
    pub(super) published_at: i64,
    pub(super) size_bytes: u64,
    /// Bytes of the body that surely make a download.
    pub(super) enough_bytes: u64,
}

/// A fact of the catalog and the clock time from which it may arrive.
#[derive(Clone, Debug)]
pub(super) struct Due {
    pub(super) at: i64,
    /// The source's own id.
    pub(super) own_id: String,
    pub(super) revision: u32,
    pub(super) body: Body,
}

#[derive(Debug)]
pub(super) struct Catalog {
    pub(super) episodes: Vec<EpisodeInfo>,
    /// In order of `at`.
    pub(super) due: Vec<Due>,
}

pub(super) fn line_name(brand: usize, place: usize) -> String {
    let kind = ["host-read", "mid-roll", "pixel"].get(place).copied();
    format!("line-{brand}-{}", kind.unwrap_or("extra"))
}

pub(super) fn code_name(brand: usize, place: usize) -> String {
    format!("SAVE{brand}{place}")
}

impl Catalog {
    pub(super) fn new(config: &Mix1Config, rng: &mut Rng) -> Self {
        let mut catalog = Self {
            episodes: Vec::new(),
            due: Vec::new(),
        };
        let start = config.start.0;
        catalog.rules(start, config);
        catalog.deals(start, config);
        let shows = (config.events / 25_000).clamp(1, 12) as i64;
        for show in 0..shows {
            let name = format!("show-{show}");
            let title = format!("Show number {show}");
            catalog.add(
                start,
                format!("show/{name}"),
                Body::Show(Show { show: name, title }),
            );
        }
        let rounds = i64::from(config.days) / RHYTHM_DAYS + 1;
        for round in -BACK_EPISODES..rounds {
            for show in 0..shows {
                // The shows take turns, so that there is never a day without a release.
                let at = start + round * RHYTHM_DAYS * DAY_MS + show * RHYTHM_DAYS * DAY_MS / shows;
                catalog.episode(start, at, show, round + BACK_EPISODES, rng);
            }
        }
        catalog.corrections(config);
        catalog.due.sort_by_key(|due| due.at);
        catalog
    }

    fn add(&mut self, at: i64, own_id: String, body: Body) {
        self.due.push(Due {
            at,
            own_id,
            revision: 0,
            body,
        });
    }

    fn rules(&mut self, start: i64, config: &Mix1Config) {
        let rules = RuleSet {
            rule_set: "iab-2.2+sample.1".to_owned(),
            bot_agents: vec!["(?i)bot|crawler|spider".to_owned(), "^curl/".to_owned()],
            ..RuleSet::default()
        };
        self.add(start, "rule-set".to_owned(), Body::RuleSet(rules));
        let settings = Settings {
            lookback_hours: config.lookback_hours,
            half_life_hours: config.lookback_hours / 4,
            ..Settings::default()
        };
        self.add(start, "settings".to_owned(), Body::Settings(settings));
    }

    fn deals(&mut self, start: i64, config: &Mix1Config) {
        let last_day = i64::from(config.days) - 1;
        for brand in 0..BRANDS {
            let store = Store {
                store: format!("store-{brand}"),
                brand: format!("brand-{brand}"),
            };
            self.add(start, format!("store/{brand}"), Body::Store(store));
            let campaign = Campaign {
                campaign: format!("campaign-{brand}"),
                brand: format!("brand-{brand}"),
                title: format!("Campaign of brand {brand}"),
            };
            self.add(start, format!("campaign/{brand}"), Body::Campaign(campaign));
            for place in 0..3 {
                let line = LineItem {
                    line: line_name(brand, place),
                    campaign: format!("campaign-{brand}"),
                    kind: [AdKind::BakedIn, AdKind::Inserted, AdKind::Inserted][place],
                    controlling: if place == 2 {
                        ControllingSource::Impressions
                    } else {
                        ControllingSource::Bytes
                    },
                    goal: config.events / 40 + 100,
                    start: config.start.day().to_string(),
                    end: EventTimeMs(config.start.0 + last_day * DAY_MS)
                        .day()
                        .to_string(),
                    zone: ["UTC", "America/New_York", "Europe/Berlin"][place].to_owned(),
                    price_kind: [PriceKind::Cpm, PriceKind::Cpm, PriceKind::Cpa][place],
                    price: MoneyMicros([25_000_000, 18_500_000, 12_000_000][place]),
                    currency: Currency::default(),
                    model: Model::ALL[brand % Model::ALL.len()],
                };
                self.add(start, format!("line/{brand}/{place}"), Body::LineItem(line));
                let code = Code {
                    store: format!("store-{brand}"),
                    code: code_name(brand, place),
                    line: line_name(brand, place),
                };
                self.add(start, format!("code/{brand}/{place}"), Body::Code(code));
            }
        }
    }

    fn episode(&mut self, start: i64, published_at: i64, show: i64, number: i64, rng: &mut Rng) {
        let show_name = format!("show-{show}");
        let episode = format!("show-{show}-ep-{number}");
        let enclosure = format!("/audio/show-{show}/ep-{number}.mp3");
        let header_bytes = 40_000 + rng.below(200_000);
        let duration_secs = 900 + rng.below(2_700);
        let bytes_a_second = 16_000;
        let size_bytes = header_bytes + bytes_a_second * duration_secs;
        let vbr = rng.chance(1, 7);
        // The catalog's events come a little before the episode is out, as a feed poll would see it.
        let at = start.max(published_at - 60_000);
        self.add(
            at,
            format!("episode/{episode}"),
            Body::Episode(Episode {
                show: show_name.clone(),
                episode: episode.clone(),
                title: format!("Episode {number}"),
                enclosures: vec![enclosure.clone()],
                published_at: Some(EventTimeMs(published_at)),
                size_bytes,
                header_bytes,
                bit_rate: (!vbr).then_some(128_000),
                duration_secs: Some(duration_secs as u32),
                vbr,
            }),
        );
        for (place, second) in [(0, 10), (1, 300)] {
            let line = line_name((number as usize + place) % BRANDS, place);
            let first_byte = header_bytes + second * bytes_a_second;
            let slot = Slot {
                slot: format!("{episode}/slot-{place}"),
                show: show_name.clone(),
                episode: episode.clone(),
                line: line.clone(),
                first_byte,
                last_byte: first_byte + 30 * bytes_a_second - 1,
                removed: false,
            };
            self.add(at, format!("slot/{episode}/{place}"), Body::Slot(slot));
            if place == 0 {
                let aired = Aired {
                    line,
                    episode: episode.clone(),
                    aired_at: EventTimeMs(published_at),
                    episode_goal: EPISODE_GOAL,
                };
                self.add(at, format!("aired/{episode}"), Body::Aired(aired));
            }
        }
        self.episodes.push(EpisodeInfo {
            show: show_name,
            episode,
            enclosure,
            published_at,
            size_bytes,
            enough_bytes: header_bytes + 61 * bytes_a_second,
        });
    }

    /// One corrected byte map at the middle of the run, one moved air date a little later.
    fn corrections(&mut self, config: &Mix1Config) {
        let span = i64::from(config.days) * DAY_MS;
        let is_episode = |due: &&Due| matches!(due.body, Body::Episode(_));
        if let Some(mut due) = self.due.iter().find(is_episode).cloned() {
            due.at = config.start.0 + span / 2;
            due.revision = 1;
            if let Body::Episode(episode) = &mut due.body {
                episode.header_bytes += 400_000;
                episode.size_bytes += 400_000;
            }
            self.due.push(due);
        }
        let is_aired = |due: &&Due| matches!(due.body, Body::Aired(_));
        if let Some(mut due) = self.due.iter().find(is_aired).cloned() {
            due.at = config.start.0 + span * 3 / 5;
            due.revision = 1;
            if let Body::Aired(aired) = &mut due.body {
                aired.aired_at.0 += DAY_MS + 3_600_000;
            }
            self.due.push(due);
        }
    }
}
