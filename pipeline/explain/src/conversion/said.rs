//! What is said of a conversion.

use hostread_schemas::EventId;
use serde::Serialize;
use serde_json::Value;

/// A report of the conversion, and what it gives to it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SignalSaid {
    /// Event.
    pub event: EventId,
    /// When it came, by its source's clock.
    pub time: String,
    /// What reported it.
    pub kind: &'static str,
    /// The order, by its name for people.
    pub order_name: String,
    /// The order, by the shop's own id.
    pub order_id: String,
    /// What it states, or gives back.
    pub value_micros: Option<i64>,
    /// Currency of that.
    pub currency: String,
    /// Its first code.
    pub code: String,
    /// Class of the buyer's address; empty: no household.
    pub address: &'static str,
    /// A test order.
    pub test: bool,
    /// Its own day is released; what it says was carried on.
    pub carried: bool,
    /// What of the conversion it decides.
    pub gives: Vec<&'static str>,
}

/// How many agents are behind the household, and how many may be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Sharing {
    /// Agents on the conversion's day.
    pub agents_day: usize,
    /// Most that are still one household.
    pub agents_day_max: u32,
    /// Most agents of a span of 30 days with the conversion's day.
    pub agents_month: usize,
    /// Most that are still one household.
    pub agents_month_max: u32,
    /// Is the household shared on the conversion's day?
    pub shared: bool,
}

/// A touch of the path and what it earns under every model.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PathStep {
    /// Identity.
    pub touch: EventId,
    /// When.
    pub time: String,
    /// Seconds before the conversion.
    pub age_secs: i64,
    /// Line item.
    pub line: String,
    /// Campaign.
    pub campaign: String,
    /// Show; empty: the touch is the code's.
    pub show: String,
    /// `code`, or the download or impression that it came from; `frozen` where that is released.
    pub from: String,
    /// Integer weights by model.
    pub weights: Value,
    /// Credits by model, in millionths.
    pub credit_micros: Value,
    /// Money by model.
    pub money_micros: Value,
}

/// A delivery of the household that earns nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LeftOut {
    /// Identity.
    pub touch: EventId,
    /// When.
    pub time: String,
    /// Line item.
    pub line: String,
    /// Why.
    pub because: &'static str,
}

/// A row of `credits`.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Credits {
    /// Line item.
    pub line: String,
    /// Campaign.
    pub campaign: String,
    /// Touches of the path.
    pub touches: u32,
    /// Credits by model.
    pub credit_micros: Value,
    /// Money by model.
    pub money_micros: Value,
}

/// Why a conversion is credited as it is.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Conversion {
    /// The order, by its name for people; empty: it has none.
    pub order_reference: String,
    /// Store.
    pub store: String,
    /// The event that says whose brand the store is.
    pub store_event: Option<EventId>,
    /// The store's brand.
    pub brand: String,
    /// When.
    pub time: String,
    /// The signals it is made of, in order.
    pub signals: Vec<SignalSaid>,
    /// Why the signals are no conversion; none: they are one.
    pub none_because: Option<&'static str>,
    /// What is stated, before refunds.
    pub stated_micros: i64,
    /// What was given back.
    pub refunded_micros: i64,
    /// What is left.
    pub value_micros: i64,
    /// Currency.
    pub currency: String,
    /// How it was matched: `none`, `household`, `code`.
    pub matched_by: &'static str,
    /// Why so.
    pub match_because: String,
    /// IP* that it is matched by; empty: none.
    pub household: String,
    /// Agents behind it.
    pub sharing: Option<Sharing>,
    /// The event that set lookback, half-life and limits; none: the defaults hold.
    pub settings_event: Option<EventId>,
    /// A touch may be so old.
    pub lookback_secs: i64,
    /// Half-life of time-decay.
    pub half_life_secs: i64,
    /// The path was frozen when its day was sealed: what it came from is released.
    pub frozen: bool,
    /// The path, oldest first.
    pub path: Vec<PathStep>,
    /// Touches beyond the limit of a path.
    pub touches_cut: u32,
    /// Deliveries of the brand to the household that are not on the path, nearest first.
    pub left_out: Vec<LeftOut>,
    /// How many of them are not listed.
    pub left_out_more: usize,
    /// Deliveries of other brands to the household in the days that were read.
    pub other_brands: usize,
    /// What each line earns.
    pub credits: Vec<Credits>,
}
