//! Windows, uniques, filters and thresholds, ads delivered.

use std::collections::{BTreeMap, BTreeSet};

use hostread_schemas::view::{Verdict, ViewKey, ViewValue, WindowKind};
use hostread_schemas::{Day, EventTimeMs, event::Body};
use serde_json::{Value, json};

use super::world::{Listener, World, event_id};
use super::{folder, json, list, skipped, word};

const NOON: &str = "2026-11-09T12:00:00Z";

const WINDOWS: [(WindowKind, &str); 3] = [
    (WindowKind::CalendarDay, "calendar_day_utc"),
    (WindowKind::FirstTouch, "first_touch_rolling_24h"),
    (WindowKind::LastTouch, "last_touch_rolling_24h"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_window() {
    let Some(dir) = folder() else {
        return;
    };
    let data = json(&dir, "iab/windows.json");
    let file = json!({"size": 1_000_000});
    let (cases, late) = (list(&data["cases"]), list(&data["arrival_order_cases"]));
    let mut world = World::new().await;
    for (number, case) in cases.iter().chain(late).enumerate() {
        let id = word(&case["id"]);
        world.episode(id, &file);
        let times = case.get("requests_utc").unwrap_or(&case["arrival"]);
        for time in list(times) {
            let whole = json!({"bytes": 1_000_000});
            world.request(id, &Listener::number(number), word(time), &whole);
        }
    }
    let rows = world.rows().await;
    for (window, kind) in WINDOWS {
        for case in cases {
            let id = word(&case["id"]);
            let counts = list(&case["expected"][kind]).iter();
            let begins = list(&case["requests_utc"]).iter().zip(counts);
            let mut expected: BTreeMap<Day, i64> = BTreeMap::new();
            for (time, _) in begins.filter(|(_, begins)| **begins == 1) {
                let time = EventTimeMs::from_rfc3339(word(time)).unwrap();
                *expected.entry(time.day()).or_default() += 1;
            }
            let found = rows.by_day(window, id);
            assert_eq!(found, expected, "{id} {kind}");
            assert_eq!(
                json!(found.values().sum::<i64>()),
                case["totals"][kind],
                "{id} {kind}"
            );
        }
        for case in late {
            let total: i64 = rows.by_day(window, word(&case["id"])).values().sum();
            assert_eq!(json!(total), case["final_totals"][kind], "{kind}");
        }
    }
    let why = "the pipeline's days are those of UTC; hostread count has zones, and `windows`";
    skipped("iab/windows.json", &[("time_zone_case".to_owned(), why)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_thresholds() {
    let Some(dir) = folder() else {
        return;
    };
    let data = json(&dir, "iab/filtering.json");
    let mut world = World::new().await;
    let mut expected = Vec::new();
    let groups = [
        ("main", &data),
        ("short", &data["short_episode"]),
        ("unknown", &data["unknown_bit_rate"]),
    ];
    for (group, of) in groups {
        for (number, case) in list(&of["cases"]).iter().enumerate() {
            let episode = format!("{group}-{}-{number}", case["id"].as_str().unwrap_or("case"));
            world.episode(&episode, &of["episode"]);
            for request in list(&case["requests"]) {
                world.request(&episode, &Listener::number(expected.len()), NOON, request);
            }
            expected.push((episode, case["expected"].as_u64().unwrap()));
        }
    }
    let rows = world.rows().await;
    for (episode, count) in &expected {
        let found = rows.counted(episode).0 as u64;
        assert_eq!(found, *count, "{episode}");
    }
    assert_eq!(expected.len(), 24);
}

#[tokio::test(flavor = "multi_thread")]
async fn watches() {
    let Some(dir) = folder() else {
        return;
    };
    let data = json(&dir, "iab/filtering.json");
    let mut world = World::new().await;
    world.episode("e", &json!({"size": 1_000}));
    let agents = list(&data["watch_user_agents"]);
    for (number, agent) in agents.iter().enumerate() {
        world.say(json!({
            "type": "request", "id": number.to_string(), "time": NOON, "enclosure": "/e.mp3", "status": 200,
            "sent_bytes": 1_000, "ip": Listener::number(number).ip, "agent": agent["user_agent"],
        }));
    }
    let rows = world.rows().await;
    for (number, agent) in agents.iter().enumerate() {
        let id = event_id(&number.to_string());
        let found = rows
            .0
            .rows
            .iter()
            .find_map(|(key, value)| match (key, value) {
                (ViewKey::Verdicts(key), ViewValue::Verdicts(row)) if key.request == id => {
                    Some(row.verdict)
                }
                _ => None,
            });
        let expected = if agent["dropped_by_watch_rule"] == true {
            Verdict::Watch
        } else {
            Verdict::Counted
        };
        assert_eq!(found, Some(expected), "{agent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_range_0_1_at_a_prefix() {
    let Some(dir) = folder() else {
        return;
    };
    let vector = &json(&dir, "iab/filtering.json")["prefix_source"];
    for (drops, expected) in [
        (true, &vector["strict"]),
        (false, &vector["prefix_reading"]),
    ] {
        let mut world = World::new().await;
        world.episode(
            "e",
            &json!({"size": 1_000_000, "bit_rate": 128_000, "seconds": 600}),
        );
        world.say(json!({"type": "rule_set", "id": "r", "rule_set": "r", "prefix_drops_range_0_1": drops}));
        world.say(json!({
            "type": "request", "id": "q", "time": NOON, "enclosure": "/e.mp3", "status": 200, "source_kind": "prefix",
            "range_first": 0, "range_last": 1, "ip": "86.0.0.1", "agent": "AppleCoreMedia/1.0",
        }));
        assert_eq!(
            json!(world.rows().await.counted("e").0),
            *expected,
            "dropped: {drops}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uniques() {
    let Some(dir) = folder() else {
        return;
    };
    let data = json(&dir, "iab/uniques.json");
    let mut world = World::new().await;
    let whole = json!({"bytes": 1_000_000});
    for episode in ["agents", "two-days"] {
        world.episode(episode, &json!({"size": 1_000_000}));
    }
    let ten = &data["ten_downloads_six_agents"];
    for request in list(&ten["requests"]) {
        let listener = Listener {
            ip: word(&request["ip"]).to_owned(),
            agent: word(&request["user_agent"]).to_owned(),
        };
        world.request("agents", &listener, word(&request["at"]), &whole);
    }
    let days = &data["consumers_not_additive"];
    for time in list(&days["requests"]) {
        world.request("two-days", &Listener::number(1), word(time), &whole);
    }
    let pause = &data["pause_resume"];
    // The threshold is one of a constant bit rate with a header, as in the other files.
    world.episode("pause", &json!({"size": pause["episode"]["size"], "id3_bytes": 148_213, "bit_rate": 128_000, "seconds": 2_990}));
    for request in list(&pause["requests"]) {
        let range =
            json!({"status": 206, "first": request["range"][0], "last": request["range"][1]});
        world.request("pause", &Listener::number(2), word(&request["at"]), &range);
    }
    let rows = world.rows().await;
    let (downloads, consumers) = rows.counted("agents");
    assert_eq!(
        json!({"downloads": downloads, "consumers": consumers}),
        ten["expected"]
    );
    let (downloads, consumers) = rows.counted("two-days");
    assert_eq!(
        json!([downloads, consumers]),
        json!([
            days["expected"]["downloads"],
            days["expected"]["consumers_period"]
        ])
    );
    assert_eq!(json!(rows.counted("pause").0), pause["expected_downloads"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_are_one_key() {
    let Some(dir) = folder() else {
        return;
    };
    let data = json(&dir, "iab/uniques.json");
    let mut world = World::new().await;
    let cases = list(&data["ipv6_keys"]);
    for (number, case) in cases.iter().enumerate() {
        for side in ["a", "b"] {
            world.say(json!({"type": "impression", "id": format!("{number}{side}"), "time": NOON, "line": "l", "ip": case[side], "agent": "A"}));
        }
    }
    world.send().await;
    let events = world.doors.events().await;
    let key = |own: String| {
        let event = events
            .iter()
            .find(|event| event.meta.id == event_id(&own))
            .unwrap();
        match &event.body {
            Body::Impression(impression) => impression.ip.star,
            other => panic!("{other:?}"),
        }
    };
    for (number, case) in cases.iter().enumerate() {
        let same = key(format!("{number}a")) == key(format!("{number}b"));
        assert_eq!(json!(same), case["same_key"], "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ads_delivered() {
    let Some(dir) = folder() else {
        return;
    };
    let data = json(&dir, "iab/ads-delivered.json");
    let mut world = World::new().await;
    for (number, case) in list(&data["cases"]).iter().enumerate() {
        let id = word(&case["id"]);
        world.episode(id, &data["episode"]);
        for ad in list(&data["episode"]["ads"]) {
            let line = format!("{id}/{}", word(&ad["id"]));
            let kind = if ad["kind"] == "baked_in" {
                "baked_in"
            } else {
                "inserted"
            };
            world.line(&line, "brand", kind, "bytes");
            world.say(json!({
                "type": "slot", "id": line, "slot": line, "show": "show", "episode": id, "line": line,
                "first_byte": ad["first"], "last_byte": ad["last"],
            }));
        }
        let listener = Listener::number(number);
        for request in list(&case["requests"]) {
            world.request(id, &listener, NOON, request);
        }
        for (step, _) in case["client_events"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
        {
            // Also for a line whose impressions count: a play that only the player confirms never does.
            let line = format!("{id}/confirmed");
            world.line(&line, "brand", "inserted", "impressions");
            world.say(json!({
                "type": "impression", "id": format!("{id} {step}"), "time": NOON, "kind": "client_confirmed", "line": line,
                "show": "show", "episode": id, "ip": listener.ip, "agent": listener.agent,
            }));
        }
    }
    let rows = world.rows().await;
    let delivered = rows.delivered();
    for case in list(&data["cases"]) {
        let id = word(&case["id"]);
        assert_eq!(json!(rows.counted(id).0), case["download"], "{id}");
        let of = |line: &str| {
            line.split_once('/')
                .filter(|(case, _)| *case == id)
                .map(|(_, ad)| ad.to_owned())
        };
        let found: BTreeSet<String> = delivered
            .iter()
            .filter(|(_, count)| **count > 0)
            .filter_map(|(line, _)| of(line))
            .collect();
        let expected: BTreeSet<String> = list(&case["ads"])
            .iter()
            .map(|ad: &Value| word(ad).to_owned())
            .collect();
        assert_eq!(found, expected, "{id}");
        assert!(
            delivered.values().all(|count| *count <= 1),
            "one delivery per ad"
        );
    }
    let why = "how far a player says it played is a metric of a later issue; here it must add nothing to what is delivered";
    skipped(
        "iab/ads-delivered.json",
        &[("client-confirmed-only client_confirmed".to_owned(), why)],
    );
}
