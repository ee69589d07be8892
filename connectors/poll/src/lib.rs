//! What Hostread fetches itself: files behind addresses, feeds, objects of a store.
//! Needs: a tokio runtime.
//! Promises: every answer is bounded in bytes and time, and in how often a server may lead on; what is refused is named.
//! Leaves out: what the bytes mean (`connectors/sources`, `kit::audio`), who is asked and when (the caller).
//!
//! ```text
//! fetch    a whole answer, or "the same as before"          remote    a file that is read in parts, as `audio::Bytes`
//! store    objects of S3, Google, Azure or a folder         seen      which of them were taken
//! ```

pub mod fetch;
pub mod remote;
pub mod seen;
pub mod store;
