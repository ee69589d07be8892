//! What doors refuse, field by field; what they take. And the headers of a record.

use std::collections::BTreeMap;

use hostread_schemas::EventTimeMs;
use hostread_schemas::envelope::{CELLS, Encoder, cell, partition, schema_id};
use hostread_schemas::event::{Body, Event, EventType};
use hostread_schemas::json::{self, NETS_MAX, validate};
use serde_json::{Value, json};

use crate::samples::sample;

const NOW: EventTimeMs = EventTimeMs(1_794_218_400_000);

/// The sample with some of its JSON fields changed.
fn changed(event_type: EventType, changes: &Value) -> Event {
    let mut line = Vec::new();
    json::write(&sample(event_type), &mut line);
    let mut event: Value = serde_json::from_slice(&line).unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match name.split_once('.') {
            Some((outer, inner)) => event[outer][inner] = value.clone(),
            None => event[name] = value.clone(),
        }
    }
    json::read(event.to_string().as_bytes()).unwrap()
}

#[test]
fn samples_are_taken() {
    for event_type in EventType::ALL {
        validate(&sample(event_type), NOW).unwrap();
    }
}

#[test]
fn the_bounds_of_time_are_where_they_are_said_to_be() {
    let at = |ms: i64| {
        let mut event = sample(EventType::Show);
        event.meta.time = EventTimeMs(NOW.0 + ms);
        validate(&event, NOW).map_err(|error| error.field)
    };
    let day = 86_400_000;
    assert_eq!(at(day), Ok(()));
    assert_eq!(at(day + 1), Err("time".into()));
    assert_eq!(at(-400 * day), Ok(()));
    assert_eq!(at(-400 * day - 1), Err("time".into()));
    let mut event = sample(EventType::Show);
    event.meta.time = EventTimeMs(i64::MIN);
    assert!(validate(&event, EventTimeMs(i64::MIN)).is_ok());
    assert!(validate(&event, EventTimeMs(i64::MAX)).is_err());
}

