//! What happened, as it travels in the log. Names are the sources' own text; personal data has
//! left its connector only as keyed hashes and coarse facts (DESIGN 3).
//!
//! Every struct here has an Avro file in `schemas/avro` and one topic; [`Event`] is also its JSON
//! form (`{"type":"request", "id":…, "tenant":…, …}`), one object a line in NDJSON.
//! Facts are never edited: a correction is the same id with a higher `revision`.

mod deal;

use serde::{Deserialize, Serialize};

pub use deal::{
    AdKind, Aired, ByModel, Campaign, Code, ControllingSource, Episode, Included, LineItem, Model,
    OtherAgent, PriceKind, RuleSet, Settings, Show, Slot, Store,
};

use crate::id::EventId;
use crate::unit::{Currency, EventTimeMs, MoneyMicros, ReceivedAtMs};

/// What every event has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Meta {
    /// Identity; a repeated delivery has the same.
    pub id: EventId,
    /// The tenant's name.
    pub tenant: String,
    /// The source's name within the tenant (a log feed, a shop connection, a pixel).
    pub source: String,
    /// When it happened, by the source's clock.
    pub time: EventTimeMs,
    /// When the door got it. Not a fact: it changes nothing.
    pub received_at: ReceivedAtMs,
    /// The file, delivery or request that it came with; named as the cause of restatements.
    pub batch_id: String,
    /// 0 for the first statement; the highest revision of an id wins.
    #[serde(default)]
    pub revision: u32,
}

/// Class of an IP address, fixed at ingest. Precedence is the order here, first wins.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum IpClass {
    /// On an inclusion list (campus, office).
    Included,
    /// A privacy relay; not a VPN.
    Relay,
    /// Data centre.
    DataCentre,
    /// VPN exit.
    Vpn,
    /// Mobile network.
    Cellular,
    /// Office.
    Office,
    /// Residential; also every address that no list names.
    #[default]
    Residential,
}

/// What is kept of an IP address: keyed hashes under the tenant's key, and coarse facts.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IpFacts {
    /// HMAC of IP* (IPv4 whole, IPv6 first 64 bits, mapped IPv4 = the IPv4), 16 hex digits.
    pub star: Hash64,
    /// HMAC of the /24 or /48, 16 hex digits.
    pub net: Hash64,
    /// Its class when it was received.
    #[serde(default)]
    pub class: IpClass,
    /// Autonomous system, 0 = not known.
    #[serde(default)]
    pub asn: u32,
    /// ISO 3166 country, empty = not known.
    #[serde(default)]
    pub country: String,
    /// Date of the oldest list or database that these rest on, empty = of none.
    #[serde(default)]
    pub dated: String,
}

/// A keyed 64-bit hash; JSON: 16 hexadecimal digits as text; Avro: its bits as a long.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Hash64(pub u64);

impl Serialize for Hash64 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&format!("{:016x}", self.0))
        } else {
            serializer.serialize_i64(self.0 as i64)
        }
    }
}

impl<'de> Deserialize<'de> for Hash64 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
            let digits = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
            u64::from_str_radix(&text, 16)
                .ok()
                .filter(|_| digits)
                .map(Self)
                .ok_or_else(|| serde::de::Error::custom("a keyed hash has 16 hexadecimal digits"))
        } else {
            i64::deserialize(deserializer).map(|v| Self(v as u64))
        }
    }
}

/// HTTP method of a request for audio.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The only one that can count.
    #[default]
    Get,
    /// Asks for headers only.
    Head,
    /// Any other.
    Other,
}

/// What kind of source saw the request.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// Delivery log of a CDN or host: bytes are known.
    #[default]
    Cdn,
    /// Redirect prefix: requests only.
    Prefix,
}

/// One HTTP request for an enclosure (`delivery.request.v1`).
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Request {
    /// Path of the audio address without scheme, host and query, percent-decoded once.
    pub enclosure: String,
    /// Method.
    pub method: Method,
    /// HTTP status; 0 (cut short at the CDN) is written as 206.
    pub status: u16,
    /// First byte asked for by an explicit range.
    pub range_first: Option<u64>,
    /// Last byte asked for (inclusive), absent = open.
    pub range_last: Option<u64>,
    /// First byte of the body really sent.
    pub sent_first: u64,
    /// Bytes of the body really sent, 0 = none or not known.
    pub sent_bytes: u64,
    /// Total length of the served version where the source says it; marks a stitched version.
    pub total_bytes: Option<u64>,
    /// The client's address.
    pub ip: IpFacts,
    /// User agent as sent, decoded; empty = none.
    pub agent: String,
    /// Session id where the source has one.
    pub session: Option<String>,
    /// Host of the Referer.
    pub referrer: Option<String>,
    /// What saw it.
    pub source_kind: SourceKind,
}

