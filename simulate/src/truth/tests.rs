#![allow(clippy::unwrap_used, reason = "tests panic")]

use hostread_schemas::view::Verdict;

use super::*;
use crate::credit::WHOLE;
use crate::world::WorldConfig;

fn truth(seed: u64) -> Truth {
    Truth::of(&World::new(WorldConfig::demo(seed)))
}

#[test]
fn every_matched_conversion_is_one_in_every_model() {
    for seed in 0..5 {
        let truth = truth(seed);
        let mut money = 0;
        let mut matched = 0;
        for order in &truth.orders {
            if order.path.is_empty() {
                continue;
            }
            matched += 1;
            money += order.value_micros;
            for model in Model::ALL {
                let sums = order.path.iter().map(|touch| touch.credit(model));
                let sums = sums.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
                assert_eq!(sums, (WHOLE, order.value_micros), "{order:?}");
            }
            assert!(order.path.is_sorted_by_key(|touch| touch.secs), "{order:?}");
            assert!(order.value_micros >= 0 && order.refunded_micros >= 0);
        }
        for model in Model::ALL {
            let rows = truth.attribution.iter();
            let rows = rows.filter(|((_, _, name), _)| name == model.as_str());
            let sums = rows.fold((0, 0), |a, (_, b)| (a.0 + b.0, a.1 + b.1));
            assert_eq!(sums, (matched * WHOLE, money));
        }
        let told: i64 = truth.conversions.values().map(|count| count.1).sum();
        assert_eq!(told, matched);
    }
}

#[test]
fn sums_of_different_tables_agree() {
    for seed in 0..5 {
        let world = World::new(WorldConfig::demo(seed));
        let truth = Truth::of(&world);
        let requests: i64 = truth.verdicts.values().sum();
        assert_eq!(requests, world.requests() as i64);
        for ((tenant, line), (delivered, _, _)) in &truth.pacing {
            let days = truth.deliveries.iter();
            let days = days.filter(|((t, l, _), _)| t == tenant && l == line);
            assert_eq!(
                days.map(|(_, (_, billable))| billable).sum::<i64>(),
                *delivered
            );
        }
        for ((_, _, _), (delivered, billable)) in &truth.deliveries {
            assert!(billable <= delivered);
        }
    }
}

/// Every world has something of everything: otherwise equal numbers would prove little.
#[test]
fn a_world_has_something_of_everything() {
    for seed in 0..5 {
        let truth = truth(seed);
        let acme = |verdict: Verdict| {
            let key = ("acme-network".to_owned(), verdict.as_str().to_owned());
            truth.verdicts.get(&key).copied().unwrap_or(0)
        };
        for verdict in Verdict::ALL {
            assert!(acme(verdict) > 3, "{verdict:?}");
        }
        let states: BTreeSet<&str> = truth.pacing.values().map(|row| row.2.as_str()).collect();
        for state in ["none", "under", "at_risk", "on_track", "over", "stalled"] {
            assert!(states.contains(state), "{states:?}");
        }
        for kind in ["order", "redemption", "pixel_purchase", "pixel_lead"] {
            let key = ("acme-network".to_owned(), kind.to_owned());
            let (all, matched) = truth.conversions[&key];
            assert!(matched > 2 && matched <= all, "{kind} {matched}");
        }
        let flagged = |series: &str| {
            let mut flags = truth.anomalies.iter();
            flags.any(|(tenant, name, _)| tenant == "acme-network" && name.starts_with(series))
        };
        assert!(flagged("show:daily-brew") && flagged("campaign:fern-indoor"));
        assert!(truth.orders.iter().any(|order| order.refunded_micros > 0));
        assert!(truth.orders.iter().any(|order| order.path.len() > 3));
        assert!(truth.billing.len() >= 8, "{:?}", truth.billing);
        let unbilled = truth
            .deliveries
            .values()
            .filter(|(all, billable)| billable < all);
        assert!(unbilled.count() > 3);
    }
}

#[test]
fn the_demo_is_of_the_promised_size() {
    for seed in [1, 2, 3, 99] {
        let requests = World::new(WorldConfig::demo(seed)).requests();
        assert!((15_000..=25_000).contains(&requests), "{requests}");
    }
}

#[test]
fn the_truth_reads_back() {
    let truth = Truth::of(&World::new(WorldConfig {
        listeners: 40,
        ..WorldConfig::demo(3)
    }));
    let text = serde_json::to_string(&truth).unwrap();
    assert_eq!(serde_json::from_str::<Truth>(&text).unwrap(), truth);
}

#[test]
fn worlds_of_any_size_can_be_made() {
    for (seed, (days, listeners, shows)) in [
        (1, 1, 1),
        (1, 0, 0),
        (2, 30, 8),
        (3, 5, 2),
        (40, 20, 3),
        (60, 4, 20),
    ]
    .iter()
    .enumerate()
    {
        let world = World::new(WorldConfig {
            days: *days,
            listeners: *listeners,
            shows: *shows,
            ..WorldConfig::demo(seed as u64)
        });
        let truth = Truth::of(&world);
        assert_eq!(truth.clock_end_ms, world.clock_end().0);
    }
}
