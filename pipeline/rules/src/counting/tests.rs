//! A small world to count in; the tests themselves are in `vectors` and `properties`.

use std::collections::BTreeMap;

use hostread_schemas::event::Method;
use hostread_schemas::{NetId, PatternId, SlotId};

use super::*;

mod inclusion;
mod properties;
mod vectors;
mod windows;

const EPISODE: EpisodeId = EpisodeId(7);
const ENCLOSURE: EnclosureId = EnclosureId(70);
const BOT: AgentId = AgentId(2);
const PATTERN: PatternId = PatternId(22);
const WATCH: AgentId = AgentId(3);
type Given = (EventTimeMs, EventId, Exposure);

#[derive(Default)]
struct World {
    rules: CompiledRules,
    episodes: Vec<EpisodeFact>,
    slots: BTreeMap<EpisodeId, Vec<SlotFact>>,
    lines: Vec<LineFact>,
}

impl Dimensions for World {
    fn rules(&self) -> &CompiledRules {
        &self.rules
    }
    fn agent_class(&self, agent: AgentId) -> AgentClass {
        assert!(agent.is_some(), "never asked of no agent");
        match agent {
            BOT => AgentClass::Bot(PATTERN),
            WATCH => AgentClass::Watch,
            _ => AgentClass::Human,
        }
    }
    fn episode_of(&self, enclosure: EnclosureId) -> Option<&EpisodeFact> {
        let mut episodes = self.episodes.iter();
        episodes.find(|episode| episode.enclosures.contains(&enclosure))
    }
    fn episode(&self, id: EpisodeId) -> Option<&EpisodeFact> {
        self.episodes.iter().find(|episode| episode.episode == id)
    }
    fn slots(&self, episode: EpisodeId) -> &[SlotFact] {
        self.slots.get(&episode).map_or(&[], Vec::as_slice)
    }
    fn line(&self, line: LineId) -> Option<&LineFact> {
        self.lines.iter().find(|fact| fact.line == line)
    }
}

fn episode(header_bytes: u64, bit_rate: u32, duration_secs: u32, size_bytes: u64) -> EpisodeFact {
    EpisodeFact {
        show: ShowId(1),
        episode: EPISODE,
        enclosures: vec![ENCLOSURE],
        size_bytes,
        header_bytes,
        bit_rate,
        duration_secs,
        ..EpisodeFact::default()
    }
}

fn line(id: u64, controlling: ControllingSource) -> LineFact {
    LineFact {
        line: LineId(id),
        campaign: CampaignId(id + 100),
        controlling,
        ..LineFact::default()
    }
}

fn slot(line: u64, first_byte: u64, last_byte: u64) -> SlotFact {
    SlotFact {
        slot: SlotId(line),
        episode: EPISODE,
        line: LineId(line),
        first_byte,
        last_byte,
        ..SlotFact::default()
    }
}

/// `first..=last`, all sent.
fn request(first: u64, last: u64) -> RequestFact {
    RequestFact {
        enclosure: ENCLOSURE,
        agent: AgentId(1),
        household: HouseholdId(5),
        sent_first: first,
        sent_bytes: last - first + 1,
        status: 206,
        range_0_1: (first, last) == (0, 1),
        ..RequestFact::default()
    }
}

fn ad(line: u64) -> ImpressionFact {
    ImpressionFact {
        line: LineId(line),
        show: ShowId(9),
        episode: EPISODE,
        agent: AgentId(1),
        household: HouseholdId(5),
        ..ImpressionFact::default()
    }
}

/// One second after another.
fn in_order(exposures: impl IntoIterator<Item = Exposure>) -> Vec<Given> {
    let at = |(index, exposure): (usize, _)| {
        let id = EventId::from(index as u128);
        (EventTimeMs(1000 * index as i64), id, exposure)
    };
    exposures.into_iter().enumerate().map(at).collect()
}

fn requests(requests: impl IntoIterator<Item = RequestFact>) -> Vec<Given> {
    in_order(requests.into_iter().map(Exposure::Request))
}

fn verdicts(day: &ListenerDay) -> Vec<Verdict> {
    day.verdicts.iter().map(|verdict| verdict.verdict).collect()
}
