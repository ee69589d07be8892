//! Shows, episodes with byte maps, deals. Both tenants have the same, but for goals.
//!
//! Invariant 1: an episode holds at most one line item of a brand, so no two touches of a
//! household and brand fall into the same second.

use hostread_schemas::event::{AdKind, ControllingSource, Model, PriceKind};

use super::DAY_SECS;
use crate::rng::Rng;

/// Codes that shops know and no line item owns.
pub(crate) const GENERAL_CODE: &str = "WELCOME";
/// A show of somebody else: known by its impressions alone.
pub(crate) const PARTNER_SHOW: &str = "partner-hour";
pub(crate) const PARTNER_EPISODES: u64 = 3;

/// A brand, its store and how the store reports.
#[derive(Clone, Debug)]
pub(crate) struct Brand {
    pub(crate) name: &'static str,
    pub(crate) store: &'static str,
    pub(crate) currency: &'static str,
    /// Has webhooks; otherwise pixels and redemptions only.
    pub(crate) webhooks: bool,
}

pub(crate) const BRANDS: [Brand; 3] = [
    Brand {
        name: "Northwind Coffee",
        store: "northwind-coffee",
        currency: "USD",
        webhooks: true,
    },
    Brand {
        name: "Fern and Field",
        store: "fern-and-field",
        currency: "USD",
        webhooks: true,
    },
    Brand {
        name: "Lumen Lamps",
        store: "lumen-lamps",
        currency: "EUR",
        webhooks: false,
    },
];

pub(crate) const CAMPAIGNS: [(&str, usize, &str); 6] = [
    ("northwind-spring", 0, "Northwind spring roast"),
    ("northwind-launch", 0, "Northwind cold brew launch"),
    ("fern-garden", 1, "Fern garden season"),
    ("fern-indoor", 1, "Fern indoor plants"),
    ("lumen-evening", 2, "Lumen evening light"),
    ("lumen-partners", 2, "Lumen on partner shows"),
];

/// What its maker wants to be seen in the report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Aim {
    /// Delivered / expected in thousandths at the final clock.
    Index(i64),
    /// Its impressions stop three days before the end.
    Stalled,
    /// It has not begun.
    Future,
}

#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) campaign: usize,
    pub(crate) kind: AdKind,
    pub(crate) controlling: ControllingSource,
    /// Days of the flight, counted from the first day of the world; the last one is in it.
    pub(crate) start: i32,
    pub(crate) end: i32,
    pub(crate) zone: &'static str,
    pub(crate) price_kind: PriceKind,
    pub(crate) price_micros: i64,
    pub(crate) model: Model,
    pub(crate) code: Option<&'static str>,
    pub(crate) aim: Aim,
    /// Set when deliveries are known.
    pub(crate) goal: u64,
    pub(crate) episode_goal: u64,
}

impl Line {
    pub(crate) fn brand(&self) -> usize {
        CAMPAIGNS[self.campaign].1
    }

    pub(crate) fn currency(&self) -> &'static str {
        BRANDS[self.brand()].currency
    }
}

/// Line items by number.
pub(crate) const NW_HOST: usize = 0;
pub(crate) const NW_MID: usize = 1;
pub(crate) const NW_LAUNCH: usize = 2;
pub(crate) const FERN_HOST: usize = 3;
pub(crate) const FERN_PRE: usize = 4;
pub(crate) const FERN_INDOOR: usize = 5;
pub(crate) const LUMEN_MID: usize = 6;
pub(crate) const LUMEN_PARTNER: usize = 7;

