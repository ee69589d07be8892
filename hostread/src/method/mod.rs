//! How downloads are counted, as a document: rule set, windows, lists, what is estimated, decisions, limits, audits. IAB asks
//! publishers to keep one and to audit it twice a year (2.3, 5.5.6).

pub(crate) mod tenant;

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use hostread_rules::agents::AgentPatterns;
use hostread_rules::document::{Inclusion, ListFile, NOT_VERIFIED, parameters};
use hostread_rules::{Document, Window};
use hostread_schemas::fact::EpisodeFact;
use jiff::civil::Date;

use crate::count::{self, Catalog};
use crate::rules::Lists;

/// What is decided where the guidelines leave a choice, or more strictly than they ask.
const DECISIONS: [&str; 9] = [
    "Exactly the threshold is enough. It is header bytes and the seconds at the episode's bit rate; with a variable rate, its share of the audio bytes.",
    "Bytes decide, also for status 200: a transfer that was cut short counts only when enough of it was sent.",
    "Byte ranges of one listener, episode and window are united; a byte that was sent twice is one. Ranges of different versions of a file never join.",
    "Bytes of inserted ads count towards the threshold.",
    "A listener is address and agent (and a session, where the source has one). IPv6 is cut to 64 bits; an IPv4-mapped IPv6 address is the IPv4 address.",
    "An unknown agent is kept. A library that the lists call a bot is a bot.",
    "A window of 24 hours holds its first instant and not the one 24 hours later.",
    "An address over the volume limit loses all its downloads of that day, not only those above the limit.",
    "An ad is delivered once a download and only inside one: all its bytes, or an impression where the line item says so. What a player confirms stands apart.",
];

const LIMITS: [&str; 4] = [
    "Downloads are deliveries to a device. They do not say that anybody listened.",
    "Networks of the lists are known as /24 (IPv6: /48) by the pipeline; a class of an address is fixed when its request comes in.",
    "A prefix source sees no bytes: a request that passes the filters is taken as the whole file.",
    "Listeners of two periods do not add up to those of both.",
];

/// See the module.
pub(crate) struct Method {
    /// Whose, or of which rule set.
    of: String,
    rule_set: String,
    title: String,
    /// Parameter, value, what it rests on.
    parameters: Vec<(String, String, String)>,
    /// The windows in words.
    windows: String,
    /// What each list is of, and its file.
    lists: Vec<(&'static str, ListFile)>,
    inclusion: Vec<Inclusion>,
    /// Where the list of what is let in is kept instead.
    inclusion_elsewhere: Option<String>,
    thresholds: Option<Thresholds>,
}

/// How the threshold of episodes is known.
#[derive(Default, Debug, PartialEq, Eq)]
struct Thresholds {
    constant: u64,
    variable: u64,
    short: u64,
    unknown: u64,
}

impl Thresholds {
    fn of<'a>(episodes: impl Iterator<Item = &'a EpisodeFact>, threshold_secs: u32) -> Self {
        let mut all = Self::default();
        for episode in episodes {
            let whole = episode.duration_secs != 0 && episode.duration_secs < threshold_secs;
            let rate = if episode.vbr {
                episode.duration_secs != 0 && episode.size_bytes != 0
            } else {
                episode.bit_rate != 0
            };
            *match (whole, rate, episode.vbr) {
                (true, ..) => &mut all.short,
                (false, false, _) => &mut all.unknown,
                (false, true, true) => &mut all.variable,
                (false, true, false) => &mut all.constant,
            } += 1;
        }
        all
    }
}

fn windows_in_words(window: Window, zone: &str) -> String {
    let what = match window {
        Window::Calendar => format!(
            "*Calendar days* in {zone}: requests of one listener for one episode on one day are one download at most, \
             dated by the first of them. Bytes never carry over midnight."
        ),
        Window::FirstTouch => format!(
            "*First touch*: 24 hours from the earliest request with which enough bytes arrive within them; the next window \
             begins with the next request after that. Days by which downloads are told begin in {zone}."
        ),
        Window::LastTouch => format!(
            "*Last touch*: requests less than 24 hours apart are one chain, and a chain one download at most, dated by its \
             first request. Days by which downloads are told begin in {zone}."
        ),
    };
    format!("{what} The window is the same for every number of a report, and reports name it.")
}

