//! Records that can be read and not be used, on a genuine Kafka: a broken invariant goes to the dead letters, an unknown schema
//! waits.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hostread_disk::SimDisk;
use hostread_job::{Clock, Decode, JobConfig, Parts, Running, Status};
use hostread_schemas::event::{Body, Event};
use hostread_schemas::unit::MoneyMicros;
use hostread_schemas::view::{ViewKey, ViewValue};
use hostread_simulate::{Mix1, Mix1Config};
use hostread_sink_kit::{MemorySink, MemoryStore, Sink};

use super::checks::LEDGER;
use super::feed::Feed;
use crate::kafka::Broker;

/// Longer than anything here takes.
const STUCK: Duration = Duration::from_mins(1);
const UNKNOWN: u32 = 9_999;

type Dead = Arc<Mutex<Vec<String>>>;

/// A job from the log's start on.
async fn start(feed: &Feed, decode: Decode) -> (Running, MemoryStore, Dead) {
    let (store, dead) = (MemoryStore::default(), Dead::default());
    let kept = Arc::clone(&dead);
    let sinks = vec![Box::new(MemorySink::new(store.clone())) as Box<dyn Sink>];
    let parts = Parts {
        decode,
        dead_letters: Box::new(move |letter| kept.lock().unwrap().push(letter.reason)),
        ..feed.parts(SimDisk::new(1), Path::new("/journal"), sinks)
    };
    let config = JobConfig {
        clock: Clock::Samples,
        ..JobConfig::default()
    };
    (
        hostread_job::start(config, parts).await.unwrap(),
        store,
        dead,
    )
}

async fn until(status: &Status, done: impl Fn() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(
            since.elapsed() < STUCK && status.failure().is_none(),
            "{status:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn rows(store: &MemoryStore) -> Vec<(ViewKey, ViewValue)> {
    let rows = store.rows().into_iter();
    rows.filter(|(key, _)| !LEDGER.contains(&key.view()))
        .collect()
}

/// An order that no door takes.
fn poisoned(events: &[Event]) -> Event {
    let order = events
        .iter()
        .find(|event| matches!(event.body, Body::Order(_)));
    let mut order = order.unwrap().clone();
    order.meta.id.lo ^= 1;
    if let Body::Order(body) = &mut order.body {
        body.value = MoneyMicros(i64::MAX);
    }
    order
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_invariant_is_a_dead_letter_and_an_unknown_schema_waits() {
    let broker = tokio::task::spawn_blocking(Broker::start).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let feed = Feed::kafka(&broker.bootstrap(), 2, dir.path()).await;
    let mix = Mix1::new(Mix1Config {
        events: 2_000,
        ..Mix1Config::default()
    });
    let events: Vec<Event> = mix.events().collect();
    let (first, second) = events.split_at(1_000);
    let (unknown, second) = second.split_first().unwrap();
    let schema = unknown.body.event_type().schema_json();
    let knows = Arc::new(AtomicBool::new(false));
    let ask = |knows: &Arc<AtomicBool>| {
        let knows = Arc::clone(knows);
        move |id| (id == UNKNOWN && knows.load(Ordering::Relaxed)).then(|| schema.to_owned())
    };
    let (job, store, dead) = start(&feed, feed.decode_asking(ask(&knows))).await;
    let status = Arc::clone(&job.status);

    feed.append(first).await;
    feed.append(&[poisoned(&events)]).await;
    until(&status, || {
        status.caught_up() && status.events() == 1_000 && status.dead_letters() == 1
    })
    .await;
    let reasons = dead.lock().unwrap().clone();
    assert!(
        reasons.len() == 1 && reasons[0].contains("value"),
        "{reasons:?}"
    );
    assert_eq!(status.trouble(), None, "the job goes on");

    let mut record = feed.record(unknown);
    record.value[1..5].copy_from_slice(&UNKNOWN.to_be_bytes());
    feed.log.append(vec![record]).await.unwrap();
    until(&status, || status.trouble().is_some()).await;
    feed.append(second).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let why = status.trouble().unwrap();
    let place = format!("which {}/", unknown.body.event_type().topic());
    assert!(
        why.contains("does not give schema id 9999") && why.contains(&place),
        "{why}"
    );
    assert_eq!(status.events(), 1_000, "nothing passes what waits");
    assert_eq!(status.dead_letters(), 1);

    knows.store(true, Ordering::Relaxed);
    until(&status, || status.caught_up() && status.events() == 2_000).await;
    assert_eq!(status.trouble(), None);
    job.stop().await.unwrap();

    // The same log to one who knows the schema from the start, and to one who is told that nobody ever will.
    let (job, expected, _) = start(&feed, feed.decode_asking(ask(&knows))).await;
    let status = Arc::clone(&job.status);
    until(&status, || status.caught_up() && status.events() == 2_000).await;
    job.stop().await.unwrap();
    assert!(rows(&store).len() > 1_000);
    assert_eq!(rows(&store), rows(&expected));
    let decode = feed.decode_asking(|_| None).refusing([UNKNOWN]);
    let (job, _, dead) = start(&feed, decode).await;
    let status = Arc::clone(&job.status);
    until(&status, || status.caught_up() && status.events() == 1_999).await;
    job.stop().await.unwrap();
    let reasons = dead.lock().unwrap().clone();
    assert!(
        reasons
            .iter()
            .any(|why| why.contains("the settings refuse schema id 9999")),
        "{reasons:?}"
    );
}
