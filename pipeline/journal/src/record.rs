//! One tick as it stands in the tick log.

use std::collections::BTreeMap;

use hostread_schemas::fact::{Fact, RetentionClass};
use hostread_schemas::{BatchId, Day, EventId, EventTimeMs, NameKind, TenantId, Tick};
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::error::Result;

/// Next offset to read, by topic and partition.
pub type Offsets = BTreeMap<(String, u32), u64>;

/// Most batch ids that a tick names per tenant; further ones are counted.
pub const BATCHES_PER_TENANT_MAX: usize = 16;
/// Raw bytes of events in one part of a record. Larger: more memory to read a part; smaller: worse packing.
const PART_BYTES: usize = 4 << 20;

/// Everything that one tick changed.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct TickRecord {
    /// Which tick.
    pub tick: Tick,
    /// Next offsets of the partitions that moved.
    pub offsets: Offsets,
    /// The pipeline's clock.
    pub clock: EventTimeMs,
    /// Names seen for the first time: kind, id, text.
    pub names: Vec<(NameKind, u64, String)>,
    /// Batches that the events came with, by tenant: up to [`BATCHES_PER_TENANT_MAX`], then how many more.
    pub batches: Vec<(TenantId, Vec<BatchId>, u32)>,
    /// The event that is the cause of this tick, where it has one of its own.
    pub cause: Option<EventId>,
    /// When the oldest of the events was accepted at a door, by the machine's clock; 0: no events (for
    /// freshness only).
    pub accepted_at_ms: i64,
    /// Events refused because their day is sealed, by tenant and day.
    pub late: Vec<(TenantId, Day, u64)>,
    /// Net changes, each +1 or -1, by day; within a day in the order of arrival, what is taken away first.
    pub events: Vec<(Fact, i8)>,
    /// Revisions other than 0 of live events that this tick stated.
    pub revisions: Vec<Revision>,
    /// The tick gave memory back.
    pub release: Option<ReleaseRecord>,
}

/// A live event's revision.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Revision {
    /// Which event.
    pub id: EventId,
    /// Its class.
    pub class: RetentionClass,
    /// The day of its time.
    pub day: Day,
    /// The highest revision seen.
    pub revision: u32,
}

/// How far events were released.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReleaseRecord {
    /// Requests and impressions of this day and before.
    pub exposures_through: Day,
    /// Signals and receipts of this day and before.
    pub conversions_through: Day,
}

/// All of a record but its events.
#[derive(Serialize, Deserialize)]
struct Head {
    tick: Tick,
    offsets: Offsets,
    clock: EventTimeMs,
    names: Vec<(NameKind, u64, String)>,
    batches: Vec<(TenantId, Vec<BatchId>, u32)>,
    cause: Option<EventId>,
    accepted_at_ms: i64,
    late: Vec<(TenantId, Day, u64)>,
    revisions: Vec<Revision>,
    release: Option<ReleaseRecord>,
}

impl TickRecord {
    /// The record's parts, each a block: first everything but the events, then the events.
    pub(crate) fn encode(&self) -> Result<Vec<Vec<u8>>> {
        let mut raw = Vec::new();
        codec::put(&HeadRef::of(self), &mut raw)?;
        let mut parts = vec![block(&raw)];
        raw.clear();
        for (fact, diff) in &self.events {
            if !matches!(diff, 1 | -1) {
                return Err(crate::JournalError::Broken("an event's change is +1 or -1"));
            }
            codec::put_fact(fact, *diff < 0, &mut raw)?;
            if raw.len() >= PART_BYTES {
                parts.push(block(&raw));
                raw.clear();
            }
        }
        if !raw.is_empty() {
            parts.push(block(&raw));
        }
        Ok(parts)
    }

    /// Reads the first part.
    pub(crate) fn decode_head(part: &[u8]) -> Option<Self> {
        let mut buffer = Vec::new();
        let raw = codec::open_block(part, &mut buffer)?;
        let (head, rest) = postcard::take_from_bytes::<Head>(raw).ok()?;
        rest.is_empty().then_some(Self {
            tick: head.tick,
            offsets: head.offsets,
            clock: head.clock,
            names: head.names,
            batches: head.batches,
            cause: head.cause,
            accepted_at_ms: head.accepted_at_ms,
            late: head.late,
            events: Vec::new(),
            revisions: head.revisions,
            release: head.release,
        })
    }

    /// Reads a further part and adds its events.
    pub(crate) fn decode_events(&mut self, part: &[u8]) -> Option<()> {
        visit_events(part, |raw| {
            let diff = if raw.taken_away { -1 } else { 1 };
            self.events.push((raw.decode()?, diff));
            Some(())
        })
    }

    /// Reads all parts.
    pub(crate) fn decode(parts: &[Vec<u8>]) -> Option<Self> {
        let (head, events) = parts.split_first()?;
        let mut record = Self::decode_head(head)?;
        for part in events {
            record.decode_events(part)?;
        }
        Some(record)
    }
}

/// Shows each event of a part, not decoded.
pub(crate) fn visit_events(
    part: &[u8],
    mut each: impl FnMut(codec::RawFact<'_>) -> Option<()>,
) -> Option<()> {
    let mut buffer = Vec::new();
    let mut raw = codec::open_block(part, &mut buffer)?;
    while !raw.is_empty() {
        each(codec::take_fact(&mut raw)?)?;
    }
    Some(())
}

fn block(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    codec::put_block(raw, &mut out);
    out
}

/// [`Head`] without copies.
#[derive(Serialize)]
struct HeadRef<'a> {
    tick: Tick,
    offsets: &'a Offsets,
    clock: EventTimeMs,
    names: &'a [(NameKind, u64, String)],
    batches: &'a [(TenantId, Vec<BatchId>, u32)],
    cause: Option<EventId>,
    accepted_at_ms: i64,
    late: &'a [(TenantId, Day, u64)],
    revisions: &'a [Revision],
    release: Option<ReleaseRecord>,
}

impl<'a> HeadRef<'a> {
    fn of(record: &'a TickRecord) -> Self {
        Self {
            tick: record.tick,
            offsets: &record.offsets,
            clock: record.clock,
            names: &record.names,
            batches: &record.batches,
            cause: record.cause,
            accepted_at_ms: record.accepted_at_ms,
            late: &record.late,
            revisions: &record.revisions,
            release: record.release,
        }
    }
}
