//! `GET /v1/explain/{kind}/{id}`: why a number of the tenant is what it is; `?without=` an event or a batch.
//! 200 JSON, or a page of text where that is asked for; 404 for what is not there, whoever has it; 503 when others are explained.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State as With};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use serde::Deserialize;

use super::{answer, caller, in_place, of_now};
use crate::problem::Problem;
use crate::server::State;
use crate::tenants::Door;

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExplainAsk {
    /// Only what is this tenant's.
    pub tenant: String,
    /// Kind of the number.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Also without this cause.
    pub without: Option<String>,
    /// As a page of text.
    pub as_text: bool,
}

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExplainRefusal {
    /// The tenant has no such number.
    Unknown,
    /// The id names several, or the cause none: the tenant's own words.
    Unclear {
        /// `id` or `without`.
        field: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// It cannot be read now.
    Away,
}

/// Explains. Blocks.
pub type Explain = Arc<dyn Fn(&ExplainAsk) -> Result<String, ExplainRefusal> + Send + Sync>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    without: Option<String>,
}

pub(crate) async fn get(
    With(state): With<Arc<State>>,
    path: Result<Path<(String, String)>, PathRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    answer(Door::Explain, say(state, path, asked, &headers).await)
}

async fn say(
    state: Arc<State>,
    path: Result<Path<(String, String)>, PathRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let (tenant, asked) = caller(&state, Door::Explain, headers, asked)?;
    // An id that is no text is one that nobody has.
    let Path((kind, id)) = path.map_err(|_| Problem::NotFound)?;
    let explain = state.explain.clone().ok_or(Problem::NotFound)?;
    let accept = headers.get(header::ACCEPT);
    let as_text = accept.is_some_and(|accept| accept.as_bytes().starts_with(b"text/plain"));
    let ask = ExplainAsk {
        tenant: tenant.name.clone(),
        kind,
        id,
        without: asked.without,
        as_text,
    };
    let said = in_place(&state.explaining, move || explain(&ask)).await?;
    let said = said.map_err(|refusal| match refusal {
        ExplainRefusal::Unknown => Problem::NotFound,
        ExplainRefusal::Unclear { field, message } => Problem::invalid(field, message),
        ExplainRefusal::Away => Problem::ExplainAway,
    })?;
    let kind = if as_text {
        "text/plain; charset=utf-8"
    } else {
        "application/json"
    };
    Ok(of_now(kind, said))
}
