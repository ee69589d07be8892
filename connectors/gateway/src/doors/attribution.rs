//! `GET /v1/attribution/models`: which models there are. `POST /v1/attribution/calculate`: the credits of paths that are sent,
//! by each of them; `?models=` and `?order=`. `POST /v1/attribution/validate`: how near they come to a truth that is sent, too. Nothing
//! is stored. 200 JSON; 422 names the path or field that cannot be used; 503 while others are calculated.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State as With};
use axum::http::HeaderMap;
use axum::response::Response;
use hostread_schemas::json::FieldError;
use serde::Deserialize;

use super::{answer, authorization, caller, in_place, is_csv, of_now};
use crate::body;
use crate::problem::Problem;
use crate::server::State;
use crate::tenants::Door;

const JSON: &str = "application/json";

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CalculateAsk {
    /// Names of models, joined by commas; without it all.
    pub models: Option<String>,
    /// Order of the Markov chain; without it 1.
    pub order: Option<String>,
    /// The paths, as `{"paths": [...]}` or as CSV; to be validated, with `truth` beside them.
    pub paths: Bytes,
    /// They are CSV.
    pub is_csv: bool,
}

/// Calculates. Blocks.
pub type Calculate = Arc<dyn Fn(&CalculateAsk) -> Result<String, FieldError> + Send + Sync>;

/// What models there are, and who calculates.
#[derive(Clone)]
pub struct Attribution {
    /// The models, as JSON.
    pub models: String,
    /// Credits of paths, as JSON.
    pub calculate: Calculate,
    /// How near the credits of paths come to a truth, as JSON.
    pub validate: Calculate,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    models: Option<String>,
    order: Option<String>,
}

pub(crate) async fn models(With(state): With<Arc<State>>, headers: HeaderMap) -> Response {
    let say = || {
        let tenant = state.tenants.by_api_key(authorization(&headers))?;
        tenant.admit(Door::Attribution)?;
        let attribution = state.attribution.as_ref().ok_or(Problem::NotFound)?;
        Ok(of_now(JSON, attribution.models.clone()))
    };
    answer(Door::Attribution, say())
}

pub(crate) async fn calculate(
    With(state): With<Arc<State>>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let said = say(state, asked, &headers, body, |to| to.calculate);
    answer(Door::Attribution, said.await)
}

pub(crate) async fn validate(
    With(state): With<Arc<State>>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let said = say(state, asked, &headers, body, |to| to.validate);
    answer(Door::Attribution, said.await)
}

async fn say(
    state: Arc<State>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: &HeaderMap,
    body: Body,
    what: fn(Attribution) -> Calculate,
) -> Result<Response, Problem> {
    let (_, Asked { models, order }) = caller(&state, Door::Attribution, headers, asked)?;
    let what = what(state.attribution.clone().ok_or(Problem::NotFound)?);
    let limits = &state.config.limits;
    let paths = body::read(body, limits.batch_bytes_max, limits.body_secs_max).await?;
    let ask = CalculateAsk {
        models,
        order,
        paths,
        is_csv: is_csv(headers),
    };
    let said = in_place(&state.calculating, move || what(&ask)).await?;
    let said = said.map_err(|error| Problem::invalid(error.field, error.message))?;
    Ok(of_now(JSON, said))
}
