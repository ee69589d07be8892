//! Leads against the order of the keys themselves; changes against rows that are sorted as they are.

use hostread_schemas::event::{Model, SourceKind};
use hostread_schemas::view::{
    AttributionDailyKey, ConversionKey, CreditKey, DeliveryDailyKey, DownloadKey,
    DownloadsDailyKey, DownloadsDailyRow, PacingKey, VerdictKey, WindowKind,
};
use hostread_schemas::{
    CampaignId, ConversionId, Currency, EpisodeId, EventId, EventTimeMs, LineId, ListenerId,
    ShowId, TenantId,
};
use proptest::prelude::*;

use super::*;

/// Often equal, often different in the last bit alone, anything else.
fn any_id() -> impl Strategy<Value = u64> {
    prop_oneof![0..3_u64, (u64::MAX - 2)..=u64::MAX, any::<u64>()]
}

fn any_day() -> impl Strategy<Value = Day> {
    const EDGE: i32 = 1 << 23;
    let day = prop_oneof![
        20_000..20_003,
        -EDGE - 2..-EDGE + 2,
        EDGE - 2..EDGE + 2,
        any::<i32>()
    ];
    day.prop_map(Day)
}

fn any_key() -> impl Strategy<Value = ViewKey> {
    let window = prop_oneof![
        Just(WindowKind::CalendarDay),
        Just(WindowKind::FirstTouch),
        Just(WindowKind::LastTouch)
    ];
    (0..8_u8, any_id(), any_day(), window, any_id(), any_id()).prop_map(
        |(view, tenant, day, window, one, other)| {
            let tenant = TenantId(tenant);
            match view {
                0 => ViewKey::Verdicts(VerdictKey {
                    tenant,
                    day,
                    request: EventId { hi: one, lo: other },
                }),
                1 => ViewKey::Downloads(DownloadKey {
                    tenant,
                    day,
                    window,
                    episode: EpisodeId(one),
                    listener: ListenerId(other),
                    t0: EventTimeMs(0),
                }),
                2 => ViewKey::DownloadsDaily(DownloadsDailyKey {
                    tenant,
                    day,
                    window,
                    show: ShowId(one),
                    episode: EpisodeId(other),
                    source_kind: SourceKind::Cdn,
                }),
                3 => ViewKey::Conversions(ConversionKey {
                    tenant,
                    conversion: ConversionId(one),
                }),
                4 => ViewKey::Credits(CreditKey {
                    tenant,
                    conversion: ConversionId(one),
                    line: LineId(other),
                }),
                5 => ViewKey::AttributionDaily(AttributionDailyKey {
                    tenant,
                    day,
                    campaign: CampaignId(one),
                    line: LineId(other),
                    show: ShowId(0),
                    model: Model::Last,
                    currency: Currency::default(),
                }),
                6 => ViewKey::DeliveryDaily(DeliveryDailyKey {
                    tenant,
                    line: LineId(one),
                    day,
                }),
                _ => ViewKey::Pacing(PacingKey {
                    tenant,
                    line: LineId(one),
                }),
            }
        },
    )
}

/// A row of a few that differ in the last of what a lead has, or behind it.
fn any_row() -> impl Strategy<Value = ViewRow> {
    (0..3_u64, 0..4_u64, 0..2_i64).prop_map(|(show, episode, downloads)| {
        let key = DownloadsDailyKey {
            tenant: TenantId(1),
            day: Day(20_000),
            window: WindowKind::CalendarDay,
            show: ShowId(show << 30),
            episode: EpisodeId(episode),
            source_kind: SourceKind::Cdn,
        };
        (key, DownloadsDailyRow { downloads }).into()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariant_2_leads_are_in_the_order_of_their_keys(one in any_key(), other in any_key()) {
        let (small, large) = if one < other { (one, other) } else { (other, one) };
        prop_assert!(lead(&small) <= lead(&large), "{small:?} {large:?}");
    }

    #[test]
    fn changes_are_what_rows_come_to(rows in proptest::collection::vec((any_row(), prop_oneof![Just(-1_i64), Just(1)]), 0..24)) {
        // What is more than one row of a key on a side no tick has (invariant 1).
        let mut sums: BTreeMap<ViewRow, i64> = BTreeMap::new();
        let mut kept = Vec::new();
        for (row, diff) in rows {
            let twice = |(other, sum): (&ViewRow, &i64)| other.key == row.key && *sum == diff;
            if !sums.iter().any(twice) {
                *sums.entry(row.clone()).or_default() += diff;
                kept.push((row, diff));
            }
        }
        let mut ought: BTreeMap<ViewKey, [Option<ViewValue>; 2]> = BTreeMap::new();
        for (row, diff) in sums.into_iter().filter(|(_, diff)| *diff != 0) {
            ought.entry(row.key).or_default()[usize::from(diff > 0)] = Some(row.value);
        }
        let changes = fold(Tick(7), kept).into_iter();
        let found: Vec<_> = changes.map(|change| (change.key, [change.old, change.new])).collect();
        prop_assert_eq!(found, ought.into_iter().collect::<Vec<_>>());
    }
}
