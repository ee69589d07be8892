//! The events that came with a batch, from the log: the journal keeps what an event says, not what it came with.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hostread_eventlog::Offsets;
use hostread_explain::{Cause, Without};
use hostread_job::Decode;
use hostread_schemas::event::Event;
use hostread_schemas::fact::Fact;
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{Decoder, EventId, NameKind, TenantId};

use crate::parts::Log;

/// Events of a batch that can be thought away: 16 bytes each here, and a fact for each that others state as well.
const EVENTS_MAX: usize = 1_000_000;
/// Records asked for at a time.
const RECORDS_MAX: usize = 10_000;
/// How long the log may take for all of it.
const READ_MAX: Duration = Duration::from_mins(2);

/// What there would be without a batch; `None`: nothing in the log came with it.
pub(super) fn find(
    log: &Log,
    tenant: &str,
    batch: &str,
    hasher: IdHasher,
) -> Result<Option<Without>> {
    let named = Named::new(hasher, tenant, batch);
    let mut events: BTreeSet<EventId> = BTreeSet::new();
    read(log, tenant, &mut |event| {
        if named.is(&event.meta.batch_id) {
            events.insert(event.meta.id);
        }
        if events.len() > EVENTS_MAX {
            bail!("the batch has more than {EVENTS_MAX} events");
        }
        Ok(())
    })?;
    if events.is_empty() {
        return Ok(None);
    }
    // What others say of the same events is then live, chosen as the head chooses.
    let mut others: BTreeMap<EventId, ((u32, u64), Fact)> = BTreeMap::new();
    read(log, tenant, &mut |event| {
        if named.is(&event.meta.batch_id) || !events.contains(&event.meta.id) {
            return Ok(());
        }
        let fact = hasher.fact(event, &mut |_, _, _| {});
        // What is over the limit of a fact is not live.
        if let Some(precedence) = hostread_journal::precedence(&fact, event.meta.revision)
            && others.get(&fact.id).is_none_or(|best| best.0 < precedence)
        {
            others.insert(fact.id, (precedence, fact));
        }
        Ok(())
    })?;
    Ok(Some(Without {
        cause: Cause::Batch(batch.to_owned()),
        what: format!("a batch of {} events", events.len()),
        events,
        instead: others.into_values().map(|(_, fact)| fact).collect(),
    }))
}

/// A batch by its name; by its id, which the ledger shows of a batch whose name is not kept.
struct Named<'a> {
    name: &'a str,
    id: Option<u64>,
    hasher: IdHasher,
    tenant: TenantId,
}

impl<'a> Named<'a> {
    fn new(hasher: IdHasher, tenant: &str, name: &'a str) -> Self {
        let hex = (name.len() == 16).then(|| u64::from_str_radix(name, 16).ok());
        Self {
            name,
            id: hex.flatten(),
            hasher,
            tenant: hasher.tenant(tenant),
        }
    }

    fn is(&self, batch: &str) -> bool {
        let id = || self.hasher.name(NameKind::Batch, self.tenant, batch);
        batch == self.name || self.id.is_some_and(|wanted| wanted == id())
    }
}

/// Shows every event of a tenant that the log still has.
fn read(log: &Log, tenant: &str, each: &mut dyn FnMut(&Event) -> Result<()>) -> Result<()> {
    let runtime = tokio::runtime::Handle::current();
    let start = runtime.block_on(log.log.start_offsets())?;
    let end = runtime.block_on(log.log.end_offsets())?;
    let mut decode = Decode::new(Decoder::current(&log.schema_ids), Box::new(log.ask()));
    let mut reader = log.log.reader(&start).context("reading the log")?;
    let mut at: Offsets = start;
    let until = Instant::now() + READ_MAX;
    while end.iter().any(|(place, end)| at.get(place) < Some(end)) {
        if Instant::now() > until {
            bail!("the log takes too long to read");
        }
        for record in reader.poll(RECORDS_MAX, Duration::from_millis(200))? {
            at.insert(
                (record.topic.to_string(), record.partition),
                record.offset + 1,
            );
            // What cannot be read is a dead letter and no event.
            if let Ok(event) = decode.event(&record.topic, &record.value)
                && event.meta.tenant == tenant
            {
                each(&event)?;
            }
        }
    }
    Ok(())
}
