#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::collections::{BTreeMap, BTreeSet};

use hostread_journal::ReleaseRecord;
use hostread_schemas::fact::{FactBody, ImpressionFact, SettingsFact, SignalKind};
use hostread_schemas::{AgentId, CodeId, ConversionId, EventTimeMs};
use proptest::prelude::*;

use super::*;
use crate::testing::{NOON, World};

const LOOKBACK_SECS: i64 = 10 * 86_400;
const LIMITS: SettingsFact = SettingsFact {
    lookback_secs: LOOKBACK_SECS,
    half_life_secs: 86_400,
    shared_agents_day_max: 2,
    shared_agents_month_max: 3,
};

/// Hours before noon, household, which of its listeners, and whether the address is a home's.
type Ad = (i64, u64, u64, bool);
/// Hours before noon, household, and what it did.
type Deed = (i64, u64, SignalKind);

fn world(ads: &[Ad], deeds: &[Deed]) -> World {
    let mut world = World::new(|_| {}).with_store();
    world.say(2_000, FactBody::Settings(LIMITS));
    for &(hours_ago, household, listener, home) in ads {
        let class = if home {
            IpClass::Residential
        } else {
            IpClass::Cellular
        };
        let ad = ImpressionFact {
            line: world.line.line,
            show: hostread_schemas::ShowId(40),
            listener: ListenerId(household * 10 + listener),
            household: HouseholdId(household),
            agent: AgentId(1 + listener),
            ip_class: class,
            ..ImpressionFact::default()
        };
        world.say(hours_ago, FactBody::Impression(ad));
    }
    for (number, &(hours_ago, household, kind)) in deeds.iter().enumerate() {
        world.signal(hours_ago, kind, |signal| {
            signal.household = HouseholdId(household);
            if !kind.is_visit() {
                signal.order_id = ConversionId(100 + number as u64);
            }
        });
    }
    world
}

fn at(hours_ago: i64) -> EventTimeMs {
    EventTimeMs(NOON.0 - hours_ago * 3_600_000)
}

/// Households and the days on which they are shared, one span after another.
fn shared_naively(ads: &[Ad]) -> BTreeSet<(u64, Day)> {
    let mut shared = BTreeSet::new();
    let seen: BTreeSet<(u64, Day, u64)> = ads
        .iter()
        .map(|&(ago, household, listener, _)| (household, at(ago).day(), listener))
        .collect();
    let agents = |household: u64, from: i32, to: i32| {
        let of = seen
            .iter()
            .filter(|(home, day, _)| *home == household && (from..=to).contains(&day.0));
        of.map(|(.., agent)| *agent).collect::<BTreeSet<_>>().len()
    };
    for &(household, start, _) in &seen {
        if agents(household, start.0, start.0) > LIMITS.shared_agents_day_max as usize {
            shared.insert((household, start));
        }
        if agents(household, start.0, start.0 + 29) > LIMITS.shared_agents_month_max as usize {
            shared.extend((start.0..start.0 + 30).map(|day| (household, Day(day))));
        }
    }
    shared
}

/// Ads, listeners, usable ads, households; and those that came, put something into a cart, bought.
fn naively(ads: &[Ad], deeds: &[Deed], from: Day, to: Day) -> Option<[u64; 7]> {
    let shared = shared_naively(ads);
    // The first of a listener's day; of two at one time the first that was said.
    let mut delivered: BTreeMap<(u64, u64, Day), (i64, bool)> = BTreeMap::new();
    for &(ago, household, listener, home) in ads {
        let first = delivered.entry((household, listener, at(ago).day()));
        let first = first.or_insert((ago, home));
        if ago > first.0 {
            *first = (ago, home);
        }
    }
    let mut all = delivered
        .iter()
        .filter(|((.., day), _)| (from..=to).contains(day))
        .peekable();
    all.peek()?;
    let (mut count, mut usable) = (0, 0);
    let (mut listeners, mut households) = (BTreeSet::new(), BTreeSet::new());
    let mut steps = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
    for (&(household, listener, day), &(ago, home)) in all {
        count += 1;
        listeners.insert((household, listener));
        if !home || shared.contains(&(household, day)) {
            continue;
        }
        usable += 1;
        households.insert(household);
        for &(done, of, kind) in deeds {
            let later = (ago - done) * 3_600;
            let follows = of == household
                && (0..LOOKBACK_SECS).contains(&later)
                && !shared.contains(&(household, at(done).day()));
            let far = match kind {
                _ if !follows => 0,
                SignalKind::PixelVisit => 1,
                SignalKind::PixelCart => 2,
                _ => 3,
            };
            for step in &mut steps[..far] {
                step.insert(household);
            }
        }
    }
    let [came, carts, bought] = steps.map(|step| step.len() as u64);
    Some([
        count,
        listeners.len() as u64,
        usable,
        households.len() as u64,
        came,
        carts,
        bought,
    ])
}

fn numbers(row: &Reached) -> [u64; 7] {
    [
        row.ads,
        row.listeners,
        row.usable_ads,
        row.households,
        row.visitors,
        row.carts,
        row.responses,
    ]
}

