//! Downloads of delivery logs on one machine, without a server: the pipeline's rules over lines from files.
//!
//! ```text
//!   line ─► connector ─► fact ─► filters ─┬─► dropped: tallied by reason
//!                                         └─► household-day ─► count_household_day ─► downloads, ads
//! ```
//! Promises: what it says of a line is what the pipeline says of it under the same rule set; order and repetition of lines and files change no
//! download, listener or ad.
//! Leaves out: reading files, printing (`cmd::count`). Memory: the requests that pass the filters.

mod catalog;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hostread_connectors::lines::{Line, LineAt};
use hostread_connectors::log::{LogFormat, LogSettings};
use hostread_connectors_kit::{IpRanges, Mapped, Origin, Pseudonymizer, TenantKey};
use hostread_rules::counting::{Dimensions, Exposure, Item, filtered};
use hostread_rules::household_day::count_household_day;
use hostread_rules::{CompiledRules, civil_day};
use hostread_schemas::fact::FactBody;
use hostread_schemas::intern::IdHasher;
use hostread_schemas::unit::ReceivedAtMs;
use hostread_schemas::view::Verdict;
use hostread_schemas::{Day, EpisodeId, HouseholdId, ListenerId};

pub(crate) use catalog::{Catalog, bot_patterns, ranges};
pub(crate) use report::Report;

/// Ids live as long as the process: their key is no secret.
const KEY: [u8; 16] = [0; 16];
/// Files are one source: a listener of two logs is one.
const NAME: &str = "count";

/// How to count.
pub(crate) struct Settings {
    /// Days begin at midnight there.
    pub(crate) zone: String,
    /// What the logs are.
    pub(crate) log: LogSettings,
}

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// A comment, an empty line.
    Nothing,
    /// It cannot be read, and why.
    Malformed(String),
    /// A filter dropped it.
    Dropped(Verdict),
    /// Whether it counts is a matter of the other requests of its listener, day and episode.
    Open(Place),
}

/// A listener's day and an episode.
pub(crate) type Place = (Day, ListenerId, EpisodeId);

/// Counts lines.
pub(crate) struct Counter {
    settings: Settings,
    catalog: Catalog,
    hasher: IdHasher,
    pseudonyms: Pseudonymizer,
    lines: u64,
    malformed: u64,
    dropped: BTreeMap<Verdict, u64>,
    /// Requests that passed the filters.
    days: BTreeMap<(Day, HouseholdId, ListenerId), Vec<Item>>,
}

/// A file being read: its format is told by its first line.
pub(crate) struct Reading {
    format: Option<LogFormat>,
}

impl Reading {
    /// At the beginning of a file.
    pub(crate) const fn new() -> Self {
        Self { format: None }
    }

    /// CloudFront's lines begin with a header, or with a date and a tab.
    fn format(&mut self, line: &[u8], settings: LogSettings) -> Option<&mut LogFormat> {
        if self.format.is_none() && !line.is_empty() {
            let cloudfront = line.starts_with(b"#") || line.get(10) == Some(&b'\t');
            let name = if cloudfront { "cloudfront" } else { "combined" };
            self.format = LogFormat::named(name, settings);
        }
        self.format.as_mut()
    }
}

impl Counter {
    /// Has counted nothing yet.
    pub(crate) fn new(settings: Settings, catalog: Catalog, ranges: IpRanges) -> Self {
        Self {
            settings,
            catalog,
            hasher: IdHasher::new(KEY),
            pseudonyms: Pseudonymizer::new(&TenantKey::new([0; 32]), Arc::new(ranges)),
            lines: 0,
            malformed: 0,
            dropped: BTreeMap::new(),
            days: BTreeMap::new(),
        }
    }

    /// Says what a line is, and counts it.
    pub(crate) fn count(&mut self, reading: &mut Reading, at: LineAt, line: Line<'_>) -> Said {
        let (said, item) = self.read(reading, at, line);
        self.lines += u64::from(said != Said::Nothing);
        match (&said, item) {
            (Said::Malformed(_), _) => self.malformed += 1,
            (Said::Dropped(verdict), _) => *self.dropped.entry(*verdict).or_default() += 1,
            (Said::Open((day, listener, _)), Some((household, item))) => {
                let requests = self.days.entry((*day, household, *listener));
                requests.or_default().push(item);
            }
            (Said::Nothing | Said::Open(_), _) => {}
        }
        said
    }

