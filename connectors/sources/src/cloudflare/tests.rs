#![allow(clippy::unwrap_used, reason = "tests panic")]
use super::*;
use crate::log::LogSettings;
use crate::mapped::MappedLog;
use hostread_connectors_kit::Mapped;
use hostread_connectors_kit::conformance::{Bench, Expect, check, fixtures};
use hostread_schemas::event::{Body, Event, Method, Request};

const LOG: &str = include_str!("fixtures/http_requests.ndjson");

fn log() -> MappedLog {
    MappedLog::new(mapping(), LogSettings::default())
}

/// The event of a fixture.
fn event(at: usize) -> Event {
    let line = LOG.lines().nth(at).unwrap().split_once(' ').unwrap().1;
    let bench = Bench::new();
    match log().read(&bench.origin("b", 0), line.as_bytes()) {
        Mapped::Event(event) => *event,
        other => panic!("{other:?}: {line}"),
    }
}

fn request(at: usize) -> Request {
    match event(at).body {
        Body::Request(request) => request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn conformance() {
    let mut all = fixtures(LOG, "request", "");
    for fixture in &mut all {
        if fixture.expect == Expect::Rejected("nothing") {
            fixture.expect = Expect::Nothing;
        }
    }
    check(&log(), &all, &["198.51.100.7", "2001:db8:1:2::9"]);
}

#[test]
fn a_moment_in_its_three_forms() {
    let times: Vec<i64> = (0..3).map(|at| event(at).meta.time.0).collect();
    assert_eq!(times, [1_794_184_985_000; 3]);
}

#[test]
fn bytes_of_a_body() {
    let whole = request(0);
    assert_eq!(
        (whole.status, whole.sent_first, whole.sent_bytes),
        (200, 0, 43_508_213)
    );
    assert_eq!(whole.enclosure, "/audio/s1/ep-101.mp3");
    assert_eq!(whole.agent, "Podcasts/1.0 (iPhone)");
    assert_eq!(whole.referrer.as_deref(), Some("player.example.com"));
    let probe = request(1);
    assert_eq!(
        (probe.range_first, probe.range_last, probe.sent_bytes),
        (Some(0), Some(1), 2)
    );
    assert_eq!(probe.enclosure, "/audio/s1/ep 102.mp3");
    let cut = request(2);
    assert_eq!((cut.sent_first, cut.sent_bytes), (1_000, 600_500 - 500));
    let head = request(3);
    assert_eq!((head.method, head.sent_bytes), (Method::Head, 0));
}
