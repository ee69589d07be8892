//! Histories that once went wrong, by name.

use hostread_schemas::event::Event;
use serde_json::{Value, json};

use super::drive::{Drive, HASHER};
use super::world::{Given, far_horizons};

/// An event of one tenant on 2026-10-30; `what` says its type and what is not plain.
fn said(own_id: &str, revision: u32, time: &str, what: Value) -> Given {
    let mut json = json!({
        "id": HASHER.event_id("net", "test", own_id.as_bytes()).to_hex(),
        "tenant": "net",
        "source": "test",
        "time": format!("2026-10-30T{time}Z"),
        "received_at": 0,
        "batch_id": format!("batch of {own_id}"),
        "revision": revision,
    });
    let fields = json.as_object_mut().unwrap();
    fields.extend(what.as_object().unwrap().clone());
    let event: Event = serde_json::from_value(json).unwrap();
    Given::Event(event)
}

fn home(number: u32) -> Value {
    json!({"star": format!("{number:016x}"), "net": format!("{number:016x}")})
}

/// A request that is a download of a file of 1,000 bytes.
fn request(enclosure: &str, household: u32) -> Value {
    json!({"type": "request", "enclosure": enclosure, "status": 200, "sent_bytes": 1_000,
           "agent": "player", "ip": home(household)})
}

fn episode(episode: &str, enclosures: &[&str]) -> Value {
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
fn a_line_that_only_a_code_names_is_known_late() {
    check(vec![
        said(
            "store",
            0,
            "00:00:00",
            json!({"type": "store", "store": "shop", "brand": "b"}),
        ),
        said(
            "code",
            0,
            "00:00:00",
            json!({"type": "code", "store": "shop", "code": "SAVE", "line": "l"}),
        ),
        said(
            "sale",
            0,
            "02:00:00",
            json!({"type": "redemption", "store": "shop", "code": "SAVE",
                                           "value": 30_000_000}),
        ),
        Given::Close,
        said("line", 0, "00:00:00", line("l")),
        Given::Close,
        said("line", 1, "00:00:00", line("another")),
    ]);
}

#[test]
fn an_enclosure_that_only_an_older_fact_names_is_counted_anew() {
    check(vec![
        said("line", 0, "00:00:00", line("l")),
        said("slot", 0, "00:00:00", slot("l", "ep")),
        said("first", 0, "00:00:00", episode("ep", &["/old.mp3"])),
        said("hit", 0, "02:00:00", request("/old.mp3", 1)),
        said("second", 0, "01:00:00", episode("ep", &["/new.mp3"])),
        said("slot", 1, "00:00:00", slot("l", "elsewhere")),
    ]);
}
