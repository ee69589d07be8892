//! `GET /v1/openapi.json`: what can be asked of the gateway, for programs that make clients. Nobody needs a key for it.

use axum::http::header;
use axum::response::IntoResponse;

/// Checked in; a test holds it to the doors.
const DOCUMENT: &str = include_str!("openapi.json");

pub(crate) async fn get() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}
