//! How far the numbers are with a change of rules, catalog, deals or settings.
//!
//! Promises: of one stage, `done` never passes `total`; both go on from one change to the next until readers see them all.
//! It is for people: no row depends on it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use hostread_dataflow::Recount;
use hostread_journal::TickRecord;
use hostread_schemas::fact::FactBody;
use hostread_schemas::{EventTimeMs, Tick};

use crate::status::{Status, guard};

/// What is done first, and what then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Listener-days that the change can move are counted anew, then all that rests on them.
    Computing,
    /// Changes of rows are on their way to the sinks.
    Writing,
}

impl Stage {
    /// As a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Computing => "computing",
            Self::Writing => "writing",
        }
    }
}

/// Rules, catalog, deals or settings changed, and numbers that readers see do not all follow yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Restating {
    /// The newest such change.
    pub tick: Tick,
    /// The clock of its tick.
    pub clock: EventTimeMs,
    /// When the oldest change under way was accepted at a door, by the machine's clock.
    pub accepted_at_ms: i64,
    /// What is under way.
    pub stage: Stage,
    /// While computing: listener-days counted anew; while writing: changes that the slowest sink has written.
    pub done: u64,
    /// Of so many: those found so far that the change can move; changes that waited for that sink when all was computed.
    pub total: u64,
}

/// A change that was fed.
#[derive(Clone, Debug)]
pub(crate) struct Underway {
    pub(crate) tick: Tick,
    clock: EventTimeMs,
    accepted_at_ms: i64,
    recount: Arc<Recount>,
    /// Listener-days that had been counted anew before.
    done_before: u64,
}

impl Underway {
    pub(crate) fn restating(&self, written: Option<(u64, u64)>) -> Restating {
        let (done, found) = self.recount.now();
        let (stage, (done, total)) = match written {
            Some(progress) => (Stage::Writing, progress),
            None => {
                let since = |days: u64| days.saturating_sub(self.done_before);
                (Stage::Computing, (since(done), since(found)))
            }
        };
        Restating {
            tick: self.tick,
            clock: self.clock,
            accepted_at_ms: self.accepted_at_ms,
            stage,
            done,
            total,
        }
    }
}

impl Status {
    /// A record is about to be fed: does it move the past?
    pub(crate) fn note_change(&self, record: &TickRecord, recount: &Arc<Recount>) {
        // A tick with such a fact holds no others.
        let first = record.events.first();
        if !first.is_some_and(|(fact, _)| moves_the_past(&fact.body)) {
            return;
        }
        let before = self.restating();
        let mut change = guard(&self.change);
        let going_on = change.take().filter(|_| before.is_some());
        *change = Some(Underway {
            tick: record.tick,
            clock: record.clock,
            accepted_at_ms: going_on
                .as_ref()
                .map_or(record.accepted_at_ms, |change| change.accepted_at_ms),
            recount: Arc::clone(recount),
            done_before: going_on.map_or_else(|| recount.now().0, |change| change.done_before),
        });
    }

    /// All changes of a tick were sent to the sinks.
    pub(crate) fn note_computed(&self, tick: Tick) {
        if matches!(&*guard(&self.change), Some(change) if change.tick == tick) {
            self.passages.mark();
        }
    }
}

const fn moves_the_past(body: &FactBody) -> bool {
    match body {
        FactBody::Episode(_)
        | FactBody::Slot(_)
        | FactBody::Store(..)
        | FactBody::Campaign(..)
        | FactBody::Line(_)
        | FactBody::Code(..)
        | FactBody::Aired { .. }
        | FactBody::RuleSet(_)
        | FactBody::Settings(_) => true,
        FactBody::Request(_)
        | FactBody::Impression(_)
        | FactBody::Signal(_)
        | FactBody::Show(_)
        | FactBody::Agent(..)
        | FactBody::Carry(_) => false,
    }
}

/// The way of changes to a sink; in changes since the start.
#[derive(Default, Debug)]
struct Passage {
    sent: u64,
    written: u64,
    /// What the newest change of the past needs: from there to there.
    wanted: (u64, u64),
    in_hand: Option<InHand>,
}

/// A range that is being written.
#[derive(Debug)]
struct InHand {
    changes: u64,
    rows: u64,
    rows_done: Arc<AtomicU64>,
}

impl Passage {
    /// Where it is, with what of the range in hand has arrived.
    fn at(&self) -> u64 {
        let part = self.in_hand.as_ref().map_or(0, |range| {
            let done = range.rows_done.load(Ordering::Relaxed).min(range.rows);
            let part = u128::from(range.changes) * u128::from(done) / u128::from(range.rows.max(1));
            u64::try_from(part).unwrap_or(range.changes)
        });
        self.written + part
    }
}

