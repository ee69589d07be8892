//! What can go wrong in the journal, and who has to act.

use std::path::{Path, PathBuf};

use hostread_disk::{DiskError, ErrorKind};
use hostread_schemas::Tick;

/// Result of a journal call.
pub type Result<T, E = JournalError> = std::result::Result<T, E>;

/// A failed journal call.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A file could not be read or written, or is damaged.
    #[error("the journal's disk failed")]
    Disk(#[from] DiskError),
    /// Bytes that had been durable do not say what was written.
    #[error("journal file \"{}\" is damaged at byte {offset}: {reason}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where; 0 where the file as a whole does not hold.
        offset: u64,
        /// What does not hold.
        reason: &'static str,
    },
    /// The folder belongs to an installation with another key.
    #[error("the journal in \"{}\" was written under another key", dir.display())]
    OtherKey {
        /// The folder.
        dir: PathBuf,
    },
    /// Written by a newer version.
    #[error("journal file \"{}\" has format {found}; this version reads {known}", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// Ticks are appended one after the other.
    #[error("tick {got} was given where tick {expected} belongs")]
    OutOfOrder {
        /// The next tick.
        expected: Tick,
        /// The one given.
        got: Tick,
    },
    /// A tick outside what the journal can still answer for.
    #[error("tick {tick} is outside {since}..={last}")]
    OutOfRange {
        /// The tick asked for.
        tick: Tick,
        /// Oldest state kept.
        since: Tick,
        /// Newest durable tick.
        last: Tick,
    },
    /// A record could not be written in the journal's form.
    #[error("could not encode a journal record")]
    Encode(#[source] postcard::Error),
    /// A promise between head and journal was broken.
    #[error("journal invariant broken: {0}")]
    Broken(&'static str),
}

impl JournalError {
    /// Who has to act.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Disk(error) => error.kind(),
            Self::OtherKey { .. } | Self::Format { .. } | Self::OutOfRange { .. } => {
                ErrorKind::Input
            }
            Self::Damaged { .. } | Self::OutOfOrder { .. } | Self::Encode(_) | Self::Broken(_) => {
                ErrorKind::Bug
            }
        }
    }

    /// Whether the journal's disk is full: the same call may work once there is room.
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::Disk(error) if error.is_no_space())
    }

    pub(crate) fn damaged(path: &Path, offset: u64, reason: &'static str) -> Self {
        Self::Damaged {
            path: path.to_path_buf(),
            offset,
            reason,
        }
    }
}
