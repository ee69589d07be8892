#![allow(clippy::unwrap_used, reason = "tests panic")]

use hostread_schemas::event::{ImpressionKind, IpClass};
use hostread_schemas::fact::{
    EpisodeFact, FactBody, ImpressionFact, LineFact, RequestFact, SettingsFact, SignalKind,
};
use hostread_schemas::{
    AgentId, ConversionId, EnclosureId, EpisodeId, EventTimeMs, LineId, ListenerId, ShowId, StoreId,
};
use proptest::prelude::*;

use super::*;
use crate::testing::{NOON, TENANT, World};

const SPRING: CampaignId = CampaignId(20);
const AUTUMN: CampaignId = CampaignId(21);
const OF_ANOTHER_BRAND: CampaignId = CampaignId(22);
/// Of spring, autumn, another brand, and spring once more.
const LINES: [u64; 4] = [60, 61, 62, 63];

/// What a household did, so many hours before noon.
#[derive(Clone, Copy, Debug)]
enum Deed {
    /// One of its listeners fetched the episode.
    Download(u64),
    /// One of its listeners got an ad of a line item.
    Ad(u64, usize),
    /// It was held out of it.
    HeldOut(u64, usize),
    Visit,
    Order,
    /// In the shop of another brand.
    OrderElsewhere,
}

/// Hours before noon, household, whether the address is a home's, and what it did.
type Done = (i64, u64, bool, Deed);

fn world(done: &[Done]) -> World {
    let mut world = World::new(|_| {}).with_store();
    world.say(900, FactBody::Campaign(AUTUMN, BrandId(10)));
    world.say(900, FactBody::Campaign(OF_ANOTHER_BRAND, BrandId(11)));
    world.say(900, FactBody::Store(StoreId(31), BrandId(11)));
    let campaigns = [SPRING, AUTUMN, OF_ANOTHER_BRAND, SPRING];
    for (line, campaign) in LINES.into_iter().zip(campaigns) {
        let line = LineFact {
            line: LineId(line),
            campaign,
            ..world.line.clone()
        };
        world.say(900, FactBody::Line(line));
    }
    world.say(
        2_000,
        FactBody::Settings(SettingsFact {
            shared_agents_day_max: 2,
            ..SettingsFact::default()
        }),
    );
    let (episode, enclosure) = (EpisodeId(50), EnclosureId(51));
    world.say(
        900,
        FactBody::Episode(EpisodeFact {
            episode,
            enclosures: vec![enclosure],
            size_bytes: 100,
            ..EpisodeFact::default()
        }),
    );
    for (number, &(hours_ago, household, home, deed)) in done.iter().enumerate() {
        let class = if home {
            IpClass::Residential
        } else {
            IpClass::Cellular
        };
        let agent = AgentId(1);
        match deed {
            Deed::Download(listener) => {
                let request = RequestFact {
                    enclosure,
                    listener: ListenerId(household * 10 + listener),
                    household: HouseholdId(household),
                    agent: AgentId(1 + listener),
                    ip_class: class,
                    sent_bytes: 100,
                    status: 200,
                    ..RequestFact::default()
                };
                world.say(hours_ago, FactBody::Request(request));
            }
            Deed::Ad(listener, line) | Deed::HeldOut(listener, line) => {
                let kind = if matches!(deed, Deed::HeldOut(..)) {
                    ImpressionKind::ControlExposure
                } else {
                    ImpressionKind::Delivered
                };
                let ad = ImpressionFact {
                    kind,
                    line: LineId(LINES[line]),
                    show: ShowId(40),
                    listener: ListenerId(household * 10 + listener),
                    household: HouseholdId(household),
                    agent,
                    ip_class: class,
                    ..ImpressionFact::default()
                };
                world.say(hours_ago, FactBody::Impression(ad));
            }
            Deed::Visit | Deed::Order | Deed::OrderElsewhere => {
                let kind = match deed {
                    Deed::Visit => SignalKind::PixelVisit,
                    _ => SignalKind::Order,
                };
                world.signal(hours_ago, kind, |signal| {
                    signal.household = HouseholdId(household);
                    signal.ip_class = class;
                    if matches!(deed, Deed::OrderElsewhere) {
                        signal.store = StoreId(31);
                    }
                    if !kind.is_visit() {
                        signal.order_id = ConversionId(100 + number as u64);
                    }
                });
            }
        }
    }
    world
}

const fn at(hours_ago: i64) -> EventTimeMs {
    EventTimeMs(NOON.0 - hours_ago * 3_600_000)
}

