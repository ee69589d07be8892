//! `POST /hooks/shopify/{connection}`: webhooks. Wrong signature 401 and nothing stored; with a right one always 200 (what cannot
//! be used goes to dead letters), 503 while nothing can be stored.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as With};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use hostread_connectors::shopify::map::{TOPIC_HEADER, WEBHOOK_ID_HEADER};
use hostread_connectors::shopify::verify::SIGNATURE_HEADER;
use hostread_connectors::shopify::{Shopify, verify};
use hostread_connectors_kit::{Connector, Mapped, Raw, Resend};
use hostread_schemas::event::Event;

use super::{answer, checked};
use crate::body;
use crate::intake::{Letter, retry_of};
use crate::problem::Problem;
use crate::server::State;
use crate::telemetry;
use crate::tenants::{Door, Tenant};

pub(crate) async fn post(
    With(state): With<Arc<State>>,
    connection: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    // A name that is no text is nobody's.
    let taken = match connection {
        Ok(Path(connection)) => take(&state, &connection, &headers, body).await,
        Err(_) => Err(Problem::Signature),
    };
    answer(Door::Shopify, taken)
}

async fn take(
    state: &State,
    name: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (tenant, connection) = state.tenants.connection(name)?;
    tenant.admit(Door::Shopify)?;
    let limits = &state.config.limits;
    let body = body::read(body, limits.body_bytes_max, limits.body_secs_max).await?;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if !verify(&connection, &body, header(SIGNATURE_HEADER)) {
        return Err(Problem::Signature);
    }
    let webhook_id = header(WEBHOOK_ID_HEADER).unwrap_or_default();
    let shopify = Shopify {
        store: connection.store,
    };
    let fields = [
        (TOPIC_HEADER, header(TOPIC_HEADER).unwrap_or_default()),
        (WEBHOOK_ID_HEADER, webhook_id),
    ];
    match event(state, &tenant, &shopify, name, &fields, &body) {
        Ok(event) => {
            state.intake.append(&[event]).await?;
            telemetry::accepted(Door::Shopify.name(), 1);
        }
        Err(reason) => {
            let retry = retry_of(headers);
            let is_retry = retry.is_some();
            let letter = letter(name, &fields, reason.clone(), &body);
            state
                .intake
                .bury(&tenant, shopify.name(), vec![letter], retry)
                .await?;
            // A shop that is told so would send it again, unchanged; a person wants to know.
            if is_retry {
                return Err(Problem::invalid("", reason));
            }
        }
    }
    Ok(StatusCode::OK.into_response())
}

fn event(
    state: &State,
    tenant: &Tenant,
    shopify: &Shopify,
    name: &str,
    fields: &[(&str, &str)],
    body: &Bytes,
) -> Result<Event, String> {
    let now_ms = state.intake.now_ms();
    let delivery = fields.last().map_or("", |(_, id)| *id);
    let batch_id = format!(
        "shopify:{}",
        hostread_connectors_kit::text::cut(delivery, 64)
    );
    let origin = state.origin(tenant, name, &batch_id, now_ms);
    match shopify.map(&origin, &Raw { fields, body }) {
        Mapped::Event(event) => checked(*event, now_ms).map_err(|error| error.to_string()),
        Mapped::Nothing => Err("the delivery says nothing".to_owned()),
        Mapped::Rejected(rejected) => Err(rejected.to_string()),
    }
}

fn letter(name: &str, fields: &[(&str, &str)], reason: String, body: &Bytes) -> Letter {
    let webhook_id = fields.last().map_or("", |(_, id)| *id);
    Letter {
        source: name.to_owned(),
        reason,
        position: format!("delivery \"{webhook_id}\""),
        body: body.to_vec(),
        resend: Resend::new(&format!("/hooks/shopify/{name}"), fields),
    }
}
