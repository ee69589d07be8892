//! What `hostread count` takes: every log format, packed in every way, and input that is damaged.

use std::io::Write;
use std::path::Path;

use serde_json::Value;

use super::{run, text};
use crate::doors::bench::gzip;

const CATALOG: &str = r#"{"episodes": [{"id": "one", "path": "/one.mp3", "size_bytes": 1050, "id3_bytes": 50,
    "bit_rate": 80, "seconds": 100}]}"#;
const COMBINED: &str = "203.0.113.1 - - [09/Nov/2026:10:00:02 +0000] \"GET /one.mp3 HTTP/1.1\" 200 1050 \"-\" \"A/1\"\n";
const CLOUDFLARE: &str = r#"{"ClientIP":"203.0.113.2","ClientRequestHost":"m.example","ClientRequestMethod":"GET","ClientRequestURI":"/one.mp3?x=1","ClientRequestUserAgent":"A/1","EdgeStartTimestamp":"2026-11-09T10:00:00Z","EdgeResponseStatus":200,"EdgeResponseBytes":1550}
"#;
const CSV: &str = "when,from,url,status,ua,sent\r\n2026-11-09 23:30:00,[2001:db8::1]:443,/one.mp3,200,A/1,1050\r\n";
const CSV_MAPPING: &str = r#"{"lines": "csv", "fields": {"time": "when", "ip": "from", "path": "url", "status": "status",
    "agent": "ua", "bytes": "sent"}, "fixed": {"method": "GET"}, "zone": "America/New_York"}"#;

/// What `count` prints of logs in this folder as JSON, and what it says beside.
fn counted(dir: &Path, args: &[&str]) -> (Value, String) {
    std::fs::write(dir.join("catalog.json"), CATALOG).unwrap();
    let args = [
        &["count", "--catalog", "catalog.json", "--format", "json"],
        args,
    ]
    .concat();
    let output = run(dir, &args);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (serde_json::from_slice(&output.stdout).unwrap(), said)
}

#[test]
fn every_format_is_told_by_its_first_line() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("cloudflare.log"), CLOUDFLARE).unwrap();
    std::fs::write(dir.join("combined.log"), COMBINED).unwrap();
    std::fs::write(dir.join("own.csv"), CSV).unwrap();
    std::fs::write(dir.join("mapping.json"), CSV_MAPPING).unwrap();
    let logs = ["cloudflare.log", "own.csv", "combined.log"];
    let (found, said) = counted(dir, &[&["--mapping", "mapping.json"], &logs[..]].concat());
    assert_eq!(
        (&found["lines"], &found["malformed"]),
        (&3.into(), &0.into()),
        "{said}"
    );
    let days = &found["episodes"][0]["by_day"];
    assert_eq!(days, &serde_json::json!({"2026-11-09": 2, "2026-11-10": 1}));
}

#[test]
fn a_mapping_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("own.csv"), CSV).unwrap();
    for (mapping, said) in [
        (
            CSV_MAPPING.replace("\"ip\": \"from\", ", ""),
            "which field is \"ip\"",
        ),
        (
            CSV_MAPPING.replace("New_York", "Springfield"),
            "Springfield",
        ),
        (
            CSV_MAPPING.replace(", \"bytes\": \"sent\"", ""),
            "neither \"bytes\" nor",
        ),
        (
            CSV_MAPPING.replace("\"sent\"}", "\"sent\", \"size\": \"x\"}"),
            "size",
        ),
    ] {
        std::fs::write(dir.join("mapping.json"), mapping).unwrap();
        let output = run(dir, &["count", "--mapping", "mapping.json", "own.csv"]);
        let all = text(&output);
        assert_eq!(output.status.code(), Some(2), "{all}");
        assert!(
            all.contains(said) && all.contains("mapping.json"),
            "{said}: {all}"
        );
    }
    std::fs::write(
        dir.join("mapping.json"),
        CSV_MAPPING.replace("\"sent\"", "\"octets\""),
    )
    .unwrap();
    let (found, said) = counted(dir, &["--mapping", "mapping.json", "own.csv"]);
    assert_eq!(found["malformed"], 1);
    assert!(said.contains("octets: is missing"), "{said}");
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 1).unwrap()
}

