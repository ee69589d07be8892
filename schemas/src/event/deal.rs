//! Facts of catalog and deals: what is published, what is sold, and by which rules it is counted.
//! They are events like any other; the newest of a key holds.

use serde::{Deserialize, Serialize};

use super::Hash64;
use crate::unit::{Currency, EventTimeMs, MoneyMicros};

/// A show (`catalog.show.v1`).
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Show {
    /// GUID or slug.
    pub show: String,
    /// Title.
    pub title: String,
}

/// An episode and its byte map (`catalog.episode.v1`).
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Episode {
    /// Show.
    pub show: String,
    /// GUID as given.
    pub episode: String,
    /// Title.
    pub title: String,
    /// Its audio addresses: paths without host and query.
    pub enclosures: Vec<String>,
    /// First publication.
    pub published_at: Option<EventTimeMs>,
    /// Size of the file.
    pub size_bytes: u64,
    /// Header and ID3 bytes before the audio.
    pub header_bytes: u64,
    /// Constant bit rate in bits a second; absent = not known or VBR.
    pub bit_rate: Option<u32>,
    /// Duration.
    pub duration_secs: Option<u32>,
    /// The catalog says that the bit rate varies.
    pub vbr: bool,
}

/// How an ad comes into an episode.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum AdKind {
    /// Part of the recording.
    #[default]
    BakedIn,
    /// Inserted at download.
    Inserted,
}

/// A place in an episode that a line item fills (`catalog.slot.v1`).
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Slot {
    /// Its id.
    pub slot: String,
    /// Show.
    pub show: String,
    /// Episode.
    pub episode: String,
    /// Line item.
    pub line: String,
    /// First byte of the ad.
    pub first_byte: u64,
    /// Last byte of the ad (inclusive).
    pub last_byte: u64,
    /// The slot is withdrawn.
    pub removed: bool,
}

/// A store and the brand it belongs to (`deal.store.v1`).
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Store {
    /// Store.
    pub store: String,
    /// Brand.
    pub brand: String,
}

/// A campaign (`deal.campaign.v1`).
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Campaign {
    /// Campaign.
    pub campaign: String,
    /// Brand.
    pub brand: String,
    /// Title.
    pub title: String,
}

/// Attribution model. The order here is the order of the columns.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// All to the first touch.
    First,
    /// All to the last touch.
    #[default]
    Last,
    /// Equal shares.
    Linear,
    /// Half-life weights.
    TimeDecay,
    /// 40/20/40.
    Position,
    /// Equal over the distinct line items, then equal over a line item's touches.
    Shapley,
}

/// One amount for each model, in the order of [`Model::ALL`].
pub type ByModel = [i64; Model::ALL.len()];

impl Model {
    /// All models that credit one conversion at a time, in column order.
    pub const ALL: [Self; 6] = [
        Self::First,
        Self::Last,
        Self::Linear,
        Self::TimeDecay,
        Self::Position,
        Self::Shapley,
    ];

    /// The word for it in tables and files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Last => "last",
            Self::Linear => "linear",
            Self::TimeDecay => "time_decay",
            Self::Position => "position",
            Self::Shapley => "shapley",
        }
    }
}

/// What a line item costs.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum PriceKind {
    /// `price` per 1,000 delivered ads, up to the goal.
    #[default]
    Cpm,
    /// `price` per conversion (1,000,000 credits) under the line's model.
    Cpa,
}

/// Whose report of an ad counts; the others only reconcile.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ControllingSource {
    /// Bytes of the delivery log.
    #[default]
    Bytes,
    /// Impression reports.
    Impressions,
}

