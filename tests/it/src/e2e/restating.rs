//! While a change of rules is on its way, `/readyz` and the view `freshness` say how far it is, and that it is over.
//!
//! ```text
//! rules ─► counted: the dataflow stands still at the first household ─► written: ClickHouse does not get the downloads ─► seen
//! rules ─► counted: the process is killed there ─► a start replays them ─► written: as above ─► seen
//! ```

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hostread_schemas::event::{Body, Event};
use serde_json::Value;
use tokio::sync::watch;

use super::crash::{seed, workload_of};
use super::databases::Databases;
use super::feed::Feed;
use super::process::Pipeline;
use super::proxy::{Deed, holds};
use super::settings;

const QUIET: Duration = Duration::from_millis(300);
const STUCK: Duration = Duration::from_mins(1);
const DAYS: u32 = 2;
/// The view's rows that are not ranges.
const UNDER_WAY: &str = "SELECT restating, done, total FROM hostread.freshness WHERE restating != '' FORMAT TabSeparated";
const DOWNLOADS: &str = "SELECT sum(downloads) FROM hostread.downloads_daily";

struct World {
    databases: Databases,
    feed: Feed,
    config: PathBuf,
    /// While it is there, listener-days are not counted anew.
    stands_still: PathBuf,
    clock_ms: i64,
}

/// Stage, done and total, as the view has them.
fn as_told(restating: &Value) -> String {
    let count = |name: &str| restating[name].as_u64().unwrap();
    format!(
        "{}\t{}\t{}\n",
        restating["stage"].as_str().unwrap(),
        count("done"),
        count("total")
    )
}

fn is_partly(restating: &Value, stage: &str) -> bool {
    let (done, total) = (restating["done"].as_u64(), restating["total"].as_u64());
    restating["stage"] == stage && done > Some(0) && done < total
}

impl World {
    /// Waits until `/readyz` says that a stage is partly done.
    async fn until_partly(&self, pipeline: &mut Pipeline, stage: &str) -> Value {
        let began = Instant::now();
        loop {
            let status = pipeline.status().await.unwrap_or_default();
            if is_partly(&status["restating"], stage) {
                return status;
            }
            assert!(began.elapsed() < STUCK, "never partly {stage}: {status}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until readers are told this.
    async fn until_told(&self, expected: &str) {
        let began = Instant::now();
        loop {
            let told = self.databases.ask(UNDER_WAY).await;
            if told == expected {
                return;
            }
            assert!(began.elapsed() < STUCK, "told {told:?}, not {expected:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// From now on ClickHouse gets no downloads, until it is free.
    fn hold_downloads(&self) -> watch::Sender<bool> {
        let (free, is_free) = watch::channel(false);
        self.databases.clickhouse_proxy.set(move |bytes| {
            if holds(bytes, "INSERT+INTO+serving.downloads+") {
                return Deed::Hold(0, is_free.clone());
            }
            Deed::Pass
        });
        free
    }

    /// Both stages are seen to their end, by readers too.
    async fn see_written(&self, pipeline: &mut Pipeline, free: watch::Sender<bool>) {
        let status = self.until_partly(pipeline, "writing").await;
        self.until_told(&as_told(&status["restating"])).await;
        free.send_replace(true);
        self.databases.clickhouse_proxy.pass();
        pipeline.wait_drained(self.clock_ms, QUIET).await;
        let status = pipeline.status().await.unwrap();
        assert_eq!(status["restating"], Value::Null, "{status}");
        self.until_told("").await;
    }

    async fn downloads(&self) -> u64 {
        self.databases.ask(DOWNLOADS).await.trim().parse().unwrap()
    }
}

/// The rules of a tenant, in a new revision.
fn rules(of: &Event, revision: u32, secs: u32) -> Event {
    let mut event = of.clone();
    event.meta.revision = revision;
    event.meta.batch_id = format!("rules-{revision}");
    let Body::RuleSet(rules) = &mut event.body else {
        panic!("it holds rules")
    };
    rules.threshold_secs = secs;
    event
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_are_told_how_far_a_change_of_rules_is() {
    let (seed, dir) = (seed(), tempfile::tempdir().unwrap());
    let databases = Databases::start().await;
    let config = dir.path().join("hostread.toml");
    let text = settings(dir.path(), "kind = \"embedded\"", &databases.settings());
    fs::write(&config, text).unwrap();
    let feed = Feed::embedded(&dir.path().join("log")).await;
    let events = workload_of(seed, DAYS);
    let clock_ms = events.last().unwrap().meta.received_at.0;
    let of = events
        .iter()
        .find(|event| matches!(event.body, Body::RuleSet(_)));
    let rules = |revision, secs| {
        let mut rules = rules(of.unwrap(), revision, secs);
        rules.meta.received_at = events.last().unwrap().meta.received_at;
        rules
    };
    let stands_still = dir.path().join("stands-still");
    let world = World {
        databases,
        feed,
        config,
        stands_still,
        clock_ms,
    };
    let start =
        || Pipeline::start_to_wait(&world.config, 1, "count.recounted", &world.stands_still);
    let mut pipeline = start();
    world.feed.append(&events).await;
    pipeline.wait_drained(clock_ms, QUIET).await;
    world.until_told("").await;
    let before = world.downloads().await;

    fs::write(&world.stands_still, "").unwrap();
    world.feed.append(&[rules(1, 600)]).await;
    let status = world.until_partly(&mut pipeline, "computing").await;
    println!("{}", status["restating"]);
    world.until_told(&as_told(&status["restating"])).await;
    assert_eq!(world.downloads().await, before);
    let free = world.hold_downloads();
    fs::remove_file(&world.stands_still).unwrap();
    world.see_written(&mut pipeline, free).await;
    let restated = world.downloads().await;
    assert!(restated < before, "{before} downloads, now {restated}");

    fs::write(&world.stands_still, "").unwrap();
    world.feed.append(&[rules(2, 60)]).await;
    let mut status = world.until_partly(&mut pipeline, "computing").await;
    let computing = as_told(&status["restating"]);
    world.until_told(&computing).await;
    while status["tick_durable"].as_u64() < status["restating"]["tick"].as_u64() {
        status = pipeline.status().await.unwrap();
    }
    pipeline.kill_9();
    assert_eq!(
        world.databases.ask(UNDER_WAY).await,
        computing,
        "nobody owns it since"
    );
    let free = world.hold_downloads();
    fs::remove_file(&world.stands_still).unwrap();
    let mut pipeline = start();
    world.see_written(&mut pipeline, free).await;
    assert_eq!(world.downloads().await, before);
    assert!(pipeline.stop().success());
    world.databases.stop().await;
}
