//! Which of PostgreSQL's errors may pass.

use hostread_sink_kit::SinkError;
use sqlx::Error;

use crate::NAME;

/// Classes and codes of SQLSTATE that say "not now": connection, a transaction that stood still (this process did, or the
/// network), rollback, resources, lock, operator, system.
const PASSING: &[&str] = &["08", "25P03", "40", "53", "55P03", "57", "58"];

/// May the same request work later?
pub(crate) fn passes(error: &Error) -> bool {
    match error {
        Error::Io(_)
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::WorkerCrashed
        | Error::Protocol(_) => true,
        Error::Database(error) => error
            .code()
            .is_some_and(|code| PASSING.iter().any(|passing| code.starts_with(passing))),
        _ => false,
    }
}

pub(crate) fn classed(doing: &str, error: Error) -> SinkError {
    SinkError::of_server(NAME, doing, passes(&error), error)
}
