//! A log that is counted without a server and by the stream says the same of every request, and comes to the same under each
//! window: whatever the lists of agents, the inclusion list, the networks, and which of them the door knew.
#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::collections::BTreeMap;
use std::sync::Arc;

use hostread_connectors::lines::Line;
use hostread_connectors::log::LogFormat;
use hostread_connectors_kit::{IpRanges, Mapped, Origin, Pseudonymizer, TenantKey};
use hostread_job::replay::replay;
use hostread_rules::Horizons;
use hostread_rules::agents::{AgentFile, AgentLists};
use hostread_rules::document::{Held, Inclusion, shipped};
use hostread_schemas::event::{Episode, IpClass, SourceKind};
use hostread_schemas::view::{ViewKey, ViewValue, WindowKind};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::rules::{Lists, keyed};

const CATALOG: &str = r#"{"episodes": [{"id": "one", "path": "/one.mp3", "size_bytes": 1050, "id3_bytes": 50,
    "bit_rate": 80, "seconds": 100}]}"#;
const HASHER: IdHasher = IdHasher::new([3; 16]);
const ADDRESSES: [&str; 7] = [
    "203.0.113.7",
    "203.0.113.8",
    "203.0.113.200",
    "198.51.100.7",
    "198.51.101.7",
    "2001:db8:dc:1::7",
    "2001:db8:dc:2::7",
];
const NETWORKS: [&str; 3] = ["203.0.113.0/24", "198.51.100.0/23", "2001:db8:dc::/48"];
/// Finer ones, wider ones, one of a single address.
const INCLUDED: [&str; 8] = [
    "203.0.113.0/24",
    "203.0.113.0/25",
    "203.0.113.8",
    "::ffff:203.0.113.200",
    "198.51.0.0/16",
    "198.51.101.0/24",
    "2001:db8:dc:1::/64",
    "2001:db8::/40",
];
const AGENTS: [&str; 8] = [
    "Player/1",
    "Player/2",
    "Bot/1",
    "Player/3 okhttp/4",
    "okhttp/4",
    "BotRadio/1 okhttp/4",
    "Browser/1 Bot",
    "atc/1 watchOS/9 Bot",
];
const PATTERNS: [&str; 6] = ["^Bot", "Bot", "okhttp", "^Player", "Radio", "^Browser"];

const WINDOWS: [(WindowKind, Window); 3] = [
    (WindowKind::CalendarDay, Window::Calendar),
    (WindowKind::FirstTouch, Window::FirstTouch),
    (WindowKind::LastTouch, Window::LastTouch),
];

#[derive(Clone, Debug)]
struct Given {
    /// Place in [`INCLUDED`], first day, days.
    included: Vec<(usize, i8, i8)>,
    /// Which of [`NETWORKS`] are listed, and of these the door knows.
    listed: [(bool, bool); 3],
    downloads_max: u32,
    /// Place in [`PATTERNS`] of the entries of bots, apps, libraries and browsers; of libraries every other one is a bot.
    agents: [Vec<usize>; 4],
    /// Address, day, hour, agent, whole.
    requests: Vec<(usize, i8, u8, usize, bool)>,
}

fn given() -> impl Strategy<Value = Given> {
    let included = prop::collection::vec((0..INCLUDED.len(), 1..6_i8, 1..4_i8), 0..5);
    let request = (
        0..ADDRESSES.len(),
        1..8_i8,
        0..24_u8,
        0..AGENTS.len(),
        any::<bool>(),
    );
    let requests = prop::collection::vec(request, 1..60);
    let agents = prop::array::uniform4(prop::collection::vec(0..PATTERNS.len(), 0..3));
    let listed = any::<[(bool, bool); 3]>();
    (included, listed, 0..3_u32, agents, requests).prop_map(
        |(included, listed, downloads_max, agents, requests)| Given {
            included,
            listed,
            downloads_max,
            agents,
            requests,
        },
    )
}

