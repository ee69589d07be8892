//! A delivery to an order event. Pure.
//! Takes `orders/create` and `orders/paid` (placed), `orders/cancelled`, `refunds/create`. Money is the shop's own: the product
//! subtotal after discounts, without tax and shipping; of a refund, what of that subtotal is given back.

use hostread_connectors_kit::{Connector, Mapped, Origin, Raw, Rejected};
use hostread_schemas::event::{Body, Event, Order, OrderKind};
use hostread_schemas::json::CODES_MAX;
use hostread_schemas::unit::{Currency, EventTimeMs, MoneyMicros};
use serde::Deserialize;
use serde_json::Value;

/// Header that says what a delivery is about.
pub const TOPIC_HEADER: &str = "x-shopify-topic";
/// Header that is the same for every repeat of a delivery.
pub const WEBHOOK_ID_HEADER: &str = "x-shopify-webhook-id";

/// Maps the deliveries of one store.
#[derive(Clone, Debug)]
pub struct Shopify {
    /// The store that the orders belong to.
    pub store: String,
}

impl Connector for Shopify {
    fn name(&self) -> &'static str {
        "shopify"
    }

    fn map(&self, origin: &Origin<'_>, raw: &Raw<'_>) -> Mapped {
        let topic = raw.field(TOPIC_HEADER).unwrap_or_default();
        let stated = match topic {
            "orders/create" | "orders/paid" => placed(origin, raw.body),
            "orders/cancelled" => cancelled(raw.body),
            "refunds/create" => refunded(raw.body),
            _ => Err(Rejected::field(
                "topic",
                TOPIC_HEADER,
                "is not a topic that is used",
            )),
        };
        stated
            .map(|stated| self.event(origin, raw, topic, stated))
            .into()
    }
}

struct Stated {
    time: EventTimeMs,
    order: Order,
}

impl Shopify {
    fn event(&self, origin: &Origin<'_>, raw: &Raw<'_>, topic: &str, stated: Stated) -> Event {
        let own_id = match raw.field(WEBHOOK_ID_HEADER).filter(|id| !id.is_empty()) {
            Some(id) => id.as_bytes().to_vec(),
            None => [topic.as_bytes(), b"\0", raw.body].concat(),
        };
        let order = Order {
            store: self.store.clone(),
            ..stated.order
        };
        origin.event(&own_id, stated.time, Body::Order(order))
    }
}

#[derive(Deserialize)]
struct OrderBody {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    name: Value,
    #[serde(default)]
    order_number: Value,
    #[serde(default)]
    created_at: Value,
    #[serde(default)]
    processed_at: Value,
    #[serde(default)]
    cancelled_at: Value,
    #[serde(default)]
    subtotal_price: Value,
    #[serde(default)]
    currency: Value,
    #[serde(default)]
    discount_codes: Value,
    #[serde(default)]
    browser_ip: Value,
    #[serde(default)]
    client_details: Value,
    #[serde(default)]
    customer: Value,
    #[serde(default)]
    email: Value,
    #[serde(default)]
    test: Value,
}

