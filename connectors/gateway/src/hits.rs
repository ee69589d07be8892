//! Hits that were answered before they are durable: the redirect waits for nothing.
//! Promises: `push` never waits; a hit is in the log or the spill soon afterwards, or it is counted as lost.
//! Leaves out: hits of a process that dies with some in hand; at most `events_max`, as a rule those of the last milliseconds.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hostread_schemas::event::Event;
use tokio::sync::Notify;

use crate::intake::Intake;
use crate::telemetry;

/// Hits that come within this time go to the log together. Shorter: a sync for each few; longer: more are lost with the process.
const GATHER: Duration = Duration::from_millis(5);

/// Why a hit is not kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lost {
    /// As many as may wait are waiting.
    Queue,
    /// The tenant's rate.
    Rate,
    /// The log is away and the spill is full.
    Spill,
    /// No event can be made of it.
    Unusable,
}

impl Lost {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Rate => "rate",
            Self::Spill => "spill",
            Self::Unusable => "unusable",
        }
    }
}

/// Hits on their way to the log.
pub(crate) struct Hits {
    events_max: usize,
    waiting: Mutex<Vec<Event>>,
    wake: Notify,
    /// Taken from `waiting` and not durable yet.
    in_hand: AtomicU64,
    lost: AtomicU64,
    closed: AtomicBool,
}

impl Hits {
    pub(crate) fn new(events_max: u32) -> Self {
        Self {
            events_max: events_max as usize,
            waiting: Mutex::default(),
            wake: Notify::new(),
            in_hand: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// Takes a hit, if there is room.
    pub(crate) fn push(&self, event: Event) {
        let mut waiting = self.waiting();
        let held = waiting.len() + self.in_hand.load(Ordering::Relaxed) as usize;
        if held >= self.events_max {
            drop(waiting);
            self.lose(Lost::Queue, 1);
            return;
        }
        waiting.push(event);
        drop(waiting);
        self.wake.notify_one();
    }

    pub(crate) fn lose(&self, why: Lost, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
        telemetry::hits_lost(why, count);
    }

    /// Hits that are not durable yet.
    pub(crate) fn waiting_count(&self) -> u64 {
        self.waiting().len() as u64 + self.in_hand.load(Ordering::Relaxed)
    }

    /// Hits since start that are in no log.
    pub(crate) fn lost_count(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Makes hits durable as they come, until `close`.
    pub(crate) async fn drain(&self, intake: &Intake) {
        while !self.closed.load(Ordering::Relaxed) {
            self.wake.notified().await;
            tokio::time::sleep(GATHER).await;
            self.flush(intake).await;
        }
        // What came while the last one was under way.
        self.flush(intake).await;
    }

    /// No more will come: `drain` ends with what waits.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    async fn flush(&self, intake: &Intake) {
        let events = {
            let mut waiting = self.waiting();
            self.in_hand
                .fetch_add(waiting.len() as u64, Ordering::Relaxed);
            std::mem::take(&mut *waiting)
        };
        let count = events.len() as u64;
        let cut = intake.append_or_spill(&events).await;
        self.in_hand.fetch_sub(count, Ordering::Relaxed);
        if cut > 0 {
            self.lose(Lost::Spill, cut);
        }
        telemetry::hits_kept(count - cut, self.waiting_count());
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Event>> {
        // Whoever panicked held it for a push or a take: the hits are whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
