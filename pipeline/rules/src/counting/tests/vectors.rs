//! Filters, thresholds, versions and ads with answers written by hand.

use hostread_schemas::fact::RuleSetFact;

use super::*;

#[test]
fn needed_is_a_minute_of_audio_and_the_header() {
    assert_eq!(
        needed_bytes(&episode(148_213, 128_000, 2710, 43_508_213), 60),
        1_108_213
    );
    assert_eq!(needed_bytes(&episode(0, 1, 0, 0), 60), 8, "rounded up");
    assert_eq!(
        needed_bytes(&episode(20_480, 128_000, 45, 740_480), 60),
        740_480,
        "under 60 s"
    );
    assert_eq!(
        needed_bytes(&episode(20_480, 128_000, 60, 980_999), 60),
        980_480,
        "60 s"
    );
    assert_eq!(
        needed_bytes(&episode(98_304, 0, 1500, 21_585_417), 60),
        21_585_417,
        "no rate"
    );
    assert_eq!(needed_bytes(&episode(0, 0, 0, 0), 60), 1, "nothing known");
    assert_eq!(
        needed_bytes(&episode(0, 128_000, 0, 500_000), 60),
        500_000,
        "at most the size"
    );
    assert_eq!(
        needed_bytes(&episode(u64::MAX, u32::MAX, 0, 0), u32::MAX),
        u64::MAX
    );
    let vbr = |header, duration, size| EpisodeFact {
        vbr: true,
        ..episode(header, 128_000, duration, size)
    };
    assert_eq!(
        needed_bytes(&vbr(100, 700, 10_100), 60),
        100 + 858,
        "60 x 10,000 / 700, up"
    );
    assert_eq!(
        needed_bytes(&vbr(100, 0, 10_100), 60),
        10_100,
        "no duration"
    );
    assert_eq!(
        needed_bytes(&vbr(u64::MAX, 61, u64::MAX), u32::MAX),
        u64::MAX
    );
    assert_eq!(
        needed_bytes(&vbr(0, u32::MAX, u64::MAX), u32::MAX),
        u64::MAX
    );
}

#[test]
fn thresholds() {
    let world = World {
        episodes: vec![episode(148_213, 128_000, 2710, 43_508_213)],
        ..World::default()
    };
    let cases: &[(&str, &[(u64, u64)], usize)] = &[
        ("all", &[(0, 43_508_212)], 1),
        ("0-1 alone", &[(0, 1)], 0),
        ("0-1, then all", &[(0, 1), (0, 43_508_212)], 1),
        ("0-1, then the rest", &[(0, 1), (2, 43_508_212)], 1),
        ("0-0 alone", &[(0, 0)], 0),
        ("exactly the threshold", &[(0, 1_108_212)], 1),
        ("one byte less", &[(0, 1_108_211)], 0),
        ("a minute without the header", &[(0, 959_999)], 0),
        (
            "pieces",
            &[(0, 400_000), (400_001, 800_000), (800_001, 1_108_213)],
            1,
        ),
        (
            "pieces, last first",
            &[(800_001, 1_108_213), (0, 400_000), (400_001, 800_000)],
            1,
        ),
        (
            "overlaps are not summed",
            &[(0, 600_000), (0, 600_000), (100_000, 700_000)],
            0,
        ),
        ("skip ahead", &[(0, 300_000), (20_000_000, 21_000_000)], 1),
        ("nothing", &[], 0),
    ];
    for (name, ranges, downloads) in cases {
        let given = requests(ranges.iter().map(|range| request(range.0, range.1)));
        let day = count_listener_day(&given, false, &world);
        assert_eq!(day.downloads.len(), *downloads, "{name}");
        let counted = verdicts(&day).contains(&Verdict::Counted);
        assert_eq!(counted, *downloads == 1, "{name}");
    }
    let cut = |bytes: u64| RequestFact {
        status: 200,
        ..request(0, bytes - 1)
    };
    assert!(
        count_listener_day(&requests([cut(500_000)]), false, &world)
            .downloads
            .is_empty()
    );
    assert_eq!(
        count_listener_day(&requests([cut(3_000_000)]), false, &world)
            .downloads
            .len(),
        1
    );
}

