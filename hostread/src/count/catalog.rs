//! What lines are judged by: episodes and their ads, agents, rules.

use std::borrow::Cow;

use anyhow::{Result, bail};
use hostread_connectors_kit::text::enclosure_path;
use hostread_rules::agents::{ById, Seen};
use hostread_rules::counting::Dimensions;
use hostread_rules::{AgentClass, CompiledRules};
use hostread_schemas::event::ControllingSource;
use hostread_schemas::fact::{EpisodeFact, LineFact, SlotFact};
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{
    AgentId, EnclosureId, EpisodeId, EventTimeMs, LineId, NameKind, ShowId, SlotId,
};

use super::{KEY, NAME};
use crate::catalog::{Ad, CatalogFile, Episode};

/// Agents whose class is held: a log may have more, and those are judged again.
const AGENTS_MAX: usize = 1 << 16;

/// An episode as the report names it.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) id: String,
    pub(crate) published_at: Option<EventTimeMs>,
    /// Kind and first byte of its ads.
    pub(crate) ads: Vec<(String, u64)>,
    fact: EpisodeFact,
    slots: Vec<SlotFact>,
}

impl Known {
    /// What is known of its bytes.
    pub(crate) const fn fact(&self) -> &EpisodeFact {
        &self.fact
    }
}

/// See the module. The id of an episode is that of its audio address.
#[derive(Clone)]
pub(crate) struct Catalog {
    rules: CompiledRules,
    episodes: Vec<Known>,
    /// Their places.
    by_enclosure: ById<u64, usize>,
    agents: Seen<AgentClass>,
    /// The line item that every ad is of: counted by bytes.
    line: LineFact,
    /// There is no catalog: each path is an episode.
    learns: bool,
}

impl Catalog {
    /// Of a file.
    pub(crate) fn read(json: &[u8], rules: CompiledRules) -> Result<Self> {
        let file = CatalogFile::parse(json)?;
        let mut catalog = Self::of_paths(rules);
        catalog.learns = false;
        for episode in file.episodes {
            catalog.add(episode)?;
        }
        Ok(catalog)
    }

    /// Without a file: each path is an episode, and every request that passes the filters makes a download.
    pub(crate) fn of_paths(rules: CompiledRules) -> Self {
        Self {
            rules,
            episodes: Vec::new(),
            by_enclosure: ById::default(),
            agents: Seen::new(AGENTS_MAX),
            line: LineFact {
                controlling: ControllingSource::Bytes,
                ..LineFact::default()
            },
            learns: true,
        }
    }

    fn add(&mut self, episode: Episode) -> Result<()> {
        let published_at = episode.published()?;
        let hasher = IdHasher::new(KEY);
        let named =
            |path: &String| hasher.name(NameKind::Enclosure, hasher.tenant(NAME), &path_of(path));
        let enclosure = named(&episode.path);
        let enclosures: Vec<u64> = episode.paths().map(named).collect();
        let slot = |(at, ad): (usize, &Ad)| SlotFact {
            slot: SlotId(at as u64 + 1),
            episode: EpisodeId(enclosure),
            line: LineId(at as u64 + 1),
            first_byte: ad.first_byte,
            last_byte: ad.last_byte,
            ..SlotFact::default()
        };
        let slots = episode.ads.iter().enumerate().map(slot).collect();
        let fact = EpisodeFact {
            show: ShowId(1),
            episode: EpisodeId(enclosure),
            enclosures: enclosures.iter().map(|id| EnclosureId(*id)).collect(),
            published_at,
            size_bytes: episode.size_bytes,
            header_bytes: episode.id3_bytes,
            bit_rate: episode.bit_rate.unwrap_or(0),
            duration_secs: episode.seconds.unwrap_or(0),
            vbr: episode.vbr,
        };
        for enclosure in enclosures {
            let there = self.by_enclosure.insert(enclosure, self.episodes.len());
            if there.is_some_and(|there| there != self.episodes.len()) {
                bail!("two episodes of the catalog have the path {}", episode.path);
            }
        }
        let ads = episode.ads.into_iter().map(|ad| (ad.kind, ad.first_byte));
        self.episodes.push(Known {
            id: episode.id,
            published_at,
            ads: ads.collect(),
            fact,
            slots,
        });
        Ok(())
    }

