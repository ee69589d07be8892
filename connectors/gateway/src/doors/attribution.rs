//! `GET /v1/attribution/models`: which models there are. `POST /v1/attribution/calculate`: the credits of paths that are sent, by
//! each of them; `?models=` and `?order=`. Nothing is stored. 200 JSON; 422 names the path or field that cannot be used; 503 while others are
//! calculated.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State as With};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use hostread_schemas::json::FieldError;
use serde::Deserialize;

use super::{answer, authorization, is_csv, query};
use crate::body;
use crate::problem::Problem;
use crate::server::State;
use crate::tenants::Door;

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CalculateAsk {
    /// Names of models, joined by commas; without it all.
    pub models: Option<String>,
    /// Order of the Markov chain; without it 1.
    pub order: Option<String>,
    /// The paths, as `{"paths": [...]}` or as CSV.
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
        Ok(json(attribution.models.clone()))
    };
    answer(Door::Attribution, say())
}

pub(crate) async fn calculate(
    With(state): With<Arc<State>>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    answer(Door::Attribution, say(state, asked, &headers, body).await)
}

async fn say(
    state: Arc<State>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let tenant = state.tenants.by_api_key(authorization(headers))?;
    let Asked { models, order } = query(asked)?;
    tenant.admit(Door::Attribution)?;
    let attribution = state.attribution.clone().ok_or(Problem::NotFound)?;
    let limits = &state.config.limits;
    let paths = body::read(body, limits.batch_bytes_max, limits.body_secs_max).await?;
    // A chain can keep a core busy: one at a time, and nobody waits in line.
    let permit = Arc::clone(&state.calculating)
        .try_acquire_owned()
        .map_err(|_| Problem::Busy)?;
    let ask = CalculateAsk {
        models,
        order,
        paths,
        is_csv: is_csv(headers),
    };
    let said = tokio::task::spawn_blocking(move || {
        let said = (attribution.calculate)(&ask);
        // Held until it is done, also when the caller has gone.
        drop(permit);
        said
    });
    let said = said.await.map_err(|_| Problem::Internal)?;
    let said = said.map_err(|error| Problem::invalid(error.field, error.message))?;
    Ok(json(said))
}

fn json(body: String) -> Response {
    let head = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (head, body).into_response()
}
