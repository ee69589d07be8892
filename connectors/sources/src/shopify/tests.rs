#![allow(clippy::unwrap_used, reason = "tests panic")]
use super::*;
use hostread_connectors_kit::conformance::{Bench, Expect, Fixture, check};
use hostread_connectors_kit::signature::hmac_sha256_base64;
use hostread_connectors_kit::{Connector, Mapped, Raw};
use hostread_schemas::event::{Body, Event, Order, OrderKind};
use hostread_schemas::unit::{EventTimeMs, MoneyMicros};

const CREATE: &str = include_str!("fixtures/orders-create.json");
const CANCELLED: &str = include_str!("fixtures/orders-cancelled.json");
const REFUND: &str = include_str!("fixtures/refunds-create.json");

fn shop() -> Shopify {
    Shopify {
        store: "northwind".to_owned(),
    }
}

fn map(topic: &str, id: &str, body: &str) -> Mapped {
    let bench = Bench::new();
    let fields = [(map::TOPIC_HEADER, topic), (map::WEBHOOK_ID_HEADER, id)];
    shop().map(
        &bench.origin("b", 0),
        &Raw {
            fields: &fields,
            body: body.as_bytes(),
        },
    )
}

fn order(topic: &str, body: &str) -> (Event, Order) {
    match map(topic, "w1", body) {
        Mapped::Event(event) => match event.body.clone() {
            Body::Order(order) => (*event, order),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn conformance() {
    let fixture = |name: &str, topic: &str, body: &str, expect| {
        Fixture::new(name, body, expect)
            .with(map::TOPIC_HEADER, topic)
            .with(map::WEBHOOK_ID_HEADER, name)
    };
    let fixtures = [
        fixture("create", "orders/create", CREATE, Expect::Event("order")),
        fixture("paid", "orders/paid", CREATE, Expect::Event("order")),
        fixture(
            "cancelled",
            "orders/cancelled",
            CANCELLED,
            Expect::Event("order"),
        ),
        fixture("refund", "refunds/create", REFUND, Expect::Event("order")),
        fixture(
            "other topic",
            "products/update",
            "{}",
            Expect::Rejected("topic"),
        ),
        fixture("not JSON", "orders/create", "{", Expect::Rejected("json")),
        fixture(
            "not an object",
            "orders/create",
            "[1]",
            Expect::Rejected("date"),
        ),
        fixture(
            "no id",
            "orders/cancelled",
            r#"{"cancelled_at":"2026-11-12T00:00:00Z","currency":"USD"}"#,
            Expect::Rejected("missing"),
        ),
        fixture(
            "negative",
            "orders/create",
            &CREATE.replace("34.40", "-34.40"),
            Expect::Rejected("negative"),
        ),
        fixture(
            "no amount",
            "orders/create",
            &CREATE.replace("34.40", "1e9"),
            Expect::Rejected("number"),
        ),
        fixture(
            "deep",
            "orders/create",
            &"[".repeat(100_000),
            Expect::Rejected("json"),
        ),
    ];
    check(
        &shop(),
        &fixtures,
        &["203.0.113.19", "ana@example.com", "Ana"],
    );
}

#[test]
fn who_placed_it_is_hashed() {
    let stated = |words: &str| {
        let body = CREATE.replacen('{', &format!("{{{words},"), 1);
        order("orders/create", &body).1.customer
    };
    let by_id = stated(r#""customer":{"id":7},"email":"ana@example.com""#);
    assert_eq!(
        by_id,
        stated(r#""customer":{"id":"7","email":"x@example.com"}"#)
    );
    let by_email = stated(r#""customer":null,"email":"Ana@example.com""#);
    assert_eq!(by_email, stated(r#""email":"ana@example.com""#));
    assert!(by_id.is_some() && by_email.is_some() && by_id != by_email);
    assert_eq!(order("orders/create", CREATE).1.customer, None);
}

#[test]
fn create_says_what_was_bought() {
    let (event, order) = order("orders/create", CREATE);
    assert_eq!(
        event.meta.time,
        EventTimeMs::from_rfc3339("2026-11-10T16:12:44Z").unwrap()
    );
    assert_eq!(order.placed_at, Some(event.meta.time));
    assert_eq!(
        (order.store.as_str(), order.kind),
        ("northwind", OrderKind::Placed)
    );
    assert_eq!(
        (order.order_id.as_deref(), order.order_name.as_deref()),
        (Some("5632340000001"), Some("#1041"))
    );
    assert_eq!(
        (order.value, order.currency.as_str()),
        (MoneyMicros(34_400_000), "USD")
    );
    assert_eq!(order.codes, ["deepdive20", "SECOND"]);
    assert!(order.ip.is_some() && !order.test);
}

#[test]
fn cancel_and_refund_have_their_own_time() {
    let (event, cancelled) = order("orders/cancelled", CANCELLED);
    assert_eq!(
        event.meta.time,
        EventTimeMs::from_rfc3339("2026-11-12T17:30:00Z").unwrap()
    );
    assert_eq!(cancelled.kind, OrderKind::Cancelled);
    let (event, refund) = order("refunds/create", REFUND);
    assert_eq!(
        event.meta.time,
        EventTimeMs::from_rfc3339("2026-11-14T18:00:00Z").unwrap()
    );
    assert_eq!(
        (refund.kind, refund.value),
        (OrderKind::Refunded, MoneyMicros(19_800_000))
    );
    assert_eq!(
        (refund.order_id.as_deref(), refund.order_name),
        (Some("5632340000001"), None)
    );
}

#[test]
fn a_repeated_delivery_is_one_event_and_two_deliveries_are_two() {
    let id = |webhook: &str| match map("orders/create", webhook, CREATE) {
        Mapped::Event(event) => event.meta.id,
        other => panic!("{other:?}"),
    };
    assert_eq!(id("w1"), id("w1"));
    assert_ne!(id("w1"), id("w2"));
    assert_eq!(id(""), id(""));
}

#[test]
fn signatures() {
    let connection = ShopifyConnection {
        store: "s".to_owned(),
        secret: "hush".to_owned(),
    };
    let good = hmac_sha256_base64(b"hush", CREATE.as_bytes());
    assert!(verify(&connection, CREATE.as_bytes(), Some(&good)));
    assert!(!verify(&connection, CREATE.as_bytes(), None));
    assert!(!verify(&connection, CANCELLED.as_bytes(), Some(&good)));
    let unset = ShopifyConnection {
        store: "s".to_owned(),
        secret: String::new(),
    };
    assert!(
        !verify(&unset, b"", Some(&hmac_sha256_base64(b"", b""))),
        "an empty secret lets everybody in"
    );
    assert!(!format!("{connection:?}").contains("hush"));
}
