//! Attribution as rows at `/v1/attribution`: a page, and the cursor of the next one.
//!
//! Promises: only rows of the caller's tenant; pages that follow each other give every row once, as long as none comes or goes.

use std::sync::Arc;

use anyhow::Result;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use clap::ValueEnum;
use hostread_gateway::{Numbers, NumbersAsk, NumbersQuery, NumbersRefusal, Sheet};
use hostread_schemas::json::FieldError;
use serde_json::json;

use super::heard::{self, Heard};
use super::{By, Page, Question, Spot, Which, model};
use crate::config::Config;
use crate::explain::Explainer;
use crate::parts::Targets;
use crate::tables::Tables;

/// Rows of a page, unless it is asked otherwise.
const PAGE_ROWS: u32 = 100;
/// Larger: one answer holds more memory. Smaller: more requests for the same.
const PAGE_ROWS_MAX: u32 = 1_000;

/// Reads the databases that the configuration names, or those that run beside; who heard what is counted by `explainer`.
pub(crate) fn door(config: &Config, explainer: Arc<Explainer>) -> Numbers {
    let config = Arc::new(config.clone());
    let heard = Arc::new(Heard::new(explainer));
    Arc::new(move |ask| {
        let (config, heard) = (Arc::clone(&config), Arc::clone(&heard));
        Box::pin(async move {
            let (question, which) = match understood(ask).map_err(NumbersRefusal::Invalid)? {
                Understood::Heard(question) => return heard.page(question).await,
                Understood::Stored(question, which) => (question, which),
            };
            match read(&config, &question, &which).await {
                Ok(page) => Ok(said(&page)),
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "the numbers cannot be read");
                    Err(NumbersRefusal::Away)
                }
            }
        })
    })
}

async fn read(config: &Config, question: &Question, which: &Which) -> Result<Page> {
    let tables = Tables::new(Targets::find(config)?.clickhouse)?;
    tables.page(question, which).await
}

fn said(page: &Page) -> String {
    let next = page.next.as_ref().map(|keys| encoded(keys));
    json!({"rows": page.listing.objects(), "next": next}).to_string()
}

/// A cursor of keys.
pub(super) fn encoded(keys: &[String]) -> String {
    BASE64.encode(json!(keys).to_string())
}

/// The keys of a cursor.
pub(super) fn decoded(cursor: &str) -> Option<Vec<String>> {
    serde_json::from_slice(&BASE64.decode(cursor).ok()?).ok()
}

pub(super) fn wrong(field: &'static str, message: impl Into<String>) -> FieldError {
    FieldError::new(field, message)
}

/// What is asked, and of whom.
pub(super) enum Understood {
    /// The databases.
    Stored(Question, Which),
    /// The journal.
    Heard(heard::Question),
}

fn understood(ask: NumbersAsk) -> Result<Understood, FieldError> {
    let NumbersAsk {
        tenant,
        sheet,
        query,
    } = ask;
    let by = query.by.as_deref();
    let spot = || one_of::<Spot>(by.unwrap_or("campaign"));
    let question = match sheet {
        Sheet::Campaigns => {
            let by = by.unwrap_or("campaign,model").split(',').map(one_of);
            let by = by.collect::<Result<Vec<By>, _>>()?;
            let named = query.model.as_deref().map(model).transpose();
            let model = named.map_err(|message| wrong("model", message))?;
            Question::credits(by, model).map_err(|message| wrong("by", message))?
        }
        Sheet::Paths => Question::Paths(spot()?),
        Sheet::Touchpoints => Question::Touchpoints(spot()?),
        Sheet::Codes => Question::Codes,
        Sheet::PathLengths => Question::PathLengths,
        Sheet::TimeLags => Question::TimeLags,
        Sheet::Lookbacks => Question::Lookbacks,
        Sheet::Overlaps => Question::Overlaps,
        Sheet::Reach | Sheet::Funnel | Sheet::Episodes | Sheet::Customers => {
            return heard::understood(tenant, sheet, &query);
        }
    };
    only_its_own(sheet, &query)?;
    let which = Which {
        tenant: Some(tenant),
        from: day("from", query.from.as_deref())?,
        to: day("to", query.to.as_deref())?,
        limit: limit(&query)?,
        after: cursor(&query, &question)?,
        campaign: query.campaign,
        currency: query.currency,
    };
    Ok(Understood::Stored(question, which))
}

