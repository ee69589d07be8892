//! Orders from several signals, refunds, cancels; groups without an order.

use proptest::prelude::*;

use super::*;

type Given = (EventTimeMs, EventId, SignalFact);

const EUR: Currency = Currency(*b"EUR");

fn signal(kind: SignalKind, value: Option<i64>) -> SignalFact {
    SignalFact {
        store: StoreId(3),
        kind,
        has_value: value.is_some(),
        value: MoneyMicros(value.unwrap_or(0)),
        currency: EUR,
        ..SignalFact::default()
    }
}

/// One second after another, from second 100.
fn in_order(facts: impl IntoIterator<Item = SignalFact>) -> Vec<Given> {
    let at = |(index, fact): (usize, _)| {
        let time = EventTimeMs(100_000 + 1000 * index as i64);
        (time, EventId::from(index as u128), fact)
    };
    facts.into_iter().enumerate().map(at).collect()
}

fn merge(facts: impl IntoIterator<Item = SignalFact>) -> Option<Conversion> {
    merge_order(ConversionId(1), &in_order(facts))
}

#[test]
fn the_strongest_signal_has_the_say() {
    let lead = SignalFact {
        code: CodeId(1),
        household: HouseholdId(11),
        ..signal(SignalKind::PixelLead, Some(1))
    };
    let redemption = SignalFact {
        code: CodeId(2),
        ..signal(SignalKind::Redemption, Some(2))
    };
    let pixel = SignalFact {
        household: HouseholdId(13),
        currency: Currency::default(),
        ..signal(SignalKind::PixelPurchase, Some(3))
    };
    let other_pixel = SignalFact {
        household: HouseholdId(14),
        code: CodeId(4),
        ..signal(SignalKind::PixelPurchase, Some(4))
    };
    let visit = SignalFact {
        household: HouseholdId(15),
        code: CodeId(5),
        ..signal(SignalKind::PixelVisit, Some(5))
    };
    let merged = merge([visit, lead, redemption, pixel, other_pixel]).unwrap_or_default();
    let expected = Conversion {
        conversion: ConversionId(1),
        store: StoreId(3),
        kind: SignalKind::Redemption,
        time: EventTimeMs(102_000),
        household: HouseholdId(13),
        value: MoneyMicros(2),
        refunded: MoneyMicros(0),
        currency: EUR,
        code: CodeId(2),
        signals: 4,
    };
    assert_eq!(
        merged, expected,
        "code and value of the redemption, household of the first purchase"
    );

    let order = SignalFact {
        placed_at: Some(EventTimeMs(50)),
        ..signal(SignalKind::Order, None)
    };
    let with_order = merge([visit, lead, redemption, pixel, other_pixel, order]);
    let expected = Conversion {
        kind: SignalKind::Order,
        time: EventTimeMs(50),
        signals: 5,
        ..expected
    };
    assert_eq!(
        with_order,
        Some(expected),
        "an order without a value does not state one"
    );
    let purchases = merge([visit, lead, pixel, other_pixel]).unwrap_or_default();
    let said = (purchases.household, purchases.code, purchases.value);
    let expected = (HouseholdId(13), CodeId(4), MoneyMicros(4));
    assert_eq!(said, expected, "first household and code, last value");
}

#[test]
fn only_residential_households_are_used() {
    let office = SignalFact {
        household: HouseholdId(1),
        ip_class: IpClass::Office,
        ..signal(SignalKind::Order, Some(5))
    };
    let home = SignalFact {
        household: HouseholdId(2),
        ..signal(SignalKind::PixelPurchase, Some(5))
    };
    let household = |facts: [SignalFact; 2]| merge(facts).map(|c| c.household);
    assert_eq!(household([home, office]), Some(HouseholdId::NONE));
    let nowhere = SignalFact {
        household: HouseholdId::NONE,
        ..office
    };
    assert_eq!(household([home, nowhere]), Some(HouseholdId(2)));
}

