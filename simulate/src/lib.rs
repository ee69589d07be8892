//! A world that is known by construction, to test, show and measure Hostread with.
//!
//! Needs: a seed.
//! Promises: the same seed and configuration give the same bytes on every machine.
//! Leaves out: counting. Nothing here reads what the pipeline computes.
//!
//! * [`world`]: who listens, who buys and why; [`Truth`]: what that must add up to.
//! * [`samples`]: the same as logs, queries, webhooks and deals, as a user would have them.
//! * [`mix1`]: workload MIX-1, any number of events in arrival order, for load and crash runs.

use std::path::Path;

mod credit;
pub mod mix1;
pub mod rng;
pub mod samples;
pub mod truth;
pub mod world;

pub use mix1::{Arrival, Mix1, Mix1Config, Part, TENANTS as MIX1_TENANTS};
pub use samples::{Summary, TenantSample, TenantsFile, WriteError, tenants, write_samples};
pub use truth::Truth;
pub use world::{World, WorldConfig};

/// Key that demos and load runs intern names and hash addresses under. A sample value, no secret.
pub const SAMPLE_KEY: [u8; 16] = *b"hostread-sample1";

/// Makes the world of `config` and writes what its users have, and its truth, to `out`.
pub fn run(out: &Path, config: WorldConfig) -> Result<Summary, WriteError> {
    write_samples(&World::new(config), out)
}
