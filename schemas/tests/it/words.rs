//! Interning, units and ids.

use std::collections::BTreeMap;

use hostread_schemas::event::{
    Body, EventType, LineItem, Order, OrderKind, Pixel, PixelKind, Redemption,
};
use hostread_schemas::fact::{Fact, FactBody, SignalFact};
use hostread_schemas::intern::{IdHasher, civil_day, normal_code, normal_host, normal_order};
use hostread_schemas::view::Period;
use hostread_schemas::{
    Currency, Day, EventId, EventTimeMs, Hour, MoneyMicros, NameKind, Names, StoreId, TenantId,
};
use proptest::prelude::*;

use crate::random::Random;

const HASHER: IdHasher = IdHasher::new([7; 16]);

fn fact(body: Body) -> Fact {
    let mut event = Random(1).event(EventType::Show);
    event.body = body;
    HASHER.fact(&event, &mut |_, _, _| ())
}

fn signal(body: Body) -> SignalFact {
    match fact(body).body {
        FactBody::Signal(signal) => signal,
        other => panic!("a signal, not {other:?}"),
    }
}

// Expected values from a SipHash of its own, written from the paper, over little-endian numbers.
#[test]
fn ids_are_the_same_on_every_machine() {
    let tenant = HASHER.tenant("acme");
    assert_eq!(tenant.to_string(), "ten_a248ddddacde9472");
    let show = HASHER.name(NameKind::Show, tenant, "daily");
    assert_eq!(show, 0x9eeb_c105_4d3b_f1ad);
    let id = HASHER.event_id("acme", "cdn", b"r1");
    assert_eq!(id.to_hex(), "33ddbac948481d1ddee1100df815c805");
}

#[test]
fn names_are_apart_by_tenant_kind_and_length() {
    let (a, b) = (HASHER.tenant("a"), HASHER.tenant("b"));
    assert_ne!(a, b);
    let show = |tenant| HASHER.name(NameKind::Show, tenant, "x");
    assert_ne!(show(a), show(b));
    assert_ne!(show(a), HASHER.name(NameKind::Episode, a, "x"));
    assert_ne!(
        HASHER.event_id("a", "bc", b"d"),
        HASHER.event_id("ab", "c", b"d")
    );
    assert_ne!(
        HASHER.event_id("a", "b", b"c"),
        IdHasher::new([8; 16]).event_id("a", "b", b"c")
    );
    let listener = |session| HASHER.listener(a, 5, hostread_schemas::AgentId(6), session);
    assert_ne!(listener(""), listener("s"));
}

#[test]
fn only_the_empty_name_is_zero_and_is_not_learned() {
    assert_eq!(HASHER.name(NameKind::Show, TenantId(1), ""), 0);
    for seed in 0..200 {
        for event_type in EventType::ALL {
            let event = Random(seed).event(event_type);
            let mut learned = Vec::new();
            let fact = HASHER.fact(&event, &mut |kind, id, text| {
                learned.push((kind, id, text.to_owned()));
            });
            assert_eq!(fact.id, event.meta.id);
            assert_eq!(fact.time, event.meta.time);
            assert!(fact.tenant.is_some());
            for (kind, id, text) in learned {
                assert_ne!(id, 0, "{kind:?} {text:?}");
                assert!(!text.is_empty() || kind == NameKind::Tenant);
            }
        }
    }
}

