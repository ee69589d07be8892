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
    /// The latest that the machine's clock showed while the job ran; 0: it was not looked at yet.
    seen: i64,
}

impl Pace {
    pub(crate) const fn new(clock: Clock) -> Self {
        Self { clock, seen: 0 }
    }

    /// Looks at the machine's clock: between two looks it must not go on by more than a day, whatever the log and the sinks
    /// do meanwhile.
    pub(crate) fn look(&mut self) -> Result<(), JobError> {
        let (Clock::Wall(now) | Clock::Running(now)) = &self.clock else {
            return Ok(());
        };
        let now = now();
        let jumps = self.seen > 0 && now.saturating_sub(self.seen) > JUMP_MS_MAX;
        if jumps && matches!(self.clock, Clock::Wall(_)) {
            return Err(JobError::ClockJumped {
                from: EventTimeMs(self.seen),
                to: EventTimeMs(now),
            });
        }
        self.seen = self.seen.max(now);
        Ok(())
    }

    pub(crate) const fn is_samples(&self) -> bool {
        matches!(self.clock, Clock::Samples)
    }

    /// What the clock should show: never before `previous`, and never after `until`, behind which something waits to be read.
    pub(crate) fn next(&self, previous: EventTimeMs, until: Option<i64>) -> EventTimeMs {
        let next = match (&self.clock, until) {
            (Clock::Wall(_) | Clock::Running(_), None) => self.seen,
            (Clock::Wall(_) | Clock::Running(_), Some(until)) => until.min(self.seen),
            (Clock::Samples, until) => until.unwrap_or(0),
        };
        EventTimeMs(previous.0.max(next))
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
        pace.look().unwrap();
        // A hundred days after the last stop.
        let reached = pace.next(start, None);
        assert_eq!(reached.0, 1_100 * DAY_MS);
        set_to(1_101 * DAY_MS);
        pace.look().unwrap();
        let next = pace.next(reached, None);
        assert_eq!(next.0, 1_101 * DAY_MS, "a day at once is slow, no jump");
        set_to(900 * DAY_MS);
        pace.look().unwrap();
        assert_eq!(pace.next(next, None), next, "never back");
        set_to(1_102 * DAY_MS + 1);
        let jumped = pace.look().unwrap_err();
        assert!(matches!(jumped, JobError::ClockJumped { .. }), "{jumped}");
    }

    #[test]
    fn a_backlog_holds_the_clock_back_and_is_no_jump() {
        let (mut pace, set_to) = set(true);
        set_to(1_100 * DAY_MS);
        pace.look().unwrap();
        let held = pace.next(EventTimeMs(0), Some(1_000 * DAY_MS));
        assert_eq!(held.0, 1_000 * DAY_MS);
        // A database is away for a weekend: nothing is read, and then all at once.
        for hours in 0..60 {
            set_to(1_100 * DAY_MS + hours * 3_600_000);
            pace.look().unwrap();
        }
        let now = pace.next(held, None);
        assert_eq!(now.0, 1_102 * DAY_MS + 11 * 3_600_000);
    }

    #[test]
    fn the_samples_own_time_may_jump() {
        let (mut pace, set_to) = set(false);
        set_to(DAY_MS);
        pace.look().unwrap();
        let first = pace.next(EventTimeMs(0), None);
        set_to(30 * DAY_MS);
        pace.look().unwrap();
        assert_eq!(pace.next(first, None).0, 30 * DAY_MS);
    }
}
