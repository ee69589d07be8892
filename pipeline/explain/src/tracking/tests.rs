#![allow(clippy::unwrap_used, reason = "tests panic")]

use hostread_rules::Horizons;
use hostread_schemas::event::{IpClass, PriceKind};
use hostread_schemas::fact::{Fact, FactBody, ImpressionFact, SignalFact, SignalKind};
use hostread_schemas::intern::IdHasher;
use hostread_schemas::unit::HOUR_MS;
use hostread_schemas::view::{View, ViewKey, ViewRow, ViewValue};
use hostread_schemas::{
    AgentId, BrandId, CampaignId, CodeId, ConversionId, EventId, HouseholdId, ListenerId, Names,
    StoreId, Tick,
};

use super::*;
use crate::known::{Archive, Live};

const TENANT: TenantId = TenantId(1);
const STORE: StoreId = StoreId(30);
/// Noon of a day.
const NOON: EventTimeMs = EventTimeMs(20_000 * DAY_MS + 12 * HOUR_MS);

struct Facts(Vec<Fact>);

impl Live for Facts {
    fn days(&self, class: RetentionClass) -> Vec<Day> {
        let of_class = self.0.iter().filter(|fact| class_of(&fact.body) == class);
        let mut days: Vec<Day> = of_class.map(|fact| fact.time.day()).collect();
        days.sort_unstable();
        days.dedup();
        days
    }

    fn facts(
        &self,
        class: RetentionClass,
        day: Day,
        each: &mut dyn FnMut(Fact),
    ) -> Result<(), ReadError> {
        for fact in &self.0 {
            let of_day = class == RetentionClass::Reference || fact.time.day() == day;
            if of_day && class_of(&fact.body) == class {
                each(fact.clone());
            }
        }
        Ok(())
    }

    fn find(&self, _id: EventId) -> Result<Option<Fact>, ReadError> {
        Ok(None)
    }
}

fn class_of(body: &FactBody) -> RetentionClass {
    match body {
        FactBody::Request(_) | FactBody::Impression(_) => RetentionClass::Exposure,
        FactBody::Signal(_) => RetentionClass::Conversion,
        _ => RetentionClass::Reference,
    }
}

struct Nothing;

impl Archive for Nothing {
    fn rows(
        &self,
        _view: View,
        _wanted: &dyn Fn(&ViewKey) -> bool,
    ) -> Result<Vec<(ViewKey, Option<ViewValue>)>, ReadError> {
        Ok(Vec::new())
    }

    fn ledgers(
        &self,
        _wanted: &dyn Fn(&ViewKey) -> bool,
    ) -> Result<Vec<(ViewKey, ViewValue)>, ReadError> {
        let none: Vec<ViewRow> = Vec::new();
        Ok(none.into_iter().map(|row| (row.key, row.value)).collect())
    }
}

/// A world of one line item, told by what happened so many hours before noon.
struct World {
    hasher: IdHasher,
    line: LineFact,
    facts: Vec<Fact>,
}

impl World {
    fn new(change: impl FnOnce(&mut LineFact)) -> Self {
        let hasher = IdHasher::new([7; 16]);
        let mut line = LineFact {
            line: LineId(hasher.name(NameKind::Line, TENANT, "spring")),
            campaign: CampaignId(20),
            kind: AdKind::Inserted,
            controlling: ControllingSource::Impressions,
            goal: 100_000,
            start: Day(NOON.day().0 - 40),
            end: Day(NOON.day().0 + 40),
            zone: "UTC".to_owned(),
            ..LineFact::default()
        };
        change(&mut line);
        let mut world = Self {
            hasher,
            line: line.clone(),
            facts: Vec::new(),
        };
        world.say(1_000, FactBody::Line(line));
        world
    }

    fn say(&mut self, hours_ago: i64, body: FactBody) {
        self.facts.push(Fact {
            tenant: TENANT,
            time: EventTimeMs(NOON.0 - hours_ago * HOUR_MS),
            id: EventId::from(self.facts.len() as u128),
            body,
        });
    }

    /// A brand with a store.
    fn with_store(mut self) -> Self {
        self.say(1_000, FactBody::Campaign(CampaignId(20), BrandId(10)));
        self.say(1_000, FactBody::Store(STORE, BrandId(10)));
        self
    }

