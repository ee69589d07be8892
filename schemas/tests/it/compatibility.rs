//! Made-up versions of a schema, older and newer, each of which must still read; and schemas that must be refused.

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use hostread_schemas::codec::{Writer, encode};
use hostread_schemas::event::{Body, Event, EventType, IpClass, Method, Request};
use serde_json::{Value as Json, json};

use crate::samples::sample;

fn schema(event_type: EventType) -> Json {
    serde_json::from_str(event_type.schema_json()).unwrap()
}

fn fields(record: &mut Json) -> &mut Vec<Json> {
    record["fields"].as_array_mut().unwrap()
}

fn field<'a>(record: &'a mut Json, name: &str) -> &'a mut Json {
    fields(record)
        .iter_mut()
        .find(|f| f["name"] == name)
        .unwrap()
}

/// The sample as a program with another version of the schema writes it, read by ours. `shape` turns the value of ours into its.
fn read_as(json: &Json, event_type: EventType, shape: impl Fn(&mut Vec<(String, Value)>)) -> Event {
    let current = Schema::parse_str(event_type.schema_json()).unwrap();
    let theirs = Schema::parse_str(&json.to_string()).unwrap();
    let mut body = Vec::new();
    encode(&sample(event_type), &mut body);
    let value = GenericDatumReader::builder(&current).build().unwrap();
    let Value::Record(mut record) = value.read_value(&mut body.as_slice()).unwrap() else {
        panic!("a record");
    };
    shape(&mut record);
    let writer = GenericDatumWriter::builder(&theirs).build().unwrap();
    let body = writer.write_value_to_vec(Value::Record(record)).unwrap();
    let writer = Writer::parse(&json.to_string()).unwrap();
    assert!(!writer.is_current());
    writer.decode(&body).unwrap()
}

fn request(mut event: Event) -> (Request, Event) {
    let Body::Request(request) = &mut event.body else {
        panic!("a request");
    };
    (std::mem::take(request), event)
}

fn inner<'a>(record: &'a mut [(String, Value)], name: &str) -> &'a mut Vec<(String, Value)> {
    let (_, value) = record.iter_mut().find(|(n, _)| n == name).unwrap();
    let value = match value {
        Value::Union(_, inner) => &mut **inner,
        other => other,
    };
    match value {
        Value::Record(fields) => fields,
        other => panic!("a record, not {other:?}"),
    }
}

#[test]
fn an_older_writer_without_some_fields() {
    let gone = ["total_bytes", "referrer", "source_kind", "status"];
    let mut json = schema(EventType::Request);
    fields(&mut json).retain(|f| !gone.contains(&f["name"].as_str().unwrap()));
    fields(&mut field(&mut json, "meta")["type"]).retain(|f| f["name"] != "revision");
    fields(&mut field(&mut json, "ip")["type"]).retain(|f| f["name"] != "country");
    let event = read_as(&json, EventType::Request, |record| {
        record.retain(|(name, _)| !gone.contains(&name.as_str()));
        inner(record, "meta").retain(|(name, _)| name != "revision");
        inner(record, "ip").retain(|(name, _)| name != "country");
    });
    let (mut expected, mut rest) = request(sample(EventType::Request));
    expected.total_bytes = None;
    expected.status = 0;
    expected.ip.country = String::new();
    rest.body = Body::Request(expected);
    assert_eq!(event, rest);
}

#[test]
fn a_newer_writer_with_more_fields_in_another_order() {
    let mut json = schema(EventType::Request);
    let more = json!({"name": "http_version", "type": ["null", "string"], "default": null});
    fields(&mut json).insert(3, more.clone());
    fields(&mut json).swap(1, 2);
    fields(&mut field(&mut json, "meta")["type"]).push(more.clone());
    fields(&mut field(&mut json, "ip")["type"]).insert(0, more);
    let added = || {
        let text = Value::Union(1, Box::new("h2".into()));
        ("http_version".to_owned(), text)
    };
    let event = read_as(&json, EventType::Request, |record| {
        record.insert(3, added());
        record.swap(1, 2);
        inner(record, "meta").push(added());
        inner(record, "ip").insert(0, added());
    });
    assert_eq!(event, sample(EventType::Request));
}

#[test]
fn a_record_in_a_union_grows_and_shrinks() {
    let mut newer = schema(EventType::Pixel);
    let more = json!({"name": "region", "type": "string", "default": ""});
    fields(&mut field(&mut newer, "ip")["type"][1]).push(more);
    let event = read_as(&newer, EventType::Pixel, |record| {
        inner(record, "ip").push(("region".to_owned(), "BY".into()));
    });
    assert_eq!(event, sample(EventType::Pixel));

    let mut older = schema(EventType::Pixel);
    fields(&mut field(&mut older, "ip")["type"][1]).retain(|f| f["name"] != "asn");
    let event = read_as(&older, EventType::Pixel, |record| {
        inner(record, "ip").retain(|(name, _)| name != "asn");
    });
    let mut expected = sample(EventType::Pixel);
    if let Body::Pixel(pixel) = &mut expected.body {
        pixel.ip.as_mut().unwrap().asn = 0;
    }
    assert_eq!(event, expected);
}

#[test]
fn a_symbol_of_a_newer_writer_is_the_safe_one() {
    let mut json = schema(EventType::Request);
    let symbols = |json: &mut Json, more: &str| {
        let symbols = json["type"]["symbols"].as_array_mut().unwrap();
        symbols.insert(0, json!(more));
    };
    symbols(field(&mut json, "method"), "query");
    symbols(
        field(&mut field(&mut json, "ip")["type"], "class"),
        "satellite",
    );
    let event = read_as(&json, EventType::Request, |record| {
        for (name, value) in record.iter_mut() {
            if name == "method" {
                *value = Value::Enum(0, "query".into());
            }
        }
        for (name, value) in inner(record, "ip") {
            if name == "class" {
                *value = Value::Enum(0, "satellite".into());
            }
        }
    });
    let (found, _) = request(event);
    assert_eq!(
        (found.method, found.ip.class),
        (Method::Other, IpClass::Residential)
    );
}

#[test]
fn a_schema_that_cannot_be_read_is_refused_when_it_is_learned() {
    let mut without_name = schema(EventType::Show);
    fields(&mut without_name).retain(|f| f["name"] != "show");
    let mut other_type = schema(EventType::Show);
    field(&mut other_type, "show")["type"] = json!("long");
    let mut other_name = schema(EventType::Show);
    other_name["name"] = json!("Visit");
    for (text, word) in [
        (without_name.to_string(), "show"),
        (other_type.to_string(), ""),
        (other_name.to_string(), "name"),
        ("\"string\"".to_owned(), "name"),
        ("{".to_owned(), ""),
        (" ".repeat(300_000), "bytes"),
    ] {
        let error = Writer::parse(&text).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}
