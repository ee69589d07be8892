//! The journal against a model: every test draws log records, cuts ticks anywhere, and compares with a naive fold.
#![allow(clippy::unwrap_used, reason = "tests panic")]

mod compaction;
mod crash;
mod damage;
mod order;
mod release;
mod snapshot;
mod support;
