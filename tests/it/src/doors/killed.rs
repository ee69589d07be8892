//! The real process, killed in the middle: whatever it had answered with 2xx is in its log.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hostread_connectors_kit::signature::{hex, sha256_hex};
use hostread_disk::RealDisk;
use hostread_eventlog::{EmbeddedLog, EventLog, InProcessRegistry, Registry};
use hostread_schemas::Decoder;
use hostread_schemas::event::EventType;
use hostread_schemas::id::EventId;
use hostread_schemas::intern::IdHasher;

use super::bench::HASH_KEY;
use crate::e2e::points::LOG_POINTS;
use crate::engines_tests::launcher_exe;

const ID_KEY: [u8; 16] = [0x5A; 16];

/// The process; dies with the test.
struct Process {
    child: Child,
    url: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn start(dir: &Path, crash_at: Option<&str>) -> Process {
    let mut child = Command::new(launcher_exe())
        .envs(crash_at.map(|at| ("CRASH_AT", at)))
        .args(["gateway", "--config"])
        .arg(dir.join("hostread.toml"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let found = lines.map_while(Result::ok).find_map(|line| {
        let word = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"))?;
        Some(word.to_owned())
    });
    let url = found.expect("the process says where it listens");
    Process { child, url }
}

async fn send(client: &reqwest::Client, url: &str, sender: usize, own: &str) -> Option<EventId> {
    let request = if sender.is_multiple_of(2) {
        client.get(format!("{url}/v1/pixel.gif?k=pk-north&store=s&id={own}"))
    } else {
        let now = jiff::Timestamp::now();
        client
            .post(format!("{url}/v1/events"))
            .bearer_auth("key-north")
            .body(format!(
                r#"{{"type":"show","id":"{own}","show":"s","time":"{now}"}}"#
            ))
    };
    let status = request.send().await.ok()?.status();
    assert_eq!(status, 200);
    let source = if sender.is_multiple_of(2) {
        "pixel"
    } else {
        "api"
    };
    Some(IdHasher::new(ID_KEY).event_id("north", source, own.as_bytes()))
}

/// Starts the gateway, sends all the time, and lets it die.
async fn round(
    dir: &Path,
    round: u64,
    crash_at: Option<&str>,
    promised: &Arc<Mutex<BTreeSet<EventId>>>,
) {
    let mut process = start(dir, crash_at);
    let senders: Vec<_> = (0..8)
        .map(|sender| {
            let (url, promised) = (process.url.clone(), Arc::clone(promised));
            tokio::spawn(async move {
                let client = reqwest::Client::builder()
                    .timeout(Duration::from_secs(10))
                    .build()
                    .unwrap();
                for number in 0.. {
                    let own = format!("{round}-{sender}-{number}");
                    let Some(id) = send(&client, &url, sender, &own).await else {
                        break;
                    };
                    promised.lock().unwrap().insert(id);
                }
            })
        })
        .collect();
    if crash_at.is_none() {
        tokio::time::sleep(Duration::from_millis(150 + 170 * round)).await;
        process.child.kill().unwrap();
    }
    for sender in senders {
        sender.await.unwrap();
    }
    // Senders end when nobody answers any more.
    let died = process.child.wait().unwrap();
    assert_eq!(died.signal(), Some(9), "{crash_at:?}: {died}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_has_kept_what_it_answered_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = std::fs::File::create(dir.path().join("hostread.toml")).unwrap();
    write!(
        config,
        "data_dir = \"{}\"\nid_key = \"{}\"\n[gateway]\nlisten = \"127.0.0.1:0\"\n[gateway.limits]\nbatch_requests_per_sec = 1000000\n[[tenants]]\nname = \"north\"\napi_key_sha256 = [\"{}\"]\npublic_key = \"pk-north\"\nhash_key = \"{}\"\n",
        dir.path().join("data").display(),
        hex(&ID_KEY),
        sha256_hex(b"key-north"),
        hex(&HASH_KEY),
    )
    .unwrap();
    let promised = Arc::new(Mutex::new(BTreeSet::new()));
    for number in 0..4 {
        round(dir.path(), number, None, &promised).await;
    }
    for (number, point) in (4..).zip(LOG_POINTS) {
        let at = format!("{point}:{}", 40 * number);
        round(dir.path(), number, Some(&at), &promised).await;
    }
    let promised = promised.lock().unwrap().clone();
    assert!(promised.len() > 100, "{} answers", promised.len());
    let found = tokio::task::spawn_blocking(move || kept(&dir.path().join("data/log")))
        .await
        .unwrap();
    let lost = promised.difference(&found).count();
    assert_eq!(lost, 0, "of {} that were answered", promised.len());
}

/// Ids of all events in the log of a process that is gone.
fn kept(dir: &Path) -> BTreeSet<EventId> {
    let log = EmbeddedLog::open_reader(Arc::new(RealDisk), dir).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let registry = InProcessRegistry::open(Arc::new(RealDisk), dir).unwrap();
    let ids = EventType::ALL.map(|event_type| {
        let subject = event_type.subject();
        let id = registry.register(&subject, event_type.schema_json());
        (event_type, runtime.block_on(id).unwrap())
    });
    let decoder = Decoder::current(&ids.into_iter().collect());
    let (from, end) = runtime.block_on(async {
        (
            log.start_offsets().await.unwrap(),
            log.end_offsets().await.unwrap(),
        )
    });
    let count: u64 = end.iter().map(|(at, end)| end - from[at]).sum();
    let mut reader = log.reader(&from).unwrap();
    let mut found = Vec::new();
    while (found.len() as u64) < count {
        for record in reader.poll(10_000, Duration::from_secs(5)).unwrap() {
            found.push(decoder.decode(&record.value).unwrap().meta.id);
        }
    }
    found.into_iter().collect()
}
