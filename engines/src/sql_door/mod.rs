//! `/sql`: people's read-only queries over the embedded ClickHouse, on our own listener.
//! Needs: who a key belongs to ([`TenantOfKey`]), how to reach ClickHouse.
//! Promises: a query runs as the caller's tenant's read-only user, within limits of size, time, memory, rows and number;
//! what reaches ClickHouse is well-formed HTTP written by us, with no header or setting of the caller.
//! Leaves out: row filters and grants (`clickhouse::settings`, the first line), TLS and rate limits (the gateway).
//! Invariant 1: without a valid key nothing is read from the body.
//! Invariant 2: an answer holds the result, or text of ours with at most the words ClickHouse said about the query.

mod answer;
mod names;
mod parsed;
mod screen;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::access::ClickHouseAccess;
use crate::clickhouse::{QUERY_BYTES_MAX, READER_SECONDS_MAX};
use answer::Problem;
pub use names::{TABLE_FUNCTIONS, TABLE_FUNCTIONS_FOR_READERS};

const PARAMETERS_MAX: usize = 32;
/// The URL may hold the query and its parameters.
const URL_BYTES_MAX: usize = 2 * QUERY_BYTES_MAX;
/// Text of a result may be longer than the rows in memory that ClickHouse limits.
const RESULT_TEXT_BYTES_MAX: usize = 64 << 20;
const BODY_LIMIT: Duration = Duration::from_secs(10);
const TENANTS_MAX: usize = 10_000;

/// Whose key it is; the door knows nothing else about keys.
pub trait TenantOfKey: Send + Sync {
    /// The tenant that `api_key` belongs to.
    fn tenant(&self, api_key: &str) -> Option<String>;
}

/// How much may go on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlDoorLimits {
    /// Queries that run at the same time, of all tenants.
    pub queries_max: usize,
    /// Queries of one tenant that run at the same time.
    pub tenant_queries_max: usize,
}

impl Default for SqlDoorLimits {
    fn default() -> Self {
        Self {
            queries_max: 16,
            tenant_queries_max: 4,
        }
    }
}

struct Door {
    access: ClickHouseAccess,
    tenants: Arc<dyn TenantOfKey>,
    client: reqwest::Client,
    limits: SqlDoorLimits,
    all: Arc<Semaphore>,
    by_tenant: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// The routes of the SQL door: `GET /sql?query=…` and `POST /sql`.
pub fn sql_door(
    access: ClickHouseAccess,
    tenants: Arc<dyn TenantOfKey>,
    limits: SqlDoorLimits,
) -> Result<Router, reqwest::Error> {
    let client = reqwest::Client::builder()
        .no_proxy()
        // Plain http: a machine without root certificates does as well.
        .tls_certs_only([])
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(2))
        .timeout(Duration::from_secs(u64::from(READER_SECONDS_MAX) + 5))
        .build()?;
    let all = Arc::new(Semaphore::new(limits.queries_max));
    let by_tenant = Mutex::new(HashMap::new());
    let door = Arc::new(Door {
        access,
        tenants,
        client,
        limits,
        all,
        by_tenant,
    });
    Ok(Router::new()
        .route("/sql", get(serve).post(serve))
        .with_state(door))
}