/// The ways to all sinks.
#[derive(Default, Debug)]
pub(crate) struct Passages(Mutex<BTreeMap<&'static str, Passage>>);

impl Passages {
    /// Changes were sent to a sink.
    pub(crate) fn send(&self, sink: &'static str, changes: usize) {
        guard(&self.0).entry(sink).or_default().sent += changes as u64;
    }

    /// A sink begins a range of so many changes, rows for it.
    pub(crate) fn begin(
        &self,
        sink: &'static str,
        changes: usize,
        rows: usize,
        rows_done: &Arc<AtomicU64>,
    ) {
        rows_done.store(0, Ordering::Relaxed);
        guard(&self.0).entry(sink).or_default().in_hand = Some(InHand {
            changes: changes as u64,
            rows: rows as u64,
            rows_done: Arc::clone(rows_done),
        });
    }

    /// It has written the range.
    pub(crate) fn finish(&self, sink: &'static str) {
        if let Some(passage) = guard(&self.0).get_mut(sink)
            && let Some(range) = passage.in_hand.take()
        {
            passage.written += range.changes;
        }
    }

    /// Changes that a sink has written before a start.
    pub(crate) fn pass(&self, sink: &'static str, changes: usize) {
        guard(&self.0).entry(sink).or_default().written += changes as u64;
    }

    /// Changes that wait in memory for the slowest sink: a range is let go as a whole.
    pub(crate) fn waiting(&self) -> usize {
        let waiting = |passage: &Passage| passage.sent.saturating_sub(passage.written);
        let most = guard(&self.0).values().map(waiting).max().unwrap_or(0);
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    /// What was sent so far is wanted.
    fn mark(&self) {
        for passage in guard(&self.0).values_mut() {
            let (from, to) = passage.wanted;
            let goes_on = passage.written < to;
            passage.wanted = (if goes_on { from } else { passage.written }, passage.sent);
        }
    }

    /// Of what is wanted: written, and all, for the slowest sink.
    pub(crate) fn progress(&self) -> (u64, u64) {
        let passages = guard(&self.0);
        let wanted = |passage: &Passage| passage.wanted.1.saturating_sub(passage.wanted.0);
        let left = |passage: &Passage| passage.wanted.1.saturating_sub(passage.at());
        let total = passages.values().map(wanted).max().unwrap_or(0);
        let left = passages.values().map(left).max().unwrap_or(0);
        (total.saturating_sub(left), total)
    }
}

#[cfg(test)]
mod tests {
    use hostread_schemas::fact::{Fact, RequestFact, RuleSetFact};
    use hostread_schemas::{EventId, TenantId};

    use super::*;

    fn record(tick: u64, body: FactBody) -> TickRecord {
        let fact = Fact {
            tenant: TenantId(1),
            time: EventTimeMs(0),
            id: EventId::default(),
            body,
        };
        TickRecord {
            tick: Tick(tick),
            clock: EventTimeMs(1_000),
            accepted_at_ms: 50 + i64::try_from(tick).unwrap_or(0),
            events: vec![(fact, 1)],
            ..TickRecord::default()
        }
    }

    fn rules(tick: u64) -> TickRecord {
        record(tick, FactBody::RuleSet(RuleSetFact::default()))
    }

    fn upper(status: &Status, sink: &'static str, upper: u64) {
        guard(&status.uppers).insert(sink, Tick(upper));
    }

    /// Stage, done and total.
    fn now(status: &Status) -> Option<(Stage, u64, u64)> {
        let it = status.restating()?;
        Some((it.stage, it.done, it.total))
    }

    #[test]
    fn a_change_restates_until_every_sink_shows_it() {
        let (status, recount) = (Status::default(), Arc::new(Recount::default()));
        upper(&status, "a", 7);
        upper(&status, "b", 7);
        status.note_change(
            &record(6, FactBody::Request(RequestFact::default())),
            &recount,
        );
        assert_eq!(status.restating(), None);
        // Of a change that nobody waits for any more.
        recount.find(5);
        recount.finish(5);
        status.note_change(&rules(7), &recount);
        status.settled.store(7, Ordering::Release);
        assert_eq!(now(&status), Some((Stage::Computing, 0, 0)));
        recount.find(10);
        recount.finish(4);
        assert_eq!(now(&status), Some((Stage::Computing, 4, 10)));
        // Another one before the first is seen: both are what is left.
        status.note_change(&rules(8), &recount);
        recount.finish(6);
        recount.find(1);
        assert_eq!(now(&status), Some((Stage::Computing, 10, 11)));
        let it = status.restating().expect("it is under way");
        assert_eq!((it.tick, it.accepted_at_ms), (Tick(8), 57));

        for sink in ["a", "b"] {
            status.passages.send(sink, 300);
        }
        status.note_computed(Tick(7));
        assert_eq!(now(&status), Some((Stage::Computing, 10, 11)));
        status.note_computed(Tick(8));
        status.settled.store(9, Ordering::Release);
        assert_eq!(now(&status), Some((Stage::Writing, 0, 300)));
        // What is sent behind it is none of it.
        status.passages.send("a", 50);
        let rows_done = Arc::new(AtomicU64::new(9));
        status.passages.begin("a", 350, 20, &rows_done);
        status.passages.finish("a");
        upper(&status, "a", 10);
        assert_eq!(now(&status), Some((Stage::Writing, 0, 300)));
        status.passages.begin("b", 300, 20, &rows_done);
        rows_done.store(5, Ordering::Relaxed);
        assert_eq!(now(&status), Some((Stage::Writing, 75, 300)));
        assert_eq!(
            status.waiting_changes(),
            300,
            "a range is let go as a whole"
        );
        status.passages.finish("b");
        upper(&status, "b", 9);
        assert_eq!((status.restating(), status.waiting_changes()), (None, 0));
    }

    #[test]
    fn a_change_that_comes_while_one_is_written_adds_to_it() {
        let (status, recount) = (Status::default(), Arc::new(Recount::default()));
        upper(&status, "a", 7);
        status.note_change(&rules(7), &recount);
        status.passages.send("a", 100);
        status.note_computed(Tick(7));
        status.note_change(&rules(8), &recount);
        status.passages.begin("a", 100, 1, &Arc::default());
        status.passages.send("a", 40);
        status.note_computed(Tick(8));
        status.settled.store(9, Ordering::Release);
        assert_eq!(now(&status), Some((Stage::Writing, 0, 140)));
        status.passages.finish("a");
        assert_eq!(now(&status), Some((Stage::Writing, 100, 140)));
    }
}
