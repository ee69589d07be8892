//! What gathers for the next tick besides the head's facts: where its events came from, and why numbers move by it.
//! Invariant: a cause event shares its tick only with cause events of its own batch.

use std::collections::{BTreeMap, BTreeSet};

use hostread_dataflow::ledger::CAUSE_BATCHES_MAX;
use hostread_journal::{Offsets, TickRecord};
use hostread_schemas::event::{Body, Event, EventType};
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{BatchId, EventId, NameKind, Names, TenantId};

/// What has gathered for the next tick.
#[derive(Default)]
pub(crate) struct OpenTick {
    pub(crate) offsets: Offsets,
    pub(crate) accepted_at_ms: i64,
    pub(crate) opened_at_ms: i64,
    batches: BTreeMap<TenantId, BTreeSet<BatchId>>,
    batch_names: BTreeMap<u64, String>,
    events: u64,
    cause: Option<CauseOfTick>,
}

/// A run of cause events of one batch shares a tick.
struct CauseOfTick {
    tenant: TenantId,
    batch: BatchId,
    event: EventId,
    events: u32,
}

impl OpenTick {
    /// Without events, but the log is read up to there.
    pub(crate) fn at(offsets: Offsets) -> Self {
        Self {
            offsets,
            ..Self::default()
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.events > 0
    }

    /// May the event share this tick?
    pub(crate) fn fits(&self, hasher: &IdHasher, event: &Event) -> bool {
        let cause = is_cause(&event.body);
        let (tenant, batch) = origin(hasher, event);
        match &self.cause {
            Some(open) => cause && open.tenant == tenant && open.batch == batch,
            None => !cause || !self.is_open(),
        }
    }

    /// The head took the event.
    pub(crate) fn note_event(&mut self, hasher: &IdHasher, event: &Event) {
        self.events += 1;
        let (tenant, batch) = origin(hasher, event);
        self.batches.entry(tenant).or_default().insert(batch);
        if is_cause(&event.body) {
            let open = CauseOfTick {
                tenant,
                batch,
                event: event.meta.id,
                events: 0,
            };
            self.cause.get_or_insert(open).events += 1;
        }
        // Names of files and of reference facts' batches are kept; those of single hits are not.
        if is_cause(&event.body) || event.body.event_type() == EventType::Request {
            self.batch_names
                .entry(batch.0)
                .or_insert_with(|| event.meta.batch_id.clone());
        }
    }

    /// Writes it all into the tick's record.
    pub(crate) fn finish(self, record: &mut TickRecord, names: &Names) {
        record.cause = self
            .cause
            .as_ref()
            .filter(|cause| cause.events == 1)
            .map(|cause| cause.event);
        record.batches = self
            .batches
            .into_iter()
            .map(|(tenant, batches)| {
                let more = batches.len().saturating_sub(CAUSE_BATCHES_MAX);
                let kept = batches.into_iter().take(CAUSE_BATCHES_MAX).collect();
                (tenant, kept, u32::try_from(more).unwrap_or(u32::MAX))
            })
            .collect();
        for (id, text) in self.batch_names {
            if !names.contains(NameKind::Batch, id) {
                names.insert(NameKind::Batch, id, &text);
                record.names.push((NameKind::Batch, id, text));
            }
        }
        record.offsets = self.offsets;
        record.accepted_at_ms = self.accepted_at_ms;
    }
}

fn origin(hasher: &IdHasher, event: &Event) -> (TenantId, BatchId) {
    let tenant = hasher.tenant(&event.meta.tenant);
    let batch = BatchId(hasher.name(NameKind::Batch, tenant, &event.meta.batch_id));
    (tenant, batch)
}

fn is_cause(body: &Body) -> bool {
    !matches!(
        body.event_type(),
        EventType::Request
            | EventType::Impression
            | EventType::Pixel
            | EventType::Order
            | EventType::Redemption
            | EventType::Show
    )
}
