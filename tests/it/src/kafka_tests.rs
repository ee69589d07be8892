//! The log on a genuine Kafka: the conformance suite, and a broker that dies.
#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::collections::BTreeSet;
use std::process::id;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hostread_eventlog::conformance::{Subject, all_at, run_conformance, sample};
use hostread_eventlog::{
    ErrorKind, EventLog, KafkaLog, KafkaSettings, LogError, Offsets, Record, TopicSpec,
};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::kafka::{Broker, shared};

struct OnKafka {
    brokers: String,
}

#[hostread_eventlog::async_trait]
impl Subject for OnKafka {
    async fn open(&self, topics: &[TopicSpec]) -> Arc<dyn EventLog> {
        Arc::new(
            KafkaLog::open(KafkaSettings::new(&self.brokers), topics)
                .await
                .unwrap(),
        )
    }

    async fn open_error(&self, topics: &[TopicSpec]) -> LogError {
        KafkaLog::open(KafkaSettings::new(&self.brokers), topics)
            .await
            .err()
            .unwrap()
    }

    async fn expire(&self, topics: &[TopicSpec]) {
        let admin = admin(&self.brokers);
        let mut all = TopicPartitionList::new();
        for spec in topics {
            for partition in 0..spec.partitions {
                all.add_partition_offset(&spec.name, partition as i32, Offset::End)
                    .unwrap();
            }
        }
        admin
            .delete_records(&all, &AdminOptions::new())
            .await
            .unwrap();
    }
}

fn admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).create().unwrap()
}

