//! The JSON form: round trips, and every kind of bad text with its field named.

use hostread_schemas::event::{Event, EventType};
use hostread_schemas::json::{self, FieldError};
use proptest::prelude::*;

use crate::random::Random;

const PIXEL: &str = r#""type":"pixel","id":"000102030405060708090a0b0c0d0e0f","tenant":"acme","source":"px","time":"2026-11-09T10:00:00Z","received_at":1794218400123,"store":"s1""#;

fn line(rest: &str) -> Result<Event, FieldError> {
    json::read(format!("{{{PIXEL}{rest}}}").as_bytes())
}

fn error(text: &[u8]) -> (String, String) {
    let error = json::read_draft(text).unwrap_err();
    (error.field, error.message)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(seed in any::<u64>()) {
        for event_type in EventType::ALL {
            let event = Random(seed).event(event_type);
            let mut out = Vec::new();
            json::write(&event, &mut out);
            prop_assert_eq!(out.split(|b| *b == b'\n').count(), 2);
            prop_assert_eq!(&json::read(&out).unwrap(), &event);
            // The derived form of `Event` is the same text but for the order.
            prop_assert_eq!(&serde_json::from_slice::<Event>(&out).unwrap(), &event);
        }
    }

    #[test]
    fn damaged_text_is_an_error_or_an_event(seed in any::<u64>()) {
        let mut random = Random(seed);
        let mut out = Vec::new();
        json::write(&random.event(EventType::Order), &mut out);
        out.pop();
        for _ in 0..50 {
            let mut damaged = out.clone();
            let at = random.below(damaged.len() as u64) as usize;
            damaged[at] = random.next() as u8;
            drop(json::read_draft(&damaged));
            drop(json::read_batch(&damaged, 5));
            prop_assert!(json::read_draft(&out[..at]).is_err());
        }
    }
}

#[test]
fn optional_fields_and_numbers_for_times() {
    let event = line("").unwrap();
    assert_eq!(event.meta.received_at.0, 1_794_218_400_123);
    assert_eq!(event.meta.time.to_rfc3339(), "2026-11-09T10:00:00.000Z");
    assert_eq!(event.meta.revision, 0);
    let same = line(r#","order":null,"time":"2026-11-09T11:00:00+01:00""#);
    assert_eq!(same.unwrap_err().field, "time", "given twice");
}

#[test]
fn the_field_is_named() {
    for (rest, field, word) in [
        (r#","valeu":1"#, "valeu", "no such field"),
        (r#","line":"l""#, "line", "\"pixel\" has no such field"),
        (r#","value":"12""#, "value", "expected i64"),
        (r#","value":12.5"#, "value", "floating point"),
        (r#","kind":"buy""#, "kind", "unknown variant"),
        (r#","currency":"EURO""#, "currency", "three letters"),
        (r#","ip":{"star":"1"}"#, "ip.star", "16 hexadecimal"),
        (
            r#","ip":{"star":"+000000000000001","net":"0000000000000000"}"#,
            "ip.star",
            "16 hexadecimal",
        ),
        (
            r#","ip":{"star":"0000000000000001"}"#,
            "ip",
            "missing field `net`",
        ),
        (
            r#","ip":{"start":"0000000000000001"}"#,
            "ip.start",
            "no such field",
        ),
        (r#","ip":"192.0.2.1""#, "ip", "at a door only"),
        (r#","revision":-1"#, "revision", "expected u32"),
        (r#","store":"s2""#, "store", "given twice"),
        (r#","code":"a\u0000b""#, "code", "NUL"),
        (r#","a\u0000":1"#, "a\0", "NUL"),
        (
            r#","ip":{"star":{"x":[1,{"y":2,"y":3}]}}"#,
            "ip.star.x[1].y",
            "given twice",
        ),
        (r#","batch_id":7"#, "batch_id", "expected a string"),
        (r#","code":"\ud800""#, "code", "hex escape"),
        (r#","code":tru"#, "code", "expected"),
    ] {
        let found = line(rest).unwrap_err();
        assert_eq!(found.field, field, "{rest}: {found}");
        assert!(found.message.contains(word), "{rest}: {found}");
    }
    let order = r#"{"type":"order","store":"s","codes":["a","b",3]}"#;
    assert_eq!(error(order.as_bytes()).0, "codes[2]");
    assert_eq!(error(br#"{"type":"visit"}"#).0, "type");
    assert_eq!(error(br#"{"id":"x"}"#).0, "type");
    for (text, word) in [
        (&b"[]"[..], "JSON object"),
        (b"", "EOF"),
        (b"{} {}", "trailing"),
        (b"\xff", "expected value"),
        (b"{\"type\":\"show\",\"show\":\"\xff\"}", "unicode"),
    ] {
        let (_, message) = error(text);
        assert!(message.contains(word), "{text:?}: {message}");
    }
    let (field, message) = error(b"{\"type\":\"show\",\"show\":\"\xff\"}");
    assert_eq!((field.as_str(), message.contains("column")), ("show", true));
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| {
        let text = format!(
            r#"{{"type":"show","x":{}{}}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        );
        error(text.as_bytes())
    };
    assert!(nested(31).1.contains("no such field"));
    assert!(nested(32).1.contains("too deep"));
    assert!(nested(32).0.starts_with("x[0]"));
    // Far beyond: no recursion, so no overflow of the stack.
    assert!(nested(100_000).1.contains("too deep"));
    assert!(nested(100_000).0.len() <= 240);
}

#[test]
fn a_bad_event_of_a_batch_comes_back_by_index() {
    let text = r#"[
        {"type":"show","show":"a"},
        {"type":"show","show":"b","show":"c"},
        7,
        {"type":"show","show":"d\u0000"},
        {"type":"show","show":"e","ip":"192.0.2.1"},
        {"type":"pixel","store":"s","ip":"192.0.2.1"}
    ]"#;
    let batch = json::read_batch(text.as_bytes(), 6).unwrap();
    let fields: Vec<Option<&str>> = batch
        .iter()
        .map(|one| one.as_ref().err().map(|error| error.field.as_str()))
        .collect();
    assert_eq!(
        fields,
        [None, Some("show"), Some(""), Some("show"), Some("ip"), None]
    );
    let pixel = batch.last().unwrap().as_ref().unwrap();
    assert_eq!(pixel.ip.as_deref(), Some("192.0.2.1"));
    assert!(!format!("{pixel:?}").contains("192.0.2.1"));

    let too_many = json::read_batch(text.as_bytes(), 5).unwrap_err();
    assert!(too_many.message.contains("at most 5"), "{too_many}");
    assert!(json::read_batch(b"[{}", 5).is_err());
    assert!(json::read_batch(b"{}", 5).is_err());
    assert!(json::read_batch(b"[] x", 5).is_err());
    assert_eq!(json::read_batch(b"[]", 5).unwrap().len(), 0);
}

#[test]
fn values_in_one_event_are_bounded() {
    let many = format!(
        r#"[{{"type":"order","codes":[{}1]}},{{"type":"show"}}]"#,
        "1,".repeat(600_000)
    );
    let batch = json::read_batch(many.as_bytes(), 5).unwrap();
    assert!(
        batch[0]
            .as_ref()
            .unwrap_err()
            .message
            .contains("too many values")
    );
    assert!(batch[1].is_ok(), "the next event has a count of its own");
}