impl Method {
    /// Of a document, with the lists that are loaded.
    pub(crate) fn of_document(
        document: &Document,
        lists: Lists,
        catalog: Option<&Path>,
        today: Date,
    ) -> Result<Self> {
        let thresholds = match catalog {
            Some(path) => {
                let json =
                    std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
                let catalog =
                    Catalog::read(&json, count::rules(document, AgentPatterns::default()))?;
                let episodes = catalog.episodes().iter().map(count::Known::fact);
                Some(Thresholds::of(episodes, document.threshold_secs))
            }
            None => None,
        };
        let source = |name: &str| document.sources.get(name).cloned().unwrap_or_default();
        let values = document.values().into_iter();
        let parameters = values.map(|(name, value)| {
            let source = source(&name);
            (name, value.to_string(), source)
        });
        let bots = lists.bots.into_iter().map(|file| ("agents", file));
        let names = lists.names.into_iter();
        let names = names.map(|file| ("names of agents", file));
        let data_centres = lists.data_centres.into_iter();
        let data_centres = data_centres.map(|file| ("data centres", file));
        let holds = document
            .inclusion
            .iter()
            .filter(|entry| entry.holds_on(today));
        Ok(Self {
            of: format!("by {}", document.full_name()),
            rule_set: document.full_name(),
            title: document.title.clone(),
            parameters: parameters.collect(),
            windows: windows_in_words(document.window, &document.zone),
            lists: bots.chain(names).chain(data_centres).collect(),
            inclusion: holds.cloned().collect(),
            inclusion_elsewhere: None,
            thresholds,
        })
    }

    /// The document, as Markdown.
    pub(crate) fn page(&self, today: Date, audits: &[Date]) -> String {
        let mut page = format!(
            "# How downloads are counted {}\n\nAs of {today}. Written by `hostread method`.\n\n## Rule set\n\
             `{}`{}{}. Hostread implements the guidelines as far as these parameters follow them; nothing here is certified.\n\n| parameter | value | rests on |\n|---|---|---|\n",
            self.of,
            self.rule_set,
            if self.title.is_empty() { "" } else { ": " },
            self.title
        );
        for (name, value, source) in &self.parameters {
            writeln!(
                page,
                "| {name} | `{}` | {source} |",
                value.replace('|', "\\|")
            )
            .ok();
        }
        page.push_str("\nWhat they say:\n\n");
        for row in parameters() {
            writeln!(page, "- **{}**: {}", row.parameter, row.what).ok();
        }
        writeln!(page, "\n## Window\n{}", self.windows).ok();
        self.write_lists(&mut page);
        self.write_estimated(&mut page);
        write_items(&mut page, "Decisions", &DECISIONS);
        self.write_limits(&mut page);
        page.push_str("\n## Self-audit\nTwice a year the process is audited by ourselves and this document is written anew. The next ones:\n\n");
        for date in audits {
            writeln!(page, "- {date}").ok();
        }
        page.trim_end().to_owned()
    }

    fn write_lists(&self, page: &mut String) {
        page.push_str("\n## Lists\n");
        if self.lists.is_empty() {
            page.push_str(
                "None are loaded: bots are told from people only by what the parameters say.\n",
            );
        } else {
            page.push_str("| of | file | entries | date | SHA-256 |\n|---|---|---|---|---|\n");
        }
        for (of, list) in &self.lists {
            let ListFile {
                file,
                sha256,
                count,
                date,
            } = list;
            writeln!(page, "| {of} | {file} | {count} | {date} | `{sha256}` |").ok();
        }
        page.push_str("\nLet in although many people share them:");
        match &self.inclusion_elsewhere {
            Some(place) => writeln!(page, " {place}.").ok(),
            None if self.inclusion.is_empty() => writeln!(page, " none.").ok(),
            None => writeln!(
                page,
                "\n\n| network | who | since | evidence | until |\n|---|---|---|---|---|"
            )
            .ok(),
        };
        for entry in &self.inclusion {
            let Inclusion {
                range,
                who,
                when,
                evidence,
                expires,
            } = entry;
            writeln!(
                page,
                "| {range} | {who} | {when} | {evidence} | {expires} |"
            )
            .ok();
        }
    }

    fn write_estimated(&self, page: &mut String) {
        page.push_str("\n## What is estimated\nNo download is estimated: each is a set of requests that can be shown.");
        let Some(all) = &self.thresholds else {
            page.push_str(" Which episodes the byte rule knows was not asked (`--catalog`).\n");
            return;
        };
        let Thresholds {
            constant,
            variable,
            short,
            unknown,
        } = all;
        writeln!(
            page,
            " The bytes that make one are computed from the catalog:\n\n| episodes | bytes needed |\n|---|---|\n\
             | {constant} | header and threshold at a constant rate |\n\
             | {variable} | header and threshold at the mean of a variable rate: an estimate of where the threshold lies |\n\
             | {short} | the whole file: shorter than the threshold |\n\
             | {unknown} | the whole file: rate or length are not known |"
        )
        .ok();
    }

    fn write_limits(&self, page: &mut String) {
        write_items(page, "Limits", &LIMITS);
        let rests = self.parameters.iter();
        let unverified = rests
            .filter(|(.., source)| source.starts_with(NOT_VERIFIED))
            .count();
        if unverified > 0 {
            writeln!(page, "- {unverified} parameters are not verified against the text of the rule set's own version.").ok();
        }
    }
}

fn write_items(page: &mut String, title: &str, items: &[&str]) {
    write!(page, "\n## {title}\n").ok();
    for item in items {
        writeln!(page, "- {item}").ok();
    }
}

#[cfg(test)]
mod tests;
