//! The wire formats, from outside the crate.
#![expect(clippy::unwrap_used, reason = "tests panic")]

mod codec;
mod json;
mod random;
