//! The parsers, each as a function from bytes to a text that says what it found.

use std::cell::OnceCell;
use std::fmt::Write;
use std::sync::Arc;

use hostread_connectors::cloudflare;
use hostread_connectors::deals_csv::{self, DealsCsv};
use hostread_connectors::events_json::EventsJson;
use hostread_connectors::feed::{self, FeedConnector};
use hostread_connectors::lines::{Blocks, LineAt};
use hostread_connectors::log::{LogFormat, LogSettings};
use hostread_connectors::mapped::Mapping;
use hostread_connectors::prefix::{PrefixDoor, PrefixFeed};
use hostread_connectors::shopify::Shopify;
use hostread_connectors::unpack::unpack_within;
use hostread_connectors_kit::audio::probe;
use hostread_connectors_kit::conformance::{Bench, NOW_MS};
use hostread_connectors_kit::prefix::{unwrap, wrappers};
use hostread_connectors_kit::text::{backslash_decode, enclosure_path, host_of};
use hostread_connectors_kit::{Connector, Raw};
use hostread_rules::agents::{AgentFile, AgentLists};
use hostread_rules::document::{Document, shipped};

/// A packed input unpacks to so much.
const UNPACKED_BYTES_MAX: u64 = 4 << 20;

pub(crate) struct Parser {
    pub(crate) name: &'static str,
    /// Below `connectors/sources/src`.
    pub(crate) fixtures: &'static [&'static str],
    /// Seeds that are made.
    pub(crate) made: fn() -> Vec<Vec<u8>>,
    pub(crate) parse: fn(&[u8]) -> String,
}

const fn parser(
    name: &'static str,
    fixtures: &'static [&'static str],
    parse: fn(&[u8]) -> String,
) -> Parser {
    Parser {
        name,
        fixtures,
        made: Vec::new,
        parse,
    }
}

pub(crate) const PARSERS: &[Parser] = &[
    parser("cloudfront", &["cloudfront/fixtures/access.log"], |bytes| {
        log("cloudfront", None, bytes)
    }),
    parser("combined", &["combined/fixtures/access.log"], |bytes| {
        log("combined", None, bytes)
    }),
    parser(
        "cloudflare",
        &["cloudflare/fixtures/http_requests.ndjson"],
        |bytes| log("mapped", Some(&cloudflare::mapping()), bytes),
    ),
    parser("mapped_json", &["mapped/fixtures/log.ndjson"], |bytes| {
        let mapping =
            include_bytes!("../../../connectors/sources/src/mapped/fixtures/mapping-json.json");
        log(
            "mapped",
            Some(&Arc::new(Mapping::read(mapping).unwrap())),
            bytes,
        )
    }),
    parser("mapped_csv", &["mapped/fixtures/log.csv"], |bytes| {
        let mapping =
            include_bytes!("../../../connectors/sources/src/mapped/fixtures/mapping-csv.json");
        log(
            "mapped",
            Some(&Arc::new(Mapping::read(mapping).unwrap())),
            bytes,
        )
    }),
    parser(
        "mapping",
        &[
            "mapped/fixtures/mapping-json.json",
            "mapped/fixtures/mapping-csv.json",
        ],
        |bytes| match Mapping::read(bytes) {
            Ok(mapping) => log("mapped", Some(&Arc::new(mapping)), b"{\"a\":1}\n1,2,3\n"),
            Err(error) => error.to_string(),
        },
    ),
    parser("unpack", &["cloudfront/fixtures/access.log"], unpacked),
    parser("prefix", &["prefix/fixtures/targets.txt"], prefix),
    parser(
        "feed",
        &[
            "feed/fixtures/show.xml",
            "feed/fixtures/atom.xml",
            "feed/fixtures/alternates.xml",
        ],
        feed,
    ),
    parser(
        "chapters",
        &["feed/fixtures/chapters.json"],
        |bytes| match feed::read_chapters(bytes) {
            Ok(chapters) => format!("{:?}", feed::ads(&chapters, 3_600_000)),
            Err(error) => error.to_string(),
        },
    ),
    Parser {
        name: "audio",
        fixtures: &[],
        made: sounds,
        parse: |bytes| format!("{:?}", probe(&mut { bytes })),
    },
    parser(
        "events_json",
        &["events_json/fixtures/events.ndjson"],
        |bytes| mapped(&EventsJson, &[], bytes),
    ),
    parser(
        "deals_csv",
        &[
            "deals_csv/fixtures/codes.csv",
            "deals_csv/fixtures/episodes.csv",
            "deals_csv/fixtures/line_items.csv",
        ],
        |bytes| {
            let rows = deals_csv::drafts(bytes, Some("line_item"), 1_000);
            format!(
                "{:?} {}",
                rows.map(|rows| rows.len()),
                mapped(&DealsCsv, &[], bytes)
            )
        },
    ),
    parser(
        "shopify",
        &[
            "shopify/fixtures/orders-cancelled.json",
            "shopify/fixtures/orders-create.json",
            "shopify/fixtures/refunds-create.json",
        ],
        |bytes| {
            let shop = Shopify {
                store: "northwind".to_owned(),
            };
            let mut said = String::new();
            for topic in ["orders/create", "orders/cancelled", "refunds/create"] {
                let fields = [("x-shopify-topic", topic), ("x-shopify-webhook-id", "w")];
                said.push_str(&mapped(&shop, &fields, bytes));
            }
            said
        },
    ),
    Parser {
        name: "agent_list",
        fixtures: &[],
        made: agent_lists,
        parse: agent_list,
    },
    Parser {
        name: "rule_set",
        fixtures: &[],
        made: || vec![shipped("2.3").unwrap().json().into_bytes()],
        parse: |bytes| match Document::parse(bytes) {
            Ok(document) => format!("{} {:?}", document.json(), document.check_for_pipeline()),
            Err(error) => error.to_string(),
        },
    },
];

