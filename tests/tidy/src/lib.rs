//! What holds for the repository as a whole; `cargo test -p hostread-tidy` says what does not.
//! Needs: the checkout it was compiled in, and `cargo metadata` without network.
//! Promises: each check is a function from texts to sentences, and has a test that it can fail.
//! Leaves out: style inside functions (clippy, rustfmt), licences (cargo-deny).
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests panic"))]

#[cfg(test)]
mod crates;
#[cfg(test)]
mod direction;
#[cfg(test)]
mod links;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod migrations;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod shape;
#[cfg(test)]
mod tree;
#[cfg(test)]
mod words;
