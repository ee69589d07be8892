//! The log between the doors and the pipeline: batches go in durably, records come out in order.
//! Needs: topics with fixed partition counts, named at open.
//! Promises: `append` returns when the batch is durable; a reader sees durable records only, each partition's in offset order,
//! without gaps; what retention took is an error (`LogError::Truncated`), never a silent jump.
//! Leaves out: what a record means, duplicates (a retried batch may be in twice; the head drops those), who has read how far
//! (offsets are the caller's), CloudEvents attributes (they are headers like any other here).
//!
//! ```text
//! EventLog   append start_offsets end_offsets partitions topics reader      EmbeddedLog (files), KafkaLog (rdkafka)
//! LogReader  poll behind                                                    blocking, for a plain thread
//! Registry   register by_id                                                 InProcessRegistry (file), ConfluentRegistry (HTTP)
//! ```
//!
//! Invariant 1: offsets of a partition are 0, 1, 2, ... in the order readers see them, and never given out twice.
//! Invariant 2: a batch is not atomic: after an error or a crash any prefix of each partition's part may be in the log.

pub mod conformance;
pub mod embedded;
mod error;
mod kafka;
mod record;
mod registry;

use std::collections::BTreeMap;
use std::time::Duration;

pub use async_trait::async_trait;

pub use embedded::{EmbeddedLog, EmbeddedSettings};
pub use error::{ErrorKind, LogError, Result};
pub use kafka::{KafkaLog, KafkaSettings};
pub use record::{Headers, HeadersBuilder, ReadRecord, Record};
pub use registry::{ConfluentRegistry, InProcessRegistry, Registry};

/// Next offset to read, per (topic, partition).
pub type Offsets = BTreeMap<(String, u32), u64>;

/// Largest record: key, headers and value together. Larger: one record holds up a group and a Kafka broker's buffers; smaller: a
/// dead letter with a 1 MiB body and its reasons would not fit.
pub const RECORD_BYTES_MAX: usize = 4 << 20;

/// A topic and its fixed number of partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// `<domain>.<name>.v<major>`.
    pub name: String,
    /// At least 1. Fixed: an existing topic with another count is refused at open.
    pub partitions: u32,
}

impl TopicSpec {
    /// A topic with this many partitions.
    pub fn new(name: impl Into<String>, partitions: u32) -> Self {
        Self {
            name: name.into(),
            partitions,
        }
    }
}

/// The log. One value serves all doors and readers of a process.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Appends a batch; returns when all of it is durable. After an error any part of it may be in the log: append it again.
    /// `LogError::kind` `Input` means that nothing of it was written and a repeat will fail too.
    async fn append(&self, batch: Vec<Record>) -> Result<()>;
    /// The oldest offset of each partition that can still be read; equal to the end when there is none.
    async fn start_offsets(&self) -> Result<Offsets>;
    /// The offset after the last durable record of each partition.
    async fn end_offsets(&self) -> Result<Offsets>;
    /// The topics given at open.
    fn topics(&self) -> &[TopicSpec];
    /// How many partitions a topic has; 0 when there is no such topic.
    fn partitions(&self, topic: &str) -> u32 {
        self.topics()
            .iter()
            .find(|spec| spec.name == topic)
            .map_or(0, |spec| spec.partitions)
    }
    /// Reads the partitions named in `from`, and only those, each from its offset. An offset outside start..=end is an error
    /// here or at the first `poll`.
    fn reader(&self, from: &Offsets) -> Result<Box<dyn LogReader>>;
}

/// Reads on from where it was opened. Blocking: call it from a plain thread, not from an async task.
pub trait LogReader: Send {
    /// Up to `records_max` records; waits up to `wait` for the first one, then takes what is there. Empty after `wait`.
    fn poll(&mut self, records_max: usize, wait: Duration) -> Result<Vec<ReadRecord>>;
    /// The partitions that hold more than was handed out, each with how much, by what the log says now or said a moment ago.
    /// An empty `poll` does not say so: what is under way from a broker is not there yet. An error of kind `Dependency`: the
    /// log does not answer, and nobody knows.
    fn behind(&mut self) -> Result<Offsets>;
}