/// A [`Request`] whose texts stand elsewhere, such as in a line of a log, and of whose client nothing is said.
#[derive(Clone, Copy, Default, Debug)]
#[expect(missing_docs, reason = "fields are those of the event")]
pub struct RequestText<'a> {
    pub enclosure: &'a str,
    pub method: Method,
    pub status: u16,
    pub range_first: Option<u64>,
    pub range_last: Option<u64>,
    pub sent_first: u64,
    pub sent_bytes: u64,
    pub total_bytes: Option<u64>,
    pub agent: &'a str,
    pub session: Option<&'a str>,
    pub referrer: Option<&'a str>,
    pub source_kind: SourceKind,
}

impl RequestText<'_> {
    /// With texts of its own, and what is kept of the client's address.
    #[must_use]
    pub fn of_client(self, ip: IpFacts) -> Request {
        Request {
            enclosure: self.enclosure.to_owned(),
            method: self.method,
            status: self.status,
            range_first: self.range_first,
            range_last: self.range_last,
            sent_first: self.sent_first,
            sent_bytes: self.sent_bytes,
            total_bytes: self.total_bytes,
            ip,
            agent: self.agent.to_owned(),
            session: self.session.map(str::to_owned),
            referrer: self.referrer.map(str::to_owned),
            source_kind: self.source_kind,
        }
    }
}

impl Request {
    /// All of it but the client's address.
    #[must_use]
    pub fn text(&self) -> RequestText<'_> {
        RequestText {
            enclosure: &self.enclosure,
            method: self.method,
            status: self.status,
            range_first: self.range_first,
            range_last: self.range_last,
            sent_first: self.sent_first,
            sent_bytes: self.sent_bytes,
            total_bytes: self.total_bytes,
            agent: &self.agent,
            session: self.session.as_deref(),
            referrer: self.referrer.as_deref(),
            source_kind: self.source_kind,
        }
    }
}

/// What an impression report says.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ImpressionKind {
    /// The ad was delivered inside a download.
    #[default]
    Delivered,
    /// The player says that it was played: a separate metric, never added.
    ClientConfirmed,
    /// The ad was withheld, by a draw, where it would have been delivered: the other side of a randomised test.
    ControlExposure,
}

/// One report of an ad delivered (`delivery.impression.v1`).
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Impression {
    /// Line item.
    pub line: String,
    /// Show.
    pub show: String,
    /// Episode GUID as given.
    pub episode: String,
    /// What is said.
    pub kind: ImpressionKind,
    /// The listener's address.
    pub ip: IpFacts,
    /// The listener's user agent.
    pub agent: String,
    /// Session id where the source has one.
    pub session: Option<String>,
}

/// What a pixel saw.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum PixelKind {
    /// A page was seen.
    #[default]
    Page,
    /// Something was put into a cart.
    Cart,
    /// A lead was left: a conversion.
    Lead,
    /// Something was bought: a conversion.
    Purchase,
}

/// One pixel hit on a brand's site (`site.pixel.v1`).
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Pixel {
    /// Store.
    pub store: String,
    /// What was seen.
    pub kind: PixelKind,
    /// Order number, name (`#1041`) or id, when there is one.
    pub order: Option<String>,
    /// Value of the purchase.
    pub value: Option<MoneyMicros>,
    /// Its currency.
    pub currency: Option<Currency>,
    /// Promo code in use.
    pub code: Option<String>,
    /// The visitor's address; absent when consent is missing where it is needed.
    pub ip: Option<IpFacts>,
    /// The visitor's user agent.
    pub agent: String,
}

/// What became of an order.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// Placed or paid; several deliveries are one order.
    #[default]
    Placed,
    /// Cancelled: no conversion.
    Cancelled,
    /// A refund of a part or all.
    Refunded,
}

