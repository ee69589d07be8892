#![allow(clippy::unwrap_used, reason = "tests panic")]

use hostread_schemas::event::{IpClass, PriceKind};
use hostread_schemas::fact::{FactBody, SignalFact, SignalKind};
use hostread_schemas::unit::HOUR_MS;
use hostread_schemas::{CodeId, ConversionId, HouseholdId, StoreId};

use super::*;
use crate::testing::{NOON, STORE, World};

fn look(world: &World) -> Tracking {
    world.ask(|known| {
        let mut found = tracking(known, "spring", None).unwrap();
        assert_eq!(tracking(known, "autumn", None).unwrap(), []);
        assert_eq!(found.len(), 1);
        found.pop().unwrap()
    })
}

fn of(found: &Tracking, what: Trace) -> &Seen {
    let mut seen = found.seen.iter().filter(|seen| seen.what == what);
    let one = seen.next().unwrap();
    assert_eq!(seen.next(), None, "{what:?} once");
    one
}

fn state(found: &Tracking, what: Trace) -> State {
    of(found, what).state
}

#[test]
fn what_was_never_seen_is_missing_where_it_is_needed() {
    let world = World::new(|_| {});
    let found = look(&world);
    for what in [Trace::Ads, Trace::Impressions, Trace::Pixel, Trace::Orders] {
        assert_eq!(state(&found, what), State::Missing, "{what:?}");
    }
    assert_eq!(state(&found, Trace::Visits), State::Unused);
    assert_eq!(state(&found, Trace::TestOrders), State::Unused);
    let repair = &of(&found, Trace::Orders).repair;
    assert!(repair.starts_with("no store belongs"), "{repair}");
    assert!(!found.works());
    let ahead = World::new(|line| line.start = Day(NOON.day().0 + 1)).with_store();
    let found = look(&ahead);
    assert_eq!(found.flight, Flight::Ahead);
    assert_eq!(state(&found, Trace::Ads), State::Unused);
    assert_eq!(state(&found, Trace::Orders), State::Missing);
    let repair = &of(&found, Trace::Orders).repair;
    assert!(repair.starts_with("connect"), "{repair}");
}

#[test]
fn one_way_to_conversions_is_enough_but_not_for_a_price_per_conversion() {
    for (price, works) in [(PriceKind::Cpm, true), (PriceKind::Cpa, false)] {
        let mut world = World::new(|line| line.price_kind = price).with_store();
        world.impression(1);
        world.signal(3, SignalKind::PixelLead, |_| {});
        let found = look(&world);
        assert_eq!(found.works(), works, "{found:?}");
        assert_eq!(state(&found, Trace::Orders) == State::Missing, !works);
        assert_eq!(state(&found, Trace::Pixel), State::Seen);
        world.signal(3, SignalKind::Order, |_| {});
        assert!(look(&world).works());
    }
}

#[test]
fn times_and_counts_are_those_before_the_clock() {
    let mut world = World::new(|_| {}).with_store();
    for hours_ago in [1, 23, 24, 100, 7 * 24 - 1, 7 * 24, 300, 31 * 24 + 12] {
        world.impression(hours_ago);
        world.signal(hours_ago, SignalKind::Order, |order| {
            if hours_ago == 100 {
                order.ip_class = IpClass::DataCentre;
            }
        });
    }
    world.signal(2, SignalKind::Order, |order| order.store = StoreId(31));
    let found = look(&world);
    for what in [Trace::Ads, Trace::Impressions, Trace::Orders] {
        let seen = of(&found, what);
        let last = EventTimeMs(NOON.0 - HOUR_MS);
        assert_eq!(
            (seen.last, seen.day, seen.week),
            (Some(last), 2, 5),
            "{what:?}"
        );
    }
    assert_eq!(of(&found, Trace::Orders).with_household, Some(4));
    assert!(found.works());
}

