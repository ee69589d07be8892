//! The facts in force of each tenant: of those that say the same thing, the one with the highest (time, event id) (definition 2).

use std::collections::BTreeMap;

use hostread_rules::counting::{AgentClass, CompiledRules, Dimensions};
use hostread_schemas::fact::{
    Carry, EpisodeFact, Fact, FactBody, LineFact, RetentionClass, RuleSetFact, SettingsFact,
    SlotFact,
};
use hostread_schemas::{
    AgentId, BrandId, CampaignId, CodeId, Day, EnclosureId, EpisodeId, EventId, EventTimeMs,
    LineId, NameKind, SlotId, StoreId, TenantId,
};

use crate::known::{Known, ReadError};

/// What a fact says, and which event said it.
#[derive(Clone, Debug)]
pub(crate) struct Said<V> {
    pub(crate) time: EventTimeMs,
    pub(crate) event: EventId,
    pub(crate) what: V,
}

/// The facts in force, by what they are about.
#[derive(Clone, Debug)]
pub(crate) struct InForce<K, V>(BTreeMap<K, Said<V>>);

impl<K, V> Default for InForce<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, V> InForce<K, V> {
    fn say(&mut self, key: K, fact: &Fact, what: V) {
        let newer = |there: &Said<V>| (there.time, there.event) < (fact.time, fact.id);
        if self.0.get(&key).is_none_or(newer) {
            let (time, event) = (fact.time, fact.id);
            self.0.insert(key, Said { time, event, what });
        }
    }

    pub(crate) fn said(&self, key: &K) -> Option<&Said<V>> {
        self.0.get(key)
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key).map(|said| &said.what)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &Said<V>)> {
        self.0.iter()
    }
}

/// Sums of released days, as their release carried them on.
#[derive(Clone, Debug)]
pub(crate) struct CarriedDay {
    pub(crate) day: Day,
    pub(crate) delivered: i64,
    pub(crate) billable: i64,
    pub(crate) last_hour: Option<hostread_schemas::Hour>,
}

/// One tenant's facts in force.
#[derive(Clone, Default, Debug)]
pub(crate) struct Dims {
    pub(crate) rule_set: InForce<(), RuleSetFact>,
    pub(crate) settings: InForce<(), SettingsFact>,
    pub(crate) by_enclosure: InForce<EnclosureId, EpisodeFact>,
    pub(crate) by_episode: InForce<EpisodeId, EpisodeFact>,
    pub(crate) slots: InForce<SlotId, SlotFact>,
    pub(crate) lines: InForce<LineId, LineFact>,
    pub(crate) aired: InForce<(LineId, EpisodeId), (EventTimeMs, u64)>,
    pub(crate) campaigns: InForce<CampaignId, BrandId>,
    pub(crate) stores: InForce<StoreId, BrandId>,
    pub(crate) codes: InForce<(StoreId, CodeId), LineId>,
    pub(crate) carried: BTreeMap<LineId, Vec<CarriedDay>>,
    pub(crate) carried_credits: BTreeMap<LineId, Vec<(Day, i64)>>,
    /// What each fact is about, for the ledger's causes.
    pub(crate) causes: BTreeMap<EventId, (NameKind, u64)>,
    agents: BTreeMap<AgentId, String>,
    classes: BTreeMap<AgentId, AgentClass>,
    slots_of: BTreeMap<EpisodeId, Vec<SlotFact>>,
    compiled: CompiledRules,
}

/// By tenant.
pub(crate) type AllDims = BTreeMap<TenantId, Dims>;

/// What a catalog or deal fact is about.
pub(crate) fn about(fact: &Fact) -> Option<(NameKind, u64)> {
    Some(match &fact.body {
        FactBody::RuleSet(rules) => (NameKind::RuleSet, rules.rule_set.0),
        FactBody::Settings(_) => (NameKind::Tenant, fact.tenant.0),
        FactBody::Show(show) => (NameKind::Show, show.0),
        FactBody::Episode(episode) => (NameKind::Episode, episode.episode.0),
        FactBody::Slot(slot) => (NameKind::Slot, slot.slot.0),
        FactBody::Store(store, _) => (NameKind::Store, store.0),
        FactBody::Campaign(campaign, _) => (NameKind::Campaign, campaign.0),
        FactBody::Line(line) => (NameKind::Line, line.line.0),
        FactBody::Code(_, code, _) => (NameKind::Code, code.0),
        FactBody::Aired { episode, .. } => (NameKind::Title, episode.0),
        _ => return None,
    })
}

