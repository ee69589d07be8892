//! What a new bot rule costs when millions of live requests have been counted by the old ones.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::{Result, ensure};
use hostread_dataflow::Dataflow;
use hostread_dataflow::changes::Updates;
use hostread_rules::Horizons;
use hostread_schemas::fact::{Fact, FactBody};
use hostread_schemas::view::View;
use hostread_schemas::{AgentId, EventId, Tick};

use crate::dataflow::{Ticks, each_tick};

/// The pattern that the rules lack at first: one request in three hundred has such an agent.
const NEW_BOT: &str = "^curl/";

/// Feeds MIX-1, then a rule set with one more bot pattern; prints how long its tick took and what it moved.
pub(crate) fn run(events: u64, workers: usize) -> Result<()> {
    let dataflow = Dataflow::start(workers, Horizons::default()).map_err(anyhow::Error::msg)?;
    let mut updates = Updates::default();
    let mut seen = Seen::default();
    let mut last = Tick(0);
    each_tick(events, Ticks::new(20_000, |_| true), |tick, mut step| {
        for (fact, _) in &mut step.facts {
            seen.take(fact);
        }
        dataflow.feed(tick, step.facts, step.clock);
        dataflow.advance(tick.next());
        ensure!(dataflow.wait(tick.next(), &mut updates), "a worker died");
        updates = Updates::default();
        last = tick;
        Ok(())
    })?;
    ensure!(!seen.stricter.is_empty(), "no rule set");
    let tick = last.next();
    let began = Instant::now();
    dataflow.feed(tick, seen.stricter, None);
    dataflow.advance(tick.next());
    ensure!(dataflow.wait(tick.next(), &mut updates), "a worker died");
    let took = began.elapsed();
    let mut moved: BTreeMap<View, u64> = BTreeMap::new();
    for output in updates.take(tick).values() {
        for change in &output.changes {
            *moved.entry(change.key.view()).or_default() += 1;
        }
    }
    println!(
        "rules: {} live requests, {workers} workers; a bot rule that hits {} of them: {took:.2?}, {} rows moved",
        seen.requests,
        seen.hit,
        moved.values().sum::<u64>(),
    );
    for (view, rows) in moved {
        println!("  {view:<28?} {rows:>9}");
    }
    Ok(())
}

/// What was fed.
#[derive(Default)]
struct Seen {
    requests: u64,
    /// Of these by agents that the new pattern names.
    hit: u64,
    hit_agents: BTreeSet<AgentId>,
    /// Each tenant's rule set with the new pattern.
    stricter: Vec<(Fact, i64)>,
}

impl Seen {
    /// Notes a fact; takes the new pattern out of a rule set.
    fn take(&mut self, fact: &mut Fact) {
        match &mut fact.body {
            FactBody::Request(request) => {
                self.requests += 1;
                self.hit += u64::from(self.hit_agents.contains(&request.agent));
            }
            FactBody::Agent(agent, text) if text.starts_with("curl/") => {
                self.hit_agents.insert(*agent);
            }
            FactBody::RuleSet(rules) => {
                let without = rules.bot_agents.iter().filter(|bot| *bot != NEW_BOT);
                let without = without.cloned().collect();
                let with = std::mem::replace(&mut rules.bot_agents, without);
                let mut stricter = fact.clone();
                if let FactBody::RuleSet(rules) = &mut stricter.body {
                    rules.bot_agents = with;
                }
                stricter.time.0 += 1;
                stricter.id = EventId {
                    hi: 0,
                    lo: stricter.tenant.0,
                };
                self.stricter.push((stricter, 1));
            }
            _ => {}
        }
    }
}
