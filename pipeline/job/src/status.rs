//! Where the job stands, for `/readyz`, `/metrics` and reports.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hostread_schemas::{EventTimeMs, Tick};

use crate::restating::{Passages, Restating, Underway};

/// Freshness samples that are kept; older ones are forgotten.
const FRESHNESS_SAMPLES_MAX: usize = 100_000;

/// Shared by the threads of a job and by whoever asks.
#[derive(Default, Debug)]
pub struct Status {
    pub(crate) fed: AtomicU64,
    pub(crate) durable: AtomicU64,
    pub(crate) settled: AtomicU64,
    pub(crate) clock: AtomicI64,
    pub(crate) events: AtomicU64,
    pub(crate) behind: AtomicU64,
    pub(crate) undecodable: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) rows_written: AtomicU64,
    pub(crate) live_events: AtomicUsize,
    pub(crate) head_bytes: AtomicUsize,
    pub(crate) caught_up: AtomicBool,
    pub(crate) loaded: AtomicBool,
    pub(crate) stop: AtomicBool,
    pub(crate) failed: Mutex<Option<String>>,
    pub(crate) trouble: Mutex<BTreeMap<&'static str, String>>,
    pub(crate) uppers: Mutex<BTreeMap<&'static str, Tick>>,
    /// The newest change that moves the past, seen or not.
    pub(crate) change: Mutex<Option<Underway>>,
    pub(crate) passages: Passages,
    freshness_ms: Mutex<VecDeque<u32>>,
}

/// How old events were when a reader could see them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FreshnessSummary {
    /// Ranges measured.
    pub ranges: usize,
    /// Half of them were at most this old, in milliseconds.
    pub p50_ms: u32,
    /// 99 of 100 were at most this old, in milliseconds.
    pub p99_ms: u32,
}

pub(crate) fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Status {
    /// Newest tick whose record was fed.
    pub fn fed(&self) -> Tick {
        Tick(self.fed.load(Ordering::Acquire))
    }

    /// Newest tick that survives a crash.
    pub fn durable(&self) -> Tick {
        Tick(self.durable.load(Ordering::Acquire))
    }

    /// Every tick below has left for the sinks.
    pub fn settled(&self) -> Tick {
        Tick(self.settled.load(Ordering::Acquire))
    }

    /// Nothing waits in the log.
    pub(crate) fn idle(&self) -> bool {
        self.caught_up.load(Ordering::Acquire)
    }

    /// The pipeline's clock.
    pub fn clock(&self) -> EventTimeMs {
        EventTimeMs(self.clock.load(Ordering::Acquire))
    }

    /// Events read from the log since the start.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Records that wait in the log, by its own word.
    pub fn behind(&self) -> u64 {
        self.behind.load(Ordering::Relaxed)
    }

    /// Changes that wait in memory for the slowest sink.
    pub fn waiting_changes(&self) -> usize {
        self.passages.waiting()
    }

    /// Records that could not be read, and events that were refused.
    pub fn dead_letters(&self) -> u64 {
        self.undecodable.load(Ordering::Relaxed) + self.refused.load(Ordering::Relaxed)
    }

    /// Events dropped because they are there already.
    pub fn duplicates(&self) -> u64 {
        self.duplicates.load(Ordering::Relaxed)
    }

    /// Events that came after their day was sealed.
    pub fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    /// Rows given to sinks since the start.
    pub fn rows_written(&self) -> u64 {
        self.rows_written.load(Ordering::Relaxed)
    }

    /// Live events, and the bytes that the head holds for them.
    pub fn head(&self) -> (usize, usize) {
        (
            self.live_events.load(Ordering::Relaxed),
            self.head_bytes.load(Ordering::Relaxed),
        )
    }

    /// Each sink's upper.
    pub fn uppers(&self) -> BTreeMap<&'static str, Tick> {
        guard(&self.uppers).clone()
    }

    /// The lowest upper.
    pub fn upper(&self) -> Tick {
        guard(&self.uppers)
            .values()
            .copied()
            .min()
            .unwrap_or_default()
    }

    /// Everything in the log was read, and every sink shows it.
    pub fn caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Acquire) && self.upper() > self.fed()
    }

    /// Whether a change of what counts is on its way to readers, and how far it is.
    pub fn restating(&self) -> Option<Restating> {
        let change = guard(&self.change).clone()?;
        (self.upper() <= change.tick).then(|| {
            let written = (self.settled() > change.tick).then(|| self.passages.progress());
            change.restating(written)
        })
    }

    /// Why the job is not ready, if it is not.
    pub fn trouble(&self) -> Option<String> {
        if let Some(failed) = guard(&self.failed).clone() {
            return Some(failed);
        }
        if !self.loaded.load(Ordering::Acquire) {
            return Some("loading the live events".to_owned());
        }
        let trouble = guard(&self.trouble);
        let texts = trouble.iter().map(|(part, why)| format!("{part}: {why}"));
        (!trouble.is_empty()).then(|| texts.collect::<Vec<_>>().join("; "))
    }

    /// Why the job stopped, if it did.
    pub fn failure(&self) -> Option<String> {
        guard(&self.failed).clone()
    }

    /// Freshness over the last ranges.
    pub fn freshness(&self) -> FreshnessSummary {
        summary(guard(&self.freshness_ms).iter().copied().collect())
    }

    /// Freshness over the ranges since this was last asked.
    pub fn take_freshness(&self) -> FreshnessSummary {
        summary(guard(&self.freshness_ms).drain(..).collect())
    }

    pub(crate) fn note_freshness(&self, ms: i64) {
        let mut samples = guard(&self.freshness_ms);
        if samples.len() == FRESHNESS_SAMPLES_MAX {
            samples.pop_front();
        }
        samples.push_back(u32::try_from(ms.max(0)).unwrap_or(u32::MAX));
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub(crate) fn fail(&self, why: String) {
        guard(&self.failed).get_or_insert(why);
        self.stop.store(true, Ordering::Release);
    }

    /// What is wrong with a part, if anything is; `true` when that began or ended now.
    pub(crate) fn set_trouble(&self, part: &'static str, why: Option<String>) -> bool {
        let mut trouble = guard(&self.trouble);
        let now = why.is_some();
        let before = match why {
            Some(why) => trouble.insert(part, why),
            None => trouble.remove(part),
        };
        before.is_some() != now
    }
}

fn summary(mut ages: Vec<u32>) -> FreshnessSummary {
    ages.sort_unstable();
    let at = |permille: usize| {
        let index = (ages.len() * permille / 1000).min(ages.len().saturating_sub(1));
        ages.get(index).copied().unwrap_or(0)
    };
    FreshnessSummary {
        ranges: ages.len(),
        p50_ms: at(500),
        p99_ms: at(990),
    }
}
