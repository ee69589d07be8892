//! Lists of agents: which bot, app, library or browser an agent is, on which device, and from whose page a browser plays.
//!
//! ```text
//!   agent ───► bots, apps, libraries, browsers: the first entry that matches
//!     └─ no bot ──► devices: the first entry        browser, Referer ──► referrers: the first entry
//! ```
//! Needs: files in the OPAWG v2 format (`{"entries": [{"name", "pattern", "category", "examples"}]}`), each given as bytes.
//! Promises: lists that were read can be applied; what cannot is refused by file, entry and reason. Leaves out: reading files,
//! dates and hashes. Invariant 1: an agent is judged by its text alone. Invariant 2: an agent that no entry matches is no bot.

mod read;
mod seen;
mod shipped;

use hostread_schemas::event::OtherAgent;
use regex::RegexSet;

pub use read::{AgentListError, ENTRIES_MAX, FILE_BYTES_MAX, Fault};
pub use seen::{ById, Seen};
pub use shipped::{SHIPPED_DATE, shipped_files};

/// A library of this category is a bot.
const BOT: &str = "bot";

/// A list, by the name of its file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AgentFile {
    /// Programs that no person listens through.
    Bots,
    /// Apps.
    Apps,
    /// Libraries that apps and bots are made with.
    Libraries,
    /// Browsers.
    Browsers,
    /// Devices.
    Devices,
    /// Pages with players.
    Referrers,
}

impl AgentFile {
    /// All of them, the four lists of agents first, in the order in which they are tried.
    pub const ALL: [Self; 6] = [
        Self::Bots,
        Self::Apps,
        Self::Libraries,
        Self::Browsers,
        Self::Devices,
        Self::Referrers,
    ];
    /// The lists that say what an agent is.
    const OF_AGENTS: usize = 4;

    /// The file's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bots => "bots.json",
            Self::Apps => "apps.json",
            Self::Libraries => "libraries.json",
            Self::Browsers => "browsers.json",
            Self::Devices => "devices.json",
            Self::Referrers => "referrers.json",
        }
    }

    /// The list with a file's name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|file| file.name() == name)
    }

    /// Is an entry of it one that no person listens through?
    #[must_use]
    pub fn is_bot(self, entry: &AgentEntry) -> bool {
        match self {
            Self::Bots => true,
            Self::Libraries => entry.category == BOT,
            Self::Apps | Self::Browsers | Self::Devices | Self::Referrers => false,
        }
    }

    /// Does it say which agents are bots? The others name browsers, devices and pages.
    #[must_use]
    pub const fn decides(self) -> bool {
        matches!(self, Self::Bots | Self::Apps | Self::Libraries)
    }
}

/// An entry of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AgentEntry {
    /// What it is of.
    pub name: String,
    /// A regular expression, case-sensitive, that matches anywhere unless it says otherwise.
    pub pattern: String,
    /// What kind of it, such as `smart_speaker`; empty where the file says nothing.
    pub category: String,
    /// Texts that it is said to match before any other entry does.
    pub examples: Vec<String>,
}

/// The entry that an agent is known by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known<'a> {
    /// The list it stands in.
    pub file: AgentFile,
    /// The entry.
    pub entry: &'a AgentEntry,
}

impl Known<'_> {
    /// Does no person listen through it?
    #[must_use]
    pub fn is_bot(&self) -> bool {
        self.file.is_bot(self.entry)
    }
}

/// Patterns of agents, in the order in which they are tried.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct AgentPatterns {
    /// Of bots.
    pub bots: Vec<String>,
    /// Of others, each with its place among the bots.
    pub others: Vec<OtherAgent>,
}

/// What lists say of an agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Classified<'a> {
    /// What it is; nothing when no entry matches.
    pub agent: Option<Known<'a>>,
    /// Its device, unless it is a bot.
    pub device: Option<&'a AgentEntry>,
}

/// An example that another entry matches first, or none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shadowed {
    /// The list.
    pub file: AgentFile,
    /// The entry that it is an example of.
    pub name: String,
    /// The example.
    pub example: String,
    /// The entry that comes first; none when nothing matches.
    pub by: Option<String>,
}

