//! What is solved over many journeys at once: Markov, and how far the difference of two models may be chance.
//!
//! Needs: counts, already summed. Promises: the same counts give the same bits, in whatever order they came and with any number
//! of threads; no input makes it panic. Leaves out: names, files, when a solution is made and from when on it holds.
//! Floating point is allowed here, in a fixed order of operations; `rules` has none.

pub mod bootstrap;
pub mod lift;
pub mod markov;
