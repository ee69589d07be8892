//! `/livez`: the process answers. `/readyz`: the log answers. `/readyz/pipeline`: asked of the pipeline. `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State as With;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::problem::Problem;
use crate::server::State;

/// Longest wait for the log's answer.
const READY_WAIT: Duration = Duration::from_secs(2);

pub(crate) async fn live() -> Response {
    Json(json!({"live": true})).into_response()
}

/// Not ready while the log is away; pixels, impressions and hits of prefixes are taken all the same.
pub(crate) async fn ready(With(state): With<Arc<State>>) -> Response {
    let log = tokio::time::timeout(READY_WAIT, state.intake.log.end_offsets()).await;
    let there = matches!(log, Ok(Ok(_))) && !state.intake.log_away();
    let spill = state.intake.spill.stats();
    let body = json!({
        "ready": there,
        "log": if there { "there" } else { "away" },
        "spilled_events": spill.records,
        "spill_cut_events": spill.cut_total,
        "prefix_hits_waiting": state.hits.waiting_count(),
        "prefix_hits_lost": state.hits.lost_count(),
        "dead_letters": state.intake.dead_letters.stats().letters,
    });
    let status = if there {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(body)).into_response()
}

pub(crate) async fn pipeline_ready(With(state): With<Arc<State>>) -> Response {
    match state.pipeline_ready.as_ref().map(|ready| ready()) {
        None => Problem::NotFound.into_response(),
        Some(Ok(())) => Json(json!({"ready": true})).into_response(),
        Some(Err(reason)) => {
            let body = json!({"ready": false, "reason": reason});
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

pub(crate) async fn metrics(With(state): With<Arc<State>>) -> Response {
    match &state.metrics {
        None => Problem::NotFound.into_response(),
        Some(render) => {
            let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
            (kind, render()).into_response()
        }
    }
}
