//! What can go wrong in a sink, by what helps: stop (another owner, a broken promise) or try again (a server away).

use std::time::Duration;

use hostread_schemas::Tick;

/// Outcome of a sink's work.
pub type Result<T> = std::result::Result<T, SinkError>;

/// What helps against an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SinkErrorKind {
    /// A person must act: configuration, another journal, a changed migration.
    Input,
    /// The server did not do it; the same call may work later.
    Dependency {
        /// How long to wait at least.
        retry_after: Duration,
    },
    /// Somebody else owns the sink now: stop.
    Fenced,
    /// A promise of the caller or the sink is broken: stop.
    Bug,
}

/// What went wrong in a sink.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// A range that does not follow on what is stored.
    #[error("range {lower}..{upper} leaves a gap after tick {stored} in sink \"{sink}\"")]
    Gap {
        /// Sink.
        sink: &'static str,
        /// Stored upper.
        stored: Tick,
        /// Of the range.
        lower: Tick,
        /// Of the range.
        upper: Tick,
    },
    /// A newer epoch has opened the sink.
    #[error("sink \"{sink}\" belongs to epoch {stored} now, this is epoch {ours}")]
    Fenced {
        /// Sink.
        sink: &'static str,
        /// Stored epoch.
        stored: u64,
        /// Epoch of the caller.
        ours: u64,
    },
    /// The rows were made from another journal.
    #[error(
        "sink \"{sink}\" was filled from journal {stored:032x}, this is journal {ours:032x}; \
         `hostread sinks resync` empties it and fills it again"
    )]
    OtherJournal {
        /// Sink.
        sink: &'static str,
        /// Stored journal.
        stored: u128,
        /// Journal of the caller.
        ours: u128,
    },
    /// `apply` before `open`, or progress that was cleared since.
    #[error("sink \"{sink}\" is not open")]
    NotOpen {
        /// Sink.
        sink: &'static str,
    },
    /// A range that breaks the contract.
    #[error("range {lower}..{upper} is not well-formed: {reason}")]
    Malformed {
        /// Of the range.
        lower: Tick,
        /// Of the range.
        upper: Tick,
        /// What is wrong.
        reason: &'static str,
    },
    /// Tables are not as the migrations say.
    #[error("migration \"{file}\" of sink \"{sink}\": {reason}")]
    Migration {
        /// Sink.
        sink: &'static str,
        /// Migration.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A setting that cannot work.
    #[error("setting \"{setting}\" of sink \"{sink}\": {reason}")]
    Setting {
        /// Sink.
        sink: &'static str,
        /// Setting.
        setting: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The server is away, busy or broke off.
    #[error("{doing} in sink \"{sink}\" did not work")]
    Dependency {
        /// Sink.
        sink: &'static str,
        /// What was being done.
        doing: String,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server refused for good.
    #[error("{doing} was refused in sink \"{sink}\"")]
    Refused {
        /// Sink.
        sink: &'static str,
        /// What was being done.
        doing: String,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl SinkError {
    /// A server's error: of those that may pass, or a refusal for good.
    pub fn of_server(
        sink: &'static str,
        doing: &str,
        passes: bool,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        let doing = doing.to_owned();
        let source = Box::new(source);
        if passes {
            Self::Dependency {
                sink,
                doing,
                source,
            }
        } else {
            Self::Refused {
                sink,
                doing,
                source,
            }
        }
    }

    /// What helps.
    #[must_use]
    pub const fn kind(&self) -> SinkErrorKind {
        match self {
            Self::Dependency { .. } => SinkErrorKind::Dependency {
                retry_after: Duration::from_millis(500),
            },
            Self::Fenced { .. } => SinkErrorKind::Fenced,
            Self::OtherJournal { .. } | Self::Migration { .. } | Self::Setting { .. } => {
                SinkErrorKind::Input
            }
            Self::Gap { .. }
            | Self::NotOpen { .. }
            | Self::Malformed { .. }
            | Self::Refused { .. } => SinkErrorKind::Bug,
        }
    }

    /// May the same call work later?
    #[must_use]
    pub const fn may_retry(&self) -> bool {
        matches!(self.kind(), SinkErrorKind::Dependency { .. })
    }
}