    /// Takes note of a name that a line stands on.
    pub(crate) fn learn(&mut self, kind: NameKind, id: u64, text: &str) {
        match kind {
            NameKind::Agent => {
                let rules = &self.rules;
                let class = || rules.classify_agent(text);
                self.agents.get_or(AgentId(id), class);
            }
            NameKind::Enclosure if self.learns => self.learn_path(id, || text.to_owned()),
            _ => {}
        }
    }

    fn learn_path(&mut self, id: u64, path: impl FnOnce() -> String) {
        let episodes = &mut self.episodes;
        self.by_enclosure.entry(id).or_insert_with(|| {
            episodes.push(Known {
                id: path(),
                published_at: None,
                ads: Vec::new(),
                fact: EpisodeFact {
                    show: ShowId(1),
                    episode: EpisodeId(id),
                    enclosures: vec![EnclosureId(id)],
                    ..EpisodeFact::default()
                },
                slots: Vec::new(),
            });
            episodes.len() - 1
        });
    }

    /// The same under other rules, whose patterns of bots are the same or which knows no agent yet.
    pub(crate) fn with(&self, rules: CompiledRules) -> Self {
        let catalog = self.clone();
        Self {
            rules,
            // Taught every name before anything is counted.
            agents: catalog.agents.unbounded(),
            ..catalog
        }
    }

    /// Knows of no episode how many bytes make a download: one is enough.
    pub(crate) fn forget_bytes(&mut self) {
        for known in &mut self.episodes {
            let fact = &mut known.fact;
            (fact.size_bytes, fact.header_bytes) = (0, 0);
            (fact.bit_rate, fact.duration_secs) = (0, 0);
        }
    }

    /// Takes note of what another one has learnt; agents were judged when their lines were read.
    pub(super) fn join(&mut self, other: Self) {
        for known in other.episodes {
            self.learn_path(known.fact.episode.0, || known.id);
        }
    }

    /// Are bytes known to make a download?
    pub(crate) const fn knows_bytes(&self) -> bool {
        !self.learns
    }

    /// Has an episode more than one audio address?
    pub(super) fn has_several_addresses(&self, id: EpisodeId) -> bool {
        self.place(id)
            .is_some_and(|(_, known)| known.fact.enclosures.len() > 1)
    }

    /// Every episode, in the catalog's order.
    pub(crate) fn episodes(&self) -> &[Known] {
        &self.episodes
    }

    /// The place of an episode among them.
    pub(crate) fn place(&self, id: EpisodeId) -> Option<(usize, &Known)> {
        let at = *self.by_enclosure.get(&id.0)?;
        Some((at, self.episodes.get(at)?))
    }
}

impl Dimensions for Catalog {
    fn rules(&self) -> &CompiledRules {
        &self.rules
    }

    /// Of the agent that was learnt last. One that was forgotten since has passed the filters, so it is a person's.
    fn agent_class(&self, agent: AgentId) -> AgentClass {
        self.agents.get(agent).unwrap_or_default()
    }

    fn episode_of(&self, enclosure: EnclosureId) -> Option<&EpisodeFact> {
        // The table knows the other addresses of an episode too.
        self.episode(EpisodeId(enclosure.0))
    }

    fn episode(&self, id: EpisodeId) -> Option<&EpisodeFact> {
        self.place(id).map(|(_, known)| &known.fact)
    }

    fn slots(&self, episode: EpisodeId) -> &[SlotFact] {
        self.place(episode).map_or(&[], |(_, known)| &known.slots)
    }

    fn line(&self, _: LineId) -> Option<&LineFact> {
        Some(&self.line)
    }
}

/// A whole address is given by its path, behind all prefixes; a path stands as requests are known by.
fn path_of(path: &str) -> String {
    match path.split_once("://") {
        Some(_) => enclosure_path(path).map_or_else(|| path.to_owned(), Cow::into_owned),
        None => path.to_owned(),
    }
}
