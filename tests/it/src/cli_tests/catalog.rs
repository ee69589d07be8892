//! `hostread catalog`: a feed and its files on a web site, into a catalog that `count` reads, and into a running system.

use std::path::Path;
use std::sync::{Arc, Mutex};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::probe::mp3;
use super::site::{Answer, Asked, Site};
use super::{API_KEY, printed, run, text, until_found, up, write_settings};

/// A feed of two episodes, of which the second is behind a prefix that nobody knows.
fn feed(host: &str, title: &str) -> String {
    format!(
        r#"<?xml version="1.0"?><rss version="2.0" xmlns:podcast="https://podcastindex.org/namespace/1.0"><channel><title>Daily Brew</title>
        <item><title>{title}</title><guid>ep-1</guid><pubDate>Tue, 10 Nov 2026 10:00:00 GMT</pubDate>
          <enclosure url="{host}/show/1.mp3?src=feed" length="2085300" type="audio/mpeg"/>
          <podcast:chapters url="{host}/show/1.json" type="application/json+chapters"/></item>
        <item><title>Two</title><guid>ep-2</guid><pubDate>Tue, 03 Nov 2026 10:00:00 GMT</pubDate>
          <enclosure url="{host}/track/media.example.com/2.mp3" length="2085300" type="audio/mpeg"/></item>
        <item><title>A letter</title><guid>letter</guid></item>
        </channel></rss>"#
    )
}

/// The site of the show, whose feed has the title that is set; its ETag is that title.
async fn show() -> (Site, Arc<Mutex<String>>) {
    let title = Arc::new(Mutex::new("One".to_owned()));
    let own = Arc::clone(&title);
    let pages = move |asked: &Asked| {
        let title = own.lock().unwrap().clone();
        let host = format!("http://{}", asked.header("host").unwrap());
        let etag = format!("\"{}\"", title.to_lowercase());
        match asked.path.split('?').next().unwrap() {
            "/feed" if asked.header("if-none-match") == Some(&etag) => {
                Answer::of("304 Not Modified")
            }
            "/feed" => Answer::ok(feed(&host, &title)).with(&format!("etag: {etag}")),
            "/show/1.json" => Answer::ok(
                r#"{"version":"1.2.0","chapters":[{"startTime":0,"title":"Hi"},{"startTime":10,"endTime":40,"title":"Ad: Fern"}]}"#,
            ),
            "/show/1.mp3" => Answer::part(asked, &mp3()),
            _ => Answer::of("404 Not Found"),
        }
    };
    (Site::start(pages).await, title)
}

fn catalog(dir: &Path, url: &str, more: &[&str]) -> String {
    let args = [
        &[
            "--config",
            "hostread.toml",
            "catalog",
            "feed",
            url,
            "--catalog",
            "c.json",
        ],
        more,
    ]
    .concat();
    tokio::task::block_in_place(|| printed(dir, &args))
}

fn file(dir: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(dir.join("c.json")).unwrap()).unwrap()
}

