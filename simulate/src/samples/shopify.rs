//! Shopify's webhook deliveries: signed bodies with the fields that matter and a few that do not.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use hostread_schemas::EventTimeMs;
use serde::Serialize;
use sha2::Sha256;

use super::{ConnectionSample, WriteError, tenant_sample};
use crate::world::TenantWorld;
use crate::world::catalog::BRANDS;
use crate::world::signals::{OrderDoc, Topic, Webhook};

/// Shop ids are counted from here; both tenants' shops have the same ones.
const ORDER_IDS_FROM: u64 = 5_632_340_000_000;
const REFUND_IDS_FROM: u64 = 912_300_000_000;

/// One delivery. The signature covers the bytes of `body`.
#[derive(Serialize)]
pub(super) struct Delivery {
    time: String,
    connection: String,
    headers: Headers,
    body: String,
}

#[derive(Serialize)]
struct Headers {
    #[serde(rename = "Content-Type")]
    content_type: &'static str,
    #[serde(rename = "X-Shopify-Topic")]
    topic: &'static str,
    #[serde(rename = "X-Shopify-Shop-Domain")]
    domain: String,
    #[serde(rename = "X-Shopify-API-Version")]
    version: &'static str,
    #[serde(rename = "X-Shopify-Webhook-Id")]
    webhook_id: String,
    #[serde(rename = "X-Shopify-Triggered-At")]
    triggered_at: String,
    #[serde(rename = "X-Shopify-Hmac-Sha256")]
    signature: String,
}

fn signature(secret: &str, body: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        // HMAC takes keys of any length.
        return String::new();
    };
    mac.update(body.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

fn money(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn time(secs: i64) -> String {
    EventTimeMs(secs * 1_000).to_rfc3339()
}

/// The shop's own clock, eight hours behind.
fn shop_time(secs: i64) -> String {
    let local = time(secs - 8 * 3_600);
    format!("{}-08:00", local.get(..19).unwrap_or(&local))
}

pub(super) fn deliveries(tenant: &TenantWorld) -> Result<Vec<Delivery>, WriteError> {
    let connections = tenant_sample(tenant.name).connections;
    let mut deliveries = Vec::new();
    for (nth, webhook) in tenant.webhooks.iter().enumerate() {
        let store = BRANDS[webhook.order.brand].store;
        let Some(connection) = connections.iter().find(|c| c.store == store) else {
            continue;
        };
        for _ in 0..if webhook.again { 2 } else { 1 } {
            deliveries.push(delivery(webhook, nth, connection)?);
        }
    }
    Ok(deliveries)
}

fn delivery(
    webhook: &Webhook,
    nth: usize,
    connection: &ConnectionSample,
) -> Result<Delivery, WriteError> {
    let doc = &webhook.order;
    let (topic, body) = match webhook.topic {
        Topic::Create => ("orders/create", text(&order(doc, "pending", None))?),
        Topic::Paid => ("orders/paid", text(&order(doc, "paid", None))?),
        Topic::Cancelled => {
            let body = order(doc, "voided", Some(webhook.secs));
            ("orders/cancelled", text(&body)?)
        }
        Topic::Refund(cents, shipping) => {
            let body = refund(webhook, nth, cents, shipping);
            ("refunds/create", text(&body)?)
        }
    };
    Ok(Delivery {
        time: time(webhook.secs),
        connection: connection.connection.clone(),
        headers: Headers {
            content_type: "application/json",
            topic,
            domain: format!("{}.myshopify.com", connection.store),
            version: "2026-01",
            webhook_id: format!("00000000-0000-4000-8000-{nth:012x}"),
            triggered_at: time(webhook.secs),
            signature: signature(&connection.secret, &body),
        },
        body,
    })
}

fn text<T: Serialize>(body: &T) -> Result<String, WriteError> {
    serde_json::to_string(body).map_err(|source| WriteError::Json {
        what: "a webhook",
        source,
    })
}

#[derive(Serialize)]
struct Order<'a> {
    id: u64,
    name: String,
    order_number: u64,
    created_at: String,
    processed_at: String,
    cancelled_at: Option<String>,
    currency: &'a str,
    subtotal_price: String,
    total_discounts: String,
    total_tax: String,
    total_price: String,
    financial_status: &'a str,
    discount_codes: Vec<DiscountCode<'a>>,
    browser_ip: &'a str,
    client_details: Client<'a>,
    email: String,
    line_items: [Item; 1],
    shipping_lines: [Shipping; 1],
    taxes_included: bool,
    test: bool,
}

#[derive(Serialize)]
struct DiscountCode<'a> {
    code: &'a str,
    amount: String,
    r#type: &'a str,
}

