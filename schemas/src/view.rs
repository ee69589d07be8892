//! Rows of the maintained views. Integers only; names are looked up when a sink writes.
//!
//! Every view has a key, a value and a class: `Daily` (the key has a day that is sealed one day),
//! `Running` (additive, or one row per item) or `AppendOnly`. A row of a view is unique by key.

use serde::{Deserialize, Serialize};

use crate::event::{AdKind, ByModel, IpClass, Method, Model, PriceKind, SourceKind};
use crate::fact::{Series, SignalKind};
use crate::id::{
    BrandId, CampaignId, CodeId, ConversionId, EnclosureId, EpisodeId, EventId, HouseholdId,
    LineId, ListenerId, NetId, PatternId, ShowId, StoreId, TenantId,
};
use crate::unit::{Currency, Day, EventTimeMs, Hour, MoneyMicros, Tick};

/// How long the rows of a view may change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ViewClass {
    /// The key holds a day; a sealed day's rows do not move.
    Daily,
    /// Additive totals or one row an item; moves as long as its item lives.
    Running,
    /// Written once.
    AppendOnly,
}

macro_rules! held {
    ($value:ident) => { $value };
    ($value:ident boxed) => { Box<$value> };
}
macro_rules! views {
    ($($(#[$doc:meta])* $view:ident = $name:literal, $class:ident, $key:ident => $value:ident $($boxed:ident)?;)+) => {
        /// The maintained views.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum View { $($(#[$doc])* $view,)+ }

        impl View {
            /// Every view.
            pub const ALL: &[Self] = &[$(Self::$view,)+];
            /// Its table.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $(Self::$view => $name,)+ } }
            /// Its class.
            #[must_use]
            pub const fn class(self) -> ViewClass { match self { $(Self::$view => ViewClass::$class,)+ } }
        }

        /// Key of a row.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "each variant is the view of the same name")]
        pub enum ViewKey { $($view($key),)+ }

        /// What stands beside the key. Rows move often: large ones of small views are behind a pointer.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "each variant is the view of the same name")]
        pub enum ViewValue { $($view(held!($value $($boxed)?)),)+ }

        impl ViewKey {
            /// The view it belongs to.
            #[must_use]
            pub const fn view(&self) -> View { match self { $(Self::$view(_) => View::$view,)+ } }
            /// The tenant it belongs to.
            #[must_use]
            pub const fn tenant(&self) -> TenantId { match self { $(Self::$view(key) => key.tenant,)+ } }
        }

        $(impl From<($key, $value)> for ViewRow {
            fn from((key, value): ($key, $value)) -> Self {
                Self { key: ViewKey::$view(key), value: ViewValue::$view(value.into()) }
            }
        })+
    };
}

/// One row of one view.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ViewRow {
    /// Its key.
    pub key: ViewKey,
    /// The rest.
    pub value: ViewValue,
}

views! {
    /// A verdict for every request.
    Verdicts = "verdicts", Daily, VerdictKey => VerdictRow;
    /// Requests that count as one, per window kind.
    Downloads = "downloads", Daily, DownloadKey => DownloadRow;
    /// Downloads per show, episode, day and source kind.
    DownloadsDaily = "downloads_daily", Daily, DownloadsDailyKey => DownloadsDailyRow;
    /// One row per order, lead or sale.
    Conversions = "conversions", Running, ConversionKey => ConversionRow boxed;
    /// One row per conversion and line item, the models as columns.
    Credits = "credits", Running, CreditKey => CreditRow boxed;
    /// Credits and money per campaign, line, show, model and day of the conversion.
    AttributionDaily = "attribution_daily", Daily, AttributionDailyKey => AttributionDailyRow;
    /// Ads delivered per line item and billing day.
    DeliveryDaily = "delivery_daily", Daily, DeliveryDailyKey => DeliveryDailyRow;
    /// How a line item stands against its plan.
    Pacing = "pacing", Running, PacingKey => PacingRow;
    /// Hours that stand out.
    Anomalies = "anomalies", Daily, AnomalyKey => AnomalyRow;
    /// What a line item costs per month.
    BillingLines = "billing_lines", Running, BillingLineKey => BillingLineRow;
    /// Published numbers that moved.
    Restatements = "restatements", AppendOnly, RestatementKey => RestatementRow;
    /// Changes that came after their day was sealed.
    LateAfterSeal = "late_after_seal", AppendOnly, LateKey => LateRow;
}

/// The first filter that said no, or what became of the request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the words of DOMAIN 2, in the order of the filters"
)]
pub enum Verdict {
    Counted,
    BelowThreshold,
    NotAnEpisode,
    Method,
    Status,
    NoUserAgent,
    Watch,
    BotUserAgent,
    NonhumanIp,
    Range01,
    IpVolume,
    Referrer,
}

