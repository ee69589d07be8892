//! Why the job stopped.

use hostread_dataflow::ledger::ReleaseMoved;
use hostread_eventlog::LogError;
use hostread_journal::JournalError;
use hostread_schemas::{EventTimeMs, Tick};
use hostread_sink_kit::SinkError;

/// Why the job stopped.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The journal cannot be read or written.
    #[error("the journal failed")]
    Journal(#[from] JournalError),
    /// The log cannot be read on.
    #[error("the event log failed")]
    Log(#[source] LogError),
    /// The log no longer has what comes next.
    #[error(
        "the log lost records {wanted} to {start} (not included) of topic \"{topic}\" partition {partition} before they were read; bring them back, or go on without them by `hostread pipeline --skip-lost`, once, and import their sources again: what is there already counts once"
    )]
    LogLost {
        /// Topic.
        topic: String,
        /// Partition.
        partition: u32,
        /// The offset that comes next.
        wanted: u64,
        /// The oldest one there is.
        start: u64,
    },
    /// A sink cannot be owned or refused a range for good.
    #[error("sink \"{sink}\" failed")]
    Sink {
        /// Which.
        sink: &'static str,
        /// Why.
        #[source]
        source: SinkError,
    },
    /// A sink has less than the journal can still replay.
    #[error(
        "sink \"{sink}\" stands at tick {upper}, the journal can replay from tick {since} on: it is from the past; run `hostread sinks resync --yes`, then start again"
    )]
    SinkBehind {
        /// Which.
        sink: &'static str,
        /// Where it stands.
        upper: Tick,
        /// The journal's oldest state.
        since: Tick,
    },
    /// A sink has more than the journal: the journal is from the past.
    #[error(
        "sink \"{sink}\" stands at tick {upper}, the journal ends at tick {last}: the journal is from the past; run `hostread sinks resync --yes`, then start again"
    )]
    SinkAhead {
        /// Which.
        sink: &'static str,
        /// Where it stands.
        upper: Tick,
        /// The journal's newest tick.
        last: Tick,
    },
    /// What is kept beside the journal is not of the journal's time.
    #[error(
        "the {sink} beside the journal stands at tick {upper}, the journal holds ticks {since} to {last}: they are not of one time, and nothing else has the {sink}'s rows; run `hostread journal restore FOLDER` with a copy of the journal's folder"
    )]
    ArchiveApart {
        /// What is kept.
        sink: &'static str,
        /// Where it stands; 0 when it is not there.
        upper: Tick,
        /// The journal's oldest state.
        since: Tick,
        /// Its newest tick.
        last: Tick,
    },
    /// The machine's clock went on by more than a day at once.
    #[error(
        "the machine's clock jumped from {from} to {to}; days are sealed by it for good: when it is right, start again"
    )]
    ClockJumped {
        /// The last tick's clock.
        from: EventTimeMs,
        /// The machine's.
        to: EventTimeMs,
    },
    /// The dataflow could not be started or one of its workers died.
    #[error("the dataflow failed: {0}")]
    Dataflow(String),
    /// A part beside the sequencer failed, for this reason.
    #[error("the job stopped: {0}")]
    Stopped(String),
    /// A release moved a number: a bug, nothing was written of it.
    #[error("a release moved a number")]
    Release(#[from] ReleaseMoved),
    /// A row's old value is not the last new one: a bug, nothing was written of it.
    #[error("a row changed from a value that it did not have at tick {0}")]
    BrokenRow(Tick),
}

impl From<LogError> for JobError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Truncated {
                topic,
                partition,
                wanted,
                start,
            } => Self::LogLost {
                topic,
                partition,
                wanted,
                start,
            },
            error => Self::Log(error),
        }
    }
}

impl JobError {
    /// The error with its causes, on one line.
    #[must_use]
    pub fn in_full(&self) -> String {
        in_full(self)
    }
}

/// An error with its causes, on one line.
pub(crate) fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
