//! What goes wrong: why the job may stop, how it ends, and what is left of it.

use hostread_job::JobError;
use hostread_schemas::HOUR_MS;

use crate::run::{MINUTE_MS, Sim};
use crate::sink::SINKS;

/// Why the job may stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    Power,
    SyncFails,
    Full,
    Jump,
    Log,
}

impl Reason {
    /// What the job says when it stops for it.
    const fn text(self) -> &'static str {
        match self {
            Self::Power => "simulated disk has no power",
            Self::SyncFails => "simulated disk could not write back",
            Self::Full => "no storage space",
            Self::Jump => "clock jumped",
            Self::Log => "log has been closed",
        }
    }
}

impl Sim {
    /// What may go wrong is prepared; it happens in one of the next steps.
    pub(crate) fn trouble(&mut self) {
        match self.rng.below(11) {
            0..3 => self.kill(),
            3..7 => {
                let at = self.disk.steps() + 1 + self.rng.below(40);
                self.disk.power_off_at(at);
                self.reasons.push(Reason::Power);
                self.note(|_| format!("power will fail at write {at}"));
            }
            7 => {
                self.disk.fail_next_sync();
                self.reasons.push(Reason::SyncFails);
                self.note(|_| "the next sync will fail".to_owned());
            }
            8 => {
                let free = self.rng.below(20_000);
                self.disk.set_free_bytes(Some(free));
                self.reasons.push(Reason::Full);
                self.note(|_| format!("{free} bytes are left"));
            }
            9 => {
                self.reasons.push(Reason::Jump);
                self.wait(25 * HOUR_MS);
            }
            _ => {
                self.log.fail_next();
                self.reasons.push(Reason::Log);
                self.note(|_| "the log will fail".to_owned());
                self.read(true);
            }
        }
    }

    /// An owner of the past goes on with what it was writing.
    pub(crate) fn write_late(&mut self) {
        let Some((sink, mut writing)) = self.past.pop() else {
            return;
        };
        let store = &self.sides[sink].server.store;
        let (rows, written) = (store.rows(), store.rows_written());
        let result = self.runtime.block_on(writing.write());
        assert!(
            matches!(&result, Err(JobError::Sink { .. })),
            "invariant 8: {result:?}"
        );
        let store = &self.sides[sink].server.store;
        assert!(
            store.rows() == rows && store.rows_written() == written,
            "invariant 8"
        );
        self.seen.fenced += 1;
        self.note(|_| format!("an owner of the past is refused by sink {sink}"));
    }

    /// The job stopped by itself: for one of the reasons that it was given.
    pub(crate) fn stopped(&mut self, error: &JobError) {
        let text = error.in_full();
        self.note(|_| format!("stopped: {text}"));
        let known = self
            .reasons
            .iter()
            .any(|reason| text.contains(reason.text()));
        assert!(known, "invariant 9: the job stopped: {text}");
        self.kill();
    }

    /// The process ends at once. With the power off, the machine does.
    pub(crate) fn kill(&mut self) {
        let Some(mut job) = self.job.take() else {
            return;
        };
        // Its last words may have reached the disk.
        for sink in job.sinks() {
            drop(sink.pending());
        }
        let over_the_network = job.into_sinks().into_iter().take(SINKS.len());
        for (sink, mut writing) in over_the_network.enumerate() {
            if writing.pending().is_ok_and(|held| held.is_some()) {
                self.past.push((sink, writing));
            }
        }
        self.past.truncate(4);
        self.end_troubles();
        self.note(|_| "killed".to_owned());
        if self.rng.chance(1, 15) {
            self.empty();
        }
        let down = match self.rng.below(10) {
            0..7 => self.rng.range(0, 10 * MINUTE_MS),
            7..9 => self.rng.range(0, 6 * HOUR_MS),
            _ => self.rng.range(0, 60 * HOUR_MS),
        };
        self.wait(down);
    }

    /// Somebody empties a sink, so that it is filled again.
    fn empty(&mut self) {
        let number = self.rng.index(SINKS.len());
        let side = &mut self.sides[number];
        let mut sink = side.server.sink(number);
        self.runtime.block_on(sink.clear()).unwrap();
        side.shown.clear();
        self.past.retain(|(sink, _)| *sink != number);
        self.seen.emptied += 1;
        self.note(|_| format!("sink {number} is emptied"));
    }

    /// What was prepared is over.
    pub(crate) fn end_troubles(&mut self) {
        // A sync that failed takes nothing away from who looks at once, only from who looks after a power failure.
        let sync_failed = self.reasons.contains(&Reason::SyncFails);
        let power_fails = self.reasons.contains(&Reason::Power);
        let crashes = power_fails || (sync_failed && self.rng.chance(1, 2));
        if crashes {
            self.disk.crash();
            self.seen.power_failures += 1;
            self.note(|_| "power is back".to_owned());
        }
        self.disk.set_free_bytes(None);
        // A sync that is still to fail does so later, unless the machine is another by then.
        let stays = |reason: &Reason| *reason == Reason::SyncFails && !crashes;
        self.reasons.retain(stays);
    }
}