#[test]
fn each_field_out_of_bounds_is_named() {
    use EventType::{
        Aired, Campaign, Code, Episode, Impression, LineItem, Order, Pixel, Redemption, Request,
        RuleSet, Settings, Show, Slot, Store,
    };
    let long = "x".repeat(513);
    let longer = "x".repeat(2_049);
    let many = |count: usize| vec!["x"; count];
    let other = |pattern: &str, before| json!({"pattern": pattern, "bots_before": before});
    let included =
        |from, expires| json!({"from": from, "expires": expires, "nets": [], "addresses": []});
    for (event_type, changes, field) in [
        (Show, json!({"tenant": ""}), "tenant"),
        (Show, json!({"source": " "}), "source"),
        (Show, json!({"batch_id": long}), "batch_id"),
        (Show, json!({"show": ""}), "show"),
        (Show, json!({"show": long}), "show"),
        (Show, json!({"show": "a\nb"}), "show"),
        (Show, json!({"title": "a\u{85}b"}), "title"),
        (Request, json!({"enclosure": ""}), "enclosure"),
        (Request, json!({"enclosure": longer}), "enclosure"),
        (Request, json!({"agent": longer}), "agent"),
        (Request, json!({"status": 1_000}), "status"),
        (
            Request,
            json!({"sent_bytes": (1_u64 << 53) + 1}),
            "sent_bytes",
        ),
        (Request, json!({"range_last": u64::MAX}), "range_last"),
        (Request, json!({"ip.country": "de"}), "ip.country"),
        (Request, json!({"ip.dated": "yesterday"}), "ip.dated"),
        (Request, json!({"session": long}), "session"),
        (Request, json!({"referrer": long}), "referrer"),
        (Request, json!({"ip.star": "0000000000000000"}), "ip"),
        (
            Impression,
            json!({"ip": {"star": "0000000000000000", "net": "0000000000000000"}}),
            "ip",
        ),
        (Impression, json!({"line": ""}), "line"),
        (Impression, json!({"episode": long}), "episode"),
        (Pixel, json!({"store": ""}), "store"),
        (Pixel, json!({"value": -1}), "value"),
        (Pixel, json!({"value": i64::MAX}), "value"),
        (Pixel, json!({"code": "\u{7f}"}), "code"),
        (Order, json!({"value": -1}), "value"),
        (Order, json!({"codes": many(33)}), "codes"),
        (Order, json!({"codes": ["x", ""]}), "codes[1]"),
        (Order, json!({"codes": ["x", "y", long]}), "codes[2]"),
        (
            Order,
            json!({"placed_at": "1850-01-01T00:00:00Z"}),
            "placed_at",
        ),
        (Order, json!({"ip.country": "DEU"}), "ip.country"),
        (Redemption, json!({"code": ""}), "code"),
        (Redemption, json!({"value": -5}), "value"),
        (Episode, json!({"episode": ""}), "episode"),
        (Episode, json!({"enclosures": many(65)}), "enclosures"),
        (
            Episode,
            json!({"published_at": "2200-01-01T00:00:00Z"}),
            "published_at",
        ),
        (Episode, json!({"header_bytes": 24_117_249}), "header_bytes"),
        (Slot, json!({"slot": ""}), "slot"),
        (Slot, json!({"last_byte": 5}), "last_byte"),
        (Store, json!({"brand": ""}), "brand"),
        (Campaign, json!({"campaign": ""}), "campaign"),
        (LineItem, json!({"price": -1}), "price"),
        (LineItem, json!({"start": "2026-02-30"}), "start"),
        (LineItem, json!({"start": "20261102"}), "start"),
        (LineItem, json!({"end": ""}), "end"),
        (LineItem, json!({"end": "2026-11-01"}), "end"),
        (LineItem, json!({"end": "2199-11-01"}), "end"),
        (LineItem, json!({"zone": "Europe/Atlantis"}), "zone"),
        (LineItem, json!({"goal": u64::MAX}), "goal"),
        (Code, json!({"line": ""}), "line"),
        (
            Aired,
            json!({"aired_at": "2200-01-01T00:00:00Z"}),
            "aired_at",
        ),
        (RuleSet, json!({"rule_set": ""}), "rule_set"),
        (RuleSet, json!({"threshold_secs": 0}), "threshold_secs"),
        (RuleSet, json!({"bot_agents": [""]}), "bot_agents[0]"),
        (RuleSet, json!({"bot_agents": [longer]}), "bot_agents[0]"),
        (
            RuleSet,
            json!({"other_agents": [other("x", 1), other("", 0)]}),
            "other_agents[1].pattern",
        ),
        (
            RuleSet,
            json!({"other_agents": [other(&longer, 0)]}),
            "other_agents[0].pattern",
        ),
        (
            RuleSet,
            json!({"other_agents": [other("x", 2)]}),
            "other_agents[0].bots_before",
        ),
        (
            RuleSet,
            json!({"other_agents": vec![other("x", 0); 4_001]}),
            "other_agents",
        ),
        (
            RuleSet,
            json!({"included": [included("2026-11-01", "2026-11-02"), included("20261101", "2026-11-02")]}),
            "included[1].from",
        ),
        (
            RuleSet,
            json!({"included": [included("2026-11-01", "2026-11-01")]}),
            "included[0].expires",
        ),
        (
            RuleSet,
            json!({"included": [included("2026-11-01", "2027-01-31")]}),
            "included[0].expires",
        ),
        (
            RuleSet,
            json!({"included": vec![included("2026-11-01", "2026-11-02"); 10_001]}),
            "included",
        ),
        (
            RuleSet,
            json!({"referrers_denied": many(10_001)}),
            "referrers_denied",
        ),
        (Settings, json!({"lookback_hours": 0}), "lookback_hours"),
        (
            Settings,
            json!({"half_life_hours": 2_161}),
            "half_life_hours",
        ),
        (
            Settings,
            json!({"shared_agents_day_max": 0}),
            "shared_agents_day_max",
        ),
    ] {
        let error = validate(&changed(event_type, &changes), NOW).unwrap_err();
        assert_eq!(error.field, field, "{changes}: {error}");
    }
}

