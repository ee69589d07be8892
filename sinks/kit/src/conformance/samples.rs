//! Rows for the suite: keys and values of every view, from a number. Names are as unfriendly as names may be.

use hostread_schemas::event::{AdKind, IpClass, Method, Model, PriceKind, SourceKind};
use hostread_schemas::fact::{Series, SignalKind};
use hostread_schemas::view::{
    AnomalyKey, AnomalyRow, AttributionDailyKey, AttributionDailyRow, BillingLineKey,
    BillingLineRow, Cause, ConversionKey, ConversionRow, CreditKey, CreditRow, DeliveryDailyKey,
    DeliveryDailyRow, DownloadKey, DownloadRow, DownloadsDailyKey, DownloadsDailyRow, Evidence,
    LateKey, LateOf, LateRow, Metric, NumberKey, PacingKey, PacingRow, PacingState, PathStep,
    Period, RestatementKey, RestatementRow, Verdict, VerdictKey, VerdictRow, View, ViewKey,
    ViewValue, WindowKind,
};
use hostread_schemas::{
    BatchId, BrandId, CampaignId, CodeId, ConversionId, Currency, Day, EnclosureId, EpisodeId,
    EventId, EventTimeMs, Hour, HouseholdId, LineId, ListenerId, MoneyMicros, NameKind, Names,
    NetId, PatternId, ShowId, StoreId, TenantId, Tick,
};

/// Names that have broken a store before: quotes, separators, escapes, other scripts, other lengths.
pub const NAMES: &[&str] = &[
    "plain",
    "it's \"quoted\"",
    "tab\tline\nreturn\r",
    "back\\slash \\N \\t",
    "comma,semicolon;pipe|",
    "naïve 日本語 🎙️",
    "'; DROP TABLE verdicts; --",
    "NULL",
    " spaces ",
    "\u{202e}right-to-left\u{feff}",
    "{\"json\":[1]}",
    "%s $1 {x:UInt8} ?",
];

const KINDS: &[NameKind] = &[
    NameKind::Tenant,
    NameKind::Show,
    NameKind::Episode,
    NameKind::Enclosure,
    NameKind::Brand,
    NameKind::Store,
    NameKind::Campaign,
    NameKind::Line,
    NameKind::Code,
    NameKind::Conversion,
    NameKind::Batch,
];

/// Names of the ids 1 to 12 of every kind; ids above have none, and are shown in hexadecimal.
#[must_use]
pub fn names() -> Names {
    let names = Names::default();
    for kind in KINDS {
        for (id, name) in (1..).zip(NAMES) {
            names.insert(*kind, id, name);
        }
    }
    names
}

/// A day in the months around the turn of 2026, so that rows fall into several partitions.
const fn day(n: u64) -> Day {
    Day(20_400 + (n % 90) as i32)
}

fn number(n: u64) -> NumberKey {
    let tenant = TenantId(1);
    match n % 4 {
        0 => NumberKey::DownloadsDaily(DownloadsDailyKey {
            tenant,
            day: day(n),
            window: WindowKind::CalendarDay,
            show: ShowId(n),
            episode: EpisodeId(n),
            source_kind: SourceKind::Prefix,
        }),
        1 => NumberKey::AttributionDaily(AttributionDailyKey {
            tenant,
            day: day(n),
            campaign: CampaignId(n),
            line: LineId(n),
            show: ShowId(0),
            model: Model::TimeDecay,
            currency: Currency::default(),
        }),
        2 => NumberKey::DeliveryDaily(DeliveryDailyKey {
            tenant,
            line: LineId(n),
            day: day(n),
        }),
        _ => NumberKey::BillingLines(BillingLineKey {
            tenant,
            line: LineId(n),
            period: Period::of(day(n)),
        }),
    }
}

/// The n-th key of a view, n from 1.
#[must_use]
pub fn key(view: View, n: u64) -> ViewKey {
    let tenant = TenantId(1);
    let (line, show, episode) = (LineId(n), ShowId(n), EpisodeId(n));
    let conversion = ConversionId(n);
    let day = day(n);
    match view {
        View::Verdicts => ViewKey::Verdicts(VerdictKey {
            tenant,
            day,
            request: EventId {
                hi: u64::MAX,
                lo: n,
            },
        }),
        View::Downloads => ViewKey::Downloads(DownloadKey {
            tenant,
            day,
            window: WindowKind::CalendarDay,
            episode,
            listener: ListenerId(u64::MAX - n),
            t0: EventTimeMs(day.start().0 + n as i64),
        }),
        View::DownloadsDaily => ViewKey::DownloadsDaily(DownloadsDailyKey {
            tenant,
            day,
            window: WindowKind::CalendarDay,
            show,
            episode,
            source_kind: SourceKind::Cdn,
        }),
        View::Conversions => ViewKey::Conversions(ConversionKey { tenant, conversion }),
        View::Credits => ViewKey::Credits(CreditKey {
            tenant,
            conversion,
            line,
        }),
        View::AttributionDaily => ViewKey::AttributionDaily(AttributionDailyKey {
            tenant,
            day,
            campaign: CampaignId(n),
            line,
            show,
            model: Model::Position,
            currency: Currency::default(),
        }),
        View::DeliveryDaily => ViewKey::DeliveryDaily(DeliveryDailyKey { tenant, line, day }),
        View::Pacing => ViewKey::Pacing(PacingKey { tenant, line }),
        View::Anomalies => ViewKey::Anomalies(AnomalyKey {
            tenant,
            series: if n.is_multiple_of(2) {
                Series::ShowDownloads(show)
            } else {
                Series::CampaignConversions(CampaignId(n))
            },
            hour: Hour(490_000 + n as i32),
        }),
        View::BillingLines => ViewKey::BillingLines(BillingLineKey {
            tenant,
            line,
            period: Period::of(day),
        }),
        View::Restatements => ViewKey::Restatements(RestatementKey {
            tenant,
            tick: Tick(n),
            of: number(n),
            metric: Metric::Downloads,
        }),
        View::LateAfterSeal => ViewKey::LateAfterSeal(LateKey {
            tenant,
            tick: Tick(n),
            day,
            of: match n % 3 {
                0 => LateOf::Number(number(n), Metric::AmountMicros),
                1 => LateOf::Rows(View::Verdicts),
                _ => LateOf::Events,
            },
        }),
    }
}

