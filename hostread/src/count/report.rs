//! What the lines come to, as JSON, CSV and tables.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use anyhow::Result;
use comfy_table::{Cell, CellAlignment, Table};
use hostread_rules::Window;
use hostread_schemas::view::Verdict;
use hostread_schemas::{DAY_MS, Day, HouseholdId, ListenerId};
use serde::Serialize;

use super::homes::Counted;
use super::{Catalog, Counter};
use crate::cmd::table;
use crate::listing::{no_formula, sheet};

/// Ages in days after publication, and their names.
const AGES: [(i64, &str); 6] = [
    (1, "D1"),
    (7, "D7"),
    (14, "D14"),
    (28, "D28"),
    (30, "D30"),
    (60, "D60"),
];
/// A household with more listeners than this is rare: what was kept for it is not kept for the next.
const LISTENERS_KEPT_MAX: usize = 64;
/// More days are too wide for a screen.
const DAY_COLUMNS_MAX: usize = 7;
/// Dropped for these reasons is always told; for others when it happened.
const ALWAYS: [Verdict; 8] = [
    Verdict::Method,
    Verdict::Status,
    Verdict::NotAnEpisode,
    Verdict::NoUserAgent,
    Verdict::Watch,
    Verdict::BotUserAgent,
    Verdict::NonhumanIp,
    Verdict::Range01,
];

/// See the module. `lines` = `malformed` + all `dropped` + `below_threshold` + `counted`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) rules: String,
    pub(crate) window: Window,
    pub(crate) tz: String,
    /// Without a catalog nobody knows how many bytes make a download.
    pub(crate) byte_rule_applied: bool,
    pub(crate) lines: u64,
    pub(crate) malformed: u64,
    pub(crate) dropped: BTreeMap<&'static str, u64>,
    pub(crate) below_threshold: u64,
    pub(crate) counted: u64,
    pub(crate) downloads: u64,
    pub(crate) episodes: Vec<Episode>,
    #[serde(skip)]
    seen: Seen,
}

/// What the days that come next have in common with the last one.
#[derive(Debug, Default)]
struct Seen {
    household: HouseholdId,
    /// Those of it with a download, by episode.
    listeners: HashSet<(usize, ListenerId)>,
    dates: BTreeMap<Day, String>,
}

impl Seen {
    /// Is it the first download of a listener and an episode?
    fn is_first(&mut self, household: HouseholdId, listener: (usize, ListenerId)) -> bool {
        if self.household != household {
            self.household = household;
            if self.listeners.len() > LISTENERS_KEPT_MAX {
                self.listeners = HashSet::new();
            }
            self.listeners.clear();
        }
        self.listeners.insert(listener)
    }

    /// The name of a day.
    fn date(&mut self, day: Day) -> &str {
        self.dates
            .entry(day)
            .or_insert_with(|| day.date().to_string())
    }
}

/// Of an episode.
#[derive(Debug, Serialize)]
pub(crate) struct Episode {
    pub(crate) id: String,
    /// Requests that passed the filters.
    pub(crate) requests: u64,
    pub(crate) downloads: u64,
    /// With a download, distinct over the whole input.
    pub(crate) listeners: u64,
    pub(crate) by_day: BTreeMap<String, u64>,
    /// Up to so many days after publication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) by_age: Option<BTreeMap<String, u64>>,
    pub(crate) ads: Vec<Ad>,
}

/// A place for an ad.
#[derive(Debug, Serialize)]
pub(crate) struct Ad {
    pub(crate) kind: String,
    pub(crate) first_byte: u64,
    pub(crate) delivered: u64,
}

impl Report {
    /// Of nothing.
    pub(super) fn new(counter: &Counter) -> Self {
        let episodes = counter.catalog.episodes();
        Self {
            rules: counter.settings.rules.clone(),
            window: counter.settings.window,
            tz: counter.settings.zone.clone(),
            byte_rule_applied: counter.catalog.knows_bytes(),
            lines: 0,
            malformed: 0,
            dropped: ALWAYS.iter().map(|verdict| (verdict.as_str(), 0)).collect(),
            below_threshold: 0,
            counted: 0,
            downloads: 0,
            episodes: episodes.iter().map(Episode::new).collect(),
            seen: Seen::default(),
        }
    }

