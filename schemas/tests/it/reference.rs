//! `docs/reference/events.md` is made of the schemas and the samples. `UPDATE=1` rewrites it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use hostread_schemas::event::EventType;
use hostread_schemas::json;
use serde_json::Value;

use crate::samples::sample;

const HEAD: &str = "# Events

Everything that happens comes in as one of these events. Each type has an Avro schema (`schemas/avro`) and a topic of its own;
the same fields make its JSON form, one object a line in NDJSON and the body of `POST /v1/events` (an array of them).
This page is made from the schemas by a test: `UPDATE=1 cargo test -p hostread-schemas`.

Rules of the JSON form
- `type` says which event it is; the fields of `meta` and those of the type stand side by side.
- A field that is not in these tables, a field given twice, a NUL character and nesting deeper than 32 are errors; the error
  names the field.
- A field marked *optional* may be left out or `null`; one with a default may be left out.
- Times are RFC 3339 with an offset (whole milliseconds since 1970 are read too) and written in UTC.
- Amounts are whole millionths of the currency's main unit: 34.40 is `34400000`.
- At a door `ip` may be the address as text: it is hashed there and forgotten. Doors also fill in the fields of `meta` that they
  know: tenant, source, `received_at`, `batch_id`; `id` is then the sender's own id, of which the door makes the event's.

A correction is the same event (same `id`) with a higher `revision`; the highest counts. What doors refuse (422, or an entry of
`rejected`): times more than 24 hours ahead or older than 400 days, negative amounts, empty or over-long names (512 bytes),
control characters, lists beyond their limits.
";

/// Names and units in JSON of an Avro type.
fn json_type(avro: &Value, doc: &str) -> String {
    match avro {
        Value::Array(branches) => json_type(&branches[1], doc),
        Value::Object(object) => match object["type"].as_str().unwrap() {
            "record" if object["name"] == "Included" => {
                "object, see [included](#included)".to_owned()
            }
            "record" if object["name"] == "OtherAgent" => {
                "object, see [other_agents](#other_agents)".to_owned()
            }
            "record" => "object, see [ip](#ip)".to_owned(),
            "enum" => object["symbols"]
                .as_array()
                .unwrap()
                .iter()
                .map(|symbol| format!("`{}`", symbol.as_str().unwrap()))
                .collect::<Vec<_>>()
                .join(", "),
            "array" => format!("list of {}", json_type(&object["items"], doc)),
            "fixed" => "32 hexadecimal digits".to_owned(),
            "long" => "time".to_owned(),
            other => other.to_owned(),
        },
        Value::String(word) => match word.as_str() {
            "long" if doc.contains("16 hexadecimal digits") => "16 hexadecimal digits".to_owned(),
            "long" | "int" => "integer".to_owned(),
            "string" => "text".to_owned(),
            other => other.to_owned(),
        },
        other => panic!("no type: {other}"),
    }
}

fn table(page: &mut String, fields: &[Value]) {
    page.push_str("\n| field | type | unit | needed? | meaning |\n|---|---|---|---|---|\n");
    for field in fields {
        let doc = field["doc"].as_str().unwrap();
        // How JSON says it stands in the type column.
        let meaning = doc.split(" JSON: ").next().unwrap().replace('|', "\\|");
        let needed = match field.get("default") {
            None => "yes".to_owned(),
            Some(Value::Null) => "optional".to_owned(),
            Some(Value::String(text)) if text.is_empty() => "default empty".to_owned(),
            Some(Value::Array(_)) => "default `[]`".to_owned(),
            Some(Value::String(word)) => format!("default `{word}`"),
            Some(other) => format!("default `{other}`"),
        };
        writeln!(
            page,
            "| `{}` | {} | {} | {needed} | {meaning} |",
            field["name"].as_str().unwrap(),
            json_type(&field["type"], doc),
            field["unit"].as_str().unwrap_or_default(),
        )
        .unwrap();
    }
}

fn schema(event_type: EventType) -> Value {
    serde_json::from_str(event_type.schema_json()).unwrap()
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n| type | topic | what it is |\n|---|---|---|\n");
    for event_type in EventType::ALL {
        let word = event_type.as_str();
        writeln!(
            page,
            "| [`{word}`](#{word}) | `{}` | {} |",
            event_type.topic(),
            schema(event_type)["doc"].as_str().unwrap()
        )
        .unwrap();
    }
    let request = schema(EventType::Request);
    let fields = request["fields"].as_array().unwrap();
    let ip = fields.iter().find(|field| field["name"] == "ip").unwrap();
    let rules = schema(EventType::RuleSet);
    let of_rules = rules["fields"].as_array().unwrap();
    let of_rules = |name: &str| {
        let field = of_rules.iter().find(|field| field["name"] == name);
        &field.unwrap()["type"]["items"]
    };
    for (name, record) in [
        ("meta", &fields[0]["type"]),
        ("ip", &ip["type"]),
        ("included", of_rules("included")),
        ("other_agents", of_rules("other_agents")),
    ] {
        writeln!(page, "\n## {name}\n{}", record["doc"].as_str().unwrap()).unwrap();
        table(&mut page, record["fields"].as_array().unwrap());
    }
    for event_type in EventType::ALL {
        let schema = schema(event_type);
        writeln!(
            page,
            "\n## {}\n{} Topic `{}`.",
            event_type.as_str(),
            schema["doc"].as_str().unwrap(),
            event_type.topic()
        )
        .unwrap();
        table(&mut page, &schema["fields"].as_array().unwrap()[1..]);
        let mut line = Vec::new();
        json::write(&sample(event_type), &mut line);
        let line = String::from_utf8(line).unwrap();
        write!(page, "\n```json\n{line}```\n").unwrap();
    }
    page
}

#[test]
fn the_reference_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/events.md");
    let page = page();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    assert!(
        fs::read_to_string(&path).is_ok_and(|there| there == page),
        "docs/reference/events.md is stale: UPDATE=1 cargo test -p hostread-schemas"
    );
}
