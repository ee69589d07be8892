//! The doors over real HTTP on the embedded log: what they take, what they refuse, and that 2xx means durable.
//! Needs: nothing but a loopback address; the test with a killed process also needs the `hostread` binary.
//! The log goes away as a real one does: its (simulated) disk is full or loses power, or (`silent`) nobody answers.
#![allow(clippy::unwrap_used, reason = "tests panic")]

mod attribution;
pub(crate) mod bench;
mod durable;
mod full;
mod fuzz;
mod import;
mod killed;
mod openapi;
mod orders;
mod prefix;
mod refused;
mod silent;
mod tag;
mod taken;
