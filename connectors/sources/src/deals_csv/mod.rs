//! Catalog and deal facts as a table: shows, episodes, slots, stores, campaigns, line items, codes, aired episodes.
//! A row becomes the JSON form of its event and goes the same way as any event. Columns: this folder's README.

use hostread_connectors_kit::{Connector, Mapped, Origin, Raw, Rejected};
use hostread_schemas::event::EventType;
use hostread_schemas::json::{Draft, FieldError, read_draft};
use hostread_schemas::unit::MoneyMicros;
use serde_json::{Map, Value};

use crate::events_json;

/// Types that a table may hold.
const TYPES: [EventType; 8] = [
    EventType::Show,
    EventType::Episode,
    EventType::Slot,
    EventType::Store,
    EventType::Campaign,
    EventType::LineItem,
    EventType::Code,
    EventType::Aired,
];
const NUMBERS: [&str; 8] = [
    "size_bytes",
    "header_bytes",
    "bit_rate",
    "duration_secs",
    "first_byte",
    "last_byte",
    "goal",
    "episode_goal",
];
const FLAGS: [&str; 2] = ["vbr", "removed"];

/// Maps a table of one row under its header line.
#[derive(Clone, Copy, Debug, Default)]
pub struct DealsCsv;

impl Connector for DealsCsv {
    fn name(&self) -> &'static str {
        "deals_csv"
    }

    fn map(&self, origin: &Origin<'_>, raw: &Raw<'_>) -> Mapped {
        let row = match drafts(raw.body, raw.field("type"), 1) {
            Ok(rows) => rows.into_iter().next(),
            Err(error) => Some(Err(error)),
        };
        let Some(row) = row else {
            return Mapped::Nothing;
        };
        match row.and_then(|draft| events_json::event(origin, draft)) {
            Ok(event) => Mapped::Event(Box::new(event)),
            Err(error) => Mapped::Rejected(Rejected::field("event", error.field, error.message)),
        }
    }
}

/// The rows of a table: one result each, in order. An error of the whole when it is no table or has more than `rows_max` rows.
/// `of_type` is used for rows without a `type` column.
pub fn drafts(
    table: &[u8],
    of_type: Option<&str>,
    rows_max: usize,
) -> Result<Vec<Result<Draft, FieldError>>, FieldError> {
    let table = table.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(table);
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(table);
    let no_table =
        |error: csv::Error| FieldError::new("", format!("cannot be read as CSV: {}", kind(&error)));
    let header = reader.headers().map_err(no_table)?.clone();
    for (index, name) in header.iter().enumerate() {
        if name.is_empty() || header.iter().take(index).any(|there| there == name) {
            return Err(FieldError::new(
                name,
                "is empty or given twice in the header",
            ));
        }
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        if rows.len() >= rows_max {
            return Err(FieldError::new(
                "",
                format!("has more than {rows_max} rows"),
            ));
        }
        rows.push(match record {
            Ok(record) => draft(&header, &record, of_type),
            Err(error) => Err(FieldError::new(
                "",
                format!("cannot be read as CSV: {}", kind(&error)),
            )),
        });
    }
    Ok(rows)
}

fn kind(error: &csv::Error) -> &'static str {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8",
        csv::ErrorKind::UnequalLengths { .. } => "it has another number of fields than the header",
        _ => "it is damaged",
    }
}

fn draft(
    header: &csv::StringRecord,
    record: &csv::StringRecord,
    of_type: Option<&str>,
) -> Result<Draft, FieldError> {
    let mut fields = Map::new();
    if let Some(word) = of_type {
        fields.insert("type".to_owned(), Value::from(word));
    }
    for (name, text) in header
        .iter()
        .zip(record)
        .filter(|(_, text)| !text.is_empty())
    {
        fields.insert(name.to_owned(), value(name, text)?);
    }
    let word = fields
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if EventType::parse(word).is_none_or(|found| !TYPES.contains(&found)) {
        let words = TYPES.map(EventType::as_str).join(", ");
        return Err(FieldError::new("type", format!("must be one of {words}")));
    }
    let line = serde_json::to_vec(&Value::Object(fields))
        .map_err(|_| FieldError::new("", "cannot be written as JSON"))?;
    read_draft(&line)
}

/// Text to the JSON value that the field has in an event.
fn value(name: &str, text: &str) -> Result<Value, FieldError> {
    if NUMBERS.contains(&name) || name == "revision" {
        return text
            .parse::<u64>()
            .map(Value::from)
            .map_err(|_| FieldError::new(name, "must be a whole number"));
    }
    if FLAGS.contains(&name) {
        return match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Ok(Value::Bool(true)),
            "false" | "no" | "0" => Ok(Value::Bool(false)),
            _ => Err(FieldError::new(name, "must be true or false")),
        };
    }
    match name {
        "price" => MoneyMicros::from_decimal(text)
            .map(|money| Value::from(money.0))
            .ok_or_else(|| FieldError::new(name, "must be a decimal such as 25.00")),
        "enclosures" => Ok(text
            .split('|')
            .map(|part| Value::from(part.trim()))
            .collect()),
        _ => Ok(Value::from(text)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;
    use hostread_connectors_kit::conformance::{Expect, Fixture, check};
    use hostread_schemas::event::Body;

    const EPISODES: &str = include_str!("fixtures/episodes.csv");
    const LINES: &str = include_str!("fixtures/line_items.csv");
    const CODES: &str = include_str!("fixtures/codes.csv");

    #[test]
    fn conformance() {
        let row = |table: &str, number: usize| {
            let mut lines = table.lines();
            format!(
                "{}\n{}\n",
                lines.next().unwrap(),
                lines.nth(number).unwrap()
            )
        };
        let fixtures = [
            Fixture::new("episode", row(EPISODES, 0), Expect::Event("episode")),
            Fixture::new("vbr", row(EPISODES, 1), Expect::Event("episode")),
            Fixture::new("line item", row(LINES, 0), Expect::Event("line_item"))
                .with("type", "line_item"),
            Fixture::new("code", row(CODES, 0), Expect::Event("code")),
            Fixture::new("price", row(LINES, 1), Expect::Rejected("event"))
                .with("type", "line_item"),
            Fixture::new("no type", row(LINES, 0), Expect::Rejected("event")),
            Fixture::new("header only", "type,show\n", Expect::Nothing),
            Fixture::new(
                "request",
                "type,enclosure\nrequest,/e.mp3\n",
                Expect::Rejected("event"),
            ),
            Fixture::new(
                "uneven",
                "type,show,time\nshow,a\n",
                Expect::Rejected("event"),
            ),
        ];
        check(&DealsCsv, &fixtures, &[]);
    }

    #[test]
    fn rows_come_back_by_index() {
        let rows = drafts(LINES.as_bytes(), Some("line_item"), 10).unwrap();
        assert_eq!(rows.len(), 2);
        let Body::LineItem(line) = &rows[0].as_ref().unwrap().body else {
            panic!()
        };
        assert_eq!((line.goal, line.price), (100_000, MoneyMicros(25_500_000)));
        assert_eq!(rows[1].as_ref().unwrap_err().field, "price");
        assert!(
            drafts(LINES.as_bytes(), None, 1).is_err(),
            "the limit on rows holds"
        );
        assert!(drafts(b"a,a\n", None, 1).is_err());
    }
}
