//! Which households are shared on which days: too many agents behind one IP*.
//!
//! ```text
//!   presence ---- by (tenant, household) ----> [ shared days ] ----> (household, day)
//! ```
//! State: the distinct (day, agent) pairs of each household that had more than one agent; counts per pair.
//! Invariant 1: what is emitted for a household is exactly `shared_days` of its presence.

use std::collections::{BTreeMap, BTreeSet};

use hostread_rules::household::shared_days;
use hostread_rules::publish::Horizons;
use hostread_schemas::fact::{Carry, Fact, FactBody, RetentionClass, SettingsFact};
use hostread_schemas::{AgentId, Day, HouseholdId, TenantId};

use crate::by_tick::{Latest, Stream, by_tick};
use crate::keyed::{KeyedMap, insert_tight};
use crate::output::{Material, Output};
use crate::sorted::of_tenant;

type Key = (TenantId, HouseholdId);
type Presence = (Key, (Day, AgentId));

/// Days of the longest span that sharing looks at, less the first.
const SPAN_DAYS_MORE: i32 = 29;

/// Presence live and carried, and the carries of what is live. Where exposures live as long as a span
/// beyond their seal there is nothing to carry.
pub(crate) fn presence<'s>(
    live: Stream<'s, Presence>,
    carries: &Stream<'s, (TenantId, Carry)>,
    horizons: &Horizons,
) -> (Stream<'s, Presence>, Stream<'s, Output>) {
    let carried = carries.clone().flat_map(|(tenant, carry)| match carry {
        Carry::Presence {
            household,
            day,
            agent,
        } => Some(((tenant, household), (day, agent))),
        _ => None,
    });
    let outlived = horizons.lookback_days < SPAN_DAYS_MORE;
    let kept = live
        .clone()
        .flat_map(move |((tenant, household), (day, agent))| {
            let carry = Carry::Presence {
                household,
                day,
                agent,
            };
            let class = RetentionClass::Exposure;
            outlived.then_some(Output::Material(Material {
                class,
                day,
                tenant,
                carry,
            }))
        });
    (live.concat(carried), kept)
}

/// Wires the operator.
pub(crate) fn shared_households<'s>(
    presence: Stream<'s, (Key, (Day, AgentId))>,
    settings: Stream<'s, Fact>,
) -> Stream<'s, (Key, Day)> {
    let mut state = State::default();
    by_tick(
        presence,
        settings,
        "SharedHouseholds",
        |(key, _)| key.1.0,
        |((tenant, household), _)| of_tenant(*tenant, household.0),
        move |_tick, updates, settings, out| state.step(&updates, &settings, out),
    )
}

#[derive(Default)]
struct State {
    households: KeyedMap<Key, Vec<((Day, AgentId), i64)>>,
    settings: BTreeMap<TenantId, Latest<(), SettingsFact>>,
}

impl State {
    fn limits(&self, tenant: TenantId) -> SettingsFact {
        self.settings
            .get(&tenant)
            .and_then(|s| s.get(&()))
            .copied()
            .unwrap_or_default()
    }

    fn step(
        &mut self,
        updates: &[(Presence, i64)],
        settings: &[(Fact, i64)],
        out: &mut Vec<((Key, Day), i64)>,
    ) {
        let mut before: BTreeMap<TenantId, SettingsFact> = BTreeMap::new();
        for (fact, diff) in settings {
            if let FactBody::Settings(value) = &fact.body {
                before
                    .entry(fact.tenant)
                    .or_insert_with(|| self.limits(fact.tenant));
                self.settings
                    .entry(fact.tenant)
                    .or_default()
                    .update((), fact, *value, *diff);
            }
        }
        let mut whole = BTreeSet::new();
        if !before.is_empty() {
            let keys = self.households.keys();
            whole.extend(keys.filter(|key| before.contains_key(&key.0)));
        }
        // Sorted: those of a household follow each other.
        for changes in updates.chunk_by(|((a, _), _), ((b, _), _)| a == b) {
            if let Some(((key, _), _)) = changes.first() {
                whole.remove(key);
                self.household(*key, changes, &before, out);
            }
        }
        for key in whole {
            self.household(key, &[], &before, out);
        }
    }

    /// Takes back what was emitted for a household, applies its changes, emits what is so now.
    fn household(
        &mut self,
        key: Key,
        changes: &[(Presence, i64)],
        before: &BTreeMap<TenantId, SettingsFact>,
        out: &mut Vec<((Key, Day), i64)>,
    ) {
        let now = self.limits(key.0);
        let then = before.get(&key.0).copied().unwrap_or(now);
        let presence = self.households.entry(key).or_default();
        emit(key, presence, &then, -1, out);
        for ((_, pair), diff) in changes {
            match presence.binary_search_by_key(pair, |(pair, _)| *pair) {
                Ok(at) => {
                    if let Some((_, count)) = presence.get_mut(at) {
                        *count += diff;
                        if *count == 0 {
                            presence.remove(at);
                        }
                    }
                }
                Err(at) => insert_tight(presence, at, (*pair, *diff)),
            }
        }
        emit(key, presence, &now, 1, out);
        if presence.is_empty() {
            self.households.remove(&key);
        }
    }
}

fn emit(
    key: Key,
    presence: &[((Day, AgentId), i64)],
    limits: &SettingsFact,
    diff: i64,
    out: &mut Vec<((Key, Day), i64)>,
) {
    // Fewer pairs than the smaller limit can never be shared: most households end here.
    let enough = limits
        .shared_agents_day_max
        .min(limits.shared_agents_month_max) as usize;
    if presence.len() <= enough {
        return;
    }
    let pairs: Vec<(Day, AgentId)> = presence.iter().map(|(pair, _)| *pair).collect();
    out.extend(
        shared_days(&pairs, limits)
            .into_iter()
            .map(|day| ((key, day), diff)),
    );
}