impl Verdict {
    /// The word in tables and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::BelowThreshold => "below_threshold",
            Self::NotAnEpisode => "not_an_episode",
            Self::Method => "method",
            Self::Status => "status",
            Self::NoUserAgent => "no_user_agent",
            Self::Watch => "watch",
            Self::BotUserAgent => "bot_user_agent",
            Self::NonhumanIp => "nonhuman_ip",
            Self::Range01 => "range_0_1",
            Self::IpVolume => "ip_volume",
            Self::Referrer => "referrer",
        }
    }

    /// Every verdict.
    pub const ALL: [Self; 12] = [
        Self::Counted,
        Self::BelowThreshold,
        Self::NotAnEpisode,
        Self::Method,
        Self::Status,
        Self::NoUserAgent,
        Self::Watch,
        Self::BotUserAgent,
        Self::NonhumanIp,
        Self::Range01,
        Self::IpVolume,
        Self::Referrer,
    ];
}

/// What a verdict rests on, where its word does not say it and no download does.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
pub enum Evidence {
    /// The word says all; the bytes of a counted request are those of its download.
    #[default]
    None,
    /// How it was asked.
    Method(Method),
    /// What was answered.
    Status(u16),
    /// The rule set's first pattern that matches the agent.
    Pattern(PatternId),
    /// Class of the address.
    IpClass(IpClass),
    /// The network that the rule set lists.
    Net(NetId),
    /// The host that the rule set denies.
    Referrer(u64),
    /// Bytes of all requests of the window for the same version of the file, and bytes that make a download.
    Bytes {
        /// United.
        seen: u64,
        /// In that version.
        needed: u64,
    },
    /// Downloads of an address on a day above which it loses all of them.
    DownloadsMax(u32),
}

/// Kind of window that makes requests one download.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum WindowKind {
    /// Calendar day in the rule set's zone (UTC).
    CalendarDay,
    /// 24 hours from the first request that begins a download.
    FirstTouch,
    /// Requests that follow each other in less than 24 hours.
    LastTouch,
}

impl WindowKind {
    /// The word in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CalendarDay => "calendar_day",
            Self::FirstTouch => "first_touch",
            Self::LastTouch => "last_touch",
        }
    }
}

macro_rules! rows {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "fields are the table's columns; units are their types")]
        pub struct $name { pub tenant: TenantId, $($(#[$fdoc])* pub $field: $type,)+ }
    )+};
}
macro_rules! values {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "fields are the table's columns; units are their types")]
        pub struct $name { $($(#[$fdoc])* pub $field: $type,)+ }
    )+};
}

rows! {
    /// (day, request)
    VerdictKey { day: Day, request: EventId, }
    /// (window, episode, listener, t0)
    DownloadKey { day: Day, window: WindowKind, episode: EpisodeId, listener: ListenerId, t0: EventTimeMs, }
    /// (window, show, episode, day, source)
    DownloadsDailyKey { day: Day, window: WindowKind, show: ShowId, episode: EpisodeId, source_kind: SourceKind, }
    /// (conversion)
    ConversionKey { conversion: ConversionId, }
    /// (conversion, line item)
    CreditKey { conversion: ConversionId, line: LineId, }
    /// (campaign, line, show, model, day, currency)
    AttributionDailyKey { day: Day, campaign: CampaignId, line: LineId, show: ShowId, model: Model, currency: Currency, }
    /// (line, billing day)
    DeliveryDailyKey { line: LineId, day: Day, }
    /// (line)
    PacingKey { line: LineId, }
    /// (series, hour)
    AnomalyKey { series: Series, hour: Hour, }
    /// (line, period): the period is a month of the line's zone, year x 12 + month - 1.
    BillingLineKey { line: LineId, period: Period, }
    /// (tick, view and key, metric)
    RestatementKey { tick: Tick, of: NumberKey, metric: Metric, }
    /// (tick, view, day, key)
    LateKey { tick: Tick, day: Day, of: LateOf, }
}

/// A calendar month, year x 12 + month - 1.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
pub struct Period(pub i32);

impl Period {
    /// The month that a civil day falls in.
    #[must_use]
    pub fn of(day: Day) -> Self {
        let date = day.date();
        Self(i32::from(date.year()) * 12 + i32::from(date.month()) - 1)
    }

    /// First day of the month.
    #[must_use]
    pub fn start(self) -> Day {
        let year = i16::try_from(self.0.div_euclid(12)).unwrap_or(1970);
        let month = i8::try_from(self.0.rem_euclid(12) + 1).unwrap_or(1);
        Day::from_date(jiff::civil::date(year, month, 1))
    }

    /// First day after the month.
    #[must_use]
    pub fn end(self) -> Day {
        Self(self.0 + 1).start()
    }
}

impl std::fmt::Display for Period {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:04}-{:02}",
            self.0.div_euclid(12),
            self.0.rem_euclid(12) + 1
        )
    }
}

/// One touch on the path of a conversion, as readers see it.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
pub struct PathStep {
    /// Line item.
    pub line: LineId,
    /// Its campaign.
    pub campaign: CampaignId,
    /// Show; none for a code.
    pub show: ShowId,
    /// Whole seconds before the conversion.
    pub age_secs: u32,
}

