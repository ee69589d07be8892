//! Events as the journal keeps them and the dataflow reads them: interned, small, ordered.
//!
//! A fact has a retention class ([`FactBody::class`]), which says when it is released. `Carry`
//! facts are written by a release: they stand for what was released (DESIGN 4).

use serde::{Deserialize, Serialize};

use crate::event::{
    AdKind, ControllingSource, ImpressionKind, IpClass, Method, Model, OtherAgent, PriceKind,
    SourceKind,
};
use crate::id::{
    AgentId, BrandId, CampaignId, CodeId, ConversionId, CustomerId, EnclosureId, EpisodeId,
    EventId, HouseholdId, LineId, ListenerId, NetId, RuleSetId, ShowId, SlotId, StoreId, TenantId,
};
use crate::unit::{Currency, Day, EventTimeMs, Hour, MoneyMicros};

/// One live event.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Fact {
    /// Whose.
    pub tenant: TenantId,
    /// When it happened.
    pub time: EventTimeMs,
    /// Which event.
    pub id: EventId,
    /// What happened.
    pub body: FactBody,
}

/// See [`crate::event::Request`].
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
pub struct RequestFact {
    /// Audio address.
    pub enclosure: EnclosureId,
    /// IP* + agent + session.
    pub listener: ListenerId,
    /// IP*.
    pub household: HouseholdId,
    /// /24 or /48.
    pub net: NetId,
    /// Agent; none = no user agent.
    pub agent: AgentId,
    /// Referrer host; 0 = none.
    pub referrer: u64,
    /// First byte sent.
    pub sent_first: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Total length of the version served; 0 = not said.
    pub total_bytes: u64,
    /// HTTP status.
    pub status: u16,
    /// Method.
    pub method: Method,
    /// Class of the address at ingest.
    pub ip_class: IpClass,
    /// What saw it.
    pub source_kind: SourceKind,
    /// The range asked for is exactly bytes 0-1.
    pub range_0_1: bool,
}

/// See [`crate::event::Impression`].
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
#[expect(missing_docs, reason = "fields are those of the event")]
pub struct ImpressionFact {
    pub line: LineId,
    pub show: ShowId,
    pub episode: EpisodeId,
    pub listener: ListenerId,
    pub household: HouseholdId,
    pub net: NetId,
    pub agent: AgentId,
    pub ip_class: IpClass,
    pub kind: ImpressionKind,
}

/// A report of a conversion by any signal, or a page view. `order` is the normalised reference
/// (trimmed, leading `#` off) as an id; see [`SignalFact::order_id`].
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
pub struct SignalFact {
    /// Store.
    pub store: StoreId,
    /// What reported it.
    pub kind: SignalKind,
    /// Reference for people (number, name), 0 = none; interned as a conversion name.
    pub order_name: ConversionId,
    /// The shop's own id, 0 = none.
    pub order_id: ConversionId,
    /// Household of the buyer; none without consent or address.
    pub household: HouseholdId,
    /// Class of the buyer's address.
    pub ip_class: IpClass,
    /// First code on it; further codes do not count.
    pub code: CodeId,
    /// Value; for a refund what is given back.
    pub value: MoneyMicros,
    /// The signal states a value.
    pub has_value: bool,
    /// Its currency.
    pub currency: Currency,
    /// When the order was placed, where the event's own time is another.
    pub placed_at: Option<EventTimeMs>,
    /// A test order.
    pub test: bool,
    /// Who bought, for the store; 0 = not known. The last: older facts end before it.
    pub customer: CustomerId,
}

/// What reported a conversion; the order is the precedence of money, strongest first.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
pub enum SignalKind {
    /// An order webhook or import: authenticated money.
    Order,
    /// A refund of an order.
    Refund,
    /// A cancelled order.
    Cancel,
    /// A redemption of a code.
    #[default]
    Redemption,
    /// A purchase seen by the pixel.
    PixelPurchase,
    /// A lead seen by the pixel.
    PixelLead,
    /// A page seen by the pixel: not a conversion.
    PixelVisit,
    /// Something put into a cart, seen by the pixel: not a conversion.
    PixelCart,
}

