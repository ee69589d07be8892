//! `hostread replay`: the same events, the same bytes. `hostread simulate`: the same seed, the same bytes.

use std::path::Path;

use hostread_schemas::EventTimeMs;
use serde_json::Value;

use super::{hostread, printed, text};
use crate::doors::bench::gzip;

const VIEWS: [&str; 4] = [
    "downloads_daily",
    "attribution_daily",
    "pacing",
    "restatements",
];

fn replayed(dir: &Path, file: &str, more: &[&str]) -> String {
    let mut all = String::new();
    for view in VIEWS {
        let args = [&["replay", "--events", file, "--view", view], more].concat();
        all.push_str(&printed(dir, &args));
        all.push('\n');
    }
    all
}

#[test]
fn the_same_bytes_for_any_workers_order_and_packing() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    printed(
        dir,
        &[
            "simulate", "--mix", "1", "--events", "4000", "--seed", "5", "--out", "mix",
        ],
    );
    let text = std::fs::read_to_string(dir.join("mix/events.ndjson")).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    let one = replayed(dir, "mix/events.ndjson", &["--workers", "1"]);
    assert!(one.lines().count() > 100, "{one}");
    assert_eq!(one, replayed(dir, "mix/events.ndjson", &["--workers", "2"]));
    // The ledger says why: batches and single facts, never nothing.
    let moved: Vec<&str> = one
        .lines()
        .filter(|line| line.contains("\"old\":"))
        .collect();
    assert!(moved.len() > 20, "{} restatements", moved.len());
    assert!(
        moved.iter().any(|line| line.contains("\"batches\":[")),
        "{}",
        moved[0]
    );
    assert!(
        !moved
            .iter()
            .any(|line| line.contains("\"cause\":\"clock\"")),
        "{}",
        moved[0]
    );
    lines.reverse();
    std::fs::write(dir.join("back.gz"), gzip(lines.join("\n").as_bytes())).unwrap();
    assert_eq!(one, replayed(dir, "back.gz", &["--workers", "2"]));
    let table = printed(
        dir,
        &[
            "replay",
            "--events",
            "mix/events.ndjson",
            "--view",
            "pacing",
            "--format",
            "table",
        ],
    );
    assert!(
        table.contains("delivered") && table.contains("rows at"),
        "{table}"
    );
}

#[test]
fn as_of_is_what_was_known_then() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    printed(
        dir,
        &["simulate", "--mix", "1", "--events", "4000", "--out", "mix"],
    );
    let text = std::fs::read_to_string(dir.join("mix/events.ndjson")).unwrap();
    let received = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        EventTimeMs::from_rfc3339(event["received_at"].as_str().unwrap()).unwrap()
    };
    let lines: Vec<&str> = text.lines().collect();
    let then = received(lines[lines.len() / 2]);
    let known: Vec<&str> = lines
        .iter()
        .copied()
        .filter(|line| received(line) <= then)
        .collect();
    std::fs::write(dir.join("known.ndjson"), known.join("\n")).unwrap();
    let as_of = then.to_string();
    let asked = replayed(dir, "mix/events.ndjson", &["--as-of", &as_of]);
    assert_eq!(
        asked,
        replayed(dir, "known.ndjson", &["--as-of", &as_of, "--workers", "2"])
    );
    assert_eq!(
        asked,
        replayed(dir, "known.ndjson", &[]),
        "the newest event is the default"
    );
    assert_ne!(asked, replayed(dir, "mix/events.ndjson", &[]));
}

#[test]
fn an_event_that_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("e.ndjson"), "\n{\"type\":\"show\"}\n").unwrap();
    let args = ["replay", "--events", "e.ndjson", "--view", "pacing"];
    let output = hostread(dir.path(), &args).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output).contains("e.ndjson line 2"),
        "{}",
        text(&output)
    );
    let args = ["replay", "--events", "e.ndjson", "--view", "pace"];
    let output = hostread(dir.path(), &args).output().unwrap();
    assert!(
        text(&output).contains("downloads_daily"),
        "{}",
        text(&output)
    );
}

#[test]
fn a_seed_is_a_world() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let world = |seed: &str, out: &str| {
        printed(
            dir,
            &[
                "simulate",
                "--seed",
                seed,
                "--listeners",
                "60",
                "--days",
                "3",
                "--out",
                out,
            ],
        );
        let read = |name: &str| std::fs::read(dir.join(out).join(name)).unwrap();
        (
            read("truth.json"),
            read("acme-network/cdn.log.gz"),
            read("acme-network/shopify.ndjson"),
        )
    };
    assert!(world("7", "a") == world("7", "b"));
    assert!(world("7", "c") != world("8", "d"));
}
