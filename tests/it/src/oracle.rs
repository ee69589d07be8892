//! A naive oracle: every view computed from the list of live facts and the clock, straight from
//! `docs/reference/definitions.md` (numbers in brackets are its choices). It shares no code with
//! `hostread-rules` and the dataflow, keeps nothing between two calls and never releases; the paths of
//! sealed conversions are the caller's to keep ([`paths`]).
//!
//! Needs: live facts, the texts of their agents. Promises: all rows of all views but the two ledgers
//! ([`rows`]); what a reader sees of a change and what the ledgers say ([`ledger`]).
//! Leaves out: speed.

pub(crate) mod anomalies;
pub(crate) mod attribution;
pub(crate) mod conversions;
pub(crate) mod counting;
mod filters;
pub(crate) mod ledger;
pub(crate) mod lines;
pub(crate) mod sharing;
mod windows;

use std::collections::{BTreeMap, BTreeSet};

use hostread_schemas::fact::{
    EpisodeFact, Fact, FactBody, ImpressionFact, LineFact, RequestFact, RuleSetFact, SettingsFact,
    SignalFact, SlotFact,
};
use hostread_schemas::view::{ViewKey, ViewRow, ViewValue};
use hostread_schemas::{
    AgentId, BrandId, CampaignId, CodeId, EnclosureId, EpisodeId, EventId, EventTimeMs, LineId,
    SlotId, StoreId, TenantId,
};

pub(crate) use attribution::Kept;

/// Rows by key.
pub(crate) type Rows = BTreeMap<ViewKey, ViewValue>;
/// Agents' texts.
pub(crate) type Agents = BTreeMap<AgentId, String>;
/// A fact's place in the order of a tenant: (time, event id).
pub(crate) type At = (EventTimeMs, EventId);

/// What one tenant has said, sorted; of what can be said again, the last word (2).
#[derive(Default)]
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) agents: Agents,
    pub(crate) requests: Vec<(At, RequestFact)>,
    pub(crate) impressions: Vec<(At, ImpressionFact)>,
    pub(crate) signals: Vec<(At, SignalFact)>,
    pub(crate) rules: RuleSetFact,
    pub(crate) settings: SettingsFact,
    /// No tenant looks further back (13).
    pub(crate) lookback_secs_max: i64,
    pub(crate) by_enclosure: BTreeMap<EnclosureId, EpisodeFact>,
    pub(crate) by_episode: BTreeMap<EpisodeId, EpisodeFact>,
    pub(crate) slots: BTreeMap<SlotId, SlotFact>,
    pub(crate) lines: BTreeMap<LineId, LineFact>,
    pub(crate) campaigns: BTreeMap<CampaignId, BrandId>,
    pub(crate) stores: BTreeMap<StoreId, BrandId>,
    pub(crate) codes: BTreeMap<(StoreId, CodeId), LineId>,
    pub(crate) aired: BTreeMap<(LineId, EpisodeId), (EventTimeMs, u64)>,
    pub(crate) kept: Kept,
}

impl Tenant {
    /// Reads a tenant's facts.
    pub(crate) fn read(id: TenantId, facts: &[Fact], agents: &Agents, days_max: i32) -> Self {
        let mut tenant = Self {
            id,
            agents: agents.clone(),
            lookback_secs_max: i64::from(days_max) * 86_400,
            rules: RuleSetFact {
                threshold_secs: 60,
                prefix_drops_range_0_1: true,
                ..RuleSetFact::default()
            },
            ..Self::default()
        };
        let mut facts: Vec<&Fact> = facts.iter().filter(|fact| fact.tenant == id).collect();
        // In this order a later word overwrites an earlier one.
        facts.sort_by_key(|fact| (fact.time, fact.id));
        for fact in facts {
            tenant.hear((fact.time, fact.id), &fact.body);
        }
        tenant
    }

