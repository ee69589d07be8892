#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::collections::BTreeSet;

use hostread_journal::ReleaseRecord;
use hostread_schemas::fact::{FactBody, ImpressionFact, LineFact};
use hostread_schemas::{
    AgentId, ConversionId, EventTimeMs, HouseholdId, LineId, ListenerId, MoneyMicros, ShowId,
};
use proptest::prelude::*;

use super::*;
use crate::testing::{NOON, World};

const SPRING: CampaignId = CampaignId(20);
const AUTUMN: CampaignId = CampaignId(21);

/// Hours before noon, which order, and what it says: an amount, a refund of one, or a cancel.
type Deed = (i64, u64, SignalKind, i64);

/// Five households; each hears both campaigns, and the third line item, of the first, once more.
fn world(deeds: &[Deed]) -> World {
    let mut world = World::new(|_| {}).with_store();
    world.say(
        900,
        FactBody::Campaign(AUTUMN, hostread_schemas::BrandId(10)),
    );
    for (line, campaign) in [(60, SPRING), (61, AUTUMN), (62, SPRING)] {
        let fact = LineFact {
            line: LineId(line),
            campaign,
            ..world.line.clone()
        };
        world.say(900, FactBody::Line(fact));
        for household in 1..=5 {
            let ad = ImpressionFact {
                line: LineId(line),
                show: ShowId(40),
                listener: ListenerId(household * 10),
                household: HouseholdId(household),
                agent: AgentId(1),
                ..ImpressionFact::default()
            };
            world.say(300 - line.cast_signed(), FactBody::Impression(ad));
        }
    }
    for &(hours_ago, order, kind, amount) in deeds {
        world.signal(hours_ago, kind, |signal| {
            signal.order_id = ConversionId(100 + order);
            signal.value = MoneyMicros(amount);
            signal.has_value = kind == SignalKind::Order;
            if kind == SignalKind::Order {
                signal.household = HouseholdId(1 + order % 5);
            } else {
                signal.household = HouseholdId::NONE;
            }
        });
    }
    world
}

fn ask(world: &World, model: Model, refunds: Refunds) -> Vec<(i32, i64, i64)> {
    let asked = RevenueAsked {
        model,
        refunds,
        from: None,
        to: None,
    };
    let rows = world.ask(|known| revenue(known, asked, None).unwrap().rows);
    rows.iter()
        .map(|row| (NOON.day().0 - row.day.0, row.sold, row.refunded))
        .collect()
}

#[test]
fn a_refund_is_booked_on_its_own_day_or_on_that_of_the_sale() {
    let deeds = [
        (100, 1, SignalKind::Order, 90),
        (50, 1, SignalKind::Refund, 30),
        (10, 1, SignalKind::Refund, 60),
        (80, 2, SignalKind::Order, 6),
        (60, 2, SignalKind::Cancel, 0),
        (70, 3, SignalKind::Refund, 5),
    ];
    let world = world(&deeds);
    let of_sale = ask(&world, Model::Last, Refunds::OfSale);
    assert_eq!(
        of_sale,
        [(4, 90, 90), (3, 6, 6)],
        "the last touch takes all"
    );
    let of_refund = ask(&world, Model::Last, Refunds::OfRefund);
    let ought = [(4, 90, 0), (3, 6, 0), (2, 0, 36), (0, 0, 60)];
    assert_eq!(of_refund, ought, "30 and the canceled 6; then all");
    let linear = ask(&world, Model::Linear, Refunds::OfRefund);
    assert_eq!(linear.len(), 8, "both campaigns of each day: {linear:?}");
    let sums = linear
        .iter()
        .fold((0, 0), |sum, row| (sum.0 + row.1, sum.1 + row.2));
    assert_eq!(sums, (96, 96));
}