fn found(world: &World) -> Vec<History> {
    let mut found = world.ask(|known| {
        let dims = all_dims(known, Some(TENANT)).unwrap();
        let dims = &dims[&TENANT];
        let homes = Homes::read(known, dims, TENANT).unwrap();
        homes.histories(dims, SPRING).collect::<Vec<_>>()
    });
    for history in &mut found {
        history.downloads.sort_unstable();
        history.ads.sort_unstable();
        history.others.sort_unstable();
        history.visits.sort_unstable();
        history.conversions.sort_unstable();
    }
    found
}

fn found_chances(world: &World) -> Vec<Chances> {
    let mut found = world.ask(|known| {
        let dims = all_dims(known, Some(TENANT)).unwrap();
        let dims = &dims[&TENANT];
        let homes = Homes::read(known, dims, TENANT).unwrap();
        homes.chances(dims, SPRING).collect::<Vec<_>>()
    });
    for chances in &mut found {
        chances.ads.sort_unstable();
        chances.held_out.sort_unstable();
        chances.conversions.sort_unstable();
    }
    found
}

/// Deed by deed.
fn naively(done: &[Done]) -> Vec<(History, Chances)> {
    let is_drawn = |of: usize| {
        done.iter()
            .any(|it| matches!(it.3, Deed::HeldOut(_, line) if line == of))
    };
    let agents = |household: u64, day: Day| -> BTreeSet<u64> {
        let of_day = done
            .iter()
            .filter(|it| it.1 == household && at(it.0).day() == day);
        // A listener shows one agent a day; all its requests and ads are there already.
        let mut agents: BTreeMap<u64, BTreeSet<(i64, usize, u64)>> = BTreeMap::new();
        for (number, it) in of_day.enumerate() {
            let (listener, agent) = match it.3 {
                Deed::Download(listener) => (listener, 1 + listener),
                Deed::Ad(listener, _) | Deed::HeldOut(listener, _) => (listener, 1),
                _ => continue,
            };
            let order = (at(it.0).0, number, agent);
            agents.entry(listener).or_default().insert(order);
        }
        let first = agents.values().filter_map(|seen| seen.first());
        first.map(|(.., agent)| *agent).collect()
    };
    let homes: BTreeSet<u64> = done
        .iter()
        .filter(|it| matches!(it.3, Deed::Download(_) | Deed::Ad(..) | Deed::HeldOut(..)))
        .map(|it| it.1)
        .collect();
    let mut histories = Vec::new();
    for household in homes {
        let shared = |hours_ago: i64| agents(household, at(hours_ago).day()).len() > 2;
        // The first of a listener's day; of two at one time the one that was said first.
        let mut first: BTreeMap<(Day, u64, usize), (i64, bool)> = BTreeMap::new();
        let mut history = History {
            household,
            ..History::default()
        };
        let mut chances = Chances {
            household,
            ..Chances::default()
        };
        for &(ago, _, home, deed) in done.iter().filter(|it| it.1 == household) {
            let matched = home && !shared(ago);
            match deed {
                Deed::Download(listener) => {
                    let first = first.entry((at(ago).day(), listener, 9));
                    let first = first.or_insert((ago, home));
                    if ago > first.0 {
                        *first = (ago, home);
                    }
                }
                Deed::Ad(listener, line) | Deed::HeldOut(listener, line) => {
                    let held_out = 20 * usize::from(matches!(deed, Deed::HeldOut(..)));
                    let first = first.entry((at(ago).day(), listener, held_out + line));
                    let first = first.or_insert((ago, home));
                    if ago > first.0 {
                        *first = (ago, home);
                    }
                }
                Deed::Visit if matched => history.visits.push(at(ago).secs()),
                Deed::Order if matched => history.conversions.push(at(ago).secs()),
                _ => {}
            }
        }
        for ((_, listener, what), (ago, home)) in first {
            let (secs, matched) = (at(ago).secs(), home && !shared(ago));
            match what {
                0 | 3 => {
                    history.ads.push((secs, matched));
                    if is_drawn(what) {
                        chances.ads.push((secs, matched));
                    }
                }
                20 | 23 => chances.held_out.push((secs, matched)),
                1 => history.others.push(secs),
                2 | 21 | 22 => {}
                _ if matched => history.downloads.push((secs, household * 10 + listener)),
                _ => {}
            }
        }
        history.downloads.sort_unstable();
        history.ads.sort_unstable();
        history.others.sort_unstable();
        history.visits.sort_unstable();
        history.conversions.sort_unstable();
        chances.ads.sort_unstable();
        chances.held_out.sort_unstable();
        chances.conversions.clone_from(&history.conversions);
        histories.push((history, chances));
    }
    histories
}

