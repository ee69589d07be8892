//! The pipeline's clock: the one file of the job that may look at the wall.

use std::sync::Arc;

use hostread_schemas::{DAY_MS, EventTimeMs};

use crate::error::JobError;

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

/// The machine's clock may go on by this much at once while the job runs.
const JUMP_MS_MAX: i64 = DAY_MS;

/// Tells the time, in milliseconds since the epoch.
pub type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Where the clock of a tick comes from.
#[derive(Clone)]
pub enum Clock {
    /// The machine's: held back to what has been read while there is a backlog. A jump stops the job.
    Wall(Now),
    /// As the machine's, but it may jump: the samples' own time as the doors see it.
    Running(Now),
    /// The samples' own time: when the newest event that was read had been received.
    Samples,
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Wall(_) => "Wall",
            Self::Running(_) => "Running",
            Self::Samples => "Samples",
        })
    }
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn wall() -> Self {
        Self::Wall(Arc::new(wall_ms))
    }

    /// What the machine's clock shows: ages are counted by it.
    pub(crate) fn machine_ms(&self) -> i64 {
        match self {
            Self::Wall(now) => now(),
            Self::Running(_) | Self::Samples => wall_ms(),
        }
    }
}

/// What a clock says next. Days are sealed by it for good, so one that was set wrong must not pass.
pub(crate) struct Pace {
    clock: Clock,
    /// The clock was reached since the start: from now on it only ticks.
    reached: bool,
}

impl Pace {
    pub(crate) const fn new(clock: Clock) -> Self {
        let reached = false;
        Self { clock, reached }
    }

    pub(crate) const fn is_samples(&self) -> bool {
        matches!(self.clock, Clock::Samples)
    }

    /// What the clock should show: never before `previous`.
    pub(crate) fn next(
        &mut self,
        previous: EventTimeMs,
        received_max: i64,
        caught_up: bool,
    ) -> Result<EventTimeMs, JobError> {
        let next = match &self.clock {
            Clock::Wall(now) | Clock::Running(now) if caught_up => now(),
            Clock::Wall(now) | Clock::Running(now) => received_max.min(now()),
            Clock::Samples => received_max,
        };
        let next = EventTimeMs(previous.0.max(next));
        let jumps = next.0.saturating_sub(previous.0) > JUMP_MS_MAX;
        if jumps && self.reached && matches!(self.clock, Clock::Wall(_)) {
            return Err(JobError::ClockJumped {
                from: previous,
                to: next,
            });
        }
        self.reached |= caught_up;
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    /// A clock that is set by hand, and how to set it.
    fn set(wall: bool) -> (Pace, impl Fn(i64)) {
        let time = Arc::new(AtomicI64::new(0));
        let told = Arc::clone(&time);
        let now: Now = Arc::new(move || told.load(Ordering::Relaxed));
        let clock = if wall {
            Clock::Wall(now)
        } else {
            Clock::Running(now)
        };
        (Pace::new(clock), move |ms| {
            time.store(ms, Ordering::Relaxed);
        })
    }

    #[test]
    fn a_jump_while_running_stops_and_one_after_a_stop_does_not() {
        let (mut pace, set_to) = set(true);
        let start = EventTimeMs(1_000 * DAY_MS);
        set_to(1_100 * DAY_MS);
        // A hundred days after the last stop.
        let reached = pace.next(start, 0, true).unwrap();
        assert_eq!(reached.0, 1_100 * DAY_MS);
        set_to(1_101 * DAY_MS);
        let next = pace.next(reached, 0, true).unwrap();
        assert_eq!(next.0, 1_101 * DAY_MS, "a day at once is slow, no jump");
        set_to(1_102 * DAY_MS + 1);
        let jumped = pace.next(next, 0, true).unwrap_err();
        assert!(matches!(jumped, JobError::ClockJumped { .. }), "{jumped}");
        set_to(900 * DAY_MS);
        assert_eq!(pace.next(next, 0, true).unwrap(), next, "never back");
    }

    #[test]
    fn a_backlog_holds_the_clock_back_and_is_no_jump() {
        let (mut pace, set_to) = set(true);
        set_to(1_100 * DAY_MS);
        let held = pace.next(EventTimeMs(0), 1_000 * DAY_MS, false).unwrap();
        assert_eq!(held.0, 1_000 * DAY_MS);
        let now = pace.next(held, 1_001 * DAY_MS, true).unwrap();
        assert_eq!(now.0, 1_100 * DAY_MS);
    }

    #[test]
    fn the_samples_own_time_may_jump() {
        let (mut pace, set_to) = set(false);
        set_to(DAY_MS);
        let first = pace.next(EventTimeMs(0), 0, true).unwrap();
        set_to(30 * DAY_MS);
        assert_eq!(pace.next(first, 0, true).unwrap().0, 30 * DAY_MS);
    }
}