#[derive(Deserialize)]
struct RefundBody {
    #[serde(default)]
    order_id: Value,
    #[serde(default)]
    created_at: Value,
    #[serde(default)]
    processed_at: Value,
    #[serde(default)]
    refund_line_items: Value,
    #[serde(default)]
    transactions: Value,
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Rejected> {
    // The parser's own words may quote the body, which holds personal data.
    serde_json::from_slice(body).map_err(|error| {
        Rejected::whole(
            "json",
            format!(
                "the body is not the JSON it should be (line {}, column {})",
                error.line(),
                error.column()
            ),
        )
    })
}

fn placed(origin: &Origin<'_>, body: &[u8]) -> Result<Stated, Rejected> {
    let order: OrderBody = read(body)?;
    let created_at = time(&order.created_at, "created_at")?;
    let placed_at = match &order.processed_at {
        Value::Null => created_at,
        stated => time(stated, "processed_at")?,
    };
    let customer = order.customer.get("id").and_then(text);
    let customer = customer.or_else(|| text(&order.email));
    let ip = text(&order.browser_ip).or_else(|| text(order.client_details.get("browser_ip")?));
    Ok(Stated {
        time: created_at,
        order: Order {
            kind: OrderKind::Placed,
            placed_at: Some(placed_at),
            value: money(&order.subtotal_price, "subtotal_price")?,
            currency: currency(&order.currency, "currency")?,
            codes: codes(&order.discount_codes),
            ip: ip.and_then(|ip| origin.pseudonyms.address_text(&ip)),
            customer: customer.and_then(|customer| origin.pseudonyms.customer(&customer)),
            ..named(&order)?
        },
    })
}

fn cancelled(body: &[u8]) -> Result<Stated, Rejected> {
    let order: OrderBody = read(body)?;
    let placed_at = [
        (&order.processed_at, "processed_at"),
        (&order.created_at, "created_at"),
    ]
    .into_iter()
    .find(|(stated, _)| !stated.is_null())
    .map(|(stated, field)| time(stated, field))
    .transpose()?;
    Ok(Stated {
        time: time(&order.cancelled_at, "cancelled_at")?,
        order: Order {
            kind: OrderKind::Cancelled,
            placed_at,
            currency: currency(&order.currency, "currency")?,
            ..named(&order)?
        },
    })
}

/// Id, name and the test mark.
fn named(order: &OrderBody) -> Result<Order, Rejected> {
    let order_id = text(&order.id).ok_or_else(|| Rejected::field("missing", "id", "is needed"))?;
    Ok(Order {
        order_id: Some(order_id),
        order_name: text(&order.name).or_else(|| text(&order.order_number)),
        test: order.test.as_bool().unwrap_or(false),
        ..Order::default()
    })
}

fn refunded(body: &[u8]) -> Result<Stated, Rejected> {
    let refund: RefundBody = read(body)?;
    let order_id = text(&refund.order_id)
        .ok_or_else(|| Rejected::field("missing", "order_id", "is needed"))?;
    let no_lines = Vec::new();
    let lines = refund.refund_line_items.as_array().unwrap_or(&no_lines);
    let mut value = MoneyMicros(0);
    for line in lines {
        let subtotal = money(
            line.get("subtotal").unwrap_or(&Value::Null),
            "refund_line_items.subtotal",
        )?;
        value.0 = value
            .0
            .checked_add(subtotal.0)
            .ok_or_else(|| Rejected::field("number", "refund_line_items", "add up to too much"))?;
    }
    let transactions = refund.transactions.as_array().unwrap_or(&no_lines);
    let of_line = lines
        .iter()
        .find_map(|line| line.pointer("/subtotal_set/shop_money/currency_code"));
    let of_transaction = transactions
        .iter()
        .find_map(|transaction| transaction.get("currency"));
    let currency = match of_line.or(of_transaction) {
        Some(stated) => currency(stated, "currency")?,
        // Only shipping came back: nothing of the products, in whatever currency.
        None if value.0 == 0 => Currency::default(),
        None => return Err(Rejected::field("missing", "currency", "is needed")),
    };
    let at = match &refund.processed_at {
        Value::Null => time(&refund.created_at, "created_at")?,
        stated => time(stated, "processed_at")?,
    };
    Ok(Stated {
        time: at,
        order: Order {
            kind: OrderKind::Refunded,
            order_id: Some(order_id),
            value,
            currency,
            test: transactions
                .iter()
                .any(|transaction| transaction.get("test") == Some(&Value::Bool(true))),
            ..Order::default()
        },
    })
}

/// Text or a whole number, trimmed; nothing when it is empty or something else.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) if number.is_u64() || number.is_i64() => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

fn time(value: &Value, field: &str) -> Result<EventTimeMs, Rejected> {
    value
        .as_str()
        .and_then(EventTimeMs::from_rfc3339)
        .ok_or_else(|| Rejected::field("date", field, "is not a time"))
}

fn money(value: &Value, field: &str) -> Result<MoneyMicros, Rejected> {
    let decimal = match value {
        Value::String(text) => MoneyMicros::from_decimal(text),
        Value::Number(number) => MoneyMicros::from_decimal(&number.to_string()),
        _ => None,
    };
    match decimal {
        Some(money) if money.0 >= 0 => Ok(money),
        Some(_) => Err(Rejected::field("negative", field, "is negative")),
        None => Err(Rejected::field("number", field, "is not an amount")),
    }
}

fn currency(value: &Value, field: &str) -> Result<Currency, Rejected> {
    value
        .as_str()
        .and_then(Currency::parse)
        .ok_or_else(|| Rejected::field("word", field, "is not a currency"))
}

fn codes(value: &Value) -> Vec<String> {
    let Some(codes) = value.as_array() else {
        return Vec::new();
    };
    codes
        .iter()
        .filter_map(|code| text(code.get("code")?))
        .take(CODES_MAX)
        .collect()
}