    fn impression(&mut self, hours_ago: i64) {
        let ad = ImpressionFact {
            line: self.line.line,
            // Another one each time: a listener's day counts an ad once.
            listener: ListenerId(1 + self.facts.len() as u64),
            household: HouseholdId(1),
            agent: AgentId(1),
            ..ImpressionFact::default()
        };
        self.say(hours_ago, FactBody::Impression(ad));
    }

    fn signal(&mut self, hours_ago: i64, kind: SignalKind, change: impl FnOnce(&mut SignalFact)) {
        let mut signal = SignalFact {
            store: STORE,
            kind,
            household: HouseholdId(5),
            ip_class: IpClass::Residential,
            ..SignalFact::default()
        };
        change(&mut signal);
        self.say(hours_ago, FactBody::Signal(signal));
    }

    fn look(&self) -> Tracking {
        let live = Facts(self.facts.clone());
        let known = Known {
            live: &live,
            archive: &Nothing,
            names: &Names::default(),
            hasher: self.hasher,
            horizons: Horizons::default(),
            tick: Tick(1),
            clock: NOON,
            released: None,
        };
        let mut found = tracking(&known, "spring", None).unwrap();
        assert_eq!(tracking(&known, "autumn", None).unwrap(), []);
        assert_eq!(found.len(), 1);
        found.pop().unwrap()
    }
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
    let found = world.look();
    for what in [Trace::Ads, Trace::Impressions, Trace::Pixel, Trace::Orders] {
        assert_eq!(state(&found, what), State::Missing, "{what:?}");
    }
    assert_eq!(state(&found, Trace::Visits), State::Unused);
    assert_eq!(state(&found, Trace::TestOrders), State::Unused);
    let repair = &of(&found, Trace::Orders).repair;
    assert!(repair.starts_with("no store belongs"), "{repair}");
    assert!(!found.works());
    let ahead = World::new(|line| line.start = Day(NOON.day().0 + 1)).with_store();
    let found = ahead.look();
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
        let found = world.look();
        assert_eq!(found.works(), works, "{found:?}");
        assert_eq!(state(&found, Trace::Orders) == State::Missing, !works);
        assert_eq!(state(&found, Trace::Pixel), State::Seen);
        world.signal(3, SignalKind::Order, |_| {});
        assert!(world.look().works());
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
    let found = world.look();
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
    let found = world.look();
    assert_eq!(
        state(&found, Trace::Ads),
        State::Quiet,
        "a thousand were due"
    );
    assert_eq!(state(&found, Trace::Orders), State::Quiet);
    let mut small = World::new(|line| line.goal = 100);
    small.impression(25);
    assert_eq!(state(&small.look(), Trace::Ads), State::Seen, "one was due");
    let mut old = World::new(|_| {});
    old.impression(32 * 24);
    assert_eq!(state(&old.look(), Trace::Ads), State::Missing, "30 days");
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
    assert_eq!(state(&world.look(), Trace::Orders), State::NoHousehold);
    world.signal(1, SignalKind::Order, |_| {});
    assert_eq!(state(&world.look(), Trace::Orders), State::Seen);
}

#[test]
fn codes_are_the_lines_and_test_orders_are_nothing_else() {
    let mut world = World::new(|_| {}).with_store();
    let line = world.line.line;
    world.say(900, FactBody::Code(STORE, CodeId(7), line));
    world.say(900, FactBody::Code(STORE, CodeId(8), LineId(99)));
    let coded = |code| move |signal: &mut SignalFact| signal.code = CodeId(code);
    world.signal(5, SignalKind::Redemption, coded(8));
    assert_eq!(state(&world.look(), Trace::Code), State::Unused);
    world.signal(6, SignalKind::Redemption, coded(7));
    world.signal(4, SignalKind::Refund, coded(7));
    world.signal(3, SignalKind::Order, |order| {
        (order.test, order.code) = (true, CodeId(7));
        order.order_id = ConversionId(77);
    });
    let found = world.look();
    let hours = |seen: &Seen| (NOON.0 - seen.last.unwrap().0) / HOUR_MS;
    assert_eq!(hours(of(&found, Trace::Code)), 6);
    assert_eq!(hours(of(&found, Trace::TestOrders)), 3);
    assert_eq!(state(&found, Trace::Orders), State::Unused, "by the code");
    assert_eq!(of(&found, Trace::Orders).last, None);
}
