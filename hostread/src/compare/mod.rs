//! Why two counts of downloads differ: ours and theirs, from logs on this machine.
//!
//! ```text
//!   ours, theirs ─► requests, read once ─► one counter for each set of what differs ─► the gap, averaged over the orders
//!   ours, totals ─► requests, read once ─► one counter for each hypothesis ─► which fit, and what they leave
//! ```
//! Needs: catalog, rules and lists of both sides. Promises: what is counted is counted by [`crate::count`], under every set of
//! switches; the parts of each group sum exactly to its gap. Leaves out: opening files, printing (`cmd::compare`).

mod average;
mod gap;
mod hypotheses;
mod requests;
mod text;
mod totals;

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};

use hostread_connectors::log::LogSettings;
use hostread_rules::agents::AgentPatterns;
use hostread_rules::{Document, Window};
use hostread_schemas::event::SourceKind;

pub(crate) use gap::By;
use gap::Gap;
pub(crate) use hypotheses::Hypotheses;
pub(crate) use requests::Requests;
pub(crate) use text::{Comparison, described};
pub(crate) use totals::{TOTALS_BYTES_MAX, Totals};

use crate::count::{self, Catalog, Counter, Known, Report, Settings};
use average::Switches;
use requests::BUCKETS;

/// One of the two.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Side {
    /// What the operator counts.
    Ours,
    /// What another party counts.
    Theirs,
}

/// What can differ between two counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Component {
    /// Which requests can be one download.
    Window,
    /// Who is no person: agents, addresses, referrers, the limit of an address.
    Lists,
    /// Which bytes make a download.
    Bytes,
    /// Where days begin.
    Zone,
    /// What the log has.
    Requests,
}

impl Component {
    /// All of them, in the order of the columns.
    pub(crate) const ALL: [Self; 5] = [
        Self::Window,
        Self::Lists,
        Self::Bytes,
        Self::Zone,
        Self::Requests,
    ];

    /// In JSON and CSV.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Window => "window",
            Self::Lists => "lists",
            Self::Bytes => "bytes",
            Self::Zone => "zone",
            Self::Requests => "requests",
        }
    }

    /// For people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Lists => "bots and lists",
            other => other.key(),
        }
    }
}

/// How a side counts.
#[derive(Clone)]
pub(crate) struct Way {
    /// Name of the rule set.
    pub(crate) rules: String,
    pub(crate) document: Document,
    /// Patterns of bots, and of what is tried before one.
    pub(crate) agents: AgentPatterns,
    /// Networks that no person listens from.
    pub(crate) nonhuman: Vec<String>,
    pub(crate) window: Window,
    pub(crate) zone: String,
    /// Bytes decide.
    pub(crate) byte_rule: bool,
}

impl Way {
    /// The same without lists, referrers, limit of an address and byte rule: what those are tested by who give totals only.
    pub(crate) fn without_rules(&self) -> Self {
        let document = Document {
            referrers_denied: Vec::new(),
            ip_volume_downloads_max: 0,
            ..self.document.clone()
        };
        Self {
            document,
            agents: AgentPatterns::default(),
            nonhuman: Vec::new(),
            byte_rule: false,
            ..self.clone()
        }
    }

    /// In which components do two ways differ? Of the logs themselves this says nothing.
    pub(crate) fn differs(&self, other: &Self, component: Component) -> bool {
        let (a, b) = (&self.document, &other.document);
        match component {
            Component::Window => self.window != other.window,
            Component::Zone => self.zone != other.zone,
            Component::Bytes => {
                self.byte_rule != other.byte_rule
                    || a.threshold_secs != b.threshold_secs
                    || a.prefix_drops_range_0_1 != b.prefix_drops_range_0_1
            }
            Component::Lists => {
                self.agents != other.agents
                    || self.nonhuman != other.nonhuman
                    || a.inclusion != b.inclusion
                    || a.referrers_denied != b.referrers_denied
                    || a.ip_volume_downloads_max != b.ip_volume_downloads_max
            }
            Component::Requests => false,
        }
    }
}

/// Downloads by episode, which is its place in [`Counts::episodes`], and day.
pub(crate) type Downloads = BTreeMap<(usize, String), u64>;

/// What is counted, and how it can be.
pub(crate) struct Counts {
    threads: usize,
    ways: [Way; 2],
    logs: [Requests; 2],
    /// Both sides have the same log: the first.
    one_log: bool,
    /// By lists and by bytes.
    catalogs: BTreeMap<(Side, Side), Catalog>,
    /// Names of the episodes, in the catalog's order.
    pub(crate) episodes: Vec<String>,
    /// The place in `episodes` of each episode of a report.
    places: Vec<usize>,
}

impl Counts {
    /// `catalog` knows no names yet. `theirs`: their log, unless it is ours.
    pub(crate) fn new(
        threads: usize,
        ways: [Way; 2],
        catalog: &Catalog,
        ours: Requests,
        theirs: Option<Requests>,
    ) -> Self {
        let one_log = theirs.is_none();
        let logs = [ours, theirs.unwrap_or_default()];
        let mut catalogs = BTreeMap::new();
        for lists in [Side::Ours, Side::Theirs] {
            let mut taught: Option<Catalog> = None;
            for bytes in [Side::Ours, Side::Theirs] {
                let (of_lists, of_bytes) = (of(&ways, lists), of(&ways, bytes));
                let document = Document {
                    threshold_secs: of_bytes.document.threshold_secs,
                    prefix_drops_range_0_1: of_bytes.document.prefix_drops_range_0_1,
                    ..of_lists.document.clone()
                };
                let rules = count::rules(&document, of_lists.agents.clone());
                // Agents are judged by the lists, which are the same.
                let mut judged = match &taught {
                    Some(taught) => taught.with(rules),
                    None => {
                        let mut judged = catalog.with(rules);
                        for log in &logs {
                            log.teach(&mut judged);
                        }
                        taught.insert(judged).clone()
                    }
                };
                if !of_bytes.byte_rule {
                    judged.forget_bytes();
                }
                catalogs.insert((lists, bytes), judged);
            }
        }
        let known = catalogs.get(&(Side::Ours, Side::Ours));
        let known = known.map_or(&[][..], Catalog::episodes);
        let (episodes, places) = in_order(known, catalog.knows_bytes());
        Self {
            threads,
            ways,
            logs,
            one_log,
            catalogs,
            episodes,
            places,
        }
    }

