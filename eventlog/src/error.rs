//! What can go wrong with a log, and who can do something about it.

use std::io;
use std::sync::Arc;

use hostread_disk::DiskError;
pub use hostread_disk::ErrorKind;

/// Result of a log call.
pub type Result<T, E = LogError> = std::result::Result<T, E>;

/// A failed log call.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Retention, or a person, took records that the reader had not read yet.
    #[error(
        "topic \"{topic}\" partition {partition} starts at offset {start}, the reader stands at {wanted}"
    )]
    Truncated {
        /// Topic.
        topic: String,
        /// Partition.
        partition: u32,
        /// The offset that should have been read next.
        wanted: u64,
        /// The oldest one there is.
        start: u64,
    },
    /// The reader stands behind the end: this is another log, or it has lost records.
    #[error(
        "topic \"{topic}\" partition {partition} ends at offset {end}, the reader stands at {wanted}"
    )]
    Beyond {
        /// Topic.
        topic: String,
        /// Partition.
        partition: u32,
        /// The offset that should have been read next.
        wanted: u64,
        /// The offset after the last record.
        end: u64,
    },
    /// No such topic or partition was named at open.
    #[error("there is no topic \"{topic}\" with partition {partition}")]
    NoSuchPartition {
        /// Topic.
        topic: String,
        /// Partition.
        partition: u32,
    },
    /// The topic exists with another number of partitions; records of one tenant would change their partition.
    #[error("topic \"{topic}\" has {there} partitions, the settings say {wanted}")]
    PartitionCount {
        /// Topic.
        topic: String,
        /// What the log has.
        there: u32,
        /// What the settings ask for.
        wanted: u32,
    },
    /// A topic list that cannot be used.
    #[error("topic \"{topic}\" cannot be used: {reason}")]
    Topic {
        /// Topic.
        topic: String,
        /// Why not.
        reason: &'static str,
    },
    /// One record over `RECORD_BYTES_MAX`.
    #[error("record of {bytes} bytes is over the limit of {bytes_max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// A header's name is over 65,535 bytes or holds a NUL, which Kafka cannot carry.
    #[error("header name {name:?} cannot be used")]
    HeaderName {
        /// Its beginning.
        name: String,
    },
    /// The disk did not do its part, or bytes on it are damaged.
    #[error("could not use the log's files")]
    Disk(#[from] DiskError),
    /// A group was not written; all its callers get the same cause.
    #[error("could not write to the log")]
    Write(#[source] Arc<DiskError>),
    /// A whole frame that does not say what a log's frame says.
    #[error("segment {segment} holds a frame at byte {offset} that cannot be read: {reason}")]
    Format {
        /// Number of the segment.
        segment: u64,
        /// Where the frame starts.
        offset: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The log is shutting down, or its writer has ended.
    #[error("the log has been closed")]
    Closed,
    /// A thread could not be started.
    #[error("could not start the log's writer")]
    Thread(#[source] io::Error),
    /// Kafka did not do its part.
    #[error("could not {action}")]
    Kafka {
        /// What was tried, as a verb.
        action: &'static str,
        /// Its reason.
        #[source]
        source: rdkafka::error::KafkaError,
    },
    /// The schema registry did not answer.
    #[error("could not reach the schema registry")]
    RegistryRequest(#[source] reqwest::Error),
    /// The schema registry said no, or something else than it should.
    #[error("the schema registry answered {status} for \"{subject}\": {message}")]
    RegistryAnswer {
        /// HTTP status.
        status: u16,
        /// Subject or id asked for.
        subject: String,
        /// Its words, cut to a line.
        message: String,
    },
    /// A schema that is no JSON.
    #[error("the schema of \"{subject}\" is not JSON")]
    Schema {
        /// Subject.
        subject: String,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// No schema with this id.
    #[error("there is no schema with id {id}")]
    NoSuchSchema {
        /// The id.
        id: u32,
    },
    /// The file with schema ids cannot be read.
    #[error("the file of schema ids cannot be read")]
    RegistryFile(#[source] serde_json::Error),
}

impl LogError {
    /// Who has to act.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchPartition { .. }
            | Self::PartitionCount { .. }
            | Self::Topic { .. }
            | Self::TooLarge { .. }
            | Self::HeaderName { .. }
            | Self::Schema { .. }
            | Self::NoSuchSchema { .. } => ErrorKind::Input,
            Self::Disk(error) => error.kind(),
            Self::Write(error) => error.kind(),
            Self::RegistryAnswer { status, .. }
                if (400..500).contains(status) && *status != 429 =>
            {
                ErrorKind::Input
            }
            Self::Closed
            | Self::Thread(_)
            | Self::Kafka { .. }
            | Self::RegistryRequest(_)
            | Self::RegistryAnswer { .. } => ErrorKind::Dependency,
            Self::Truncated { .. }
            | Self::Beyond { .. }
            | Self::Format { .. }
            | Self::RegistryFile(_) => ErrorKind::Bug,
        }
    }

    /// Whether records were lost to the reader before it got to them.
    pub fn is_truncated(&self) -> bool {
        matches!(self, Self::Truncated { .. })
    }
}