#[test]
fn refunds_cancels_and_tests() {
    let order = signal(SignalKind::Order, Some(34_400_000));
    let refund = |value| signal(SignalKind::Refund, Some(value));
    let net = |facts: &[SignalFact]| merge(facts.to_vec()).map(|c| (c.value.0, c.refunded.0));
    assert_eq!(
        net(&[order, refund(4_400_000)]),
        Some((30_000_000, 4_400_000))
    );
    assert_eq!(
        net(&[refund(4_400_000), order, refund(10_000_000)]),
        Some((20_000_000, 14_400_000))
    );
    assert_eq!(net(&[order, refund(34_400_000)]), None);
    assert_eq!(net(&[order, refund(34_399_999)]), Some((1, 34_399_999)));
    assert_eq!(net(&[order, refund(i64::MAX), refund(i64::MAX)]), None);
    let dollars = SignalFact {
        currency: Currency::default(),
        ..refund(34_400_000)
    };
    assert_eq!(
        net(&[order, dollars]),
        Some((34_400_000, 0)),
        "of that currency only"
    );
    assert_eq!(net(&[refund(1)]), None, "only refunds");
    assert_eq!(net(&[order, signal(SignalKind::Cancel, Some(0))]), None);
    let test = SignalFact {
        test: true,
        ..order
    };
    assert_eq!(net(&[order, test]), None);
    let free = signal(SignalKind::PixelLead, None);
    assert_eq!(
        net(&[free]),
        Some((0, 0)),
        "nothing given back is no full refund"
    );
    assert_eq!(net(&[signal(SignalKind::PixelVisit, Some(9))]), None);
    assert_eq!(net(&[]), None);
}

#[test]
fn without_an_order_half_an_hour_from_the_first_is_one() {
    let at = |minutes: i64, ms: i64, household: u64| {
        let time = EventTimeMs(minutes * 60_000 + ms);
        let fact = SignalFact {
            household: HouseholdId(household),
            ..signal(SignalKind::PixelLead, None)
        };
        (time, EventId::from(time.0 as u128), fact)
    };
    let signals = |given: &[Given]| -> Vec<u32> {
        let conversions = merge_without_order(given);
        conversions.iter().map(|c| c.signals).collect()
    };
    let home = [
        at(0, 0, 1),
        at(20, 0, 1),
        at(30, 0, 1),
        at(30, 1, 1),
        at(60, 1, 1),
    ];
    assert_eq!(signals(&home), [3, 2], "the window does not slide");
    let nowhere = [at(0, 0, 0), at(0, 0, 0), at(1, 0, 0)];
    assert_eq!(signals(&nowhere), [1, 1, 1]);
    let conversions = merge_without_order(&home);
    let ids: Vec<ConversionId> = conversions.iter().map(|c| c.conversion).collect();
    assert_eq!(ids, [conversion_id(home[0].1), conversion_id(home[3].1)]);
    assert_ne!(ids[0], ids[1]);
    let swapped = EventId { hi: 1, lo: 0 };
    assert_ne!(
        conversion_id(EventId { hi: 0, lo: 1 }),
        conversion_id(swapped)
    );
}

fn any_signal() -> impl Strategy<Value = Given> {
    let kinds = prop::sample::select(vec![
        SignalKind::Order,
        SignalKind::Refund,
        SignalKind::Redemption,
        SignalKind::PixelPurchase,
        SignalKind::PixelLead,
        SignalKind::PixelVisit,
        SignalKind::PixelCart,
        SignalKind::Cancel,
    ]);
    let money = prop_oneof![0_i64..100, Just(i64::MAX), Just(i64::MIN), any::<i64>()];
    let time = prop_oneof![0_i64..5_000_000, any::<i64>()];
    (kinds, money, time, 0_u64..3, any::<bool>()).prop_map(|(kind, value, time, id, has_value)| {
        let fact = SignalFact {
            household: HouseholdId(id),
            has_value,
            placed_at: (id == 1).then_some(EventTimeMs(value)),
            ..signal(kind, Some(value))
        };
        (EventTimeMs(time), EventId::from(u128::from(id)), fact)
    })
}

proptest! {
    #[test]
    fn nothing_panics(given in proptest::collection::vec(any_signal(), 0..8), sorted: bool) {
        let mut given = given;
        if sorted {
            given.sort_unstable();
        }
        let stated = given.iter().all(|(_, _, signal)| signal.value.0 >= 0);
        let mut merged = merge_without_order(&given);
        prop_assert!(merged.len() <= given.len());
        merged.extend(merge_order(ConversionId(9), &given));
        for conversion in merged {
            prop_assert!(!stated || conversion.value.0 >= 0, "invariant 1");
            prop_assert!(conversion.conversion.is_some(), "invariant 2");
            prop_assert!(conversion.signals > 0);
        }
    }
}
