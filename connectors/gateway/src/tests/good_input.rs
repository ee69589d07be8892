//! What goes in is what comes out of the log.

use hostread_schemas::event::{Body, IpClass, OrderKind, PixelKind};
use hostread_schemas::unit::{EventTimeMs, MoneyMicros};

use super::bench::{Bench, NOW_MS};

const ORDER: &str = include_str!("../../../sources/src/shopify/fixtures/orders-create.json");

#[tokio::test(flavor = "multi_thread")]
async fn events_of_all_types_and_forms() {
    let bench = Bench::new().await;
    let ndjson = include_str!("../../../sources/src/events_json/fixtures/events.ndjson");
    let types = [("content-type", "application/x-ndjson")];
    let answer = bench
        .post_as("key-north", "/v1/events", ndjson, &types)
        .await;
    assert_eq!(
        (answer.status, answer.json()["accepted"].as_u64()),
        (200, Some(15))
    );
    let list: Vec<&str> = ndjson.lines().collect();
    let wrapped = format!("{{\"events\":[{}]}}", list.join(","));
    assert_eq!(
        bench.post("/v1/events", wrapped).await.json()["accepted"],
        15
    );
    let csv = include_str!("../../../sources/src/deals_csv/fixtures/episodes.csv");
    let answer = bench
        .post_as(
            "key-north",
            "/v1/events",
            csv,
            &[("content-type", "text/csv")],
        )
        .await;
    assert_eq!(answer.json()["accepted"], 2, "{}", answer.json());
    let events = bench.events().await;
    assert_eq!(events.len(), 32);
    let mut ids: Vec<_> = events.iter().map(|event| event.meta.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(
        ids.len(),
        16,
        "15 of both forms, one more in the table: its ep-101 has the first one's id"
    );
    assert!(
        events
            .iter()
            .all(|event| event.meta.tenant == "north" && event.meta.received_at.0 == NOW_MS)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pixels_and_impressions_of_callers_and_of_servers() {
    let bench = Bench::new().await;
    let forwarded = [
        ("x-forwarded-for", "203.0.113.9, 192.0.2.7"),
        ("user-agent", "Browser/1"),
    ];
    let answer = bench.get("/v1/pixel.gif?k=pk-north&store=northwind&kind=purchase&order=1041&value=34.40&currency=USD", &forwarded).await;
    assert_eq!(
        (
            answer.status,
            answer.header("content-type"),
            answer.header("cache-control")
        ),
        (200, "image/gif", "no-store")
    );
    assert!(answer.bytes.starts_with(b"GIF89a"));
    let posted = r#"{"k":"pk-north","store":"northwind","kind":"lead","ip":"203.0.113.9","agent":"Browser/2"}"#;
    let answer = bench.post_as("", "/v1/pixel", posted, &[]).await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (204, "*")
    );
    let answer = bench.get("/v1/impression.gif?k=pk-south&line=l1&show=s1&episode=e1&ip=203.0.113.9&agent=Podcasts", &[]).await;
    assert_eq!(answer.status, 200);
    let events = bench.events().await;
    let pixels: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.body {
            Body::Pixel(pixel) => Some((&event.meta, pixel)),
            _ => None,
        })
        .collect();
    let purchase = pixels
        .iter()
        .find(|(_, pixel)| pixel.kind == PixelKind::Purchase)
        .unwrap();
    assert_eq!(purchase.0.time, EventTimeMs(NOW_MS));
    assert_eq!(purchase.1.value, Some(MoneyMicros(34_400_000)));
    // The last hop that no trusted proxy added is a data centre, whatever the caller claims before it.
    assert_eq!(purchase.1.ip.as_ref().unwrap().class, IpClass::DataCentre);
    assert_eq!(purchase.1.agent, "Browser/1");
    let lead = pixels
        .iter()
        .find(|(_, pixel)| pixel.kind == PixelKind::Lead)
        .unwrap();
    assert_eq!(lead.1.ip.as_ref().unwrap().class, IpClass::Residential);
    let impression = events
        .iter()
        .find(|event| matches!(event.body, Body::Impression(_)))
        .unwrap();
    assert_eq!(impression.meta.tenant, "south");
    let json = serde_json::to_string(&events).unwrap();
    assert!(!json.contains("203.0.113.9"), "an address left in clear");
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks() {
    let bench = Bench::new().await;
    for (topic, id) in [
        ("orders/create", "w1"),
        ("orders/paid", "w2"),
        ("orders/create", "w1"),
    ] {
        assert_eq!(bench.webhook(topic, id, ORDER).await.status, 200);
    }
    let events = bench.events().await;
    assert_eq!(events.len(), 3);
    let repeated = events
        .iter()
        .filter(|event| event.meta.id == events[0].meta.id)
        .count();
    assert_eq!(
        repeated, 2,
        "a repeated delivery is the same event, two deliveries are two"
    );
    let Body::Order(order) = &events[0].body else {
        panic!()
    };
    assert_eq!(
        (order.kind, order.value),
        (OrderKind::Placed, MoneyMicros(34_400_000))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_webhook_is_taken_whatever_it_contains() {
    let bench = Bench::new().await;
    let old = ORDER.replace("2026-", "2019-");
    for (topic, body) in [
        ("products/update", "{}"),
        ("orders/create", "{ana@example.com"),
        ("orders/create", old.as_str()),
        ("", "\0\0"),
    ] {
        assert_eq!(
            bench.webhook(topic, "w9", body).await.status,
            200,
            "{topic}"
        );
    }
    assert!(bench.events().await.is_empty());
    let letters = bench.letters();
    assert_eq!(letters.len(), 4);
    assert_eq!(letters[1].position, "delivery \"w9\"");
    assert!(
        letters
            .iter()
            .all(|letter| !letter.reason.contains("ana@") && !letter.reason.is_empty())
    );
    assert_eq!(Bench::body_of(&letters[1]), b"{ana@example.com");
    assert!(letters[2].reason.contains("time"), "{}", letters[2].reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn redemptions_are_one_event_each_however_often_they_are_sent() {
    let bench = Bench::new().await;
    let body = r#"[{"store":"northwind","code":"DEEPDIVE20","order":"1041","value":"34.40","currency":"USD","time":"2026-11-10T16:12:44Z"}]"#;
    for _ in 0..2 {
        assert_eq!(
            bench.post("/v1/redemptions", body).await.json()["accepted"],
            1
        );
    }
    let events = bench.events().await;
    assert_eq!(
        (events.len(), events[0].meta.id == events[1].meta.id),
        (2, true)
    );
    assert_eq!(bench.post("/v1/redemptions", "[]").await.status, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn health() {
    let mut bench = Bench::new().await;
    assert_eq!(bench.get("/livez", &[]).await.status, 200);
    assert_eq!(bench.get("/readyz", &[]).await.status, 200);
    assert_eq!(bench.get("/readyz/pipeline", &[]).await.status, 503);
    assert_eq!(bench.get("/metrics", &[]).await.bytes, b"metrics 1\n");
    bench.log_away(true);
    assert_eq!(bench.get("/readyz", &[]).await.status, 503);
    assert_eq!(bench.get("/livez", &[]).await.status, 200);
    bench.stop().await;
}
