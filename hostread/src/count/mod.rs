//! Downloads of delivery logs on one machine, without a server: the pipeline's rules over lines from files.
//!
//! ```text
//!   blocks of lines ─► one counter a thread: connector ─► fact ─► filters ─┬─► dropped: tallied by reason
//!                                                                          └─► homes: the requests of household-days
//!   homes of all threads, one part of the households a thread ─► count_household_day ─► downloads, ads
//! ```
//! Promises: what it says of a line is what the pipeline says of it under the same rule set; order and repetition of lines and
//! files, and the number of threads, change no download, listener or ad.
//! Leaves out: opening files, printing (`cmd::count`). Memory: that of the days of listeners with episodes, not of the lines.

mod catalog;
mod homes;
mod lines;
mod report;
mod threads;
mod window;

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::Arc;

use hostread_connectors::lines::Line;
use hostread_connectors::log::LogSettings;
use hostread_connectors::mapped::Mapping;
use hostread_rules::agents::AgentPatterns;
use hostread_rules::counting::window::Windows;
use hostread_rules::counting::{Dimensions, filtered};
use hostread_rules::document::Held;
use hostread_rules::{CompiledRules, Document, Window, civil_day};
use hostread_schemas::event::{Body, Event, Meta};
use hostread_schemas::fact::{FactBody, RequestFact};
use hostread_schemas::intern::IdHasher;
use hostread_schemas::unit::ReceivedAtMs;
use hostread_schemas::view::Verdict;
use hostread_schemas::{Day, EpisodeId, EventId, EventTimeMs, ListenerId};

pub(crate) use catalog::{Catalog, Known};
use homes::{Counted, Homes, Part};
pub(crate) use lines::{AddressClasses, Parsed, Reader, Reading, Seen};
pub(crate) use report::Report;
pub(crate) use threads::{Log, Wrong, count_logs, read_logs};
pub(crate) use window::Verdicts;

/// Ids live as long as the process: their key is no secret.
const KEY: [u8; 16] = [0; 16];
/// All files are of one tenant and one source, so that a listener of two logs is one. Nobody sees their name.
const NAME: &str = "";

/// How to count.
#[derive(Clone)]
pub(crate) struct Settings {
    /// Name of the rule set.
    pub(crate) rules: String,
    /// Which requests can be one download.
    pub(crate) window: Window,
    /// Days begin at midnight there.
    pub(crate) zone: String,
    /// What the logs are.
    pub(crate) log: LogSettings,
    /// Which field of a line is what, in logs of JSON or CSV lines.
    pub(crate) mapping: Option<Arc<Mapping>>,
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
    reader: Reader,
    addresses: AddressClasses,
    lines: u64,
    malformed: u64,
    dropped: BTreeMap<Verdict, u64>,
    homes: Homes,
}

impl Counter {
    /// Has counted nothing yet. `parts`: how many threads may finish it.
    pub(crate) fn new(
        settings: Settings,
        catalog: Catalog,
        addresses: impl Into<AddressClasses>,
        parts: usize,
    ) -> Self {
        Self::with(settings, catalog, addresses.into(), parts)
    }

    fn with(settings: Settings, catalog: Catalog, addresses: AddressClasses, parts: usize) -> Self {
        let rolling = settings.window != Window::Calendar;
        let reader = Reader::new(settings.log, settings.mapping.clone());
        Self {
            settings,
            catalog,
            reader,
            addresses,
            lines: 0,
            malformed: 0,
            dropped: BTreeMap::new(),
            homes: Homes::new(parts, rolling),
        }
    }

    /// A counter for another thread, as this one was when it was new.
    fn fork(&self) -> Self {
        let parts = self.homes.parts();
        let (settings, catalog) = (self.settings.clone(), self.catalog.clone());
        Self::with(settings, catalog, self.addresses.clone(), parts)
    }

    /// Says what a line is, and counts it.
    pub(crate) fn count(&mut self, reading: &mut Reading, line: Line<'_>) -> Said {
        let (said, seen) = self.read(reading, line);
        self.lines += u64::from(said != Said::Nothing);
        match (&said, seen) {
            (Said::Malformed(_), _) => self.malformed += 1,
            (Said::Dropped(verdict), _) => *self.dropped.entry(*verdict).or_default() += 1,
            (Said::Open(place), Some(seen)) => self.hold(*place, seen),
            (Said::Nothing | Said::Open(_), _) => {}
        }
        said
    }

    /// Counts a request that was read before.
    pub(crate) fn take(&mut self, seen: Seen) {
        let (time, _, request) = &seen;
        if let Said::Open(place) = judge(&self.settings, &self.catalog, *time, request) {
            self.hold(place, seen);
        }
    }

    fn hold(&mut self, (day, _, episode): Place, seen: Seen) {
        let several = self.catalog.has_several_addresses(episode);
        self.homes.add(day, several, seen);
    }