fn paths(asked: &[Asked]) -> Vec<&str> {
    asked.iter().map(|asked| asked.path.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_becomes_a_catalog_and_stays_one() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write_settings(dir);
    let (site, title) = show().await;
    let url = format!("{}/feed", site.address);
    let said = catalog(dir, &url, &["--probe", "--line", "fern=line-7"]);
    for part in [
        "daily-brew: 2 episodes new, 0 changed, 0 the same",
        "not in the catalog: item 3 (letter) has no enclosure",
        "1 of 2 audio files probed",
        "not probed: ep-2: the server answered 404 Not Found",
        "1 episodes have no known bit rate",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let made = file(dir);
    let one = &made["episodes"][0];
    let known = json!([
        one["id"],
        one["path"],
        one["published_at"],
        one["id3_bytes"],
        one["bit_rate"],
        one["seconds"],
        one["size_bytes"]
    ]);
    assert_eq!(
        known,
        json!([
            "ep-1",
            "/show/1.mp3",
            "2026-11-10T10:00:00.000Z",
            300,
            128_000,
            130,
            2_085_300
        ])
    );
    assert_eq!(
        one["ads"],
        json!([{"kind": "Ad: Fern", "first_byte": 160_300, "last_byte": 640_299, "line": "line-7", "from": "chapters"}])
    );
    site.asked();

    // Unchanged it costs one question, and the file stays as it is. What could not be probed is tried again when asked to.
    let before = std::fs::metadata(dir.join("c.json"))
        .unwrap()
        .modified()
        .unwrap();
    let said = catalog(dir, &url, &[]);
    assert!(said.contains("not changed"), "{said}");
    assert_eq!(paths(&site.asked()), ["/feed"]);
    assert_eq!(
        std::fs::metadata(dir.join("c.json"))
            .unwrap()
            .modified()
            .unwrap(),
        before
    );

    // Another title: the audio is not asked again.
    "One, mended".clone_into(&mut title.lock().unwrap());
    let said = catalog(dir, &url, &[]);
    assert!(
        said.contains("0 episodes new, 1 changed, 1 the same"),
        "{said}"
    );
    assert_eq!(paths(&site.asked()), ["/feed"]);
    assert_eq!(file(dir)["episodes"][0]["ads"], made["episodes"][0]["ads"]);

    // What it is wrapped in is said.
    let list = printed(dir, &["catalog", "list", "c.json"]);
    assert!(
        list.contains("127.0.0.1") && list.contains("/track/ (1 episodes)"),
        "{list}"
    );
    let list = printed(dir, &["catalog", "list", "--format", "json", "c.json"]);
    let two: Value = serde_json::from_str(list.lines().nth(1).unwrap()).unwrap();
    let prefix = format!("{}/track/", site.address.trim_start_matches("http://"));
    assert_eq!(two["unknown_prefixes"], json!([prefix]));

    // Counted with, an hour after publication.
    let line = |path: &str, bytes: u64| {
        format!(
            "203.0.113.1 - - [10/Nov/2026:11:00:00 +0000] \"GET {path} HTTP/1.1\" 200 {bytes} \"-\" \"A/1\"\n"
        )
    };
    let log = line("/show/1.mp3", 960_300) + &line("/track/media.example.com/2.mp3", 2_085_299);
    std::fs::write(dir.join("a.log"), log).unwrap();
    let counted = printed(
        dir,
        &["count", "--catalog", "c.json", "--format", "json", "a.log"],
    );
    let counted: Value = serde_json::from_str(&counted).unwrap();
    assert_eq!(
        (&counted["downloads"], &counted["below_threshold"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(counted["episodes"][0]["ads"][0]["delivered"], json!(1));
    assert_eq!(
        counted["episodes"][0]["by_age"]["D1"],
        json!(1),
        "{counted}"
    );

    let events = printed(dir, &["catalog", "events", "c.json"]);
    let kinds: Vec<Value> = events
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].clone())
        .collect();
    assert_eq!(kinds, ["episode", "episode", "show", "slot"]);
}

#[test]
fn what_is_no_feed_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (name, body, said) in [
        ("a.xml", "<html></html>", "is no RSS 2.0"),
        ("b.xml", "<rss><channel><item>", "breaks off"),
        ("c.xml", "<rss><channel><item></rss>", "is no XML at byte"),
        ("none.xml", "", "none.xml"),
    ] {
        if !body.is_empty() {
            std::fs::write(dir.join(name), body).unwrap();
        }
        let output = run(dir, &["catalog", "feed", name, "--catalog", "c.json"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output).contains(said), "{said}: {}", text(&output));
        assert!(!dir.join("c.json").exists());
    }
}

/// The downloads that the running system has, by episode.
const DOWNLOADS: &str = "SELECT arrayStringConcat(arraySort(groupArray(episode)), ' ') FROM hostread.downloads FORMAT TabSeparated";

#[tokio::test(flavor = "multi_thread")]
async fn a_running_system_is_told_what_changed() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write_settings(dir);
    let (site, title) = show().await;
    let url = format!("{}/feed", site.address);
    let nobody = [
        "--send",
        "--gateway",
        "http://127.0.0.1:9",
        "--api-key",
        API_KEY,
    ];
    let args = [
        &[
            "--config",
            "hostread.toml",
            "catalog",
            "feed",
            &url,
            "--catalog",
            "c.json",
        ],
        &nobody[..],
    ]
    .concat();
    let output = tokio::task::block_in_place(|| run(dir, &args));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));

    let (up, gateway, door) = up(dir);
    let send = [
        "--probe",
        "--send",
        "--gateway",
        &gateway,
        "--api-key",
        API_KEY,
    ];
    // The feed is not changed, but nobody was told.
    let said = catalog(dir, &url, &send);
    assert!(
        said.contains("not changed") && said.contains("3 facts sent"),
        "{said}"
    );
    assert!(catalog(dir, &url, &send).contains("nothing to send"));
    "One, mended".clone_into(&mut title.lock().unwrap());
    assert!(catalog(dir, &url, &send).contains("1 facts sent"));
    // A minute of the one, and all but a byte of the other, of which nothing but the size is known.
    let at = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(3))
        .strftime("%d/%b/%Y:%H:%M:%S +0000");
    let line = |path: &str, bytes: u64| {
        format!("203.0.113.1 - - [{at}] \"GET {path} HTTP/1.1\" 200 {bytes} \"-\" \"A/1\"\n")
    };
    let log = line("/show/1.mp3", 960_300) + &line("/track/media.example.com/2.mp3", 2_085_299);
    std::fs::write(dir.join("a.log"), log).unwrap();
    let args = [
        "--config",
        "hostread.toml",
        "import",
        "combined",
        "a.log",
        "--gateway",
        &gateway,
        "--api-key",
        API_KEY,
    ];
    tokio::task::block_in_place(|| printed(dir, &args));
    until_found(&door, DOWNLOADS, "ep-1").await;
    assert_eq!(up.stop(Signal::SIGTERM), Some(0));
}