impl Given {
    fn document(&self) -> Document {
        let date = |day: i8| jiff::civil::date(2026, 11, day).to_string();
        let entry = |(at, from, days): &(usize, i8, i8)| Inclusion {
            range: INCLUDED[*at].to_owned(),
            who: "A. Example".to_owned(),
            when: date(*from),
            evidence: "a letter".to_owned(),
            expires: date(from + days),
        };
        Document {
            inclusion: self.included.iter().map(entry).collect(),
            ip_volume_downloads_max: self.downloads_max,
            ..shipped("2.3").unwrap()
        }
    }

    fn agents(&self) -> AgentLists {
        let list = |entries: &Vec<usize>| {
            let entries = entries.iter().enumerate().map(|(at, pattern)| {
                let category = if at % 2 == 0 { "bot" } else { "app" };
                json!({"pattern": PATTERNS[*pattern], "category": category})
            });
            json!({"entries": entries.collect::<Vec<_>>()}).to_string()
        };
        let texts = self.agents.each_ref().map(list);
        let files = AgentFile::ALL.into_iter().zip(&texts);
        AgentLists::read(files.map(|(file, text)| (file, text.as_bytes()))).unwrap()
    }

    fn lists(&self) -> Lists {
        let listed = NETWORKS.iter().zip(self.listed);
        let listed = listed.filter(|(_, (listed, _))| *listed);
        Lists {
            agents: self.agents().patterns(),
            nonhuman: listed.map(|(net, _)| (*net).to_owned()).collect(),
            ..Lists::default()
        }
    }

    fn lines(&self) -> Vec<String> {
        let line = |(ip, day, hour, agent, whole): &(usize, i8, u8, usize, bool)| {
            let (ip, agent) = (ADDRESSES[*ip], AGENTS[*agent]);
            let bytes = if *whole { 1050 } else { 400 };
            let last = bytes - 1;
            format!(
                "{ip} - - [{day:02}/Nov/2026:{hour:02}:59:59 +0000] \"GET /one.mp3 HTTP/1.1\" 206 {bytes} \"-\" \"{agent}\" \"bytes=0-{last}\" \"bytes 0-{last}/1050\""
            )
        };
        self.requests.iter().map(line).collect()
    }
}

fn log() -> LogSettings {
    LogSettings {
        source_kind: SourceKind::Cdn,
        stitched: false,
    }
}

/// What count says of each line under a window, and how many downloads there are.
fn counted(given: &Given, window: Window) -> (Vec<Verdict>, u64) {
    let (document, lists) = (given.document(), given.lists());
    let rules = rules(&document, lists.agents.clone());
    let catalog = Catalog::read(CATALOG.as_bytes(), rules).unwrap();
    let settings = Settings {
        rules: document.full_name(),
        window,
        zone: "UTC".to_owned(),
        mapping: None,
        log: log(),
    };
    let mut counter = Counter::new(settings, catalog, lists.ranges(&document).unwrap(), 1);
    let mut reading = Reading::new();
    let mut said = Vec::new();
    for text in given.lines() {
        let (one, time) = counter.say(&mut reading, Line::Text(text.as_bytes()));
        counter.count(&mut reading, Line::Text(text.as_bytes()));
        said.push((one, time));
    }
    let (report, verdicts) = counter.finish(Vec::new(), true);
    let verdict = |(said, time)| match said {
        Said::Dropped(verdict) => verdict,
        Said::Open(place) => verdicts.of(place, time).unwrap(),
        Said::Nothing | Said::Malformed(_) => panic!("a request"),
    };
    (said.into_iter().map(verdict).collect(), report.downloads)
}