#[test]
fn odd_but_right_values_are_taken() {
    for (event_type, changes) in [
        (
            EventType::Request,
            json!({"agent": "", "status": 0, "session": null}),
        ),
        (
            EventType::Pixel,
            json!({"ip": null, "order": null, "value": 0}),
        ),
        (
            EventType::Order,
            json!({"codes": [], "order_id": null, "order_name": null}),
        ),
        (
            EventType::Show,
            json!({"show": "💡 ".repeat(100), "title": ""}),
        ),
        (
            EventType::LineItem,
            json!({"zone": "", "end": "2026-11-02"}),
        ),
        (EventType::Slot, json!({"last_byte": 9_717_248})),
        (
            EventType::Episode,
            json!({"size_bytes": 0, "published_at": "1955-01-01T00:00:00Z"}),
        ),
    ] {
        validate(&changed(event_type, &changes), NOW).unwrap();
    }
    // The largest rule set that a door takes fits a record of the log.
    let mut event = sample(EventType::RuleSet);
    if let Body::RuleSet(rule_set) = &mut event.body {
        let nets = (0..NETS_MAX as u64).map(|n| hostread_schemas::event::Hash64(u64::MAX / 2 - n));
        let mut nets: Vec<_> = nets.collect();
        rule_set.included[0].nets = nets.split_off(NETS_MAX / 3);
        rule_set.included[0].addresses = rule_set.included[0].nets.split_off(NETS_MAX / 3);
        rule_set.nonhuman_nets = nets;
    }
    validate(&event, NOW).unwrap();
    let mut more = event.clone();
    if let Body::RuleSet(rule_set) = &mut more.body {
        rule_set
            .nonhuman_nets
            .push(hostread_schemas::event::Hash64(1));
    }
    assert_eq!(validate(&more, NOW).unwrap_err().field, "included");
    let mut body = Vec::new();
    hostread_schemas::encode(&event, &mut body);
    assert!(body.len() < 4 << 20, "{}", body.len());
    assert_eq!(
        hostread_schemas::decode(EventType::RuleSet, &body).unwrap(),
        event
    );
}

#[test]
fn headers_are_cloud_events_in_binary_mode() {
    let ids: BTreeMap<EventType, u32> = EventType::ALL.into_iter().zip(1..).collect();
    let encoder = Encoder::new(ids);
    let mut event = sample(EventType::Order);
    event.meta.tenant = "acmé & co".into();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let record = encoder.encode_traced(&event, Some(trace));
    let headers: BTreeMap<&str, &str> = record
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), std::str::from_utf8(value).unwrap()))
        .collect();
    let expected = [
        ("content-type", "application/avro"),
        ("ce_specversion", "1.0"),
        ("ce_id", "00000000000000040102030405060708"),
        ("ce_source", "/acm%C3%A9%20%26%20co/shopify"),
        ("ce_type", "shop.order.v1"),
        ("ce_time", "2026-11-09T10:05:00.000Z"),
        ("ce_subject", "shop"),
        ("ce_tenantid", "acmé & co"),
        ("traceparent", trace),
    ];
    assert_eq!(headers, BTreeMap::from(expected));
    assert_eq!(record.key, "acmé & co".as_bytes());
    assert_eq!(schema_id(&record.value).unwrap(), 4);
    assert_eq!(encoder.encode(&event).headers.len(), 8);
    assert_eq!(encoder.encode(&event).value, record.value);

    event.meta.revision = 3;
    let corrected = encoder.encode(&event);
    assert!(corrected.headers.contains(&(
        "ce_id".into(),
        b"00000000000000040102030405060708-r3".to_vec()
    )));
}

#[test]
fn tenants_are_placed_for_ever() {
    assert_eq!((cell("acme", CELLS), cell("beta", CELLS)), (16, 35));
    assert_eq!(cell("acme", 1), 0);
    for partitions in [1, 3, 8, 64] {
        let mut used = vec![0; partitions as usize];
        for tenant in 0..2_000 {
            let name = format!("tenant-{tenant}");
            let partition = partition(&name, partitions);
            assert_eq!(partition, cell(&name, CELLS) % partitions);
            used[partition as usize] += 1;
        }
        let least = 2_000 / partitions / 3;
        assert!(used.iter().all(|count| *count > least), "{used:?}");
    }
    assert_eq!(partition("x", 0), 0);
}

#[test]
fn a_type_without_a_schema_id_is_refused_at_start() {
    let result = std::panic::catch_unwind(|| Encoder::new(BTreeMap::new()));
    assert!(result.is_err());
}