pub(crate) fn lines(days: i32) -> Vec<Line> {
    let line = |name, campaign, start, end| Line {
        name,
        campaign,
        kind: AdKind::Inserted,
        controlling: ControllingSource::Bytes,
        start,
        end,
        zone: "UTC",
        price_kind: PriceKind::Cpm,
        price_micros: 18_000_000,
        model: Model::Last,
        code: None,
        aim: Aim::Index(1_000),
        goal: 0,
        episode_goal: 0,
    };
    vec![
        Line {
            kind: AdKind::BakedIn,
            price_micros: 25_000_000,
            code: Some("BREW10"),
            ..line("northwind-host-read", 0, 0, 29)
        },
        Line {
            zone: "America/New_York",
            price_micros: 18_500_000,
            code: Some("NWMID"),
            aim: Aim::Index(900),
            ..line("northwind-mid-roll", 0, 2, days + 5)
        },
        Line {
            controlling: ControllingSource::Impressions,
            zone: "Europe/Berlin",
            price_kind: PriceKind::Cpa,
            price_micros: 12_345_670,
            model: Model::Linear,
            aim: Aim::Index(700),
            ..line("northwind-launch-dai", 1, 0, days + 9)
        },
        Line {
            kind: AdKind::BakedIn,
            zone: "America/New_York",
            price_kind: PriceKind::Cpa,
            price_micros: 9_990_000,
            model: Model::Position,
            code: Some("FERN15"),
            aim: Aim::Index(1_200),
            ..line("fern-host-read", 2, 1, 27)
        },
        Line {
            price_micros: 21_250_000,
            code: Some("FERNPRE"),
            aim: Aim::Index(1_300),
            ..line("fern-pre-roll", 3, 0, (days - 3).max(0))
        },
        Line {
            controlling: ControllingSource::Impressions,
            aim: Aim::Stalled,
            ..line("fern-indoor-dai", 3, 0, days + 13)
        },
        Line {
            controlling: ControllingSource::Impressions,
            zone: "Europe/Berlin",
            price_micros: 15_000_000,
            code: Some("LUMEN5"),
            ..line("lumen-mid-dai", 4, 0, days + 2)
        },
        Line {
            controlling: ControllingSource::Impressions,
            price_kind: PriceKind::Cpa,
            model: Model::TimeDecay,
            aim: Aim::Index(960),
            ..line("lumen-partner-dai", 5, 0, days + 2)
        },
        Line {
            aim: Aim::Future,
            ..line("lumen-next", 4, days + 5, days + 20)
        },
    ]
}

#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) removed: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Episode {
    pub(crate) show: usize,
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) title: String,
    pub(crate) published: i64,
    pub(crate) size: u64,
    pub(crate) header: u64,
    pub(crate) bit_rate: Option<u32>,
    pub(crate) duration: Option<u32>,
    pub(crate) vbr: bool,
    pub(crate) slots: Vec<Slot>,
    /// Line item whose impressions are reported for this episode.
    pub(crate) reported: Option<usize>,
    /// When the baked-in read went out, and whether that was said one day too early at first.
    pub(crate) aired: Option<(usize, i64, bool)>,
    /// Bytes of header that the catalog named before it was corrected.
    pub(crate) header_at_first: Option<u64>,
}

impl Episode {
    /// Bytes that make a download (definitions 4).
    pub(crate) fn needed(&self) -> u64 {
        let audio = self.size - self.header;
        match (self.duration, self.bit_rate) {
            (Some(secs), _) if secs < 60 => self.size,
            (_, Some(rate)) => (self.header + (u64::from(rate) * 60).div_ceil(8)).min(self.size),
            (Some(secs), None) if self.vbr => {
                (self.header + (60 * audio).div_ceil(u64::from(secs))).min(self.size)
            }
            _ => self.size,
        }
    }

    /// Only all of its bytes make a download.
    pub(crate) fn whole(&self) -> bool {
        self.needed() == self.size
    }
}