    /// What differs between the two.
    pub(crate) fn components(&self) -> Vec<Component> {
        let [ours, theirs] = &self.ways;
        let differs = |component: &Component| match component {
            Component::Requests => !self.one_log,
            other => ours.differs(theirs, *other),
        };
        Component::ALL.into_iter().filter(differs).collect()
    }

    /// Downloads under some components as theirs and the others as ours.
    fn switched(&self, components: &[Component], set: Switches) -> Downloads {
        let side = |component: Component| {
            let at = components.iter().position(|known| *known == component);
            let set = at.is_some_and(|at| set >> at & 1 == 1);
            if set { Side::Theirs } else { Side::Ours }
        };
        let [lists, bytes] = [Component::Lists, Component::Bytes].map(side);
        let window = of(&self.ways, side(Component::Window)).window;
        let zone = of(&self.ways, side(Component::Zone)).zone.clone();
        self.downloads(side(Component::Requests), lists, bytes, window, zone)
    }

    /// Downloads of a log under lists, bytes, window and zone.
    pub(crate) fn downloads(
        &self,
        log: Side,
        lists: Side,
        bytes: Side,
        window: Window,
        zone: String,
    ) -> Downloads {
        let mut all = Downloads::new();
        let (Some(catalog), log) = (self.catalogs.get(&(lists, bytes)), of(&self.logs, log)) else {
            return all;
        };
        let settings = Settings {
            rules: String::new(),
            window,
            zone,
            mapping: None,
            // A request says itself what saw it.
            log: LogSettings {
                source_kind: SourceKind::Cdn,
                stitched: false,
            },
        };
        let next = AtomicUsize::new(0);
        let count = || {
            let ranges = hostread_connectors_kit::IpRanges::default();
            let mut counter = Counter::new(settings.clone(), catalog.clone(), ranges, 1);
            let mut report = counter.nothing();
            loop {
                let bucket = next.fetch_add(1, Ordering::Relaxed);
                if bucket >= BUCKETS {
                    return report;
                }
                for kept in log.bucket(bucket) {
                    counter.take(kept.seen(lists));
                }
                counter.settle(&mut report);
            }
        };
        let mut reports: Vec<Report> = Vec::new();
        std::thread::scope(|scope| {
            let counting: Vec<_> = (0..self.threads.max(1))
                .map(|_| scope.spawn(count))
                .collect();
            for thread in counting {
                reports.push(thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
            }
        });
        for report in reports {
            for (episode, place) in report.episodes.into_iter().zip(&self.places) {
                for (day, downloads) in episode.by_day {
                    *all.entry((*place, day)).or_default() += downloads;
                }
            }
        }
        all
    }

    /// The gap between both, by what differs.
    pub(crate) fn gap(&self, by: By) -> Gap {
        let components = self.components();
        let mut average = average::Average::new(components.len());
        for set in average.sets() {
            for ((episode, day), downloads) in self.switched(&components, set) {
                let downloads = i64::try_from(downloads).unwrap_or(i64::MAX);
                average.add(by.group(episode, day), set, downloads);
            }
        }
        let keys = components.iter().map(|one| (one.key(), one.name()));
        let mut gap = Gap::of(keys, average);
        if !self.one_log {
            let [ours, theirs] = &self.logs;
            let only = ours.only_in_one(theirs, &of(&self.ways, Side::Ours).zone);
            gap.add_requests(only.into_iter().filter_map(|((enclosure, day), counts)| {
                let episode = self.place(enclosure)?;
                let day = hostread_schemas::Day(day).date().to_string();
                Some((by.group(episode, day), counts))
            }));
        }
        gap
    }

    fn place(&self, enclosure: hostread_schemas::EnclosureId) -> Option<usize> {
        let catalog = self.catalogs.get(&(Side::Ours, Side::Ours))?;
        let episode = hostread_schemas::EpisodeId(enclosure.0);
        self.places.get(catalog.place(episode)?.0).copied()
    }
}

/// The names of episodes, and which of them each episode is: in their order, or if they have none in that of the names.
fn in_order(known: &[Known], ordered: bool) -> (Vec<String>, Vec<usize>) {
    let mut names: Vec<String> = Vec::new();
    let mut by_name: BTreeMap<&str, usize> = BTreeMap::new();
    let mut sorted: Vec<&Known> = known.iter().collect();
    if !ordered {
        sorted.sort_unstable_by_key(|known| &known.id);
    }
    for known in sorted {
        by_name.entry(&known.id).or_insert_with(|| {
            names.push(known.id.clone());
            names.len() - 1
        });
    }
    let place = |known: &Known| by_name.get(known.id.as_str()).copied().unwrap_or(0);
    let places = known.iter().map(place).collect();
    (names, places)
}

const fn of<T>(both: &[T; 2], side: Side) -> &T {
    let [ours, theirs] = both;
    match side {
        Side::Ours => ours,
        Side::Theirs => theirs,
    }
}

#[cfg(test)]
mod tests;