#[derive(Serialize)]
struct Client<'a> {
    browser_ip: &'a str,
    user_agent: &'a str,
}

#[derive(Serialize)]
struct Item {
    id: u64,
    title: &'static str,
    quantity: u32,
    price: String,
}

#[derive(Serialize)]
struct Shipping {
    price: String,
}

#[derive(Serialize)]
struct Refund<'a> {
    id: u64,
    order_id: u64,
    created_at: String,
    processed_at: String,
    note: &'a str,
    refund_line_items: [RefundItem<'a>; 1],
    order_adjustments: Vec<Adjustment>,
    transactions: [Transaction<'a>; 1],
}

#[derive(Serialize)]
struct RefundItem<'a> {
    line_item_id: u64,
    quantity: u32,
    subtotal: String,
    subtotal_set: MoneySet<'a>,
    total_tax: &'a str,
}

#[derive(Serialize)]
struct MoneySet<'a> {
    shop_money: Amount<'a>,
}

#[derive(Serialize)]
struct Amount<'a> {
    amount: String,
    currency_code: &'a str,
}

#[derive(Serialize)]
struct Adjustment {
    kind: &'static str,
    amount: String,
}

#[derive(Serialize)]
struct Transaction<'a> {
    kind: &'a str,
    status: &'a str,
    amount: String,
    currency: &'a str,
    test: bool,
}

const fn order_id(order: &OrderDoc) -> u64 {
    ORDER_IDS_FROM + order.number
}

fn order<'a>(order: &'a OrderDoc, status: &'a str, cancelled: Option<i64>) -> Order<'a> {
    let code = |code: &'a String| DiscountCode {
        code,
        amount: money(order.discount_cents),
        r#type: "percentage",
    };
    let number = order.number;
    Order {
        id: order_id(order),
        name: format!("#{number}"),
        order_number: number,
        created_at: shop_time(order.secs),
        processed_at: shop_time(order.secs),
        cancelled_at: cancelled.map(shop_time),
        currency: BRANDS[order.brand].currency,
        subtotal_price: money(order.subtotal_cents),
        total_discounts: money(order.discount_cents),
        total_tax: money(order.tax_cents),
        total_price: money(order.subtotal_cents + order.shipping_cents + order.tax_cents),
        financial_status: status,
        discount_codes: order.code.iter().map(code).collect(),
        browser_ip: &order.ip,
        client_details: Client {
            browser_ip: &order.ip,
            user_agent: order.agent,
        },
        // Eight sales in a row are to one person, as far as they are of one shop.
        email: format!("buyer{}@example.com", number / 8),
        line_items: [Item {
            id: order_id(order) * 10,
            title: "Sampler box",
            quantity: 1,
            price: money(order.subtotal_cents + order.discount_cents),
        }],
        shipping_lines: [Shipping {
            price: money(order.shipping_cents),
        }],
        taxes_included: false,
        test: order.test,
    }
}

fn refund(webhook: &Webhook, nth: usize, cents: i64, shipping_cents: i64) -> Refund<'_> {
    let currency = BRANDS[webhook.order.brand].currency;
    let shipping = (shipping_cents > 0).then(|| Adjustment {
        kind: "shipping_refund",
        amount: format!("-{}", money(shipping_cents)),
    });
    Refund {
        id: REFUND_IDS_FROM + nth as u64,
        order_id: order_id(&webhook.order),
        created_at: shop_time(webhook.secs),
        processed_at: shop_time(webhook.secs),
        note: "sample",
        refund_line_items: [RefundItem {
            line_item_id: order_id(&webhook.order) * 10,
            quantity: 1,
            subtotal: money(cents),
            subtotal_set: MoneySet {
                shop_money: Amount {
                    amount: money(cents),
                    currency_code: currency,
                },
            },
            total_tax: "0.00",
        }],
        order_adjustments: shipping.into_iter().collect(),
        transactions: [Transaction {
            kind: "refund",
            status: "success",
            amount: money(cents + shipping_cents),
            currency,
            test: false,
        }],
    }
}