/// Reads the facts in force, of one tenant or of all.
pub(crate) fn all_dims(known: &Known<'_>, tenant: Option<TenantId>) -> Result<AllDims, ReadError> {
    let mut all = AllDims::new();
    let class = RetentionClass::Reference;
    known.live.facts(class, Day(i32::MIN), &mut |fact| {
        if tenant.is_none_or(|tenant| tenant == fact.tenant) {
            all.entry(fact.tenant).or_default().add(&fact);
        }
    })?;
    if let Some(tenant) = tenant {
        // A tenant may have nothing but requests.
        all.entry(tenant).or_default();
    }
    all.values_mut().for_each(Dims::finish);
    Ok(all)
}

impl Dims {
    fn add(&mut self, fact: &Fact) {
        match &fact.body {
            FactBody::Agent(agent, text) => {
                self.agents.insert(*agent, text.clone());
            }
            FactBody::Carry(carry) => self.carry(carry),
            FactBody::RuleSet(rules) => self.rule_set.say((), fact, rules.clone()),
            FactBody::Settings(settings) => self.settings.say((), fact, *settings),
            FactBody::Episode(episode) => {
                for enclosure in &episode.enclosures {
                    self.by_enclosure.say(*enclosure, fact, episode.clone());
                }
                self.by_episode.say(episode.episode, fact, episode.clone());
            }
            FactBody::Slot(slot) => self.slots.say(slot.slot, fact, *slot),
            FactBody::Store(store, brand) => self.stores.say(*store, fact, *brand),
            FactBody::Campaign(campaign, brand) => self.campaigns.say(*campaign, fact, *brand),
            FactBody::Line(line) => self.lines.say(line.line, fact, line.clone()),
            FactBody::Code(store, code, line) => self.codes.say((*store, *code), fact, *line),
            FactBody::Aired {
                line,
                episode,
                aired_at,
                episode_goal,
            } => {
                let key = (*line, *episode);
                self.aired.say(key, fact, (*aired_at, *episode_goal));
            }
            FactBody::Show(_)
            | FactBody::Request(_)
            | FactBody::Impression(_)
            | FactBody::Signal(_) => {}
        }
        if let Some(about) = about(fact) {
            self.causes.insert(fact.id, about);
        }
    }

    fn carry(&mut self, carry: &Carry) {
        match carry {
            Carry::Delivery {
                line,
                day,
                delivered,
                billable,
                last_hour,
            } => self.carried.entry(*line).or_default().push(CarriedDay {
                day: *day,
                delivered: *delivered,
                billable: *billable,
                last_hour: (last_hour.0 != i32::MIN).then_some(*last_hour),
            }),
            Carry::Credits { line, day, credits } => {
                let credits_of = self.carried_credits.entry(*line).or_default();
                credits_of.push((*day, *credits));
            }
            _ => {}
        }
    }

    fn finish(&mut self) {
        if let Some(rules) = self.rule_set.get(&()) {
            self.compiled = CompiledRules::compile(rules);
        }
        for (agent, text) in &self.agents {
            let class = self.compiled.classify_agent(text);
            self.classes.insert(*agent, class);
        }
        // In order of the slots' ids.
        for (_, slot) in self.slots.iter() {
            if !slot.what.removed {
                let slots = self.slots_of.entry(slot.what.episode).or_default();
                slots.push(slot.what);
            }
        }
    }

    pub(crate) fn agent(&self, agent: AgentId) -> &str {
        self.agents.get(&agent).map_or("", String::as_str)
    }

    pub(crate) fn settings(&self) -> SettingsFact {
        self.settings.get(&()).copied().unwrap_or_default()
    }

    pub(crate) fn brand_of_line(&self, line: LineId) -> BrandId {
        let line = self.lines.get(&line);
        line.and_then(|line| self.campaigns.get(&line.campaign))
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn brand_of_store(&self, store: StoreId) -> BrandId {
        self.stores.get(&store).copied().unwrap_or_default()
    }

    pub(crate) fn line_of_code(&self, store: StoreId, code: CodeId) -> Option<&LineFact> {
        if !code.is_some() {
            return None;
        }
        self.lines.get(self.codes.get(&(store, code))?)
    }
}

impl Dimensions for Dims {
    fn rules(&self) -> &CompiledRules {
        &self.compiled
    }

    fn agent_class(&self, agent: AgentId) -> AgentClass {
        self.classes.get(&agent).copied().unwrap_or_default()
    }

    fn episode_of(&self, enclosure: EnclosureId) -> Option<&EpisodeFact> {
        self.by_enclosure.get(&enclosure)
    }

    fn episode(&self, id: EpisodeId) -> Option<&EpisodeFact> {
        self.by_episode.get(&id)
    }

    fn slots(&self, episode: EpisodeId) -> &[SlotFact] {
        self.slots_of.get(&episode).map_or(&[], Vec::as_slice)
    }

    fn line(&self, line: LineId) -> Option<&LineFact> {
        self.lines.get(&line)
    }
}
