//! Whom ads reached and what they sold to whom, at `/v1/attribution`: counted from the journal, page by page.
//!
//! Promises: only what is the caller's; one question at a time, for each reads what is live of its period.

use std::sync::Arc;

use hostread_explain::{CustomersAsked, EpisodesAsked, ReachAsked};
use hostread_gateway::{NumbersQuery, NumbersRefusal, Sheet};
use hostread_schemas::Day;
use hostread_schemas::event::Model;
use hostread_schemas::json::FieldError;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::door::{Understood, day, decoded, encoded, limit, none_strange, one_of, wrong};
use super::{Spot, model};
use crate::explain::{Explainer, NoAnswer};
use crate::reach::{self, Shown};
use crate::sold;

/// Longer periods are for the command beside the pipeline.
const DAYS_MAX: i32 = 31;
/// How long a customer is remembered, unless it is asked otherwise.
const PRIOR_DAYS: u16 = 365;

/// Who counts.
pub(super) struct Heard {
    explainer: Arc<Explainer>,
    places: Arc<Semaphore>,
}

/// What is asked.
pub(super) struct Question {
    tenant: String,
    asked: Asked,
    limit: usize,
    after: Option<Place>,
}

/// Of which sheet.
enum Asked {
    Reach(ReachAsked, Spot, Shown),
    Episodes(EpisodesAsked),
    Customers(CustomersAsked),
}

impl Asked {
    fn rows(&self, explainer: &Explainer, tenant: &str) -> Result<Vec<Value>, NoAnswer> {
        let tenant = Some(tenant);
        let listing = match self {
            Self::Reach(asked, by, shown) => {
                reach::listing(&explainer.reach(*asked, tenant)?, *by, *shown)
            }
            Self::Episodes(asked) => sold::episodes(&explainer.episodes(asked, tenant)?),
            Self::Customers(asked) => sold::customers(&explainer.customers(*asked, tenant)?),
        };
        Ok(listing.objects())
    }

    /// The field that rows are in the order of.
    const fn order(&self) -> &'static str {
        match self {
            Self::Reach(_, by, _) => by.name(),
            Self::Episodes(_) | Self::Customers(_) => "campaign",
        }
    }
}

/// A row: what it is of, and how many rows of that there are up to it.
#[derive(PartialEq, Eq, Debug)]
struct Place {
    of: String,
    rows: usize,
}

impl Heard {
    pub(super) fn new(explainer: Arc<Explainer>) -> Self {
        Self {
            explainer,
            places: Arc::new(Semaphore::new(1)),
        }
    }

    /// A page.
    pub(super) async fn page(&self, question: Question) -> Result<String, NumbersRefusal> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| NumbersRefusal::Busy)?;
        let explainer = Arc::clone(&self.explainer);
        let counted = tokio::task::spawn_blocking(move || {
            let rows = question.asked.rows(&explainer, &question.tenant);
            // Held until it is done, also when the caller has gone.
            drop(place);
            rows.map(|rows| said(&question, &rows))
        });
        let counted = counted.await.map_err(|_| NumbersRefusal::Away)?;
        counted.map_err(|why| match why {
            NoAnswer::Cause(message) => NumbersRefusal::Invalid(wrong("from", message)),
            why => {
                tracing::warn!(?why, "the journal cannot be counted");
                NumbersRefusal::Away
            }
        })
    }
}

