//! MIX-1 in a log: encoded and appended as the gateway does it.

use std::path::Path;
use std::sync::Arc;

use hostread_disk::{Disk, RealDisk};
use hostread_eventlog::{
    EmbeddedLog, EmbeddedSettings, EventLog, InProcessRegistry, KafkaLog, KafkaSettings, Record,
    Registry, TopicSpec,
};
use hostread_job::{Decode, Parts};
use hostread_schemas::envelope::partition;
use hostread_schemas::event::{Event, EventType};
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{Decoder, Encoder, HOUR_MS};
use hostread_sink_kit::Sink;

use super::ID_KEY;

/// A log and how to write it.
pub(super) struct Feed {
    pub(super) log: Arc<dyn EventLog>,
    schema_ids: std::collections::BTreeMap<EventType, u32>,
    encoder: Encoder,
}

fn topics(partitions: u32) -> Vec<TopicSpec> {
    EventType::ALL
        .iter()
        .map(|event_type| TopicSpec::new(event_type.topic(), partitions))
        .collect()
}

impl Feed {
    pub(super) async fn embedded(dir: &Path) -> Self {
        let settings = EmbeddedSettings::default();
        let log = EmbeddedLog::open(Arc::new(RealDisk), dir, &topics(1), settings).unwrap();
        Self::new(Arc::new(log), dir).await
    }

    /// `dir` keeps the schema ids.
    pub(super) async fn kafka(brokers: &str, partitions: u32, dir: &Path) -> Self {
        let mut settings = KafkaSettings::new(brokers);
        // Longer than it may be away.
        settings.confirm_ms_max = 300_000;
        let log = KafkaLog::open(settings, &topics(partitions)).await;
        Self::new(Arc::new(log.unwrap()), dir).await
    }

    async fn new(log: Arc<dyn EventLog>, dir: &Path) -> Self {
        let registry = InProcessRegistry::open(Arc::new(RealDisk), dir).unwrap();
        let mut schema_ids = std::collections::BTreeMap::new();
        for event_type in EventType::ALL {
            let subject = event_type.subject();
            let id = registry.register(&subject, event_type.schema_json()).await;
            schema_ids.insert(event_type, id.unwrap());
        }
        Self {
            log,
            encoder: Encoder::new(schema_ids.clone()),
            schema_ids,
        }
    }

    /// Reads what was appended.
    pub(super) fn decode(&self) -> Decode {
        self.decode_asking(|_| None)
    }

    /// As `decode`, with a registry for schemas that are not ours.
    pub(super) fn decode_asking(
        &self,
        ask: impl FnMut(u32) -> Option<String> + Send + 'static,
    ) -> Decode {
        Decode::new(Decoder::current(&self.schema_ids), Box::new(ask))
    }

    /// A job on this log; what is refused is passed over.
    pub(super) fn parts(
        &self,
        disk: impl Disk + 'static,
        journal: &Path,
        sinks: Vec<Box<dyn Sink>>,
    ) -> Parts {
        Parts {
            disk: Arc::new(disk),
            journal_dir: journal.to_owned(),
            journal_id: 1,
            hasher: IdHasher::new(ID_KEY),
            log: Arc::clone(&self.log),
            decode: self.decode(),
            sinks,
            dead_letters: Box::new(|_| {}),
        }
    }

    /// As the gateway appends it.
    pub(super) fn record(&self, event: &Event) -> Record {
        let encoded = self.encoder.encode(event);
        Record {
            topic: encoded.topic.to_owned(),
            partition: partition(&event.meta.tenant, self.log.partitions(encoded.topic)),
            key: encoded.key,
            headers: encoded.headers,
            value: encoded.value,
            timestamp_ms: event.meta.received_at.0,
        }
    }

    /// Returns when the events are durable.
    pub(super) async fn append(&self, events: &[Event]) {
        // A batch is grouped by topic: across an hour it would reorder what the clock cuts.
        let hour = |event: &Event| event.meta.received_at.0.div_euclid(HOUR_MS);
        for batch in events.chunk_by(|a, b| hour(a) == hour(b)) {
            let batch = batch.iter().map(|event| self.record(event)).collect();
            self.log.append(batch).await.unwrap();
        }
    }
}
