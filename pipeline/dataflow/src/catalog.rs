//! What counting knows of a tenant besides the facts themselves: rules, agents, catalog, deals.
//!
//! Promises: a change says which *subjects* (enclosures, episodes, lines) it can touch, and a change of rules which agents,
//! networks and referrers, so that the counting operator recounts only the listener-days that hold one. State: one entry per live version
//! of a reference fact and per agent.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use hostread_rules::Lists;
use hostread_rules::counting::{AgentClass, CompiledRules, Dimensions, Exposure};
use hostread_schemas::fact::{EpisodeFact, Fact, FactBody, LineFact, RuleSetFact, SlotFact};
use hostread_schemas::{AgentId, EnclosureId, EpisodeId, EventTimeMs, LineId, SlotId, TenantId};

use crate::by_tick::Latest;

/// Which listener-days a change can touch.
#[derive(Default, PartialEq, Eq, Debug)]
pub(crate) struct Touched {
    /// Those with an exposure of one of these.
    pub(crate) subjects: BTreeSet<u64>,
    /// Those that hold what [`Rejudged`] names: a rule set came or went.
    pub(crate) rules: bool,
}

/// What two states of a tenant's rules judge differently.
pub(crate) enum Rejudged {
    /// Perhaps any exposure.
    All,
    /// Exposures with one of these agents, networks or referrers, or let in by one of two inclusion lists that differ.
    Listed(BTreeSet<AgentId>, Lists, Option<[Rc<CompiledRules>; 2]>),
}

impl Rejudged {
    /// One pass of classification has told both states what their agents are.
    pub(crate) fn between(then: &Catalog, now: &Catalog) -> Self {
        let Some(lists) = then.compiled.listed_by_one(&now.compiled) else {
            return Self::All;
        };
        let agents = now.agents.keys().copied();
        let agents = agents.filter(|agent| then.agent_class(*agent) != now.agent_class(*agent));
        let rules = [&then.compiled, &now.compiled];
        let differ = !then.compiled.includes_as(&now.compiled);
        let inclusion = differ.then(|| rules.map(Rc::clone));
        Self::Listed(agents.collect(), lists, inclusion)
    }

    /// May the exposure be judged differently?
    pub(crate) fn hits(&self, time: EventTimeMs, exposure: &Exposure) -> bool {
        let Self::Listed(agents, lists, inclusion) = self else {
            return true;
        };
        let (agent, net, address, referrer) = match exposure {
            Exposure::Request(it) => (it.agent, it.net, it.household, it.referrer),
            Exposure::Impression(it) => (it.agent, it.net, it.household, 0),
        };
        let moved = |[then, now]: &[Rc<CompiledRules>; 2]| {
            let day = time.day();
            then.included(day, net, address) != now.included(day, net, address)
        };
        agents.contains(&agent)
            || lists.nets.contains(&net)
            || lists.referrers.contains(&referrer)
            || inclusion.as_ref().is_some_and(moved)
    }
}

/// One tenant's dimensions of counting. A clone shares all that does not change after it.
#[derive(Clone)]
pub(crate) struct Catalog {
    rule_set: Latest<(), RuleSetFact>,
    compiled: Rc<CompiledRules>,
    agents: Rc<BTreeMap<AgentId, (Rc<str>, AgentClass)>>,
    by_enclosure: Latest<EnclosureId, EpisodeFact>,
    by_episode: Latest<EpisodeId, EpisodeFact>,
    /// Enclosures that some live fact gives to the episode, and how many do.
    enclosures_of: Rc<BTreeMap<EpisodeId, Rc<BTreeMap<EnclosureId, i64>>>>,
    slots: Latest<SlotId, SlotFact>,
    slots_of: Rc<BTreeMap<EpisodeId, Rc<Vec<SlotFact>>>>,
    lines: Latest<LineId, LineFact>,
    aired: Latest<(LineId, EpisodeId), (EventTimeMs, u64)>,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            rule_set: Latest::default(),
            compiled: Rc::new(CompiledRules::default_rules()),
            agents: Rc::default(),
            by_enclosure: Latest::default(),
            by_episode: Latest::default(),
            enclosures_of: Rc::default(),
            slots: Latest::default(),
            slots_of: Rc::default(),
            lines: Latest::default(),
            aired: Latest::default(),
        }
    }
}

impl Catalog {
    /// Learns an agent. No listener-day can have used it before.
    pub(crate) fn learn_agent(&mut self, agent: AgentId, text: &str, diff: i64) {
        if diff > 0 {
            let class = self.compiled.classify_agent(text);
            Rc::make_mut(&mut self.agents).insert(agent, (Rc::from(text), class));
        }
    }

    /// Learns the agents that `now` knows and this older catalog does not.
    pub(crate) fn learn_missing_agents(&mut self, now: &Self) {
        for (agent, (text, _)) in now.agents.iter() {
            if !self.agents.contains_key(agent) {
                self.learn_agent(*agent, text, 1);
            }
        }
    }

