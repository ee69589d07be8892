//! The dataflow alone: facts are interned and in memory, changes are folded and settled.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use hostread_dataflow::Dataflow;
use hostread_dataflow::changes::by_tick;
use hostread_rules::Horizons;
use hostread_schemas::fact::{Fact, FactBody};
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{AgentId, EventId, EventTimeMs, HOUR_MS, NameKind, Tick};
use hostread_simulate::{Mix1, Mix1Config};

struct Step {
    facts: Vec<(Fact, i64)>,
    clock: Option<EventTimeMs>,
}

/// Ticks of `tick_events` with the hourly clock in between.
fn ticks(events: u64, tick_events: usize) -> Vec<Step> {
    let hasher = IdHasher::new(hostread_simulate::SAMPLE_KEY);
    let mut seen = BTreeSet::new();
    let mut agents = BTreeSet::new();
    let mut steps = Vec::new();
    let mut facts = Vec::new();
    let mut hour = i64::MIN;
    let mix = Mix1::new(Mix1Config {
        events,
        ..Mix1Config::default()
    });
    for event in mix.events() {
        let mut learnt = Vec::new();
        let fact = hasher.fact(&event, &mut |kind, id, text| {
            if kind == NameKind::Agent && agents.insert(id) {
                learnt.push((id, text.to_owned()));
            }
        });
        if !seen.insert(fact.id) {
            continue;
        }
        for (id, text) in learnt {
            let body = FactBody::Agent(AgentId(id), text);
            let id = EventId { hi: 0, lo: id };
            facts.push((
                Fact {
                    id,
                    body,
                    ..fact.clone()
                },
                1,
            ));
        }
        let cause = fact.body.is_cause();
        facts.push((fact, 1));
        let now = event.meta.received_at.0.div_euclid(HOUR_MS);
        if facts.len() >= tick_events || now > hour || cause {
            let clock = (now > hour).then_some(EventTimeMs(now * HOUR_MS));
            hour = hour.max(now);
            steps.push(Step {
                facts: std::mem::take(&mut facts),
                clock,
            });
        }
    }
    steps.push(Step { facts, clock: None });
    steps
}

/// Runs and prints.
pub(crate) fn run(events: u64, workers: usize, tick_events: usize) -> Result<()> {
    let steps = ticks(events, tick_events);
    let count: usize = steps.iter().map(|step| step.facts.len()).sum();
    let dataflow = Dataflow::start(workers, Horizons::default()).map_err(anyhow::Error::msg)?;
    let started = Instant::now();
    let mut updates = Vec::new();
    let (mut changes, mut longest) = (0_usize, std::time::Duration::ZERO);
    let mut latencies = Vec::new();
    for (index, step) in steps.into_iter().enumerate() {
        let tick = Tick(u64::try_from(index)? + 1);
        let began = Instant::now();
        dataflow.feed(tick, step.facts, step.clock);
        dataflow.advance(tick.next());
        ensure!(dataflow.wait(tick.next(), &mut updates), "a worker died");
        changes += by_tick(std::mem::take(&mut updates))
            .values()
            .map(|output| output.changes.len())
            .sum::<usize>();
        longest = longest.max(began.elapsed());
        latencies.push(began.elapsed());
    }
    let took = started.elapsed();
    latencies.sort();
    let median = latencies.get(latencies.len() / 2).context("no ticks")?;
    let rate = count as f64 / took.as_secs_f64();
    println!(
        "dataflow: {count} facts, {workers} workers, {} ticks: {:.2} s, {rate:.0} facts/s, {changes} changes, tick p50 {median:?} max {longest:?}, rss {} MiB",
        latencies.len(),
        took.as_secs_f64(),
        rss_mib(),
    );
    Ok(())
}

/// Resident memory of this process.
pub(crate) fn rss_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = status
        .split_whitespace()
        .nth(1)
        .and_then(|p| p.parse().ok())
        .unwrap_or(0);
    pages * 4096 / (1 << 20)
}
