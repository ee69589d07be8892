#![allow(clippy::unwrap_used, reason = "tests panic")]

use hostread_schemas::fact::SignalKind;
use hostread_schemas::{HouseholdId, MoneyMicros};
use proptest::prelude::*;

use super::*;
use crate::testing::{NOON, World};

const VALUE: i64 = 7_000_001;

/// How many hours before noon, who (0: not known), and was it given back whole?
type Order = (i64, u64, bool);

/// One household hears an ad long before it buys everything.
fn world(orders: &[Order]) -> World {
    let mut world = World::new(|_| {}).with_store();
    world.impression(700);
    for (number, (hours_ago, who, given_back)) in orders.iter().enumerate() {
        let mut say = |hours_ago, kind, customer| {
            world.signal(hours_ago, kind, |signal| {
                signal.order_id = ConversionId(100 + number as u64);
                signal.household = HouseholdId(1);
                signal.customer = CustomerId(customer);
                signal.value = MoneyMicros(VALUE);
                signal.has_value = true;
            });
        };
        say(*hours_ago, SignalKind::Order, *who);
        if *given_back {
            say(hours_ago - 1, SignalKind::Refund, 0);
        }
    }
    world
}

fn found(world: &World, prior_days: u16) -> BTreeMap<Bought, [i64; 3]> {
    let asked = CustomersAsked {
        model: Model::Linear,
        from: None,
        to: Some(NOON.day()),
        prior_days,
    };
    let found = world.ask(|known| customers(known, asked, None).unwrap());
    let of = |it: SoldTo| (it.customers, [it.conversions, it.credit, it.money]);
    let rows = found.rows.len();
    let found: BTreeMap<_, _> = found.rows.into_iter().map(of).collect();
    assert_eq!(found.len(), rows, "one line item, one currency");
    found
}

/// What so many conversions of one line item are.
fn all_of(conversions: i64) -> [i64; 3] {
    [conversions, conversions * 1_000_000, conversions * VALUE]
}

#[test]
fn the_first_order_is_of_a_new_customer() {
    let world = world(&[
        (300, 8, false),
        (200, 8, false),
        (100, 9, false),
        (50, 0, false),
    ]);
    let ought = [
        (Bought::New, all_of(2)),
        (Bought::Returning, all_of(1)),
        (Bought::NotKnown, all_of(1)),
    ];
    assert_eq!(found(&world, 365), ought.into());
}

#[test]
fn long_ago_is_new_again() {
    let world = world(&[(200, 8, false), (80, 8, false)]);
    let days = |days| found(&world, days)[&Bought::New];
    assert_eq!((days(5), days(4)), (all_of(1), all_of(2)));
}

#[test]
fn what_was_given_back_was_not_bought() {
    let world = world(&[(300, 8, true), (200, 8, false)]);
    assert_eq!(found(&world, 365), [(Bought::New, all_of(1))].into());
}

proptest! {
    /// Against a count that asks every pair of orders.
    #[test]
    fn as_every_pair_of_orders_says(
        orders in prop::collection::vec((2_i64..600, 0_u64..4, prop::bool::weighted(0.2)), 1..12),
        prior_days in 1_u16..20,
    ) {
        let mut orders = orders;
        orders.sort_unstable();
        orders.dedup_by_key(|order| order.0);
        let mut ought: BTreeMap<Bought, i64> = BTreeMap::new();
        for (hours_ago, who, given_back) in &orders {
            if *given_back {
                continue;
            }
            let earlier = orders.iter().any(|(hours, of, back)| {
                let gap = hours - hours_ago;
                !back && of == who && gap > 0 && gap <= i64::from(prior_days) * 24
            });
            let bought = match (who, earlier) {
                (0, _) => Bought::NotKnown,
                (_, true) => Bought::Returning,
                (_, false) => Bought::New,
            };
            *ought.entry(bought).or_default() += 1;
        }
        let ought: BTreeMap<_, _> = ought.into_iter().map(|(of, count)| (of, all_of(count))).collect();
        prop_assert_eq!(found(&world(&orders), prior_days), ought);
    }
}
