//! Live facts of a bucket = its file (sorted) merged with the changes of later ticks.
//!
//! ```text
//! fact file (sorted) ---------------------------+
//! ticks -> Changes (by bucket) -> consolidate --+--> merge --> live facts, sorted, each with its revision
//! ```
//! Needs: changes of all ticks behind the file's generation, and no others.
//! Invariant 1: a live fact counts exactly once; anything else means that head and journal disagree, and stops.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};

use hostread_schemas::EventId;
use hostread_schemas::fact::Fact;

use crate::error::{JournalError, Result};
use crate::fact_file::{Bucket, FactReader};
use crate::record::{TickRecord, visit_events};
use crate::tick_log::RawRecord;

/// Changes of one bucket, in the order of the ticks.
#[derive(Clone, Default, Debug)]
pub(crate) struct BucketChanges {
    facts: Vec<(Fact, i32)>,
    revisions: BTreeMap<EventId, u32>,
}

impl BucketChanges {
    /// Does any of them name the event?
    pub(crate) fn names(&self, id: EventId) -> bool {
        self.facts.iter().any(|(fact, _)| fact.id == id)
    }
}

/// Changes of several ticks, by bucket.
#[derive(Default)]
pub(crate) struct Changes {
    pub(crate) buckets: BTreeMap<Bucket, BucketChanges>,
    pub(crate) count: usize,
}

impl Changes {
    /// Adds a record's events and revisions where `wanted`; returns the record without its events.
    pub(crate) fn add(
        &mut self,
        raw: &RawRecord,
        wanted: &dyn Fn(Bucket) -> bool,
    ) -> Result<TickRecord> {
        let broken = || raw.damaged("the record does not decode");
        let (head, parts) = raw.parts.split_first().ok_or_else(broken)?;
        let record = TickRecord::decode_head(head).ok_or_else(broken)?;
        for part in parts {
            visit_events(part, |event| {
                let bucket = Bucket::of_raw(&event)?;
                if wanted(bucket) {
                    let changes = self.buckets.entry(bucket).or_default();
                    let fact = event.decode()?;
                    if !event.taken_away && !changes.revisions.is_empty() {
                        changes.revisions.remove(&fact.id);
                    }
                    changes
                        .facts
                        .push((fact, if event.taken_away { -1 } else { 1 }));
                    self.count += 1;
                }
                Some(())
            })
            .ok_or_else(broken)?;
        }
        for stated in &record.revisions {
            let bucket = Bucket::new(stated.class, stated.day);
            if wanted(bucket) {
                let changes = self.buckets.entry(bucket).or_default();
                changes.revisions.insert(stated.id, stated.revision);
            }
        }
        Ok(record)
    }
}

/// Sums equal facts; sorted, none with sum 0.
fn consolidate(mut facts: Vec<(Fact, i32)>) -> Vec<(Fact, i32)> {
    facts.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    facts.dedup_by(|(fact, diff), (kept, sum)| {
        let same = kept == fact;
        if same {
            *sum += *diff;
        }
        same
    });
    facts.retain(|(_, sum)| *sum != 0);
    facts
}

/// The file's facts, one block ahead.
struct Base {
    reader: Option<FactReader>,
    block: VecDeque<(Fact, u32)>,
}

impl Base {
    fn peek(&mut self) -> Result<Option<&(Fact, u32)>> {
        while self.block.is_empty() {
            let Some(reader) = &mut self.reader else {
                return Ok(None);
            };
            let block = &mut self.block;
            let more = reader.next_block(|raw, revision| {
                block.push_back((raw.decode()?, revision));
                Some(())
            })?;
            if !more {
                self.reader = None;
            }
        }
        Ok(self.block.front())
    }
}

/// Shows the bucket's live facts in order.
pub(crate) fn merge(
    base: Option<FactReader>,
    changes: BucketChanges,
    emit: &mut dyn FnMut(Fact, u32) -> Result<()>,
) -> Result<()> {
    let revisions = changes.revisions;
    let stated = |id: &EventId, before: u32| {
        if revisions.is_empty() {
            before
        } else {
            revisions.get(id).copied().unwrap_or(before)
        }
    };
    let mut base = Base {
        reader: base,
        block: VecDeque::new(),
    };
    let mut changes = consolidate(changes.facts).into_iter().peekable();
    while let Some((next, _)) = base.peek()? {
        let order = changes
            .peek()
            .map_or(Ordering::Less, |(fact, _)| next.cmp(fact));
        if order == Ordering::Greater {
            if let Some((fact, sum)) = changes.next() {
                let revision = stated(&fact.id, 0);
                expect_sum(sum, 1)?;
                emit(fact, revision)?;
            }
            continue;
        }
        let Some((fact, before)) = base.block.pop_front() else {
            break;
        };
        if order == Ordering::Equal {
            let sum = changes.next().map_or(0, |(_, sum)| sum);
            expect_sum(sum, -1)?;
        } else {
            let revision = stated(&fact.id, before);
            emit(fact, revision)?;
        }
    }
    for (fact, sum) in changes {
        let revision = stated(&fact.id, 0);
        expect_sum(sum, 1)?;
        emit(fact, revision)?;
    }
    Ok(())
}

fn expect_sum(sum: i32, expected: i32) -> Result<()> {
    if sum == expected {
        Ok(())
    } else {
        Err(JournalError::Broken(
            "a fact is live more than once or less than not at all",
        ))
    }
}