async fn serve(State(door): State<Arc<Door>>, request: Request) -> Response {
    match door.answer(request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

/// A query that was read whole and screened.
#[derive(Debug, PartialEq, Eq)]
struct Query {
    text: String,
    /// One of [`FORMATS`].
    format: String,
    /// Values of `{name:Type}`, named `param_…`.
    values: Vec<(String, String)>,
}

impl Door {
    async fn answer(&self, request: Request) -> Result<Response, Problem> {
        let tenant = self.tenant(request.headers())?;
        let (head, body) = request.into_parts();
        let url_query = head.uri.query().unwrap_or_default();
        if url_query.len() > URL_BYTES_MAX {
            return Err(Problem::too_large());
        }
        let parameters = Parameters::parse(url_query)?;
        let body = if head.method == Method::POST {
            read_body(body).await?
        } else {
            Bytes::new()
        };
        let query = parameters.query(&body, default_format(&head.headers))?;
        let _permits = self.permits(&tenant)?;
        let started = Instant::now();
        let outcome = self.parse_and_run(&tenant, &query).await;
        let code = outcome.as_ref().err().map_or("ok", Problem::code);
        tracing::info!(
            tenant,
            code,
            ms = started.elapsed().as_millis(),
            "query answered"
        );
        outcome
    }

    fn tenant(&self, headers: &HeaderMap) -> Result<String, Problem> {
        let bearer = single(headers, header::AUTHORIZATION.as_str())?;
        let bearer = bearer.map(|value| {
            value
                .split_once(' ')
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        });
        let key = match (bearer, single(headers, "x-api-key")?) {
            (Some(Some((_, key))), None) | (None, Some(key)) => key.trim(),
            _ => return Err(Problem::key()),
        };
        self.tenants.tenant(key).ok_or_else(Problem::key)
    }

    fn permits(
        &self,
        tenant: &str,
    ) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit), Problem> {
        let own = {
            let mut by_tenant = self
                .by_tenant
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if by_tenant.len() >= TENANTS_MAX {
                by_tenant.retain(|_, own| Arc::strong_count(own) > 1);
            }
            let new = || Arc::new(Semaphore::new(self.limits.tenant_queries_max));
            Arc::clone(by_tenant.entry(tenant.to_owned()).or_insert_with(new))
        };
        let own = own.try_acquire_owned().map_err(|_| Problem::busy())?;
        let all = Arc::clone(&self.all)
            .try_acquire_owned()
            .map_err(|_| Problem::busy())?;
        Ok((own, all))
    }

    /// Runs nothing that ClickHouse's own parse does not also find harmless.
    async fn parse_and_run(&self, tenant: &str, query: &Query) -> Result<Response, Problem> {
        let explain = format!("{}{}", parsed::EXPLAIN, query.text);
        let tree = self
            .ask(
                tenant,
                explain,
                "TabSeparatedRaw",
                query,
                parsed::TREE_BYTES_MAX,
            )
            .await;
        let tree = tree.map_err(|failure| match failure {
            Failure::Problem(problem) => problem,
            Failure::Exception(code, said) => {
                Problem::of_exception(code, &parsed::shift_position(&said))
            }
        })?;
        parsed::check(&String::from_utf8_lossy(&tree.bytes)).map_err(Problem::not_allowed)?;
        let result = self
            .ask(
                tenant,
                query.text.clone(),
                &query.format,
                query,
                RESULT_TEXT_BYTES_MAX,
            )
            .await
            .map_err(|failure| match failure {
                Failure::Problem(problem) => problem,
                Failure::Exception(code, said) => Problem::of_exception(code, &said),
            })?;
        let headers = [
            (header::CONTENT_TYPE, result.content_type),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        Ok((StatusCode::OK, headers, result.bytes).into_response())
    }

    /// One request to ClickHouse as the tenant's reader; the result is whole before it is judged.
    async fn ask(
        &self,
        tenant: &str,
        text: String,
        format: &str,
        query: &Query,
        bytes_max: usize,
    ) -> Result<Answer, Failure> {
        let (user, password) = self.access.reader(tenant);
        let mut url = url::Url::parse(&self.access.url).map_err(|_| Problem::away())?;
        url.query_pairs_mut()
            .append_pair("wait_end_of_query", "1")
            .append_pair("default_format", format)
            .extend_pairs(&query.values);
        let (gate, secret) = &self.access.gate_header;
        let mut answer = self
            .client
            .post(url)
            .header(gate, secret)
            .header("X-ClickHouse-User", user)
            .header("X-ClickHouse-Key", password)
            .body(text)
            .send()
            .await
            .map_err(away)?;
        let code = answer::exception_code(answer.headers());
        let failed = code.is_some() || !answer.status().is_success();
        let content_type = answer::content_type(answer.headers());
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(away)? {
            if bytes.len() + chunk.len() > bytes_max {
                return Err(Problem::result_too_large().into());
            }
            bytes.extend_from_slice(&chunk);
        }
        if failed {
            return Err(Failure::Exception(
                code,
                String::from_utf8_lossy(&bytes).into_owned(),
            ));
        }
        Ok(Answer {
            content_type,
            bytes,
        })
    }
}

struct Answer {
    content_type: &'static str,
    bytes: Vec<u8>,
}

enum Failure {
    Problem(Problem),
    Exception(Option<u32>, String),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "used as a function of map_err"
)]
fn away(error: reqwest::Error) -> Problem {
    if error.is_timeout() {
        Problem::too_slow()
    } else {
        Problem::away()
    }
}

/// A header that may stand there once.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Problem::key());
    }
    first
        .map(|value| value.to_str().map_err(|_| Problem::key()))
        .transpose()
}