    /// What a line is, uncounted.
    pub(crate) fn say(&mut self, reading: &mut Reading, at: LineAt, line: Line<'_>) -> Said {
        self.read(reading, at, line).0
    }

    fn read(
        &mut self,
        reading: &mut Reading,
        at: LineAt,
        line: Line<'_>,
    ) -> (Said, Option<(HouseholdId, Item)>) {
        let text = match line {
            Line::Text(text) => text,
            Line::TooLong(_) => {
                let why = format!("the line is too long ({} bytes)", at.bytes);
                return (Said::Malformed(why), None);
            }
        };
        let Some(format) = reading.format(text, self.settings.log) else {
            return (Said::Nothing, None);
        };
        let origin = Origin {
            tenant: NAME,
            source: NAME,
            batch_id: NAME,
            received_at: ReceivedAtMs(0),
            ids: self.hasher,
            pseudonyms: &self.pseudonyms,
        };
        let event = match format.line(&origin, text) {
            Mapped::Nothing => return (Said::Nothing, None),
            Mapped::Rejected(rejected) => return (Said::Malformed(rejected.to_string()), None),
            Mapped::Event(event) => event,
        };
        let catalog = &mut self.catalog;
        let learn = &mut |kind, id, text: &str| catalog.learn(kind, id, text);
        let fact = self.hasher.fact(&event, learn);
        let FactBody::Request(request) = fact.body else {
            return (Said::Nothing, None);
        };
        let verdict = filtered(&request, &self.catalog);
        if verdict != Verdict::BelowThreshold {
            return (Said::Dropped(verdict), None);
        }
        let episode = self.catalog.episode_of(request.enclosure);
        let episode = episode.map_or(EpisodeId::NONE, |episode| episode.episode);
        let day = civil_day(fact.time, &self.settings.zone);
        let item = (fact.time, fact.id, Exposure::Request(request));
        let place = (day, request.listener, episode);
        (Said::Open(place), Some((request.household, item)))
    }

    /// What it all comes to, and with `verdicts` that of each place. Nothing more can be counted afterwards.
    pub(crate) fn finish(&mut self, verdicts: bool) -> (Report, BTreeMap<Place, Verdict>) {
        let mut report = Report::new(self);
        let mut places = BTreeMap::new();
        let mut listeners_seen = BTreeSet::new();
        let mut days: Vec<_> = std::mem::take(&mut self.days).into_iter().collect();
        for home in days.chunk_by_mut(|((a, x, _), _), ((b, y, _), _)| (a, x) == (b, y)) {
            for (_, items) in home.iter_mut() {
                items.sort_unstable();
            }
            let household = home.first().map_or(HouseholdId::NONE, |(key, _)| key.1);
            let listeners = home.iter().map(|(_, items)| items.as_slice());
            let (counted, _) = count_household_day(household, listeners, &self.catalog);
            for (((day, _, listener), _), counted) in home.iter().zip(counted) {
                if verdicts {
                    let of = counted.verdicts.iter();
                    places.extend(of.map(|one| ((*day, *listener, one.4), one.2)));
                }
                report.add(
                    &self.catalog,
                    *day,
                    *listener,
                    &counted,
                    &mut listeners_seen,
                );
            }
        }
        report.finish();
        (report, places)
    }
}

/// The rules that a log is counted by: those of IAB 2.2 with the patterns of these bots, and the limit of an address on, as in
/// shipped rule sets.
pub(crate) fn rules(bot_agents: Vec<String>) -> CompiledRules {
    CompiledRules::compile(&hostread_schemas::fact::RuleSetFact {
        threshold_secs: 60,
        prefix_drops_range_0_1: true,
        ip_volume_downloads_max: 100,
        bot_agents,
        ..hostread_schemas::fact::RuleSetFact::default()
    })
}

#[cfg(test)]
mod tests;