fn topic(case: &str, partitions: u32) -> TopicSpec {
    TopicSpec::new(format!("test.{case}-{}.v1", id()), partitions)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms() {
    run_conformance(&OnKafka { brokers: shared() }, &id().to_string()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_killed_twice_loses_and_doubles_nothing() {
    let mut broker = tokio::task::spawn_blocking(Broker::start).await.unwrap();
    let topics = [topic("kill", 2)];
    let mut settings = KafkaSettings::new(broker.bootstrap());
    settings.confirm_ms_max = 60_000;
    let log: Arc<dyn EventLog> = Arc::new(KafkaLog::open(settings, &topics).await.unwrap());
    let reader = log.reader(&all_at(&topics, 0)).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let confirmed = Arc::new(AtomicU64::new(0));
    let appending = {
        let (log, stop, topic) = (Arc::clone(&log), Arc::clone(&stop), topics[0].name.clone());
        let confirmed = Arc::clone(&confirmed);
        tokio::spawn(async move {
            let mut sent = 0;
            while !stop.load(Ordering::Relaxed) {
                let batch = (sent..sent + 100)
                    .map(|n| sample(&topic, n as u32 % 2, n))
                    .collect();
                log.append(batch).await.unwrap();
                sent += 100;
                confirmed.store(sent, Ordering::Relaxed);
            }
            sent
        })
    };
    // However slow the machine is: something was confirmed since the last death, and more is in the air.
    let flowing = async || {
        let (before, began) = (confirmed.load(Ordering::Relaxed), Instant::now());
        while confirmed.load(Ordering::Relaxed) < before + 300 {
            assert!(
                began.elapsed() < Duration::from_mins(2),
                "no append is confirmed"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    for _ in 0..2 {
        flowing().await;
        broker = tokio::task::spawn_blocking(move || {
            broker.kill();
            broker.restart();
            broker
        })
        .await
        .unwrap();
    }
    flowing().await;
    stop.store(true, Ordering::Relaxed);
    let sent = appending.await.unwrap();
    let numbers = tokio::task::spawn_blocking(move || {
        let (mut reader, mut numbers, deadline) =
            (reader, Vec::new(), Instant::now() + Duration::from_mins(1));
        while (numbers.len() as u64) < sent && Instant::now() < deadline {
            let records = reader.poll(10_000, Duration::from_millis(500)).unwrap();
            numbers.extend(
                records
                    .iter()
                    .map(|record| record.timestamp_ms - 1_700_000_000_000),
            );
        }
        numbers
    })
    .await
    .unwrap();
    let distinct: BTreeSet<i64> = numbers.iter().copied().collect();
    assert_eq!((numbers.len() as u64, distinct.len() as u64), (sent, sent));
    let odd: Vec<i64> = numbers
        .iter()
        .copied()
        .filter(|number| number % 2 == 1)
        .collect();
    assert!(odd.is_sorted(), "a partition keeps its order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_no_broker_answers_appends_fail_in_time_and_reads_are_empty() {
    let mut broker = tokio::task::spawn_blocking(Broker::start).await.unwrap();
    let topics = [topic("away", 1)];
    let mut settings = KafkaSettings::new(broker.bootstrap());
    settings.confirm_ms_max = 2_000;
    let log = KafkaLog::open(settings, &topics).await.unwrap();
    let mut reader = log.reader(&all_at(&topics, 0)).unwrap();
    let record = || vec![sample(&topics[0].name, 0, 1)];
    log.append(record()).await.unwrap();
    broker = tokio::task::spawn_blocking(move || {
        broker.stop();
        broker
    })
    .await
    .unwrap();
    let started = Instant::now();
    let error = log.append(record()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Dependency, "{error:?}");
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
    let (read, mut reader) =
        tokio::task::spawn_blocking(move || (reader.poll(10, Duration::from_secs(1)), reader))
            .await
            .unwrap();
    assert!(read.unwrap().len() <= 1, "at most the record from before");
    let broker = tokio::task::spawn_blocking(move || {
        broker.restart();
        broker
    })
    .await
    .unwrap();
    log.append(record()).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let wanted = log.end_offsets().await.unwrap();
    let end = wanted[&(topics[0].name.clone(), 0)];
    let last = tokio::task::spawn_blocking(move || {
        loop {
            assert!(Instant::now() < deadline, "the reader did not come back");
            if let Some(record) = reader.poll(10, Duration::from_secs(1)).unwrap().last()
                && record.offset + 1 == end
            {
                return record.offset;
            }
        }
    })
    .await
    .unwrap();
    assert!(last >= 1);
    drop(broker);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_record_does_not_stop_the_reader() {
    let topics = [topic("stranger", 1)];
    let log = KafkaLog::open(KafkaSettings::new(shared()), &topics)
        .await
        .unwrap();
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", shared())
        .create()
        .unwrap();
    let headers = OwnedHeaders::new().insert(Header {
        key: "hostread_ms",
        value: Some("no number"),
    });
    let headers = headers.insert(Header {
        key: "null",
        value: None::<&str>,
    });
    let record: FutureRecord<'_, str, str> = FutureRecord::to(&topics[0].name)
        .partition(0)
        .headers(headers);
    producer
        .send(record, Duration::from_secs(10))
        .await
        .unwrap();
    let ours = Record {
        value: b"ours".to_vec(),
        ..sample(&topics[0].name, 0, 1)
    };
    log.append(vec![ours]).await.unwrap();
    let from: Offsets = all_at(&topics, 0);
    let reader = log.reader(&from).unwrap();
    let (records, _) = hostread_eventlog::conformance::read_count(reader, 2).await;
    assert!(records[0].key.is_empty() && records[0].value.is_empty());
    assert_eq!(
        records[0].headers.to_vec(),
        [("null".to_owned(), Vec::new())]
    );
    assert!(
        records[0].timestamp_ms > 1_700_000_000_000,
        "the broker's time stands in"
    );
    assert_eq!(&records[1].value[..], b"ours");
}

/// As brokers that come back may say for a moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_the_brokers_do_not_know_is_waited_for() {
    let topics = [topic("unknown", 2)];
    let (name, options) = (topics[0].name.as_str(), AdminOptions::new());
    let mut settings = KafkaSettings::new(shared());
    let often = ("topic.metadata.refresh.interval.ms", "100");
    settings.properties.push((often.0.into(), often.1.into()));
    let log = KafkaLog::open(settings.clone(), &topics).await.unwrap();
    let mut reader = log.reader(&all_at(&topics, 0)).unwrap();
    assert_eq!(reader.poll(10, Duration::from_secs(1)).unwrap(), []);
    let admin = admin(&settings.brokers);
    admin.delete_topics(&[name], &options).await.unwrap();
    let one = NewTopic::new(name, 1, TopicReplication::Fixed(1));
    let began = Instant::now();
    while admin.create_topics([&one], &options).await.unwrap()[0].is_err() {
        assert!(began.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        assert_eq!(reader.poll(10, Duration::from_millis(50)).unwrap(), []);
    }
    let error = reader.behind().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Dependency, "{error:?}");
    let two = NewPartitions::new(name, 2);
    admin.create_partitions([&two], &options).await.unwrap();
    let log = KafkaLog::open(settings, &topics).await.unwrap();
    log.append(vec![sample(name, 1, 1)]).await.unwrap();
    let (records, _) = hostread_eventlog::conformance::read_count(reader, 1).await;
    assert_eq!((records[0].partition, records[0].offset), (1, 0));
}
