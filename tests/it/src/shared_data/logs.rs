//! Two delivery logs through the import door: the verdict of every line, downloads, listeners and ads.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use hostread_gateway::GatewayConfig;
use hostread_schemas::NameKind;
use hostread_schemas::view::{Verdict, ViewKey, ViewValue, WindowKind};
use serde_json::{Value, json};

use super::agents::patterns;
use super::world::{Rows, World};
use super::{folder, json, list, text, word};
use crate::doors::bench::{IDS, SECRET};
use crate::engines_tests::launcher_exe;

/// A tenant that knows the episodes, their ads and the rules.
async fn tenant(dir: &Path) -> World {
    let ranges = json(dir, "logs/nonhuman-ranges.json");
    let ranges = list(&ranges["nonhuman_ip_ranges"])
        .iter()
        .map(|range| word(range).to_owned());
    let config = GatewayConfig {
        ip_ranges: BTreeMap::from([("data_centre".to_owned(), ranges.collect())]),
        ..GatewayConfig::default()
    };
    let mut world = World::with(config, SECRET).await;
    let patterns = patterns(dir);
    world.say(json!({"type": "rule_set", "id": "r", "rule_set": "iab-2.2+opawg", "threshold_secs": 60, "bot_agents": patterns.bots, "other_agents": patterns.others}));
    for episode in list(&json(dir, "logs/episodes.json")["episodes"]) {
        let name = word(&episode["id"]);
        world.say(json!({
            "type": "episode", "id": name, "show": "show", "episode": name, "enclosures": [episode["path"]],
            "size_bytes": episode["size_bytes"], "header_bytes": episode["id3_bytes"],
            "bit_rate": episode["bit_rate"], "duration_secs": episode["seconds"],
        }));
        for ad in list(&episode["ads"]) {
            let line = format!("{name}/{}", word(&ad["kind"]));
            world.line(&line, "brand", "inserted", "bytes");
            world.say(json!({
                "type": "slot", "id": line, "slot": line, "show": "show", "episode": name, "line": line,
                "first_byte": ad["first_byte"], "last_byte": ad["last_byte"],
            }));
        }
    }
    world.send().await;
    world
}

async fn import(world: &World, format: &str, log: &str, expected: &Value) {
    // The second time changes nothing.
    for _ in 0..2 {
        let path = format!("/v1/import/{format}?batch={format}.log");
        let answer = world.doors.post(&path, log).await;
        assert_eq!(answer.status, 200);
        let counts = answer.json();
        assert_eq!(counts["accepted"], expected["lines_of_data"]);
        assert_eq!(counts["malformed_count"], expected["malformed"], "{counts}");
    }
}

/// The own id of a line: its request id where the format has one, else its bytes.
fn own_id<'a>(format: &str, line: &'a str) -> &'a str {
    match format {
        "cloudfront" => line.split('\t').nth(14).unwrap(),
        _ => line,
    }
}

/// The verdict of every line is the one that is written beside the log.
fn verdicts(dir: &Path, format: &str, log: &str, rows: &Rows, expected: &Value) {
    let mut known = BTreeMap::new();
    for (key, value) in &rows.0.rows {
        if let (ViewKey::Verdicts(key), ViewValue::Verdicts(row)) = (key, value) {
            known.insert(key.request, row.verdict);
        }
    }
    let lines: Vec<&str> = log.split('\n').collect();
    let mut tally: BTreeMap<&str, u64> = BTreeMap::new();
    let mut wrong = Vec::new();
    for row in text(dir, &format!("logs/{format}.verdicts.tsv"))
        .lines()
        .skip(1)
    {
        let (number, verdict) = row.split_once('\t').unwrap();
        let line = lines[number.parse::<usize>().unwrap() - 1];
        let id = IDS.event_id("north", format, own_id(format, line).as_bytes());
        let found = known
            .get(&id)
            .map_or("nothing", |verdict: &Verdict| verdict.as_str());
        if found != verdict {
            wrong.push(format!("line {number}: {found}, not {verdict}: {line}"));
        }
        let counted = matches!(found, "counted" | "below_threshold");
        *tally
            .entry(if counted { "candidate" } else { found })
            .or_default() += 1;
    }
    assert!(
        wrong.is_empty(),
        "{} verdicts of {format}.log are wrong:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(20)].join("\n")
    );
    assert_eq!(json!(tally), expected["requests_by_verdict"]);
}