thread_local! {
    static BENCH: OnceCell<Bench> = const { OnceCell::new() };
}

fn mapped(connector: &dyn Connector, fields: &[(&str, &str)], body: &[u8]) -> String {
    BENCH.with(|bench| {
        let origin = bench.get_or_init(Bench::new).origin("fuzz", 0);
        format!("{:?}", connector.map(&origin, &Raw { fields, body }))
    })
}

/// A log as `count` and the import door read it: cut into lines, each read after what the ones before have taught.
fn log(name: &str, mapping: Option<&Arc<Mapping>>, bytes: &[u8]) -> String {
    let mut said = String::new();
    for prefix in [false, true] {
        let settings = LogSettings {
            source_kind: if prefix {
                hostread_schemas::event::SourceKind::Prefix
            } else {
                hostread_schemas::event::SourceKind::Cdn
            },
            stitched: prefix,
        };
        let mut format = LogFormat::named(name, settings, mapping).unwrap();
        BENCH.with(|bench| {
            let origin = bench.get_or_init(Bench::new).origin("fuzz", 0);
            let mut blocks = Blocks::new(bytes, LineAt::FIRST);
            while let Ok(Some(block)) = blocks.next() {
                for (at, line) in block.lines() {
                    write!(said, "{at:?} {line:?} ").unwrap();
                    if let hostread_connectors::lines::Line::Text(line) = line {
                        writeln!(said, "{:?}", format.line(&origin, line)).unwrap();
                        let told = LogFormat::told_by(line, settings, mapping).is_some();
                        writeln!(said, "{told}").unwrap();
                    }
                }
            }
        });
    }
    said
}

/// The bytes themselves, and what they would be packed with a magic number in front.
fn unpacked(bytes: &[u8]) -> String {
    let mut said = String::new();
    for magic in [
        &b""[..],
        &[0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3],
        &[0x28, 0xB5, 0x2F, 0xFD],
    ] {
        let packed = [magic, bytes].concat();
        let mut count = 0;
        let end = match unpack_within(&packed[..], UNPACKED_BYTES_MAX) {
            Ok(mut reader) => std::io::copy(&mut reader, &mut Counting(&mut count)).map(|_| ()),
            Err(error) => Err(error),
        };
        assert!(
            count <= UNPACKED_BYTES_MAX + (1 << 20),
            "{count} bytes came out"
        );
        writeln!(said, "{count} {end:?}").unwrap();
    }
    said
}

struct Counting<'a>(&'a mut u64);

