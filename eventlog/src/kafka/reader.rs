//! Reads assigned partitions from given offsets.
//! Needs: topics that exist.    Promises: each partition in offset order; a position outside what Kafka keeps is
//! `Truncated` or `Beyond`. While no broker answers, `poll` is empty, and `behind` says that the log is away.
//! Leaves out: groups and commits; marks of transactions, which are no records but stand before an end (topics are ours).
//! Invariant 1: what stands in `next` has been handed out below that offset, and nothing else.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tracing::{debug, warn};

use super::{ASK, KafkaSettings, TIME_HEADER, ask_offsets_once, kafka};
use crate::record::push_header;
use crate::{Headers, LogError, LogReader, Offsets, ReadRecord, Result, TopicSpec};

/// How long the ends that Kafka said are taken for the ends.
const ENDS_TRUSTED: Duration = Duration::from_millis(100);
/// A broker that does not say its ends within this is away. Longer: a tick stays open longer while it is.
const ASK_ENDS: Duration = Duration::from_secs(1);

/// Kafka answers, a partition's records wait, and none comes for so long although the client has nothing else: it has lost its
/// place, as happens when a broker was killed and comes back. Shorter: a slow broker is asked anew for what is under way.
const STALLED: Duration = Duration::from_secs(5);

pub(crate) struct KafkaReader {
    settings: KafkaSettings,
    consumer: BaseConsumer,
    /// Partitions that are behind: which offset they wait for, and since when.
    waits: BTreeMap<(String, u32), (u64, Instant)>,
    topics: Vec<TopicSpec>,
    names: Vec<Arc<str>>,
    next: Offsets,
    /// The offsets after the last records, and when Kafka said them.
    ends: Option<(Instant, Offsets)>,
    /// An error that came behind records: said at the next poll.
    held: Option<LogError>,
}

impl KafkaReader {
    pub(crate) fn new(
        settings: &KafkaSettings,
        topics: &[TopicSpec],
        from: &Offsets,
    ) -> Result<Self> {
        let names = topics
            .iter()
            .map(|spec| Arc::from(spec.name.as_str()))
            .collect();
        Ok(Self {
            consumer: consumer(settings, from)?,
            settings: settings.clone(),
            waits: BTreeMap::new(),
            topics: topics.to_vec(),
            names,
            next: from.clone(),
            ends: None,
            held: None,
        })
    }

    /// A client that is stuck is replaced by a new one.
    fn go_on(&mut self, behind: &Offsets) -> Result<()> {
        let now = Instant::now();
        let known = std::mem::take(&mut self.waits);
        for place in behind.keys() {
            let next = self.next.get(place).copied().unwrap_or(0);
            let since = known.get(place).filter(|(known, _)| *known == next);
            let since = since.map_or(now, |(_, since)| *since);
            self.waits.insert(place.clone(), (next, since));
        }
        let stuck = |(_, since): &(u64, Instant)| now - *since >= STALLED;
        if self.waits.values().any(stuck) {
            warn!(
                ?behind,
                "nothing came although records wait; reading anew from there"
            );
            self.consumer = consumer(&self.settings, &self.next)?;
            self.waits.clear();
        }
        Ok(())
    }

    /// Which position is not there, after Kafka said that one is not.
    fn out_of_range(&self, source: KafkaError) -> LogError {
        for ((topic, partition), &wanted) in &self.next {
            let (start, end) = match self
                .consumer
                .fetch_watermarks(topic, *partition as i32, ASK)
            {
                Ok((start, end)) => (start as u64, end as u64),
                Err(error) => return kafka("ask for offsets")(error),
            };
            let (topic, partition) = (topic.clone(), *partition);
            if wanted < start {
                return LogError::Truncated {
                    topic,
                    partition,
                    wanted,
                    start,
                };
            }
            if wanted > end {
                return LogError::Beyond {
                    topic,
                    partition,
                    wanted,
                    end,
                };
            }
        }
        kafka("read from Kafka")(source)
    }

    /// `None`: it may go away by itself.
    fn lasting(&self, error: KafkaError) -> Option<LogError> {
        use RDKafkaErrorCode as Code;
        match &error {
            KafkaError::MessageConsumption(Code::AutoOffsetReset | Code::OffsetOutOfRange) => {
                Some(self.out_of_range(error))
            }
            KafkaError::MessageConsumption(
                Code::AllBrokersDown
                | Code::BrokerTransportFailure
                | Code::OperationTimedOut
                | Code::Resolve
                | Code::NotLeaderForPartition
                | Code::LeaderNotAvailable
                // A broker that has just started may not know its topics yet; one that is gone for good shows in `behind`.
                | Code::UnknownTopicOrPartition
                | Code::UnknownTopic
                | Code::UnknownPartition
                | Code::RequestTimedOut,
            ) => {
                debug!(error = %error, "Kafka is away");
                None
            }
            _ => Some(kafka("read from Kafka")(error)),
        }
    }
}

