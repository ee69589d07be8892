//! What the caller is told: a result's type, or a problem in words of ours.
//! Promises: no host, path, version, user, table of ours that readers cannot see, or stack trace gets out.
//! Invariant 1: ClickHouse's own words pass only for errors that speak of the query's text and the caller's own values.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

const MESSAGE_BYTES_MAX: usize = 600;
const CODE_HEADER: &str = "x-clickhouse-exception-code";

/// Content types that ClickHouse's formats have and that are safe to hand on.
const CONTENT_TYPES: [&str; 9] = [
    "application/json; charset=UTF-8",
    "application/x-ndjson; charset=UTF-8",
    "text/csv; charset=UTF-8; header=present",
    "text/csv; charset=UTF-8; header=absent",
    "text/tab-separated-values; charset=UTF-8",
    "text/plain; charset=UTF-8",
    "text/markdown; charset=UTF-8",
    "application/octet-stream",
    "application/vnd.apache.arrow.stream",
];

pub(super) fn content_type(headers: &HeaderMap) -> &'static str {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let known = CONTENT_TYPES.iter().find(|known| Some(**known) == given);
    known.copied().unwrap_or("application/octet-stream")
}

pub(super) fn exception_code(headers: &HeaderMap) -> Option<u32> {
    headers.get(CODE_HEADER)?.to_str().ok()?.parse().ok()
}

/// An answer that is not a result, as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after_secs: Option<u32>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after_secs: None,
        }
    }

    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    pub(super) fn key() -> Self {
        let message = "send one API key, as \"Authorization: Bearer KEY\" or \"X-Api-Key: KEY\"";
        Self::new(StatusCode::UNAUTHORIZED, "key_invalid", message)
    }

    pub(super) fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "query_too_large",
            "the query is over 64 KiB",
        )
    }

    pub(super) fn body_too_slow() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_too_slow",
            "the query did not arrive in 10 s",
        )
    }

    pub(super) fn not_text() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "query_not_text",
            "the query is not UTF-8",
        )
    }

    pub(super) fn empty() -> Self {
        let message = "there is no query; send it as the body or as the parameter \"query\"";
        Self::new(StatusCode::BAD_REQUEST, "query_missing", message)
    }

    pub(super) fn two_queries() -> Self {
        let message = "send the query as the body or as the parameter \"query\", not both";
        Self::new(StatusCode::BAD_REQUEST, "query_twice", message)
    }

    pub(super) fn parameter(name: &str) -> Self {
        let message = format!(
            "parameter \"{}\" is not accepted or stands twice; known: query, default_format, param_NAME",
            clip(name, 80)
        );
        Self::new(StatusCode::BAD_REQUEST, "parameter_not_accepted", message)
    }

    pub(super) fn format(name: &str) -> Self {
        let message = format!("format \"{}\" is not offered", clip(name, 80));
        Self::new(StatusCode::BAD_REQUEST, "format_not_offered", message)
    }

    pub(super) fn not_allowed(reason: String) -> Self {
        Self::new(StatusCode::FORBIDDEN, "query_not_allowed", reason)
    }

    pub(super) fn busy() -> Self {
        let message = "too many queries run at once; try again";
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_queries", message);
        Self {
            retry_after_secs: Some(1),
            ..problem
        }
    }

    pub(super) fn away() -> Self {
        let problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "database_away",
            "the database is away",
        );
        Self {
            retry_after_secs: Some(2),
            ..problem
        }
    }

    pub(super) fn too_slow() -> Self {
        let message = "the query takes over 10 s; ask for less";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "query_too_slow", message)
    }

    pub(super) fn result_too_large() -> Self {
        let message = "the result is over 100,000 rows or 16 MiB; add a LIMIT or aggregate";
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "result_too_large",
            message,
        )
    }

    /// What a ClickHouse exception means to the caller.
    pub(super) fn of_exception(code: Option<u32>, said: &str) -> Self {
        match code {
            Some(159 | 160 | 209) => Self::too_slow(),
            Some(396 | 397) => Self::result_too_large(),
            Some(158 | 241 | 307 | 191 | 190) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "query_too_heavy",
                "the query needs more memory or reads more rows than one query may; ask for less",
            ),
            Some(202 | 439) => Self::busy(),
            Some(60 | 81 | 497 | 291 | 482) => Self::new(
                StatusCode::FORBIDDEN,
                "table_not_found",
                "the query names a table, function or statement that is not there for readers; SHOW TABLES lists the tables",
            ),
            Some(164 | 452 | 115 | 392) => Self::new(
                StatusCode::FORBIDDEN,
                "query_not_allowed",
                "readers only read, and cannot change settings",
            ),
            Some(192..=194 | 516) => Self::new(
                StatusCode::FORBIDDEN,
                "tenant_without_reader",
                "this tenant has no reader of the database yet",
            ),
            Some(code) if speaks_of_the_query(code) => {
                Self::new(StatusCode::BAD_REQUEST, "query_invalid", own_words(said))
            }
            Some(code) => Self::new(
                StatusCode::BAD_REQUEST,
                "query_failed",
                format!("the query could not be run (database code {code})"),
            ),
            None => Self::away(),
        }
    }
}

/// Syntax, unknown columns and functions, types, and values that do not parse.
fn speaks_of_the_query(code: u32) -> bool {
    const CODES: [u32; 24] = [
        6, 8, 10, 27, 36, 38, 41, 42, 43, 44, 46, 47, 53, 62, 63, 69, 70, 72, 130, 184, 206, 215,
        386, 456,
    ];
    CODES.contains(&code)
}

/// The exception's text without code, version, hints and stack trace.
fn own_words(said: &str) -> String {
    let text = said
        .split_once("DB::Exception: ")
        .map_or(said, |(_, text)| text);
    let ends = [
        "Stack trace",
        " (version ",
        "Maybe you meant",
        "maybe you meant",
        ": While ",
        ": while ",
    ];
    let end = ends
        .iter()
        .filter_map(|mark| text.find(mark))
        .min()
        .unwrap_or(text.len());
    let text = text.get(..end).unwrap_or_default();
    let text = text.split(" (in file").next().unwrap_or_default().trim();
    if text.contains("://") || text.contains("127.0.0.1") || text.contains("reader_") {
        return "the query is not valid".to_owned();
    }
    clip(text, MESSAGE_BYTES_MAX).to_owned()
}

fn clip(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max))
        .unwrap_or_default()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.message,
        });
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        let problem = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, problem);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_secs {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_words_hide_version_hints_and_trace() {
        let said = "Code: 47. DB::Exception: Unknown expression identifier `x` in scope SELECT x. Maybe you meant: ['internal.y']. (UNKNOWN_IDENTIFIER) (version 26.7.2.1)\nStack trace: ...";
        assert_eq!(
            own_words(said),
            "Unknown expression identifier `x` in scope SELECT x."
        );
    }

    #[test]
    fn words_about_hosts_and_users_never_pass() {
        for said in [
            "DB::Exception: at http://x",
            "DB::Exception: reader_a: no",
            "127.0.0.1:9",
        ] {
            assert_eq!(own_words(said), "the query is not valid");
        }
    }

    #[test]
    fn an_unknown_code_says_only_its_number() {
        let problem = Problem::of_exception(Some(99_999), "DB::Exception: secret");
        assert!(!problem.message.contains("secret"), "{problem:?}");
    }

    #[test]
    fn denied_and_missing_tables_look_alike() {
        assert_eq!(
            Problem::of_exception(Some(60), "a"),
            Problem::of_exception(Some(497), "b")
        );
    }
}
