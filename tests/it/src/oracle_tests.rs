//! The job's ticks against the naive oracle, on random histories, after every tick.
//!
//! `HOSTREAD_CASES` sets the number of histories, `HOSTREAD_SEED` repeats those of a failure.
#![allow(clippy::unwrap_used, reason = "tests panic")]

mod archived;
mod drive;
mod explained;
mod regressions;
mod windows;
mod world;

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use drive::Drive;
use world::{history, late_history, settled_history, unsettled_history};

/// Runs a property over random histories or worlds; says the seed of a failure.
fn for_worlds<W: std::fmt::Debug>(
    cases: u32,
    worlds: impl Strategy<Value = W>,
    property: impl Fn(&W) -> Result<(), String>,
) {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let cases = number("HOSTREAD_CASES").map_or(cases, |cases| cases as u32);
    let seed = number("HOSTREAD_SEED").unwrap_or_else(rand_seed);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 3_000,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let result = runner.run(&worlds, |world| {
        property(&world).map_err(TestCaseError::fail)
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, world)) => {
            panic!("HOSTREAD_SEED={seed}: {reason}\n{world:?}")
        }
        Err(TestError::Abort(reason)) => panic!("HOSTREAD_SEED={seed}: {reason}"),
    }
}

fn rand_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

#[test]
fn every_view_equals_the_oracle_after_every_tick() {
    for_worlds(200, history(), |history| {
        Drive::run(history, world::far_horizons())
    });
}

#[test]
fn a_release_changes_no_row() {
    for_worlds(40, settled_history(), |history| {
        Drive::run(history, world::near_horizons())
    });
}

#[test]
fn every_row_can_say_why() {
    for_worlds(25, history(), |history| {
        explained::Explained::run(history, world::far_horizons())
    });
}

#[test]
fn every_row_can_say_what_it_would_be_without_an_event() {
    for_worlds(20, history(), |history| {
        explained::Explained::without_one(history, world::far_horizons())
    });
}

#[test]
fn sealed_and_released_rows_can_say_why() {
    for_worlds(25, settled_history(), |history| {
        explained::Explained::run(history, world::near_horizons())
    });
}

#[test]
fn what_came_after_the_seal_is_told() {
    let told = AtomicUsize::new(0);
    for_worlds(80, late_history(), |history| {
        let of_history = explained::Explained::late(history, world::near_horizons())?;
        told.fetch_add(of_history, Ordering::Relaxed);
        Ok(())
    });
    assert!(told.into_inner() > 0, "nothing came late in any history");
}

#[test]
fn a_release_never_stops_the_job_whatever_changes() {
    for_worlds(40, unsettled_history(), |history| {
        Drive::alone(history, world::near_horizons())
    });
}
