//! `GET /v1/attribution/campaigns`, `/codes`, `/paths` and the others of [`Sheet`]: the tenant's numbers as they stand in the
//! database, or are counted from the journal, page by page. 200 JSON; 422 names the field; 503 while others are read or counted, or
//! what they are read from is away.

use std::pin::Pin;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State as With};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use hostread_schemas::json::FieldError;
use serde::Deserialize;

use super::{answer, caller, of_now};
use crate::problem::Problem;
use crate::server::State;
use crate::tenants::Door;

/// Which numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sheet {
    /// Credits and money by campaign, or what else is asked for.
    Campaigns,
    /// Promo codes and their redemptions.
    Codes,
    /// Conversions by the path that led to them.
    Paths,
    /// Conversions by the touches on their path.
    PathLengths,
    /// How often a campaign, line item or show is on a path.
    Touchpoints,
    /// Conversions by the days since their first and last touch.
    TimeLags,
    /// What shorter lookbacks would match.
    Lookbacks,
    /// Conversions that two campaigns have touched.
    Overlaps,
    /// Whom the ads of a period reached.
    Reach,
    /// How far those went.
    Funnel,
    /// What ads in each episode sold.
    Episodes,
    /// What was sold to new and to returning customers.
    Customers,
}

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NumbersAsk {
    /// Only what is this tenant's.
    pub tenant: String,
    /// Which numbers.
    pub sheet: Sheet,
    /// The query.
    pub query: NumbersQuery,
}

/// What the query may say; each sheet refuses what is not its own.
#[derive(Clone, Default, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumbersQuery {
    /// What to sum by, joined by commas.
    pub by: Option<String>,
    /// Only under this model.
    pub model: Option<String>,
    /// Only of this campaign.
    pub campaign: Option<String>,
    /// Only in this currency.
    pub currency: Option<String>,
    /// First UTC day.
    pub from: Option<String>,
    /// Last UTC day.
    pub to: Option<String>,
    /// How many days a customer is remembered.
    pub prior_days: Option<String>,
    /// Rows of a page.
    pub limit: Option<String>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NumbersRefusal {
    /// A field of the query cannot be used.
    Invalid(FieldError),
    /// The database or the journal does not answer.
    Away,
    /// It is asked by others.
    Busy,
}

/// JSON, or why there is none.
pub type NumbersAnswer = Pin<Box<dyn Future<Output = Result<String, NumbersRefusal>> + Send>>;

/// Reads the numbers.
pub type Numbers = Arc<dyn Fn(NumbersAsk) -> NumbersAnswer + Send + Sync>;

type Asked = Result<Query<NumbersQuery>, QueryRejection>;

/// The door of a sheet.
pub(crate) fn page(sheet: Sheet) -> MethodRouter<Arc<State>> {
    get(
        move |With(state): With<Arc<State>>, asked: Asked, headers: HeaderMap| async move {
            answer(Door::Attribution, say(&state, sheet, asked, &headers).await)
        },
    )
}

async fn say(
    state: &State,
    sheet: Sheet,
    asked: Asked,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let (tenant, query) = caller(state, Door::Attribution, headers, asked)?;
    let numbers = state.numbers.clone().ok_or(Problem::NotFound)?;
    let _place = state.reading.try_acquire().map_err(|_| Problem::Busy)?;
    let tenant = tenant.name.clone();
    let ask = NumbersAsk {
        tenant,
        sheet,
        query,
    };
    let said = numbers(ask).await.map_err(|refusal| match refusal {
        NumbersRefusal::Invalid(error) => Problem::invalid(error.field, error.message),
        NumbersRefusal::Away => Problem::DatabaseAway,
        NumbersRefusal::Busy => Problem::Busy,
    })?;
    Ok(of_now("application/json", said))
}
