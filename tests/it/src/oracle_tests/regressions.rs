//! Histories that once went wrong, by name.

use hostread_schemas::EventTimeMs;
use hostread_schemas::event::Event;
use serde_json::{Value, json};

use super::drive::{Drive, HASHER};
use super::world::{Given, far_horizons, near_horizons};

/// An event of one tenant on 2026-10-30 or `MM-DDT…`; `what` says its type and what is not plain.
fn said(own_id: &str, revision: u32, time: &str, what: Value) -> Given {
    let time = if time.contains('T') {
        format!("2026-{time}Z")
    } else {
        format!("2026-10-30T{time}Z")
    };
    let json = json!({
        "id": HASHER.event_id("net", "test", own_id.as_bytes()).to_hex(),
        "tenant": "net",
        "source": "test",
        "time": time,
        "received_at": 0,
        "batch_id": format!("batch of {own_id}"),
        "revision": revision,
    });
    let event: Event = serde_json::from_value(with(json, what)).unwrap();
    Given::Event(event)
}

/// The same, once and for all, at a time in ms.
pub(super) fn said_at(own_id: &str, time: i64, what: Value) -> Given {
    let time = EventTimeMs(time).to_string();
    let time = time
        .strip_prefix("2026-")
        .and_then(|time| time.strip_suffix('Z'));
    said(own_id, 0, time.unwrap(), what)
}

/// What a tenant knows at the beginning, and never corrects.
pub(super) fn fact(own_id: &str, what: Value) -> Given {
    said(own_id, 0, "00:00:00", what)
}

/// The same but for these fields.
fn with(mut what: Value, fields: Value) -> Value {
    let all = what.as_object_mut().unwrap();
    all.extend(fields.as_object().unwrap().clone());
    what
}

pub(super) fn home(number: u32) -> Value {
    json!({"star": format!("{number:016x}"), "net": format!("{number:016x}")})
}

/// A request that is a download of a file of 1,000 bytes.
fn request(enclosure: &str, household: u32) -> Value {
    json!({"type": "request", "enclosure": enclosure, "status": 200, "sent_bytes": 1_000,
           "agent": "player", "ip": home(household)})
}

pub(super) fn episode(episode: &str, enclosures: &[&str]) -> Value {
    json!({"type": "episode", "show": "show", "episode": episode, "enclosures": enclosures,
           "size_bytes": 1_000})
}

fn line(line: &str) -> Value {
    json!({"type": "line_item", "line": line, "campaign": "campaign", "kind": "inserted",
           "goal": 1_000, "start": "2026-10-01", "end": "2026-11-30", "zone": "UTC",
           "price": 25_000_000})
}

fn slot(line: &str, episode: &str) -> Value {
    json!({"type": "slot", "slot": format!("{line} in {episode}"), "episode": episode, "line": line,
           "first_byte": 100, "last_byte": 199})
}

fn store() -> Given {
    fact(
        "store",
        json!({"type": "store", "store": "shop", "brand": "b"}),
    )
}

/// A shop, and the campaign that all lines are of: what is sold there may be a line's merit.
fn brand() -> Vec<Given> {
    let campaign = json!({"type": "campaign", "campaign": "campaign", "brand": "b"});
    vec![store(), fact("campaign", campaign)]
}

fn code(code: &str, line: &str) -> Value {
    json!({"type": "code", "store": "shop", "code": code, "line": line})
}

#[track_caller]
fn check(given: Vec<Given>) {
    for workers in 1..=2 {
        let said = Drive::play(workers, &given, far_horizons());
        assert_eq!(said, Ok(()), "{workers} workers");
    }
}

fn placed(id: &str, name: &str, household: u32) -> Value {
    json!({"type": "order", "store": "shop", "order_id": id, "order_name": name,
           "value": 30_000_000, "ip": home(household)})
}

#[test]
fn an_id_that_is_its_own_alias_and_anothers() {
    check(vec![
        said("one", 0, "02:00:00", placed("5002", "5002", 1)),
        said("two", 0, "02:00:00", placed("5002", "1", 1)),
        said("three", 0, "02:00:00", placed("7", "5002", 1)),
    ]);
    check(vec![
        said("one", 0, "02:00:00", placed("1", "1", 1)),
        said("two", 0, "02:00:00", placed("1", "5002", 1)),
    ]);
}

#[test]
fn a_varying_rate_without_a_size_needs_one_byte() {
    let unknown = json!({"size_bytes": 0, "header_bytes": 50, "duration_secs": 95, "vbr": true});
    let short = with(request("/a.mp3", 1), json!({"sent_bytes": 1}));
    check(vec![
        fact("episode", with(episode("ep", &["/a.mp3"]), unknown)),
        said("hit", 0, "02:00:00", short),
    ]);
}

