//! Reach and funnel at `/v1/attribution`: counted from the journal, page by page.
//!
//! Promises: only what is the caller's; one question at a time, for each reads the requests of its period.

use std::sync::Arc;

use hostread_explain::ReachAsked;
use hostread_gateway::{NumbersQuery, NumbersRefusal};
use hostread_schemas::Day;
use hostread_schemas::json::FieldError;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::Spot;
use super::door::{Understood, day, decoded, encoded, limit, one_of, wrong};
use crate::explain::{Explainer, NoAnswer};
use crate::reach::{Shown, by, listing};

/// Longer periods are for the command beside the pipeline.
const DAYS_MAX: i32 = 31;

/// Who counts.
pub(super) struct Heard {
    explainer: Arc<Explainer>,
    places: Arc<Semaphore>,
}

/// What is asked.
pub(super) struct Question {
    tenant: String,
    asked: ReachAsked,
    by: Spot,
    shown: Shown,
    limit: usize,
    after: usize,
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
            let reach = explainer.reach(question.asked, Some(&question.tenant));
            // Held until it is done, also when the caller has gone.
            drop(place);
            reach.map(|reach| {
                said(
                    &question,
                    &listing(&reach, question.by, question.shown).objects(),
                )
            })
        });
        let counted = counted.await.map_err(|_| NumbersRefusal::Away)?;
        counted.map_err(|why| match why {
            NoAnswer::Cause(message) => NumbersRefusal::Invalid(wrong("from", message)),
            why => {
                tracing::warn!(?why, "whom ads reached cannot be counted");
                NumbersRefusal::Away
            }
        })
    }
}

fn said(question: &Question, rows: &[Value]) -> String {
    let rest = rows.get(question.after..).unwrap_or_default();
    let page = rest.get(..question.limit).unwrap_or(rest);
    let end = question.after + page.len();
    let next = (end < rows.len()).then(|| encoded(&[end.to_string()]));
    json!({"rows": page, "next": next}).to_string()
}

/// The period must be named, and is short.
pub(super) fn understood(
    tenant: String,
    query: &NumbersQuery,
    shown: Shown,
) -> Result<Understood, FieldError> {
    let strange = [
        ("model", &query.model),
        ("campaign", &query.campaign),
        ("currency", &query.currency),
    ];
    if let Some((field, _)) = strange.into_iter().find(|(_, value)| value.is_some()) {
        return Err(wrong(field, "this is not asked for with it"));
    }
    let spot: Spot = one_of(query.by.as_deref().unwrap_or("campaign"))?;
    let needed = |field, text: Option<&str>| {
        let day = day(field, text)?.map(Day::from_date);
        day.ok_or_else(|| wrong(field, "the period must be named: from and to, in UTC days"))
    };
    let from = needed("from", query.from.as_deref())?;
    let to = needed("to", query.to.as_deref())?;
    if to.0.saturating_sub(from.0) >= DAYS_MAX {
        let message =
            format!("at most {DAYS_MAX} days here; hostread report reach counts longer periods");
        return Err(wrong("to", message));
    }
    Ok(Understood::Heard(Question {
        tenant,
        asked: ReachAsked {
            by: by(spot),
            from: Some(from),
            to: Some(to),
        },
        by: spot,
        shown,
        limit: limit(query)? as usize,
        after: after(query)?,
    }))
}

/// How many rows were on the pages before.
fn after(query: &NumbersQuery) -> Result<usize, FieldError> {
    let Some(text) = &query.cursor else {
        return Ok(0);
    };
    let keys = decoded(text).unwrap_or_default();
    let [rows] = keys.as_slice() else {
        return Err(wrong_cursor());
    };
    rows.parse().map_err(|_| wrong_cursor())
}

fn wrong_cursor() -> FieldError {
    wrong("cursor", "the `next` of an answer to the same question")
}