#[test]
fn the_first_filter_that_says_no_is_the_verdict() {
    let rules = CompiledRules::compile(&RuleSetFact {
        nonhuman_nets: vec![NetId(66)],
        referrers_denied: vec![77],
        threshold_secs: 60,
        ..RuleSetFact::default()
    });
    let world = World {
        rules,
        episodes: vec![episode(0, 8, 0, 1000)],
        ..World::default()
    };
    // From the last filter to the first, each with what the ones before said no to.
    let good = request(0, 999);
    let referrer = RequestFact {
        referrer: 77,
        ..good
    };
    let probe = RequestFact {
        range_0_1: true,
        ..referrer
    };
    let network = RequestFact {
        net: NetId(66),
        ..probe
    };
    let vpn = RequestFact {
        ip_class: IpClass::Vpn,
        ..probe
    };
    let bot = RequestFact {
        agent: BOT,
        ..network
    };
    let watch = RequestFact {
        agent: WATCH,
        ..network
    };
    let nobody = RequestFact {
        agent: AgentId::NONE,
        ..network
    };
    let status = RequestFact {
        status: 304,
        ..nobody
    };
    let method = RequestFact {
        method: Method::Head,
        ..status
    };
    let elsewhere = RequestFact {
        enclosure: EnclosureId(1),
        ..method
    };
    let campus = RequestFact {
        ip_class: IpClass::Included,
        net: NetId(66),
        ..good
    };
    let prefix = RequestFact {
        source_kind: SourceKind::Prefix,
        range_0_1: true,
        ..good
    };
    let given = [
        elsewhere, method, status, nobody, watch, bot, vpn, network, probe, referrer, campus,
        prefix,
    ];
    let day = count_listener_day(&requests(given), false, &world);
    let expected = [
        (Verdict::NotAnEpisode, Evidence::None),
        (Verdict::Method, Evidence::Method(Method::Head)),
        (Verdict::Status, Evidence::Status(304)),
        (Verdict::NoUserAgent, Evidence::None),
        (Verdict::Watch, Evidence::None),
        (Verdict::BotUserAgent, Evidence::Pattern(PATTERN)),
        (Verdict::NonhumanIp, Evidence::IpClass(IpClass::Vpn)),
        (Verdict::NonhumanIp, Evidence::Net(NetId(66))),
        (Verdict::Range01, Evidence::None),
        (Verdict::Referrer, Evidence::Referrer(77)),
        (Verdict::Counted, Evidence::None),
        (Verdict::Counted, Evidence::None),
    ];
    let judged = day.verdicts.iter().map(|one| (one.verdict, one.evidence));
    assert!(judged.eq(expected), "{:?}", day.verdicts);
    assert_eq!(day.verdicts[0].episode, EpisodeId::NONE);
    assert_eq!(
        day.verdicts[1].episode, EPISODE,
        "the episode stands beside every other verdict"
    );
    assert_eq!(day.downloads[0].requests, 2);

    let strict = World {
        rules: CompiledRules::default_rules(),
        ..world
    };
    let day = count_listener_day(&requests([prefix]), false, &strict);
    assert_eq!(verdicts(&day), [Verdict::Range01]);
}

