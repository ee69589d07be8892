//! Choice 7: households that too many agents share.

use std::collections::{BTreeMap, BTreeSet};

use hostread_schemas::{AgentId, Day, HouseholdId};

use super::Tenant;

/// The days on which a household is shared.
pub(crate) type Shared = BTreeSet<(HouseholdId, Day)>;

/// Which households are shared on which days.
pub(crate) fn shared_days(tenant: &Tenant) -> Shared {
    let requests = tenant
        .requests
        .iter()
        .map(|(at, r)| (r.household, at.0.day(), r.agent));
    let impressions = tenant
        .impressions
        .iter()
        .map(|(at, i)| (i.household, at.0.day(), i.agent));
    let mut seen: BTreeMap<HouseholdId, BTreeSet<(Day, AgentId)>> = BTreeMap::new();
    for (household, day, agent) in requests.chain(impressions) {
        if household.is_some() && agent.is_some() {
            seen.entry(household).or_default().insert((day, agent));
        }
    }
    let mut shared = Shared::new();
    for (household, seen) in seen {
        let agents_of = |first: Day, days: i32| -> usize {
            let agents: BTreeSet<AgentId> = seen
                .iter()
                .filter(|(day, _)| (first.0..first.0 + days).contains(&day.0))
                .map(|(_, agent)| *agent)
                .collect();
            agents.len()
        };
        for (day, _) in &seen {
            if agents_of(*day, 1) > tenant.settings.shared_agents_day_max as usize {
                shared.insert((household, *day));
            }
            if agents_of(*day, 30) > tenant.settings.shared_agents_month_max as usize {
                shared.extend((day.0..day.0 + 30).map(|day| (household, Day(day))));
            }
        }
    }
    shared
}
