#![allow(clippy::unwrap_used, reason = "tests panic")]

use hostread_schemas::fact::{FactBody, ImpressionFact, LineFact, SignalKind};
use hostread_schemas::unit::HOUR_MS;
use hostread_schemas::{
    AgentId, BrandId, ConversionId, EventTimeMs, HouseholdId, LineId, ListenerId, MoneyMicros,
};
use proptest::prelude::*;

use super::*;
use crate::testing::{NOON, World};

const LINES: [u64; 2] = [60, 61];
const CAMPAIGNS: [CampaignId; 2] = [CampaignId(20), CampaignId(21)];
const VALUE: i64 = 7_000_001;

/// By how many hours before noon it was: household, line item and episode.
type Ads = BTreeMap<i64, (u64, usize, u64)>;
/// How many hours before noon, and the household.
type Orders = Vec<(i64, u64)>;
/// Conversions, touches, credit and money of a campaign's episode.
type Found = BTreeMap<(CampaignId, u64), [i64; 4]>;

fn world(ads: &Ads, orders: &Orders) -> World {
    let mut world = World::new(|_| {}).with_store();
    world.say(900, FactBody::Campaign(CAMPAIGNS[1], BrandId(10)));
    for (line, campaign) in LINES.into_iter().zip(CAMPAIGNS) {
        let fact = LineFact {
            line: LineId(line),
            campaign,
            ..world.line.clone()
        };
        world.say(900, FactBody::Line(fact));
    }
    for (hours_ago, (household, line, episode)) in ads {
        let ad = ImpressionFact {
            line: LineId(LINES[*line]),
            show: ShowId(40),
            episode: EpisodeId(*episode),
            listener: ListenerId(*household),
            household: HouseholdId(*household),
            agent: AgentId(1),
            ..ImpressionFact::default()
        };
        world.say(*hours_ago, FactBody::Impression(ad));
    }
    for (number, (hours_ago, household)) in orders.iter().enumerate() {
        world.signal(*hours_ago, SignalKind::Order, |signal| {
            signal.order_id = ConversionId(100 + number as u64);
            signal.household = HouseholdId(*household);
            signal.value = MoneyMicros(VALUE);
            signal.has_value = true;
        });
    }
    world
}

/// The names of episodes are not known in these worlds: what is summed, by their ids.
fn found(world: &World, model: Model) -> Found {
    world.ask(|known| {
        let dims = all_dims(known, None).unwrap();
        let (tenant, dims) = dims.first_key_value().unwrap();
        let sales = Sales::read(known, dims, *tenant).unwrap();
        let mut sums = Sums::new();
        for made in &sales.merging.merged {
            add(&sales, made.conversion.as_ref().unwrap(), model, &mut sums);
        }
        let found = sums.into_iter().map(|((campaign, _, episode, _), it)| {
            let sum = [it.conversions, it.touches, it.credit, it.money];
            ((campaign, episode.0), sum)
        });
        found.collect()
    })
}

/// Order by order: the ads of its household before it, of each day, line item and episode the first.
fn naively(ads: &Ads, orders: &Orders, model: Model) -> Found {
    let mut found = Found::new();
    for (hours_ago, household) in orders {
        let mut path: Vec<(usize, u64)> = Vec::new();
        let mut once = BTreeSet::new();
        for (ago, (of, line, episode)) in ads.iter().rev() {
            let day = EventTimeMs(NOON.0 - ago * HOUR_MS).day();
            let first = of == household && once.insert((day, *line, *episode));
            if first && ago >= hours_ago {
                path.push((*line, *episode));
            }
        }
        let touches = path.len() as i64;
        let mut on_path = BTreeSet::new();
        for (at, (line, episode)) in (0_i64..).zip(path) {
            let share = |amount: i64| match model {
                Model::Last => i64::from(at == touches - 1) * amount,
                _ => amount / touches + i64::from(at < amount % touches),
            };
            let sum = found.entry((CAMPAIGNS[line], episode)).or_default();
            sum[0] += i64::from(on_path.insert((line, episode)));
            sum[1] += 1;
            sum[2] += share(1_000_000);
            sum[3] += share(VALUE);
        }
    }
    found
}

proptest! {
    #[test]
    fn an_episode_has_what_its_touches_have(
        ads in proptest::collection::btree_map(1_i64..400, (1_u64..4, 0_usize..2, 1_u64..4), 0..40),
        orders in proptest::collection::vec((1_i64..400, 1_u64..4), 0..6),
    ) {
        let world = world(&ads, &orders);
        for model in [Model::Linear, Model::Last] {
            prop_assert_eq!(found(&world, model), naively(&ads, &orders, model));
        }
    }
}

#[test]
fn a_period_and_a_campaign_can_be_asked_for() {
    let ads = Ads::from([(50, (1, 0, 1)), (40, (1, 1, 2))]);
    let world = world(&ads, &vec![(1, 1), (30, 1)]);
    let ask = |days_ago: Option<i32>, campaign: Option<&str>| {
        let asked = EpisodesAsked {
            model: Model::Linear,
            from: days_ago.map(|days| Day(NOON.day().0 - days)),
            to: None,
            campaign: campaign.map(str::to_owned),
        };
        let rows = world.ask(|known| episodes(known, &asked, None).unwrap().rows);
        rows.iter().map(|row| row.credit).sum::<i64>()
    };
    assert_eq!(ask(None, None), 2_000_000);
    assert_eq!(ask(Some(0), None), 1_000_000, "the order of today");
    assert_eq!(ask(None, Some("nobody's")), 0);
}