/// A line item (`deal.line_item.v1`).
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct LineItem {
    /// Line item.
    pub line: String,
    /// Campaign.
    pub campaign: String,
    /// Baked in or inserted.
    pub kind: AdKind,
    /// Whose report counts.
    pub controlling: ControllingSource,
    /// Ads sold.
    pub goal: u64,
    /// First day of the flight in the line's zone, `YYYY-MM-DD`.
    pub start: String,
    /// Last day of the flight in the line's zone (inclusive), `YYYY-MM-DD`.
    pub end: String,
    /// IANA zone of the IO.
    pub zone: String,
    /// What the price is for.
    pub price_kind: PriceKind,
    /// The price.
    pub price: MoneyMicros,
    /// Its currency.
    pub currency: Currency,
    /// Model that a CPA price names.
    pub model: Model,
}

/// A promo code of a line item (`deal.code.v1`).
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Code {
    /// Store it is valid in.
    pub store: String,
    /// The code.
    pub code: String,
    /// Line item.
    pub line: String,
}

/// Proof that a baked-in read was aired (`deal.aired.v1`). A correction moves the air date.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Aired {
    /// Line item.
    pub line: String,
    /// Episode.
    pub episode: String,
    /// When the episode with the read went out.
    pub aired_at: EventTimeMs,
    /// Ads expected from this episode over 30 days.
    pub episode_goal: u64,
}

/// A version of the counting rules (`rules.rule_set.v1`). Applies to the tenant, for all time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct RuleSet {
    /// Name and version, such as `iab-2.2+sample.1`.
    pub rule_set: String,
    /// Seconds of audio that make a download.
    pub threshold_secs: u32,
    /// Regular expressions of agents that are bots, first match wins.
    pub bot_agents: Vec<String>,
    /// Networks (/24, /48) of data centres and VPNs, as keyed hashes of the tenant.
    pub nonhuman_nets: Vec<Hash64>,
    /// Referrer hosts whose requests do not count.
    pub referrers_denied: Vec<String>,
    /// A lone request for bytes 0-1 is dropped for prefix sources too.
    pub prefix_drops_range_0_1: bool,
    /// Downloads a day from which an unlisted IP* loses the day; 0 = off.
    pub ip_volume_downloads_max: u32,
    /// The inclusion list.
    pub included: Vec<Included>,
    /// Agents that are no bots, where one of `bot_agents` is tried after them.
    pub other_agents: Vec<OtherAgent>,
}

/// A pattern of agents that are no bots although one of a bot that is tried later matches them.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherAgent {
    /// A regular expression.
    pub pattern: String,
    /// How many of `bot_agents` are tried before it.
    pub bots_before: u32,
}

/// Networks of many people that are let in on some days whatever their class, as keyed hashes of the tenant. Who let them in, and
/// why, stays in the document that the rule set names.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Included {
    /// First UTC day, such as `2026-11-01`.
    pub from: String,
    /// The UTC day from which on they are not let in any more.
    pub expires: String,
    /// Networks (/24, /48).
    #[serde(default)]
    pub nets: Vec<Hash64>,
    /// Addresses (IP*) where a network is finer.
    #[serde(default)]
    pub addresses: Vec<Hash64>,
}

impl Default for RuleSet {
    fn default() -> Self {
        Self {
            rule_set: String::new(),
            threshold_secs: 60,
            bot_agents: Vec::new(),
            nonhuman_nets: Vec::new(),
            referrers_denied: Vec::new(),
            prefix_drops_range_0_1: true,
            ip_volume_downloads_max: 0,
            included: Vec::new(),
            other_agents: Vec::new(),
        }
    }
}

/// A tenant's settings (`rules.settings.v1`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// How far back a touch may lie.
    pub lookback_hours: u32,
    /// Half-life of time-decay.
    pub half_life_hours: u32,
    /// More agents than this behind one IP* in a day make it shared on that day.
    pub shared_agents_day_max: u32,
    /// More agents than this in 30 days make it shared on each of those days.
    pub shared_agents_month_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lookback_hours: 30 * 24,
            half_life_hours: 7 * 24,
            shared_agents_day_max: 12,
            shared_agents_month_max: 40,
        }
    }
}
