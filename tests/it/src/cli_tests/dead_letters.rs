//! What was turned down, repaired and sent again: once, through the same door, also when the command dies in the middle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use hostread_connectors_kit::signature::hmac_sha256_base64;
use hostread_connectors_kit::{DeadLetter, DeadLetterLimits, DeadLetters, TenantKey};
use hostread_disk::RealDisk;
use hostread_eventlog::{EmbeddedLog, EventLog, InProcessRegistry, Offsets, ReadRecord, Registry};
use hostread_schemas::event::{Event, EventType};
use hostread_schemas::{Decoder, Encoder, ReceivedAtMs};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{API_KEY, Running, hostread, text, write_settings};

const GOOD: &str = r#"198.51.100.7 - - [AT] "GET /e1.mp3 HTTP/1.1" 200 900000 "-" "Player/1""#;
const BAD: &str = "this is no log line";
const ORDER: &str = r##"{"id":77,"name":"#1041","created_at":"2026-11-10T00:00:00Z","currency":"USD","subtotal_price":"34.40"}"##;
const RETRIED: &str = "data/dead-letters/retried";

/// The command with the tenant's key; how it ended and what it printed.
fn dead_letters(dir: &Path, args: &[&str]) -> (Option<i32>, String) {
    let all = [&["--config", "hostread.toml", "dead-letters"], args].concat();
    let output = hostread(dir, &all)
        .env("HOSTREAD_API_KEY", API_KEY)
        .output()
        .unwrap();
    (output.status.code(), text(&output))
}

/// Every letter by its reason.
fn listed(dir: &Path) -> Vec<Value> {
    let (code, printed) = dead_letters(dir, &["list", "--format", "json", "--body"]);
    assert_eq!(code, Some(0), "{printed}");
    printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn send_webhook(gateway: &str, body: &str) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client
        .post(format!("{gateway}/hooks/shopify/acme-shop"))
        .header("x-shopify-topic", "orders/create")
        .header("x-shopify-webhook-id", "delivery-1")
        .header(
            "x-shopify-hmac-sha256",
            hmac_sha256_base64(b"shh", body.as_bytes()),
        )
        .body(body.to_owned())
        .send();
    assert_eq!(answer.await.unwrap().status(), 200);
}

/// Settings, a gateway, and one letter of two doors each.
async fn turned_down(dir: &Path) -> (Running, String) {
    write_settings(dir);
    let mut settings = std::fs::read_to_string(dir.join("hostread.toml")).unwrap();
    settings.push_str(
        "[tenants.connections.acme-shop]\nstore = \"acme.myshopify.com\"\nsecret = \"shh\"\n",
    );
    std::fs::write(dir.join("hostread.toml"), settings).unwrap();
    let mut gateway = Running::start(hostread(dir, &["--config", "hostread.toml", "gateway"]));
    let address = gateway.address("gateway  ");
    let log = format!("{}\n{BAD}\n{}\n", line(1), line(2));
    std::fs::write(dir.join("a.log"), log).unwrap();
    let import = [
        "--config",
        "hostread.toml",
        "import",
        "combined",
        "--source",
        "host",
        "--gateway",
        &address,
        "a.log",
    ];
    let imported = hostread(dir, &import)
        .env("HOSTREAD_API_KEY", API_KEY)
        .output()
        .unwrap();
    assert!(imported.status.success(), "{}", text(&imported));
    send_webhook(&address, "{").await;
    (gateway, address)
}

fn line(number: usize) -> String {
    let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(3);
    let at = at.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string();
    GOOD.replace("AT", &at).replace("e1", &format!("e{number}"))
}

/// All records of the log, which nobody has open.
fn records(dir: &Path) -> Vec<ReadRecord> {
    let log = EmbeddedLog::open_reader(Arc::new(RealDisk), &dir.join("data/log")).unwrap();
    let from: Offsets = EventType::ALL
        .iter()
        .map(|of| ((of.topic().to_owned(), 0), 0))
        .collect();
    let mut reader = log.reader(&from).unwrap();
    let mut records = Vec::new();
    loop {
        let more = reader
            .poll(1_000, std::time::Duration::from_millis(200))
            .unwrap();
        if more.is_empty() {
            return records;
        }
        records.extend(more);
    }
}