#[test]
fn every_packing_is_one_input() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let halves = [
        zstd(&COMBINED.as_bytes()[..40]),
        zstd(&COMBINED.as_bytes()[40..]),
    ];
    for (name, packed) in [
        ("plain.log", COMBINED.as_bytes().to_vec()),
        ("a.log.gz", gzip(COMBINED.as_bytes())),
        ("a.log.zst", zstd(COMBINED.as_bytes())),
        ("frames", halves.concat()),
        ("crlf", COMBINED.replace('\n', "\r\n").into_bytes()),
    ] {
        std::fs::write(dir.join(name), packed).unwrap();
        let (found, said) = counted(dir, &[name]);
        assert_eq!(
            (&found["downloads"], &found["malformed"]),
            (&1.into(), &0.into()),
            "{name}: {said}"
        );
    }
}

/// As small as it gets.
fn gzip_best(text: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(text).unwrap();
    packed.finish().unwrap()
}

#[test]
fn a_bomb_is_named_and_what_stands_before_it_counts() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let zeros = vec![0; 8 << 20];
    let packings: [fn(&[u8]) -> Vec<u8>; 2] = [gzip_best, zstd];
    for pack in packings {
        let bomb = [pack(COMBINED.as_bytes()), pack(&zeros).repeat(16)].concat();
        std::fs::write(dir.join("bomb"), bomb).unwrap();
        let (found, said) = counted(dir, &["bomb"]);
        assert_eq!(found["downloads"], 1);
        assert!(
            said.contains("warning: bomb: damaged from here on: a decompression bomb"),
            "{said}"
        );
        let strict = run(dir, &["count", "--strict", "bomb"]);
        assert_eq!(strict.status.code(), Some(2), "{}", text(&strict));
    }
}

/// A line of a combined log, with what is wrong with it.
fn combined(ip: &str, time: &str, path: &str, range: &str) -> Vec<u8> {
    format!("{ip} - - [{time}] \"GET {path} HTTP/1.1\" 206 1050 \"-\" \"A/1\" \"-\" \"{range}\"\n")
        .into_bytes()
}