#[test]
fn ads_need_a_download_and_all_their_bytes() {
    let world = World {
        episodes: vec![episode(100_000, 128_000, 2000, 32_100_000)],
        slots: BTreeMap::from([(
            EPISODE,
            vec![
                slot(1, 100_000, 579_999),
                slot(2, 16_100_000, 17_059_999),
                slot(3, 7_000_000, 7_479_999),
                slot(4, 0, 0),
                slot(5, 3, 2),
                SlotFact {
                    removed: true,
                    ..slot(6, 0, 0)
                },
                slot(7, 0, 0),
            ],
        )]),
        lines: [1, 2, 3, 5, 6, 7]
            .map(|id| match id {
                7 => line(id, ControllingSource::Impressions),
                _ => line(id, ControllingSource::Bytes),
            })
            .to_vec(),
        ..World::default()
    };
    let cases: &[(&[(u64, u64)], usize, &[u64])] = &[
        (&[(0, 900_000)], 0, &[]),
        (&[(0, 1_059_999)], 1, &[1]),
        (&[(0, 8_024_999)], 1, &[1, 3]),
        (&[(0, 17_059_998)], 1, &[1, 3]),
        (&[(0, 17_059_999)], 1, &[1, 2, 3]),
        (&[(0, 99_999), (600_000, 2_000_000)], 1, &[]),
        (&[(0, 16_500_000), (16_500_002, 20_000_000)], 1, &[1, 3]),
        (
            &[
                (0, 16_500_000),
                (16_500_002, 20_000_000),
                (16_500_001, 16_500_001),
            ],
            1,
            &[1, 2, 3],
        ),
        (&[(0, 32_099_999), (0, 32_099_999)], 1, &[1, 2, 3]),
        (&[(16_100_000, 17_059_999)], 0, &[]),
    ];
    for (ranges, downloads, lines) in cases {
        let given = requests(ranges.iter().map(|range| request(range.0, range.1)));
        let day = count_listener_day(&given, false, &world);
        assert_eq!(day.downloads.len(), *downloads, "{ranges:?}");
        let delivered: Vec<u64> = day.deliveries.iter().map(|d| d.line.0).collect();
        assert_eq!(delivered, *lines, "{ranges:?}");
    }
    let whole = RequestFact {
        source_kind: SourceKind::Prefix,
        sent_bytes: 0,
        ..request(0, 0)
    };
    let day = count_listener_day(&requests([whole]), false, &world);
    assert_eq!(day.deliveries.len(), 4, "a prefix source: always");
    assert_eq!(day.downloads[0].union_bytes, 32_100_000);
    assert_eq!(day.deliveries[0].campaign, CampaignId(101));
}

#[test]
fn the_version_that_got_there_first_makes_the_download() {
    let mut catalog = episode(0, 8, 0, 1000);
    catalog.enclosures.push(EnclosureId(71));
    let world = World {
        episodes: vec![catalog],
        slots: BTreeMap::from([(EPISODE, vec![slot(1, 0, 49), slot(2, 100, 149)])]),
        lines: [1, 2].map(|id| line(id, ControllingSource::Bytes)).to_vec(),
        ..World::default()
    };
    let other = |first, last| RequestFact {
        enclosure: EnclosureId(71),
        ..request(first, last)
    };
    let longer = |first, last| RequestFact {
        total_bytes: 999,
        ..request(first, last)
    };
    // 60 bytes are needed. Halves of two versions do not join; the third of its kind decides.
    let given = requests([
        request(0, 29),
        longer(0, 49),
        other(100, 149),
        request(0, 49),
        other(150, 159),
        request(50, 99),
        other(0, 49),
    ]);
    let day = count_listener_day(&given, false, &world);
    assert_eq!(day.downloads.len(), 1);
    let download = day.downloads[0];
    assert_eq!(
        download.union_bytes, 110,
        "of the whole day, other versions left out"
    );
    assert_eq!((download.t0, download.requests), (EventTimeMs(0), 7));
    assert_eq!(
        day.deliveries.iter().map(|d| d.line.0).collect::<Vec<_>>(),
        [1, 2]
    );
    assert!(
        verdicts(&day)
            .iter()
            .all(|verdict| *verdict == Verdict::Counted)
    );
    let day = count_listener_day(&given[..4], false, &world);
    assert!(day.downloads.is_empty());
    // Each by the bytes of its own version.
    let (seen, needed) = (50, 60);
    let short = Evidence::Bytes { seen, needed };
    let judged = day.verdicts.iter().map(|one| (one.verdict, one.evidence));
    assert!(
        judged.eq([(Verdict::BelowThreshold, short); 4]),
        "{:?}",
        day.verdicts
    );
}

