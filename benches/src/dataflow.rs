//! The dataflow alone: facts are interned and in memory, changes are folded and settled.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hostread_dataflow::Dataflow;
use hostread_dataflow::changes::Updates;
use hostread_rules::Horizons;
use hostread_schemas::event::Event;
use hostread_schemas::fact::{Fact, FactBody};
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{AgentId, EventId, EventTimeMs, HOUR_MS, NameKind, Tick};
use hostread_simulate::{Mix1, Mix1Config};

pub(crate) struct Step {
    pub(crate) facts: Vec<(Fact, i64)>,
    pub(crate) clock: Option<EventTimeMs>,
}

/// MIX-1 as ticks of `tick_events`, with the hourly clock in between.
pub(crate) struct Ticks {
    hasher: IdHasher,
    seen: BTreeSet<EventId>,
    agents: BTreeSet<u64>,
    hour: i64,
    tick_events: usize,
    kept: fn(&FactBody) -> bool,
}

impl Ticks {
    pub(crate) fn new(tick_events: usize, kept: fn(&FactBody) -> bool) -> Self {
        Self {
            hasher: IdHasher::new(hostread_simulate::SAMPLE_KEY),
            seen: BTreeSet::new(),
            agents: BTreeSet::new(),
            hour: i64::MIN,
            tick_events,
            kept,
        }
    }

    /// Adds an event's facts; the tick, when it is full or the event ends it.
    fn take(&mut self, event: &Event, facts: &mut Vec<(Fact, i64)>) -> Option<Step> {
        let mut learnt = Vec::new();
        let fact = self.hasher.fact(event, &mut |kind, id, text| {
            if kind == NameKind::Agent && self.agents.insert(id) {
                learnt.push((id, text.to_owned()));
            }
        });
        if is_other(&fact.body, self.kept) || !self.seen.insert(fact.id) {
            return None;
        }
        for (id, text) in learnt {
            let body = FactBody::Agent(AgentId(id), text);
            let id = EventId { hi: 0, lo: id };
            let tenant = fact.tenant;
            let time = fact.time;
            facts.push((
                Fact {
                    tenant,
                    time,
                    id,
                    body,
                },
                1,
            ));
        }
        let cause = fact.body.is_cause();
        facts.push((fact, 1));
        let now = event.meta.received_at.0.div_euclid(HOUR_MS);
        if facts.len() < self.tick_events && now <= self.hour && !cause {
            return None;
        }
        let clock = (now > self.hour).then_some(EventTimeMs(now * HOUR_MS));
        self.hour = self.hour.max(now);
        let facts = std::mem::take(facts);
        Some(Step { facts, clock })
    }
}

/// Shows every tick; it is made when it is needed, so that it takes no memory beside the dataflow's.
pub(crate) fn each_tick(
    events: u64,
    mut ticks: Ticks,
    mut visit: impl FnMut(Tick, Step) -> Result<()>,
) -> Result<()> {
    let mix = Mix1::new(Mix1Config {
        events,
        ..Mix1Config::default()
    });
    let mut facts = Vec::new();
    let mut tick = Tick(1);
    for event in mix.events() {
        if let Some(step) = ticks.take(&event, &mut facts) {
            visit(tick, step)?;
            tick = tick.next();
        }
    }
    visit(tick, Step { facts, clock: None })
}

/// Runs and prints.
pub(crate) fn run(events: u64, workers: usize, tick_events: usize) -> Result<()> {
    let dataflow = Dataflow::start(workers, Horizons::default()).map_err(anyhow::Error::msg)?;
    let mut updates = Updates::default();
    let (mut count, mut changes) = (0_usize, 0_usize);
    let mut latencies: Vec<Duration> = Vec::new();
    each_tick(events, Ticks::new(tick_events, |_| true), |tick, step| {
        count += step.facts.len();
        let began = Instant::now();
        dataflow.feed(tick, step.facts, step.clock);
        dataflow.advance(tick.next());
        ensure!(dataflow.wait(tick.next(), &mut updates), "a worker died");
        changes += updates
            .take(tick)
            .values()
            .map(|output| output.changes.len())
            .sum::<usize>();
        latencies.push(began.elapsed());
        Ok(())
    })?;
    let took: Duration = latencies.iter().sum();
    let rate = count as f64 / took.as_secs_f64();
    println!(
        "dataflow: {count} facts, {workers} workers, {} ticks: {:.2} s, {rate:.0} facts/s, {changes} changes, rss {} MiB",
        latencies.len(),
        took.as_secs_f64(),
        rss_mib(),
    );
    let tenth = (latencies.len() / 10).max(1);
    for (number, part) in latencies.chunks_mut(tenth).take(10).enumerate() {
        part.sort();
        let median = part.get(part.len() / 2).context("no ticks")?;
        let last = part.last().context("no ticks")?;
        println!("  tenth {}: tick p50 {median:?}, max {last:?}", number + 1);
    }
    Ok(())
}

/// Prints what a live request and a live impression hold in the dataflow, with all that hangs on them:
/// the memory of a process that feeds them less that of one which only makes them.
pub(crate) fn memory(events: u64) -> Result<()> {
    for (kind, name) in [(1, "request"), (2, "impression with its touch")] {
        let (count, fed) = child(events, kind, true)?;
        let (_, made) = child(events, kind, false)?;
        println!(
            "memory: {count} live, {} bytes for a {name}",
            (fed.saturating_sub(made) << 20) / count.max(1)
        );
    }
    Ok(())
}

fn child(events: u64, kind: u64, feeds: bool) -> Result<(u64, u64)> {
    let output = Command::new(std::env::current_exe()?)
        .args(["held", "--events", &events.to_string()])
        .args(["--kind", &kind.to_string()])
        .args(["--feed", &u64::from(feeds).to_string()])
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let (count, mib) = text.trim().split_once(' ').context("the child failed")?;
    Ok((count.parse()?, mib.parse()?))
}

/// Feeds reference facts and one kind of exposures; prints how many and the memory of the process.
pub(crate) fn held(events: u64, kind: u64, feeds: bool) -> Result<()> {
    let kept: fn(&FactBody) -> bool = match kind {
        1 => |body| matches!(body, FactBody::Request(_)),
        _ => |body| matches!(body, FactBody::Impression(_)),
    };
    let dataflow = Dataflow::start(1, Horizons::default()).map_err(anyhow::Error::msg)?;
    let (mut count, mut updates) = (0_u64, Vec::new());
    each_tick(events, Ticks::new(1_000, kept), |tick, step| {
        count += step
            .facts
            .iter()
            .filter(|(fact, _)| kept(&fact.body))
            .count() as u64;
        if feeds {
            dataflow.feed(tick, step.facts, step.clock);
            dataflow.advance(tick.next());
            ensure!(dataflow.wait(tick.next(), &mut updates), "a worker died");
            updates.clear();
        }
        Ok(())
    })?;
    println!("{count} {}", rss_mib());
    Ok(())
}

/// Is it neither a fact that goes to every worker nor of the wanted kind?
fn is_other(body: &FactBody, kept: fn(&FactBody) -> bool) -> bool {
    let counted = matches!(
        body,
        FactBody::Request(_) | FactBody::Impression(_) | FactBody::Signal(_) | FactBody::Carry(_)
    );
    counted && !kept(body)
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
