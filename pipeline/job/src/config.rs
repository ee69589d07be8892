//! What an operator may set of the job.

use std::time::Duration;

use hostread_rules::Horizons;

use crate::clock::Clock;

/// Settings of the job.
#[derive(Clone, Debug)]
pub struct JobConfig {
    /// Worker threads of the dataflow.
    pub workers: usize,
    /// How long things may move.
    pub horizons: Horizons,
    /// A tick closes at this many events. Larger: more throughput, more delay.
    pub tick_events_max: usize,
    /// A tick stays open this long at most. Longer: more throughput, more delay.
    pub tick_open_max: Duration,
    /// A sink applies a range about this often; one that is behind, once a second.
    pub range_every: Duration,
    /// A range is applied at this many rows at the latest, at four times as many while the sink is behind.
    pub range_rows_max: usize,
    /// Changes that may wait for the slowest sink before reading pauses (about 220 bytes each).
    pub waiting_changes_max: usize,
    /// Ticks that may be cut but not yet durable and complete.
    pub ahead_ticks_max: u64,
    /// The tick log is compacted when this many events lie in it.
    pub compact_events: u64,
    /// Go on where the log begins although it lost records that were not read: somebody has decided so.
    pub skip_lost: bool,
    /// Where the clock comes from.
    pub clock: Clock,
}

impl Default for JobConfig {
    fn default() -> Self {
        Self {
            workers: 2,
            horizons: Horizons::default(),
            tick_events_max: 20_000,
            tick_open_max: Duration::from_millis(250),
            range_every: Duration::from_millis(300),
            range_rows_max: 50_000,
            waiting_changes_max: 1_000_000,
            ahead_ticks_max: 32,
            compact_events: 1_000_000,
            skip_lost: false,
            clock: Clock::wall(),
        }
    }
}
