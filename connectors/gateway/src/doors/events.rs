//! `POST /v1/events`: any event in its JSON form, a batch of them, NDJSON, or a CSV table of catalog and deal facts.
//! 200 `{"accepted", "rejected":[{index, field, message}]}`; 422 when none is good or the body is not what it says.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State as With};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use hostread_connectors::{deals_csv, events_json};
use hostread_connectors_kit::Origin;
use hostread_schemas::event::Event;
use hostread_schemas::json::{Draft, FieldError, read_batch, read_draft};
use serde::{Deserialize, Serialize};

use super::{answer, batch_of, caller, checked, content_type, is_csv, sort_out};
use crate::body;
use crate::problem::{Problem, RejectedEntry};
use crate::server::State;
use crate::telemetry;
use crate::tenants::{Door, Tenant};

/// Source of events that name none.
const SOURCE: &str = "api";

#[derive(Deserialize)]
pub(crate) struct Asked {
    /// Type of the rows of a table without a `type` column.
    #[serde(rename = "type")]
    of_type: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Taken {
    pub(super) accepted: usize,
    pub(super) rejected: Vec<RejectedEntry>,
}

pub(crate) async fn post(
    With(state): With<Arc<State>>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    answer(Door::Events, take(state, asked, &headers, body).await)
}

async fn take(
    state: Arc<State>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (tenant, asked) = caller(&state, Door::Events, headers, asked)?;
    let limits = &state.config.limits;
    let body = body::read(body, limits.batch_bytes_max, limits.body_secs_max).await?;
    let format = Format::of(headers);
    // Waiting here holds back the sender, not the other doors.
    let permit = state
        .batches
        .acquire()
        .await
        .map_err(|_| Problem::Internal)?;
    let (mapper, of_tenant) = (Arc::clone(&state), Arc::clone(&tenant));
    let entries = tokio::task::spawn_blocking(move || {
        map(&mapper, &of_tenant, format, asked.of_type.as_deref(), &body)
    })
    .await
    .map_err(|_| Problem::Internal)?;
    drop(permit);
    let (good, rejected) =
        sort_out(entries.map_err(|error| Problem::invalid(error.field, error.message))?);
    telemetry::rejected(Door::Events.name(), rejected.len());
    if good.is_empty() {
        return Err(if rejected.is_empty() {
            Problem::invalid("", "the batch has no events")
        } else {
            Problem::AllRejected { rejected }
        });
    }
    state.intake.append(&good).await?;
    telemetry::accepted(Door::Events.name(), good.len());
    Ok(Json(Taken {
        accepted: good.len(),
        rejected,
    })
    .into_response())
}

#[derive(Clone, Copy)]
enum Format {
    Json,
    Ndjson,
    Csv,
}

impl Format {
    fn of(headers: &HeaderMap) -> Self {
        let stated = content_type(headers);
        if stated.contains("ndjson") || stated.contains("jsonl") || stated.contains("json-seq") {
            Self::Ndjson
        } else if is_csv(headers) {
            Self::Csv
        } else {
            Self::Json
        }
    }
}

type Entries<T> = Vec<Result<T, FieldError>>;

fn map(
    state: &State,
    tenant: &Tenant,
    format: Format,
    of_type: Option<&str>,
    body: &Bytes,
) -> Result<Entries<Event>, FieldError> {
    let entries_max = state.config.limits.batch_events_max as usize;
    let drafts = match format {
        Format::Json => json(body, entries_max),
        Format::Ndjson => ndjson(body, entries_max),
        Format::Csv => deals_csv::drafts(body, of_type, entries_max),
    }?;
    let now_ms = state.intake.now_ms();
    let batch_id = batch_of("api", body);
    let origin: Origin<'_> = state.origin(tenant, SOURCE, &batch_id, now_ms);
    Ok(drafts
        .into_iter()
        .map(|draft| checked(events_json::event(&origin, draft?)?, now_ms))
        .collect())
}

/// An array, `{"events": [...]}`, one event, or NDJSON that does not say so.
fn json(body: &[u8], entries_max: usize) -> Result<Entries<Draft>, FieldError> {
    let trimmed = body.trim_ascii();
    if trimmed.starts_with(b"[") {
        return read_batch(trimmed, entries_max);
    }
    if let Some(list) = wrapped(trimmed) {
        return read_batch(list, entries_max);
    }
    let mut lines = trimmed
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty());
    let first = lines.next();
    if first.is_some_and(|line| line.trim_ascii().ends_with(b"}")) && lines.next().is_some() {
        return ndjson(trimmed, entries_max);
    }
    Ok(vec![read_draft(trimmed)])
}

/// The array of `{"events": [...]}`.
fn wrapped(body: &[u8]) -> Option<&[u8]> {
    let inner = body.strip_prefix(b"{")?.strip_suffix(b"}")?.trim_ascii();
    let list = inner
        .strip_prefix(b"\"events\"")?
        .trim_ascii()
        .strip_prefix(b":")?
        .trim_ascii();
    list.starts_with(b"[").then_some(list)
}

fn ndjson(body: &[u8], entries_max: usize) -> Result<Entries<Draft>, FieldError> {
    let mut drafts = Vec::new();
    for line in body
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
    {
        if drafts.len() >= entries_max {
            return Err(FieldError::new(
                "",
                format!("the batch has more than {entries_max} events"),
            ));
        }
        drafts.push(read_draft(line));
    }
    Ok(drafts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_every_form() {
        let event = r#"{"type":"show","show":"s","time":"2026-11-09T00:00:00Z"}"#;
        let count = |body: String| {
            json(body.as_bytes(), 3)
                .map(|entries| entries.iter().filter(|entry| entry.is_ok()).count())
        };
        assert_eq!(count(event.to_owned()), Ok(1));
        assert_eq!(count(format!(" [{event},{event}] ")), Ok(2));
        assert_eq!(
            count(format!("{{ \"events\" : [{event},{event}] }}")),
            Ok(2)
        );
        assert_eq!(count(format!("{event}\n\n{event}\r\n{{\n")), Ok(2));
        assert_eq!(count(event.replace(",\"show\"", ",\n\"show\"")), Ok(1));
        assert!(count(format!("[{event},{event},{event},{event}]")).is_err());
        assert!(count(format!("{event}\n{event}\n{event}\n{event}")).is_err());
        assert!(count("[".to_owned()).is_err());
        assert_eq!(count("{".to_owned()), Ok(0));
    }
}
