//! The head: decides which statement of an event is live, and turns log records into net changes.
//!
//! ```text
//! fact, revision --> known id? --no--> late? ----no----> +new
//!                        |                               ^
//!                        +-yes-> (revision, hash) larger?+--> -old +new at the cut        else: dropped
//! ```
//! Needs: ids that name one event for ever; `sealed_through` that never falls.
//! Promises: the live set is a function of the set of records offered (those refused as late apart), not of their order or of
//! where ticks were cut; every id has at most one live fact; a tick's events are net.
//! Leaves out: durability (`Journal`), deciding when to cut or release (`job`).
//! Invariant 1: an id's live fact is the one with the largest (revision, hash of the fact).
//! Invariant 2: facts that stand on a name are live only after the name is in a tick record.

mod release;
mod restore;

use std::collections::{BTreeMap, BTreeSet};

use hostread_schemas::event::Event;
use hostread_schemas::fact::{Fact, FactBody, RetentionClass, SignalKind};
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{AgentId, Day, EventId, EventTimeMs, NameKind, Names, TenantId, Tick};

use crate::codec;
use crate::error::{JournalError, Result};
use crate::journal::Journal;
use crate::learn::Learner;
use crate::record::{Revision, TickRecord};
use crate::table::{DAY_MAX, DAY_MIN, Entry, REVISION_INLINE_MAX, Table};

/// Marks a revision that is kept beside the table.
const REVISION_BESIDE: u16 = u16::MAX;
/// Kind of the derived id of an agent's fact.
const AGENT_FACT: u8 = 0xA6;

/// What became of an offered fact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offered {
    /// Live now.
    Added,
    /// Live now instead of an earlier statement of the event.
    Corrected,
    /// Said before, or overtaken by a higher revision: nothing changed.
    Duplicate,
    /// Refused: this day, the event's or that of the statement it would correct, is sealed. Counted in the tick.
    Late(Day),
    /// Refused for good: a dead letter.
    Refused(Refusal),
}

/// Why a fact cannot be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// Two texts with one id.
    #[error("two names share the id {id:016x}")]
    NameCollision {
        /// Kind of the name.
        kind: NameKind,
        /// The id.
        id: u64,
    },
    /// Outside the years that days are kept for.
    #[error("the time is out of range")]
    Time,
    /// Over the limit of a fact.
    #[error("the event is too large")]
    TooLarge,
}

/// A live fact of before the open tick that the tick takes away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Before {
    pub(crate) entry: Entry,
    /// The fact, where the head holds it itself.
    fact: Option<Fact>,
}

#[derive(Default)]
struct OpenTick {
    added: Vec<Fact>,
    /// Ids in `added` more than once, or taken away again.
    replaced: BTreeSet<EventId>,
    before: BTreeMap<EventId, Before>,
    revised: BTreeSet<EventId>,
    names: Vec<(NameKind, u64, String)>,
    late: BTreeMap<(TenantId, Day), u64>,
}

/// See the module.
pub struct Head {
    hasher: IdHasher,
    table: Table,
    /// Revisions that do not fit the table.
    revisions: BTreeMap<EventId, u32>,
    reference: BTreeMap<EventId, Fact>,
    learner: Learner,
    next: Tick,
    open: OpenTick,
    scratch: Vec<u8>,
}

