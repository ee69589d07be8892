//! What can go wrong with a file, and who can do something about it.

use std::io;
use std::path::{Path, PathBuf};

/// Result of a disk call.
pub type Result<T, E = DiskError> = std::result::Result<T, E>;

/// Who has to act on an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// What the caller handed in cannot be used.
    Input,
    /// The machine did not do its part; it may later.
    Dependency,
    /// A promise was broken: stop.
    Bug,
}

/// A failed disk call.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The operating system said no.
    #[error("could not {action} \"{}\"", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Bytes that had been durable are not what was written.
    #[error("file \"{}\" is damaged at byte {offset}: {reason}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// First byte of the frame that does not hold.
        offset: u64,
        /// What does not hold.
        reason: &'static str,
    },
    /// A record over the limit of a frame.
    #[error("record of {bytes} bytes for \"{}\" is over the limit of {bytes_max}", path.display())]
    TooLarge {
        /// Which file it was for.
        path: PathBuf,
        /// Size of the record.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// Somebody else has the lock.
    #[error("\"{}\" is in use by another process", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// An earlier write or sync failed in a way that leaves the file's end unknown; open it again.
    #[error("file \"{}\" takes no more writes after an earlier failure", path.display())]
    Stopped {
        /// Which file.
        path: PathBuf,
    },
}

impl DiskError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_path_buf(),
            source,
        }
    }

    /// Who has to act.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } | Self::Locked { .. } | Self::Stopped { .. } => ErrorKind::Dependency,
            Self::TooLarge { .. } => ErrorKind::Input,
            Self::Damaged { .. } => ErrorKind::Bug,
        }
    }

    /// Whether the disk is full: the same call may work once there is room.
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }

    /// Whether the file does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}