#[test]
fn one_order_has_one_key_however_it_is_named() {
    let order = |name: Option<&str>, id: Option<&str>| {
        signal(Body::Order(Order {
            store: "s".into(),
            order_name: name.map(Into::into),
            order_id: id.map(Into::into),
            ..Order::default()
        }))
    };
    let key = order(Some("#1041"), None).order_name;
    assert!(key.is_some());
    for same in ["1041", " 1041 ", "# 1041", "##1041"] {
        assert_eq!(order(Some(same), None).order_name, key, "{same:?}");
        assert_eq!(order(None, Some(same)).order_id, key, "{same:?}");
        let pixel = signal(Body::Pixel(Pixel {
            store: "s".into(),
            kind: PixelKind::Purchase,
            order: Some(same.into()),
            ..Pixel::default()
        }));
        assert_eq!(pixel.order_name, key, "{same:?}");
    }
    assert_ne!(order(Some("1042"), None).order_name, key);
    for none in [None, Some(""), Some(" # ")] {
        assert!(!order(none, none).order_name.is_some());
        assert!(!order(none, none).order_id.is_some());
    }
    let elsewhere = signal(Body::Redemption(Redemption {
        store: "t".into(),
        order: Some("1041".into()),
        ..Redemption::default()
    }));
    assert!(elsewhere.order_name.is_some());
    assert_ne!(elsewhere.order_name, key, "stores number their own orders");
}

#[test]
fn codes_and_hosts_are_folded() {
    assert_eq!(normal_code("  SaVe10\t"), "save10");
    assert_eq!(normal_code("ÄPFEL"), "äpfel");
    assert_eq!(normal_order(" #1041 "), "1041");
    assert_eq!(normal_host("Example.COM."), "example.com");
    let code = |text: &str| {
        signal(Body::Redemption(Redemption {
            code: text.into(),
            ..Redemption::default()
        }))
        .code
    };
    assert_eq!(code("SAVE10"), code(" save10"));
    assert!(!code("  ").is_some());
    let first = signal(Body::Order(Order {
        kind: OrderKind::Placed,
        codes: vec!["SAVE10".into(), "other".into()],
        ..Order::default()
    }));
    assert_eq!(first.code, code("save10"));
}

#[test]
fn a_flight_that_cannot_be_read_never_runs() {
    let line = |start: &str, end: &str| match fact(Body::LineItem(LineItem {
        start: start.into(),
        end: end.into(),
        ..LineItem::default()
    }))
    .body
    {
        FactBody::Line(line) => line,
        other => panic!("a line, not {other:?}"),
    };
    let good = line("2026-11-01", "2026-11-30");
    assert_eq!((good.end.0 - good.start.0, good.zone.as_str()), (29, "UTC"));
    for (start, end) in [("", ""), ("2026-13-01", "2026-12-01"), ("2026-11-01", "x")] {
        let wrong = line(start, end);
        assert!(wrong.end < wrong.start);
        assert_eq!(Day::from_date(wrong.start.date()), wrong.start);
    }
}

#[test]
fn a_second_text_for_an_id_is_a_collision() {
    let names = Names::default();
    assert!(names.insert(NameKind::Show, 5, "a"));
    assert!(names.insert(NameKind::Show, 5, "a"));
    assert!(!names.insert(NameKind::Show, 5, "b"));
    assert!(names.insert(NameKind::Episode, 5, "b"));
    assert_eq!(&*names.text(NameKind::Show, 5), "a");
    assert_eq!(&*names.text(NameKind::Show, 0), "");
    assert_eq!(&*names.text(NameKind::Show, 6), "0000000000000006");
    assert_eq!(names.count(), 2);
}

#[test]
fn decimals_of_money() {
    for (text, micros) in [
        ("34.40", Some(34_400_000)),
        ("-5", Some(-5_000_000)),
        ("0.000001", Some(1)),
        (" 1. ", Some(1_000_000)),
        ("1.2340000000", Some(1_234_000)),
        ("1.2340001", None),
        ("9223372036854.775807", Some(i64::MAX)),
        ("9223372036854.775808", None),
        ("-9223372036854.775808", Some(i64::MIN)),
        ("", None),
        ("-", None),
        (".5", None),
        ("1,5", None),
        ("1e3", None),
        ("+1", None),
        ("--1", None),
        ("1.2.3", None),
        ("999999999999999999999999999999999999999999999", None),
    ] {
        assert_eq!(
            MoneyMicros::from_decimal(text).map(|m| m.0),
            micros,
            "{text:?}"
        );
    }
    assert_eq!(MoneyMicros(34_400_000).to_decimal(), "34.40");
    assert_eq!(MoneyMicros(-1).to_decimal(), "-0.000001");
}