impl std::fmt::Debug for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Head")
            .field("live", &self.table.len())
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Head {
    pub(crate) fn new(hasher: IdHasher, names: Names) -> Self {
        Self {
            hasher,
            table: Table::new(),
            revisions: BTreeMap::new(),
            reference: BTreeMap::new(),
            learner: Learner::new(names),
            next: Tick(1),
            open: OpenTick::default(),
            scratch: Vec::new(),
        }
    }

    /// Live events.
    pub fn live_count(&self) -> usize {
        self.table.len()
    }

    /// Bytes that the head holds for live events (names and reference facts apart).
    pub fn bytes(&self) -> usize {
        self.table.bytes()
    }

    /// The tick that is being built.
    pub fn open_tick(&self) -> Tick {
        self.next
    }

    /// Changes gathered for the open tick; what the job bounds a tick by.
    pub fn pending(&self) -> usize {
        self.open.added.len() + self.open.before.len()
    }

    /// Whether a cut would say anything: events, names, revisions or refusals.
    pub fn has_pending(&self) -> bool {
        self.pending() > 0
            || !self.open.names.is_empty()
            || !self.open.late.is_empty()
            || !self.open.revised.is_empty()
    }

    /// Reference facts that are live, by event id.
    pub fn reference(&self) -> impl Iterator<Item = &Fact> {
        self.reference.values()
    }

    /// The names known so far (shared).
    pub fn names(&self) -> &Names {
        self.learner.names()
    }

    /// Takes an event in: interns it, learns its names, offers its fact.
    #[must_use = "a refused event is a dead letter"]
    pub fn offer_event(&mut self, event: &Event, sealed_through: Day) -> Offered {
        let mut learnt = std::mem::take(&mut self.learner.scratch);
        learnt.clear();
        let learner = &self.learner;
        let fact = self.hasher.fact(event, &mut |kind, id, text| {
            if !learner.is_recent(kind, id, text) {
                learnt.push((kind, id, text.to_owned()));
            }
        });
        let offered = self.offer(fact, event.meta.revision, &learnt, sealed_through);
        self.learner.scratch = learnt;
        offered
    }

    /// Takes a fact in. `names` are those that it stands on (as told to [`IdHasher::fact`]'s `learn`; known ones may be left
    /// out). A fact that is not of the reference class and whose day is `sealed_through` or before is refused as late.
    #[must_use = "a refused fact is a dead letter"]
    pub fn offer<S: AsRef<str>>(
        &mut self,
        fact: Fact,
        revision: u32,
        names: &[(NameKind, u64, S)],
        sealed_through: Day,
    ) -> Offered {
        let day = fact.time.day();
        if fact.time.0.div_euclid(hostread_schemas::DAY_MS) != i64::from(day.0)
            || !(DAY_MIN..=DAY_MAX).contains(&day.0)
        {
            return Offered::Refused(Refusal::Time);
        }
        for (kind, id, text) in names {
            if self.learner.collides(*kind, *id, text.as_ref()) {
                let (kind, id) = (*kind, *id);
                return Offered::Refused(Refusal::NameCollision { kind, id });
            }
        }
        let Some(hash) = self.hash(&fact) else {
            return Offered::Refused(Refusal::TooLarge);
        };
        let class = fact.body.class();
        // An order counts on the day that it was placed: neither may be sealed.
        let judged = match &fact.body {
            FactBody::Signal(signal) if signal.kind == SignalKind::Order => signal
                .placed_at
                .map_or(day, |placed_at| placed_at.day().min(day)),
            _ => day,
        };
        let sealed = |class, day: Day| class != RetentionClass::Reference && day <= sealed_through;
        let known = self.table.get(fact.id);
        if let Some(known) = known {
            let (before, now) = (
                (self.revision(fact.id, known), known.hash),
                (revision, hash),
            );
            if now <= before {
                self.learn(fact.tenant, names);
                return Offered::Duplicate;
            }
        }
        let old = known.filter(|known| sealed(known.class, known.day));
        if let Some(day) = old
            .map(|known| known.day)
            .or(sealed(class, judged).then_some(judged))
        {
            *self.open.late.entry((fact.tenant, day)).or_default() += 1;
            return Offered::Late(day);
        }
        self.learn(fact.tenant, names);
        self.put(fact, revision, hash, known)
    }

    /// Adds a carry of a release: never late; replaces an earlier carry of the same id.
    pub fn carry(&mut self, fact: Fact) -> Result<Offered> {
        let hash = self
            .hash(&fact)
            .ok_or(JournalError::Broken("a carry is over the limit of a fact"))?;
        let known = self.table.get(fact.id);
        match known {
            Some(known) if known.hash == hash => Ok(Offered::Duplicate),
            Some(known) => {
                let revision = self.revision(fact.id, known).saturating_add(1);
                Ok(self.put(fact, revision, hash, Some(known)))
            }
            None => Ok(self.put(fact, 0, hash, None)),
        }
    }

    /// Takes a live fact away: a carry that nothing needs any more. Returns whether it was live. Not for events of the log:
    /// the head would take their next delivery for new.
    pub fn retract(&mut self, id: EventId) -> bool {
        let Some(known) = self.table.get(id) else {
            return false;
        };
        self.set_aside(id, known);
        self.forget(id);
        true
    }

    /// Facts of the open tick that were added so far: the job looks for causes here.
    pub fn added(&self) -> &[Fact] {
        &self.open.added
    }

    fn hash(&mut self, fact: &Fact) -> Option<u64> {
        self.scratch.clear();
        codec::put(fact, &mut self.scratch).ok()?;
        (self.scratch.len() <= codec::FACT_BYTES_MAX).then(|| codec::hash(&self.scratch))
    }

    fn revision(&self, id: EventId, entry: Entry) -> u32 {
        if entry.revision == REVISION_BESIDE {
            self.revisions.get(&id).copied().unwrap_or(u32::MAX)
        } else {
            u32::from(entry.revision)
        }
    }

    fn learn<S: AsRef<str>>(&mut self, tenant: TenantId, names: &[(NameKind, u64, S)]) {
        for (kind, id, text) in names {
            if !self.learner.learn(*kind, *id, text.as_ref()) {
                continue;
            }
            let text = text.as_ref().to_owned();
            if *kind == NameKind::Agent {
                self.add_agent(tenant, AgentId(*id), text.clone());
            }
            self.open.names.push((*kind, *id, text));
        }
    }

    /// First sight of an agent. Its time is no event's: it must not depend on which event came first.
    fn add_agent(&mut self, tenant: TenantId, agent: AgentId, text: String) {
        let fact = Fact {
            tenant,
            time: EventTimeMs(0),
            id: self.hasher.derived(AGENT_FACT, &[tenant.0, agent.0]),
            body: FactBody::Agent(agent, text),
        };
        if self.table.get(fact.id).is_none()
            && let Some(hash) = self.hash(&fact)
        {
            self.put(fact, 0, hash, None);
        }
    }

    /// Makes a fact the live one of its id.
    fn put(&mut self, fact: Fact, revision: u32, hash: u64, known: Option<Entry>) -> Offered {
        let id = fact.id;
        let same = known.filter(|known| known.hash == hash);
        if known.is_some() || revision != 0 {
            self.open.revised.insert(id);
        }
        if same.is_none()
            && let Some(known) = known
        {
            self.set_aside(id, known);
        }
        let entry = Entry {
            hash,
            revision: self.keep_revision(id, revision),
            day: fact.time.day(),
            class: fact.body.class(),
            tick: same.map_or(self.next, |known| known.tick),
        };
        self.table.insert(id, entry);
        if same.is_some() {
            return Offered::Duplicate;
        }
        if entry.class == RetentionClass::Reference {
            self.reference.insert(id, fact.clone());
        } else if known.is_some_and(|known| known.class == RetentionClass::Reference) {
            self.reference.remove(&id);
        }
        self.open.added.push(fact);
        if known.is_some() {
            Offered::Corrected
        } else {
            Offered::Added
        }
    }

    fn keep_revision(&mut self, id: EventId, revision: u32) -> u16 {
        if revision <= REVISION_INLINE_MAX {
            self.revisions.remove(&id);
            revision as u16
        } else {
            self.revisions.insert(id, revision);
            REVISION_BESIDE
        }
    }

    /// Remembers what the open tick takes away.
    fn set_aside(&mut self, id: EventId, known: Entry) {
        if known.tick == self.next {
            self.open.replaced.insert(id);
        } else if !self.open.before.contains_key(&id) {
            let fact = self.reference.get(&id).cloned();
            let entry = known;
            self.open.before.insert(id, Before { entry, fact });
        }
    }

    fn forget(&mut self, id: EventId) {
        self.table.remove(id);
        self.revisions.remove(&id);
        self.reference.remove(&id);
    }

    /// Closes the open tick: its net events, names, refusals. The job adds offsets, clock and batches, and appends it.
    pub fn cut(&mut self, journal: &Journal) -> Result<TickRecord> {
        let mut open = std::mem::take(&mut self.open);
        let tick = self.next;
        if tick.0 > u64::from(u32::MAX) {
            return Err(JournalError::Broken("the head counts ticks in 32 bits"));
        }
        self.drop_replaced(&mut open);
        self.drop_undone(&mut open);
        let mut events = taken_away(&open.before, journal)?;
        events.extend(open.added.into_iter().map(|fact| (fact, 1)));
        by_day(&mut events);
        let revisions = open
            .revised
            .into_iter()
            .filter_map(|id| {
                let entry = self.table.get(id)?;
                Some(Revision {
                    id,
                    class: entry.class,
                    day: entry.day,
                    revision: self.revision(id, entry),
                })
            })
            .collect();
        let late = open
            .late
            .into_iter()
            .map(|((tenant, day), n)| (tenant, day, n));
        self.next = tick.next();
        Ok(TickRecord {
            tick,
            names: open.names,
            late: late.collect(),
            events,
            revisions,
            ..TickRecord::default()
        })
    }

    /// Of ids added more than once keeps the last, if that is still live.
    fn drop_replaced(&self, open: &mut OpenTick) {
        if open.replaced.is_empty() {
            return;
        }
        let mut seen = BTreeSet::new();
        let mut kept = std::mem::take(&mut open.added);
        kept.reverse();
        kept.retain(|fact| {
            let live = || self.table.get(fact.id).is_some_and(|e| e.tick == self.next);
            !open.replaced.contains(&fact.id) || (live() && seen.insert(fact.id))
        });
        kept.reverse();
        open.added = kept;
    }

    /// An event that ends the tick as it began it did not change.
    fn drop_undone(&mut self, open: &mut OpenTick) {
        let table = &mut self.table;
        let mut undone = BTreeSet::new();
        open.before.retain(|id, before| {
            let Some(mut entry) = table.get(*id) else {
                return true;
            };
            if entry.hash != before.entry.hash {
                return true;
            }
            entry.tick = before.entry.tick;
            table.insert(*id, entry);
            undone.insert(*id);
            false
        });
        if !undone.is_empty() {
            open.added.retain(|fact| !undone.contains(&fact.id));
        }
    }
}

/// Most ticks are of one day, and releases come sorted.
fn by_day(events: &mut [(Fact, i8)]) {
    if !events.is_sorted_by_key(|(fact, _)| fact.time.day()) {
        events.sort_by_key(|(fact, _)| fact.time.day());
    }
}

/// The facts that a tick takes away, as events.
fn taken_away(before: &BTreeMap<EventId, Before>, journal: &Journal) -> Result<Vec<(Fact, i8)>> {
    let mut wanted = BTreeMap::new();
    let mut facts = Vec::new();
    for (id, before) in before {
        match &before.fact {
            Some(fact) => facts.push(fact.clone()),
            None => {
                wanted.insert(*id, before.entry);
            }
        }
    }
    if !wanted.is_empty() {
        facts.extend(journal.find(&wanted)?);
    }
    facts.sort_unstable();
    Ok(facts.into_iter().map(|fact| (fact, -1)).collect())
}
