//! `GET /v1/tag.js`: the script that a brand's pages load; what it sees goes to `POST /v1/pixel`. Nobody needs a key for it.

use axum::http::header;
use axum::response::IntoResponse;

/// As it stands, without a build step: what pages run is what can be read here.
const TAG: &str = include_str!("tag.js");

pub(crate) async fn get() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        // Longer: pages run an old one for longer after an update.
        (header::CACHE_CONTROL, "public, max-age=3600"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::HeaderName::from_static("cross-origin-resource-policy"),
            "cross-origin",
        ),
    ];
    (headers, TAG)
}