    /// Adds what was counted since the last time to `report`: all requests of the households among them were.
    pub(crate) fn settle(&mut self, report: &mut Report) {
        let new = Homes::new(self.homes.parts(), self.settings.window != Window::Calendar);
        for part in std::mem::replace(&mut self.homes, new).into_parts() {
            report.join(self.finish_part(part, false).0);
        }
    }

    /// A report of nothing.
    pub(crate) fn nothing(&self) -> Report {
        Report::new(self)
    }

    /// What a line is, uncounted, and when it was.
    pub(crate) fn say(&mut self, reading: &mut Reading, line: Line<'_>) -> (Said, EventTimeMs) {
        let (said, seen) = self.read(reading, line);
        (said, seen.map_or(EventTimeMs(0), |(time, ..)| time))
    }

    fn read(&mut self, reading: &mut Reading, line: Line<'_>) -> (Said, Option<Seen>) {
        let Self {
            settings,
            catalog,
            reader,
            addresses,
            ..
        } = self;
        let judged = reader.read(reading, line, |heard| {
            let learn = &mut |kind, id, text: &str| catalog.learn(kind, id, text);
            let (time, request) = (heard.time(), heard.fact(addresses, learn));
            let said = judge(settings, catalog, time, &request);
            let open = matches!(said, Said::Open(_));
            (said, open.then(|| (time, heard.id(), request)))
        });
        match judged {
            Parsed::Nothing => (Said::Nothing, None),
            Parsed::Malformed(why) => (Said::Malformed(why), None),
            Parsed::Request(judged) => judged,
        }
    }

    /// What all counters come to, and with `verdicts` that of each place. Nothing more can be counted afterwards.
    pub(crate) fn finish(&mut self, others: Vec<Self>, verdicts: bool) -> (Report, Verdicts) {
        let mut parts = std::mem::take(&mut self.homes).into_parts();
        for other in others {
            self.lines += other.lines;
            self.malformed += other.malformed;
            for (verdict, lines) in other.dropped {
                *self.dropped.entry(verdict).or_default() += lines;
            }
            self.catalog.join(other.catalog);
            for (part, theirs) in parts.iter_mut().zip(other.homes.into_parts()) {
                part.join(theirs);
            }
        }
        self.finish_parts(parts, verdicts)
    }

    /// One thread a part: no household is in two.
    fn finish_parts(&self, parts: Vec<Part>, verdicts: bool) -> (Report, Verdicts) {
        let mut report = Report::new(self);
        let mut told = Verdicts::new(self.settings.window);
        std::thread::scope(|scope| {
            let counting = |part| scope.spawn(move || self.finish_part(part, verdicts));
            let counting: Vec<_> = parts.into_iter().map(counting).collect();
            for part in counting {
                let (counted, of_part) = part.join().unwrap_or_else(|panic| resume_unwind(panic));
                report.join(counted);
                told.join(of_part);
            }
        });
        report.finish(self);
        (report, told)
    }

    fn finish_part(&self, part: Part, verdicts: bool) -> (Report, Verdicts) {
        let mut report = Report::new(self);
        let mut told = Verdicts::new(self.settings.window);
        let windows = Windows {
            window: self.settings.window,
            zone: &self.settings.zone,
        };
        let each = &mut |counted: Counted<'_>| {
            if verdicts {
                told.add(&counted);
            }
            report.add(&self.catalog, &counted);
        };
        match windows.window {
            Window::Calendar => part.count(&self.catalog, each),
            Window::FirstTouch | Window::LastTouch => {
                part.count_rolling(windows, &self.catalog, each);
            }
        }
        (report, told)
    }
}

/// What the filters say of a request.
fn judge(settings: &Settings, catalog: &Catalog, time: EventTimeMs, request: &RequestFact) -> Said {
    let verdict = filtered(time, request, catalog);
    if verdict != Verdict::BelowThreshold {
        return Said::Dropped(verdict);
    }
    let episode = catalog.episode_of(request.enclosure);
    let episode = episode.map_or(EpisodeId::NONE, |episode| episode.episode);
    let day = civil_day(time, &settings.zone);
    Said::Open((day, request.listener, episode))
}

/// The rules of a document, with these patterns of agents.
pub(crate) fn rules(document: &Document, agents: AgentPatterns) -> CompiledRules {
    let event = Event {
        meta: Meta {
            id: EventId::default(),
            tenant: NAME.to_owned(),
            source: NAME.to_owned(),
            time: EventTimeMs(0),
            received_at: ReceivedAtMs(0),
            batch_id: String::new(),
            revision: 0,
        },
        // Addresses are judged as they are written, by the day, not by hashes.
        body: Body::RuleSet(document.event(Held {
            agents,
            ..Held::default()
        })),
    };
    match IdHasher::new(KEY)
        .fact(&event, &mut |_, _, _: &str| {})
        .body
    {
        FactBody::RuleSet(rules) => CompiledRules::compile(&rules),
        _ => CompiledRules::default(),
    }
}

#[cfg(test)]
mod agree;
#[cfg(test)]
mod tests;
