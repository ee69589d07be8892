//! A world that is known by construction, to test, show and measure Hostread with.
//!
//! Needs: a seed.
//! Promises: the same seed and configuration give the same bytes on every machine.
//! Leaves out: counting. Nothing here reads what the pipeline computes.
//!
//! * [`mix1`]: workload MIX-1, any number of events in arrival order, for load and crash runs.

pub mod mix1;
pub mod rng;

pub use mix1::{Arrival, Mix1, Mix1Config, Part};

/// Key that demos and load runs intern names and hash addresses under. A sample value, no secret.
pub const SAMPLE_KEY: [u8; 16] = *b"hostread-sample1";
