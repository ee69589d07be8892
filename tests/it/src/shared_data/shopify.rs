//! Signed webhook deliveries through their door; the ledger is what is left of each order.

use std::collections::BTreeMap;
use std::path::Path;

use hostread_gateway::GatewayConfig;
use hostread_schemas::NameKind;
use hostread_schemas::unit::MoneyMicros;
use serde_json::{Value, json};

use super::world::{Rows, World};
use super::{folder, json, list, skipped, text, word};

async fn shop(dir: &Path) -> World {
    let secret = json(dir, "shopify/deliveries.json");
    let mut world = World::with(GatewayConfig::default(), word(&secret["secret"])).await;
    world.say(json!({"type": "store", "id": "s", "store": "northwind", "brand": "coffee"}));
    for code in ["DEEPDIVE20", "SAVE5"] {
        world.line(code, "coffee", "baked_in", "bytes");
        world.say(
            json!({"type": "code", "id": code, "store": "northwind", "code": code, "line": code}),
        );
    }
    world.send().await;
    world
}

async fn deliver(world: &World, dir: &Path, delivery: &Value) {
    let body = text(dir, &format!("shopify/{}", word(&delivery["file"])));
    let headers = &delivery["headers"];
    let (id, signature) = (
        word(&headers["X-Shopify-Webhook-Id"]),
        word(&headers["X-Shopify-Hmac-Sha256"]),
    );
    let topic = word(&delivery["topic"]);
    let changed = body.replacen('1', "2", 1);
    world
        .doors
        .delivery(topic, id, changed, signature)
        .await
        .problem(401, "signature_wrong");
    let answer = world.doors.delivery(topic, id, body, signature).await;
    assert_eq!(answer.status, 200);
}

/// (value, code) of each conversion.
fn bought(rows: &Rows) -> BTreeMap<i64, Option<String>> {
    let of = rows.conversions().into_iter().map(|row| {
        let code = row
            .code
            .is_some()
            .then(|| rows.name(NameKind::Code, row.code.0));
        (row.value.0, code)
    });
    of.collect()
}

fn money(order: &Value, field: &str) -> i64 {
    MoneyMicros::from_decimal(word(&order[field])).unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_each_order_is_what_the_ledger_says() {
    let Some(dir) = folder() else {
        return;
    };
    let all = json(&dir, "shopify/deliveries.json");
    let orders = list(&all["ledger"]["orders"]);
    // Folded to upper case there, to lower case here.
    let code = |order: &Value| order["code_normalised"].as_str().map(str::to_lowercase);
    // Placed and paid alone: two deliveries of an order are one order, with its product subtotal and its code.
    let mut world = shop(&dir).await;
    let (placed, taken): (Vec<&Value>, Vec<&Value>) = list(&all["deliveries"])
        .iter()
        .partition(|delivery| matches!(word(&delivery["topic"]), "orders/create" | "orders/paid"));
    for delivery in &placed {
        deliver(&world, &dir, delivery).await;
    }
    let expected: BTreeMap<i64, Option<String>> = orders
        .iter()
        .map(|order| (money(order, "product_subtotal"), code(order)))
        .collect();
    assert_eq!(bought(&world.rows().await), expected);
    // Then refunds and the cancel, and everything once more.
    for delivery in taken.iter().chain(&placed).chain(&taken) {
        deliver(&world, &dir, delivery).await;
    }
    let left: BTreeMap<i64, Option<String>> = orders
        .iter()
        .map(|order| (money(order, "product_net"), code(order)))
        .filter(|(net, _)| *net > 0)
        .collect();
    assert_eq!(bought(&world.rows().await), left);
    assert!(world.doors.letters().is_empty());
    // The same in another order: what is taken back may come first.
    let mut world = shop(&dir).await;
    for delivery in taken.iter().rev().chain(placed.iter().rev()) {
        deliver(&world, &dir, delivery).await;
    }
    assert_eq!(bought(&world.rows().await), left);
    let totals = "the value of an order is its product subtotal; totals with tax and shipping are an option of a later issue";
    skipped(
        "shopify ledger",
        &["paid", "refunded", "net"].map(|field| (field.to_owned(), totals)),
    );
}
