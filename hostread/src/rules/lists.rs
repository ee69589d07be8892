//! The lists that rule sets name by hash: patterns of bots, networks that no person listens from.
//! Promises: a list that is given is what the document names, where it names one.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use hostread_connectors_kit::IpRanges;
use hostread_rules::Document;
use hostread_rules::agents::AgentPatterns;
use hostread_rules::document::{DocumentError, ListFile};
use hostread_schemas::event::IpClass;
use hostread_schemas::{Day, EventTimeMs};
use jiff::civil::Date;
use serde::Deserialize;

use super::agents::{AgentFiles, read};

/// Lists that were read.
#[derive(Default)]
pub(crate) struct Lists {
    /// Patterns of bots, and of what is tried before one.
    pub(crate) agents: AgentPatterns,
    /// Networks as they are written.
    pub(crate) nonhuman: Vec<String>,
    /// Which files say what is a bot.
    pub(crate) bots: Vec<ListFile>,
    /// Which files name browsers, devices and pages.
    pub(crate) names: Vec<ListFile>,
    /// Which files of networks.
    pub(crate) data_centres: Vec<ListFile>,
}

#[derive(Deserialize)]
struct Ranges {
    nonhuman_ip_ranges: Vec<String>,
}

impl Lists {
    /// Of agents, and a file `{"nonhuman_ip_ranges": ["192.0.2.0/24", …]}`.
    pub(crate) fn read(agents: Option<&AgentFiles>, ranges: Option<&Path>) -> Result<Self> {
        let mut lists = Self::default();
        if let Some(agents) = agents {
            lists.agents = agents.lists.patterns();
            lists.bots = agents.files(true);
            lists.names = agents.files(false);
        }
        if let Some(path) = ranges {
            let (bytes, mut file) = read(path)?;
            let ranges: Ranges = serde_json::from_slice(&bytes)
                .with_context(|| format!("reading {}", path.display()))?;
            file.count = ranges.nonhuman_ip_ranges.len() as u64;
            lists.nonhuman = ranges.nonhuman_ip_ranges;
            lists.data_centres.push(file);
        }
        Ok(lists)
    }

    /// Are these the lists that a document names? One that names none takes any.
    pub(crate) fn check(&self, document: &Document) -> Result<()> {
        let pairs = [
            ("bots", "--lists", &document.bots, &self.bots),
            (
                "data_centres",
                "--nonhuman-ranges",
                &document.data_centres,
                &self.data_centres,
            ),
        ];
        for (parameter, option, named, given) in pairs {
            for list in named {
                if !given.iter().any(|file| file.sha256 == list.sha256) {
                    let ListFile { file, sha256, .. } = list;
                    let why =
                        format!("it names {file} with SHA-256 {sha256}; {option} does not give it");
                    bail!(DocumentError::of(parameter, why));
                }
            }
            for list in given.iter().filter(|_| !named.is_empty()) {
                if !named.iter().any(|file| file.sha256 == list.sha256) {
                    let why = format!(
                        "it does not name {} with SHA-256 {}",
                        list.file, list.sha256
                    );
                    bail!(DocumentError::of(parameter, why));
                }
            }
        }
        Ok(())
    }

    /// The classes of addresses: these networks, and what a document lets in.
    pub(crate) fn ranges(&self, document: &Document) -> Result<Dated> {
        ranges(&self.nonhuman, document)
    }
}

/// Classes of addresses, each from a time on, in order: those of a request are of its own day, not of today.
pub(crate) type Dated = Vec<(EventTimeMs, IpRanges)>;

/// The classes of addresses: networks that no person listens from, and what a document lets in.
pub(crate) fn ranges(nonhuman: &[String], document: &Document) -> Result<Dated> {
    let inclusion = document.inclusion.iter();
    let dates = inclusion.flat_map(|entry| [&entry.when, &entry.expires]);
    // A document's dates were checked.
    let dates: BTreeSet<Date> = dates.filter_map(|date| date.parse().ok()).collect();
    let first = (EventTimeMs(i64::MIN), Date::MIN);
    let days = dates
        .into_iter()
        .map(|date| (Day::from_date(date).start(), date));
    let dated = std::iter::once(first).chain(days);
    let dated = dated.map(|(from, date)| Ok((from, ranges_on(nonhuman, document, date)?)));
    dated.collect()
}

fn ranges_on(nonhuman: &[String], document: &Document, date: Date) -> Result<IpRanges> {
    let holds = document
        .inclusion
        .iter()
        .filter(|entry| entry.holds_on(date));
    let included = holds.map(|entry| (IpClass::Included, entry.range.as_str()));
    let nonhuman = nonhuman.iter();
    let nonhuman = nonhuman.map(|range| (IpClass::DataCentre, range.as_str()));
    IpRanges::new(included.chain(nonhuman)).context("reading the ranges")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;
    use hostread_rules::document::{Inclusion, shipped};

    const SHA256: &str = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";

    fn document() -> Document {
        shipped("2.2").unwrap()
    }

    fn list(sha256: &str) -> ListFile {
        ListFile {
            file: "a.json".to_owned(),
            sha256: sha256.to_owned(),
            count: 1,
            date: "2026-11-09".to_owned(),
        }
    }

    #[test]
    fn a_list_is_the_one_that_is_named() {
        let given = Lists {
            bots: vec![list(SHA256)],
            ..Lists::default()
        };
        given.check(&document()).unwrap();
        let mut document = document();
        document.bots = vec![list(SHA256)];
        given.check(&document).unwrap();
        let none = Lists::default().check(&document).unwrap_err().to_string();
        assert!(
            none.starts_with("parameters.bots: it names a.json"),
            "{none}"
        );
        let other = Lists {
            bots: vec![list(SHA256), list("0")],
            ..Lists::default()
        };
        let other = other.check(&document).unwrap_err().to_string();
        assert!(
            other.contains("it does not name a.json with SHA-256 0"),
            "{other}"
        );
    }

    #[test]
    fn an_inclusion_lets_in_until_it_expires() {
        let mut document = document();
        document.inclusion = vec![Inclusion {
            range: "192.0.2.128/25".to_owned(),
            who: "A. Example".to_owned(),
            when: "2026-11-01".to_owned(),
            evidence: "a letter".to_owned(),
            expires: "2026-12-01".to_owned(),
        }];
        let lists = Lists {
            nonhuman: vec!["192.0.2.0/24".to_owned()],
            ..Lists::default()
        };
        let ranges = lists.ranges(&document).unwrap();
        let from = |month| Day::from_date(jiff::civil::date(2026, month, 1)).start();
        let starts: Vec<EventTimeMs> = ranges.iter().map(|(start, _)| *start).collect();
        assert_eq!(starts, [EventTimeMs(i64::MIN), from(11), from(12)]);
        let class = |at: usize, address: &str| ranges[at].1.class(address.parse().unwrap());
        assert_eq!(class(0, "192.0.2.200"), IpClass::DataCentre);
        assert_eq!(class(1, "192.0.2.200"), IpClass::Included);
        assert_eq!(class(1, "192.0.2.1"), IpClass::DataCentre);
        assert_eq!(class(2, "192.0.2.200"), IpClass::DataCentre);
    }
}
