//! The doors over a real embedded log, through real sockets.
#![allow(clippy::unwrap_used, reason = "tests panic")]

mod bad_input;
mod bench;
mod good_input;
mod import;
mod log_away;