#[test]
fn currencies_and_their_smallest_units() {
    let units: BTreeMap<&str, i64> = [("USD", 10_000), ("JPY", 1_000_000), ("KWD", 1_000)].into();
    for (code, micros) in units {
        assert_eq!(Currency::parse(code).unwrap().minor_unit_micros(), micros);
    }
    assert_eq!(Currency::parse(" eur ").unwrap().as_str(), "EUR");
    for wrong in ["", "EU", "EURO", "E1R", "€"] {
        assert_eq!(Currency::parse(wrong), None, "{wrong:?}");
    }
}

#[test]
fn times_outside_the_calendar_do_not_panic() {
    for ms in [i64::MIN, i64::MAX] {
        let time = EventTimeMs(ms);
        assert!(!time.to_rfc3339().is_empty());
        assert!(!time.day().to_string().is_empty());
        assert_eq!(time.day().0.signum(), ms.signum() as i32);
        assert_eq!(time.hour().0.signum(), ms.signum() as i32);
        let text = serde_json::to_string(&time).unwrap();
        assert_eq!(serde_json::from_str::<EventTimeMs>(&text).unwrap(), time);
    }
    assert_eq!(Day(i32::MAX).date(), jiff::civil::Date::MAX);
    assert_eq!(Day(i32::MIN).date(), jiff::civil::Date::MIN);
    assert_eq!(EventTimeMs(-1).day(), Day(-1));
    assert_eq!(EventTimeMs(-1).hour(), Hour(-1));
    assert_eq!(civil_day("1970-01-02"), Some(Day(1)));
    assert_eq!(
        EventTimeMs::from_rfc3339("2026-11-09T10:00:00"),
        None,
        "no offset"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn units_go_there_and_back(micros in any::<i64>(), days in -3_000_000..2_900_000, ms in -4_000_000_000_000_i64..250_000_000_000_000) {
        let money = MoneyMicros(micros);
        prop_assert_eq!(MoneyMicros::from_decimal(&money.to_decimal()), Some(money));
        let day = Day(days);
        prop_assert_eq!(Day::from_date(day.date()), day);
        prop_assert_eq!(day.start().day(), day);
        prop_assert_eq!(day.end().day(), Day(days + 1));
        let period = Period::of(day);
        prop_assert!(period.start() <= day && day < period.end());
        let time = EventTimeMs(ms);
        prop_assert_eq!(EventTimeMs::from_rfc3339(&time.to_rfc3339()), Some(time));
        prop_assert!(time.hour().start() <= time && time < Hour(time.hour().0 + 1).start());
    }

    #[test]
    fn event_ids_go_there_and_back(hi in any::<u64>(), lo in any::<u64>()) {
        let id = EventId { hi, lo };
        prop_assert_eq!(id.to_hex().len(), 32);
        prop_assert_eq!(EventId::from_hex(&id.to_hex()), Some(id));
        prop_assert_eq!(EventId::from_hex(&id.to_string().to_uppercase()), Some(id));
        prop_assert_eq!(EventId::from(u128::from(hi) << 64 | u128::from(lo)), id);
        let bytes = postcard::to_stdvec(&id).unwrap();
        prop_assert_eq!(postcard::from_bytes::<EventId>(&bytes).unwrap(), id);
        let text = serde_json::to_string(&id).unwrap();
        prop_assert_eq!(serde_json::from_str::<EventId>(&text).unwrap(), id);
    }
}

#[test]
fn an_event_id_has_32_hexadecimal_digits() {
    for wrong in [
        "",
        "00",
        "+0000000000000000000000000000000",
        &"g".repeat(32),
        &"0".repeat(33),
    ] {
        assert_eq!(EventId::from_hex(wrong), None, "{wrong:?}");
    }
    assert_eq!(StoreId(255).to_string(), "sto_00000000000000ff");
}
