#![allow(clippy::unwrap_used, reason = "tests panic")]
use super::*;
use hostread_connectors::lines::{Blocks, LineAt};
use hostread_connectors_kit::IpRanges;
use hostread_schemas::event::SourceKind;
use proptest::prelude::*;

/// One episode of 100 s at 80 bit/s behind 50 bytes, published on the 8th at 22:00, with an ad in bytes 100 to 199.
const CATALOG: &str = r#"{"episodes": [{"id": "one", "path": "/one.mp3", "size_bytes": 1050, "id3_bytes": 50,
    "bit_rate": 80, "seconds": 100, "published_at": "2026-11-08T22:00:00Z",
    "ads": [{"kind": "pre", "first_byte": 100, "last_byte": 199}]}]}"#;
/// Header and 60 s.
const NEEDED: u64 = 650;

/// Those of IAB 2.2.
fn iab(bots: Vec<String>) -> CompiledRules {
    let document = hostread_rules::document::shipped("2.2").unwrap();
    rules(&document, of_bots(bots))
}

fn of_bots(bots: Vec<String>) -> AgentPatterns {
    AgentPatterns {
        bots,
        ..AgentPatterns::default()
    }
}

fn zoned(zone: &str, source_kind: SourceKind) -> Settings {
    Settings {
        rules: "2.2".to_owned(),
        window: Window::Calendar,
        zone: zone.to_owned(),
        mapping: None,
        log: LogSettings {
            source_kind,
            stitched: false,
        },
    }
}

fn within(window: Window) -> Settings {
    let zoned = zoned("UTC", SourceKind::Cdn);
    Settings { window, ..zoned }
}

fn utc() -> Settings {
    zoned("UTC", SourceKind::Cdn)
}

fn with_catalog(settings: Settings) -> Counter {
    let bots = vec!["^Bot".to_owned()];
    let catalog = Catalog::read(CATALOG.as_bytes(), iab(bots)).unwrap();
    Counter::new(settings, catalog, IpRanges::default(), 3)
}

/// By three threads.
fn report(mut counter: Counter, logs: &[impl AsRef<[u8]>]) -> Report {
    let open = |log: &[u8]| -> anyhow::Result<Box<dyn std::io::BufRead + Send>> {
        Ok(Box::new(std::io::Cursor::new(log.to_vec())))
    };
    let opened: Vec<_> = logs.iter().map(|log| move || open(log.as_ref())).collect();
    let logs: Vec<Log<'_>> = opened.iter().map(|open| open as Log<'_>).collect();
    let (others, _) = count_logs(&mut counter, 3, &logs).unwrap();
    counter.finish(others, false).0
}

/// A line of a combined log.
fn line(ip: u8, time: &str, first: u64, bytes: u64, agent: &str) -> String {
    let last = first + bytes.max(1) - 1;
    format!(
        "203.0.113.{ip} - - [{time} +0000] \"GET /one.mp3 HTTP/1.1\" 206 {bytes} \"-\" \"{agent}\" \"bytes={first}-{last}\" \"bytes {first}-{last}/1050\"\n"
    )
}

/// Every line is told once.
fn assert_adds_up(report: &Report) {
    let dropped: u64 = report.dropped.values().sum();
    let told = report.malformed + dropped + report.below_threshold + report.counted;
    assert_eq!(report.lines, told, "{report:?}");
    let of_episodes: u64 = report
        .episodes
        .iter()
        .map(|episode| episode.downloads)
        .sum();
    assert_eq!(report.downloads, of_episodes);
}

#[test]
fn bytes_of_a_day_make_a_download_and_its_ads() {
    let day = "09/Nov/2026:10:00:00";
    let enough = [
        line(1, day, 0, 300, "A"),
        line(1, day, 300, NEEDED - 300, "A"),
    ]
    .concat();
    let short = line(2, day, 0, NEEDED - 1, "A");
    let mut report = report(with_catalog(utc()), &[&enough, &short]);
    assert_adds_up(&report);
    assert_eq!((report.counted, report.below_threshold), (2, 1));
    let one = &report.episodes[0];
    assert_eq!((one.requests, one.downloads, one.listeners), (3, 1, 1));
    assert_eq!((one.ads[0].first_byte, one.ads[0].delivered), (100, 1));
    let ages = one.by_age.as_ref().unwrap();
    assert_eq!((ages["D1"], ages["D7"], ages["D60"]), (1, 1, 1));
    assert_eq!(
        report.csv().unwrap(),
        "episode,day,downloads\none,2026-11-09,1\n"
    );
    assert!(report.text().contains("1 downloads"));
    report.episodes[0].id = "=1+1".to_owned();
    let guarded = "episode,day,downloads\n'=1+1,2026-11-09,1\n";
    assert_eq!(report.csv().unwrap(), guarded);
}