fn evidence(n: u64) -> Evidence {
    match n % 9 {
        0 => Evidence::None,
        1 => Evidence::Method(Method::Head),
        2 => Evidence::Status(u16::MAX),
        3 => Evidence::Pattern(PatternId(n)),
        4 => Evidence::IpClass(IpClass::Vpn),
        5 => Evidence::Net(NetId(n)),
        6 => Evidence::Referrer(n),
        7 => Evidence::Bytes {
            seen: n,
            needed: u64::MAX,
        },
        _ => Evidence::DownloadsMax(n as u32),
    }
}

fn step(n: u64, age_secs: u32) -> PathStep {
    PathStep {
        line: LineId(n % 5),
        campaign: CampaignId(n % 13),
        show: ShowId(0),
        age_secs: u32::MAX - age_secs,
    }
}

/// The n-th value of a view; small n differ from each other.
#[must_use]
pub fn value(view: View, n: u64) -> ViewValue {
    let signed = n as i64;
    match view {
        View::Verdicts => ViewValue::Verdicts(VerdictRow {
            time: EventTimeMs(1_763_700_000_123 + signed),
            verdict: Verdict::ALL[n as usize % Verdict::ALL.len()],
            enclosure: EnclosureId(n % 20),
            episode: EpisodeId(n % 7),
            listener: ListenerId(u64::MAX - n),
            sent_bytes: u64::MAX - n,
            evidence: evidence(n),
        }),
        View::Downloads => ViewValue::Downloads(DownloadRow {
            show: ShowId(n % 9),
            household: HouseholdId(n),
            source_kind: SourceKind::Prefix,
            union_bytes: n,
            needed_bytes: u64::MAX,
            requests: n as u32,
        }),
        View::DownloadsDaily => ViewValue::DownloadsDaily(DownloadsDailyRow { downloads: signed }),
        View::Conversions => ViewValue::Conversions(Box::new(ConversionRow {
            store: StoreId(n % 5),
            brand: BrandId(n % 5),
            kind: SignalKind::PixelPurchase,
            time: EventTimeMs(1_763_700_000_999 - signed),
            household: HouseholdId(0),
            value: MoneyMicros(signed),
            refunded: MoneyMicros(-signed),
            currency: Currency(*b"JPY"),
            code: CodeId(n % 13),
            code_line: LineId(0),
            signals: 1,
            touches: n as u32,
            touches_cut: u32::MAX,
            matched_by: (n % 3) as u8,
            path: (0..n % 4).map(|age| step(n, age as u32)).collect(),
        })),
        View::Credits => ViewValue::Credits(Box::new(CreditRow {
            campaign: CampaignId(n % 13),
            day: Day(20_500),
            touches: 3,
            credit_micros: [signed, 2, 3, 4, 5, 6],
            money_micros: [6, 7, 8, 9, 10, -signed],
            currency: Currency::default(),
        })),
        View::AttributionDaily => ViewValue::AttributionDaily(AttributionDailyRow {
            credit_micros: signed,
            money_micros: i64::MIN + signed,
        }),
        View::DeliveryDaily => ViewValue::DeliveryDaily(DeliveryDailyRow {
            delivered: signed,
            billable: signed / 2,
        }),
        View::Pacing => ViewValue::Pacing(PacingRow {
            kind: AdKind::Inserted,
            goal: u64::MAX,
            delivered: signed,
            expected: i64::MAX,
            index_permille: -1,
            state: PacingState::Stalled,
            as_of: Hour(490_000),
        }),
        View::Anomalies => ViewValue::Anomalies(AnomalyRow {
            count: signed,
            median: 1,
            mad: 2,
            score_milli: -3_500,
        }),
        View::BillingLines => ViewValue::BillingLines(BillingLineRow {
            price_kind: PriceKind::Cpa,
            quantity: signed,
            amount: MoneyMicros(signed * 10_000),
            currency: Currency(*b"EUR"),
        }),
        View::Restatements => ViewValue::Restatements(RestatementRow {
            period_end: Day(20_500),
            old: signed,
            new: -signed,
            cause: match n % 3 {
                0 => Cause::Event(EventId { hi: 1, lo: n }),
                1 => Cause::Batches((1..=12).map(BatchId).collect(), 7),
                _ => Cause::Clock,
            },
        }),
        View::LateAfterSeal => ViewValue::LateAfterSeal(LateRow {
            count: signed,
            old: 1,
            new: 2,
        }),
    }
}