#[test]
fn damage_of_every_kind_is_counted_and_the_rest_is_right() {
    const TIME: &str = "09/Nov/2026:10:00:00 +0000";
    const WHOLE: &str = "bytes 0-1049/1050";
    let good = |n: u32| combined(&format!("203.0.113.{n}"), TIME, "/one.mp3", WHOLE);
    let mut long = good(20);
    long.splice(20..20, std::iter::repeat_n(b'x', 1 << 20));
    let half = good(21)[..60].to_vec();
    let malformed = [
        (0..=255_u8)
            .filter(|byte| *byte != b'\n')
            .chain([b'\n'])
            .collect::<Vec<u8>>(),
        vec![0; 4_096],
        b"\n\xFF\xFE\xFA\n".to_vec(),
        [half, b"\n".to_vec()].concat(),
        long,
        combined(
            "203.0.113.22",
            "09/Nov/0000:10:00:00 +0000",
            "/one.mp3",
            WHOLE,
        ),
        combined(
            "203.0.113.22",
            "09/Nov/9999:10:00:00 +0000",
            "/one.mp3",
            WHOLE,
        ),
        combined(
            "203.0.113.22",
            "99/Nov/2026:10:00:00 +0000",
            "/one.mp3",
            WHOLE,
        ),
        combined("203.0.113.23", TIME, "/one.mp3", "bytes -5-1044/1050"),
        combined("203.0.113.23", TIME, "/one.mp3", "bytes 9-1/1050"),
        combined(
            "203.0.113.23",
            TIME,
            "/one.mp3",
            "bytes 18446744073709551000-18446744073709551610/*",
        ),
        combined(
            "203.0.113.23",
            TIME,
            "/one.mp3",
            "bytes 99999999999999999999-999999999999999999999/*",
        ),
        combined("203.0.113.299", TIME, "/one.mp3", WHOLE),
    ];
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut log = Vec::new();
    for (n, wrong) in (0..).zip(&malformed) {
        log.extend_from_slice(wrong);
        if !log.ends_with(b"\n") {
            log.push(b'\n');
        }
        log.extend(good(n));
    }
    log.extend(combined(
        "[2001:db8::9]",
        TIME,
        "/one%2Emp3?from=%2F",
        WHOLE,
    ));
    log.extend(combined("2001:db8::a", TIME, "/one.mp3", WHOLE));
    log.extend(combined("203.0.113.30", TIME, "/unknown.mp3", WHOLE));
    log.extend_from_slice(&good(31)[..70]);
    std::fs::write(dir.join("bad.log"), log).unwrap();
    let (found, said) = counted(dir, &["bad.log"]);
    let count = malformed.len() as u64;
    assert_eq!(found["malformed"], count + 1, "{said}");
    assert_eq!(found["dropped"]["not_an_episode"], 1);
    assert_eq!(found["downloads"], count + 1, "one /64 is one listener");
    assert!(
        said.contains(&format!("warning: {} lines could not be read", count + 1)),
        "{said}"
    );
    let strict = run(
        dir,
        &["count", "--catalog", "catalog.json", "--strict", "bad.log"],
    );
    assert_eq!(strict.status.code(), Some(2), "{}", text(&strict));
}

#[test]
fn a_file_that_begins_with_half_a_line_is_told_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let log = format!("\":200,\"EdgeResponseBytes\":1550}}\n{CLOUDFLARE}");
    std::fs::write(dir.join("half.log"), log).unwrap();
    let (found, said) = counted(dir, &["half.log"]);
    assert_eq!(
        (&found["downloads"], &found["malformed"]),
        (&1.into(), &1.into()),
        "{said}"
    );
}

#[test]
fn what_cloudfront_encodes_twice_is_decoded_twice() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let fields = "#Fields: date time c-ip cs-method cs-uri-stem sc-status cs(User-Agent) sc-bytes sc-content-len";
    let line =
        "2026-11-09\t10:00:00\t203.0.113.1\tGET\t/one%252Emp3\t200\tA%252F1%2520\t1550\t1050";
    std::fs::write(dir.join("cf.log"), format!("{fields}\r\n{line}\r\n")).unwrap();
    let (found, said) = counted(dir, &["cf.log"]);
    assert_eq!(found["downloads"], 1, "{said}");
}

#[test]
fn an_episode_and_its_wrapped_form_are_one() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let catalog = CATALOG.replace(
        "/one.mp3",
        "https://op3.dev/e/pdst.fm/e/media.example.com/one.mp3",
    );
    std::fs::write(dir.join("wrapped.json"), catalog).unwrap();
    let lines: Vec<Vec<u8>> = [
        "/one.mp3",
        "/p/show/https://media.example.com/one.mp3?u=https://x.example/",
    ]
    .iter()
    .zip(1..)
    .map(|(path, n)| {
        combined(
            &format!("203.0.113.{n}"),
            "09/Nov/2026:10:00:00 +0000",
            path,
            "-",
        )
    })
    .collect();
    std::fs::write(dir.join("a.log"), lines.concat()).unwrap();
    let output = run(
        dir,
        &[
            "count",
            "--catalog",
            "wrapped.json",
            "--format",
            "csv",
            "a.log",
        ],
    );
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        printed,
        "episode,day,downloads\none,2026-11-09,2\n",
        "{}",
        text(&output)
    );
}