/// One statement of a shop about an order (`shop.order.v1`).
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Order {
    /// Store.
    pub store: String,
    /// What happened.
    pub kind: OrderKind,
    /// The shop's own id of the order.
    pub order_id: Option<String>,
    /// Its number or name for people (`#1041` and `1041` are the same).
    pub order_name: Option<String>,
    /// When the order was placed, where the event's own time is another (refund, cancel).
    pub placed_at: Option<EventTimeMs>,
    /// Placed: product subtotal after discounts, without tax and shipping. Refunded: what of that
    /// subtotal is given back (positive).
    pub value: MoneyMicros,
    /// The shop's currency.
    pub currency: Currency,
    /// Promo codes in the order's own order.
    pub codes: Vec<String>,
    /// The buyer's address.
    pub ip: Option<IpFacts>,
    /// A test order: never a conversion.
    pub test: bool,
    /// Who bought, for the store: keyed hash of its own id of the customer, or of an e-mail address.
    pub customer: Option<Hash64>,
}

/// One redemption of a promo code (`shop.redemption.v1`).
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Redemption {
    /// Store.
    pub store: String,
    /// The code as typed.
    pub code: String,
    /// Order number, name or id, when known.
    pub order: Option<String>,
    /// Value of the order, when known.
    pub value: Option<MoneyMicros>,
    /// Its currency.
    pub currency: Option<Currency>,
    /// The buyer's address.
    pub ip: Option<IpFacts>,
}

/// One body of each type; the tag is the event's `type` in JSON.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(missing_docs, reason = "each variant is the struct of the same name")]
pub enum Body {
    Request(Request),
    Impression(Impression),
    Pixel(Pixel),
    Order(Order),
    Redemption(Redemption),
    Show(Show),
    Episode(Episode),
    Slot(Slot),
    Store(Store),
    Campaign(Campaign),
    LineItem(LineItem),
    Code(Code),
    Aired(Aired),
    RuleSet(RuleSet),
    Settings(Settings),
}

/// Type of an event: one topic and one Avro schema each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each variant is the struct of the same name")]
pub enum EventType {
    Request,
    Impression,
    Pixel,
    Order,
    Redemption,
    Show,
    Episode,
    Slot,
    Store,
    Campaign,
    LineItem,
    Code,
    Aired,
    RuleSet,
    Settings,
}

impl EventType {
    /// Every type, in the order of the wire numbering.
    pub const ALL: [Self; 15] = [
        Self::Request,
        Self::Impression,
        Self::Pixel,
        Self::Order,
        Self::Redemption,
        Self::Show,
        Self::Episode,
        Self::Slot,
        Self::Store,
        Self::Campaign,
        Self::LineItem,
        Self::Code,
        Self::Aired,
        Self::RuleSet,
        Self::Settings,
    ];

    /// The topic, `<domain>.<name>.v<major>`.
    #[must_use]
    pub const fn topic(self) -> &'static str {
        match self {
            Self::Request => "delivery.request.v1",
            Self::Impression => "delivery.impression.v1",
            Self::Pixel => "site.pixel.v1",
            Self::Order => "shop.order.v1",
            Self::Redemption => "shop.redemption.v1",
            Self::Show => "catalog.show.v1",
            Self::Episode => "catalog.episode.v1",
            Self::Slot => "catalog.slot.v1",
            Self::Store => "deal.store.v1",
            Self::Campaign => "deal.campaign.v1",
            Self::LineItem => "deal.line_item.v1",
            Self::Code => "deal.code.v1",
            Self::Aired => "deal.aired.v1",
            Self::RuleSet => "rules.rule_set.v1",
            Self::Settings => "rules.settings.v1",
        }
    }
}

impl Body {
    /// Its type.
    #[must_use]
    pub const fn event_type(&self) -> EventType {
        match self {
            Self::Request(_) => EventType::Request,
            Self::Impression(_) => EventType::Impression,
            Self::Pixel(_) => EventType::Pixel,
            Self::Order(_) => EventType::Order,
            Self::Redemption(_) => EventType::Redemption,
            Self::Show(_) => EventType::Show,
            Self::Episode(_) => EventType::Episode,
            Self::Slot(_) => EventType::Slot,
            Self::Store(_) => EventType::Store,
            Self::Campaign(_) => EventType::Campaign,
            Self::LineItem(_) => EventType::LineItem,
            Self::Code(_) => EventType::Code,
            Self::Aired(_) => EventType::Aired,
            Self::RuleSet(_) => EventType::RuleSet,
            Self::Settings(_) => EventType::Settings,
        }
    }
}

/// One event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Who, when, from where.
    #[serde(flatten)]
    pub meta: Meta,
    /// What.
    #[serde(flatten)]
    pub body: Body,
}
