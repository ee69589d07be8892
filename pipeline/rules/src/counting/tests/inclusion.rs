//! The inclusion list of a rule set: before every class and list of networks, by the UTC day of the request (definition 3).

use hostread_schemas::Day;
use hostread_schemas::fact::{IncludedFact, RuleSetFact};

use super::*;

/// Network 66 is listed as no person's, and let in on day 1; address 5 on day 2.
fn world() -> World {
    let let_in = |day, nets, addresses| IncludedFact {
        from: Day(day),
        expires: Day(day + 1),
        nets,
        addresses,
    };
    World {
        rules: CompiledRules::compile(&RuleSetFact {
            threshold_secs: 60,
            nonhuman_nets: vec![NetId(66)],
            ip_volume_downloads_max: 1,
            included: vec![
                let_in(1, vec![NetId(66)], Vec::new()),
                let_in(2, Vec::new(), vec![HouseholdId(5)]),
            ],
            ..RuleSetFact::default()
        }),
        episodes: vec![episode(0, 8, 0, 1000)],
        ..World::default()
    }
}

fn on(day: i32, exposure: Exposure) -> Vec<Given> {
    vec![(Day(day).start(), EventId::from(9), exposure)]
}

#[test]
fn an_included_address_is_let_in_on_its_days_whatever_its_class() {
    let world = world();
    let judged = |day, ip_class, net, household| {
        let request = RequestFact {
            ip_class,
            net: NetId(net),
            household: HouseholdId(household),
            ..request(0, 999)
        };
        let given = on(day, Exposure::Request(request));
        let alone = filtered(given[0].0, &request, &world);
        let counted = count_listener_day(&given, true, &world);
        let download = counted.downloads.first().map(|download| download.ip_class);
        let one = counted.verdicts[0];
        if one.verdict == Verdict::NonhumanIp {
            assert_eq!(alone, Verdict::NonhumanIp);
        }
        (one.verdict, one.evidence, counted.volume, download)
    };
    let class = |class| (Verdict::NonhumanIp, Evidence::IpClass(class), 0, None);
    let net = (Verdict::NonhumanIp, Evidence::Net(NetId(66)), 0, None);
    let let_in = |class| (Verdict::Counted, Evidence::None, 0, Some(class));
    let limited = (Verdict::IpVolume, Evidence::DownloadsMax(1), 1, None);
    for (day, ip_class, of_net, address, expected) in [
        (0, IpClass::Vpn, 66, 5, class(IpClass::Vpn)),
        (1, IpClass::Vpn, 66, 5, let_in(IpClass::Vpn)),
        (2, IpClass::Vpn, 66, 5, let_in(IpClass::Vpn)),
        (3, IpClass::Vpn, 66, 5, class(IpClass::Vpn)),
        (2, IpClass::DataCentre, 66, 6, class(IpClass::DataCentre)),
        (0, IpClass::Residential, 66, 5, net),
        (1, IpClass::Residential, 66, 6, let_in(IpClass::Residential)),
        (2, IpClass::Office, 66, 5, let_in(IpClass::Office)),
        (1, IpClass::Residential, 67, 5, limited),
        (2, IpClass::Residential, 67, 5, let_in(IpClass::Residential)),
        (0, IpClass::Included, 66, 5, let_in(IpClass::Included)),
    ] {
        let found = judged(day, ip_class, of_net, address);
        assert_eq!(found, expected, "day {day} {ip_class:?} {of_net} {address}");
    }
}

#[test]
fn an_impression_from_an_included_address_is_a_persons() {
    let lines = vec![line(1, ControllingSource::Impressions)];
    let bare = EpisodeFact {
        enclosures: Vec::new(),
        ..episode(0, 8, 0, 1000)
    };
    let world = World {
        lines,
        episodes: vec![bare],
        ..world()
    };
    let delivered = |day, net| {
        let ad = ImpressionFact {
            ip_class: IpClass::DataCentre,
            net: NetId(net),
            household: HouseholdId(6),
            ..ad(1)
        };
        let counted = count_listener_day(&on(day, Exposure::Impression(ad)), false, &world);
        counted.deliveries.first().map(|ad| ad.ip_class)
    };
    assert_eq!(delivered(0, 66), None);
    assert_eq!(
        delivered(1, 66),
        Some(IpClass::DataCentre),
        "a touch keeps the class that it came with"
    );
    assert_eq!(delivered(1, 67), None);
}
