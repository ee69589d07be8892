//! `GET /v1/pixel.gif`, `POST /v1/pixel`, `GET /v1/impression.gif`: single events from pages and players, named by the public key.
//! While the log is away they go to the spill; 503 only when that is full.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, RawQuery, State as With};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hostread_connectors::impression::ImpressionDoor;
use hostread_connectors::pixel::PixelDoor;
use hostread_connectors::public_key;
use hostread_connectors_kit::{Connector, Mapped, Raw};

use super::{answer, checked};
use crate::body;
use crate::problem::Problem;
use crate::server::State;
use crate::telemetry;
use crate::tenants::{Door, Tenant};

/// One transparent pixel.
const GIF: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff\x21\xf9\x04\x01\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b";
/// A longer query is refused before it is read.
const QUERY_BYTES_MAX: usize = 16 << 10;

pub(crate) async fn pixel_gif(
    With(state): With<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    answer(
        Door::Pixel,
        gif(&state, Door::Pixel, &PixelDoor, peer, query, &headers).await,
    )
}

pub(crate) async fn impression_gif(
    With(state): With<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let taken = gif(
        &state,
        Door::Impression,
        &ImpressionDoor,
        peer,
        query,
        &headers,
    )
    .await;
    answer(Door::Impression, taken)
}

pub(crate) async fn pixel_post(
    With(state): With<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let taken = posted(&state, peer, query.as_deref(), &headers, body).await;
    let mut response = answer(Door::Pixel, taken);
    response.headers_mut().insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    response
}

/// What a browser asks before it posts JSON from another site.
pub(crate) async fn preflight() -> Response {
    let allow: [(HeaderName, &str); 4] = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::NO_CONTENT, allow).into_response()
}

async fn gif(
    state: &State,
    door: Door,
    connector: &(dyn Connector + Sync),
    peer: SocketAddr,
    query: Option<String>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let query = query.unwrap_or_default();
    if query.len() > QUERY_BYTES_MAX {
        return Err(Problem::TooLarge {
            bytes_max: QUERY_BYTES_MAX as u64,
        });
    }
    let tenant = state
        .tenants
        .by_public_key(key_in_query(query.as_bytes()).as_deref())?;
    take(
        state,
        &tenant,
        door,
        connector,
        peer,
        headers,
        query.as_bytes(),
    )
    .await?;
    let headers = [
        (header::CONTENT_TYPE, "image/gif"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, GIF).into_response())
}

async fn posted(
    state: &State,
    peer: SocketAddr,
    query: Option<&str>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let limits = &state.config.limits;
    let by_query = query.and_then(|query| key_in_query(query.as_bytes()));
    let known = match &by_query {
        Some(key) => Some(state.tenants.by_public_key(Some(key))?),
        None => None,
    };
    let body = body::read(body, limits.body_bytes_max, limits.body_secs_max).await?;
    let tenant = match known {
        Some(tenant) => tenant,
        None => state.tenants.by_public_key(public_key(&body).as_deref())?,
    };
    take(
        state,
        &tenant,
        Door::Pixel,
        &PixelDoor,
        peer,
        headers,
        &body,
    )
    .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The key, also where the rest of the query cannot be read: then the answer names what is wrong with it.
fn key_in_query(query: &[u8]) -> Option<String> {
    let key = query
        .split(|byte| *byte == b'&')
        .find_map(|pair| pair.strip_prefix(b"k="))?;
    String::from_utf8(hostread_connectors_kit::text::percent_decode(key).into_owned()).ok()
}

async fn take(
    state: &State,
    tenant: &Tenant,
    door: Door,
    connector: &(dyn Connector + Sync),
    peer: SocketAddr,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), Problem> {
    tenant.admit(door)?;
    let now_ms = state.intake.now_ms();
    let caller = state.caller(peer.ip(), headers).to_string();
    // Bytes beyond ASCII are allowed in headers: take what is text of them.
    let agent = headers
        .get(header::USER_AGENT)
        .map(|agent| String::from_utf8_lossy(agent.as_bytes()));
    let fields = [
        ("peer", caller.as_str()),
        ("user-agent", agent.as_deref().unwrap_or_default()),
    ];
    // One hour of one door is a batch: single hits have no other.
    let batch_id = format!("{}:{}", connector.name(), now_ms.div_euclid(3_600_000));
    let origin = state.origin(tenant, connector.name(), &batch_id, now_ms);
    let event = match connector.map(
        &origin,
        &Raw {
            fields: &fields,
            body,
        },
    ) {
        Mapped::Event(event) => *event,
        Mapped::Nothing => return Err(Problem::invalid("", "says nothing")),
        Mapped::Rejected(rejected) => {
            telemetry::rejected(door.name(), 1);
            return Err(Problem::invalid(rejected.field, rejected.message));
        }
    };
    let event =
        checked(event, now_ms).map_err(|error| Problem::invalid(error.field, error.message))?;
    let cut = state.intake.append_or_spill(std::slice::from_ref(&event));
    if cut.await > 0 {
        return Err(Problem::LogAway);
    }
    telemetry::accepted(door.name(), 1);
    Ok(())
}