/// Refuses what the sheet is not asked by.
fn only_its_own(sheet: Sheet, query: &NumbersQuery) -> Result<(), FieldError> {
    let of_credits = sheet == Sheet::Campaigns;
    let by = of_credits || matches!(sheet, Sheet::Paths | Sheet::Touchpoints);
    let fields = [
        ("by", &query.by, by),
        ("model", &query.model, of_credits),
        ("campaign", &query.campaign, of_credits),
        ("prior_days", &query.prior_days, false),
    ];
    none_strange(&fields)
}

/// Refuses the first field that is said and not taken.
pub(super) fn none_strange(
    fields: &[(&'static str, &Option<String>, bool)],
) -> Result<(), FieldError> {
    let mut strange = fields
        .iter()
        .filter(|(_, value, taken)| value.is_some() && !taken);
    strange.next().map_or(Ok(()), |(field, ..)| {
        Err(wrong(field, "this is not asked for with it"))
    })
}

/// One of the words that there are.
pub(super) fn one_of<T: ValueEnum>(name: &str) -> Result<T, FieldError> {
    T::from_str(name, false).map_err(|_| {
        let known = T::value_variants().iter().filter_map(T::to_possible_value);
        let known: Vec<String> = known.map(|value| value.get_name().to_owned()).collect();
        wrong("by", format!("one of {}", known.join(", ")))
    })
}

pub(super) fn day(
    field: &'static str,
    text: Option<&str>,
) -> Result<Option<jiff::civil::Date>, FieldError> {
    let parse = |text: &str| {
        text.parse()
            .map_err(|_| wrong(field, "a UTC day as 2026-03-14"))
    };
    text.map(parse).transpose()
}

pub(super) fn limit(query: &NumbersQuery) -> Result<u32, FieldError> {
    let Some(text) = &query.limit else {
        return Ok(PAGE_ROWS);
    };
    let rows = text.parse().ok();
    rows.filter(|rows| (1..=PAGE_ROWS_MAX).contains(rows))
        .ok_or_else(|| wrong("limit", format!("1 to {PAGE_ROWS_MAX} rows")))
}

/// The keys behind which the page begins.
fn cursor(query: &NumbersQuery, question: &Question) -> Result<Option<Vec<String>>, FieldError> {
    let Some(text) = &query.cursor else {
        return Ok(None);
    };
    decoded(text)
        .filter(|after| question.follows(after))
        .map(Some)
        .ok_or_else(|| wrong("cursor", "the `next` of an answer to the same question"))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn asked(sheet: Sheet, query: Value) -> Result<Understood, FieldError> {
        let tenant = "acme".to_owned();
        let query = serde_json::from_value(query).expect("fields of a query");
        understood(NumbersAsk {
            tenant,
            sheet,
            query,
        })
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let short = BASE64.encode("[\"acme\"]");
        let no_number = BASE64.encode("[\"acme\",\"two\",\"EUR\"]");
        let campaigns = [
            ("by", "household"),
            ("by", "campaign"),
            ("by", "model,model"),
            ("model", "markov"),
            ("from", "March"),
            ("to", "2026-02-30"),
            ("limit", "0"),
            ("limit", "1001"),
            ("cursor", "%"),
            ("cursor", &short),
        ];
        let campaigns = campaigns.map(|wrong| (Sheet::Campaigns, wrong));
        let others = [
            (Sheet::Codes, ("by", "day")),
            (Sheet::PathLengths, ("campaign", "x")),
            (Sheet::PathLengths, ("cursor", &no_number)),
            (Sheet::Paths, ("by", "day")),
            (Sheet::Paths, ("by", "line,show")),
            (Sheet::Paths, ("cursor", &no_number)),
            (Sheet::Touchpoints, ("model", "last")),
            (Sheet::TimeLags, ("by", "line")),
        ];
        for (sheet, (field, value)) in campaigns.into_iter().chain(others) {
            assert_eq!(refused(sheet, json!({field: value})), field, "{value}");
        }
    }

    fn refused(sheet: Sheet, query: Value) -> String {
        let refused = asked(sheet, query).err();
        refused.map(|error| error.field).unwrap_or_default()
    }

    #[test]
    fn reach_needs_a_short_period() {
        let ask = |change: &dyn Fn(&mut Value)| {
            let mut query = json!({"from": "2026-03-01", "to": "2026-03-31"});
            change(&mut query);
            refused(Sheet::Reach, query)
        };
        assert_eq!(ask(&|_| {}), "");
        assert_eq!(ask(&|query| query["from"] = json!("2026-02-28")), "to");
        for field in ["from", "to"] {
            assert_eq!(ask(&|query| query[field] = Value::Null), field);
        }
        let wrong = [
            ("by", "day"),
            ("model", "last"),
            ("limit", "0"),
            ("cursor", "%"),
        ];
        for (field, value) in wrong {
            assert_eq!(ask(&|query| query[field] = json!(value)), field);
        }
        for keys in [
            json!(["acme"]),
            json!(["a", "b"]),
            json!(["a", "1", "2"]),
            json!([]),
        ] {
            let cursor = BASE64.encode(keys.to_string());
            assert_eq!(ask(&|query| query["cursor"] = json!(cursor)), "cursor");
        }
        let cursor = encoded(&["a".to_owned(), "7".to_owned()]);
        assert_eq!(ask(&|query| query["cursor"] = json!(cursor)), "");
    }

    #[test]
    fn what_was_sold_is_asked_by_its_own_fields() {
        let ask = |sheet, field: &str, value: &str| {
            let mut query = json!({"from": "2026-03-01", "to": "2026-03-31"});
            query[field] = json!(value);
            refused(sheet, query)
        };
        let taken = [
            (Sheet::Episodes, "campaign", "spring"),
            (Sheet::Episodes, "model", "last"),
            (Sheet::Customers, "model", "shapley"),
            (Sheet::Customers, "prior_days", "90"),
        ];
        for (sheet, field, value) in taken {
            assert_eq!(ask(sheet, field, value), "", "{value}");
        }
        let wrong = [
            (Sheet::Episodes, "model", "markov"),
            (Sheet::Episodes, "by", "show"),
            (Sheet::Episodes, "prior_days", "90"),
            (Sheet::Customers, "campaign", "spring"),
            (Sheet::Customers, "prior_days", "0"),
            (Sheet::Customers, "prior_days", "3651"),
            (Sheet::Customers, "from", "2026-02-28"),
            (Sheet::Reach, "prior_days", "90"),
            (Sheet::Codes, "prior_days", "90"),
        ];
        for (sheet, field, value) in wrong {
            let named = if field == "from" { "to" } else { field };
            assert_eq!(ask(sheet, field, value), named, "{value}");
        }
    }

    #[test]
    fn a_cursor_is_the_keys_of_the_last_row() {
        let keys = ["acme", "2", "EUR"].map(str::to_owned).to_vec();
        let listing = crate::listing::Listing::whole(Vec::new(), Vec::new());
        let next = Some(keys.clone());
        let answer: Value = serde_json::from_str(&said(&Page { listing, next })).expect("JSON");
        let query = json!({"cursor": answer["next"]});
        let Ok(Understood::Stored(_, which)) = asked(Sheet::PathLengths, query) else {
            panic!("a cursor of ours")
        };
        assert_eq!(which.after, Some(keys));
    }
}
