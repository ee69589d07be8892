//! The wire formats, from outside the crate.
#![expect(clippy::unwrap_used, reason = "tests panic")]

mod codec;
mod compatibility;
mod doors;
mod golden;
mod json;
mod random;
mod reference;
mod samples;
mod words;