#[test]
fn days_are_those_of_the_period_and_released_ones_are_refused() {
    let world = world(&[
        (100, 1, SignalKind::Order, 90),
        (50, 1, SignalKind::Refund, 30),
    ]);
    let day = |ago: i32| Day(NOON.day().0 - ago);
    let mut asked = RevenueAsked {
        model: Model::Last,
        refunds: Refunds::OfRefund,
        from: Some(day(3)),
        to: Some(day(1)),
    };
    let rows = world.ask(|known| revenue(known, asked, None).unwrap().rows);
    let found: Vec<_> = rows.iter().map(|row| (row.day, row.refunded)).collect();
    assert_eq!(found, [(day(2), 30)]);
    world.ask(|known| {
        let known = Known {
            released: Some(ReleaseRecord {
                exposures_through: day(3),
                conversions_through: day(3),
            }),
            ..*known
        };
        let refused = revenue(&known, asked, None).unwrap_err().to_string();
        assert!(refused.contains(&day(2).to_string()), "{refused}");
        asked.from = None;
        assert_eq!(revenue(&known, asked, None).unwrap().rows.len(), 1);
        asked.to = Some(day(9));
        assert!(matches!(
            revenue(&known, asked, None),
            Err(NotCounted::Backwards { .. })
        ));
    });
}

/// Order by order: what it was worth on each day, of the campaign that is last.
fn naively(deeds: &[Deed], of_refund: bool) -> BTreeMap<i32, (i64, i64)> {
    let mut days: BTreeMap<i32, (i64, i64)> = BTreeMap::new();
    let ago = |hours: i64| NOON.day().0 - EventTimeMs(NOON.0 - hours * 3_600_000).day().0;
    let orders: BTreeSet<u64> = deeds.iter().map(|deed| deed.1).collect();
    for order in orders {
        let mut of_order: Vec<&Deed> = deeds.iter().filter(|deed| deed.1 == order).collect();
        // Stable: at one time the first that was said.
        of_order.sort_by_key(|deed| -deed.0);
        let placed: Vec<_> = of_order
            .iter()
            .filter(|deed| deed.2 == SignalKind::Order)
            .collect();
        let (Some(first), Some(last)) = (placed.first(), placed.last()) else {
            continue;
        };
        let (day, worth) = (ago(first.0), last.3);
        days.entry(day).or_default().0 += worth;
        let (mut refunded, mut left) = (0, worth);
        for deed in of_order {
            match deed.2 {
                SignalKind::Refund => refunded += deed.3,
                SignalKind::Cancel => refunded = i64::MAX / 2,
                _ => continue,
            }
            let now = if refunded > 0 {
                (worth - refunded).max(0)
            } else {
                worth
            };
            let of = if of_refund { ago(deed.0) } else { day };
            days.entry(of).or_default().1 += left - now;
            left = now;
        }
    }
    days.retain(|_, booked| *booked != (0, 0));
    days
}

proptest! {
    #[test]
    fn the_naive_books_say_the_same(
        deeds in prop::collection::vec(
            (
                1_i64..200,
                0_u64..4,
                prop::sample::select(vec![
                    SignalKind::Order,
                    SignalKind::Order,
                    SignalKind::Refund,
                    SignalKind::Refund,
                    SignalKind::Cancel,
                ]),
                0_i64..100,
            ),
            0..14,
        ),
    ) {
        let world = world(&deeds);
        for (refunds, of_refund) in [(Refunds::OfSale, false), (Refunds::OfRefund, true)] {
            let found = ask(&world, Model::Last, refunds);
            let found: BTreeMap<_, _> = found.into_iter().map(|row| (row.0, (row.1, row.2))).collect();
            prop_assert_eq!(found, naively(&deeds, of_refund));
        }
        for model in Model::ALL {
            let sum = |refunds| {
                let rows = ask(&world, model, refunds);
                rows.iter().fold((0, 0), |sum, row| (sum.0 + row.1, sum.1 + row.2))
            };
            prop_assert_eq!(sum(Refunds::OfSale), sum(Refunds::OfRefund));
        }
    }
}
