//! The wire formats, from outside the crate.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests panic")]

mod codec;
mod random;