fn asked(by: ReachBy, from: Day, to: Day) -> ReachAsked {
    ReachAsked {
        by,
        from: Some(from),
        to: Some(to),
    }
}

fn deed() -> impl Strategy<Value = SignalKind> {
    prop::sample::select(vec![
        SignalKind::PixelVisit,
        SignalKind::PixelCart,
        SignalKind::PixelLead,
        SignalKind::Order,
    ])
}

proptest! {
    #[test]
    fn the_naive_count_says_the_same(
        ads in prop::collection::vec((0_i64..1_200, 1_u64..4, 0_u64..5, prop::bool::weighted(0.8)), 0..24),
        deeds in prop::collection::vec((0_i64..1_000, 1_u64..5, deed()), 0..9),
        from in 0_i32..50,
        length in 0_i32..40,
    ) {
        let from = Day(NOON.day().0 - from);
        let to = Day(from.0 + length);
        let expected = naively(&ads, &deeds, from, to);
        world(&ads, &deeds).ask(|known| {
            for by in [ReachBy::Line, ReachBy::Campaign, ReachBy::Show] {
                let found = reach(known, asked(by, from, to), None).unwrap();
                let found: Vec<_> = found.rows.iter().map(numbers).collect();
                prop_assert_eq!(&found, &expected.into_iter().collect::<Vec<_>>(), "{:?}", by);
            }
            Ok(())
        })?;
    }
}

#[test]
fn an_ad_without_a_show_is_an_ad_and_a_code_is_none() {
    let mut world = World::new(|_| {}).with_store();
    let line = world.line.line;
    world.say(900, FactBody::Code(crate::testing::STORE, CodeId(7), line));
    let ad = |household| ImpressionFact {
        line,
        listener: ListenerId(household),
        household: HouseholdId(household),
        agent: AgentId(1),
        ..ImpressionFact::default()
    };
    world.say(9, FactBody::Impression(ad(1)));
    world.say(1, FactBody::Impression(ad(2)));
    for (order, household) in [(100, 1), (101, 2)] {
        world.signal(5, SignalKind::Order, |signal| {
            signal.household = HouseholdId(household);
            signal.order_id = ConversionId(order);
            signal.code = CodeId(7);
        });
    }
    let (from, to) = (Day(NOON.day().0 - 2), NOON.day());
    let found = world.ask(|known| reach(known, asked(ReachBy::Line, from, to), None).unwrap());
    let found = &found.rows[0];
    assert_eq!(
        (found.households, found.responses),
        (2, 1),
        "who bought before only had the code"
    );
}

/// Ads of the last two days, matched with what was bought half a year before them.
#[test]
fn chance_is_what_ads_would_match_half_a_year_earlier() {
    let half_a_year = 180 * 24;
    let ads = [1, 2, 3, 4].map(|household| (30, household, 0, true));
    let chance = |deeds: &[Deed]| {
        let found = world(&ads, deeds).ask(|known| {
            let (from, to) = (Day(NOON.day().0 - 2), NOON.day());
            reach(known, asked(ReachBy::Campaign, from, to), None).unwrap()
        });
        (found.rows[0].responses, found.rows[0].by_chance)
    };
    let order = |hours_ago, household| (hours_ago, household, SignalKind::Order);
    assert_eq!(
        chance(&[order(1, 1)]),
        (1, None),
        "it has not sold long enough"
    );
    let first = order(half_a_year + 900, 9);
    let lookback = LOOKBACK_SECS / 3_600;
    let deeds = [
        first,
        order(half_a_year + 30, 1),
        order(half_a_year + 30 - lookback + 1, 2),
        order(half_a_year + 30 - lookback, 3),
        order(half_a_year + 31, 4),
        order(1, 4),
    ];
    assert_eq!(
        chance(&deeds),
        (1, Some(2)),
        "the second of the lookback is in it"
    );
    let visit = (half_a_year + 1, 3, SignalKind::PixelVisit);
    assert_eq!(
        chance(&[first, visit]),
        (0, Some(0)),
        "a visit is no conversion"
    );
}

#[test]
fn a_period_that_is_gone_is_refused() {
    world(&[(1, 1, 0, true)], &[]).ask(|known| {
        let today = NOON.day();
        let day = |ago| Day(today.0 - ago);
        let backwards = reach(known, asked(ReachBy::Line, today, day(1)), None);
        assert!(matches!(backwards, Err(NotCounted::Backwards { .. })));
        let known = Known {
            released: Some(ReleaseRecord {
                exposures_through: day(3),
                conversions_through: day(9),
            }),
            ..*known
        };
        let gone = reach(&known, asked(ReachBy::Line, day(3), today), None);
        let said = gone.unwrap_err().to_string();
        assert!(said.contains(&day(2).to_string()), "{said}");
        let all = ReachAsked {
            by: ReachBy::Line,
            from: None,
            to: None,
        };
        let found = reach(&known, all, None).unwrap();
        assert_eq!((found.from, found.rows.len()), (day(2).to_string(), 1));
    });
}
