//! `hostread count`: what it prints of logs that are whole, mixed, packed, cut off and damaged, and how it ends.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use super::{hostread, printed, run, text};
use crate::doors::bench::gzip;

const CATALOG: &str = r#"{"episodes": [{"id": "one", "path": "/one.mp3", "size_bytes": 1050, "id3_bytes": 50,
    "bit_rate": 80, "seconds": 100, "ads": [{"kind": "pre", "first_byte": 0, "last_byte": 9}]}]}"#;
const CLOUDFRONT: &str = "#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len sc-range-start sc-range-end\n2026-11-09\t10:00:01\tFRA2\t1500\t203.0.113.1\tGET\tx\t/one.mp3\t200\t-\tA/1\t-\t-\tMiss\tid-1\tx\thttps\t10\t0.1\t-\t-\t-\tMiss\tHTTP/1.1\t-\t-\t1\t0.1\tMiss\taudio/mpeg\t1050\t-\t-\n";
const COMBINED: &str = "203.0.113.1 - - [09/Nov/2026:10:00:02 +0000] \"GET /one.mp3 HTTP/1.1\" 200 1050 \"-\" \"A/1\"
203.0.113.2 - - [09/Nov/2026:10:00:00 +0000] \"GET /one.mp3 HTTP/1.1\" 206 640 \"-\" \"A/1\" \"bytes=0-639\" \"bytes 0-639/1050\"
203.0.113.3 - - [09/Nov/2026:10:00:00 +0000] \"GET /one.mp3 HTTP/1.1\" 206 650 \"-\" \"A/1\" \"bytes=0-649\" \"bytes 0-649/1050\"
203.0.113.3 - - [09/Nov/2026:10:00:00 +0000] \"GET /one.mp3 HTTP/1.1\" 404 10 \"-\" \"A/1\"
no line of a log
";

fn files(dir: &Path) {
    std::fs::write(dir.join("catalog.json"), CATALOG).unwrap();
    std::fs::write(dir.join("cloudfront.log.gz"), gzip(CLOUDFRONT.as_bytes())).unwrap();
    std::fs::write(dir.join("combined.log"), COMBINED).unwrap();
}

fn counted(dir: &Path, logs: &[&str]) -> Value {
    let args = [
        &["count", "--catalog", "catalog.json", "--format", "json"],
        logs,
    ]
    .concat();
    let output = run(dir, &args);
    assert!(output.status.success(), "{}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn logs_of_any_format_order_and_packing_are_one_input() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    files(dir);
    let one = counted(dir, &["cloudfront.log.gz", "combined.log"]);
    let expected = json!({
        "rules": "2.2", "window": "calendar", "tz": "UTC", "byte_rule_applied": true,
        "lines": 6, "malformed": 1, "below_threshold": 1, "counted": 3, "downloads": 2,
        "dropped": {"bot_user_agent": 0, "method": 0, "no_user_agent": 0, "nonhuman_ip": 0, "not_an_episode": 0,
            "range_0_1": 0, "status": 1, "watch": 0},
        "episodes": [{"id": "one", "requests": 4, "downloads": 2, "listeners": 2, "by_day": {"2026-11-09": 2},
            "ads": [{"kind": "pre", "first_byte": 0, "delivered": 2}]}],
    });
    assert_eq!(one, expected);
    assert_eq!(
        counted(dir, &["combined.log", "cloudfront.log.gz"]),
        expected
    );
    let again = counted(
        dir,
        &["combined.log", "cloudfront.log.gz", "cloudfront.log.gz"],
    );
    assert_eq!(
        (&again["downloads"], &again["lines"]),
        (&json!(2), &json!(7))
    );
}

#[test]
fn it_says_what_became_of_each_line() {
    let dir = tempfile::tempdir().unwrap();
    files(dir.path());
    let args = [
        "count",
        "--explain",
        "--catalog",
        "catalog.json",
        "combined.log",
    ];
    let output = run(dir.path(), &args);
    let lines = String::from_utf8(output.stdout.clone()).unwrap();
    let verdicts: Vec<&str> = lines
        .lines()
        .skip(1)
        .filter_map(|line| line.strip_prefix("combined.log\t"))
        .collect();
    let expected = [
        "1\tcounted",
        "2\tbelow_threshold",
        "3\tcounted",
        "4\tstatus",
        "5\tmalformed",
    ];
    assert_eq!(verdicts, expected, "{}", text(&output));
}

#[test]
fn it_says_what_it_could_not_read_and_what_it_did_not_know() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    files(dir);
    let table = run(dir, &["count", "combined.log"]);
    assert!(table.status.success());
    let all = text(&table);
    for said in [
        "3 downloads",
        "warning: 1 lines could not be read",
        "combined.log:5:",
        "the byte rule was not applied",
        "bots are told by Hostread's own lists",
    ] {
        assert!(all.contains(said), "{said} is not in {all}");
    }
    let strict = run(dir, &["count", "--strict", "combined.log"]);
    assert_eq!(strict.status.code(), Some(2), "{}", text(&strict));
    assert!(text(&strict).contains("3 downloads"), "{}", text(&strict));
    let whole = gzip(COMBINED.as_bytes());
    std::fs::write(dir.join("cut.gz"), &whole[..whole.len() - 12]).unwrap();
    let cut = run(dir, &["count", "cut.gz"]);
    assert!(cut.status.success() && text(&cut).contains("damaged from here on"));
    assert_eq!(
        run(dir, &["count", "--strict", "cut.gz"]).status.code(),
        Some(2)
    );
    let missing = run(dir, &["count", "nowhere.log"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing).contains("nowhere.log"));
}

