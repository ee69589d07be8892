//! The simulator: the product's own head, journal, dataflow and sinks, where everything fails that can.
//!
//! ```text
//!  MIX-1 ─► doors ~~~ network ~~~► log ~~~ network ~~~► ByHand: sequencer, journal, dataflow, collector, sinks
//!                                                          │ SimDisk                      ~~~ network ~~~► stores
//!   one seed draws every step and every fault              └► Tape: every durable tick, uninterrupted ─► compared
//! ```
//! Needs: nothing; `make sim SEED=7719` repeats a run, `make sim SEEDS=200` makes as many.
//! Promises: the same seed gives the same steps; a failure names its seed and shows the last steps.
//!
//! Checked after every step that can break it:
//! Invariant 1: a sink's upper never goes back.
//! Invariant 2: a sink has nothing of a tick that is not durable.
//! Invariant 3: `since` stays below every sink's upper, and what can be loaded as of `since` and of the newest tick is the sum
//! of the ticks through it: nothing above is merged, nothing below is lost.
//! Invariant 4: a journal that is opened again has every durable tick, unchanged.
//! Invariant 5: after a range a sink's rows, with their ticks, are those of an uninterrupted run over the same ticks.
//! Invariant 6: a published number moves only by restatements that say from where to where.
//! Invariant 7: a range, also one that is tried again or after a restart, writes no more rows than the ticks since the
//! stored upper change.
//! Invariant 8: what an owner of the past writes is refused and changes nothing.
//! Invariant 9: the job stops only for a reason that it was given, starts again when that is over, and comes to rest.
//! Invariant 10: at the end every record was read, what cannot be read is a dead letter, and the numbers are those of a run
//! of its own with other ticks and another order within the hours.
//! Invariant 11: the archive has what readers know and nothing can compute; an emptied sink shows it again.

#![cfg(test)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests panic, and print seeds and figures"
)]

mod end;
mod net;
mod run;
mod seeds;
mod shown;
mod sink;
mod tape;
mod trouble;