    /// Does a fact matter to counting?
    pub(crate) const fn knows(body: &FactBody) -> bool {
        matches!(
            body,
            FactBody::RuleSet(_)
                | FactBody::Episode(_)
                | FactBody::Slot(_)
                | FactBody::Line(_)
                | FactBody::Aired { .. }
        )
    }

    /// Applies one reference fact and adds what it can touch.
    pub(crate) fn apply(&mut self, fact: &Fact, diff: i64, touched: &mut Touched) {
        match &fact.body {
            FactBody::RuleSet(rules) => {
                self.rule_set.update((), fact, rules.clone(), diff);
                self.compile();
                touched.rules = true;
            }
            FactBody::Episode(episode) => {
                for enclosure in &episode.enclosures {
                    self.by_enclosure
                        .update(*enclosure, fact, episode.clone(), diff);
                    touched.subjects.insert(enclosure.0);
                }
                self.touch_episode(episode.episode, touched);
                self.index_enclosures(episode, diff);
                self.by_episode
                    .update(episode.episode, fact, episode.clone(), diff);
            }
            FactBody::Slot(slot) => {
                let before = self.touch_slot(slot.slot, touched);
                self.slots.update(slot.slot, fact, *slot, diff);
                let after = self.touch_slot(slot.slot, touched);
                for episode in before.into_iter().chain(after) {
                    self.index_slots(episode, slot.slot);
                }
            }
            FactBody::Line(line) => {
                self.lines.update(line.line, fact, line.clone(), diff);
                self.touch_line(line.line, touched);
            }
            FactBody::Aired {
                line,
                episode,
                aired_at,
                episode_goal,
            } => {
                self.aired
                    .update((*line, *episode), fact, (*aired_at, *episode_goal), diff);
                self.touch_episode(*episode, touched);
            }
            _ => {}
        }
    }

    /// When the line's read in the episode went out.
    pub(crate) fn aired_at(&self, line: LineId, episode: EpisodeId) -> Option<EventTimeMs> {
        self.aired
            .get(&(line, episode))
            .map(|(aired_at, _)| *aired_at)
    }

    fn compile(&mut self) {
        self.compiled = Rc::new(
            self.rule_set
                .get(&())
                .map_or_else(CompiledRules::default_rules, CompiledRules::compile),
        );
        // One pass of classification: per distinct agent, never per request.
        for (text, class) in Rc::make_mut(&mut self.agents).values_mut() {
            *class = self.compiled.classify_agent(text);
        }
    }

    fn touch_episode(&self, episode: EpisodeId, touched: &mut Touched) {
        touched.subjects.insert(episode.0);
        // An older fact may be the last one that names an enclosure.
        let enclosures = self.enclosures_of.get(&episode);
        for enclosure in enclosures.iter().flat_map(|known| known.keys()) {
            touched.subjects.insert(enclosure.0);
        }
    }

    fn index_enclosures(&mut self, episode: &EpisodeFact, diff: i64) {
        let all = Rc::make_mut(&mut self.enclosures_of);
        let known = Rc::make_mut(all.entry(episode.episode).or_default());
        for enclosure in &episode.enclosures {
            *known.entry(*enclosure).or_insert(0) += diff;
        }
        known.retain(|_, count| *count != 0);
        if known.is_empty() {
            all.remove(&episode.episode);
        }
    }

    /// The episode of a slot, if it has one.
    fn touch_slot(&self, slot: SlotId, touched: &mut Touched) -> Option<EpisodeId> {
        let episode = self.slots.get(&slot)?.episode;
        self.touch_episode(episode, touched);
        Some(episode)
    }

    fn touch_line(&self, line: LineId, touched: &mut Touched) {
        touched.subjects.insert(line.0);
        for (_, slot) in self.slots.iter() {
            if slot.line == line {
                self.touch_episode(slot.episode, touched);
            }
        }
    }

    /// Keeps an episode's slots in order of their ids, without those that were withdrawn.
    fn index_slots(&mut self, episode: EpisodeId, slot: SlotId) {
        let all = Rc::make_mut(&mut self.slots_of);
        let known = Rc::make_mut(all.entry(episode).or_default());
        known.retain(|known| known.slot != slot);
        let stands = self.slots.get(&slot).filter(|fact| fact.episode == episode);
        if let Some(fact) = stands.filter(|fact| !fact.removed) {
            let at = known.partition_point(|known| known.slot < slot);
            known.insert(at, *fact);
        }
        if known.is_empty() {
            all.remove(&episode);
        }
    }
}

impl Dimensions for Catalog {
    fn rules(&self) -> &CompiledRules {
        &self.compiled
    }

    fn agent_class(&self, agent: AgentId) -> AgentClass {
        self.agents
            .get(&agent)
            .map_or(AgentClass::Human, |(_, class)| *class)
    }

    fn episode_of(&self, enclosure: EnclosureId) -> Option<&EpisodeFact> {
        self.by_enclosure.get(&enclosure)
    }

    fn episode(&self, id: EpisodeId) -> Option<&EpisodeFact> {
        self.by_episode.get(&id)
    }

