//! One file a door. A door reads, asks a connector, hands the events to the intake and answers; it decides nothing else.

pub(crate) mod attribution;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod health;
pub(crate) mod import;
pub(crate) mod numbers;
pub(crate) mod openapi;
pub(crate) mod prefix;
pub(crate) mod redemptions;
pub(crate) mod shopify;
pub(crate) mod tag;
pub(crate) mod web;

use std::sync::Arc;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use hostread_schemas::event::Event;
use hostread_schemas::json::FieldError;
use hostread_schemas::unit::EventTimeMs;
use tokio::sync::Semaphore;

use crate::problem::{Problem, RejectedEntry};
use crate::server::State;
use crate::telemetry;
use crate::tenants::{Door, Tenant};

/// Counts the answer.
fn answer(door: Door, result: Result<Response, Problem>) -> Response {
    let response = result.unwrap_or_else(IntoResponse::into_response);
    telemetry::answered(door.name(), response.status().as_u16());
    response
}

fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()
}

/// Whose API key it is, and what the query says; takes one request from the door's rate.
fn caller<T>(
    state: &State,
    door: Door,
    headers: &HeaderMap,
    asked: Result<Query<T>, QueryRejection>,
) -> Result<(Arc<Tenant>, T), Problem> {
    let tenant = state.tenants.by_api_key(authorization(headers))?;
    let asked = query(asked)?;
    tenant.admit(door)?;
    Ok((tenant, asked))
}

/// Does work that blocks while one of so many places is free; nobody waits in line.
async fn in_place<T: Send + 'static>(
    places: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let place = Arc::clone(places)
        .try_acquire_owned()
        .map_err(|_| Problem::Busy)?;
    let done = tokio::task::spawn_blocking(move || {
        let done = work();
        // Held until it is done, also when the caller has gone.
        drop(place);
        done
    });
    done.await.map_err(|_| Problem::Internal)
}

/// What is true now and perhaps not the next time.
fn of_now(kind: &'static str, body: String) -> Response {
    let head = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (head, body).into_response()
}

fn content_type(headers: &HeaderMap) -> String {
    let stated = headers.get(header::CONTENT_TYPE);
    let stated = stated.and_then(|value| value.to_str().ok());
    stated.unwrap_or_default().to_ascii_lowercase()
}

fn is_csv(headers: &HeaderMap) -> bool {
    content_type(headers).starts_with("text/csv")
}

/// The query's fields, or which of them cannot be read.
fn query<T>(asked: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    // The source names the field; the rejection's own text is the framework's.
    asked.map(|Query(asked)| asked).map_err(|rejection| {
        let cause = std::error::Error::source(&rejection);
        let message = cause.map_or_else(|| "cannot be read".to_owned(), ToString::to_string);
        Problem::invalid("query", message)
    })
}

/// What no door takes.
fn checked(event: Event, now_ms: i64) -> Result<Event, FieldError> {
    hostread_schemas::json::validate(&event, EventTimeMs(now_ms))?;
    Ok(event)
}

/// A batch of one request: the same body is the same batch.
fn batch_of(prefix: &str, body: &[u8]) -> String {
    let hash = hostread_connectors_kit::signature::sha256_hex(body);
    format!("{prefix}:{}", hash.get(..16).unwrap_or_default())
}

/// Good events apart from bad entries.
fn sort_out(entries: Vec<Result<Event, FieldError>>) -> (Vec<Event>, Vec<RejectedEntry>) {
    let mut good = Vec::with_capacity(entries.len());
    let mut rejected = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        match entry {
            Ok(event) => good.push(event),
            Err(error) => rejected.push(RejectedEntry {
                index,
                field: error.field,
                message: error.message,
            }),
        }
    }
    (good, rejected)
}
