//! Which seeds are run: new ones for a while, or those that somebody names.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::run::{Seen, Sim, trace};

/// How long new seeds are tried when nobody says otherwise.
const SECONDS: u64 = 75;
/// Runs at a time; a run waits for its dataflow's threads most of the time.
const AT_ONCE: usize = 2;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().expect("a number"))
}

/// One run; says its seed when it fails.
fn run(seed: u64) -> Seen {
    match catch_unwind(AssertUnwindSafe(|| Sim::new(seed).run())) {
        Ok(seen) => seen,
        Err(panic) => {
            println!("{}\nmake sim SEED={seed}", trace());
            resume_unwind(panic);
        }
    }
}

#[test]
fn seeds() {
    if let Some(seed) = number("HOSTREAD_SIM_SEED") {
        println!("{:?}", run(seed));
        return;
    }
    let new = std::hash::RandomState::new();
    let first = std::hash::BuildHasher::hash_one(&new, 0) >> 24;
    let count = number("HOSTREAD_SIM_SEEDS");
    let until = Instant::now() + Duration::from_secs(SECONDS);
    let next = AtomicU64::new(0);
    let all = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let over = count.map_or(Instant::now() >= until, |count| index >= count);
                    if over {
                        return;
                    }
                    let seen = run(first + index);
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    all.push(seen);
                }
            });
        }
    });
    let all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{} seeds from {first} on: {:?}", all.len(), sum(&all));
}

fn sum(all: &[Seen]) -> Seen {
    let mut sum = Seen::default();
    for seen in all {
        sum.steps += seen.steps;
        sum.ticks += seen.ticks;
        sum.rows += seen.rows;
        sum.restarts += seen.restarts;
        sum.power_failures += seen.power_failures;
        sum.in_recovery += seen.in_recovery;
        sum.compactions += seen.compactions;
        sum.releases += seen.releases;
        sum.fenced += seen.fenced;
        sum.broken_ranges += seen.broken_ranges;
        sum.restated += seen.restated;
        sum.emptied += seen.emptied;
    }
    sum
}

#[test]
fn one_seed_is_one_run() {
    let seed = 7_719;
    assert_eq!(run(seed), run(seed));
}
