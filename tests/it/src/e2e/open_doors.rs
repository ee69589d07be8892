//! Whatever is away behind the log, the doors take orders; without the log they say so. What they took is in the databases in the end.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hostread_connectors_kit::signature::{hex, sha256_hex};
use nix::sys::signal::Signal;
use tokio::task::JoinHandle;

use super::databases::{Databases, Engine};
use super::process::{Pipeline, free_address};
use crate::engines_tests::launcher_exe;
use crate::kafka::Broker;

/// So long everything is away.
const AWAY: Duration = Duration::from_secs(6);
/// Answers slower than this are none.
const ANSWER_MAX: Duration = Duration::from_secs(10);
const STUCK: Duration = Duration::from_mins(1);

/// `hostread gateway`, running.
struct Gateway(Child);

impl Gateway {
    async fn start(config: &std::path::Path, address: &str) -> Self {
        let child = Command::new(launcher_exe())
            .arg("--config")
            .arg(config)
            .arg("gateway")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while reqwest::get(format!("http://{address}/readyz"))
            .await
            .is_err()
        {
            assert!(began.elapsed() < STUCK, "the doors do not open");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self(child)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// What the doors answered.
#[derive(Default, Debug)]
struct Answers {
    sent: u64,
    taken: BTreeSet<String>,
    /// Orders that were answered 503, and pixels that were answered meanwhile.
    refused: u64,
    pixels: u64,
}

/// Sends an order and a pixel again and again.
struct Buyers {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Answers>,
}

impl Buyers {
    fn start(address: &str, round: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, address) = (Arc::clone(&stop), address.to_owned());
        let task = tokio::spawn(async move {
            let client = reqwest::Client::builder()
                .timeout(ANSWER_MAX)
                .build()
                .unwrap();
            let mut answers = Answers::default();
            while !stopped.load(Ordering::Relaxed) {
                answers.sent += 1;
                let order = format!("{round}-{}", answers.sent);
                let now = jiff::Timestamp::now();
                let body = format!(
                    r#"[{{"store":"s","code":"X","order":"{order}","value":"34.40","currency":"USD","time":"{now}"}}]"#
                );
                let url = format!("http://{address}/v1/redemptions");
                let post = client.post(url).bearer_auth("key-north").body(body);
                match post.send().await.unwrap().status().as_u16() {
                    200 => drop(answers.taken.insert(order)),
                    503 => answers.refused += 1,
                    other => panic!("{round}: {other}"),
                }
                let url = format!("http://{address}/v1/pixel.gif?k=pk-north&store=s&id={round}");
                let pixel = client.get(url).send().await.unwrap().status();
                assert_eq!(pixel, 200, "{round}");
                answers.pixels += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            answers
        });
        Self { stop, task }
    }

    async fn stop(self) -> Answers {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doors_take_orders_while_everything_behind_them_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = tokio::task::spawn_blocking(Broker::start).await.unwrap();
    let databases = Databases::start().await;
    let (config, address) = (dir.path().join("hostread.toml"), free_address());
    let text = format!(
        "data_dir = {:?}\n[gateway]\nlisten = \"{address}\"\n[gateway.limits]\nbatch_requests_per_sec = 1000000\nappend_ms_max = 1000\n\
         [log]\nkind = \"kafka\"\nbrokers = {:?}\npartitions = 2\n{}\n\
         [[tenants]]\nname = \"north\"\napi_key_sha256 = [{:?}]\npublic_key = \"pk-north\"\nhash_key = {:?}\n",
        dir.path().join("data"),
        broker.bootstrap(),
        databases.settings(),
        sha256_hex(b"key-north"),
        hex(&[0x0B; 32]),
    );
    fs::write(&config, text).unwrap();
    let gateway = Gateway::start(&config, &address).await;
    let mut pipeline = Pipeline::start(&config, 2);
    pipeline.wait_ready().await;

    let mut taken = BTreeSet::new();
    for engine in [Engine::ClickHouse, Engine::Postgres] {
        let buyers = Buyers::start(&address, ["clickhouse", "postgres"][engine as usize]);
        assert!(databases.signal(engine, Signal::SIGSTOP));
        tokio::time::sleep(AWAY).await;
        assert!(databases.signal(engine, Signal::SIGCONT));
        let answers = buyers.stop().await;
        println!("{engine:?} away: {} orders taken", answers.taken.len());
        assert!(
            answers.refused == 0 && answers.taken.len() > 20,
            "{answers:?}"
        );
        taken.extend(answers.taken);
    }
    let buyers = Buyers::start(&address, "kafka");
    broker = tokio::task::spawn_blocking(move || {
        broker.kill();
        std::thread::sleep(AWAY);
        broker.restart();
        broker
    })
    .await
    .unwrap();
    tokio::time::sleep(AWAY / 2).await;
    let answers = buyers.stop().await;
    let Answers {
        refused, pixels, ..
    } = answers;
    println!(
        "Kafka away: {refused} orders refused, {} taken",
        answers.taken.len()
    );
    assert!(refused > 2 && pixels == answers.sent, "{answers:?}");
    assert!(!answers.taken.is_empty(), "{answers:?}");
    taken.extend(answers.taken);

    let began = Instant::now();
    loop {
        let found = databases
            .ask("SELECT order_reference FROM serving.conversions FINAL")
            .await;
        let found: BTreeSet<String> = found.lines().map(str::to_owned).collect();
        let missing = taken.difference(&found).count();
        if missing == 0 {
            break;
        }
        let text = format!("{missing} of {} orders are missing", taken.len());
        assert!(
            began.elapsed() < STUCK,
            "{text}: {:?}",
            pipeline.status().await
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(pipeline.stop().success());
    drop(gateway);
    drop(broker);
    databases.stop().await;
}
