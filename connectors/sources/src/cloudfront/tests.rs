#![allow(clippy::unwrap_used, reason = "tests panic")]
use super::*;
use hostread_connectors_kit::conformance::{Bench, Expect, Fixture, check};
use hostread_schemas::event::{Body, Method, Request};

const LOG: &str = include_str!("fixtures/access.log");

fn log() -> Cloudfront {
    let mut log = Cloudfront::new(LogSettings::default());
    for line in LOG.lines() {
        log.learn(line.as_bytes());
    }
    log
}

fn request(line: &str) -> Request {
    let bench = Bench::new();
    match log().read(&bench.origin("b", 0), line.as_bytes()) {
        Mapped::Event(event) => match event.body {
            Body::Request(request) => request,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}: {line}"),
    }
}

fn data() -> Vec<&'static str> {
    LOG.lines().filter(|line| !line.starts_with('#')).collect()
}

#[test]
fn conformance() {
    let expect = [
        Expect::Nothing,
        Expect::Nothing,
        Expect::Event("request"),
        Expect::Event("request"),
        Expect::Event("request"),
        Expect::Event("request"),
        Expect::Event("request"),
        Expect::Event("request"),
        Expect::Rejected("fields"),
        Expect::Rejected("number"),
        Expect::Rejected("date"),
        Expect::Rejected("ip"),
        Expect::Rejected("utf8"),
        Expect::Rejected("number"),
    ];
    assert_eq!(LOG.lines().count(), expect.len());
    let mut fixtures: Vec<Fixture> = LOG
        .lines()
        .zip(expect)
        .enumerate()
        .map(|(index, (line, expect))| Fixture::new(format!("line {}", index + 1), line, expect))
        .collect();
    fixtures.push(Fixture::new(
        "NUL",
        data()[0].replace("Hit", "H\0t"),
        Expect::Rejected("nul"),
    ));
    fixtures.push(Fixture::new(
        "raw bytes",
        [data()[0].as_bytes(), &[0xFF]].concat(),
        Expect::Rejected("utf8"),
    ));
    check(
        &log(),
        &fixtures,
        &["188.195.67.200", "2001:db8:1:2", "73.24.244.182"],
    );
}

#[test]
fn bytes_of_a_body() {
    let whole = request(data()[0]);
    assert_eq!(
        (
            whole.status,
            whole.sent_first,
            whole.sent_bytes,
            whole.total_bytes
        ),
        (200, 0, 43_508_213, None)
    );
    assert_eq!(whole.enclosure, "/audio/s1/ep 101.mp3");
    assert_eq!(whole.agent, "Podcasts/1.0 100%20 (iPhone)");
    assert_eq!(whole.referrer.as_deref(), Some("player.example.com"));
    let probe = request(data()[1]);
    assert_eq!(
        (probe.range_first, probe.range_last, probe.sent_bytes),
        (Some(0), Some(1), 2)
    );
    let cut = request(data()[2]);
    assert_eq!((cut.sent_first, cut.sent_bytes), (1_000, 600_500 - 500));
    let head = request(data()[3]);
    assert_eq!((head.method, head.sent_bytes), (Method::Head, 0));
    let gone = request(data()[4]);
    assert_eq!((gone.status, gone.sent_bytes), (0, 0));
    let cut_short = request(data()[5]);
    assert_eq!(
        (cut_short.status, cut_short.sent_bytes),
        (206, 90_000 - 500)
    );
}

#[test]
fn columns_follow_the_header() {
    let mut older = Cloudfront::new(LogSettings::default());
    older.learn(b"#Fields: time date c-ip cs-method sc-status cs-uri-stem sc-bytes cs(User-Agent)");
    let line = b"00:00:01\t2026-11-09\t192.0.2.1\tGET\t200\t/e.mp3\t1500\tAgent";
    let bench = Bench::new();
    let Mapped::Event(event) = older.read(&bench.origin("b", 0), line) else {
        panic!()
    };
    let Body::Request(request) = event.body else {
        panic!()
    };
    assert_eq!(
        (request.sent_bytes, request.enclosure.as_str()),
        (1_000, "/e.mp3")
    );
    older.learn(b"#Fields: date time");
    assert!(matches!(
        older.read(&bench.origin("b", 0), b"a\tb"),
        Mapped::Rejected(_)
    ));
}

#[test]
fn a_stitched_feed_names_its_version_and_a_prefix_has_no_bytes() {
    let bench = Bench::new();
    let read = |settings| {
        let Mapped::Event(event) =
            Cloudfront::new(settings).read(&bench.origin("b", 0), data()[0].as_bytes())
        else {
            panic!()
        };
        let Body::Request(request) = event.body else {
            panic!()
        };
        request
    };
    let stitched = read(LogSettings {
        stitched: true,
        ..LogSettings::default()
    });
    assert_eq!(stitched.total_bytes, Some(43_508_213));
    let prefix = read(LogSettings {
        source_kind: hostread_schemas::event::SourceKind::Prefix,
        ..LogSettings::default()
    });
    assert_eq!(prefix.sent_bytes, 0);
}
