//! Reads lists of agents, and says what is wrong with which entry.

use regex::{RegexBuilder, RegexSet, RegexSetBuilder};
use serde::Deserialize;

use super::{AgentEntry, AgentFile, AgentLists};
use crate::rule_set::{PATTERN_BYTES_MAX, PATTERN_SET_BYTES_MAX};

/// Bytes of one file.
pub const FILE_BYTES_MAX: usize = 16 << 20;
/// Entries of one file, as many as the event of a rule set takes of bots; the public lists have some hundreds.
pub const ENTRIES_MAX: usize = hostread_schemas::BOT_AGENTS_MAX;
/// Bytes of a pattern, as the event of a rule set takes it.
const TEXT_BYTES_MAX: usize = hostread_schemas::REGEX_BYTES_MAX;
/// Faults that an error tells.
const TOLD_MAX: usize = 20;

/// What is wrong with an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Its place in the file, from 0.
    pub at: usize,
    /// Its name.
    pub name: String,
    /// What is wrong.
    pub why: String,
}

/// A file that is no list.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AgentListError {
    /// Too large to be read.
    #[error("{file}: larger than {FILE_BYTES_MAX} bytes")]
    TooLarge {
        /// The file's name.
        file: &'static str,
    },
    /// Another form than `{"entries": [{"name": …, "pattern": …}]}`.
    #[error("{file}: {why}")]
    Form {
        /// The file's name.
        file: &'static str,
        /// Where, and what is wrong.
        why: String,
    },
    /// Entries that cannot be applied.
    #[error("{}", told(file, faults))]
    Entries {
        /// The file's name.
        file: &'static str,
        /// Which.
        faults: Vec<Fault>,
    },
    /// All of them together are too much.
    #[error("{file}: the patterns together need more than {PATTERN_SET_BYTES_MAX} bytes")]
    Together {
        /// The file's name.
        file: &'static str,
    },
}

fn told(file: &str, faults: &[Fault]) -> String {
    let told = faults.iter().take(TOLD_MAX);
    let told =
        told.map(|Fault { at, name, why }| format!("{file}: entries[{at}] \"{name}\": {why}"));
    let mut lines: Vec<String> = told.collect();
    if faults.len() > TOLD_MAX {
        lines.push(format!("and {} more", faults.len() - TOLD_MAX));
    }
    lines.join("\n")
}

#[derive(Deserialize)]
struct Wire {
    entries: Vec<WireEntry>,
}

/// The files hold more, for people: descriptions, addresses, comments.
#[derive(Deserialize)]
struct WireEntry {
    #[serde(default)]
    name: String,
    pattern: String,
    #[serde(default)]
    category: String,
    #[serde(default)]
    examples: Vec<String>,
}

impl AgentLists {
    /// Of files, each as its bytes; a list whose file is not there has no entries.
    pub fn read<'a>(
        files: impl IntoIterator<Item = (AgentFile, &'a [u8])>,
    ) -> Result<Self, AgentListError> {
        let mut entries: [Vec<AgentEntry>; 6] = Default::default();
        for (file, bytes) in files {
            let of = read(file, bytes)?;
            let place = AgentFile::ALL.iter().position(|it| *it == file);
            if let Some(place) = place.and_then(|at| entries.get_mut(at)) {
                *place = of;
            }
        }
        let [bots, apps, libraries, browsers, devices, referrers] = &entries;
        let agents = [bots, apps, libraries, browsers];
        let agents = agents.into_iter().flatten();
        let agents = agents.map(|entry| entry.pattern.as_str());
        Ok(Self {
            agents: set(agents, AgentFile::Apps)?,
            devices: set(patterns(devices), AgentFile::Devices)?,
            referrers: set(patterns(referrers), AgentFile::Referrers)?,
            entries,
        })
    }
}

fn patterns(entries: &[AgentEntry]) -> impl Iterator<Item = &str> {
    entries.iter().map(|entry| entry.pattern.as_str())
}

fn set<'a>(
    patterns: impl Iterator<Item = &'a str>,
    file: AgentFile,
) -> Result<RegexSet, AgentListError> {
    let mut builder = RegexSetBuilder::new(patterns);
    builder.size_limit(PATTERN_SET_BYTES_MAX);
    // Each file was compiled by itself before.
    let together = |_| AgentListError::Together { file: file.name() };
    builder.build().map_err(together)
}

fn read(file: AgentFile, bytes: &[u8]) -> Result<Vec<AgentEntry>, AgentListError> {
    let name = file.name();
    if bytes.len() > FILE_BYTES_MAX {
        return Err(AgentListError::TooLarge { file: name });
    }
    let form = |why: String| AgentListError::Form { file: name, why };
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let wire: Wire = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        form(format!("{path}: {}", error.into_inner()))
    })?;
    json.end().map_err(|error| form(error.to_string()))?;
    if wire.entries.len() > ENTRIES_MAX {
        return Err(form(format!("has more than {ENTRIES_MAX} entries")));
    }
    let entries: Vec<AgentEntry> = wire.entries.into_iter().map(entry).collect();
    let faults = faults(&entries);
    if faults.is_empty() {
        Ok(entries)
    } else {
        Err(AgentListError::Entries { file: name, faults })
    }
}

fn entry(wire: WireEntry) -> AgentEntry {
    AgentEntry {
        name: wire.name,
        pattern: wire.pattern,
        category: wire.category,
        examples: wire.examples,
    }
}

/// Entries that cannot be applied. Together they are compiled soon; which one is wrong is asked of each.
fn faults(entries: &[AgentEntry]) -> Vec<Fault> {
    let long = |entry: &AgentEntry| {
        [&entry.name, &entry.pattern, &entry.category]
            .into_iter()
            .any(|text| text.len() > TEXT_BYTES_MAX)
    };
    let fine = |entry: &AgentEntry| !entry.pattern.is_empty() && !long(entry);
    let mut builder = RegexSetBuilder::new(patterns(entries));
    builder.size_limit(PATTERN_SET_BYTES_MAX);
    if entries.iter().all(fine) && builder.build().is_ok() {
        return Vec::new();
    }
    let why = |entry: &AgentEntry| {
        if entry.pattern.is_empty() {
            return Some("its pattern is empty, which every agent matches".to_owned());
        }
        if long(entry) {
            return Some(format!(
                "a text of it is longer than {TEXT_BYTES_MAX} bytes"
            ));
        }
        let mut pattern = RegexBuilder::new(&entry.pattern);
        let error = pattern.size_limit(PATTERN_BYTES_MAX).build().err()?;
        Some(reason(&error))
    };
    let wrong = entries.iter().enumerate().filter_map(|(at, entry)| {
        let why = why(entry)?;
        let name = entry.name.chars().take(80).collect();
        Some(Fault { at, name, why })
    });
    wrong.collect()
}

/// The last line of a message that draws the pattern, too.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    format!("its pattern: {}", last.trim_start_matches("error: "))
}
