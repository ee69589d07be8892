//! Records to offer, a rig that drives head and journal, and the naive fold they are compared with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use hostread_disk::{Disk, SimDisk};
use hostread_journal::{Head, Journal, Offered, Opened, ReleaseRecord, Result, TickRecord};
use hostread_schemas::fact::{Fact, FactBody, ImpressionFact, RequestFact, SignalFact};
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{
    AgentId, BrandId, Day, EventId, EventTimeMs, HouseholdId, LineId, MoneyMicros, NameKind,
    StoreId, TenantId, Tick,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

pub(crate) const DIR: &str = "cell-0";
pub(crate) const NEVER: Day = Day(i32::MIN);

pub(crate) fn hasher() -> IdHasher {
    IdHasher::new([7; 16])
}

/// A log record: a fact, its revision, the names it stands on.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) fact: Fact,
    pub(crate) revision: u32,
    pub(crate) names: Vec<(NameKind, u64, String)>,
}

fn id(number: u64) -> EventId {
    // As scattered as real ids, and easy to find in a file's bytes.
    hasher().derived(1, &[number])
}

/// Few ids, days, revisions and contents, so that duplicates, corrections and ties are common.
pub(crate) fn record(ids: u64) -> impl Strategy<Value = Record> {
    let revision = prop_oneof![6 => Just(0), 3 => 1..4u32, 1 => 65_530..65_540u32];
    (0..ids, 0..4u64, revision, 0..6i32, 0..3u64, 0..8u8).prop_map(
        |(number, content, revision, day, tenant, moves)| {
            // Mostly an id keeps its class; now and then a correction changes even that.
            let kind = if moves == 0 { content } else { number % 4 };
            let agent = AgentId(100 + content % 3);
            let mut names = vec![];
            let body = match kind {
                0 => {
                    names.push((NameKind::Agent, agent.0, format!("agent {}", agent.0)));
                    FactBody::Request(RequestFact {
                        agent,
                        household: HouseholdId(content),
                        sent_bytes: content,
                        ..RequestFact::default()
                    })
                }
                1 => FactBody::Impression(ImpressionFact {
                    line: LineId(content),
                    ..ImpressionFact::default()
                }),
                2 => FactBody::Signal(SignalFact {
                    value: MoneyMicros(content as i64),
                    ..SignalFact::default()
                }),
                _ => {
                    names.push((NameKind::Store, content + 1, format!("store {content}")));
                    FactBody::Store(StoreId(content + 1), BrandId(number))
                }
            };
            let fact = Fact {
                tenant: TenantId(tenant + 1),
                time: Day(day).start(),
                id: id(number),
                body,
            };
            Record {
                fact,
                revision,
                names,
            }
        },
    )
}

/// The same records on every run.
pub(crate) fn drawn(ids: u64, count: usize) -> Vec<Record> {
    let strategy = prop::collection::vec(record(ids), count);
    let tree = strategy.new_tree(&mut TestRunner::deterministic());
    tree.unwrap().current()
}

/// The live facts that a set of records means, agents included: the largest revision wins; among equals any fixed rule does,
/// so the model takes the head's word (`tie`) only for which of the tied facts it is.
pub(crate) struct Model {
    best: BTreeMap<EventId, (u32, BTreeSet<Fact>)>,
    agents: BTreeSet<(TenantId, u64, String)>,
}

impl Model {
    pub(crate) fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut best: BTreeMap<EventId, (u32, BTreeSet<Fact>)> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut agents = BTreeSet::new();
        for record in records {
            let entry = best.entry(record.fact.id).or_default();
            if record.revision > entry.0 {
                *entry = (record.revision, BTreeSet::new());
            }
            if record.revision == entry.0 {
                entry.1.insert(record.fact.clone());
            }
            for (kind, id, text) in &record.names {
                if *kind == NameKind::Agent && seen.insert(*id) {
                    agents.insert((record.fact.tenant, *id, text.clone()));
                }
            }
        }
        Self { best, agents }
    }

    /// Panics unless `live` is a live set of these records.
    pub(crate) fn check(&self, live: &BTreeSet<Fact>) {
        let mut events = BTreeMap::new();
        let mut agents = BTreeSet::new();
        for fact in live {
            if let FactBody::Agent(agent, text) = &fact.body {
                assert!(
                    agents.insert((agent.0, text.clone())),
                    "agent twice: {fact:?}"
                );
            } else {
                assert!(events.insert(fact.id, fact).is_none(), "id twice: {fact:?}");
            }
        }
        let known: BTreeSet<EventId> = events.keys().copied().collect();
        let expected: BTreeSet<EventId> = self.best.keys().copied().collect();
        assert_eq!(known, expected, "ids that are live");
        for (id, fact) in events {
            let (revision, tied) = &self.best[&id];
            assert!(
                tied.contains(fact),
                "revision {revision} has {tied:?}, live is {fact:?}"
            );
        }
        let texts = self.agents.iter().map(|(_, id, text)| (*id, text.clone()));
        assert_eq!(agents, texts.collect(), "agents");
    }
}

