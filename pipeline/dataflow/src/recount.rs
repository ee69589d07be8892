//! How far the workers are with what a change of rules or catalog makes them count anew.

use std::sync::atomic::{AtomicU64, Ordering};

/// Listener-days counted anew because of such changes, since the start. Shared by the workers and by whoever asks; no row
/// depends on it.
#[derive(Default, Debug)]
pub struct Recount {
    found: AtomicU64,
    done: AtomicU64,
}

impl Recount {
    /// So many more are to be counted anew.
    pub fn find(&self, days: usize) {
        self.found.fetch_add(days as u64, Ordering::AcqRel);
    }

    /// So many of them are.
    pub fn finish(&self, days: usize) {
        self.done.fetch_add(days as u64, Ordering::AcqRel);
    }

    /// How many are done, and how many were found; the latter are never fewer.
    #[must_use]
    pub fn now(&self) -> (u64, u64) {
        let done = self.done.load(Ordering::Acquire);
        (done, self.found.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use hostread_rules::publish::Horizons;
    use hostread_schemas::fact::{Fact, FactBody, IncludedFact, RequestFact, RuleSetFact};
    use hostread_schemas::{
        AgentId, Day, EventId, EventTimeMs, HouseholdId, ListenerId, NetId, TenantId, Tick,
    };

    use crate::Dataflow;

    fn fact(id: u64, body: FactBody) -> (Fact, i64) {
        let fact = Fact {
            tenant: TenantId(1),
            time: EventTimeMs(i64::try_from(id).unwrap_or(0)),
            id: EventId { hi: 0, lo: id },
            body,
        };
        (fact, 1)
    }

    /// Listener-days done and found, after each tick.
    fn after_each(workers: usize, ticks: Vec<Vec<(Fact, i64)>>) -> Vec<(u64, u64)> {
        let dataflow = Dataflow::start(workers, Horizons::default()).expect("threads start");
        let recount = dataflow.recount();
        let after = ticks.into_iter().zip(0..).map(|(facts, tick)| {
            dataflow.feed(Tick(tick), facts, None);
            dataflow.advance(Tick(tick + 1));
            assert!(dataflow.wait(Tick(tick + 1), &mut Vec::new()));
            recount.now()
        });
        after.collect()
    }

    #[test]
    fn listener_days_that_a_change_moves_are_found_and_done() {
        let request = |id| {
            let request = RequestFact {
                agent: AgentId(1 + id % 2),
                household: HouseholdId(id),
                net: NetId(5),
                listener: ListenerId(id),
                ..RequestFact::default()
            };
            fact(id, FactBody::Request(request))
        };
        let rules = |id, threshold_secs, bot: &str| {
            let rules = RuleSetFact {
                threshold_secs,
                bot_agents: vec![bot.to_owned()],
                ..RuleSetFact::default()
            };
            fact(id, FactBody::RuleSet(rules))
        };
        let mut first: Vec<_> = (1..=20).map(request).collect();
        first.push(fact(30, FactBody::Agent(AgentId(1), "Radio/1".to_owned())));
        first.push(fact(31, FactBody::Agent(AgentId(2), "Robot/1".to_owned())));
        first.push(rules(32, 60, "^Nobody"));
        // Everybody is in network 5, on day 0.
        let let_in = |id, expires, nets: &[u64], addresses: std::ops::Range<u64>| {
            let (fact, diff) = rules(id, 61, "^Robot");
            let FactBody::RuleSet(rules) = fact.body else {
                unreachable!("it is a rule set")
            };
            let included = IncludedFact {
                from: Day(0),
                expires: Day(expires),
                nets: nets.iter().map(|net| NetId(*net)).collect(),
                addresses: addresses.map(HouseholdId).collect(),
            };
            let rules = RuleSetFact {
                included: vec![included],
                ..rules
            };
            let body = FactBody::RuleSet(rules);
            (Fact { body, ..fact }, diff)
        };
        for workers in [1, 3] {
            let ticks = vec![
                first.clone(),
                (41..=50).map(request).collect(),
                vec![rules(51, 60, "^Robot")],
                vec![rules(52, 61, "^Robot")],
                vec![let_in(53, 9, &[4], 1..8)],
                vec![let_in(54, 5, &[4], 1..8)],
                vec![let_in(55, 5, &[4, 5], 1..8)],
            ];
            let after = after_each(workers, ticks);
            assert_eq!(
                after,
                [0, 0, 15, 45, 52, 52, 75].map(|days| (days, days)),
                "{workers} workers"
            );
        }
    }
}
