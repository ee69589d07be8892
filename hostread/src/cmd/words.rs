//! Rows in words: names instead of ids, times and days instead of numbers. Follows the fields' names, so a new view needs
//! nothing here as long as it calls things what the others call them.

use anyhow::{Context, Result};
use hostread_schemas::event::Model;
use hostread_schemas::view::{Period, Verdict, ViewKey, ViewValue};
use hostread_schemas::{Day, EventTimeMs, HOUR_MS, HouseholdId, ListenerId, NameKind, Names};
use serde_json::{Map, Value};

/// A row's fields in the order in which they are shown.
pub(crate) type Row = Vec<(String, Value)>;

/// The tenant, the rest of the key, then what stands beside it.
pub(crate) fn row(key: &ViewKey, value: &ViewValue, names: &Names) -> Result<Row> {
    let mut row = Row::new();
    for part in [serde_json::to_value(key)?, serde_json::to_value(value)?] {
        // Both are {"View": {field: value}}.
        let fields = match part {
            Value::Object(view) => view.into_iter().next().map(|(_, fields)| fields),
            _ => None,
        };
        let Some(Value::Object(fields)) = fields else {
            return None.context("a row without fields");
        };
        for (field, value) in fields {
            let value = in_words(&field, value, names);
            let at = if field == "tenant" { 0 } else { row.len() };
            row.insert(at, (field, value));
        }
    }
    Ok(row)
}

/// One JSON object, fields in their order.
pub(crate) fn json(row: &Row) -> String {
    let fields: Vec<String> = row
        .iter()
        .map(|(field, value)| format!("{}:{value}", Value::from(field.as_str())))
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn name_kind(field: &str) -> Option<NameKind> {
    Some(match field {
        "tenant" => NameKind::Tenant,
        "show" => NameKind::Show,
        "episode" => NameKind::Episode,
        "enclosure" => NameKind::Enclosure,
        "brand" => NameKind::Brand,
        "store" => NameKind::Store,
        "campaign" => NameKind::Campaign,
        "line" | "code_line" => NameKind::Line,
        "code" => NameKind::Code,
        "conversion" => NameKind::Conversion,
        _ => return None,
    })
}

fn in_words(field: &str, value: Value, names: &Names) -> Value {
    let number = value.as_i64();
    if let (Some(kind), Some(id)) = (name_kind(field), value.as_u64()) {
        return names.text(kind, id).as_ref().into();
    }
    match (field, number, value) {
        ("listener", _, Value::Number(id)) => ListenerId(id.as_u64().unwrap_or_default())
            .to_string()
            .into(),
        ("household", _, Value::Number(id)) => match id.as_u64().unwrap_or_default() {
            0 => "".into(),
            id => HouseholdId(id).to_string().into(),
        },
        ("day" | "period_end", Some(day), _) => Day(i32::try_from(day).unwrap_or_default())
            .to_string()
            .into(),
        ("hour" | "as_of", Some(hour), _) => {
            EventTimeMs(hour.saturating_mul(HOUR_MS)).to_string().into()
        }
        ("time" | "t0", Some(ms), _) => EventTimeMs(ms).to_string().into(),
        ("period", Some(month), _) => Period(i32::try_from(month).unwrap_or_default())
            .to_string()
            .into(),
        ("verdict", _, word) => serde_json::from_value::<Verdict>(word)
            .map_or(Value::Null, |verdict| verdict.as_str().into()),
        ("series", _, Value::Object(series)) => in_series(series, names),
        ("cause", _, Value::Object(cause)) => in_cause(cause, names),
        ("credit_micros" | "money_micros", _, Value::Array(by_model)) => Model::ALL
            .iter()
            .map(|model| model.as_str().to_owned())
            .zip(by_model)
            .collect::<Map<_, _>>()
            .into(),
        (_, _, Value::Object(fields)) => fields
            .into_iter()
            .map(|(field, value)| {
                let value = in_words(&field, value, names);
                (snake(&field), value)
            })
            .collect::<Map<_, _>>()
            .into(),
        (_, _, Value::Array(items)) => items
            .into_iter()
            .map(|item| in_words("", item, names))
            .collect::<Vec<_>>()
            .into(),
        (_, _, Value::String(word)) => snake(&word).into(),
        (_, _, other) => other,
    }
}

fn in_series(series: Map<String, Value>, names: &Names) -> Value {
    let Some((what, id)) = series.into_iter().next() else {
        return Value::Null;
    };
    let (word, kind) = if what.starts_with("Show") {
        ("show", NameKind::Show)
    } else {
        ("campaign", NameKind::Campaign)
    };
    let id = id.as_u64().unwrap_or_default();
    format!("{word}:{}", names.text(kind, id)).into()
}

/// An event's id as it is; batches by their names, and how many there were more.
fn in_cause(cause: Map<String, Value>, names: &Names) -> Value {
    let mut out = Map::new();
    for (kind, value) in cause {
        match value {
            Value::Array(parts) => {
                let ids = parts.first().and_then(Value::as_array);
                let batches: Vec<Value> = ids
                    .into_iter()
                    .flatten()
                    .map(|id| {
                        let id = id.as_u64().unwrap_or_default();
                        names.text(NameKind::Batch, id).as_ref().into()
                    })
                    .collect();
                out.insert("batches".to_owned(), batches.into());
                out.insert("more".to_owned(), parts.get(1).cloned().unwrap_or_default());
            }
            value => {
                out.insert(snake(&kind), value);
            }
        }
    }
    out.into()
}

/// `AtRisk` is `at_risk`; a word of capitals (a currency) or without any stays.
fn snake(word: &str) -> String {
    let camel = word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.contains(|c: char| c.is_ascii_lowercase());
    if !camel {
        return word.to_owned();
    }
    let mut out = String::with_capacity(word.len() + 4);
    for c in word.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use hostread_schemas::view::{AttributionDailyKey, AttributionDailyRow, ViewRow};
    use hostread_schemas::{CampaignId, Currency, LineId, ShowId, TenantId};

    use super::*;

    #[test]
    fn a_row_says_names_days_and_words() {
        let names = Names::default();
        names.insert(NameKind::Tenant, 1, "acme");
        names.insert(NameKind::Campaign, 2, "Spring Sale");
        let key = AttributionDailyKey {
            tenant: TenantId(1),
            day: Day(20_514),
            campaign: CampaignId(2),
            line: LineId(0),
            show: ShowId(255),
            model: Model::TimeDecay,
            currency: Currency::parse("EUR").unwrap(),
        };
        let value = AttributionDailyRow {
            credit_micros: 7,
            money_micros: -3,
        };
        let ViewRow { key, value } = (key, value).into();
        let text = json(&row(&key, &value, &names).unwrap());
        assert_eq!(
            text,
            r#"{"tenant":"acme","campaign":"Spring Sale","currency":"EUR","day":"2026-03-02","line":"","model":"time_decay","show":"00000000000000ff","credit_micros":7,"money_micros":-3}"#
        );
    }
}