    /// Adds a listener's day. Those of a household come one after the other.
    pub(super) fn add(&mut self, catalog: &Catalog, of: &Counted<'_>) {
        for one in &of.counted.verdicts {
            let place = catalog.place(one.episode).map(|(at, _)| at);
            self.judge(one.verdict, place, 1);
        }
        for (enclosure, requests) in &of.united {
            let mut verdicts = of.counted.verdicts.iter();
            // The requests of an episode that passed the filters have one verdict.
            if let Some(one) = verdicts.find(|one| one.enclosure == *enclosure) {
                let place = catalog.place(one.episode).map(|(at, _)| at);
                self.judge(one.verdict, place, *requests);
            }
        }
        for download in &of.counted.downloads {
            let Some((at, known)) = catalog.place(download.episode) else {
                continue;
            };
            let Some(episode) = self.episodes.get_mut(at) else {
                continue;
            };
            self.downloads += 1;
            episode.downloads += 1;
            let listener = (at, of.listener);
            episode.listeners += u64::from(self.seen.is_first(of.household, listener));
            let date = self.seen.date(of.day);
            match episode.by_day.get_mut(date) {
                Some(downloads) => *downloads += 1,
                None => drop(episode.by_day.insert(date.to_owned(), 1)),
            }
            if let (Some(ages), Some(published)) = (&mut episode.by_age, known.published_at) {
                let age = download.t0.0.saturating_sub(published.0);
                for (_, name) in AGES.iter().filter(|(days, _)| age < days * DAY_MS) {
                    if let Some(downloads) = ages.get_mut(*name) {
                        *downloads += 1;
                    }
                }
            }
        }
        for delivery in &of.counted.deliveries {
            let place = catalog.place(delivery.episode);
            let episode = place.and_then(|(at, _)| self.episodes.get_mut(at));
            let at = usize::try_from(delivery.line.0)
                .ok()
                .and_then(|at| at.checked_sub(1));
            if let Some(ad) = episode.zip(at).and_then(|(of, at)| of.ads.get_mut(at)) {
                ad.delivered += 1;
            }
        }
    }

    /// Requests of an episode that passed the filters.
    fn judge(&mut self, verdict: Verdict, place: Option<usize>, requests: u64) {
        match verdict {
            Verdict::Counted => self.counted += requests,
            Verdict::BelowThreshold => self.below_threshold += requests,
            other => *self.dropped.entry(other.as_str()).or_default() += requests,
        }
        if let Some(episode) = place.and_then(|at| self.episodes.get_mut(at)) {
            episode.requests += requests;
        }
    }

    /// Adds what is counted of other listeners.
    pub(super) fn join(&mut self, other: Self) {
        self.below_threshold += other.below_threshold;
        self.counted += other.counted;
        self.downloads += other.downloads;
        add_up(&mut self.dropped, other.dropped);
        for (episode, theirs) in self.episodes.iter_mut().zip(other.episodes) {
            episode.requests += theirs.requests;
            episode.downloads += theirs.downloads;
            episode.listeners += theirs.listeners;
            add_up(&mut episode.by_day, theirs.by_day);
            if let (Some(ages), Some(theirs)) = (&mut episode.by_age, theirs.by_age) {
                add_up(ages, theirs);
            }
            for (ad, theirs) in episode.ads.iter_mut().zip(theirs.ads) {
                ad.delivered += theirs.delivered;
            }
        }
    }

    /// Adds what did not pass the filters. Without a catalog episodes stand in the order of their paths.
    pub(super) fn finish(&mut self, counter: &Counter) {
        self.lines += counter.lines;
        self.malformed += counter.malformed;
        let dropped = counter.dropped.iter();
        add_up(
            &mut self.dropped,
            dropped.map(|(verdict, lines)| (verdict.as_str(), *lines)),
        );
        if !self.byte_rule_applied {
            self.episodes.retain(|episode| episode.requests > 0);
            self.episodes.sort_by(|a, b| a.id.cmp(&b.id));
        }
    }