/// A show's name and title.
#[derive(Clone, Debug)]
pub(crate) struct Show {
    pub(crate) name: String,
    pub(crate) title: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Catalog {
    pub(crate) shows: Vec<Show>,
    pub(crate) episodes: Vec<Episode>,
    pub(crate) lines: Vec<Line>,
}

const SHOW_NAMES: [(&str, &str); 8] = [
    ("daily-brew", "The Daily Brew"),
    ("deep-dive", "Deep Dive"),
    ("slow-garden", "Slow Garden"),
    ("night-shift", "Night Shift"),
    ("field-notes", "Field Notes"),
    ("long-road", "The Long Road"),
    ("small-hours", "Small Hours"),
    ("open-kitchen", "Open Kitchen"),
];
pub(crate) const SHOWS_MAX: usize = SHOW_NAMES.len();
const BACK_EPISODES: i64 = 3;
const RHYTHM_DAYS: i64 = 2;

impl Catalog {
    pub(crate) fn new(start: i64, days: i32, shows: usize, rng: &mut Rng) -> Self {
        let shows = shows.clamp(1, SHOWS_MAX);
        let named = |&(name, title): &(&str, &str)| Show {
            name: name.to_owned(),
            title: title.to_owned(),
        };
        let mut catalog = Self {
            shows: SHOW_NAMES[..shows].iter().map(named).collect(),
            episodes: Vec::new(),
            lines: lines(days),
        };
        for show in 0..shows {
            let first_day = (show as i64) % RHYTHM_DAYS;
            let rounds = (i64::from(days) - first_day).div_euclid(RHYTHM_DAYS);
            for round in -BACK_EPISODES..rounds.max(1) {
                let day = first_day + round * RHYTHM_DAYS;
                let published = start + day * DAY_SECS + rng.range(4 * 3600, 15 * 3600);
                let episode = episode(show, round + BACK_EPISODES, published, rng);
                catalog.episodes.push(episode);
            }
        }
        catalog.plan_corrections();
        catalog
    }

    /// One byte map and one air date are wrong at first and put right later.
    fn plan_corrections(&mut self) {
        if let Some(episode) = self.episodes.iter_mut().find(|e| e.bit_rate.is_some()) {
            episode.header_at_first = Some(episode.header / 2);
        }
        let aired = self
            .episodes
            .iter_mut()
            .rev()
            .find_map(|e| e.aired.as_mut());
        if let Some(aired) = aired {
            aired.2 = true;
        }
    }
}

fn episode(show: usize, number: i64, published: i64, rng: &mut Rng) -> Episode {
    let (show_name, show_title) = SHOW_NAMES[show];
    let header = 20_000 + rng.below(400_000);
    let mut secs = 1_200 + rng.below(2_400);
    // Bytes a second of audio, and what the catalog says about the rate.
    let (rate, bit_rate, vbr) = match (show % 4, number % 4) {
        (0, _) => (16_000, Some(128_000), false),
        (1, _) => (8_000, Some(64_000), false),
        (2, _) => (14_000 + rng.below(4_000), None, true),
        (_, 1) => {
            secs = 45;
            (16_000, Some(128_000), false)
        }
        (_, 3) => (20_001, None, false),
        _ => (24_000, Some(192_000), false),
    };
    // A file of varying rate has no round size.
    let odd = if vbr { rng.below(9_000) } else { 0 };
    let name = format!("{show_name}-{number}");
    let mut episode = Episode {
        show,
        path: format!("/audio/{show_name}/{number}.mp3"),
        title: format!("{show_title}, episode {number}"),
        published,
        size: header + rate * secs + odd,
        header,
        bit_rate,
        duration: Some(secs as u32),
        vbr,
        slots: Vec::new(),
        reported: None,
        aired: None,
        header_at_first: None,
        name,
    };
    if secs < 60 {
        return episode;
    }
    let (pre, mid, reported) = match rng.below(10) {
        0..3 => (Some(NW_HOST), Some(FERN_PRE), Some(LUMEN_MID)),
        3..6 => (Some(FERN_HOST), Some(NW_MID), None),
        6 => (Some(NW_HOST), None, Some(FERN_INDOOR)),
        7..9 => (Some(FERN_HOST), None, Some(NW_LAUNCH)),
        _ => (None, None, None),
    };
    let mut slot = |line: Option<usize>, second: u64, secs: u64, removed: bool| {
        let Some(line) = line else { return };
        let first = header + second * rate;
        let name = format!("{}/slot-{second}", episode.name);
        let last = first + secs * rate - 1;
        let slot = Slot {
            name,
            line,
            first,
            last,
            removed,
        };
        episode.slots.push(slot);
    };
    slot(pre, 5, 30, false);
    slot(mid, 400, 45, false);
    if pre.is_none() {
        // A read that was sold and taken back.
        slot(Some(NW_MID), 400, 45, true);
    }
    episode.reported = reported;
    // One read in eight has no proof that it was aired: delivered, not billable.
    if let Some(line) = pre.filter(|_| !rng.chance(1, 8)) {
        episode.aired = Some((line, published, false));
    }
    episode
}