#[test]
fn silence_is_quiet() {
    let mut world = World::new(|_| {}).with_store();
    world.impression(25);
    world.signal(8 * 24, SignalKind::Order, |_| {});
    let found = look(&world);
    assert_eq!(
        state(&found, Trace::Ads),
        State::Quiet,
        "a thousand were due"
    );
    assert_eq!(state(&found, Trace::Orders), State::Quiet);
    let mut small = World::new(|line| line.goal = 100);
    small.impression(25);
    assert_eq!(state(&look(&small), Trace::Ads), State::Seen, "one was due");
    let mut done = World::new(|line| line.goal = 100);
    done.impression(8 * 24);
    assert_eq!(state(&look(&done), Trace::Ads), State::Seen, "ten were due");
    assert_eq!(state(&look(&world), Trace::Impressions), State::Quiet);
    let mut by_bytes = World::new(|line| line.controlling = ControllingSource::Bytes);
    by_bytes.impression(20 * 24);
    assert_eq!(state(&look(&by_bytes), Trace::Impressions), State::Seen);
    let mut old = World::new(|_| {});
    old.impression(32 * 24);
    assert_eq!(state(&look(&old), Trace::Ads), State::Missing, "30 days");
}

#[test]
fn ads_outside_the_flight_are_none() {
    let mut world = World::new(|line| line.start = NOON.day());
    world.impression(1);
    world.impression(13);
    let found = look(&world);
    assert_eq!(of(&found, Trace::Ads).week, 1);
    assert_eq!(of(&found, Trace::Impressions).week, 2);
    let mut ahead = World::new(|line| line.start = Day(NOON.day().0 + 1));
    ahead.impression(1);
    assert_eq!(state(&look(&ahead), Trace::Ads), State::Unused);
}

#[test]
fn an_old_impression_is_seen_beside_a_new_ad() {
    let mut world = World::new(|line| line.controlling = ControllingSource::Bytes);
    world.download(1);
    world.impression(20 * 24);
    let found = look(&world);
    let hours = |what| (NOON.0 - of(&found, what).last.unwrap().0) / HOUR_MS;
    assert_eq!((hours(Trace::Ads), hours(Trace::Impressions)), (1, 480));
}

#[test]
fn without_households_only_codes_match() {
    let mut world = World::new(|_| {}).with_store();
    for class in [IpClass::DataCentre, IpClass::Vpn] {
        world.signal(1, SignalKind::Order, |order| order.ip_class = class);
    }
    world.signal(1, SignalKind::Order, |order| {
        order.household = HouseholdId::NONE;
    });
    assert_eq!(state(&look(&world), Trace::Orders), State::NoHousehold);
    world.signal(1, SignalKind::Order, |_| {});
    assert_eq!(state(&look(&world), Trace::Orders), State::Seen);
}

#[test]
fn codes_are_the_lines_and_test_orders_are_nothing_else() {
    let mut world = World::new(|_| {}).with_store();
    let line = world.line.line;
    world.say(900, FactBody::Code(STORE, CodeId(7), line));
    world.say(900, FactBody::Code(STORE, CodeId(8), LineId(99)));
    let coded = |code| move |signal: &mut SignalFact| signal.code = CodeId(code);
    world.signal(5, SignalKind::Redemption, coded(8));
    assert_eq!(state(&look(&world), Trace::Code), State::Unused);
    world.signal(6, SignalKind::Redemption, coded(7));
    world.signal(4, SignalKind::Refund, coded(7));
    world.signal(3, SignalKind::Order, |order| {
        (order.test, order.code) = (true, CodeId(7));
        order.order_id = ConversionId(77);
    });
    let found = look(&world);
    let hours = |seen: &Seen| (NOON.0 - seen.last.unwrap().0) / HOUR_MS;
    assert_eq!(hours(of(&found, Trace::Code)), 6);
    assert_eq!(hours(of(&found, Trace::TestOrders)), 3);
    assert_eq!(state(&found, Trace::Orders), State::Unused, "by the code");
    assert_eq!(of(&found, Trace::Orders).last, None);
}