impl std::io::Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        *self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn prefix(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let feed = PrefixFeed {
        hosts: vec!["media.example.com".to_owned(), "*.cdn.example".to_owned()],
    };
    let time = NOW_MS.to_string();
    let fields = [
        ("time", time.as_str()),
        ("peer", "203.0.113.9"),
        ("method", "GET"),
        ("request-id", "r"),
        ("user-agent", &text),
        ("referer", &text),
        ("range", &text),
    ];
    let decoded = backslash_decode(bytes).len();
    assert!(text.ends_with(unwrap(&text).address));
    format!(
        "{:?} {:?} {:?} {:?} {decoded} {:?} {}",
        unwrap(&text),
        wrappers(&text),
        enclosure_path(&text),
        host_of(&text),
        feed.target(&text).map_err(|error| format!("{error:?}")),
        mapped(&PrefixDoor, &fields, bytes)
    )
}

/// A list of each kind, and what it says of agents that its own patterns find or nearly find.
fn agent_list(bytes: &[u8]) -> String {
    let mut said = String::new();
    for file in [AgentFile::Libraries, AgentFile::Devices] {
        match AgentLists::read([(file, bytes)]) {
            Ok(lists) => {
                write!(said, "{:?}", lists.try_examples(file)).unwrap();
                for agent in ["", "python-requests/2.31", "Player/1 (iPhone; \u{1F399})"] {
                    writeln!(said, "{:?}", lists.classify(agent)).unwrap();
                }
            }
            Err(error) => writeln!(said, "{error}").unwrap(),
        }
    }
    said
}

/// Few entries each: patterns are compiled at every turn.
fn agent_lists() -> Vec<Vec<u8>> {
    let lists = [
        r#"{"entries": [{"name": "Requests", "pattern": "^python-requests/", "category": "bot", "examples": ["python-requests/2"]}]}"#,
        r#"{"entries": [{"name": "a", "pattern": "Player/[0-9]{1,3}(\\.|$)"}, {"pattern": "(?i)iphone|\\biPad\\b"}]}"#,
        r#"{"comments": "x", "entries": [{"name": "", "pattern": "\\p{L}+{20}"}, {"name": "b", "pattern": ""}]}"#,
        r#"{"entries": []}"#,
    ];
    lists.iter().map(|list| list.as_bytes().to_vec()).collect()
}

fn feed(bytes: &[u8]) -> String {
    let fields = [("show", "daily"), ("time", "1794744000000")];
    format!(
        "{:?} {}",
        feed::read(bytes),
        mapped(&FeedConnector, &fields, bytes)
    )
}

/// Sounds of every kind that the reader knows, some hundred bytes of each.
fn sounds() -> Vec<Vec<u8>> {
    let frame = |index: u8, inside: &[u8]| {
        let bytes = [0, 104, 130, 156, 182, 208][usize::from(index)];
        let mut frame = vec![0xFF, 0xFB, index << 4, 0];
        frame.extend_from_slice(inside);
        frame.resize(bytes, 0x55);
        frame
    };
    let words =
        |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|word| word.to_be_bytes()).collect() };
    let boxed = |kind: &[u8], body: &[u8]| [&words(&[body.len() as u32 + 8]), kind, body].concat();
    let tag = [b"ID3\x04\0\0\0\0\0\x14".as_slice(), &[0; 20]].concat();
    let xing = [vec![0; 32], b"Xing".to_vec(), words(&[1, 9])].concat();
    let plain = [
        tag.clone(),
        frame(1, &[]).repeat(6),
        b"TAG".to_vec(),
        vec![b' '; 125],
    ]
    .concat();
    let mixed = [frame(1, &[]).repeat(3), vec![1; 9], frame(5, &[]).repeat(3)].concat();
    let described = [tag, frame(5, &xing), frame(3, &[]).repeat(3)].concat();
    let table = |kind: &[u8], numbers: &[u32]| boxed(kind, &words(numbers));
    let track = [
        table(b"mdhd", &[0, 0, 0, 1_000, 61_500, 0]),
        boxed(
            b"hdlr",
            &[&words(&[0, 0]), b"soun".as_slice(), &[0; 12]].concat(),
        ),
        boxed(
            b"minf",
            &boxed(
                b"stbl",
                &[
                    table(b"stsz", &[0, 0, 2, 40, 50]),
                    table(b"stco", &[0, 1, 24]),
                ]
                .concat(),
            ),
        ),
    ];
    let moov = boxed(b"moov", &boxed(b"trak", &boxed(b"mdia", &track.concat())));
    let start = boxed(b"ftyp", b"M4A \0\0\0\0");
    let sound = boxed(b"mdat", &[7; 90]);
    let last = [start.clone(), sound.clone(), moov.clone()].concat();
    vec![plain, mixed, described, last, [start, moov, sound].concat()]
}