impl SignalKind {
    /// Was somebody there, without a conversion?
    #[must_use]
    pub const fn is_visit(self) -> bool {
        matches!(self, Self::PixelVisit | Self::PixelCart)
    }
}

/// See [`crate::event::Episode`].
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "fields are those of the event; 0 = not known")]
pub struct EpisodeFact {
    pub show: ShowId,
    pub episode: EpisodeId,
    pub enclosures: Vec<EnclosureId>,
    pub published_at: Option<EventTimeMs>,
    pub size_bytes: u64,
    pub header_bytes: u64,
    pub bit_rate: u32,
    pub duration_secs: u32,
    pub vbr: bool,
}

/// See [`crate::event::Slot`].
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
#[expect(missing_docs, reason = "fields are those of the event")]
pub struct SlotFact {
    pub slot: SlotId,
    pub show: ShowId,
    pub episode: EpisodeId,
    pub line: LineId,
    pub first_byte: u64,
    pub last_byte: u64,
    pub removed: bool,
}

/// See [`crate::event::LineItem`].
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct LineFact {
    /// Line item.
    pub line: LineId,
    /// Campaign.
    pub campaign: CampaignId,
    /// Baked in or inserted.
    pub kind: AdKind,
    /// Whose report counts.
    pub controlling: ControllingSource,
    /// Ads sold.
    pub goal: u64,
    /// First day of the flight, a civil day in `zone`.
    pub start: Day,
    /// Last day of the flight (inclusive), a civil day in `zone`.
    pub end: Day,
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

/// See [`crate::event::RuleSet`].
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "fields are those of the event")]
pub struct RuleSetFact {
    pub rule_set: RuleSetId,
    pub threshold_secs: u32,
    pub bot_agents: Vec<String>,
    pub nonhuman_nets: Vec<NetId>,
    pub referrers_denied: Vec<u64>,
    pub prefix_drops_range_0_1: bool,
    pub ip_volume_downloads_max: u32,
    pub included: Vec<IncludedFact>,
    pub other_agents: Vec<OtherAgent>,
}

/// See [`crate::event::Included`].
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "fields are those of the event")]
pub struct IncludedFact {
    pub from: Day,
    pub expires: Day,
    pub nets: Vec<NetId>,
    pub addresses: Vec<HouseholdId>,
}

/// One touch on a conversion's path; also what a receipt keeps of it.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
pub struct PathTouch {
    /// When.
    pub time: EventTimeMs,
    /// Identity: the event it came from, or a hash of (download, line).
    pub touch: EventId,
    /// Line item.
    pub line: LineId,
    /// Campaign.
    pub campaign: CampaignId,
    /// Show.
    pub show: ShowId,
}

/// What a release leaves behind of what it gave back.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Carry {
    /// Row of `delivery_daily`.
    Delivery {
        /// Line item.
        line: LineId,
        /// Billing day.
        day: Day,
        /// Ads delivered.
        delivered: i64,
        /// Of these in flight and before day 30.
        billable: i64,
        /// The latest hour with a delivery.
        last_hour: Hour,
    },
    /// One hour of an anomaly series.
    Series {
        /// What is counted.
        series: Series,
        /// Hour.
        hour: Hour,
        /// Count.
        count: i64,
    },
    /// The path of a conversion, frozen when its day was sealed; without the touch of its code.
    Receipt {
        /// Conversion.
        conversion: ConversionId,
        /// Its time then.
        time: EventTimeMs,
        /// Identity under which it is held: its household, or itself when it has none.
        identity: u64,
        /// Its path, oldest first.
        path: Vec<PathTouch>,
        /// Touches beyond the limit of the path.
        cut: u32,
    },
    /// Credits of a line item on a billing day under the model of its CPA price.
    Credits {
        /// Line item.
        line: LineId,
        /// Billing day.
        day: Day,
        /// Sum of credits of conversions with authenticated money.
        credits: i64,
    },
    /// A signal of an order that lives longer than the signal's own day.
    Signal {
        /// The order's last day.
        until: Day,
        /// When.
        time: EventTimeMs,
        /// Which event.
        id: EventId,
        /// The signal.
        signal: SignalFact,
    },
    /// An agent was seen behind an IP* on a day, which the 30-day limit of agents still needs.
    Presence {
        /// IP*.
        household: HouseholdId,
        /// Day.
        day: Day,
        /// Agent.
        agent: AgentId,
    },
    /// What of a listener's windows over an episode is open when a day ends, and the next day has requests for it.
    Windows {
        /// The day that ends.
        day: Day,
        /// Its IP*.
        household: HouseholdId,
        /// Whose.
        listener: ListenerId,
        /// For which episode.
        episode: EpisodeId,
        /// What is open.
        open: OpenWindows,
    },
}