/// The page behind a row; rows are in the order of what they are of, which may come or go between two pages.
fn said(question: &Question, rows: &[Value]) -> String {
    let of = |row: &Value| {
        row[question.asked.order()]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let first = |name: &str| rows.partition_point(|row| of(row).as_str() < name);
    let behind = |place: &Place| {
        let rest = rows.iter().skip(first(&place.of));
        let same = rest.take_while(|row| of(row) == place.of).count();
        first(&place.of) + same.min(place.rows)
    };
    let begin = question.after.as_ref().map_or(0, behind);
    let rest = rows.get(begin..).unwrap_or_default();
    let page = rest.get(..question.limit).unwrap_or(rest);
    let last = page.last().filter(|_| page.len() < rest.len());
    let next = last.map(|last| {
        let name = of(last);
        let rows = begin + page.len() - first(&name);
        encoded(&[name, rows.to_string()])
    });
    json!({"rows": page, "next": next}).to_string()
}

/// The period must be named, and is short.
pub(super) fn understood(
    tenant: String,
    sheet: Sheet,
    query: &NumbersQuery,
) -> Result<Understood, FieldError> {
    let reach = matches!(sheet, Sheet::Reach | Sheet::Funnel);
    none_strange(&[
        ("by", &query.by, reach),
        ("model", &query.model, !reach),
        ("campaign", &query.campaign, sheet == Sheet::Episodes),
        ("currency", &query.currency, false),
        ("prior_days", &query.prior_days, sheet == Sheet::Customers),
    ])?;
    let (from, to) = period(query)?;
    let (from, to) = (Some(from), Some(to));
    let asked = match sheet {
        Sheet::Episodes => Asked::Episodes(EpisodesAsked {
            model: divides(query)?,
            from,
            to,
            campaign: query.campaign.clone(),
        }),
        Sheet::Customers => Asked::Customers(CustomersAsked {
            model: divides(query)?,
            from,
            to,
            prior_days: prior_days(query)?,
        }),
        _ => {
            let spot: Spot = one_of(query.by.as_deref().unwrap_or("campaign"))?;
            let by = reach::by(spot);
            let shown = match sheet {
                Sheet::Funnel => Shown::Funnel,
                _ => Shown::Reach,
            };
            Asked::Reach(ReachAsked { by, from, to }, spot, shown)
        }
    };
    Ok(Understood::Heard(Question {
        tenant,
        asked,
        limit: limit(query)? as usize,
        after: after(query)?,
    }))
}

fn period(query: &NumbersQuery) -> Result<(Day, Day), FieldError> {
    let needed = |field, text: Option<&str>| {
        let day = day(field, text)?.map(Day::from_date);
        day.ok_or_else(|| wrong(field, "the period must be named: from and to, in UTC days"))
    };
    let from = needed("from", query.from.as_deref())?;
    let to = needed("to", query.to.as_deref())?;
    if to.0.saturating_sub(from.0) >= DAYS_MAX {
        let message =
            format!("at most {DAYS_MAX} days here; `hostread report` counts longer periods");
        return Err(wrong("to", message));
    }
    Ok((from, to))
}

/// Who divides a conversion.
fn divides(query: &NumbersQuery) -> Result<Model, FieldError> {
    let named = query.model.as_deref().map(model).transpose();
    let named = named.map_err(|message| wrong("model", message))?;
    Ok(named.unwrap_or(Model::Linear))
}

fn prior_days(query: &NumbersQuery) -> Result<u16, FieldError> {
    let Some(text) = &query.prior_days else {
        return Ok(PRIOR_DAYS);
    };
    let days = text.parse().ok();
    days.filter(|days| (1..=3_650).contains(days))
        .ok_or_else(|| wrong("prior_days", "1 to 3650 days"))
}

/// The last row of the page before.
fn after(query: &NumbersQuery) -> Result<Option<Place>, FieldError> {
    let Some(text) = &query.cursor else {
        return Ok(None);
    };
    let place = || {
        let [of, rows]: [String; 2] = decoded(text)?.try_into().ok()?;
        let rows = rows.parse().ok()?;
        Some(Place { of, rows })
    };
    let message = "the `next` of an answer to the same question";
    place().map(Some).ok_or_else(|| wrong("cursor", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of campaigns, by name and step.
    fn rows(of: &[(&str, u64)]) -> Vec<Value> {
        let row = |(name, step): &(&str, u64)| json!({"campaign": name, "step": step});
        of.iter().map(row).collect()
    }

    fn question(after: Option<Place>) -> Question {
        let asked = ReachAsked {
            by: reach::by(Spot::Campaign),
            from: None,
            to: None,
        };
        Question {
            tenant: "acme".to_owned(),
            asked: Asked::Reach(asked, Spot::Campaign, Shown::Funnel),
            limit: 3,
            after,
        }
    }

    /// The rows of a page, and the place that its cursor names.
    fn page(of: &[(&str, u64)], after: Option<Place>) -> (Vec<Value>, Option<Place>) {
        let said: Value = serde_json::from_str(&said(&question(after), &rows(of))).expect("JSON");
        let cursor = said["next"].as_str().map(str::to_owned);
        let query = NumbersQuery {
            cursor,
            ..NumbersQuery::default()
        };
        let rows = said["rows"].as_array().cloned().unwrap_or_default();
        (rows, after_of(&query))
    }

    fn after_of(query: &NumbersQuery) -> Option<Place> {
        super::after(query).expect("a cursor of ours")
    }

    #[test]
    fn a_page_goes_on_behind_the_row_that_was_last() {
        let all = [("a", 1), ("a", 2), ("c", 1), ("c", 2), ("d", 1)];
        let (first, after) = page(&all, None);
        assert_eq!(first, rows(&all[..3]));
        let (second, end) = page(&all, after);
        assert_eq!((second, end), (rows(&all[3..]), None));
        let place = || {
            let of = "c".to_owned();
            Some(Place { of, rows: 1 })
        };
        let more = [("a", 1), ("a", 2), ("b", 1), ("b", 2), ("c", 1), ("c", 2)];
        assert_eq!(page(&more, place()).0, rows(&more[5..]), "one came");
        let less = [("a", 1), ("d", 1), ("d", 2)];
        assert_eq!(page(&less, place()).0, rows(&less[1..]), "it went");
        assert_eq!(page(&[], place()), (Vec::new(), None));
    }
}