/// Key of a row of a number view, the views whose published numbers are in the ledger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each variant is the view of the same name")]
pub enum NumberKey {
    DownloadsDaily(DownloadsDailyKey),
    AttributionDaily(AttributionDailyKey),
    DeliveryDaily(DeliveryDailyKey),
    BillingLines(BillingLineKey),
}

/// What came late: a row of a number view, or rows of a detail view counted together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum LateOf {
    /// A number that would have moved.
    Number(NumberKey, Metric),
    /// Rows of a detail view (verdicts, downloads).
    Rows(View),
    /// Events refused because their day was sealed when they came.
    Events,
}

/// A column of a number view.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the column of the same name")]
pub enum Metric {
    Downloads,
    CreditMicros,
    MoneyMicros,
    Delivered,
    Billable,
    Quantity,
    AmountMicros,
    DownloadsFirstTouch,
    DownloadsLastTouch,
}

impl Metric {
    /// The column's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Downloads => "downloads",
            Self::CreditMicros => "credit_micros",
            Self::MoneyMicros => "money_micros",
            Self::Delivered => "delivered",
            Self::Billable => "billable",
            Self::Quantity => "quantity",
            Self::AmountMicros => "amount_micros",
            Self::DownloadsFirstTouch => "downloads_first_touch",
            Self::DownloadsLastTouch => "downloads_last_touch",
        }
    }
}

/// How a line item stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum PacingState {
    /// Too little was expected so far to judge.
    None,
    /// Index < 0.85.
    Under,
    /// Index < 0.95.
    AtRisk,
    /// Index <= 1.05.
    OnTrack,
    /// Index > 1.05.
    Over,
    /// Nothing in 24 h although at least 20 were expected in them: tracking is not set up.
    Stalled,
}

impl PacingState {
    /// The word in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Under => "under",
            Self::AtRisk => "at_risk",
            Self::OnTrack => "on_track",
            Self::Over => "over",
            Self::Stalled => "stalled",
        }
    }
}

values! {
    /// A request's verdict.
    VerdictRow { time: EventTimeMs, verdict: Verdict, enclosure: EnclosureId, episode: EpisodeId, listener: ListenerId, sent_bytes: u64, evidence: Evidence, }
    /// A download: union of bytes, bytes that were needed, requests that made it.
    DownloadRow { show: ShowId, household: HouseholdId, source_kind: SourceKind, union_bytes: u64, needed_bytes: u64, requests: u32, }
    /// Downloads.
    DownloadsDailyRow { downloads: i64, }
    /// A conversion and how it was matched. `value` is after refunds. `matched_by`: 0 none, 1 household, 2 code. `path`: its
    /// touches, oldest first.
    ConversionRow { store: StoreId, brand: BrandId, kind: SignalKind, time: EventTimeMs, household: HouseholdId, value: MoneyMicros, refunded: MoneyMicros, currency: Currency, code: CodeId, code_line: LineId, signals: u32, touches: u32, touches_cut: u32, matched_by: u8, path: Box<[PathStep]>, }
    /// Credits and money of a line item in a conversion, by model in the order of `Model::ALL`.
    CreditRow { campaign: CampaignId, day: Day, touches: u32, credit_micros: ByModel, money_micros: ByModel, currency: Currency, }
    /// Sums over conversions of the day.
    AttributionDailyRow { credit_micros: i64, money_micros: i64, }
    /// Ads delivered; of these billable (in flight; baked-in: before day 30).
    DeliveryDailyRow { delivered: i64, billable: i64, }
    /// Delivered against expected at an hour; `index_permille` is -1 when nothing is expected.
    PacingRow { kind: AdKind, goal: u64, delivered: i64, expected: i64, index_permille: i64, state: PacingState, as_of: Hour, }
    /// An hour that stands out: robust z in thousandths.
    AnomalyRow { count: i64, median: i64, mad: i64, score_milli: i64, }
    /// Quantity is ads or credit micros; the amount is rounded to the currency's minor unit.
    BillingLineRow { price_kind: PriceKind, quantity: i64, amount: MoneyMicros, currency: Currency, }
    /// Old and new number and why it moved.
    RestatementRow { period_end: Day, old: i64, new: i64, cause: Cause, }
    /// How many, and by how much.
    LateRow { count: i64, old: i64, new: i64, }
}

/// Why a published number moved.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Cause {
    /// A fact that has a tick of its own (rules, catalog, deals, settings).
    Event(EventId),
    /// Up to 16 batches of the tick, and how many more there were.
    Batches(Vec<crate::id::BatchId>, u32),
    /// The clock moved on.
    Clock,
}

/// A change of one row in one tick.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// When.
    pub tick: Tick,
    /// Which row.
    pub key: ViewKey,
    /// What stood there before, if anything.
    pub old: Option<ViewValue>,
    /// What stands there now, if anything.
    pub new: Option<ViewValue>,
}
