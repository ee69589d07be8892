//! What goes in is what comes out of the log.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hostread_gateway::GatewayConfig;
use hostread_schemas::event::{Body, EventType, IpClass, OrderKind, PixelKind};
use hostread_schemas::unit::{EventTimeMs, MoneyMicros};

use super::bench::{Disks, Doors, NOW_MS, body_of, tenants};

/// One of each type, the way a tenant's own system sends them.
const EVENTS: &str =
    include_str!("../../../../connectors/sources/src/events_json/fixtures/events.ndjson");
const EPISODES: &str =
    include_str!("../../../../connectors/sources/src/deals_csv/fixtures/episodes.csv");

/// Rows of many types as one table: a column for each field that any of them has.
pub(super) fn table(rows: &[&str]) -> String {
    let fields = |row: &str| -> Vec<(String, String)> {
        let pairs = row.split(';').map(|pair| pair.split_once('=').unwrap());
        pairs
            .map(|(name, value)| (name.trim().to_owned(), value.to_owned()))
            .collect()
    };
    let columns: BTreeSet<String> = rows
        .iter()
        .flat_map(|row| fields(row))
        .map(|(name, _)| name)
        .collect();
    let columns: Vec<String> = columns.into_iter().collect();
    let mut lines = vec![columns.join(",")];
    for row in rows {
        let fields = fields(row);
        let cell = |column: &String| {
            let found = fields.iter().find(|(name, _)| name == column);
            found.map_or_else(String::new, |(_, value)| format!("\"{value}\""))
        };
        lines.push(columns.iter().map(cell).collect::<Vec<_>>().join(","));
    }
    lines.join("\n")
}

