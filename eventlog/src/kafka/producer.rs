//! Sends batches and waits until the last record of each is confirmed.
//! Needs: topics that exist.    Promises: `Ok` only after every record of the batch is on all in-sync copies.
//! Leaves out: taking back what went in before an error (a batch is not atomic).
//! Invariant 1: a batch is answered exactly once, by the delivery of its last record.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use tokio::sync::oneshot;
use tracing::warn;

use super::{KafkaSettings, TIME_HEADER, kafka};
use crate::{LogError, Record, Result};

/// How long to let the queue drain before trying to put the next record in.
const QUEUE_FULL_WAIT: Duration = Duration::from_millis(5);

type Answer = oneshot::Sender<Result<(), KafkaError>>;

/// A batch on its way.
struct Confirm {
    left: AtomicUsize,
    failed: Mutex<Option<KafkaError>>,
    answer: Mutex<Option<Answer>>,
}

impl Confirm {
    /// `count` records have come to an end.
    fn done(&self, count: usize, failed: Option<KafkaError>) {
        if let Some(error) = failed {
            lock(&self.failed).get_or_insert(error);
        }
        if self.left.fetch_sub(count, Ordering::AcqRel) == count
            && let Some(answer) = lock(&self.answer).take()
        {
            let failed = lock(&self.failed).take();
            // Nobody listening: the caller gave up, the records are in or not all the same.
            drop(answer.send(failed.map_or(Ok(()), Err)));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Deliveries;

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Confirm>;

    fn delivery(&self, result: &DeliveryResult<'_>, confirm: Arc<Confirm>) {
        confirm.done(1, result.as_ref().err().map(|(error, _)| error.clone()));
    }
}

type Inner = ThreadedProducer<Deliveries>;

pub(crate) struct Sender {
    settings: KafkaSettings,
    /// Replaced after a fatal error: an idempotent producer does not come back from one.
    producer: RwLock<Arc<Inner>>,
}

impl Sender {
    pub(crate) fn new(settings: KafkaSettings) -> Result<Self> {
        let producer = RwLock::new(make(&settings)?);
        Ok(Self { settings, producer })
    }

    pub(crate) async fn send(&self, batch: &[Record]) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let producer = Arc::clone(&self.producer.read().unwrap_or_else(PoisonError::into_inner));
        let (answer, confirmed) = oneshot::channel();
        let confirm = Arc::new(Confirm {
            left: AtomicUsize::new(batch.len()),
            failed: Mutex::new(None),
            answer: Mutex::new(Some(answer)),
        });
        let deadline =
            Instant::now() + Duration::from_millis(u64::from(self.settings.confirm_ms_max));
        for (index, record) in batch.iter().enumerate() {
            while let Err(error) = send_one(&producer, record, &confirm) {
                let full = matches!(
                    error,
                    KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)
                );
                if !full || Instant::now() >= deadline {
                    confirm.done(batch.len() - index, None);
                    self.replace_if_fatal(&producer)?;
                    return Err(kafka("send to Kafka")(error));
                }
                tokio::time::sleep(QUEUE_FULL_WAIT).await;
            }
        }
        // Bounded: librdkafka gives up on each record after `message.timeout.ms`.
        let confirmed = confirmed.await.map_err(|_| LogError::Closed)?;
        if confirmed.is_err() {
            self.replace_if_fatal(&producer)?;
        }
        confirmed.map_err(kafka("send to Kafka"))
    }

    fn replace_if_fatal(&self, broken: &Arc<Inner>) -> Result<()> {
        let Some((code, reason)) = broken.client().fatal_error() else {
            return Ok(());
        };
        let mut producer = self
            .producer
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&producer, broken) {
            warn!(%code, reason, "Kafka producer replaced after a fatal error");
            *producer = make(&self.settings)?;
        }
        Ok(())
    }
}

fn make(settings: &KafkaSettings) -> Result<Arc<Inner>> {
    let mut config = settings.client();
    config
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("compression.type", "lz4")
        .set("linger.ms", "5")
        .set("batch.num.messages", "10000")
        .set("queue.buffering.max.messages", "500000")
        .set("queue.buffering.max.kbytes", "262144")
        .set("message.timeout.ms", settings.confirm_ms_max.to_string());
    let producer = config
        .create_with_context(Deliveries)
        .map_err(kafka("make a Kafka producer"))?;
    Ok(Arc::new(producer))
}

fn send_one(producer: &Inner, record: &Record, confirm: &Arc<Confirm>) -> Result<(), KafkaError> {
    let mut headers = OwnedHeaders::new_with_capacity(record.headers.len() + 1);
    for (key, value) in &record.headers {
        headers = headers.insert(Header {
            key,
            value: Some(value),
        });
    }
    let time = record.timestamp_ms.to_string();
    headers = headers.insert(Header {
        key: TIME_HEADER,
        value: Some(&time),
    });
    let message = BaseRecord::with_opaque_to(&record.topic, Arc::clone(confirm))
        .partition(record.partition as i32)
        .key(&record.key)
        .payload(&record.value)
        .headers(headers);
    producer.send(message).map_err(|(error, _)| error)
}