/// Of one file by two addresses, whoever fetches it from both has one download.
#[test]
fn an_alternate_path_is_the_episode() {
    let addresses = "\"path\": \"/one.mp3\", \"alternate_paths\": [\"/copy.mp3\"]";
    let catalog = CATALOG.replace("\"path\": \"/one.mp3\"", addresses);
    let catalog = Catalog::read(catalog.as_bytes(), iab(Vec::new())).unwrap();
    let line = |host, hour| line(host, &format!("09/Nov/2026:{hour}:00:00"), 0, 1_000, "A");
    let copy = |host, hour| line(host, hour).replace("/one.mp3", "/copy.mp3");
    let log = [copy(1, 10), line(1, 11), copy(2, 12)].concat();
    let report = report(Counter::new(utc(), catalog, IpRanges::default(), 3), &[log]);
    assert_adds_up(&report);
    assert_eq!((report.counted, report.downloads), (3, 2));
    assert_eq!(report.episodes[0].downloads, 2);
}

/// The new address brings enough bytes before the former one does, which has the ad, however many requests there are.
#[test]
fn the_address_that_first_brought_enough_makes_the_download() {
    let addresses = "\"path\": \"/one.mp3\", \"former_paths\": [\"/former.mp3\"]";
    let catalog = CATALOG.replace("\"path\": \"/one.mp3\"", addresses);
    let catalog = Catalog::read(catalog.as_bytes(), iab(Vec::new())).unwrap();
    let line =
        |hour, first, bytes| line(1, &format!("09/Nov/2026:{hour}:00:00"), first, bytes, "A");
    let former = |hour, first, bytes| line(hour, first, bytes).replace("/one.mp3", "/former.mp3");
    let log = [
        former(10, 0, 100),
        line(11, 200, 850).repeat(50),
        former(12, 100, 950),
    ];
    let report = report(
        Counter::new(utc(), catalog, IpRanges::default(), 3),
        &[log.concat()],
    );
    assert_adds_up(&report);
    assert_eq!((report.counted, report.downloads), (52, 1));
    assert_eq!(report.episodes[0].ads[0].delivered, 0);
}

/// Published on the 8th at 22:00: the second request of each comes a day and an hour later.
#[test]
fn a_download_has_the_age_of_its_first_request() {
    let both = |ip| {
        [
            line(ip, "09/Nov/2026:21:00:00", 0, 400, "A"),
            line(ip, "09/Nov/2026:23:00:00", 400, 400, "A"),
        ]
        .concat()
    };
    let log: String = (1..=12).map(both).collect();
    let report = report(with_catalog(utc()), &[&log]);
    let ages = report.episodes[0].by_age.as_ref().unwrap();
    assert_eq!((report.downloads, ages["D1"]), (12, 12));
}

#[test]
fn a_listener_of_two_days_is_one() {
    let day = |day| line(1, &format!("{day}/Nov/2026:10:00:00"), 0, 1050, "A");
    let report = report(with_catalog(utc()), &[day("09"), day("10"), day("12")]);
    assert_eq!((report.downloads, report.episodes[0].listeners), (3, 1));
}

#[test]
fn midnight_is_that_of_the_zone() {
    let log = [
        line(1, "09/Nov/2026:22:30:00", 0, 400, "A"),
        line(1, "09/Nov/2026:23:30:00", 400, 400, "A"),
    ]
    .concat();
    let downloads = |zone| {
        let report = report(with_catalog(zoned(zone, SourceKind::Cdn)), &[&log]);
        report.episodes[0].by_day.clone()
    };
    assert_eq!(downloads("UTC"), [("2026-11-09".to_owned(), 1)].into());
    assert!(downloads("Europe/Berlin").is_empty(), "23:30 and 00:30");
    assert_eq!(
        downloads("Asia/Tokyo"),
        [("2026-11-10".to_owned(), 1)].into()
    );
}