/// Every fact of a catalog and a deal.
pub(super) const FACTS: [&str; 8] = [
    "type=show;id=f1;time=2026-11-01T00:00:00Z;show=deep;title=Deep Dive",
    "type=episode;id=f2;time=2026-11-01T00:00:00Z;show=deep;episode=ep-1;title=One, two;enclosures=/a/ep-1.mp3|https://cdn.example.com/b/ep-1.mp3;size_bytes=10000000;header_bytes=0;bit_rate=128000;duration_secs=625",
    "type=slot;id=f3;time=2026-11-01T00:00:00Z;slot=sl-1;show=deep;episode=ep-1;line=l1;first_byte=0;last_byte=480000",
    "type=store;id=f4;time=2026-11-01T00:00:00Z;store=northwind;brand=coffee",
    "type=campaign;id=f5;time=2026-11-01T00:00:00Z;campaign=c1;brand=coffee;title=Autumn",
    "type=line_item;id=f6;time=2026-11-01T00:00:00Z;line=l1;campaign=c1;kind=baked_in;controlling=bytes;goal=100000;start=2026-11-01;end=2026-11-30;zone=Europe/Berlin;price_kind=cpm;price=25.50;currency=EUR;model=last",
    "type=code;id=f7;time=2026-11-01T00:00:00Z;store=northwind;code=DEEPDIVE20;line=l1",
    "type=aired;id=f8;time=2026-11-01T00:00:00Z;line=l1;episode=ep-1;aired_at=2026-11-02T05:00:00Z;episode_goal=4000",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_catalog_and_deal_facts() {
    let doors = Doors::open().await;
    let answer = doors.table("/v1/events", &table(&FACTS)).await;
    assert_eq!(
        answer.status,
        200,
        "{}",
        String::from_utf8_lossy(&answer.bytes)
    );
    assert_eq!(answer.json()["accepted"], 8, "{}", answer.json());
    let events = doors.events().await;
    let types: BTreeSet<EventType> = events.iter().map(|e| e.body.event_type()).collect();
    assert_eq!((events.len(), types.len()), (8, 8));
    for event in &events {
        match &event.body {
            Body::Episode(episode) => {
                assert_eq!(episode.enclosures, ["/a/ep-1.mp3", "/b/ep-1.mp3"]);
                assert_eq!(
                    (episode.title.as_str(), episode.bit_rate),
                    ("One, two", Some(128_000))
                );
            }
            Body::LineItem(line) => {
                assert_eq!((line.price, line.goal), (MoneyMicros(25_500_000), 100_000));
                assert_eq!(line.zone, "Europe/Berlin");
            }
            Body::Aired(aired) => assert_eq!(aired.episode_goal, 4_000),
            _ => {}
        }
    }
    // A table of one type may name it in the address; a row that is wrong comes back by its place.
    let codes = "id,time,store,code,line\nk1,2026-11-09T00:00:00Z,s,A,l1\nk2,2026-11-09T00:00:00Z,s,,l1\nk3,2026-11-09T00:00:00Z,s,C,l1\n";
    let answer = doors.table("/v1/events?type=code", codes).await;
    let document = answer.json();
    assert_eq!((&document["accepted"], answer.status), (&2.into(), 200));
    assert_eq!(document["rejected"][0]["index"], 1);
    assert_eq!(document["rejected"][0]["field"], "code");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_the_same_in_every_form() {
    let doors = Doors::open().await;
    let lines = [("content-type", "application/x-ndjson")];
    let answer = doors.post_as("key-north", "/v1/events", EVENTS, &lines);
    assert_eq!(answer.await.json()["accepted"], 15);
    let list: Vec<&str> = EVENTS.lines().collect();
    let wrapped = format!("{{\"events\":[{}]}}", list.join(","));
    let answer = doors.post("/v1/events", wrapped).await;
    assert_eq!(answer.json()["accepted"], 15);
    let answer = doors.table("/v1/events", EPISODES).await;
    assert_eq!(answer.json()["accepted"], 2, "{}", answer.json());
    let events = doors.events().await;
    let types: BTreeSet<EventType> = events.iter().map(|e| e.body.event_type()).collect();
    assert_eq!((events.len(), types.len()), (32, EventType::ALL.len()));
    let ids: BTreeSet<_> = events.iter().map(|event| event.meta.id).collect();
    assert_eq!(
        ids.len(),
        16,
        "one of the table's two has the id \"e1\" too"
    );
    for event in &events {
        let meta = &event.meta;
        assert_eq!(
            (meta.tenant.as_str(), meta.received_at.0),
            ("north", NOW_MS)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_batch_good_events_go_in_and_bad_ones_come_back_by_index() {
    let doors = Doors::open().await;
    let show = |id: usize| {
        format!(r#"{{"type":"show","id":"{id}","show":"s{id}","time":"2026-11-09T00:00:00Z"}}"#)
    };
    let bad = r#"{"type":"show","show":"s","show":"t","time":"2026-11-09T00:00:00Z"}"#;
    // Every seventh is bad; 5,000 is the most.
    let entries: Vec<String> = (0..5_000)
        .map(|index| {
            if index % 7 == 0 {
                bad.to_owned()
            } else {
                show(index)
            }
        })
        .collect();
    let expected: Vec<u64> = (0..5_000).filter(|index| index % 7 == 0).collect();
    for body in [
        format!("[{}]", entries.join(",")),
        format!("{{\"events\":[{}]}}", entries.join(",")),
        entries.join("\n"),
    ] {
        let answer = doors.post("/v1/events", body).await;
        assert_eq!(answer.status, 200);
        let document = answer.json();
        assert_eq!(document["accepted"], 5_000 - expected.len());
        let rejected = document["rejected"].as_array().unwrap();
        let indexes: Vec<u64> = rejected
            .iter()
            .map(|r| r["index"].as_u64().unwrap())
            .collect();
        assert_eq!(indexes, expected);
        assert!(
            rejected
                .iter()
                .all(|r| r["field"] == "show" && r["message"] != "")
        );
    }
    let events = doors.events().await;
    assert_eq!(events.len(), 3 * (5_000 - expected.len()));
    let ids: BTreeSet<_> = events.iter().map(|event| event.meta.id).collect();
    assert_eq!(
        ids.len(),
        5_000 - expected.len(),
        "a repeated batch is the same events"
    );
    // What is no event at all is an entry too.
    let answer = doors
        .post("/v1/events", format!("[\"x\",{},7]", show(1)))
        .await;
    let document = answer.json();
    assert_eq!((&document["accepted"], answer.status), (&1.into(), 200));
    assert_eq!(document["rejected"][0]["index"], 0);
    assert_eq!(document["rejected"][1]["index"], 2);
    let redemption = r#"{"store":"s","code":"X","time":"2026-11-10T00:00:00Z"}"#;
    let body = format!("[{redemption},{}]", redemption.replace("\"X\"", "\"\""));
    let answer = doors.post("/v1/redemptions", body).await;
    assert_eq!(
        (answer.status, &answer.json()["rejected"][0]["index"]),
        (200, &1.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_of_pages_players_and_servers() {
    let doors = Doors::open().await;
    let purchase = "/v1/pixel.gif?k=pk-north&store=northwind&kind=purchase&order=%231041&value=34.40&currency=USD&code=deep+dive&id=p1";
    let answer = doors.get(purchase).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "image/gif")
    );
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.bytes.starts_with(b"GIF89a"));
    let lead = r#"{"k":"pk-north","store":"northwind","kind":"lead","ip":"203.0.113.9","agent":"Browser/2"}"#;
    let answer = doors.post_as("", "/v1/pixel", lead, &[]).await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (204, "*")
    );
    let heard = "/v1/impression.gif?k=pk-south&line=l1&show=s1&episode=e1&ip=203.0.113.9&agent=Podcasts%2F1";
    assert_eq!(doors.get(heard).await.status, 200);
    let events = doors.events().await;
    assert_eq!(events.len(), 3);
    for event in &events {
        match &event.body {
            Body::Pixel(pixel) if pixel.kind == PixelKind::Purchase => {
                assert_eq!(event.meta.time, EventTimeMs(NOW_MS));
                assert_eq!(pixel.order.as_deref(), Some("#1041"));
                assert_eq!(pixel.value, Some(MoneyMicros(34_400_000)));
                assert_eq!(pixel.code.as_deref(), Some("deep dive"));
            }
            Body::Pixel(pixel) => {
                assert_eq!(pixel.agent, "Browser/2");
                let class = pixel.ip.as_ref().map(|ip| ip.class);
                assert_eq!(class, Some(IpClass::Residential));
            }
            Body::Impression(impression) => {
                assert_eq!(
                    (event.meta.tenant.as_str(), impression.line.as_str()),
                    ("south", "l1")
                );
                assert_eq!(impression.ip.class, IpClass::Residential);
            }
            other => panic!("{other:?}"),
        }
    }
    // Tenants have keys of their own, but one address: its hashes stay apart, and none is in clear.
    let json = serde_json::to_string(&events).unwrap();
    assert!(
        !json.contains("203.0.113.9") && !json.contains("127.0.0.1"),
        "{json}"
    );
}

/// Class of the address that a pixel is from, with what its sender and the proxies on its way say, and its agent.
async fn seen(trusted_proxies: &[&str], forwarded: &str) -> (IpClass, String) {
    let config = GatewayConfig {
        trusted_proxies: trusted_proxies.iter().map(ToString::to_string).collect(),
        ip_ranges: BTreeMap::from([("data_centre".to_owned(), vec!["192.0.2.0/24".to_owned()])]),
        ..GatewayConfig::default()
    };
    let doors = Doors::of(Disks::new(0), config, tenants()).await;
    let headers = [("x-forwarded-for", forwarded), ("user-agent", "Browser/1")];
    let path = "/v1/pixel.gif?k=pk-north&store=northwind";
    assert_eq!(doors.get_with(path, &headers).await.status, 200);
    match &doors.events().await[0].body {
        Body::Pixel(pixel) => (pixel.ip.as_ref().unwrap().class, pixel.agent.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_address_is_the_last_that_no_trusted_proxy_added() {
    let trusted = ["127.0.0.0/8"];
    for (proxies, forwarded, class) in [
        // Whatever the caller claims before it.
        (&trusted[..], "203.0.113.9, 192.0.2.7", IpClass::DataCentre),
        (&trusted, "192.0.2.7, 203.0.113.9", IpClass::Residential),
        (&trusted, "192.0.2.7, 127.0.0.2", IpClass::DataCentre),
        (&[], "192.0.2.7", IpClass::Residential),
    ] {
        let expected = (class, "Browser/1".to_owned());
        assert_eq!(seen(proxies, forwarded).await, expected, "{forwarded}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_what_lists_and_databases_say_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let relays = dir.path().join("relays.csv");
    std::fs::write(&relays, "# exits\n203.0.113.0/25,DE\n").unwrap();
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../connectors/kit");
    let config = GatewayConfig {
        trusted_proxies: vec!["127.0.0.0/8".to_owned()],
        ip_ranges: BTreeMap::from([("vpn".to_owned(), vec!["203.0.0.0/8".to_owned()])]),
        ip_range_files: BTreeMap::from([("relay".to_owned(), vec![relays])]),
        ip_databases: vec![kit.join("fixtures/addresses.mmdb")],
        ..GatewayConfig::default()
    };
    let doors = Doors::of(Disks::new(0), config, tenants()).await;
    let path = "/v1/pixel.gif?k=pk-north&store=northwind";
    for from in ["203.0.113.9", "203.0.113.200", "198.51.100.1"] {
        let headers = [("x-forwarded-for", from), ("user-agent", "Browser/1")];
        assert_eq!(doors.get_with(path, &headers).await.status, 200);
    }
    let events = doors.events().await;
    let known = events.iter().map(|event| match &event.body {
        Body::Pixel(pixel) => {
            let ip = pixel.ip.clone().unwrap();
            (ip.class, ip.asn, ip.country, ip.dated)
        }
        other => panic!("{other:?}"),
    });
    let said = |class, asn, country: &str| {
        let dated = "2026-11-01".to_owned();
        (class, asn, country.to_owned(), dated)
    };
    let expected = [
        said(IpClass::Relay, 64_500, "DE"),
        said(IpClass::Vpn, 64_500, "DE"),
        said(IpClass::Residential, 0, ""),
    ];
    let known: Vec<_> = known.collect();
    assert_eq!(known.len(), expected.len());
    assert!(expected.iter().all(|it| known.contains(it)), "{known:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redemptions_are_one_event_each_however_often_they_are_sent() {
    let doors = Doors::open().await;
    let body = r#"[{"store":"northwind","code":"DEEPDIVE20","order":"1041","value":"34.40","currency":"USD","time":"2026-11-10T16:12:44Z"}]"#;
    for _ in 0..2 {
        let answer = doors.post("/v1/redemptions", body).await;
        assert_eq!(answer.json()["accepted"], 1);
    }
    let events = doors.events().await;
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].meta.id, events[1].meta.id);
    assert_eq!(doors.post("/v1/redemptions", "[]").await.status, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rightly_signed_webhook_is_always_200() {
    let doors = Doors::open().await;
    let order = r##"{"id":77,"name":"#1041","created_at":"2026-11-10T00:00:00Z","currency":"USD","subtotal_price":"34.40"}"##;
    for id in ["w1", "w1", "w2"] {
        assert_eq!(doors.webhook("orders/create", id, order).await.status, 200);
    }
    let unusable: [(&str, &[u8]); 8] = [
        ("orders/create", b""),
        ("orders/create", b"\0\xFF"),
        ("orders/create", b"{ana@example.com"),
        ("products/update", order.as_bytes()),
        ("", order.as_bytes()),
        ("orders/create", b"{\"id\":1,\"created_at\":\"2019-01-01T00:00:00Z\",\"currency\":\"USD\",\"subtotal_price\":\"1.00\"}"),
        ("orders/create", b"{\"id\":1,\"created_at\":\"2026-11-10T00:00:00Z\",\"currency\":\"USD\",\"subtotal_price\":\"-1.00\"}"),
        ("refunds/create", b"{}"),
    ];
    for (number, (topic, body)) in unusable.iter().enumerate() {
        let answer = doors.webhook(topic, &format!("u{number}"), *body).await;
        assert_eq!(answer.status, 200, "{topic} {body:?}");
    }
    let events = doors.events().await;
    let ids: BTreeSet<_> = events.iter().map(|event| event.meta.id).collect();
    assert_eq!(
        (events.len(), ids.len()),
        (3, 2),
        "a repeat is the same event"
    );
    let Body::Order(placed) = &events[0].body else {
        panic!("{:?}", events[0]);
    };
    assert_eq!(
        (placed.kind, placed.value),
        (OrderKind::Placed, MoneyMicros(34_400_000))
    );
    let letters = doors.letters();
    assert_eq!(letters.len(), unusable.len());
    for (number, (letter, (_, body))) in letters.iter().zip(unusable).enumerate() {
        assert_eq!(body_of(letter), body);
        assert_eq!(letter.position, format!("delivery \"u{number}\""));
        assert_eq!(
            (letter.tenant.as_str(), letter.connector.as_str()),
            ("north", "shopify")
        );
        assert!(
            !letter.reason.is_empty() && !letter.reason.contains("ana@"),
            "{}",
            letter.reason
        );
    }
    let of_2019 = &letters[5].reason;
    assert!(of_2019.contains("time"), "{of_2019}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics() {
    let doors = Doors::open().await;
    assert_eq!(doors.get("/livez").await.status, 200);
    assert_eq!(doors.get("/readyz").await.json()["log"], "there");
    assert_eq!(doors.get("/metrics").await.bytes, b"up 1\n");
    let pipeline = doors.get("/readyz/pipeline").await;
    assert_eq!(
        (pipeline.status, &pipeline.json()["reason"]),
        (503, &"loading".into())
    );
    assert_eq!(
        doors.get("/readyz").await.status,
        200,
        "gateway and pipeline are ready apart"
    );
    doors.log_is_full(true);
    let show = r#"{"type":"show","show":"s","time":"2026-11-09T00:00:00Z"}"#;
    doors
        .post("/v1/events", show)
        .await
        .problem(503, "log_away");
    let away = doors.get("/readyz").await;
    assert_eq!((away.status, &away.json()["log"]), (503, &"away".into()));
    assert_eq!(doors.get("/livez").await.status, 200);
    doors.log_is_full(false);
    assert_eq!(doors.post("/v1/events", show).await.status, 200);
    assert_eq!(doors.get("/readyz").await.status, 200);
}
