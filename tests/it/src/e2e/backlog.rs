//! After a long stop the log holds days that were not read. The clock must not run ahead of them, whichever topic comes first.

use std::time::{Duration, Instant};

use hostread_disk::RealDisk;
use hostread_eventlog::Offsets;
use hostread_job::{Clock, JobConfig, JobError, Running};
use hostread_schemas::event::{Event, EventType};
use hostread_schemas::{DAY_MS, HOUR_MS};
use hostread_sink_kit::{MemorySink, MemoryStore, Sink};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::HORIZONS;
use super::crash::{seed, workload};
use super::feed::Feed;
use crate::kafka::Broker;

const STUCK: Duration = Duration::from_mins(1);
const PARTITIONS: u32 = 2;

/// A job by the machine's clock.
async fn start(
    feed: &Feed,
    journal: &std::path::Path,
    store: &MemoryStore,
    skip_lost: bool,
) -> Result<Running, JobError> {
    let sinks = vec![Box::new(MemorySink::new(store.clone())) as Box<dyn Sink>];
    let parts = feed.parts(RealDisk, journal, sinks);
    let config = JobConfig {
        horizons: HORIZONS,
        clock: Clock::wall(),
        skip_lost,
        ..JobConfig::default()
    };
    hostread_job::start(config, parts).await
}

/// Until so many events were read, and the clock stands at now.
async fn read(job: &Running, events: usize) {
    let began = Instant::now();
    let status = &job.status;
    while status.events() < events as u64
        || !status.caught_up()
        || status.clock().0 < hostread_job::wall_ms() - HOUR_MS
    {
        assert_eq!(status.failure(), None);
        assert!(began.elapsed() < STUCK, "{status:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What is in the log is taken out of it.
async fn expire(brokers: &str, ends: &Offsets) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()
        .unwrap();
    let mut all = TopicPartitionList::new();
    for (topic, partition) in ends.keys() {
        all.add_partition_offset(topic, *partition as i32, Offset::End)
            .unwrap();
    }
    admin
        .delete_records(&all, &AdminOptions::new())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_that_wait_are_read_before_the_clock_goes_on_and_a_gap_stops() {
    let (seed, dir) = (seed(), tempfile::tempdir().unwrap());
    let broker = tokio::task::spawn_blocking(Broker::start).await.unwrap();
    let brokers = broker.bootstrap();
    let feed = Feed::kafka(&brokers, PARTITIONS, &dir.path().join("log")).await;
    // Nothing of it came late by itself.
    let mut events: Vec<Event> = workload(seed);
    events.retain(|e| e.meta.received_at.0 - e.meta.time.0 < DAY_MS && e.meta.revision == 0);
    let mut last = events.split_off(events.len() - 2_000);
    let lost = events.split_off(events.len() - 2_000);
    // Behind the gap of these partitions nothing comes that would move their place.
    let is_redemption = |e: &Event| e.body.event_type() == EventType::Redemption;
    assert!(lost.iter().any(is_redemption));
    last.retain(|e| !is_redemption(e));
    feed.append(&events).await;

    let (journal, store) = (dir.path().join("journal"), MemoryStore::default());
    let job = start(&feed, &journal, &store, false).await.unwrap();
    read(&job, events.len()).await;
    let (late, rows) = (job.status.late(), store.rows().len());
    assert_eq!(late, 0, "the clock ran ahead of what waited in the log");
    assert_eq!(job.status.behind(), 0);
    assert!(rows > 1_000);
    job.stop().await.unwrap();

    feed.append(&lost).await;
    expire(&brokers, &feed.log.end_offsets().await.unwrap()).await;
    feed.append(&last).await;
    let upper = store.progress().unwrap().upper;
    let refused = start(&feed, &journal, &store, false).await.unwrap_err();
    assert!(matches!(refused, JobError::LogLost { .. }), "{refused}");
    let said = refused.to_string();
    println!("{said}");
    assert!(said.contains("hostread pipeline --skip-lost"), "{said}");
    assert_eq!(store.progress().unwrap().upper, upper);

    let job = start(&feed, &journal, &store, true).await.unwrap();
    read(&job, last.len()).await;
    assert_eq!(job.status.events(), last.len() as u64, "all that is there");
    job.stop().await.unwrap();
    let job = start(&feed, &journal, &store, false).await.unwrap();
    read(&job, 0).await;
    job.stop().await.unwrap();
}