fn deeds() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (0_u64..4).prop_map(Deed::Download),
        4 => (0_u64..2, 0_usize..4).prop_map(|(listener, line)| Deed::Ad(listener, line)),
        2 => (0_u64..2, 0_usize..4).prop_map(|(listener, line)| Deed::HeldOut(listener, line)),
        1 => Just(Deed::Visit),
        1 => Just(Deed::Order),
        1 => Just(Deed::OrderElsewhere),
    ]
}

proptest! {
    #[test]
    fn histories_are_what_the_households_did(
        done in proptest::collection::vec(
            (1_i64..400, 1_u64..5, proptest::bool::weighted(0.9), deeds()),
            0..60,
        ),
    ) {
        let (histories, chances): (Vec<_>, Vec<_>) = naively(&done).into_iter().unzip();
        let world = world(&done);
        prop_assert_eq!(found(&world), histories);
        prop_assert_eq!(found_chances(&world), chances);
    }
}

/// A hundred households download and hear the ad, a hundred only download; more of the former buy.
fn campaign() -> Vec<Done> {
    let mut done = Vec::new();
    for household in 1_u64..=200 {
        let hours_ago = 24 * 8 + (household % 40).cast_signed();
        done.push((hours_ago, household, true, Deed::Download(1)));
        if household <= 100 {
            done.push((hours_ago, household, true, Deed::Ad(1, 0)));
        }
        if household <= 30 || (101..=110).contains(&household) {
            done.push((24, household, true, Deed::Order));
        }
    }
    done
}

#[test]
fn the_lift_of_a_campaign_is_that_of_its_households() {
    let world = world(&campaign());
    let ask = |asked: &LiftAsked| world.ask(|known| lifts(known, asked, Some(TENANT)).unwrap());
    let mut asked = LiftAsked {
        from: None,
        to: None,
        window_days: Some(14),
        campaign: None,
        design: Design::Observational,
    };
    let all = ask(&asked);
    assert_eq!(all.rows.len(), 1, "one campaign was heard: {all:?}");
    let found = &all.rows[0];
    assert_eq!((found.lift.exposed, found.lift.controls), (100, 100));
    let after = found.lift.after.unwrap();
    let rates = (after.exposed, after.controls, after.difference);
    assert_eq!(rates, (300_000, 100_000, 200_000));
    assert_eq!(found.lift.before, None, "nobody bought before");
    asked.window_days = Some(5);
    assert_eq!(
        ask(&asked).rows[0].lift.after,
        None,
        "the orders came later"
    );
    asked.campaign = Some("no such campaign".to_owned());
    assert_eq!(ask(&asked).rows, []);
    asked.campaign = None;
    asked.from = Some(Day(NOON.day().0 - 3));
    assert_eq!(ask(&asked).rows, [], "nobody heard it first in these days");
    asked.to = Some(Day(NOON.day().0 - 4));
    let refused = world.ask(|known| lifts(known, &asked, None));
    assert!(matches!(refused, Err(NotCounted::Backwards { .. })));
}

/// Of the same households a hundred more that would have heard the ad, had a draw not held them out: as many of them buy as of
/// those that heard it.
#[test]
fn a_draw_compares_those_that_could_have_heard_it() {
    let mut done = campaign();
    for household in 201_u64..=300 {
        let hours_ago = 24 * 8 + (household % 40).cast_signed();
        done.push((hours_ago, household, true, Deed::HeldOut(1, 0)));
        if household <= 225 {
            done.push((24, household, true, Deed::Order));
        }
        if household > 290 {
            done.push((48, household, true, Deed::Ad(1, 0)));
        }
    }
    // Nobody drew who hears this line item.
    done.push((24 * 9, 150, true, Deed::Ad(1, 3)));
    let world = world(&done);
    let mut asked = LiftAsked {
        from: None,
        to: None,
        window_days: Some(14),
        campaign: None,
        design: Design::Randomised,
    };
    let ask = |asked: &LiftAsked| world.ask(|known| lifts(known, asked, Some(TENANT)).unwrap());
    let all = ask(&asked);
    assert_eq!(all.rows.len(), 1, "one campaign has a draw: {all:?}");
    let found = &all.rows[0].lift;
    assert_eq!((found.exposed, found.controls, found.later), (100, 100, 10));
    let after = found.after.unwrap();
    let rates = (after.exposed, after.controls, after.difference);
    assert_eq!(rates, (300_000, 250_000, 50_000));
    asked.design = Design::Observational;
    let observed = ask(&asked).rows[0].lift.clone();
    assert_eq!(observed.exposed, 101, "who was not drawn heard it too");
    asked.design = Design::Randomised;
    asked.from = Some(Day(NOON.day().0 - 3));
    assert_eq!(ask(&asked).rows, [], "their first chance came before");
}
