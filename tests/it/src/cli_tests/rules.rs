//! `hostread rules` and `hostread method`: a document is shown, edited, checked, counted by, and published to a running Hostread,
//! where the past is counted anew and published numbers that move leave a restatement.

use std::fmt::Write;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{API_KEY, hostread, printed, run, text, until_found, up, write_settings};

/// Whole files: by requests of one range each, 60 s and 70 s of audio at 80 bit/s.
const SECS: [(u64, u64); 2] = [(60, 12), (70, 5)];
const DOWNLOADS: &str = "SELECT sum(downloads) FROM hostread.downloads_daily FORMAT TabSeparated";
const RESTATED: &str = "SELECT sum(difference) FROM hostread.restatements WHERE of_view = 'downloads_daily' \
    AND metric = 'downloads' AND cause = 'event' AND cause_event != '' FORMAT TabSeparated";

/// A shipped rule set, edited.
fn edited(dir: &Path, file: &str, edit: impl FnOnce(&mut Value)) {
    let shown = printed(dir, &["rules", "show", "2.3", "--format", "json"]);
    let mut document: Value = serde_json::from_str(&shown).unwrap();
    edit(&mut document);
    std::fs::write(dir.join(file), document.to_string()).unwrap();
}

fn strict(document: &mut Value) {
    document["name"] = json!("acme-strict");
    document["parameters"]["threshold_secs"] =
        json!({"value": 70, "source": "contract with a buyer"});
}

#[test]
fn a_document_is_shown_edited_checked_and_compared() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let all = printed(dir, &["rules", "show"]);
    assert!(
        all.contains("iab-2.1+1") && all.contains("iab-2.3+1"),
        "{all}"
    );
    let table = printed(dir, &["rules", "show", "2.1"]);
    assert!(table.contains("not verified"), "{table}");
    edited(dir, "strict.json", strict);
    let difference = printed(
        dir,
        &["rules", "diff", "2.3", "strict.json", "--format", "json"],
    );
    let difference: Value = serde_json::from_str(&difference).unwrap();
    let expected = json!({"parameter": "threshold_secs", "one": 60, "other": 70});
    assert_eq!(difference, expected);
    assert!(printed(dir, &["rules", "diff", "2.2", "2.3"]).contains("count the same"));
    let valid = printed(dir, &["rules", "validate", "strict.json"]);
    assert!(valid.contains("the pipeline can apply it"), "{valid}");

    edited(dir, "wide.json", |document| {
        document["parameters"]["statuses"]["value"] = json!([200, 206, 304]);
    });
    let refused = run(dir, &["rules", "validate", "wide.json"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused).contains("parameters.statuses: the engine applies"),
        "{}",
        text(&refused)
    );
    edited(dir, "rolling.json", |document| {
        document["parameters"]["window"]["value"] = json!("last-touch");
    });
    let valid = printed(dir, &["rules", "validate", "rolling.json"]);
    assert!(
        valid.contains("not by the pipeline: parameters.window"),
        "{valid}"
    );
    let publish = ["rules", "publish", "rolling.json", "--tenant", "acme"];
    let refused = text(&run(dir, &publish));
    assert!(refused.contains("parameters.window"), "{refused}");
    let missing = text(&run(dir, &["rules", "show", "2.4"]));
    assert!(missing.contains("none of 2.1, 2.2, 2.3"), "{missing}");
}

#[test]
fn count_goes_by_a_document() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(
        dir.join("catalog.json"),
        json!({"episodes": [episode()]}).to_string(),
    )
    .unwrap();
    std::fs::write(dir.join("access.log"), log("09/Nov/2026:10:00:00 +0000")).unwrap();
    edited(dir, "strict.json", |document| {
        strict(document);
        document["parameters"]["window"]["value"] = json!("first-touch");
        document["parameters"]["zone"]["value"] = json!("Europe/Berlin");
    });
    let counted = |more: &[&str]| -> Value {
        let args = [
            &[
                "count",
                "--format",
                "json",
                "--catalog",
                "catalog.json",
                "access.log",
            ],
            more,
        ]
        .concat();
        serde_json::from_str(&printed(dir, &args)).unwrap()
    };
    let said = |report: &Value| {
        let said = ["rules", "window", "tz", "downloads"].map(|field| report[field].clone());
        Value::from(said.to_vec())
    };
    assert_eq!(said(&counted(&[])), json!(["2.2", "calendar", "UTC", 17]));
    assert_eq!(
        said(&counted(&["--rules", "2.3"])),
        json!(["2.3", "calendar", "UTC", 17])
    );
    let strict = ["--rules", "strict.json"];
    let by_document = json!(["acme-strict+1", "first-touch", "Europe/Berlin", 5]);
    assert_eq!(said(&counted(&strict)), by_document);
    let options = [&strict[..], &["--window", "calendar", "--tz", "UTC"]].concat();
    assert_eq!(
        said(&counted(&options)),
        json!(["acme-strict+1", "calendar", "UTC", 5])
    );
}

/// 100 s at 80 bit/s behind 50 bytes.
fn episode() -> Value {
    json!({"id": "one", "path": "/one.mp3", "size_bytes": 1050, "id3_bytes": 50, "bit_rate": 80, "seconds": 100})
}