/// A head and its journal on a simulated disk.
pub(crate) struct Rig {
    pub(crate) disk: SimDisk,
    pub(crate) journal: Journal,
    pub(crate) head: Head,
    pub(crate) epoch: u64,
    pub(crate) released: Option<ReleaseRecord>,
    /// Naive fold, by tick: what was live after it.
    pub(crate) folds: BTreeMap<Tick, BTreeSet<Fact>>,
}

pub(crate) fn open(disk: &SimDisk) -> Result<Opened> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Journal::open(disk, Path::new(DIR), 42, hasher())
}

/// Adds a record's events to a set, insisting that they are net.
pub(crate) fn fold(live: &mut BTreeSet<Fact>, record: &TickRecord) {
    let days: Vec<Day> = record
        .events
        .iter()
        .map(|(fact, _)| fact.time.day())
        .collect();
    assert!(days.is_sorted(), "events are by day");
    for (fact, _) in record.events.iter().filter(|(_, diff)| *diff < 0) {
        assert!(live.remove(fact), "taken away but not live: {fact:?}");
    }
    for (fact, _) in record.events.iter().filter(|(_, diff)| *diff > 0) {
        assert!(live.insert(fact.clone()), "added but live: {fact:?}");
    }
}

impl Rig {
    pub(crate) fn new(seed: u64) -> Self {
        Self::over(SimDisk::new(seed)).unwrap()
    }

    pub(crate) fn over(disk: SimDisk) -> Result<Self> {
        let opened = open(&disk)?;
        let mut rig = Self {
            disk,
            journal: opened.journal,
            head: opened.head,
            epoch: opened.epoch,
            released: opened.released,
            folds: BTreeMap::new(),
        };
        let mut live = rig.load(opened.since);
        rig.folds.insert(opened.since, live.clone());
        for record in rig.journal.ticks(opened.since.next())? {
            let record = record?;
            fold(&mut live, &record);
            rig.folds.insert(record.tick, live.clone());
        }
        assert_eq!(opened.last, rig.last());
        Ok(rig)
    }

    pub(crate) fn reopen(self) -> Self {
        let Self {
            disk,
            journal,
            folds,
            epoch,
            ..
        } = self;
        let since = journal.since();
        drop(journal);
        let reopened = Self::over(disk).unwrap();
        assert_eq!(reopened.epoch, epoch + 1);
        let kept: BTreeMap<_, _> = folds.range(since..).map(|(t, f)| (*t, f.clone())).collect();
        assert_eq!(reopened.folds, kept, "reopening changes nothing");
        reopened
    }

    pub(crate) fn last(&self) -> Tick {
        *self.folds.last_key_value().unwrap().0
    }

    pub(crate) fn live(&self) -> &BTreeSet<Fact> {
        self.folds.last_key_value().unwrap().1
    }

    pub(crate) fn offer(&mut self, record: &Record) -> Offered {
        self.offer_sealed(record, NEVER)
    }

    pub(crate) fn offer_sealed(&mut self, record: &Record, sealed_through: Day) -> Offered {
        let fact = record.fact.clone();
        self.head
            .offer(fact, record.revision, &record.names, sealed_through)
    }

    /// Cuts the open tick and appends it, not synced.
    pub(crate) fn cut(&mut self) -> Result<TickRecord> {
        let record = self.head.cut(&self.journal)?;
        self.append(record)
    }

    pub(crate) fn append(&mut self, mut record: TickRecord) -> Result<TickRecord> {
        record.clock = EventTimeMs(record.tick.0 as i64 * 1000);
        record.offsets.insert(("t".to_owned(), 0), record.tick.0);
        self.journal.append(&record)?;
        let mut live = self.live().clone();
        fold(&mut live, &record);
        self.folds.insert(record.tick, live);
        Ok(record)
    }

    pub(crate) fn release(&mut self, through: ReleaseRecord) -> Result<TickRecord> {
        let going = self.journal.going(self.released, through)?;
        let record = self.head.release(&self.journal, going)?;
        self.released = Some(through);
        self.append(record)
    }

    pub(crate) fn load(&self, as_of: Tick) -> BTreeSet<Fact> {
        let mut live = BTreeSet::new();
        let mut last = None;
        self.journal
            .load(as_of, &mut |slice| {
                assert!(!slice.is_empty() && slice.len() <= hostread_journal::LOAD_SLICE_FACTS_MAX);
                for fact in slice {
                    let reference =
                        fact.body.class() == hostread_schemas::fact::RetentionClass::Reference;
                    let order = if reference {
                        (i32::MIN, fact.body.class())
                    } else {
                        (fact.time.day().0, fact.body.class())
                    };
                    assert!(
                        last <= Some(order),
                        "reference first, then by day and class"
                    );
                    last = Some(order);
                    assert!(live.insert(fact), "loaded twice");
                }
            })
            .unwrap();
        live
    }

    /// Every state that can be asked for is the fold's.
    pub(crate) fn check_loads(&self) {
        for (tick, fold) in self.folds.range(self.journal.since()..) {
            assert_eq!(&self.load(*tick), fold, "load({tick})");
        }
    }
}