async fn schema_ids(dir: &Path) -> BTreeMap<EventType, u32> {
    let registry = InProcessRegistry::open(Arc::new(RealDisk), &dir.join("data/log")).unwrap();
    let mut ids = BTreeMap::new();
    for of in EventType::ALL {
        let id = registry.register(&of.subject(), of.schema_json()).await;
        ids.insert(of, id.unwrap());
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repaired_letter_goes_through_its_door_once() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (gateway, address) = turned_down(dir).await;
    let retry =
        |more: &[&str]| dead_letters(dir, &[&["retry", "--gateway", &address], more].concat());
    let letters = listed(dir);
    assert_eq!(letters.len(), 2, "{letters:?}");
    assert!(
        letters
            .iter()
            .all(|l| l["id"].as_str().unwrap().len() == 16)
    );

    // Nothing was repaired: they stay, and say so.
    let (code, said) = retry(&[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("0 sent again and taken, 2 turned down again, 0 not sent"),
        "{said}"
    );
    let again = listed(dir);
    let ids = |letters: &[Value]| -> BTreeSet<String> {
        letters.iter().map(|l| l["id"].to_string()).collect()
    };
    assert_eq!(ids(&again), ids(&letters), "they keep their ids");
    assert!(again.iter().all(|letter| letter["tries"] == 1), "{again:?}");

    // One repaired so that its reason is another, one for good.
    // The same bytes each time: they say which event it is.
    let repaired = line(3);
    let edited = |shop: &str| {
        let bodies = again.iter().map(|letter| {
            let is_shop = letter["connector"] == "shopify";
            let body = if is_shop {
                shop.to_owned()
            } else {
                repaired.clone()
            };
            json!({"id": letter["id"], "body": body}).to_string() + "\n"
        });
        std::fs::write(dir.join("edited.ndjson"), bodies.collect::<String>()).unwrap();
        retry(&["--edited", "edited.ndjson"])
    };
    let (code, said) = edited(r#"{"id":77}"#);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("1 sent again and taken, 1 turned down again"),
        "{said}"
    );
    let shop = listed(dir)
        .into_iter()
        .find(|letter| letter["connector"] == "shopify");
    let shop = shop.unwrap();
    assert_eq!(
        (&shop["tries"], &shop["body"]),
        (&json!(2), &json!(r#"{"id":77}"#))
    );
    let before = again
        .iter()
        .find(|letter| letter["connector"] == "shopify")
        .unwrap();
    assert_ne!(shop["reason"], before["reason"]);
    let (code, said) = edited(ORDER);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("1 sent again and taken, 0 turned down again, 0 not sent"),
        "{said}"
    );

    // What is in is not sent again, whatever is asked for, and says so.
    for more in [&[][..], &["--edited", "edited.ndjson"]] {
        let (code, said) = retry(more);
        assert_eq!(code, Some(0), "{said}");
        assert!(
            said.contains("0 sent again and taken, 0 turned down again, 0 not sent"),
            "{said}"
        );
    }
    let done = listed(dir);
    assert!(
        done.iter().all(|letter| letter["retried_at"].is_string()),
        "{done:?}"
    );
    let (_, table) = dead_letters(dir, &["list"]);
    assert!(
        table.contains("2 of 2 dead letters, 2 of them retried"),
        "{table}"
    );

    // The command died after the door had answered, before its mark: one event all the same.
    std::fs::remove_file(dir.join(RETRIED)).unwrap();
    let (code, said) = edited(ORDER);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(gateway.stop(Signal::SIGTERM), Some(0));
    let records = records(dir);
    let decoder = Decoder::current(&schema_ids(dir).await);
    let events: BTreeSet<_> = records
        .iter()
        .map(|record| decoder.decode(&record.value).unwrap().meta.id)
        .collect();
    assert_eq!((records.len(), events.len()), (6, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_of_the_pipeline_goes_back_into_the_log_once() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (gateway, address) = turned_down(dir).await;
    let ids = schema_ids(dir).await;
    let first = records(dir).remove(0);
    let mut event: Event = Decoder::current(&ids).decode(&first.value).unwrap();
    event.meta.id.lo ^= 1;
    let encoded = Encoder::new(ids).encode(&event);
    let letters = DeadLetters::open(
        Arc::new(RealDisk),
        &dir.join("data/pipeline/dead-letters"),
        DeadLetterLimits::default(),
    );
    let position = format!("{}/0@41", encoded.topic);
    let letter = |reason: &'static str, position, body| DeadLetter {
        tenant: "acme",
        source: "host",
        connector: "pipeline",
        reason,
        position,
        received_at: ReceivedAtMs(hostread_job::wall_ms()),
        body,
        resend: None,
        retry: None,
    };
    let key = TenantKey::from_hex(&"0b".repeat(32)).unwrap();
    letters
        .unwrap()
        .append(
            &key,
            &[
                letter("two names share an id", &position, &encoded.value),
                letter("not framed", &position, b"never an event"),
            ],
        )
        .unwrap();
    let retry =
        |reason: &str| dead_letters(dir, &["retry", "--gateway", &address, "--reason", reason]);
    let (code, said) = retry("two names");
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("in use: another hostread runs on it; stop that one first"),
        "{said}"
    );
    assert_eq!(gateway.stop(Signal::SIGTERM), Some(0));
    let before = records(dir).len();
    let (code, said) = retry("not framed");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("1 turned down again"), "{said}");
    for (sent, code) in [(1, 0), (0, 0)] {
        let (ended, said) = retry("two names");
        assert_eq!(ended, Some(code), "{said}");
        assert!(
            said.contains(&format!("{sent} sent again and taken")),
            "{said}"
        );
    }
    let records = records(dir);
    assert_eq!(records.len(), before + 1);
    let sent = records
        .iter()
        .find(|record| record.headers.get("hostread-retry").is_some());
    assert_eq!(sent.unwrap().value, encoded.value);
}