/// Lists, ready to be asked.
#[derive(Clone, Debug)]
pub struct AgentLists {
    /// By list, in the order of [`AgentFile::ALL`].
    entries: [Vec<AgentEntry>; 6],
    /// The entries of the first four, one after the other.
    agents: RegexSet,
    devices: RegexSet,
    referrers: RegexSet,
}

impl AgentLists {
    /// The entries of a list, in the order in which they are tried.
    #[must_use]
    pub fn entries(&self, file: AgentFile) -> &[AgentEntry] {
        let at = AgentFile::ALL.iter().position(|it| *it == file);
        at.and_then(|at| self.entries.get(at))
            .map_or(&[], Vec::as_slice)
    }

    /// What an agent is, and on which device.
    #[must_use]
    pub fn classify(&self, agent: &str) -> Classified<'_> {
        let known = self.agent(agent);
        let asked = !known.is_some_and(|known| known.is_bot());
        let device = asked.then(|| first(&self.devices, self.entries(AgentFile::Devices), agent));
        Classified {
            agent: known,
            device: device.flatten(),
        }
    }

    fn agent(&self, agent: &str) -> Option<Known<'_>> {
        let mut at = self.agents.matches(agent).iter().next()?;
        for file in AgentFile::ALL.into_iter().take(AgentFile::OF_AGENTS) {
            let entries = self.entries(file);
            match entries.get(at) {
                Some(entry) => return Some(Known { file, entry }),
                None => at -= entries.len(),
            }
        }
        None
    }

    /// Whose page a browser plays from; `known` is what its agent is.
    #[must_use]
    pub fn referrer(&self, known: Option<Known<'_>>, referrer: &str) -> Option<&AgentEntry> {
        let browser = known.is_some_and(|known| known.file == AgentFile::Browsers);
        let entries = self.entries(AgentFile::Referrers);
        browser
            .then(|| first(&self.referrers, entries, referrer))
            .flatten()
    }

    /// What a rule set needs of the lists to tell bots as they do: of agents that are none, those that a bot comes after.
    #[must_use]
    pub fn patterns(&self) -> AgentPatterns {
        let mut patterns = AgentPatterns::default();
        for file in AgentFile::ALL.into_iter().take(AgentFile::OF_AGENTS) {
            for entry in self.entries(file) {
                let pattern = entry.pattern.clone();
                if file.is_bot(entry) {
                    patterns.bots.push(pattern);
                } else {
                    // A list has ENTRIES_MAX entries at most.
                    let bots_before = u32::try_from(patterns.bots.len()).unwrap_or(u32::MAX);
                    patterns.others.push(OtherAgent {
                        pattern,
                        bots_before,
                    });
                }
            }
        }
        let AgentPatterns { bots, others } = &mut patterns;
        others.retain(|other| (other.bots_before as usize) < bots.len());
        patterns
    }

    /// Tries every example of a list against it, as the file means it: how many there are, and those that another entry takes.
    #[must_use]
    pub fn try_examples(&self, file: AgentFile) -> (usize, Vec<Shadowed>) {
        let (mut tried, mut shadowed) = (0, Vec::new());
        for entry in self.entries(file) {
            for example in &entry.examples {
                tried += 1;
                let found = match file {
                    AgentFile::Devices => first(&self.devices, self.entries(file), example),
                    AgentFile::Referrers => first(&self.referrers, self.entries(file), example),
                    _ => self.agent(example).map(|known| known.entry),
                };
                if !found.is_some_and(|found| std::ptr::eq(found, entry)) {
                    shadowed.push(Shadowed {
                        file,
                        name: entry.name.clone(),
                        example: example.clone(),
                        by: found.map(|found| found.name.clone()),
                    });
                }
            }
        }
        (tried, shadowed)
    }
}

fn first<'a>(set: &RegexSet, entries: &'a [AgentEntry], text: &str) -> Option<&'a AgentEntry> {
    entries.get(set.matches(text).iter().next()?)
}

#[cfg(test)]
mod tests;
