//! `GET /p/{feed}/{url}` and HEAD: 302 to the enclosure. The listener waits for nothing: the hit goes to the log in the background.
//! What an address must be: the connector's `PrefixFeed`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{ConnectInfo, State as With};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use hostread_connectors::prefix::PrefixDoor;
use hostread_connectors_kit::{Connector, Mapped, Raw};
use hostread_schemas::event::Event;

use super::{answer, checked};
use crate::hits::Lost;
use crate::problem::Problem;
use crate::server::State;
use crate::telemetry;
use crate::tenants::{Door, Tenant};

/// The address before the feed's name.
const START: &str = "/p/";

/// Names each hit of this process once, and no other process's.
pub(crate) struct HitIds {
    process: u64,
    next: AtomicU64,
}

impl HitIds {
    pub(crate) fn new() -> Self {
        use std::hash::{BuildHasher, Hasher};
        // The one source of randomness that the standard library has.
        let process = std::collections::hash_map::RandomState::new();
        Self {
            process: process.build_hasher().finish(),
            next: AtomicU64::new(0),
        }
    }

    fn id(&self, now_ms: i64) -> String {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{now_ms:x}-{:x}-{next:x}", self.process)
    }
}

pub(crate) async fn get(
    With(state): With<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let led = lead(&state, peer, &method, &uri, &headers);
    answer(Door::Prefix, led)
}

fn lead(
    state: &State,
    peer: SocketAddr,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    // As it came: decoding it would make two addresses of one.
    let asked = uri.path_and_query().map_or("", |asked| asked.as_str());
    let asked = asked.strip_prefix(START).ok_or(Problem::NotFound)?;
    let (feed, url) = asked.split_once('/').ok_or(Problem::NotFound)?;
    let (tenant, hosts) = state.tenants.prefix(feed).ok_or(Problem::NotFound)?;
    let target = hosts.target(url);
    let target = target.map_err(|refused| Problem::invalid("url", refused.to_string()))?;
    let caller = state.caller(peer.ip(), headers).to_string();
    match hit(state, &tenant, feed, method, &target, &caller, headers) {
        Ok(event) => state.hits.push(event),
        Err(lost) => state.hits.lose(lost, 1),
    }
    let head: [(HeaderName, &str); 2] = [
        (header::LOCATION, &target),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((StatusCode::FOUND, head).into_response())
}

/// The event of a hit, unless it is one too many.
fn hit(
    state: &State,
    tenant: &Tenant,
    feed: &str,
    method: &Method,
    target: &str,
    caller: &str,
    headers: &HeaderMap,
) -> Result<Event, Lost> {
    tenant.admit(Door::Prefix).map_err(|_| Lost::Rate)?;
    let now_ms = state.intake.now_ms();
    // Bytes beyond ASCII are allowed in headers: take what is text of them.
    let text = |name: HeaderName| {
        let value = headers.get(name);
        value.map_or_else(String::new, |value| {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        })
    };
    let (id, time) = (state.hit_ids.id(now_ms), now_ms.to_string());
    let [agent, referrer, range] = [header::USER_AGENT, header::REFERER, header::RANGE].map(text);
    let fields = [
        ("time", time.as_str()),
        ("peer", caller),
        ("method", method.as_str()),
        ("request-id", &id),
        ("user-agent", &agent),
        ("referer", &referrer),
        ("range", &range),
    ];
    let raw = Raw {
        fields: &fields,
        body: target.as_bytes(),
    };
    // One hour of one feed is a batch: hits have no other.
    let batch_id = format!("prefix:{feed}:{}", now_ms.div_euclid(3_600_000));
    let origin = state.origin(tenant, feed, &batch_id, now_ms);
    match PrefixDoor.map(&origin, &raw) {
        Mapped::Event(event) => checked(*event, now_ms).map_err(|_| Lost::Unusable),
        Mapped::Nothing | Mapped::Rejected(_) => {
            telemetry::rejected(Door::Prefix.name(), 1);
            Err(Lost::Unusable)
        }
    }
}
