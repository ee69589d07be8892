#![allow(clippy::unwrap_used, reason = "tests panic")]

use super::*;

#[test]
fn everything_happens_before_the_last_second() {
    for seed in 0..4 {
        let world = World::new(WorldConfig {
            listeners: 80,
            ..WorldConfig::demo(seed)
        });
        for tenant in &world.tenants {
            let all = tenant.requests.iter().map(|r| r.secs);
            let all = all.chain(tenant.impressions.iter().map(|i| i.secs));
            let all = all.chain(tenant.pixels.iter().map(|p| p.secs));
            let all = all.chain(tenant.redemptions.iter().map(|r| r.secs));
            let all = all.chain(tenant.webhooks.iter().map(|w| w.secs));
            for secs in all {
                assert!(
                    (tenant.first_secs..tenant.last_secs).contains(&secs),
                    "{secs}"
                );
            }
        }
    }
}

#[test]
fn no_two_touches_of_a_household_and_brand_share_a_second() {
    let world = World::new(WorldConfig::demo(5));
    for tenant in &world.tenants {
        for home in &tenant.homes {
            let mut seen = BTreeSet::new();
            for touch in &home.touches {
                let brand = tenant.catalog.lines[touch.line].brand();
                assert!(seen.insert((touch.secs, brand)), "{touch:?}");
            }
        }
    }
}

#[test]
fn offices_and_campuses_are_shared() {
    let world = World::new(WorldConfig::demo(6));
    let tenant = &world.tenants[0];
    let of = |prefix: &str| {
        let homes = tenant.homes.iter();
        homes
            .filter(|home| home.agents.first().is_some_and(|a| a.starts_with(prefix)))
            .collect::<Vec<&Home>>()
    };
    for home in of("OfficePlayer").into_iter().chain(of("CampusPlayer")) {
        assert!(!home.touches.is_empty());
        assert!(home.touches.iter().all(|touch| home.shared(touch.secs)));
    }
    assert!(!tenant.homes[0].shared(tenant.first_secs));
}