/// One that reads from these offsets.
fn consumer(settings: &KafkaSettings, from: &Offsets) -> Result<BaseConsumer> {
    let consumer = settings.consumer()?;
    let mut assignment = TopicPartitionList::new();
    for ((topic, partition), offset) in from {
        let offset = Offset::Offset(i64::try_from(*offset).unwrap_or(i64::MAX));
        assignment
            .add_partition_offset(topic, *partition as i32, offset)
            .map_err(kafka("assign partitions"))?;
    }
    consumer
        .assign(&assignment)
        .map_err(kafka("assign partitions"))?;
    Ok(consumer)
}

fn take(
    names: &[Arc<str>],
    next: &mut Offsets,
    message: &BorrowedMessage<'_>,
) -> Option<ReadRecord> {
    let topic = names.iter().find(|name| &***name == message.topic())?;
    let (partition, offset) = (message.partition() as u32, message.offset() as u64);
    let (key, value) = (
        message.key().unwrap_or_default(),
        message.payload().unwrap_or_default(),
    );
    let mut bytes = Vec::with_capacity(key.len() + value.len() + 512);
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(value);
    let headers_start = bytes.len();
    let mut timestamp_ms = None;
    // A header name that is not UTF-8 panics inside the client; a stranger's record must not stop the pipeline.
    let walked = catch_unwind(AssertUnwindSafe(|| {
        for header in message
            .headers()
            .into_iter()
            .flat_map(|headers| headers.iter())
        {
            let value = header.value.unwrap_or_default();
            if header.key == TIME_HEADER {
                timestamp_ms = std::str::from_utf8(value)
                    .ok()
                    .and_then(|text| text.parse().ok());
            } else {
                push_header(&mut bytes, header.key, value);
            }
        }
    }));
    if walked.is_err() {
        warn!(%topic, partition, offset, "headers left out behind one whose name is not text");
    }
    let bytes = Bytes::from(bytes);
    let place = next
        .iter_mut()
        .find(|((name, number), _)| *number == partition && **name == **topic);
    *place?.1 = offset + 1;
    Some(ReadRecord {
        topic: Arc::clone(topic),
        partition,
        offset,
        key: bytes.slice(..key.len()),
        value: bytes.slice(key.len()..headers_start),
        headers: Headers::from_encoded(bytes.slice(headers_start..)),
        timestamp_ms: timestamp_ms
            .or_else(|| message.timestamp().to_millis())
            .unwrap_or(0),
    })
}

impl LogReader for KafkaReader {
    fn poll(&mut self, records_max: usize, wait: Duration) -> Result<Vec<ReadRecord>> {
        if let Some(error) = self.held.take() {
            return Err(error);
        }
        let deadline = Instant::now() + wait;
        let mut records = Vec::new();
        while records.len() < records_max {
            let left = if records.is_empty() {
                deadline.saturating_duration_since(Instant::now())
            } else {
                Duration::ZERO
            };
            let error = match self.consumer.poll(left) {
                None => break,
                Some(Ok(message)) => {
                    records.extend(take(&self.names, &mut self.next, &message));
                    continue;
                }
                Some(Err(error)) => error,
            };
            match self.lasting(error) {
                None => {}
                Some(error) if records.is_empty() => return Err(error),
                Some(error) => {
                    self.held = Some(error);
                    break;
                }
            }
        }
        if records.len() == records_max {
            // The client has more: the others wait for their turn.
            self.waits.clear();
        }
        Ok(records)
    }

    fn behind(&mut self) -> Result<Offsets> {
        let known = self.ends.take();
        let (said, ends) = match known.filter(|(said, _)| said.elapsed() < ENDS_TRUSTED) {
            Some(known) => known,
            None => {
                let ends = ask_offsets_once(&self.consumer, &self.topics, Offset::End, ASK_ENDS)?;
                (Instant::now(), ends)
            }
        };
        let left = |(place, next): (&(String, u32), &u64)| {
            let left = ends.get(place)?.checked_sub(*next)?;
            (left > 0).then(|| (place.clone(), left))
        };
        let behind = self.next.iter().filter_map(left).collect();
        self.ends = Some((said, ends));
        self.go_on(&behind)?;
        Ok(behind)
    }
}