async fn read_body(body: Body) -> Result<Bytes, Problem> {
    match tokio::time::timeout(BODY_LIMIT, to_bytes(body, QUERY_BYTES_MAX)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(Problem::too_large()),
        Err(_) => Err(Problem::body_too_slow()),
    }
}

/// JSON for programs that ask for it, a table for people at a terminal.
fn default_format(headers: &HeaderMap) -> &'static str {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("*/*");
    let asked = |kind: &str| accept.split(',').any(|part| part.trim().starts_with(kind));
    let by_accept = [
        ("application/json", "JSON"),
        ("application/x-ndjson", "JSONEachRow"),
        ("text/csv", "CSVWithNames"),
        ("text/tab-separated-values", "TabSeparatedWithNames"),
        ("application/vnd.apache.parquet", "Parquet"),
        ("application/vnd.apache.arrow.stream", "ArrowStream"),
    ];
    by_accept
        .iter()
        .find(|(kind, _)| asked(kind))
        .map_or("PrettyCompact", |(_, format)| format)
}

const FORMATS: [&str; 18] = [
    "PrettyCompact",
    "Pretty",
    "Vertical",
    "Markdown",
    "JSON",
    "JSONCompact",
    "JSONStrings",
    "JSONEachRow",
    "JSONCompactEachRow",
    "JSONCompactEachRowWithNames",
    "CSV",
    "CSVWithNames",
    "TabSeparated",
    "TabSeparatedWithNames",
    "TabSeparatedWithNamesAndTypes",
    "Parquet",
    "ArrowStream",
    "RowBinaryWithNamesAndTypes",
];

/// What the caller may say in the URL.
#[derive(Debug, Default)]
struct Parameters {
    query: Option<String>,
    format: Option<String>,
    values: Vec<(String, String)>,
}

impl Parameters {
    fn parse(url_query: &str) -> Result<Self, Problem> {
        let mut parameters = Self::default();
        for (index, (name, value)) in url::form_urlencoded::parse(url_query.as_bytes()).enumerate()
        {
            if index >= PARAMETERS_MAX {
                return Err(Problem::parameter("a parameter over the 32nd"));
            }
            let (name, value) = (name.into_owned(), value.into_owned());
            match name.as_str() {
                "query" if parameters.query.is_none() => parameters.query = Some(value),
                "default_format" if parameters.format.is_none() => parameters.format = Some(value),
                _ if names_a_value(&name) => {
                    if parameters.values.iter().any(|(known, _)| *known == name) {
                        return Err(Problem::parameter(&name));
                    }
                    parameters.values.push((name, value));
                }
                _ => return Err(Problem::parameter(&name)),
            }
        }
        Ok(parameters)
    }

    fn query(self, body: &[u8], default_format: &str) -> Result<Query, Problem> {
        let in_body = std::str::from_utf8(body).map_err(|_| Problem::not_text())?;
        let text = match (self.query, in_body.trim().is_empty()) {
            (Some(query), true) => query,
            (None, false) => in_body.to_owned(),
            (None, true) => return Err(Problem::empty()),
            (Some(_), false) => return Err(Problem::two_queries()),
        };
        if text.len() > QUERY_BYTES_MAX {
            return Err(Problem::too_large());
        }
        if text.trim().is_empty() {
            return Err(Problem::empty());
        }
        let screened = screen::check(&text).map_err(Problem::not_allowed)?;
        let named = screened.format.map(str::to_owned).or(self.format);
        let format = match named {
            Some(format) if !FORMATS.contains(&format.as_str()) => {
                return Err(Problem::format(&format));
            }
            Some(format) => format,
            None => default_format.to_owned(),
        };
        Ok(Query {
            text: screened.text.to_owned(),
            format,
            values: self.values,
        })
    }
}

/// True for `param_` and a plain name: the values of `{name:Type}` in the query.
fn names_a_value(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.strip_prefix("param_")
        .is_some_and(|rest| !rest.is_empty() && rest.len() <= 64 && rest.chars().all(plain))
}

#[cfg(test)]
mod tests;