/// Windows of an episode's requests that go over midnight.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
pub struct OpenWindows {
    /// End of the first-touch window, if one that makes a download is open: requests before it belong to that.
    pub first_until: Option<EventTimeMs>,
    /// The day's last filtered-in request, which the next may follow in less than 24 hours.
    pub last: EventTimeMs,
}

/// What an anomaly series counts by the hour.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Series {
    /// Downloads of a show.
    ShowDownloads(ShowId),
    /// Conversions matched to a campaign (linear credits > 0).
    CampaignConversions(CampaignId),
}

/// What happened, or what a release carries on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum FactBody {
    /// A request for audio.
    Request(RequestFact),
    /// An ad delivered.
    Impression(ImpressionFact),
    /// A report of a conversion.
    Signal(SignalFact),
    /// A show.
    Show(ShowId),
    /// An episode and its byte map.
    Episode(EpisodeFact),
    /// A place for an ad.
    Slot(SlotFact),
    /// A store and its brand.
    Store(StoreId, BrandId),
    /// A campaign and its brand.
    Campaign(CampaignId, BrandId),
    /// A line item.
    Line(LineFact),
    /// A code of a line item in a store.
    Code(StoreId, CodeId, LineId),
    /// A read went out.
    Aired {
        /// Line item.
        line: LineId,
        /// Episode.
        episode: EpisodeId,
        /// When.
        aired_at: EventTimeMs,
        /// Ads expected over 30 days.
        episode_goal: u64,
    },
    /// Counting rules.
    RuleSet(RuleSetFact),
    /// Settings.
    Settings(SettingsFact),
    /// First sight of a user agent: its text, to be classified.
    Agent(AgentId, String),
    /// What a release carries on.
    Carry(Carry),
}

/// See [`crate::event::Settings`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct SettingsFact {
    /// How far back a touch may lie.
    pub lookback_secs: i64,
    /// Half-life of time-decay.
    pub half_life_secs: i64,
    /// Agents behind one IP* in a day that are still one household.
    pub shared_agents_day_max: u32,
    /// The same for 30 days.
    pub shared_agents_month_max: u32,
}

impl Default for SettingsFact {
    fn default() -> Self {
        let event = crate::event::Settings::default();
        Self {
            lookback_secs: i64::from(event.lookback_hours) * 3600,
            half_life_secs: i64::from(event.half_life_hours) * 3600,
            shared_agents_day_max: event.shared_agents_day_max,
            shared_agents_month_max: event.shared_agents_month_max,
        }
    }
}

/// When a fact is released.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum RetentionClass {
    /// Requests and impressions: day + horizon + longest lookback + 2 days.
    Exposure,
    /// Signals and receipts: 400 days.
    Conversion,
    /// Deals, catalog, rules, settings, agents, totals carried on: never.
    Reference,
}

impl FactBody {
    /// The class that decides when it is released.
    #[must_use]
    pub const fn class(&self) -> RetentionClass {
        match self {
            Self::Request(_)
            | Self::Impression(_)
            | Self::Carry(Carry::Presence { .. } | Carry::Windows { .. }) => {
                RetentionClass::Exposure
            }
            Self::Signal(_) | Self::Carry(Carry::Receipt { .. } | Carry::Signal { .. }) => {
                RetentionClass::Conversion
            }
            _ => RetentionClass::Reference,
        }
    }

    /// Is it a cause of its own, named in the ledger by its event id (rule set, settings, catalog
    /// and deal facts), rather than by the batch it came with?
    #[must_use]
    pub const fn is_cause(&self) -> bool {
        !matches!(
            self,
            Self::Request(_)
                | Self::Impression(_)
                | Self::Signal(_)
                | Self::Agent(..)
                | Self::Carry(_)
        )
    }
}
