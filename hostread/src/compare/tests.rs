#![allow(clippy::unwrap_used, reason = "tests panic")]
use super::*;
use crate::count::{AddressClasses, Log, Reader, count_logs};
use hostread_connectors_kit::IpRanges;
use hostread_rules::document::shipped;
use hostread_schemas::event::IpClass;
use proptest::prelude::*;

use super::average::PARTS;

/// Two episodes of 100 s at 80 bit/s behind 50 bytes: 650 bytes are a minute.
const CATALOG: &str = r#"{"episodes": [
    {"id": "one", "path": "/one.mp3", "size_bytes": 1050, "id3_bytes": 50, "bit_rate": 80, "seconds": 100},
    {"id": "two", "path": "/two.mp3", "size_bytes": 1050, "id3_bytes": 50, "bit_rate": 80, "seconds": 100}]}"#;

fn ours() -> Way {
    Way {
        rules: "2.2".to_owned(),
        document: shipped("2.2").unwrap(),
        agents: AgentPatterns {
            bots: vec!["^Bot".to_owned()],
            ..AgentPatterns::default()
        },
        nonhuman: vec!["203.0.113.0/30".to_owned()],
        window: Window::Calendar,
        zone: "UTC".to_owned(),
        byte_rule: true,
    }
}

/// Differs from ours in everything.
fn theirs() -> Way {
    let mut document = shipped("2.2").unwrap();
    document.threshold_secs = 30;
    document.ip_volume_downloads_max = 2;
    Way {
        document,
        agents: AgentPatterns::default(),
        nonhuman: vec!["203.0.113.5".to_owned()],
        window: Window::LastTouch,
        zone: "America/New_York".to_owned(),
        ..ours()
    }
}

fn addresses(way: &Way) -> AddressClasses {
    let ranges = way.nonhuman.iter();
    let ranges = ranges.map(|range| (IpClass::DataCentre, range.as_str()));
    IpRanges::new(ranges).unwrap().into()
}

fn rules(way: &Way) -> hostread_rules::CompiledRules {
    count::rules(&way.document, way.agents.clone())
}

fn settings(way: &Way) -> Settings {
    Settings {
        rules: way.rules.clone(),
        window: way.window,
        zone: way.zone.clone(),
        mapping: None,
        log: LogSettings {
            source_kind: SourceKind::Cdn,
            stitched: false,
        },
    }
}

