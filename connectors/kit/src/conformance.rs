//! The suite that every connector passes. Call `check` from a test with the connector's fixtures.
//! Checks: every fixture maps as it says; the same input twice is the same event, whenever and with whatever batch it comes; order
//! does not matter; damaged input never panics and never becomes another tenant's event; nothing personal leaves in clear.

use std::sync::Arc;

use hostread_schemas::event::Event;
use hostread_schemas::intern::IdHasher;
use hostread_schemas::unit::ReceivedAtMs;

use crate::connector::{Connector, Mapped, Origin, Raw};
use crate::ip::IpRanges;
use crate::pseudonym::{Pseudonymizer, TenantKey};

/// What a fixture should become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// An event of this type (the JSON `type`).
    Event(&'static str),
    /// Nothing.
    Nothing,
    /// A rejection with this reason.
    Rejected(&'static str),
}

/// One input with its answer.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// For messages.
    pub name: String,
    /// Fields beside the body.
    pub fields: Vec<(String, String)>,
    /// The bytes.
    pub body: Vec<u8>,
    /// The answer.
    pub expect: Expect,
}

impl Fixture {
    /// A fixture without fields.
    pub fn new(name: impl Into<String>, body: impl Into<Vec<u8>>, expect: Expect) -> Self {
        Self {
            name: name.into(),
            fields: Vec::new(),
            body: body.into(),
            expect,
        }
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The lines of a text: "`event` BODY" where the body becomes that event, else "reason BODY" of
/// a refusal; all come from `peer`.
///
/// # Panics
/// When a line has no body.
#[must_use]
pub fn fixtures(text: &'static str, event: &'static str, peer: &str) -> Vec<Fixture> {
    let fixture = |(index, line): (usize, &'static str)| {
        let (expect, body) = line.split_once(' ').expect("an answer and a body");
        let expect = if expect == event {
            Expect::Event(event)
        } else {
            Expect::Rejected(expect)
        };
        Fixture::new(format!("line {}", index + 1), body, expect).with("peer", peer)
    };
    text.lines().enumerate().map(fixture).collect()
}

/// Damaged copies tried per fixture.
const DAMAGED_PER_FIXTURE: u64 = 400;

/// Runs the suite. `personal` are texts that must not show up in any event (addresses, e-mails of the fixtures).
///
/// # Panics
/// When the connector breaks a promise.
pub fn check(connector: &dyn Connector, fixtures: &[Fixture], personal: &[&str]) {
    assert!(
        !fixtures.is_empty(),
        "a connector without fixtures proves nothing"
    );
    let bench = Bench::new();
    let first: Vec<Mapped> = fixtures
        .iter()
        .map(|fixture| {
            let mapped = bench.map(connector, fixture, &fixture.body, 0);
            assert_expected(fixture, &mapped);
            mapped
        })
        .collect();
    for (fixture, before) in fixtures.iter().zip(&first).rev() {
        let again = bench.map(connector, fixture, &fixture.body, 1);
        assert_eq!(
            timeless(before),
            timeless(&again),
            "\"{}\" maps to something else the second time",
            fixture.name
        );
    }
    for mapped in &first {
        if let Mapped::Event(event) = mapped {
            let json = serde_json::to_string(event).expect("an event is JSON");
            for text in personal {
                assert!(!json.contains(text), "\"{text}\" leaves in clear: {json}");
            }
        }
    }
    for fixture in fixtures {
        for seed in 0..DAMAGED_PER_FIXTURE {
            let body = damage(&fixture.body, seed);
            if let Mapped::Event(event) = bench.map(connector, fixture, &body, 2) {
                assert_eq!(event.meta.tenant, TENANT, "{}", fixture.name);
                assert_eq!(event.meta.source, SOURCE, "{}", fixture.name);
            }
        }
    }
}

const TENANT: &str = "conformance";
const SOURCE: &str = "fixtures";
/// 2026-11-15T12:00:00Z: a little later than the fixtures' times.
pub const NOW_MS: i64 = 1_794_744_000_000;

/// A tenant to map for, in tests.
#[derive(Debug)]
pub struct Bench {
    pseudonyms: Pseudonymizer,
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

impl Bench {
    /// With a fixed key.
    #[must_use]
    pub fn new() -> Self {
        let ranges =
            IpRanges::new([(hostread_schemas::event::IpClass::DataCentre, "192.0.2.0/24")])
                .expect("the range is one");
        Self {
            pseudonyms: Pseudonymizer::new(&TenantKey::new([42; 32]), Arc::new(ranges.into())),
        }
    }

    /// An origin; `run` sets the batch and moves the time of receipt by up to a minute.
    #[must_use]
    pub fn origin<'a>(&'a self, batch_id: &'a str, run: i64) -> Origin<'a> {
        Origin {
            tenant: TENANT,
            source: SOURCE,
            batch_id,
            received_at: ReceivedAtMs(NOW_MS + run * 20_000),
            ids: IdHasher::new([7; 16]),
            pseudonyms: &self.pseudonyms,
        }
    }

    fn map(&self, connector: &dyn Connector, fixture: &Fixture, body: &[u8], run: i64) -> Mapped {
        let fields: Vec<(&str, &str)> = fixture
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let batch = format!("batch-{run}");
        connector.map(
            &self.origin(&batch, run),
            &Raw {
                fields: &fields,
                body,
            },
        )
    }
}

fn assert_expected(fixture: &Fixture, mapped: &Mapped) {
    let found = match mapped {
        Mapped::Event(event) => {
            let json = serde_json::to_value(&**event).expect("an event is JSON");
            let of_type = json["type"].as_str().unwrap_or_default();
            if matches!(fixture.expect, Expect::Event(expected) if expected == of_type) {
                return;
            }
            format!("event {of_type}")
        }
        Mapped::Nothing if fixture.expect == Expect::Nothing => return,
        Mapped::Nothing => "nothing".to_owned(),
        Mapped::Rejected(rejected) if fixture.expect == Expect::Rejected(rejected.reason) => return,
        Mapped::Rejected(rejected) => format!("rejected {}: {rejected}", rejected.reason),
    };
    panic!(
        "\"{}\" should be {:?} and is {found}",
        fixture.name, fixture.expect
    );
}

/// Without what is no fact: time of receipt and batch.
fn timeless(mapped: &Mapped) -> Mapped {
    match mapped {
        Mapped::Event(event) => {
            let mut event: Event = (**event).clone();
            event.meta.received_at = ReceivedAtMs(0);
            event.meta.batch_id = String::new();
            Mapped::Event(Box::new(event))
        }
        other => other.clone(),
    }
}

/// A copy that is cut, flipped, doubled or spliced; the seed says how.
#[must_use]
pub fn damage(body: &[u8], seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    let mut bytes = body.to_vec();
    for _ in 0..=next(4) {
        let at = next(bytes.len());
        match next(6) {
            0 => bytes.truncate(at),
            1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << next(8);
                }
            }
            2 => bytes.insert(
                at.min(bytes.len()),
                [0, b'"', b'\\', 0xFF, b'%', b'\t', b'9', b'-'][next(8)],
            ),
            3 => {
                let tail = bytes.get(at..).unwrap_or_default().to_vec();
                bytes.extend_from_slice(&tail);
            }
            4 => {
                let end = (at + next(40)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
            _ => bytes
                .splice(at..at, *b"99999999999999999999")
                .for_each(drop),
        }
    }
    bytes
}
