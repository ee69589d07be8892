//! The one table of refusals: what went wrong, its HTTP status, what the caller reads (RFC 9457, `application/problem+json`).
//! Promises: no internals, no other tenant's data, nothing personal in an answer.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// One entry of a batch that was not taken.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub(crate) struct RejectedEntry {
    pub(crate) index: usize,
    pub(crate) field: String,
    pub(crate) message: String,
}

/// Why a request is refused.
#[derive(Debug)]
pub(crate) enum Problem {
    /// No key, or one that nobody has.
    Key,
    /// The signature is missing or wrong.
    Signature,
    /// No such address.
    NotFound,
    /// The address is there, the method is not.
    Method,
    /// The body did not arrive in time, or broke off.
    Body,
    /// The body is over the limit.
    TooLarge { bytes_max: u64 },
    /// Something about the request as a whole.
    Invalid { field: String, message: String },
    /// No entry of a batch can be taken.
    AllRejected { rejected: Vec<RejectedEntry> },
    /// Over the tenant's rate.
    TooFast { retry_after_secs: u64 },
    /// The log cannot make it durable now.
    LogAway,
    /// As many as can be are at work.
    Busy,
    /// What explains cannot be read now.
    ExplainAway,
    /// The databases cannot be read now.
    DatabaseAway,
    /// A fault of ours.
    Internal,
}

/// How soon to try again when the log is away.
const LOG_RETRY_SECS: u64 = 5;
/// How soon to try again when others are at work.
const BUSY_RETRY_SECS: u64 = 1;

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    field: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    rejected: &'a [RejectedEntry],
}

impl Problem {
    /// Something about one field.
    pub(crate) fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            message: message.into(),
        }
    }

    /// Status, code for programs, title for people.
    const fn row(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Key => (
                StatusCode::UNAUTHORIZED,
                "key_wrong",
                "the key is missing or wrong",
            ),
            Self::Signature => (
                StatusCode::UNAUTHORIZED,
                "signature_wrong",
                "the signature is missing or wrong",
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "not_found",
                "there is nothing at this address",
            ),
            Self::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "this address takes other methods",
            ),
            Self::Body => (
                StatusCode::REQUEST_TIMEOUT,
                "body_incomplete",
                "the body did not arrive in time",
            ),
            Self::TooLarge { .. } => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                "the body is too large",
            ),
            Self::Invalid { .. } => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid",
                "the request cannot be used",
            ),
            Self::AllRejected { .. } => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "all_rejected",
                "no entry can be used",
            ),
            Self::TooFast { .. } => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_fast",
                "too many requests",
            ),
            Self::LogAway => (
                StatusCode::SERVICE_UNAVAILABLE,
                "log_away",
                "it cannot be stored durably now; try again",
            ),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "as many as can be are at work; try again",
            ),
            Self::ExplainAway => (
                StatusCode::SERVICE_UNAVAILABLE,
                "journal_away",
                "the journal cannot be read here now",
            ),
            Self::DatabaseAway => (
                StatusCode::SERVICE_UNAVAILABLE,
                "database_away",
                "the numbers cannot be read now; try again",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "a fault of ours",
            ),
        }
    }

    fn retry_after_secs(&self) -> Option<u64> {
        match self {
            Self::TooFast { retry_after_secs } => Some(*retry_after_secs),
            Self::LogAway | Self::ExplainAway | Self::DatabaseAway => Some(LOG_RETRY_SECS),
            Self::Busy => Some(BUSY_RETRY_SECS),
            _ => None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code, title) = self.row();
        let mut document = Document {
            kind: "about:blank",
            title,
            status: status.as_u16(),
            code,
            detail: "",
            field: "",
            rejected: &[],
        };
        let limit;
        match &self {
            Self::Invalid { field, message } => {
                (document.field, document.detail) = (field, message);
            }
            Self::AllRejected { rejected } => {
                document.rejected = rejected;
                if let Some(first) = rejected.first() {
                    (document.field, document.detail) = (&first.field, &first.message);
                }
            }
            Self::TooLarge { bytes_max } => {
                limit = format!("the limit is {bytes_max} bytes");
                document.detail = &limit;
            }
            _ => {}
        }
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(secs) = self.retry_after_secs() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        response
    }
}