    fn hear(&mut self, at: At, body: &FactBody) {
        match body.clone() {
            FactBody::Request(request) => self.requests.push((at, request)),
            FactBody::Impression(impression) => self.impressions.push((at, impression)),
            FactBody::Signal(signal) => self.signals.push((at, signal)),
            FactBody::Episode(episode) => {
                for enclosure in &episode.enclosures {
                    self.by_enclosure.insert(*enclosure, episode.clone());
                }
                self.by_episode.insert(episode.episode, episode);
            }
            FactBody::Slot(slot) => {
                self.slots.insert(slot.slot, slot);
            }
            FactBody::Store(store, brand) => {
                self.stores.insert(store, brand);
            }
            FactBody::Campaign(campaign, brand) => {
                self.campaigns.insert(campaign, brand);
            }
            FactBody::Line(line) => {
                self.lines.insert(line.line, line);
            }
            FactBody::Code(store, code, line) => {
                self.codes.insert((store, code), line);
            }
            FactBody::Aired {
                line,
                episode,
                aired_at,
                episode_goal,
            } => {
                self.aired.insert((line, episode), (aired_at, episode_goal));
            }
            FactBody::RuleSet(rules) => self.rules = rules,
            FactBody::Settings(settings) => self.settings = settings,
            FactBody::Show(_) | FactBody::Agent(..) | FactBody::Carry(_) => {}
        }
    }
}

/// What everybody's facts are read with.
#[derive(Clone, Copy)]
pub(crate) struct World<'a> {
    pub(crate) facts: &'a [Fact],
    pub(crate) agents: &'a Agents,
    /// No tenant looks back more days.
    pub(crate) lookback_days_max: i32,
    pub(crate) kept: &'a Kept,
}

impl World<'_> {
    fn tenants(self) -> impl Iterator<Item = Tenant> {
        let ids: BTreeSet<TenantId> = self.facts.iter().map(|fact| fact.tenant).collect();
        ids.into_iter().map(move |id| {
            let mut tenant = Tenant::read(id, self.facts, self.agents, self.lookback_days_max);
            tenant.kept.clone_from(self.kept);
            tenant
        })
    }
}

/// The paths of every conversion, before their codes.
pub(crate) fn paths(world: World<'_>) -> Kept {
    let of_tenant = |tenant: Tenant| {
        let counted = counting::count(&tenant);
        let shared = sharing::shared_days(&tenant);
        let conversions = conversions::conversions(&tenant);
        attribution::paths(&tenant, &conversions, &counted, &shared)
    };
    world.tenants().flat_map(of_tenant).collect()
}

/// Every row of every view but the ledgers, as of a clock (none before the first hour).
pub(crate) fn rows(world: World<'_>, clock: Option<EventTimeMs>) -> Rows {
    let mut rows = Rows::new();
    for tenant in world.tenants() {
        let counted = counting::count(&tenant);
        let shared = sharing::shared_days(&tenant);
        let conversions = conversions::conversions(&tenant);
        let credited = attribution::attribute(&tenant, &conversions, &counted, &shared);
        let deliveries = lines::deliveries(&tenant, &counted);
        let mut add = |row: ViewRow| {
            let again = rows.insert(row.key, row.value);
            assert!(again.is_none(), "the oracle has a row twice: {:?}", row.key);
        };
        counting::rows(&tenant, &counted)
            .into_iter()
            .for_each(&mut add);
        windows::rows(&tenant).into_iter().for_each(&mut add);
        attribution::rows(&tenant, &credited)
            .into_iter()
            .for_each(&mut add);
        lines::rows(&tenant, &deliveries, &credited, clock)
            .into_iter()
            .for_each(&mut add);
        anomalies::rows(&tenant, &counted, &credited, clock)
            .into_iter()
            .for_each(&mut add);
    }
    rows
}

/// Spreads the bits of a number (the finaliser of splitmix64), for ids made of ids (6, 11).
pub(crate) const fn spread(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}
