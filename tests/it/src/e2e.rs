//! MIX-1 from the log to both databases, with the pipeline killed again and again.
//!
//! ```text
//! MIX-1 ─► feed ─► log (embedded or Kafka) ─► `hostread pipeline`, killed 25 times ─► ClickHouse, PostgreSQL ◄─ reader
//!                       │                          │ journal: segments are kept (archive)       │
//!                       │                          └─► the same ticks, uninterrupted ─► others ─┤ equal, ticks too
//!                       └─► a journal of its own, other ticks ───────────────────────► others ─┘ equal, ledger apart
//! ```
//! Needs: `npm ci --prefix engines`, the binary (`HOSTREAD_BIN`, or `cargo build --workspace --bins --examples`: with the
//! fail points, as these tests ask for them); for Kafka also `java` and `mvn`.
//! `HOSTREAD_TEST_SEED` repeats the draws of a run; moments are the machine's.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests panic, and print seeds and figures"
)]

mod archive;
mod away;
mod backlog;
mod chaos;
mod checks;
mod crash;
mod damage;
mod databases;
mod feed;
mod full;
mod limits;
mod open_doors;
mod past;
pub(crate) mod points;
mod poison;
mod process;
mod proxy;
mod reader;
mod restart;
mod restating;
mod sealed;
mod stopped;
mod uninterrupted;
mod writers;
mod year;

use std::path::Path;

use hostread_rules::Horizons;

/// Small enough that MIX-1's days seal and are released: sealed 5 days after their end, released after 7.
const HORIZONS: Horizons = Horizons {
    lateness_ms: hostread_schemas::DAY_MS,
    horizon_days: 2,
    publish_after_ms: 2 * hostread_schemas::DAY_MS,
    lookback_days: 2,
    conversion_days: 400,
};

/// The default `id_key` of the binary.
const ID_KEY: [u8; 16] = *b"hostread local 1";

/// The settings of a pipeline on these parts.
fn settings(data_dir: &Path, log: &str, databases: &str) -> String {
    let Horizons {
        lateness_ms,
        horizon_days,
        publish_after_ms,
        lookback_days,
        conversion_days,
    } = HORIZONS;
    let hours = hostread_schemas::HOUR_MS;
    format!(
        "data_dir = {data_dir:?}\n[log]\n{log}\n{databases}\n[pipeline]\nclock = \"samples\"\ntick_events_max = 300\n\
         tick_open_ms_max = 20\nrange_ms = 40\ncompact_events = 1000\nlateness_hours = {}\nhorizon_days = {horizon_days}\n\
         publish_after_hours = {}\nlookback_days = {lookback_days}\nconversion_days = {conversion_days}\n",
        lateness_ms / hours,
        publish_after_ms / hours,
    )
}