/// Of so many hours after the requests: what they came to until then is restated.
fn event(number: u64, hours: i64, body: Body) -> Event {
    Event {
        meta: Meta {
            id: EventId { hi: 1, lo: number },
            tenant: "north".to_owned(),
            source: "api".to_owned(),
            time: EventTimeMs(0),
            received_at: ReceivedAtMs(hours * 3_600_000),
            batch_id: String::new(),
            revision: 0,
        },
        body,
    }
}

/// What the stream says of each line, published as `rules publish` does, and how many downloads there are under each window.
fn streamed(given: &Given, workers: usize) -> (Vec<Verdict>, BTreeMap<WindowKind, u64>) {
    let (document, lists, tenant) = (given.document(), given.lists(), keyed::tests::tenant());
    let known = NETWORKS.iter().zip(given.listed);
    let known = known.filter(|(_, listed)| *listed == (true, true));
    let known = known.map(|(net, _)| (IpClass::DataCentre, *net));
    let key = TenantKey::from_hex(&tenant.hash_key).unwrap();
    let pseudonyms = Pseudonymizer::new(&key, Arc::new(IpRanges::new(known).unwrap().into()));
    let origin = Origin {
        tenant: "north",
        source: "cdn",
        batch_id: "",
        received_at: ReceivedAtMs(0),
        ids: HASHER,
        pseudonyms: &pseudonyms,
    };
    let mut ids = Vec::new();
    let mut events = vec![
        event(
            1,
            0,
            Body::Episode(Episode {
                show: "s".to_owned(),
                episode: "one".to_owned(),
                enclosures: vec!["/one.mp3".to_owned()],
                size_bytes: 1050,
                header_bytes: 50,
                bit_rate: Some(80),
                duration_secs: Some(100),
                ..Episode::default()
            }),
        ),
        event(
            2,
            1,
            Body::RuleSet(document.event(Held {
                nonhuman_nets: keyed::nonhuman(&lists.nonhuman, Some(&tenant)).unwrap(),
                included: keyed::included(&document, Some(&tenant)).unwrap(),
                agents: lists.agents,
            })),
        ),
    ];
    for text in given.lines() {
        let mut format = LogFormat::told_by(text.as_bytes(), log(), None).unwrap();
        let Mapped::Event(event) = format.line(&origin, text.as_bytes()) else {
            panic!("a request");
        };
        ids.push(event.meta.id);
        events.push(*event);
    }
    let replayed = replay(events, None, workers, Horizons::default(), HASHER).unwrap();
    assert_eq!(replayed.refused, 0);
    let mut verdicts = BTreeMap::new();
    let mut downloads = BTreeMap::new();
    for (key, value) in &replayed.rows {
        match (key, value) {
            (ViewKey::Verdicts(key), ViewValue::Verdicts(row)) => {
                verdicts.insert(key.request, row.verdict);
            }
            (ViewKey::DownloadsDaily(key), ViewValue::DownloadsDaily(row)) => {
                *downloads.entry(key.window).or_default() += row.downloads as u64;
            }
            _ => {}
        }
    }
    (ids.iter().map(|id| verdicts[id]).collect(), downloads)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn count_and_the_stream_say_the_same(given in given(), workers in 1..3_usize) {
        let verdicts = counted(&given, Window::Calendar).0;
        let (streamed, downloads) = streamed(&given, workers);
        prop_assert_eq!(&verdicts, &streamed);
        for (kind, window) in WINDOWS {
            let of_stream = downloads.get(&kind).copied().unwrap_or_default();
            prop_assert_eq!(counted(&given, window).1, of_stream, "{}", kind.as_str());
        }
        let lists = given.agents();
        for ((_, _, _, agent, _), verdict) in given.requests.iter().zip(verdicts) {
            let known = lists.classify(AGENTS[*agent]).agent;
            let bot = known.is_some_and(|known| known.is_bot());
            let watch = AGENTS[*agent].starts_with("atc/");
            prop_assert_eq!(verdict == Verdict::BotUserAgent, bot && !watch, "{}", AGENTS[*agent]);
        }
    }
}
