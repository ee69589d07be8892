//! The three windows, through `hostread count`: all cases in one log, an episode and a listener each.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use crate::engines_tests::launcher_exe;
use hostread_schemas::EventTimeMs;
use serde_json::{Value, json};

use super::{folder, json, list, word};

const KINDS: [(&str, &str); 3] = [
    ("calendar", "calendar_day_utc"),
    ("first-touch", "first_touch_rolling_24h"),
    ("last-touch", "last_touch_rolling_24h"),
];

/// A line of a combined log. Its zone is that of the time.
fn line(number: usize, episode: &str, time: &str) -> String {
    let (date, rest) = time.split_once('T').unwrap();
    let (clock, zone) = rest.split_at(8);
    let zone = if zone == "Z" { "+00:00" } else { zone };
    let zone = zone.replace(':', "");
    let (year, day) = (&date[..4], &date[8..]);
    assert_eq!(&date[5..7], "11", "all of November");
    format!(
        "86.0.0.{number} - - [{day}/Nov/{year}:{clock} {zone}] \"GET /{episode}.mp3 HTTP/1.1\" 200 1000 \"-\" \"A/1\"\n"
    )
}

fn count(dir: &Path, window: &str) -> BTreeMap<String, Value> {
    let mut command = Command::new(launcher_exe());
    command.current_dir(dir).args([
        "count",
        "--format",
        "json",
        "--catalog",
        "catalog.json",
        "--window",
        window,
    ]);
    let output = command.arg("all.log").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["window"], window);
    let episodes = list(&report["episodes"]).iter();
    episodes
        .map(|episode| (word(&episode["id"]).to_owned(), episode.clone()))
        .collect()
}

#[test]
fn every_case_under_every_window() {
    let Some(shared) = folder() else {
        return;
    };
    let data = json(&shared, "iab/windows.json");
    let dir = tempfile::tempdir().unwrap();
    let (mut log, mut episodes) = (String::new(), Vec::new());
    let mut add = |id: &str, times: &Value| {
        for time in list(times) {
            log.write_str(&line(episodes.len(), id, word(time)))
                .unwrap();
        }
        episodes.push(json!({"id": id, "path": format!("/{id}.mp3"), "size_bytes": 1000}));
    };
    for case in list(&data["cases"]) {
        add(word(&case["id"]), &case["requests_utc"]);
    }
    for case in list(&data["arrival_order_cases"]) {
        add(word(&case["id"]), &case["arrival"]);
    }
    add("zone", &data["time_zone_case"]["requests"]);
    std::fs::write(dir.path().join("all.log"), log).unwrap();
    let catalog = json!({"episodes": episodes}).to_string();
    std::fs::write(dir.path().join("catalog.json"), catalog).unwrap();
    for (window, kind) in KINDS {
        let found = count(dir.path(), window);
        for case in list(&data["cases"]) {
            let id = word(&case["id"]);
            assert_eq!(
                found[id]["downloads"], case["totals"][kind],
                "{id} {window}"
            );
            let mut days: BTreeMap<String, u64> = BTreeMap::new();
            let begins = list(&case["requests_utc"])
                .iter()
                .zip(list(&case["expected"][kind]));
            for (time, _) in begins.filter(|(_, begins)| **begins == 1) {
                let day = EventTimeMs::from_rfc3339(word(time)).unwrap().day();
                *days.entry(day.date().to_string()).or_default() += 1;
            }
            assert_eq!(found[id]["by_day"], json!(days), "{id} {window}");
        }
        for case in list(&data["arrival_order_cases"]) {
            let id = word(&case["id"]);
            assert_eq!(
                found[id]["downloads"], case["final_totals"][kind],
                "{id} {window}"
            );
        }
        assert_eq!(found["zone"]["downloads"], 1, "{window}");
    }
}
