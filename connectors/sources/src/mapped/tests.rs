#![allow(clippy::unwrap_used, reason = "tests panic")]
use super::*;
use crate::log::LogFormat;
use hostread_connectors_kit::conformance::{Bench, Expect, Fixture, check, fixtures};
use hostread_schemas::event::{Body, Event, Request, SourceKind};
use proptest::prelude::*;

const JSON: &str = include_str!("fixtures/log.ndjson");
const CSV: &str = include_str!("fixtures/log.csv");
const JSON_MAPPING: &[u8] = include_bytes!("fixtures/mapping-json.json");
const CSV_MAPPING: &[u8] = include_bytes!("fixtures/mapping-csv.json");
const PERSONAL: [&str; 2] = ["198.51.100.7", "2001:db8:1:2::9"];

fn log(mapping: &[u8]) -> MappedLog {
    let mapping = Arc::new(Mapping::read(mapping).unwrap());
    MappedLog::new(mapping, LogSettings::default())
}

/// Of CSV, behind its first line.
fn begun(mapping: &[u8], lines: &'static str) -> MappedLog {
    let mut log = log(mapping);
    log.learn(body(lines, 0).as_bytes());
    log
}

fn body(lines: &'static str, at: usize) -> &'static str {
    lines.lines().nth(at).unwrap().split_once(' ').unwrap().1
}

fn expected(lines: &'static str) -> Vec<Fixture> {
    let mut all = fixtures(lines, "request", "");
    for fixture in &mut all {
        if fixture.expect == Expect::Rejected("nothing") {
            fixture.expect = Expect::Nothing;
        }
    }
    all
}

fn read(log: &MappedLog, line: &str) -> Result<Event, Rejected> {
    let bench = Bench::new();
    match log.read(&bench.origin("b", 0), line.as_bytes()) {
        Mapped::Event(event) => Ok(*event),
        Mapped::Rejected(rejected) => Err(rejected),
        Mapped::Nothing => panic!("nothing: {line}"),
    }
}

fn request(log: &MappedLog, line: &str) -> Request {
    match read(log, line).unwrap().body {
        Body::Request(request) => request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn conformance() {
    check(&log(JSON_MAPPING), &expected(JSON), &PERSONAL);
    check(&begun(CSV_MAPPING, CSV), &expected(CSV), &PERSONAL);
}

#[test]
fn fields_of_json() {
    let log = log(JSON_MAPPING);
    let one = request(&log, body(JSON, 0));
    assert_eq!(one.enclosure, "/audio/ep%20101.mp3");
    assert_eq!(one.agent, "Podcasts/1.0 100%20");
    assert_eq!(one.session.as_deref(), Some("s-1"));
    assert_eq!(one.referrer.as_deref(), Some("player.example.com"));
    let two = request(&log, body(JSON, 1));
    assert_eq!((two.sent_first, two.sent_bytes), (100, 600));
    assert_eq!((two.range_first, two.range_last), (Some(100), None));
    let three = request(&log, body(JSON, 2));
    assert_eq!((three.sent_first, three.range_first), (0, None));
    assert_eq!(three.agent, "");
    assert_eq!(three.ip, one.ip, "the port is none of the address");
}

#[test]
fn fields_of_csv() {
    let log = begun(CSV_MAPPING, CSV);
    let whole = request(&log, body(CSV, 1));
    assert_eq!(whole.agent, "Podcasts; \"1.0\"");
    assert_eq!(whole.sent_bytes, 43_508_213);
    let cut = request(&log, body(CSV, 2));
    assert_eq!((cut.sent_first, cut.sent_bytes), (1_000, 90_000 - 500));
    let time = read(&log, body(CSV, 1)).unwrap().meta.time;
    assert_eq!(time.0, 1_794_184_985_000, "01:43 in Berlin");
}

#[test]
fn the_first_line_names_the_columns_wherever_they_stand() {
    let mut log = log(CSV_MAPPING);
    let bench = Bench::new();
    let origin = bench.origin("b", 0);
    let head = "\u{FEFF}Bytes;Länge;Ab;Zeit;Adresse;Pfad;Status;Programm";
    assert_eq!(log.line(&origin, head.as_bytes()), Mapped::Nothing);
    assert!(log.is_head(head.as_bytes()));
    let line = "90000;;;09.11.2026 01:43:05;198.51.100.7;/a.mp3;200;A";
    let Mapped::Event(_) = log.line(&origin, line.as_bytes()) else {
        panic!("not read")
    };
}

#[test]
fn what_is_wrong_is_said_in_the_logs_own_words() {
    let json = log(JSON_MAPPING);
    let why = |at| read(&json, body(JSON, at)).unwrap_err().to_string();
    assert_eq!(why(5), "client.ip: is missing");
    assert_eq!(why(7), "http.status: is not a status");
    assert_eq!(why(11), "ts: is not a date and time");
    let mut csv = log(CSV_MAPPING);
    csv.learn("Zeit;Adresse;Pfad;Code;Programm;Bytes".as_bytes());
    let why = read(&csv, "a;b;c;d;e;f").unwrap_err().to_string();
    assert_eq!(why, "the file has no column \"Status\"");
    let why = read(&begun(CSV_MAPPING, CSV), "a;b").unwrap_err();
    assert_eq!(why.to_string(), "has 2 columns where 9 are expected");
}

#[test]
fn what_is_wrong_with_a_mapping_is_named() {
    let fields = r#""ip":"i","method":"m","path":"p","status":"s","agent":"a","bytes":"b""#;
    let why = |rest: &str| {
        let json = format!("{{\"lines\":\"json\",\"fields\":{{{fields}{rest}}}");
        Mapping::read(json.as_bytes()).unwrap_err().to_string()
    };
    assert!(why("}").contains("\"time\""));
    assert!(why(r#","tiem":"t"}"#).contains("tiem"));
    assert!(why(r#","time":"i"}"#).contains("\"i\" twice"));
    assert!(why(r#","time":""}"#).contains("empty name"));
    assert!(why(r#","time":"t"},"zone":"Mars""#).contains("Mars"));
    assert!(why(r#","time":"t"},"time_format":"iso""#).contains("iso"));
    assert!(why(r#","time":"t"},"separator":"\n""#).contains("separator"));
    assert!(why(r#","time":"t"},"encoded":{"path":9}"#).contains("encodings"));
    let long = format!(
        r#","time":"t"}},"skip":{{"{}":"x"}}"#,
        "k".repeat(MAPPING_BYTES_MAX)
    );
    assert!(why(&long).contains("longer"));
    let no_bytes = fields.replace(",\"bytes\":\"b\"", ",\"time\":\"t\"");
    let mapping =
        Mapping::read(format!("{{\"lines\":\"json\",\"fields\":{{{no_bytes}}}}}").as_bytes());
    assert!(matches!(
        mapping.unwrap().check_bytes(),
        Err(MappingError::NoBytes)
    ));
}

#[test]
fn its_text_is_the_same_mapping_in_ascii() {
    let mapping = Mapping::read(CSV_MAPPING).unwrap();
    assert!(mapping.text().is_ascii() && mapping.text().contains("L\\u00e4nge"));
    let again = Mapping::read(mapping.text().as_bytes()).unwrap();
    assert_eq!(
        (again.text(), &again.named),
        (mapping.text(), &mapping.named)
    );
}

#[test]
fn a_file_is_told_by_its_first_line() {
    let told = |line: &str, mapping: Option<&[u8]>| {
        let mapping = mapping.map(|mapping| Arc::new(Mapping::read(mapping).unwrap()));
        match LogFormat::told_by(line.as_bytes(), LogSettings::default(), mapping.as_ref()) {
            None => "",
            Some(LogFormat::Cloudfront(_)) => "cloudfront",
            Some(LogFormat::Combined(_)) => "combined",
            Some(LogFormat::Mapped(log)) if log.mapping.name_of(Part::Ip) == "ClientIP" => {
                "cloudflare"
            }
            Some(LogFormat::Mapped(_)) => "mapped",
        }
    };
    assert_eq!(told("#Version: 1.0", None), "cloudfront");
    assert_eq!(
        told("2026-11-09\t10:00:00\t", Some(CSV_MAPPING)),
        "cloudfront"
    );
    assert_eq!(
        told("192.0.2.1 - - [now] \"GET", Some(JSON_MAPPING)),
        "combined"
    );
    assert_eq!(told("{\"ClientIP\"", None), "cloudflare");
    assert_eq!(told("\":200,\"EdgeResponseBytes\":1550}", None), "");
    assert_eq!(told("{\"ts\"", Some(JSON_MAPPING)), "mapped");
    assert_eq!(told("{\"ts\"", Some(CSV_MAPPING)), "cloudflare");
    assert_eq!(told("\u{FEFF}Ab;Zeit\r", Some(CSV_MAPPING)), "mapped");
}

#[test]
fn a_prefix_needs_no_bytes() {
    let mapping = Arc::new(Mapping::read(JSON_MAPPING).unwrap());
    let prefix = LogSettings {
        source_kind: SourceKind::Prefix,
        ..LogSettings::default()
    };
    let log = MappedLog::new(mapping, prefix);
    let one = request(&log, &body(JSON, 6).replace("206", "302"));
    assert_eq!((one.status, one.sent_bytes), (200, 0));
}

proptest! {
    #[test]
    fn any_line_is_an_event_nothing_or_a_refusal(line in prop::collection::vec(any::<u8>(), 0..400)) {
        let bench = Bench::new();
        for mut log in [log(JSON_MAPPING), log(CSV_MAPPING), begun(CSV_MAPPING, CSV)] {
            log.line(&bench.origin("b", 0), &line);
            log.line(&bench.origin("b", 0), &line);
        }
    }

    #[test]
    fn any_mapping_is_one_or_refused(text in "[\\[\\]{}\":,a-z0-9%\\\\]{0,80}") {
        Mapping::read(text.as_bytes()).ok();
    }
}