fn with_log<T>(log: &str, with: impl FnOnce(&[Log<'_>]) -> T) -> T {
    let open = || -> anyhow::Result<Box<dyn std::io::BufRead + Send>> {
        Ok(Box::new(std::io::Cursor::new(log.as_bytes().to_vec())))
    };
    with(&[&open])
}

fn read(log: &str, ways: &[Way; 2]) -> Requests {
    let [ours, theirs] = ways;
    let catalog = Catalog::read(CATALOG.as_bytes(), rules(ours)).unwrap();
    let reader = Reader::new(settings(ours).log, None);
    let addresses = [addresses(ours), addresses(theirs)];
    let read = with_log(log, |logs| {
        Requests::read(2, logs, &reader, &addresses, &catalog).unwrap()
    });
    read.0
}

fn counts(ways: [Way; 2], log: &str, other: Option<&str>) -> Counts {
    let catalog = Catalog::read(CATALOG.as_bytes(), rules(&ways[0])).unwrap();
    let (ours, theirs) = (read(log, &ways), other.map(|log| read(log, &ways)));
    Counts::new(2, ways, &catalog, ours, theirs)
}

/// What `hostread count` says.
fn counted(way: &Way, log: &str) -> Downloads {
    let catalog = Catalog::read(CATALOG.as_bytes(), rules(way)).unwrap();
    let ranges = way.nonhuman.iter();
    let ranges = ranges.map(|range| (IpClass::DataCentre, range.as_str()));
    let ranges = IpRanges::new(ranges).unwrap();
    let mut counter = Counter::new(settings(way), catalog, ranges, 1);
    let (others, _) = with_log(log, |logs| count_logs(&mut counter, 1, logs).unwrap());
    let (report, _) = counter.finish(others, false);
    let episodes = report.episodes.into_iter().enumerate();
    let days = episodes.flat_map(|(at, episode)| {
        let days = episode.by_day.into_iter();
        days.map(move |(day, downloads)| ((at, day), downloads))
    });
    days.collect()
}

const BY: By = By {
    episode: true,
    day: true,
};

fn line(ip: u8, hour: u32, episode: &str, bytes: u64, agent: &str) -> String {
    let (day, hour) = (9 + hour / 24, hour % 24);
    format!(
        "203.0.113.{ip} - - [{day:02}/Nov/2026:{hour:02}:00:00 +0000] \"GET /{episode}.mp3 HTTP/1.1\" 200 {bytes} \"-\" \"{agent}\"\n"
    )
}

fn any_log() -> impl Strategy<Value = String> {
    let agent = prop_oneof![3 => Just("A"), 2 => Just("B"), 1 => Just("Bot/1")];
    let episode = prop_oneof![Just("one"), Just("two"), Just("none")];
    let bytes = prop_oneof![Just(100_u64), Just(400), Just(700), Just(1050)];
    let line = (1..8_u8, 0..72_u32, episode, bytes, agent)
        .prop_map(|(ip, hour, episode, bytes, agent)| line(ip, hour, episode, bytes, agent));
    prop::collection::vec(line, 1..40).prop_map(|lines| lines.concat())
}

fn sums(downloads: &Downloads) -> i64 {
    downloads.values().sum::<u64>() as i64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    /// Both ends are what `count` says of each log by itself, and the parts are all of the gap, group by group.
    #[test]
    fn the_parts_sum_to_the_gap_of_two_counts(log in any_log(), other in any_log()) {
        let ways = [ours(), theirs()];
        let gap = counts(ways.clone(), &log, Some(&other)).gap(BY);
        prop_assert_eq!(gap.heads.len(), Component::ALL.len());
        let (a, b) = (counted(&ways[0], &log), counted(&ways[1], &other));
        for (group, row) in &gap.rows {
            let key = (group.0.unwrap(), group.1.clone().unwrap());
            let of = |downloads: &Downloads| downloads.get(&key).copied().unwrap_or(0) as i64;
            prop_assert_eq!((row.ours, row.theirs), (of(&a), of(&b)));
            prop_assert_eq!(row.parts.iter().sum::<i64>(), row.gap() * PARTS);
            prop_assert_eq!(row.unexplained(), 0);
        }
        let whole = gap.whole();
        prop_assert_eq!((whole.ours, whole.theirs), (sums(&a), sums(&b)));
    }

    /// What is switched alone is all of the gap: each switch is its component and nothing else.
    #[test]
    fn a_component_alone_is_the_whole_gap(log in any_log(), which in 0..4_usize) {
        let mut one = ours();
        let other = theirs();
        match which {
            0 => one.window = other.window,
            1 => one.zone = other.zone,
            2 => one.document.threshold_secs = 30,
            _ => {
                one.agents = other.agents;
                one.nonhuman = other.nonhuman;
            }
        }
        let ways = [ours(), one];
        let gap = counts(ways.clone(), &log, None).gap(BY);
        let keys: Vec<&str> = gap.heads.iter().map(|head| head.key).collect();
        prop_assert_eq!(keys, [["window", "zone", "bytes", "lists"][which]]);
        let difference = sums(&counted(&ways[1], &log)) - sums(&counted(&ways[0], &log));
        prop_assert_eq!(gap.whole().parts, [difference * PARTS]);
    }

    #[test]
    fn the_same_log_has_nothing_of_its_own(log in any_log()) {
        let gap = counts([ours(), ours()], &log, Some(&format!("{log}{log}"))).gap(BY);
        prop_assert_eq!(gap.whole().only, [0, 0]);
        prop_assert_eq!(gap.whole().gap(), 0);
    }
}

#[test]
fn requests_of_one_log_only_are_counted_by_group() {
    let ways = [ours(), ours()];
    let both = [
        line(9, 1, "one", 1050, "A"),
        line(9, 2, "one", 1050, "A"),
        line(8, 1, "two", 1050, "A"),
    ];
    let [a, b, c] = both.each_ref().map(String::as_str);
    let other_bytes = line(8, 1, "two", 1049, "A");
    let unknown = line(8, 1, "three", 1050, "A");
    let ours = [a, b, c, &unknown].concat();
    let theirs = [b, a, b, &other_bytes].concat();
    let gap = counts(ways, &ours, Some(&theirs)).gap(By {
        episode: true,
        day: false,
    });
    let only: Vec<(usize, [u64; 2])> = gap
        .rows
        .iter()
        .map(|(group, row)| (group.0.unwrap(), row.only))
        .collect();
    assert_eq!(only, [(0, [0, 0]), (1, [1, 1])]);
}

#[test]
fn a_spreadsheet_runs_no_name_and_keeps_signs() {
    let log = line(9, 1, "one", 1050, "A");
    let gap = counts([ours(), ours()], "", Some(&log)).gap(By {
        episode: true,
        day: false,
    });
    let episodes = ["=1+1".to_owned(), "two, too".to_owned()];
    let [ours, theirs] = [described(&ours()), described(&ours())];
    let comparison = Comparison {
        gap: &gap,
        episodes: &episodes,
        sides: [ours.0, theirs.0],
        said: [ours.1, theirs.1],
        controlling: Side::Ours,
        outcome: None,
    };
    let csv = comparison.csv().unwrap();
    let row = csv.lines().find(|line| line.starts_with("'=1+1,0,1,1,"));
    assert!(row.is_some(), "{csv}");
    let swapped = counts([super::tests::ours(), super::tests::ours()], &log, Some(""));
    let gap = swapped.gap(By {
        episode: true,
        day: false,
    });
    let csv = Comparison {
        gap: &gap,
        ..comparison
    }
    .csv()
    .unwrap();
    assert!(csv.contains("\n'=1+1,1,0,-1,-100.0,"), "{csv}");
}

/// A log with whole seconds cannot tell requests of one second apart.
#[test]
fn times_are_compared_within_the_coarser_resolution() {
    let fine = |ms: &str| {
        let rest = "\"ClientIP\":\"203.0.113.9\",\"ClientRequestMethod\":\"GET\",\"ClientRequestURI\":\"/one.mp3\",\
                    \"ClientRequestUserAgent\":\"A\",\"EdgeResponseStatus\":200,\"EdgeResponseBodyBytes\":1050";
        format!("{{\"EdgeStartTimestamp\":\"2026-11-09T01:00:00.{ms}Z\",{rest}}}\n")
    };
    let only = |a: &str, b: &str| {
        let gap = counts([ours(), ours()], a, Some(b)).gap(BY);
        gap.whole().only
    };
    let coarse = line(9, 1, "one", 1050, "A");
    assert_eq!(only(&coarse, &coarse), [0, 0]);
    assert_eq!(only(&coarse, &fine("400")), [0, 0]);
    assert_eq!(only(&fine("400"), &fine("400")), [0, 0]);
    assert_eq!(only(&fine("400"), &fine("500")), [1, 1]);
}

#[test]
fn near_is_five_percent_of_the_controlling_count() {
    let row = |ours, theirs| gap::Row {
        ours,
        theirs,
        ..gap::Row::default()
    };
    assert!(row(100, 105).near(Side::Ours) && row(100, 95).near(Side::Ours));
    assert!(!row(100, 106).near(Side::Ours) && !row(1000, 1051).near(Side::Ours));
    assert!(!row(100, 95).near(Side::Theirs) && row(100, 105).near(Side::Theirs));
    assert!(row(0, 0).near(Side::Ours) && !row(0, 1).near(Side::Ours));
    assert_eq!(row(100, 95).permille(Side::Theirs), Some(-53));
    assert_eq!(row(1000, 1001).permille(Side::Ours), Some(1));
    assert_eq!(row(0, 1).permille(Side::Ours), None);
}
