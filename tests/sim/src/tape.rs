//! Every durable tick of a run, and what an uninterrupted run makes of them.

use std::collections::BTreeMap;

use hostread_job::Again;
use hostread_journal::{Journal, TickRecord};
use hostread_rules::Horizons;
use hostread_schemas::fact::Fact;
use hostread_schemas::view::{Change, ViewClass, ViewKey};
use hostread_schemas::{EventTimeMs, Tick};
use hostread_sink_kit::Known;

/// Facts that are live, each with its multiplicity.
type Live = BTreeMap<Fact, i64>;

/// See the module.
pub(crate) struct Tape {
    again: Again,
    ticks: Vec<TickRecord>,
    changes: Vec<Vec<Change>>,
    /// What an uninterrupted run withholds.
    withheld: Vec<Vec<Change>>,
    /// What is live as of `merged`.
    live: Live,
    merged: Tick,
}

impl Tape {
    pub(crate) fn new(workers: usize, horizons: Horizons) -> Self {
        Self {
            again: Again::new(workers, horizons).unwrap(),
            ticks: Vec::new(),
            changes: Vec::new(),
            withheld: Vec::new(),
            live: Live::new(),
            merged: Tick(0),
        }
    }

    pub(crate) fn last(&self) -> Tick {
        Tick(self.ticks.len() as u64)
    }

    pub(crate) fn ticks(&self) -> &[TickRecord] {
        &self.ticks
    }

    pub(crate) fn clock(&self, tick: Tick) -> EventTimeMs {
        let index = tick.0.checked_sub(1);
        index.map_or(EventTimeMs(0), |index| self.ticks[index as usize].clock)
    }

    /// What an uninterrupted run changes in `[lower, upper)`.
    pub(crate) fn changes(&self, lower: Tick, upper: Tick) -> impl Iterator<Item = &Change> {
        let index = |tick: Tick| (tick.0.max(1) - 1) as usize;
        self.changes[index(lower)..index(upper)].iter().flatten()
    }

    /// Was the row released before the tick, and has not come back since? Readers keep it; the job knows nothing of it (21).
    pub(crate) fn forgotten(&self, key: &ViewKey, before: Tick) -> bool {
        let before = (before.0.max(1) - 1) as usize;
        let is_key = |change: &&Change| change.key == *key;
        (0..before).rev().find_map(|tick| {
            let moved = self.changes[tick].iter().any(|change| change.key == *key);
            let withheld = self.withheld[tick].iter().find(is_key);
            let gone = withheld.map(|change| change.new.is_none());
            if moved { Some(false) } else { gone }
        }) == Some(true)
    }

    /// Takes the ticks that became durable.
    pub(crate) fn follow(&mut self, journal: &Journal) {
        let synced = journal.synced();
        assert!(
            synced >= self.last(),
            "invariant 4: the journal ends at {synced}, {} was durable",
            self.last()
        );
        if synced > self.last() {
            let new: Result<Vec<_>, _> = journal.ticks(self.last().next()).unwrap().collect();
            new.unwrap()
                .into_iter()
                .for_each(|record| self.take(record));
        }
    }

    fn take(&mut self, record: TickRecord) {
        assert_eq!(
            record.tick,
            self.last().next(),
            "invariant 4: a tick is missing"
        );
        assert!(
            record.clock >= self.clock(self.last()),
            "the clock went back"
        );
        let stepped = self.again.tick(record.clone()).unwrap();
        self.changes.push(stepped.changes);
        self.withheld.push(stepped.withheld);
        self.ticks.push(record);
    }

    /// After a crash: every durable tick that the journal still has is there, unchanged.
    pub(crate) fn compare(&mut self, journal: &Journal) {
        let since = journal.since();
        self.follow(journal);
        if since < self.last() {
            for record in journal.ticks(since.next()).unwrap() {
                let record = record.unwrap();
                let known = &self.ticks[(record.tick.0 - 1) as usize];
                assert_eq!(record, *known, "invariant 4: a durable tick changed");
            }
        }
        self.compare_live(journal);
    }

    /// What the archive has of the ticks through this one is what readers know and nothing can compute.
    pub(crate) fn compare_archive(&self, known: &Known, through: Tick) {
        let mut ought = Known::new();
        for change in self.withheld[..through.0 as usize].iter().flatten() {
            if change.key.view().class() == ViewClass::Daily {
                ought.entry(change.key).or_insert(change.old.clone());
            } else {
                ought.insert(change.key, change.old.clone());
            }
        }
        for change in self.changes(Tick(1), through.next()) {
            if change.key.view().class() == ViewClass::AppendOnly {
                ought.insert(change.key, change.new.clone());
            }
        }
        assert!(
            *known == ought,
            "invariant 11: the archive through {through}"
        );
    }

    /// What can be loaded as of `since` is the sum of the ticks through it.
    pub(crate) fn compare_live(&mut self, journal: &Journal) {
        let since = journal.since();
        assert!(since >= self.merged, "invariant 3: since went back");
        while self.merged < since {
            let record = &self.ticks[self.merged.0 as usize];
            add(&mut self.live, record);
            self.merged = record.tick;
        }
        assert!(
            loaded(journal, since) == self.live,
            "invariant 3: as of {since}"
        );
        let last = journal.synced();
        let mut live = self.live.clone();
        for record in &self.ticks[since.0 as usize..last.0 as usize] {
            add(&mut live, record);
        }
        assert!(loaded(journal, last) == live, "invariant 3: as of {last}");
    }
}

fn add(live: &mut Live, record: &TickRecord) {
    for (fact, diff) in &record.events {
        let count = live.entry(fact.clone()).or_default();
        *count += i64::from(*diff);
        if *count == 0 {
            live.remove(fact);
        }
    }
}

fn loaded(journal: &Journal, as_of: Tick) -> Live {
    let mut live = Live::new();
    let load = journal.load(as_of, &mut |facts| {
        for fact in facts {
            *live.entry(fact).or_default() += 1;
        }
    });
    load.unwrap();
    live
}
