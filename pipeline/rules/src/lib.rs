//! The rules: what counts, what earns credit, what is owed. Plain functions over slices.
//!
//! Needs: facts of one key in order (time, event id), and the dimensions that judge them.
//! Promises: the same input gives the same output everywhere; no input makes it panic (huge
//! numbers saturate). Leaves out: clocks, I/O, who keeps which facts, what changed since last time.
//!
//! Numbers in brackets, such as "(definition 5)", refer to `docs/reference/definitions.md`.
#![warn(clippy::float_arithmetic)]

pub mod agents;
pub mod anomaly;
pub mod attribution;
pub mod billing;
pub mod bytes;
pub mod channels;
pub mod conversion;
pub mod counting;
pub mod custom;
pub mod delivery;
pub mod document;
pub mod earned;
pub mod household;
pub mod household_day;
pub mod pacing;
pub mod publish;
pub mod rows;
pub mod rule_set;
pub mod threshold;

pub use agents::{AgentFile, AgentLists};
pub use anomaly::{flags, flags_since};
pub use attribution::{
    Share, TOUCHES_PER_CONVERSION_MAX, apportion, credit, weights, with_code_touch,
};
pub use billing::{billing_lines, price};
pub use conversion::{Conversion, merge_order, merge_without_order};
pub use counting::window::{Window, Windows};
pub use counting::{
    CatalogEntry, CountedDownload, Delivery, Dimensions, Exposure, ListenerDay, RequestVerdict,
    count_listener_day, needed_bytes,
};
pub use delivery::{billable, civil_day};
pub use document::{Document, DocumentError};
pub use household::shared_days;
pub use pacing::{AiredRead, pace};
pub use publish::{Horizons, Numbers, metrics};
pub use rule_set::{AgentClass, CompiledRules, Lists};