/// A listener a line.
fn log(time: &str) -> String {
    let mut log = String::new();
    for (secs, listeners) in SECS {
        for listener in 0..listeners {
            let bytes = 50 + 10 * secs;
            let range = format!("\"bytes=0-{}\" \"bytes 0-{}/1050\"", bytes - 1, bytes - 1);
            let from = format!("198.51.{secs}.{listener}");
            writeln!(log, "{from} - - [{time}] \"GET /one.mp3 HTTP/1.1\" 206 {bytes} \"-\" \"Player/1\" {range}").unwrap();
        }
    }
    log
}

/// Through the doors: an episode, and a log of six days ago, which is published long since.
async fn fill(dir: &Path, gateway: &str) {
    let said = json!([{"type": "episode", "id": "e", "time": "2026-01-01T00:00:00Z", "show": "s", "episode": "one",
        "enclosures": ["/one.mp3"], "size_bytes": 1050, "header_bytes": 50, "bit_rate": 80, "duration_secs": 100}]);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = client
        .post(format!("{gateway}/v1/events"))
        .bearer_auth(API_KEY);
    let answer = post.body(said.to_string()).send().await.unwrap();
    assert!(
        answer.status().is_success(),
        "{}",
        answer.text().await.unwrap()
    );
    let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(6 * 24);
    let log = log(&at.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string());
    std::fs::write(dir.join("access.log"), log).unwrap();
    let args = [
        "--config",
        "hostread.toml",
        "import",
        "combined",
        "access.log",
        "--gateway",
        gateway,
    ];
    let import = hostread(dir, &args)
        .env("HOSTREAD_API_KEY", API_KEY)
        .output()
        .unwrap();
    assert!(import.status.success(), "{}", text(&import));
}

fn publish(dir: &Path, gateway: &str, key: &str, of: &[&str]) -> std::process::Output {
    let args = ["--config", "hostread.toml", "rules", "publish"];
    let whose = ["--tenant", "acme", "--gateway", gateway];
    hostread(dir, &[&args, of, &whose].concat())
        .env("HOSTREAD_API_KEY", key)
        .output()
        .unwrap()
}

/// Of the twelve listeners of a data centre an inclusion list lets eight in, on the day of their requests.
#[tokio::test(flavor = "multi_thread")]
async fn a_published_inclusion_list_lets_in_what_count_lets_in() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write_settings(dir);
    let (up, gateway, door) = up(dir);
    fill(dir, &gateway).await;
    until_found(&door, DOWNLOADS, "17").await;
    let ranges = json!({"nonhuman_ip_ranges": ["198.51.60.0/24"]});
    std::fs::write(dir.join("ranges.json"), ranges.to_string()).unwrap();
    let catalog = json!({"episodes": [episode()]});
    std::fs::write(dir.join("catalog.json"), catalog.to_string()).unwrap();
    let counted = |file: &str| {
        let args = "count --format json --catalog catalog.json --nonhuman-ranges ranges.json access.log --rules";
        let args: Vec<&str> = args.split(' ').chain([file]).collect();
        let report: Value = serde_json::from_str(&printed(dir, &args)).unwrap();
        report["downloads"].to_string()
    };
    let day = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(6 * 24))
        .to_zoned(jiff::tz::TimeZone::UTC);
    let day = day.date();
    for (file, from, downloads) in [
        ("campus.json", day, 13),
        ("later.json", day.tomorrow().unwrap(), 5),
    ] {
        edited(dir, file, |document| {
            let entry = json!({"range": "198.51.60.0/29", "who": "A. Example", "when": from.to_string(), "evidence": "a letter",
                "expires": from.tomorrow().unwrap().to_string()});
            document["name"] = json!(file.trim_end_matches(".json"));
            document["parameters"]["inclusion"]["value"] = json!([entry]);
        });
        assert_eq!(counted(file), downloads.to_string());
    }
    for (file, downloads, restated) in [
        ("2.3", "5", "-12"),
        ("campus.json", "13", "-4"),
        ("later.json", "5", "-12"),
    ] {
        let of = [file, "--nonhuman-ranges", "ranges.json"];
        let said = text(&publish(dir, &gateway, API_KEY, &of));
        assert!(said.contains("is published for acme"), "{said}");
        until_found(&door, DOWNLOADS, downloads).await;
        until_found(&door, RESTATED, restated).await;
    }
    assert_eq!(up.stop(Signal::SIGINT), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_rule_set_restates_the_past() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write_settings(dir);
    let (up, gateway, door) = up(dir);
    fill(dir, &gateway).await;
    until_found(&door, DOWNLOADS, "17").await;

    edited(dir, "strict.json", strict);
    let publish = |file: &str, key: &str| publish(dir, &gateway, key, &[file]);
    let refused = publish("strict.json", "another key");
    assert!(
        text(&refused).contains("not one of acme"),
        "{}",
        text(&refused)
    );
    let said = text(&publish("strict.json", API_KEY));
    assert!(
        said.contains("acme-strict+1 is published for acme"),
        "{said}"
    );
    until_found(&door, DOWNLOADS, "5").await;
    until_found(&door, RESTATED, "-12").await;
    let method = ["--config", "hostread.toml", "method", "--tenant", "acme"];
    let page = printed(dir, &method);
    assert!(page.contains("under first touch and last touch"), "{page}");
    assert!(
        page.contains("acme-strict+1") && page.contains("| threshold_secs | `70` |"),
        "{page}"
    );

    let back = publish("2.3", API_KEY);
    assert!(back.status.success(), "{}", text(&back));
    until_found(&door, DOWNLOADS, "17").await;
    until_found(&door, RESTATED, "0").await;
    assert!(printed(dir, &method).contains("iab-2.3+1"));
    assert_eq!(up.stop(Signal::SIGINT), Some(0));
}
