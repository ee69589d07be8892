//! Our reader and writer against Apache's, on random events of every type; damaged bytes.

use std::collections::BTreeMap;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use hostread_schemas::codec::{CodecError, Writer, body_fields, decode, encode};
use hostread_schemas::envelope::{Decoder, Encoder};
use hostread_schemas::event::EventType;
use hostread_schemas::{EventId, EventTimeMs};
use proptest::prelude::*;
use serde_json::Value as Json;

use crate::random::Random;

fn schema(event_type: EventType) -> Schema {
    Schema::parse_str(event_type.schema_json()).unwrap()
}

/// Another version: the current schema and one field more, so that bodies take the way of resolution.
fn foreign(event_type: EventType) -> (Schema, Writer) {
    let mut json: serde_json::Value = serde_json::from_str(event_type.schema_json()).unwrap();
    json["fields"].as_array_mut().unwrap().insert(
        1,
        serde_json::json!({"name": "added_later", "type": "string", "default": ""}),
    );
    let text = json.to_string();
    let writer = Writer::parse(&text).unwrap();
    assert!(!writer.is_current());
    (Schema::parse_str(&text).unwrap(), writer)
}

fn body(event: &hostread_schemas::event::Event) -> Vec<u8> {
    let mut out = Vec::new();
    encode(event, &mut out);
    out
}

/// Does the value that Apache reads say the same as the JSON form, field by field and symbol by symbol?
fn same(avro: &Value, json: &Json) -> bool {
    match (avro, json) {
        (Value::Union(_, inner), json) => same(inner, json),
        (Value::Record(fields), json) => fields.iter().all(|(name, value)| {
            let within = if name == "meta" { json } else { &json[name] };
            same(value, within)
        }),
        (Value::Array(items), Json::Array(all)) => {
            items.len() == all.len() && items.iter().zip(all).all(|(a, b)| same(a, b))
        }
        (Value::Enum(_, text) | Value::String(text), Json::String(word)) => text == word,
        (Value::Boolean(a), Json::Bool(b)) => a == b,
        (Value::Null, Json::Null) => true,
        (Value::Int(a), Json::Number(b)) => Some(i64::from(*a)) == b.as_i64(),
        (Value::Long(a), Json::Number(b)) => {
            Some(*a) == b.as_i64() || Some(*a as u64) == b.as_u64()
        }
        (Value::Long(a), Json::String(hash)) => format!("{a:016x}") == *hash,
        (Value::TimestampMillis(a), Json::String(time)) => EventTimeMs(*a).to_rfc3339() == *time,
        (Value::Fixed(16, bytes), Json::String(id)) => {
            let bytes: [u8; 16] = bytes.as_slice().try_into().unwrap();
            EventId::from(u128::from_be_bytes(bytes)).to_hex() == *id
        }
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_readers_and_both_writers_agree(seed in any::<u64>()) {
        for event_type in EventType::ALL {
            let event = Random(seed).event(event_type);
            let bytes = body(&event);
            prop_assert_eq!(&decode(event_type, &bytes).unwrap(), &event);

            // Apache reads what we write, and its bytes are ours.
            let schema = schema(event_type);
            let value = GenericDatumReader::builder(&schema).build().unwrap()
                .read_value(&mut bytes.as_slice()).unwrap();
            prop_assert!(same(&value, &serde_json::to_value(&event).unwrap()), "{value:?}");
            let theirs = GenericDatumWriter::builder(&schema).build().unwrap()
                .write_value_to_vec(value.clone()).unwrap();
            prop_assert_eq!(&theirs, &bytes);

            // The way of resolution gives the same event.
            let (foreign_schema, writer) = foreign(event_type);
            let Value::Record(mut fields) = value else { panic!("a record") };
            fields.insert(1, ("added_later".to_owned(), "x".into()));
            let newer = GenericDatumWriter::builder(&foreign_schema).build().unwrap()
                .write_value_to_vec(Value::Record(fields)).unwrap();
            prop_assert_eq!(&writer.decode(&newer).unwrap(), &event);
            for cut in [0, newer.len() / 2, newer.len() - 1] {
                prop_assert!(writer.decode(&newer[..cut]).is_err());
            }
        }
    }

    #[test]
    fn damaged_bytes_are_an_error_or_an_event(seed in any::<u64>()) {
        let mut random = Random(seed);
        for event_type in EventType::ALL {
            let bytes = body(&random.event(event_type));
            // Cut anywhere: never an event.
            for cut in 0..bytes.len() {
                prop_assert!(decode(event_type, &bytes[..cut]).is_err());
            }
            let mut longer = bytes.clone();
            longer.push(0);
            prop_assert!(decode(event_type, &longer).is_err());
            // A byte changed: no panic; what is read again is the same.
            let (_, writer) = foreign(event_type);
            for _ in 0..20 {
                let mut damaged = bytes.clone();
                let at = random.below(damaged.len() as u64) as usize;
                damaged[at] ^= 1 << random.below(8);
                if let Ok(event) = decode(event_type, &damaged) {
                    prop_assert_eq!(&decode(event_type, &body(&event)).unwrap(), &event);
                }
                drop(writer.decode(&damaged));
            }
        }
    }
}

#[test]
fn the_reader_has_the_fields_of_the_schema_in_order() {
    for event_type in EventType::ALL {
        let json: serde_json::Value = serde_json::from_str(event_type.schema_json()).unwrap();
        let fields = json["fields"].as_array().unwrap();
        let names: Vec<&str> = fields.iter().map(|f| f["name"].as_str().unwrap()).collect();
        assert_eq!(names[0], "meta");
        assert_eq!(&names[1..], body_fields(event_type), "{event_type:?}");
        assert!(fields.iter().all(|f| f["doc"].is_string()));
        assert!(
            Writer::parse(event_type.schema_json())
                .unwrap()
                .is_current()
        );
    }
}

#[test]
fn a_record_comes_back_from_its_value() {
    let ids: BTreeMap<EventType, u32> = EventType::ALL.into_iter().zip(7..).collect();
    let encoder = Encoder::new(ids.clone());
    let current = Decoder::current(&ids);
    let mut learned = Decoder::default();
    for (event_type, id) in &ids {
        let event = Random(u64::from(*id)).event(*event_type);
        let record = encoder.encode(&event);
        assert_eq!(record.value[..5], [0, 0, 0, 0, *id as u8]);
        assert_eq!(record.topic, event_type.topic());
        assert!(matches!(
            learned.decode(&record.value),
            Err(CodecError::UnknownSchema { id: unknown }) if unknown == *id
        ));
        assert!(!learned.knows(*id));
        learned.add(*id, event_type.schema_json()).unwrap();
        assert!(learned.knows(*id));
        assert_eq!(learned.decode(&record.value).unwrap(), event);
        assert_eq!(current.decode(&record.value).unwrap(), event);
    }
    for value in [&b""[..], b"\0\0\0\0", b"\x01\0\0\0\x07abc", b"{\"type\":"] {
        assert!(matches!(current.decode(value), Err(CodecError::NotFramed)));
    }
}