#[test]
fn windows_go_over_midnight() {
    let log = [
        line(1, "09/Nov/2026:22:00:00", 0, 1050, "A"),
        line(1, "10/Nov/2026:03:00:00", 0, 1050, "A"),
        line(1, "10/Nov/2026:22:15:00", 0, 1050, "A"),
        line(1, "11/Nov/2026:23:15:00", 0, 1050, "A"),
    ]
    .concat();
    let days = |window| {
        let report = report(with_catalog(within(window)), &[&log]);
        assert_adds_up(&report);
        assert_eq!(
            (report.counted, report.window),
            (4, window),
            "all are of a download"
        );
        let days = report.episodes[0].by_day.keys().cloned();
        days.map(|day| day[8..].to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(days(Window::Calendar), "09 10 11");
    assert_eq!(days(Window::FirstTouch), "09 10 11");
    assert_eq!(days(Window::LastTouch), "09 11");
}

#[test]
fn the_verdict_of_a_rolling_window_is_that_of_the_moment() {
    let log = [
        line(1, "09/Nov/2026:01:00:00", 0, 400, "A"),
        line(1, "10/Nov/2026:03:00:00", 400, 300, "A"),
        line(1, "10/Nov/2026:23:00:00", 0, 400, "A"),
        line(1, "11/Nov/2026:04:00:00", 0, 400, "A"),
    ]
    .concat();
    let said = |window| {
        let mut counter = with_catalog(within(window));
        let open = || -> anyhow::Result<Box<dyn std::io::BufRead + Send>> {
            Ok(Box::new(std::io::Cursor::new(log.clone())))
        };
        let (others, _) = count_logs(&mut counter, 3, &[&open]).unwrap();
        let (_, verdicts) = counter.finish(others, true);
        let (mut said, mut reading) = (Vec::new(), Reading::new());
        let mut blocks = Blocks::new(log.as_bytes(), LineAt::FIRST);
        while let Some(block) = blocks.next().unwrap() {
            for (_, line) in block.lines() {
                let (Said::Open(place), time) = counter.say(&mut reading, line) else {
                    panic!("it passes the filters")
                };
                said.push(verdicts.of(place, time) == Some(Verdict::Counted));
            }
        }
        said
    };
    assert_eq!(said(Window::Calendar), [false, true, true, false]);
    assert_eq!(said(Window::FirstTouch), [false, true, true, false]);
    assert_eq!(said(Window::LastTouch), [false, true, true, true]);
}

#[test]
fn what_is_dropped_is_told_by_its_reason() {
    let day = "09/Nov/2026:10:00:00";
    let log = [
        line(1, day, 0, 1050, "Bot/1"),
        line(1, day, 0, 1050, "-"),
        line(1, day, 0, 2, "A"),
        line(1, day, 0, 1050, "A").replace("/one.mp3", "/two.mp3"),
        line(1, day, 0, 1050, "A").replace("GET", "HEAD"),
        "half a li\n".to_owned(),
        "\n".to_owned(),
    ]
    .concat();
    let report = report(with_catalog(utc()), &[&log]);
    assert_adds_up(&report);
    assert_eq!(
        (report.lines, report.malformed, report.downloads),
        (6, 1, 0)
    );
    for reason in [
        "bot_user_agent",
        "no_user_agent",
        "range_0_1",
        "not_an_episode",
        "method",
    ] {
        assert_eq!(report.dropped[reason], 1, "{reason}");
    }
    assert_eq!(report.dropped["watch"], 0, "these are always told");
}

#[test]
fn an_address_over_the_limit_loses_the_day() {
    let of = |agents: u32| {
        let agents = (0..agents)
            .map(|agent| line(7, "09/Nov/2026:10:00:00", 0, 1050, &format!("A/{agent}")));
        let next = line(7, "10/Nov/2026:10:00:00", 0, 1050, "A");
        let log: String = agents.chain([next]).collect();
        let report = report(with_catalog(utc()), &[&log]);
        assert_adds_up(&report);
        (report.downloads, report.dropped.get("ip_volume").copied())
    };
    assert_eq!(of(100), (101, None));
    assert_eq!(of(101), (1, Some(101)));
}

#[test]
fn a_prefix_knows_requests_only() {
    let log = line(1, "09/Nov/2026:10:00:00", 0, 0, "A").replace(" 206 ", " 302 ");
    assert_eq!(report(with_catalog(utc()), &[&log]).dropped["status"], 1);
    let prefix = zoned("UTC", SourceKind::Prefix);
    assert_eq!(report(with_catalog(prefix), &[&log]).downloads, 1);
}

#[test]
fn a_format_is_told_by_the_first_line() {
    let tab = line(1, "09/Nov/2026:10:00:00", 0, 1050, "A\tB");
    assert_eq!(report(with_catalog(utc()), &[&tab]).downloads, 1);
    let fields = [
        "2026-11-09",
        "10:00:01",
        "FRA2",
        "1500",
        "203.0.113.1",
        "GET",
        "x",
        "/one.mp3",
        "200",
        "-",
        "A",
    ];
    let rest = "\t-\t-\tMiss\tid\tx\thttps\t10\t0.1\t-\t-\t-\tMiss\tHTTP/1.1\t-\t-\t1\t0.1\tMiss\taudio/mpeg\t1050\t-\t-\n";
    let headless = fields.join("\t") + rest;
    assert_eq!(report(with_catalog(utc()), &[&headless]).downloads, 1);
}

#[test]
fn a_document_says_what_counts() {
    let mut document = hostread_rules::document::shipped("2.3").unwrap();
    document.threshold_secs = 50;
    document.referrers_denied = vec!["auto.example".to_owned()];
    let catalog = Catalog::read(
        CATALOG.as_bytes(),
        rules(&document, AgentPatterns::default()),
    )
    .unwrap();
    let counter = Counter::new(utc(), catalog, IpRanges::default(), 3);
    let day = "09/Nov/2026:10:00:00";
    let log = [
        line(1, day, 0, NEEDED - 100, "A"),
        line(2, day, 0, 1050, "A").replace("\"-\"", "\"https://auto.example/x\""),
    ]
    .concat();
    let report = report(counter, &[&log]);
    assert_adds_up(&report);
    assert_eq!((report.downloads, report.dropped["referrer"]), (1, 1));
}

/// A network that is let in from the 9th to the 11th: on the other days it is a data centre, whatever day is today.
#[test]
fn a_network_is_let_in_on_the_days_of_its_requests() {
    let mut document = hostread_rules::document::shipped("2.2").unwrap();
    document.inclusion = vec![hostread_rules::document::Inclusion {
        range: "203.0.113.0/29".to_owned(),
        who: "A. Example".to_owned(),
        when: "2026-11-09".to_owned(),
        evidence: "a letter".to_owned(),
        expires: "2026-11-11".to_owned(),
    }];
    let lists = crate::rules::Lists {
        nonhuman: vec!["203.0.113.0/24".to_owned()],
        ..crate::rules::Lists::default()
    };
    let catalog = Catalog::read(
        CATALOG.as_bytes(),
        rules(&document, AgentPatterns::default()),
    )
    .unwrap();
    let counter = Counter::new(utc(), catalog, lists.ranges(&document).unwrap(), 3);
    let log: String = ["10", "08", "09", "11", "10"]
        .map(|day| line(1, &format!("{day}/Nov/2026:00:00:00"), 0, 1050, "A"))
        .concat();
    let report = report(counter, &[&log]);
    let days: Vec<&String> = report.episodes[0].by_day.keys().collect();
    assert_eq!(days, ["2026-11-09", "2026-11-10"]);
    assert_eq!(report.dropped["nonhuman_ip"], 2);
}

#[test]
fn without_a_catalog_paths_are_episodes() {
    let counter = Counter::new(
        utc(),
        Catalog::of_paths(iab(Vec::new())),
        IpRanges::default(),
        3,
    );
    let b = line(1, "09/Nov/2026:10:00:00", 0, 10, "A").replace("/one.mp3", "/b,c.mp3?x=1");
    let a = line(1, "09/Nov/2026:10:00:00", 0, 10, "A").replace("/one.mp3", "/a.mp3");
    let report = report(counter, &[&b, &a]);
    assert!(!report.byte_rule_applied);
    let ids: Vec<&str> = report
        .episodes
        .iter()
        .map(|episode| episode.id.as_str())
        .collect();
    assert_eq!(ids, ["/a.mp3", "/b,c.mp3"]);
    assert!(
        report
            .csv()
            .unwrap()
            .contains("\n\"/b,c.mp3\",2026-11-09,1\n")
    );
    let json = serde_json::to_value(&report).unwrap();
    assert!(json["episodes"][0].get("by_age").is_none());
}

#[test]
fn what_cannot_be_a_catalog_is_said() {
    let read = |text: &str| {
        Catalog::read(text.as_bytes(), iab(Vec::new()))
            .err()
            .unwrap()
    };
    assert!(format!("{:#}", read("{}")).contains("episodes"));
    let twice = CATALOG.replace(
        "]}]}",
        "]}, {\"id\": \"b\", \"path\": \"/one.mp3\", \"size_bytes\": 1}]}",
    );
    assert!(read(&twice).to_string().contains("/one.mp3"));
    let when = CATALOG.replace("2026-11-08T22:00:00Z", "yesterday");
    assert!(read(&when).to_string().contains("published_at"));
}

/// Lines of a few listeners over a few hours around midnight.
fn any_line() -> impl Strategy<Value = String> {
    let agents = prop_oneof![5 => Just("A"), 2 => Just("B"), 1 => Just("Bot/1"), 1 => Just("-")];
    (0..3_u8, 20..28_u8, 0..8_u64, 0..8_u64, agents).prop_map(|(ip, hour, first, bytes, agent)| {
        let time = format!("{:02}/Nov/2026:{:02}:00:00", 9 + hour / 24, hour % 24);
        line(ip, &time, first * 130, bytes * 130, agent)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn order_repetition_and_files_change_nothing(
        (lines, shuffled) in prop::collection::vec(any_line(), 1..40)
            .prop_flat_map(|lines| (Just(lines.clone()), Just(lines).prop_shuffle())),
        cut in any::<prop::sample::Index>(),
        window in prop_oneof![Just(Window::Calendar), Just(Window::FirstTouch), Just(Window::LastTouch)],
    ) {
        let utc = || within(window);
        let whole = report(with_catalog(utc()), &[&lines.concat()]);
        assert_adds_up(&whole);
        let (one, other) = shuffled.split_at(cut.index(shuffled.len()));
        let parts = report(with_catalog(utc()), &[&one.concat(), &other.concat()]);
        prop_assert_eq!(serde_json::to_value(&whole).unwrap(), serde_json::to_value(&parts).unwrap());
        let twice = report(with_catalog(utc()), &[&lines.concat(), &one.concat()]);
        assert_adds_up(&twice);
        let (of_whole, of_twice) = (&whole.episodes[0], &twice.episodes[0]);
        prop_assert_eq!(&of_whole.by_day, &of_twice.by_day);
        prop_assert_eq!(of_whole.listeners, of_twice.listeners);
        prop_assert_eq!(of_whole.ads[0].delivered, of_twice.ads[0].delivered);
    }

    #[test]
    fn any_bytes_are_lines(log in prop::collection::vec(any::<u8>(), 0..400)) {
        assert_adds_up(&report(with_catalog(utc()), &[log]));
    }

    #[test]
    fn united_requests_count_as_if_each_were_held(
        lines in prop::collection::vec(any_line(), 1..20),
        window in prop_oneof![Just(Window::Calendar), Just(Window::FirstTouch), Just(Window::LastTouch)],
    ) {
        let once = report(with_catalog(within(window)), &[lines.concat()]);
        let often = report(with_catalog(within(window)), &vec![lines.concat(); 50]);
        let times = |count: u64| 50 * count;
        prop_assert_eq!(often.counted, times(once.counted));
        prop_assert_eq!(often.below_threshold, times(once.below_threshold));
        let (once, often) = (&once.episodes[0], &often.episodes[0]);
        prop_assert_eq!(often.requests, times(once.requests));
        prop_assert_eq!((&often.by_day, &often.by_age), (&once.by_day, &once.by_age));
        prop_assert_eq!(often.ads[0].delivered, once.ads[0].delivered);
    }
}
