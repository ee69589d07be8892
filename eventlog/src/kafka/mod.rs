//! The log on Kafka: production, and whoever already runs one.
//! Needs: brokers 2.4 or newer; the right to create topics, or topics made beforehand with the same partition counts.
//! Promises: as `EventLog`; acks=all and an idempotent producer, so its own retries neither double nor reorder; offsets are the
//! caller's, nothing is committed to Kafka.
//! Leaves out: transactions and groups (later issues).
//! Topics keep records by the time Kafka got them (`LogAppendTime`): retention must not depend on a sample's clock. The
//! record's own time travels in the header `hostread_ms`, which readers turn back into `timestamp_ms`.

mod producer;
mod reader;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tracing::{debug, info};

use self::producer::Sender;
use self::reader::KafkaReader;
use crate::embedded::{Layout, check_record};
use crate::{EventLog, LogError, LogReader, Offsets, RECORD_BYTES_MAX, Record, Result, TopicSpec};

/// Header with a record's own time, decimal milliseconds.
pub(crate) const TIME_HEADER: &str = "hostread_ms";
/// A record, its attributes and Kafka's own overhead must fit.
const MESSAGE_BYTES_MAX: usize = RECORD_BYTES_MAX + (1 << 20);
/// How long one question to the brokers may take.
const ASK: Duration = Duration::from_secs(10);
/// Between two attempts at a question.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// How long new topics may take to have leaders.
const TOPICS_READY: Duration = Duration::from_secs(30);

/// How to reach Kafka.
#[derive(Clone, Debug)]
pub struct KafkaSettings {
    /// `host:port`, comma-separated.
    pub brokers: String,
    /// Shown in the brokers' logs and metrics.
    pub client_id: String,
    /// Copies of each topic that is created here.
    pub replication: i32,
    /// How long topics that are created here keep records.
    pub retention_ms: i64,
    /// How long an append may wait for its confirmation before it is an error.
    pub confirm_ms_max: u32,
    /// librdkafka properties for all clients: security, addresses, tuning.
    pub properties: Vec<(String, String)>,
}

impl KafkaSettings {
    /// One copy, 14 days, 30 s.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            client_id: "hostread".to_owned(),
            replication: 1,
            retention_ms: 14 * 24 * 3_600_000,
            confirm_ms_max: 30_000,
            properties: Vec::new(),
        }
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", &self.client_id);
        config.set("message.max.bytes", MESSAGE_BYTES_MAX.to_string());
        // A broker that restarts should be found again within a second.
        config.set("reconnect.backoff.max.ms", "1000");
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
    }

    fn consumer(&self) -> Result<BaseConsumer> {
        let mut config = self.client();
        config
            .set("group.id", &self.client_id)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // A position that is not there is an error, never a jump.
            .set("auto.offset.reset", "error")
            .set("check.crcs", "true")
            // After its queue was full a reader must not rest for a whole second.
            .set("fetch.queue.backoff.ms", "20");
        config.create().map_err(kafka("make a Kafka consumer"))
    }
}

pub(crate) fn kafka(action: &'static str) -> impl FnOnce(KafkaError) -> LogError {
    move |source| LogError::Kafka { action, source }
}

/// A log on Kafka.
pub struct KafkaLog {
    settings: KafkaSettings,
    layout: Layout,
    sender: Sender,
    /// Asks for offsets; reads nothing.
    asker: Arc<BaseConsumer>,
}

impl KafkaLog {
    /// Connects, creates topics that are missing, and checks the partition counts of all.
    pub async fn open(settings: KafkaSettings, topics: &[TopicSpec]) -> Result<Self> {
        let layout = Layout::empty().extended(topics)?;
        let asker = Arc::new(settings.consumer()?);
        create_topics(&settings, &layout.topics).await?;
        let (asking, wanted) = (Arc::clone(&asker), layout.topics.clone());
        in_background(move || wait_for_topics(&asking, &wanted)).await?;
        let sender = Sender::new(settings.clone())?;
        info!(topics = topics.len(), "Kafka log opened");
        Ok(Self {
            settings,
            layout,
            sender,
            asker,
        })
    }

    async fn offsets(&self, of: Offset) -> Result<Offsets> {
        let (asker, topics) = (Arc::clone(&self.asker), self.layout.topics.clone());
        in_background(move || ask_offsets(&asker, &topics, of)).await
    }
}

/// librdkafka's questions block.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| LogError::Closed)?
}

