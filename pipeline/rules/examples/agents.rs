//! How fast agents are told: by the lists, and when they were seen before; per second of this thread's processor time.
//!
//! `cargo run --release -p hostread-rules --example agents -- 20000`
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "an example measures and prints"
)]

use std::hint::black_box;

use hostread_rules::CompiledRules;
use hostread_rules::agents::{AgentFile, AgentLists, Seen, shipped_files};
use hostread_schemas::fact::RuleSetFact;
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{AgentId, NameKind};

const CLASSIFICATIONS: usize = 20_000_000;
const HELD: usize = 1 << 16;

/// Examples of the lists, each with a build number of its own.
fn texts(lists: &AgentLists, count: usize) -> Vec<String> {
    let of = |file| lists.entries(file).iter().flat_map(|entry| &entry.examples);
    let files = [AgentFile::Apps, AgentFile::Libraries, AgentFile::Browsers];
    let examples: Vec<&String> = files.into_iter().flat_map(of).collect();
    let text = |at: usize| format!("{} build/{at}", examples[at % examples.len()]);
    (0..count).map(text).collect()
}

/// Nanoseconds that this thread had a core for.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Tells every agent once, then all of them again and again; classifications a second of either.
fn measure<'a, V: Copy>(texts: &'a [String], judge: impl Fn(&'a str) -> V) -> (f64, f64) {
    let hasher = IdHasher::new([7; 16]);
    let tenant = hasher.tenant("acme");
    let mut seen = Seen::new(HELD);
    let mut tell = |text: &'a String| {
        let agent = AgentId(hasher.name(NameKind::Agent, tenant, text));
        black_box(seen.get_or(agent, || judge(text)));
    };
    let began = cpu_ns();
    texts.iter().for_each(&mut tell);
    let first_ns = cpu_ns() - began;
    let began = cpu_ns();
    let mut at = 0;
    for _ in 0..CLASSIFICATIONS {
        // In no order that the processor could foresee.
        at = (at + 7_919) % texts.len();
        tell(&texts[at]);
    }
    let again_ns = cpu_ns() - began;
    let per_sec = |count: usize, took_ns: u64| count as f64 * 1e9 / took_ns as f64;
    (
        per_sec(texts.len(), first_ns),
        per_sec(CLASSIFICATIONS, again_ns),
    )
}

fn main() {
    let agents = std::env::args().nth(1);
    let agents = agents.map_or(20_000, |count| count.parse().unwrap());
    let lists = AgentLists::read(shipped_files()).unwrap();
    let patterns = lists.patterns();
    let rules = CompiledRules::compile(&RuleSetFact {
        bot_agents: patterns.bots,
        other_agents: patterns.others,
        ..RuleSetFact::default()
    });
    let texts = texts(&lists, agents);
    let bytes = texts.iter().map(String::len).sum::<usize>() / texts.len();
    println!("{agents} agents of {bytes} bytes, classifications a second of one core:");
    for (what, (first, again)) in [
        (
            "bot or not",
            measure(&texts, |text| rules.classify_agent(text)),
        ),
        (
            "app and device",
            measure(&texts, |text| lists.classify(text)),
        ),
    ] {
        println!("  {what}: the first time {first:.0}, seen before {again:.0}");
    }
}