fn numbers(rows: &Rows, expected: &Value) {
    let mut by_episode_day: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for (key, value) in &rows.0.rows {
        if let (ViewKey::DownloadsDaily(key), ViewValue::DownloadsDaily(row)) = (key, value)
            && key.window == WindowKind::CalendarDay
        {
            let episode = by_episode_day
                .entry(rows.name(NameKind::Episode, key.episode.0))
                .or_default();
            *episode.entry(key.day.date().to_string()).or_default() += row.downloads;
        }
    }
    assert_eq!(json!(by_episode_day), expected["by_episode_day"]);
    let mut by_day: BTreeMap<&String, i64> = BTreeMap::new();
    for (day, downloads) in by_episode_day.values().flatten() {
        *by_day.entry(day).or_default() += downloads;
    }
    assert_eq!(json!(by_day), expected["by_day"]);
    let downloads: Vec<_> = rows.downloads().map(|(_, key)| key).collect();
    assert_eq!(json!(downloads.len()), expected["downloads"]);
    let listeners: BTreeSet<_> = downloads.iter().map(|key| key.listener).collect();
    assert_eq!(json!(listeners.len()), expected["consumers_4_days"]);
    assert_eq!(json!(rows.delivered()), expected["ads_delivered"]);
}

/// What `hostread count` prints of logs of the folder, with all its lists.
fn counted(dir: &Path, more: &[&str]) -> String {
    let at = |name: &str| dir.join(name).to_string_lossy().into_owned();
    let mut command = Command::new(launcher_exe());
    command.current_dir(dir.join("logs")).arg("count");
    command.args(["--catalog", &at("logs/episodes.json")]);
    command.args(["--lists", &at("user-agents-v2")]);
    command.args(["--nonhuman-ranges", &at("logs/nonhuman-ranges.json")]);
    let output = command.args(more).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The command without a server says the same, of each line and in sum.
#[test]
fn counted_on_a_laptop_it_is_the_same() {
    let Some(dir) = folder() else {
        return;
    };
    let all = json(&dir, "logs/expected.json");
    for format in ["cloudfront", "combined"] {
        let (log, expected) = (format!("{format}.log"), &all[format!("{format}.log")]);
        let verdicts = counted(&dir, &["--explain", &log]);
        let verdicts = verdicts.lines().skip(1);
        let verdicts = verdicts.map(|line| line.split_once('\t').unwrap().1);
        let known = text(&dir, &format!("logs/{format}.verdicts.tsv"));
        assert!(verdicts.eq(known.lines().skip(1)), "verdicts of {log}");
        let report = counted(&dir, &["--format", "json", &log]);
        let report: Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["lines"], expected["lines_of_data"]);
        assert_eq!(report["downloads"], expected["downloads"]);
        let mut ads = serde_json::Map::new();
        for episode in list(&report["episodes"]) {
            assert_eq!(
                episode["by_day"],
                expected["by_episode_day"][word(&episode["id"])]
            );
            for ad in list(&episode["ads"]) {
                let name = format!("{}/{}", word(&episode["id"]), word(&ad["kind"]));
                ads.insert(name, ad["delivered"].clone());
            }
        }
        assert_eq!(Value::Object(ads), expected["ads_delivered"]);
    }
    let both = counted(
        &dir,
        &["--format", "json", "combined.log", "cloudfront.log"],
    );
    let both: Value = serde_json::from_str(&both).unwrap();
    assert_eq!(both["downloads"], all["both_logs_downloads"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_gets_its_verdict_and_every_number_is_the_expected_one() {
    let Some(dir) = folder() else {
        return;
    };
    let all = json(&dir, "logs/expected.json");
    let mut both = tenant(&dir).await;
    for format in ["cloudfront", "combined"] {
        let expected = &all[format!("{format}.log")];
        let log = text(&dir, &format!("logs/{format}.log"));
        let mut world = tenant(&dir).await;
        import(&world, format, &log, expected).await;
        let rows = world.rows().await;
        verdicts(&dir, format, &log, &rows, expected);
        numbers(&rows, expected);
        import(&both, format, &log, expected).await;
    }
    let downloads = both.rows().await.downloads().count();
    assert_eq!(json!(downloads), all["both_logs_downloads"]);
}
