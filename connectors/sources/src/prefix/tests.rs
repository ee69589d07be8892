#![allow(clippy::unwrap_used, reason = "tests panic")]
use super::*;
use crate::combined::Combined;
use hostread_connectors_kit::conformance::{Bench, Fixture, NOW_MS, check, fixtures};
use hostread_schemas::event::Body;

const TARGETS: &str = include_str!("fixtures/targets.txt");
const AGENT: &str = "Podcasts/1.0 (iPhone)";
const PEER: &str = "198.51.100.7";

fn hit(fixture: Fixture) -> Fixture {
    let id = fixture.name.clone();
    let hit = fixture
        .with("time", &NOW_MS.to_string())
        .with("method", "GET");
    hit.with("request-id", &id)
        .with("user-agent", AGENT)
        .with("referer", "https://player.example.com/embed/1?u=ana")
        .with("range", "bytes=0-1")
}

#[test]
fn conformance() {
    let all = fixtures(TARGETS, "request", PEER).into_iter().map(hit);
    check(&PrefixDoor, &all.collect::<Vec<_>>(), &[PEER, "u=ana"]);
}

#[test]
fn a_hit_is_what_a_line_of_the_prefixs_log_is() {
    let bench = Bench::new();
    let origin = bench.origin("b", 0);
    let request = |mapped: Mapped| match mapped {
        Mapped::Event(event) => (event.meta.time, event.body),
        other => panic!("{other:?}"),
    };
    let line = format!(
        "{PEER} - - [15/Nov/2026:12:00:00 +0000] \"GET /p/feed/https://media.example.com/audio/s1/ep%20101.mp3?source=feed HTTP/1.1\" \
         302 0 \"https://player.example.com/embed/1?u=ana\" \"{AGENT}\" \"bytes=0-1\" \"-\""
    );
    let prefix = LogSettings {
        source_kind: SourceKind::Prefix,
        stitched: false,
    };
    let of_log = request(Combined::new(prefix).read(&origin, line.as_bytes()));
    let fixture = hit(fixtures(TARGETS, "request", PEER).remove(0));
    let fields: Vec<(&str, &str)> = (fixture.fields.iter())
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let raw = Raw {
        fields: &fields,
        body: &fixture.body,
    };
    let of_door = request(PrefixDoor.map(&origin, &raw));
    assert_eq!(of_door, of_log);
    assert!(matches!(of_door.1, Body::Request(hit) if hit.status == 200));
}
