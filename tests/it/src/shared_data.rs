//! The public conformance data, through the real doors, the log and the whole dataflow.
//! Needs: the folder `shared/data` beside the repository's. Without it the tests say so and pass; with `CI=true` they fail.
//! Promises: every vector is run or named as skipped, with the reason. Formats: the folder's READMEs.
#![allow(clippy::unwrap_used, reason = "tests panic")]

mod agents;
mod attribution;
mod iab;
mod logs;
mod paths;
mod shopify;
mod windows;
mod world;

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The folder with the data, when it is there.
fn folder() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let must = std::env::var("CI").is_ok_and(|value| value == "true");
    found(dir, must)
}

fn found(dir: PathBuf, must: bool) -> Option<PathBuf> {
    if dir.join("README.md").is_file() {
        return Some(dir);
    }
    let place = dir.display();
    assert!(!must, "CI=true, and the shared data is not at {place}");
    say(&format!("skipped: there is no shared data at {place}"));
    None
}

/// To the real stdout: what is left out is said also when the test passes.
fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").unwrap();
}

fn text(dir: &Path, name: &str) -> String {
    std::fs::read_to_string(dir.join(name)).unwrap()
}

fn json(dir: &Path, name: &str) -> Value {
    serde_json::from_str(&text(dir, name)).unwrap()
}

/// The elements of a JSON list.
fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// Text of a JSON string.
fn word(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Says which vectors are left out.
fn skipped(file: &str, vectors: &[(String, &str)]) {
    say(&format!("{file}: {} vectors skipped", vectors.len()));
    for (name, why) in vectors {
        say(&format!("  {name}: {why}"));
    }
}

#[test]
fn a_missing_folder_is_said_here() {
    assert_eq!(found(PathBuf::from("nowhere"), false), None);
}

#[test]
#[should_panic(expected = "CI=true, and the shared data is not at nowhere")]
fn a_missing_folder_fails_in_ci() {
    found(PathBuf::from("nowhere"), true);
}