    fn slots(&self, episode: EpisodeId) -> &[SlotFact] {
        self.slots_of
            .get(&episode)
            .map_or(&[], |known| known.as_slice())
    }

    fn line(&self, line: LineId) -> Option<&LineFact> {
        self.lines.get(&line)
    }
}

/// Dimensions of every tenant.
pub(crate) type Catalogs = BTreeMap<TenantId, Catalog>;

#[cfg(test)]
mod tests {
    use hostread_schemas::fact::{ImpressionFact, IncludedFact, RequestFact};
    use hostread_schemas::{Day, EventId, HouseholdId, NetId};

    use super::*;

    fn catalog(rules: &RuleSetFact) -> Catalog {
        let mut catalog = Catalog::default();
        let fact = Fact {
            tenant: TenantId(1),
            time: EventTimeMs(0),
            id: EventId::default(),
            body: FactBody::RuleSet(rules.clone()),
        };
        let mut touched = Touched::default();
        catalog.apply(&fact, 1, &mut touched);
        assert!(touched.rules);
        for (agent, text) in [
            (1, "A radio/2"),
            (2, "A robot/1"),
            (3, "Both/1"),
            (4, "Kept/1"),
        ] {
            catalog.learn_agent(AgentId(agent), text, 1);
        }
        catalog
    }

    #[test]
    fn a_change_of_lists_names_the_exposures_that_it_judges_differently() {
        let then = RuleSetFact {
            threshold_secs: 60,
            bot_agents: ["^Both", "^Kept"].map(str::to_owned).to_vec(),
            nonhuman_nets: vec![NetId(1)],
            ..RuleSetFact::default()
        };
        let now = RuleSetFact {
            bot_agents: ["robot", "^Kept", "Both/1"].map(str::to_owned).to_vec(),
            nonhuman_nets: vec![NetId(2)],
            referrers_denied: vec![7],
            ..then.clone()
        };
        let rejudged = Rejudged::between(&catalog(&then), &catalog(&now));
        let request = |agent, net, referrer| {
            let request = RequestFact {
                agent: AgentId(agent),
                net: NetId(net),
                referrer,
                ..RequestFact::default()
            };
            rejudged.hits(EventTimeMs(0), &Exposure::Request(request))
        };
        let impression = |agent, net| {
            let impression = ImpressionFact {
                agent: AgentId(agent),
                net: NetId(net),
                ..ImpressionFact::default()
            };
            rejudged.hits(EventTimeMs(0), &Exposure::Impression(impression))
        };
        assert!(request(2, 0, 0) && request(1, 1, 0) && request(1, 2, 0) && request(1, 0, 7));
        assert!(request(3, 3, 8), "it is refused for another pattern");
        assert!(!request(1, 0, 0) && !request(4, 3, 8));
        assert!(impression(2, 0) && impression(3, 1) && !impression(4, 3));
        let longer = RuleSetFact {
            threshold_secs: 61,
            ..then.clone()
        };
        let all = Rejudged::between(&catalog(&then), &catalog(&longer));
        let any = Exposure::Request(RequestFact::default());
        assert!(all.hits(EventTimeMs(0), &any));
    }

    #[test]
    fn a_change_of_the_inclusion_list_names_the_days_that_it_judges_differently() {
        let let_in = |from, expires, nets: &[u64], addresses: &[u64]| IncludedFact {
            from: Day(from),
            expires: Day(expires),
            nets: nets.iter().map(|net| NetId(*net)).collect(),
            addresses: addresses.iter().map(|star| HouseholdId(*star)).collect(),
        };
        let then = RuleSetFact {
            threshold_secs: 60,
            included: vec![let_in(10, 20, &[1, 2], &[])],
            ..RuleSetFact::default()
        };
        let now = RuleSetFact {
            included: vec![
                let_in(10, 20, &[1], &[]),
                let_in(15, 25, &[1], &[]),
                let_in(3, 5, &[], &[70]),
            ],
            ..then.clone()
        };
        let rejudged = Rejudged::between(&catalog(&then), &catalog(&now));
        let days = |net, address| -> Vec<i32> {
            let (net, household) = (NetId(net), HouseholdId(address));
            let request = Exposure::Request(RequestFact {
                net,
                household,
                ..RequestFact::default()
            });
            let impression = Exposure::Impression(ImpressionFact {
                net,
                household,
                ..ImpressionFact::default()
            });
            let hit = |day: &i32| {
                let last_ms = EventTimeMs(Day(*day + 1).start().0 - 1);
                let hit = rejudged.hits(last_ms, &request);
                assert_eq!(hit, rejudged.hits(last_ms, &impression));
                hit
            };
            (0..30).filter(hit).collect()
        };
        assert_eq!(days(1, 9), [20, 21, 22, 23, 24], "it was let in before");
        assert_eq!(days(2, 9), (10..20).collect::<Vec<_>>());
        assert_eq!(days(9, 70), [3, 4]);
        assert_eq!(days(9, 9), [0; 0]);
    }
}
