//! `POST /v1/redemptions`: redemptions of promo codes, one JSON object or an array. Answers as `/v1/events`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State as With;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use hostread_connectors::redemption;
use hostread_schemas::json::FieldError;

use super::events::Taken;
use super::{answer, authorization, batch_of, checked, sort_out};
use crate::body;
use crate::problem::Problem;
use crate::server::State;
use crate::telemetry;
use crate::tenants::Door;

/// Source of the events.
const SOURCE: &str = "redemptions";

pub(crate) async fn post(
    With(state): With<Arc<State>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    answer(Door::Redemptions, take(&state, &headers, body).await)
}

async fn take(state: &State, headers: &HeaderMap, body: Body) -> Result<Response, Problem> {
    let tenant = state.tenants.by_api_key(authorization(headers))?;
    tenant.admit(Door::Redemptions)?;
    let limits = &state.config.limits;
    let body = body::read(body, limits.body_bytes_max, limits.body_secs_max).await?;
    let now_ms = state.intake.now_ms();
    let batch_id = batch_of("redemptions", &body);
    let origin = state.origin(&tenant, SOURCE, &batch_id, now_ms);
    let entries = redemption::list(&origin, &body, limits.batch_events_max as usize)
        .map_err(|rejected| Problem::invalid(rejected.field, rejected.message))?;
    let (good, rejected) = sort_out(
        entries
            .into_iter()
            .map(|entry| {
                let event =
                    entry.map_err(|rejected| FieldError::new(rejected.field, rejected.message))?;
                checked(event, now_ms)
            })
            .collect(),
    );
    telemetry::rejected(Door::Redemptions.name(), rejected.len());
    if good.is_empty() {
        return Err(if rejected.is_empty() {
            Problem::invalid("", "the batch has no redemptions")
        } else {
            Problem::AllRejected { rejected }
        });
    }
    state.intake.append(&good).await?;
    telemetry::accepted(Door::Redemptions.name(), good.len());
    Ok(Json(Taken {
        accepted: good.len(),
        rejected,
    })
    .into_response())
}