#[test]
fn a_line_that_only_a_code_names_is_known_late() {
    let sale = json!({"type": "redemption", "store": "shop", "code": "SAVE", "value": 30_000_000});
    check(vec![
        store(),
        fact("code", code("SAVE", "l")),
        said("sale", 0, "02:00:00", sale),
        Given::Close,
        fact("line", line("l")),
        Given::Close,
        said("line", 1, "00:00:00", line("another")),
    ]);
}

#[test]
fn an_enclosure_that_only_an_older_fact_names_is_counted_anew() {
    check(vec![
        fact("line", line("l")),
        fact("slot", slot("l", "ep")),
        fact("first", episode("ep", &["/old.mp3"])),
        said("hit", 0, "02:00:00", request("/old.mp3", 1)),
        said("second", 0, "01:00:00", episode("ep", &["/new.mp3"])),
        said("slot", 1, "00:00:00", slot("l", "elsewhere")),
    ]);
}

/// An ad heard by one of the household's listeners, in an episode that no catalog knows.
fn impression(session: usize) -> Value {
    json!({"type": "impression", "line": if session.is_multiple_of(3) { "m" } else { "l" }, "show": "show",
           "episode": "foreign", "ip": home(1), "agent": "player", "session": session.to_string()})
}

fn heard(session: usize) -> Given {
    let time = format!("0{}:{:02}:{:02}", session % 7, session % 60, session % 2);
    said(&format!("ad {session}"), 0, &time, impression(session))
}

#[test]
fn more_than_256_touches_and_a_code() {
    let heard_line = |name| with(line(name), json!({"controlling": "impressions"}));
    let sale = with(placed("1", "1", 1), json!({"codes": ["SAVE"]}));
    let mut given = brand();
    given.extend([
        fact("line", heard_line("l")),
        fact("other line", heard_line("m")),
        fact("third line", line("n")),
        said("sale", 0, "07:00:00", sale),
    ]);
    given.extend((0..254).map(heard));
    for session in 254..260 {
        given.extend([heard(session), Given::Close]);
    }
    given.extend((260..300).map(heard));
    for (revision, line) in (0..).zip(["n", "l", "n"]) {
        let code = code("save", line);
        given.extend([said("code", revision, "00:00:00", code), Given::Close]);
    }
    check(given);
}

#[test]
fn touches_of_one_second_stand_in_the_order_of_their_ids() {
    let mut given = brand();
    given.extend([
        fact("episode", episode("ep", &["/a.mp3"])),
        said("hit", 0, "02:00:00", request("/a.mp3", 1)),
        said("sale", 0, "03:00:00", placed("1", "1", 1)),
    ]);
    for name in ["l", "m", "n", "o"] {
        given.push(fact(&format!("line {name}"), line(name)));
        given.push(fact(&format!("slot {name}"), slot(name, "ep")));
    }
    check(given);
}

#[test]
fn a_sealed_conversion_outlives_its_touches_and_is_refunded() {
    let refunded = json!({"kind": "refunded", "value": 10_000_001});
    let refund = with(placed("1", "1", 1), refunded);
    // When the refund comes, the last sealed day is 11-01.
    for sold in ["10-31T12:00:00", "11-01T01:00:00"] {
        let mut given = brand();
        given.extend([
            fact("episode", episode("ep", &["/a.mp3"])),
            fact("line", line("l")),
            fact("slot", slot("l", "ep")),
            said("hit", 0, "02:00:00", request("/a.mp3", 1)),
            said("sale", 0, sold, placed("1", "1", 1)),
            Given::Hours(160),
            said("refund", 0, "11-05T10:00:00", refund.clone()),
            Given::Hours(250),
        ]);
        assert_eq!(Drive::play(1, &given, near_horizons()), Ok(()), "{sold}");
    }
}

#[test]
fn agents_behind_an_address_count_for_thirty_days() {
    let by = |agent: &str| with(request("/a.mp3", 1), json!({"agent": agent}));
    let settings = json!({"type": "settings", "lookback_hours": 48, "half_life_hours": 24,
                          "shared_agents_day_max": 12, "shared_agents_month_max": 2});
    let mut given = brand();
    given.extend([
        fact(
            "line",
            with(line("l"), json!({"controlling": "impressions"})),
        ),
        fact("episode", episode("ep", &["/a.mp3"])),
        fact("settings", settings),
        said("one first", 0, "10-29T02:00:00", by("one")),
        said("one last", 0, "10-30T02:00:00", by("one")),
        said("two", 0, "10-30T03:00:00", by("two")),
    ]);
    // Released long since: the third agent comes on the last day of a span that begins on the 30th.
    given.extend((0..3).map(|_| Given::Hours(236)));
    given.extend([
        said(
            "ad",
            0,
            "11-28T01:00:00",
            with(impression(0), json!({"agent": "three", "line": "l"})),
        ),
        said("sale", 0, "11-28T02:00:00", placed("1", "1", 1)),
    ]);
    assert_eq!(Drive::play(1, &given, near_horizons()), Ok(()));
}