async fn create_topics(settings: &KafkaSettings, topics: &[TopicSpec]) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = settings
        .client()
        .create()
        .map_err(kafka("make a Kafka admin client"))?;
    let (retention, bytes) = (
        settings.retention_ms.to_string(),
        MESSAGE_BYTES_MAX.to_string(),
    );
    let new = |spec| {
        let TopicSpec { name, partitions }: &TopicSpec = spec;
        NewTopic::new(
            name,
            *partitions as i32,
            TopicReplication::Fixed(settings.replication),
        )
        .set("cleanup.policy", "delete")
        .set("retention.ms", &retention)
        .set("max.message.bytes", &bytes)
        .set("message.timestamp.type", "LogAppendTime")
    };
    let new: Vec<NewTopic<'_>> = topics.iter().map(new).collect();
    let options = AdminOptions::new()
        .request_timeout(Some(ASK))
        .operation_timeout(Some(ASK));
    let results = admin
        .create_topics(&new, &options)
        .await
        .map_err(kafka("create topics"))?;
    for result in results {
        match result {
            // Without the right to create: `wait_for_topics` says whether somebody else did.
            Ok(_)
            | Err((
                _,
                RDKafkaErrorCode::TopicAlreadyExists
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed,
            )) => {}
            Err((_, code)) => return Err(kafka("create topics")(KafkaError::AdminOp(code))),
        }
    }
    Ok(())
}

/// Until every topic is known with its partitions and their leaders.
fn wait_for_topics(asker: &BaseConsumer, topics: &[TopicSpec]) -> Result<()> {
    let deadline = Instant::now() + TOPICS_READY;
    for spec in topics {
        loop {
            let metadata = asker
                .fetch_metadata(Some(&spec.name), ASK)
                .map_err(kafka("look at topics"))?;
            let there = metadata
                .topics()
                .iter()
                .find(|topic| topic.name() == spec.name);
            let partitions = there.map_or(&[][..], |topic| topic.partitions());
            let led = partitions
                .iter()
                .all(|partition| partition.leader() >= 0 && partition.error().is_none());
            if !partitions.is_empty() && partitions.len() != spec.partitions as usize {
                let (topic, there) = (spec.name.clone(), partitions.len() as u32);
                return Err(LogError::PartitionCount {
                    topic,
                    there,
                    wanted: spec.partitions,
                });
            }
            if !partitions.is_empty() && led {
                break;
            }
            if Instant::now() >= deadline {
                let code = RDKafkaErrorCode::UnknownTopicOrPartition;
                return Err(kafka("find all topics")(KafkaError::MetadataFetch(code)));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

/// First or next offset of every partition. After a broker's restart the first answers may be about an old leader.
fn ask_offsets(asker: &BaseConsumer, topics: &[TopicSpec], of: Offset) -> Result<Offsets> {
    let deadline = Instant::now() + ASK;
    loop {
        match ask_offsets_once(asker, topics, of, ASK) {
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(error) => debug!(error = %error, "asking for offsets again"),
            Ok(offsets) => return Ok(offsets),
        }
        std::thread::sleep(ASK_AGAIN);
        // Makes the client look for leaders anew; if it fails, so will the question.
        drop(asker.fetch_metadata(None, ASK));
    }
}

/// In one request a broker.
fn ask_offsets_once(
    asker: &BaseConsumer,
    topics: &[TopicSpec],
    of: Offset,
    wait: Duration,
) -> Result<Offsets> {
    let mut asked = TopicPartitionList::new();
    for spec in topics {
        for partition in 0..spec.partitions {
            asked
                .add_partition_offset(&spec.name, partition as i32, of)
                .map_err(kafka("ask for offsets"))?;
        }
    }
    let answered = asker
        .offsets_for_times(asked, wait)
        .map_err(kafka("ask for offsets"))?;
    let mut offsets = Offsets::new();
    for element in answered.elements() {
        element.error().map_err(kafka("ask for offsets"))?;
        let Offset::Offset(offset) = element.offset() else {
            return Err(kafka("ask for offsets")(KafkaError::OffsetFetch(
                RDKafkaErrorCode::NoOffset,
            )));
        };
        offsets.insert(
            (element.topic().to_owned(), element.partition() as u32),
            offset as u64,
        );
    }
    Ok(offsets)
}

#[async_trait]
impl EventLog for KafkaLog {
    async fn append(&self, batch: Vec<Record>) -> Result<()> {
        for record in &batch {
            check_record(record)?;
            self.layout.slot_of(&record.topic, record.partition)?;
        }
        self.sender.send(&batch).await
    }

    async fn start_offsets(&self) -> Result<Offsets> {
        self.offsets(Offset::Beginning).await
    }

    async fn end_offsets(&self) -> Result<Offsets> {
        self.offsets(Offset::End).await
    }

    fn topics(&self) -> &[TopicSpec] {
        &self.layout.topics
    }

    fn reader(&self, from: &Offsets) -> Result<Box<dyn LogReader>> {
        for (topic, partition) in from.keys() {
            self.layout.slot_of(topic, *partition)?;
        }
        Ok(Box::new(KafkaReader::new(
            &self.settings,
            &self.layout.topics,
            from,
        )?))
    }
}
