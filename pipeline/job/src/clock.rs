//! The pipeline's clock: the one file of the job that may look at the wall.

use hostread_schemas::EventTimeMs;
use std::sync::Arc;

/// Milliseconds since the epoch by the machine's clock.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place; it ends as a field of the tick record"
)]
pub fn wall_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| {
            i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
        })
}

/// Where the clock of a tick comes from.
#[derive(Clone)]
pub enum Clock {
    /// A clock that runs on its own (the wall); held back to what has been read while there is a backlog.
    Running(Arc<dyn Fn() -> i64 + Send + Sync>),
    /// The samples' own time: when the newest event that was read had been received.
    Samples,
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Running(_) => "Running",
            Self::Samples => "Samples",
        })
    }
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn wall() -> Self {
        Self::Running(Arc::new(wall_ms))
    }

    /// What the clock should show: never before `previous`.
    pub(crate) fn target(
        &self,
        previous: EventTimeMs,
        received_max: i64,
        caught_up: bool,
    ) -> EventTimeMs {
        let now = match self {
            Self::Running(now) if caught_up => now(),
            Self::Running(now) => received_max.min(now()),
            Self::Samples => received_max,
        };
        EventTimeMs(previous.0.max(now))
    }
}