fn ads_delivered(ads: &[ImpressionFact], world: &World) -> Vec<Delivery> {
    let given = in_order(ads.iter().copied().map(Exposure::Impression));
    count_listener_day(&given, false, world).deliveries
}

#[test]
fn impressions_count_for_the_lines_that_they_control() {
    let lines = vec![
        line(1, ControllingSource::Impressions),
        line(2, ControllingSource::Bytes),
    ];
    let known = World {
        episodes: vec![episode(0, 8, 0, 1000)],
        lines,
        ..World::default()
    };
    assert_eq!(ads_delivered(&[ad(1)], &known), [], "no download that day");
    let get = Exposure::Request(RequestFact {
        ip_class: IpClass::Office,
        ..request(0, 99)
    });
    let with =
        count_listener_day(&in_order([Exposure::Impression(ad(1)), get]), false, &known).deliveries;
    let expected = Delivery {
        line: LineId(1),
        campaign: CampaignId(101),
        episode: EPISODE,
        show: ShowId(1),
        time: EventTimeMs(1000),
        household: HouseholdId(5),
        ip_class: IpClass::Office,
    };
    assert_eq!(with, [expected], "time, show and class are the download's");

    let unknown = World {
        episodes: Vec::new(),
        ..known
    };
    let confirmed = ImpressionFact {
        kind: ImpressionKind::ClientConfirmed,
        ..ad(1)
    };
    let refused = [
        ad(2),
        ad(3),
        confirmed,
        ImpressionFact {
            agent: BOT,
            ..ad(1)
        },
        ImpressionFact {
            agent: WATCH,
            ..ad(1)
        },
        ImpressionFact {
            agent: AgentId::NONE,
            ..ad(1)
        },
        ImpressionFact {
            ip_class: IpClass::DataCentre,
            ..ad(1)
        },
    ];
    assert_eq!(ads_delivered(&refused, &unknown), []);
    let later_show = ImpressionFact {
        show: ShowId(2),
        ..ad(1)
    };
    let first = ads_delivered(&[confirmed, ad(1), later_show], &unknown);
    let expected = Delivery {
        show: ShowId(9),
        ip_class: IpClass::Residential,
        ..expected
    };
    assert_eq!(first, [expected], "one, from the first");

    // The catalog names the episode but no address of it: nobody can download it.
    let bare = EpisodeFact {
        enclosures: Vec::new(),
        ..episode(0, 0, 0, 0)
    };
    let bare = World {
        episodes: vec![bare],
        ..unknown
    };
    assert_eq!(ads_delivered(&[confirmed, ad(1)], &bare), [expected]);
}

/// Definition 3: an address over its volume loses its downloads and what hangs on them; included ones do not.
#[test]
fn over_volume() {
    let world = World {
        rules: CompiledRules::compile(&RuleSetFact {
            threshold_secs: 60,
            ip_volume_downloads_max: 100,
            ..RuleSetFact::default()
        }),
        episodes: vec![episode(148_213, 128_000, 2710, 43_508_213)],
        ..World::default()
    };
    for (class, lost) in [(IpClass::Residential, true), (IpClass::Included, false)] {
        let whole = RequestFact {
            ip_class: class,
            ..request(0, 43_508_212)
        };
        let given = requests([whole, request(0, 1)]);
        let day = count_listener_day(&given, true, &world);
        assert_eq!(day.volume, u32::from(lost), "{class:?}");
        assert_eq!(day.downloads.is_empty(), lost, "{class:?}");
        let judged = if lost {
            (Verdict::IpVolume, Evidence::DownloadsMax(100))
        } else {
            (Verdict::Counted, Evidence::None)
        };
        let first = day.verdicts[0];
        assert_eq!((first.verdict, first.evidence), judged, "{class:?}");
    }
}
