//! What the doors take becomes one conversion an order, however it is named, however often and in whatever order it is told.

use hostread_job::replay::{Replayed, replay};
use hostread_rules::Horizons;
use hostread_schemas::unit::MoneyMicros;
use hostread_schemas::view::{ConversionRow, ViewValue};

use super::bench::{Doors, IDS};
use super::taken::{FACTS, table};

const LOG_LINE: &str = "203.0.113.9 - - [09/Nov/2026:10:00:00 +0000] \"GET /a/ep-1.mp3 HTTP/1.1\" 200 10000000 \"-\" \"Podcasts/1\"\n";

/// A purchase told six ways: number, name and the shop's id are one order.
async fn buy(doors: &Doors, way: usize) {
    let order = r##"{"id":5632340000001,"name":"#1041","order_number":1041,"created_at":"2026-11-10T16:12:44Z","currency":"USD","subtotal_price":"34.40","discount_codes":[{"code":"deepdive20 "}],"browser_ip":"203.0.113.9"}"##;
    let status = match way {
        0 => doors.webhook("orders/create", "w1", order).await.status,
        1 => doors.webhook("orders/paid", "w2", order).await.status,
        2 => doors.get("/v1/pixel.gif?k=pk-north&store=northwind&kind=purchase&order=1041&value=99&currency=USD&id=p1&time=2026-11-10T16:12:40Z").await.status,
        3 => doors.get("/v1/pixel.gif?k=pk-north&store=northwind&kind=purchase&order=%20%231041&value=99&currency=USD&id=p2&time=2026-11-10T16:12:41Z").await.status,
        4 => {
            let body = r#"{"store":"northwind","code":"DEEPDIVE20","order":"5632340000001","time":"2026-11-10T16:12:50Z"}"#;
            doors.post("/v1/redemptions", body).await.status
        }
        _ => {
            let body = r##"{"type":"order","id":"api-1","store":"northwind","order_name":"#1041","value":34400000,"currency":"USD","time":"2026-11-10T16:12:44Z"}"##;
            doors.post("/v1/events", body).await.status
        }
    };
    assert_eq!(status, 200, "way {way}");
}

async fn replayed(doors: &Doors) -> Replayed {
    let events = doors.events().await;
    tokio::task::spawn_blocking(move || replay(events, None, 1, Horizons::default(), IDS))
        .await
        .unwrap()
        .unwrap()
}

fn conversions(replayed: &Replayed) -> Vec<&ConversionRow> {
    let rows = replayed.rows.values().filter_map(|value| match value {
        ViewValue::Conversions(row) => Some(row.as_ref()),
        _ => None,
    });
    rows.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn number_name_and_id_are_one_order_in_any_order_and_however_often() {
    let mut first: Option<ConversionRow> = None;
    for ways in [
        vec![0, 1, 2, 3, 4, 5],
        vec![4, 3, 2, 5, 1, 0],
        vec![2, 0, 0, 4, 4, 1, 3, 3, 5, 5, 2, 1],
    ] {
        let doors = Doors::open().await;
        assert_eq!(
            doors.table("/v1/events", &table(&FACTS)).await.json()["accepted"],
            8
        );
        assert_eq!(
            doors.post("/v1/import/combined", LOG_LINE).await.status,
            200
        );
        for way in ways {
            buy(&doors, way).await;
        }
        let replayed = replayed(&doors).await;
        let rows = conversions(&replayed);
        assert_eq!(rows.len(), 1, "{rows:?}");
        let row = rows[0];
        assert_eq!(
            (row.signals, row.value),
            (6, MoneyMicros(34_400_000)),
            "money is the shop's"
        );
        assert_eq!(
            (row.touches, row.matched_by),
            (1, 2),
            "the download before it, and its line's code"
        );
        assert_eq!(first.get_or_insert_with(|| row.clone()), row);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_takes_it_away_and_a_refund_makes_it_less() {
    let doors = Doors::open().await;
    doors.table("/v1/events", &table(&FACTS)).await;
    buy(&doors, 0).await;
    let refund = r#"{"id":1,"order_id":5632340000001,"created_at":"2026-11-14T18:00:00Z","refund_line_items":[{"subtotal":"10.00","subtotal_set":{"shop_money":{"currency_code":"USD"}}}],"transactions":[]}"#;
    // Told twice under one id, it is given back once.
    for _ in 0..2 {
        assert_eq!(
            doors.webhook("refunds/create", "w3", refund).await.status,
            200
        );
    }
    let partly = replayed(&doors).await;
    let row = conversions(&partly)[0];
    assert_eq!(
        (row.value, row.refunded),
        (MoneyMicros(24_400_000), MoneyMicros(10_000_000))
    );
    let cancel = r##"{"id":5632340000001,"name":"#1041","created_at":"2026-11-10T16:12:44Z","cancelled_at":"2026-11-14T19:00:00Z","currency":"USD"}"##;
    assert_eq!(
        doors.webhook("orders/cancelled", "w4", cancel).await.status,
        200
    );
    assert!(conversions(&replayed(&doors).await).is_empty());
}