    /// Downloads by episode and day, with a head.
    ///
    /// # Errors
    /// Never for what a report holds.
    pub(crate) fn csv(&self) -> Result<String> {
        let rows = self.episodes.iter().flat_map(|episode| {
            let id = no_formula(episode.id.clone());
            let days = episode.by_day.iter();
            days.map(move |(day, downloads)| vec![id.clone(), day.clone(), downloads.to_string()])
        });
        let head = ["episode", "day", "downloads"].map(str::to_owned);
        sheet(std::iter::once(head.to_vec()).chain(rows))
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut reasons = table();
        reasons.set_header(["of the lines", "", "%"]);
        let percent = |part: u64| {
            let permille = (part * 1000 + self.lines / 2).checked_div(self.lines);
            let permille = permille.unwrap_or(0);
            format!("{}.{}", permille / 10, permille % 10)
        };
        let mut row = |what: String, count: u64| {
            reasons.add_row([Cell::new(what), right(count), right(percent(count))]);
        };
        row("counted".to_owned(), self.counted);
        row("below threshold".to_owned(), self.below_threshold);
        let mut dropped: Vec<(&&str, &u64)> = self.dropped.iter().collect();
        dropped.sort_by_key(|(reason, count)| (std::cmp::Reverse(**count), **reason));
        for (reason, count) in dropped.into_iter().filter(|(_, count)| **count > 0) {
            row(format!("dropped: {reason}"), *count);
        }
        row("malformed".to_owned(), self.malformed);
        row("all".to_owned(), self.lines);
        let Self { rules, tz, .. } = self;
        let window = match self.window {
            Window::Calendar => format!("calendar days in {tz}"),
            rolling => format!("{} windows of 24 h, days in {tz}", rolling.as_str()),
        };
        format!(
            "rules {rules}, {window}: {} downloads\n\n{}\n\n{reasons}",
            self.downloads,
            self.by_episode()
        )
    }

    fn by_episode(&self) -> Table {
        let days: BTreeSet<&String> = self
            .episodes
            .iter()
            .flat_map(|episode| episode.by_day.keys())
            .collect();
        let days: Vec<&String> = days.into_iter().collect();
        let days = if days.len() > DAY_COLUMNS_MAX {
            &[][..]
        } else {
            &days
        };
        let mut by_episode = table();
        let fixed = ["episode", "downloads", "listeners", "requests"].map(str::to_owned);
        let days_heads = days.iter().map(|day| (*day).clone());
        let heads = fixed
            .into_iter()
            .chain(days_heads)
            .chain(["ads delivered".to_owned()]);
        by_episode.set_header(heads);
        for episode in &self.episodes {
            let mut row = vec![
                Cell::new(&episode.id),
                right(episode.downloads),
                right(episode.listeners),
                right(episode.requests),
            ];
            row.extend(
                days.iter()
                    .map(|day| right(episode.by_day.get(*day).copied().unwrap_or(0))),
            );
            let ads = episode.ads.iter();
            let ads: Vec<String> = ads
                .map(|ad| format!("{} {}", ad.kind, ad.delivered))
                .collect();
            row.push(Cell::new(ads.join("  ")));
            by_episode.add_row(row);
        }
        by_episode
    }
}

impl Episode {
    fn new(known: &super::catalog::Known) -> Self {
        let ad = |(kind, first_byte): &(String, u64)| Ad {
            kind: kind.clone(),
            first_byte: *first_byte,
            delivered: 0,
        };
        let ages = || AGES.map(|(_, name)| (name.to_owned(), 0)).into();
        Self {
            id: known.id.clone(),
            requests: 0,
            downloads: 0,
            listeners: 0,
            by_day: BTreeMap::new(),
            by_age: known.published_at.map(|_| ages()),
            ads: known.ads.iter().map(ad).collect(),
        }
    }
}

fn add_up<K: Ord>(sums: &mut BTreeMap<K, u64>, more: impl IntoIterator<Item = (K, u64)>) {
    for (key, count) in more {
        *sums.entry(key).or_default() += count;
    }
}

fn right(value: impl ToString) -> Cell {
    Cell::new(value.to_string()).set_alignment(CellAlignment::Right)
}
