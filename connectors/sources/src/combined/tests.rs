#![allow(clippy::unwrap_used, reason = "tests panic")]
use super::*;
use hostread_connectors_kit::conformance::{Bench, Expect, Fixture, check};
use hostread_schemas::event::{Body, Event};
use hostread_schemas::fact::FactBody;

const LOG: &str = include_str!("fixtures/access.log");

fn event(line: &str, settings: LogSettings) -> Event {
    let bench = Bench::new();
    match Combined::new(settings).read(&bench.origin("b", 0), line.as_bytes()) {
        Mapped::Event(event) => *event,
        other => panic!("{other:?}: {line}"),
    }
}

fn request(number: usize, settings: LogSettings) -> hostread_schemas::event::Request {
    match event(LOG.lines().nth(number - 1).unwrap(), settings).body {
        Body::Request(request) => request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn conformance() {
    let rejected = [
        "date", "number", "fields", "fields", "ip", "request", "utf8", "number",
    ];
    let fixtures: Vec<Fixture> = LOG
        .lines()
        .enumerate()
        .map(|(index, line)| {
            let expect = index
                .checked_sub(7)
                .map_or(Expect::Event("request"), |bad| {
                    Expect::Rejected(rejected[bad])
                });
            Fixture::new(format!("line {}", index + 1), line, expect)
        })
        .chain([
            Fixture::new("empty", "  ", Expect::Nothing),
            Fixture::new("NUL", "a\0b", Expect::Rejected("nul")),
        ])
        .collect();
    assert_eq!(fixtures.len(), 7 + rejected.len() + 2);
    check(
        &Combined::new(LogSettings::default()),
        &fixtures,
        &["86.225.80.75", "2600:e3ce:9d7d:48ec"],
    );
}

#[test]
fn what_lines_say() {
    let plain = LogSettings::default();
    let whole = request(1, plain);
    assert_eq!(
        (
            whole.status,
            whole.sent_first,
            whole.sent_bytes,
            whole.total_bytes
        ),
        (200, 0, 21_585_417, None)
    );
    assert_eq!(whole.agent, "Müsli \"Player\" \\1");
    let split = request(2, plain);
    assert_eq!(
        (
            split.range_first,
            split.range_last,
            split.sent_first,
            split.sent_bytes
        ),
        (Some(100), Some(1_576_068), 100, 1_500)
    );
    assert_eq!(
        request(
            2,
            LogSettings {
                stitched: true,
                ..plain
            }
        )
        .total_bytes,
        Some(51_203_377)
    );
    let tail = request(3, plain);
    assert_eq!(
        (tail.range_first, tail.range_last, tail.sent_first),
        (None, None, 51_203_249)
    );
    let short = request(4, plain);
    assert_eq!(
        (
            short.enclosure.as_str(),
            short.agent.as_str(),
            short.sent_bytes
        ),
        ("/a b.mp3", "", 0)
    );
    let asked = request(5, plain);
    assert_eq!(
        (
            asked.sent_first,
            asked.sent_bytes,
            asked.referrer.as_deref()
        ),
        (4_096, 10, Some("example.com"))
    );
}

#[test]
fn what_is_heard_states_the_fact_of_the_event() {
    let bench = Bench::new();
    let origin = bench.origin("b", 0);
    let log = Combined::new(LogSettings::default());
    let nobody = &mut |_, _, _: &str| {};
    let mut heard = 0;
    for line in LOG.lines() {
        let fact = log.hear(line.as_bytes(), |it| {
            let ip = origin.pseudonyms.address(it.address);
            let tenant = origin.ids.tenant(origin.tenant);
            origin.ids.request(tenant, &it.request, &ip, nobody)
        });
        match (fact, log.read(&origin, line.as_bytes())) {
            (Mapped::Event(fact), Mapped::Event(event)) => {
                let of_event = origin.ids.fact(&event, nobody);
                assert_eq!(of_event.body, FactBody::Request(fact));
                heard += 1;
            }
            (Mapped::Rejected(one), Mapped::Rejected(other)) => assert_eq!(one, other),
            (fact, event) => panic!("{fact:?} {event:?}"),
        }
    }
    assert_eq!(heard, 7);
}

#[test]
fn offsets_become_utc() {
    let at = |number: usize| {
        event(LOG.lines().nth(number - 1).unwrap(), LogSettings::default())
            .meta
            .time
    };
    assert_eq!(at(1).to_rfc3339(), "2026-11-09T00:41:36.000Z");
    assert_eq!(at(6).to_rfc3339(), "2026-11-08T23:11:36.000Z");
    assert_eq!(at(7).to_rfc3339(), "2026-11-10T04:59:59.000Z");
}

#[test]
fn a_repeated_line_is_the_same_event() {
    let line = LOG.lines().next().unwrap();
    let settings = LogSettings::default();
    assert_eq!(event(line, settings).meta.id, event(line, settings).meta.id);
    assert_ne!(
        event(line, settings).meta.id,
        event(&line.replace("00:41:36", "00:41:37"), settings)
            .meta
            .id
    );
}