#[test]
fn it_reads_standard_input() {
    let dir = tempfile::tempdir().unwrap();
    files(dir.path());
    let args = ["count", "--catalog", "catalog.json", "--format", "csv", "-"];
    let mut command = hostread(dir.path(), &args);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(COMBINED.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "episode,day,downloads\none,2026-11-09,2\n"
    );
    let twice = run(dir.path(), &["count", "--explain", "-"]);
    assert_eq!(twice.status.code(), Some(2), "{}", text(&twice));
    let help = printed(dir.path(), &["count", "--help"]);
    assert!(help.contains("--nonhuman-ranges"), "{help}");
}

/// The rule set of made-up worlds, as a document in the file `rules.json`.
pub(super) fn rules_of_worlds(dir: &Path) {
    let shown = printed(dir, &["rules", "show", "2.3", "--format", "json"]);
    let mut rules: Value = serde_json::from_str(&shown).unwrap();
    rules["parameters"]["ip_volume_downloads_max"]["value"] = json!(60);
    rules["parameters"]["referrers_denied"]["value"] = json!(["autoplay.example.net"]);
    std::fs::write(dir.join("rules.json"), rules.to_string()).unwrap();
}

/// Downloads of a tenant of a made-up world by episode and day, under a window.
pub(super) fn downloads_of_world(dir: &Path, world: &Path, tenant: &str, window: &str) -> Value {
    let at = |name: &str| world.join(name).to_string_lossy().into_owned();
    let files = ["catalog.json", "cdn.log.gz", "cdn-late.log.gz"];
    let [catalog, log, late] = files.map(|name| at(&format!("{tenant}/{name}")));
    let (lists, ranges) = (at("lists"), at("lists/nonhuman-ranges.json"));
    let args = [
        "count",
        "--format",
        "json",
        "--rules",
        "rules.json",
        "--window",
        window,
        "--catalog",
        &catalog,
        "--lists",
        &lists,
    ];
    let args = [&args[..], &["--nonhuman-ranges", &ranges, &late, &log]].concat();
    let report: Value = serde_json::from_str(&printed(dir, &args)).unwrap();
    let mut downloads = serde_json::Map::new();
    for episode in report["episodes"].as_array().unwrap() {
        for (day, count) in episode["by_day"].as_object().unwrap() {
            downloads.insert(
                format!("{}/{day}", episode["id"].as_str().unwrap()),
                count.clone(),
            );
        }
    }
    downloads.into()
}

/// The world's own truth, which was not counted but made up.
#[test]
fn the_samples_come_to_their_truth() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    rules_of_worlds(dir);
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples");
    let truth = std::fs::read(samples.join("truth.json")).unwrap();
    let truth: Value = serde_json::from_slice(&truth).unwrap();
    for tenant in ["acme-network", "beta-brand"] {
        let mut expected = serde_json::Map::new();
        for row in truth["downloads"].as_array().unwrap() {
            let key = &row[0];
            if key[0] == tenant {
                let name = format!("{}/{}", key[2].as_str().unwrap(), key[3].as_str().unwrap());
                expected.insert(name, row[1].clone());
            }
        }
        assert!(expected.len() > 20, "{tenant}");
        let found = downloads_of_world(dir, &samples, tenant, "calendar");
        assert_eq!(found, Value::from(expected), "{tenant}");
    }
}
