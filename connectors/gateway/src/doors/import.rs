//! `POST /v1/import/{cloudfront|combined}`: a piece of a delivery log, plain or gzip, cut at line ends. What `hostread import` and
//! any log shipper talk to: addresses are hashed here, so no key leaves the server.
//! A line that cannot be read is counted, answered with its number and kept in the dead letters; it never stops a piece. Sending a
//! piece again changes nothing: a line is the same event however often it comes.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State as With};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use hostread_connectors::lines::{Line, LineAt, Lines, unpack};
use hostread_connectors::log::{LogFormat, LogSettings};
use hostread_connectors_kit::{Mapped, Resend};
use hostread_schemas::event::{Event, SourceKind};
use hostread_schemas::json::NAME_BYTES_MAX;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::{answer, authorization, checked, query};
use crate::body;
use crate::intake::{Letter, retry_of};
use crate::problem::Problem;
use crate::server::State;
use crate::telemetry;
use crate::tenants::{Door, Tenant};

/// A CloudFront file's `#Fields:` line, for pieces that do not begin with it.
pub(crate) const LOG_FIELDS_HEADER: &str = "x-log-fields";
/// Malformed lines named in an answer.
const EXAMPLES_MAX: usize = 20;
/// Of a malformed line this much is kept.
const LETTER_BYTES_MAX: usize = 8 << 10;
/// Malformed lines of one piece that are kept; the rest is counted.
const LETTERS_MAX: usize = 10_000;

#[derive(Deserialize)]
pub(crate) struct Asked {
    /// Name of the feed; the format's name without one.
    source: Option<String>,
    /// Name of the file.
    batch: Option<String>,
    /// Offset of the piece's first byte in the (unpacked) file.
    #[serde(default)]
    at: u64,
    /// Number of the piece's first line.
    line: Option<u64>,
    /// The log is of a redirect prefix: no bytes are known.
    #[serde(default)]
    prefix: bool,
    /// Ads are stitched in: the total length marks the version.
    #[serde(default)]
    stitched: bool,
}

#[derive(Serialize)]
struct Malformed {
    line: u64,
    at: u64,
    reason: &'static str,
    message: String,
}

#[derive(Default, Serialize)]
struct Counts {
    lines: u64,
    accepted: u64,
    malformed_count: u64,
    malformed_by_reason: BTreeMap<&'static str, u64>,
    malformed: Vec<Malformed>,
}

struct Piece {
    counts: Counts,
    events: Vec<Event>,
    letters: Vec<Letter>,
}

pub(crate) async fn post(
    With(state): With<Arc<State>>,
    format: Result<Path<String>, PathRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    answer(
        Door::Import,
        take(state, format, asked, &headers, body).await,
    )
}

async fn take(
    state: Arc<State>,
    format: Result<Path<String>, PathRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let tenant = state.tenants.by_api_key(authorization(headers))?;
    let Path(format) = format.map_err(|_| Problem::NotFound)?;
    let asked = query(asked)?;
    let settings = LogSettings {
        source_kind: if asked.prefix {
            SourceKind::Prefix
        } else {
            SourceKind::Cdn
        },
        stitched: asked.stitched,
    };
    let (name, mut format) = ["cloudfront", "combined"]
        .into_iter()
        .find(|name| *name == format)
        .and_then(|name| Some((name, LogFormat::named(name, settings)?)))
        .ok_or(Problem::NotFound)?;
    for (field, named) in [("source", &asked.source), ("batch", &asked.batch)] {
        // Otherwise every line of the piece would be refused for it.
        let usable = |text: &String| {
            !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.contains(char::is_control)
        };
        if named.as_ref().is_some_and(|text| !usable(text)) {
            return Err(Problem::invalid(field, "is no name"));
        }
    }
    tenant.admit(Door::Import)?;
    let fields = headers
        .get(LOG_FIELDS_HEADER)
        .map_or(&[][..], |fields| fields.as_bytes())
        .to_vec();
    if let LogFormat::Cloudfront(log) = &mut format {
        log.learn(&fields);
    }
    let limits = &state.config.limits;
    let body = body::read(body, limits.batch_bytes_max, limits.body_secs_max).await?;
    let permit = state
        .batches
        .acquire()
        .await
        .map_err(|_| Problem::Internal)?;
    let (mapper, of_tenant) = (Arc::clone(&state), Arc::clone(&tenant));
    let piece = tokio::task::spawn_blocking(move || {
        map(&mapper, &of_tenant, name, format, fields, &asked, &body)
    })
    .await
    .map_err(|_| Problem::Internal)??;
    state.intake.append(&piece.events).await?;
    drop(permit);
    let retry = retry_of(headers);
    state
        .intake
        .bury(&tenant, name, piece.letters, retry)
        .await?;
    telemetry::imported(
        name,
        piece.counts.accepted,
        &piece.counts.malformed_by_reason,
    );
    telemetry::accepted(Door::Import.name(), piece.events.len());
    Ok(Json(piece.counts).into_response())
}

fn map(
    state: &State,
    tenant: &Tenant,
    name: &'static str,
    mut format: LogFormat,
    fields: Vec<u8>,
    asked: &Asked,
    body: &Bytes,
) -> Result<Piece, Problem> {
    let now_ms = state.intake.now_ms();
    let source = asked.source.as_deref().unwrap_or(name);
    let batch_id = asked.batch.as_deref().unwrap_or("import");
    let origin = state.origin(tenant, source, batch_id, now_ms);
    let unreadable = |_| Problem::invalid("", "the piece cannot be read");
    let reader = unpack(&body[..]).map_err(unreadable)?;
    let mut lines = Lines::starting_at(reader, asked.line.unwrap_or(1), asked.at);
    let mut feed = Feed {
        name,
        source,
        batch_id,
        asked,
        fields,
    };
    let mut piece = Piece {
        counts: Counts::default(),
        events: Vec::new(),
        letters: Vec::new(),
    };
    let bytes_max = state.config.limits.unpacked_bytes_max;
    let mut seen = 0;
    loop {
        let (at, line) = match lines.next() {
            Ok(Some(next)) => next,
            Ok(None) => break,
            // The lines before the damage count; the sender reads that the rest is missing.
            Err(_) => {
                let at = LineAt {
                    number: asked.line.unwrap_or(1) + piece.counts.lines,
                    ..LineAt::default()
                };
                piece.malformed(
                    &feed,
                    at,
                    &[],
                    "gzip",
                    "the archive is damaged from here on",
                );
                break;
            }
        };
        seen += at.bytes;
        if seen > bytes_max {
            return Err(Problem::TooLarge { bytes_max });
        }
        piece.counts.lines += 1;
        match line {
            Line::TooLong(start) => {
                piece.malformed(&feed, at, start, "too_long", "the line is too long");
            }
            Line::Text(text) => match format.line(&origin, text) {
                Mapped::Nothing => feed.learn(text),
                Mapped::Rejected(rejected) => {
                    let message = rejected.to_string();
                    piece.malformed(&feed, at, text, rejected.reason, &message);
                }
                Mapped::Event(event) => match checked(*event, now_ms) {
                    Ok(event) => {
                        piece.counts.accepted += 1;
                        piece.events.push(event);
                    }
                    Err(error) => {
                        let reason = if error.field == "time" {
                            "time"
                        } else {
                            "value"
                        };
                        piece.malformed(&feed, at, text, reason, &error.to_string());
                    }
                },
            },
        }
    }
    Ok(piece)
}

impl Piece {
    fn malformed(
        &mut self,
        feed: &Feed<'_>,
        at: LineAt,
        line: &[u8],
        reason: &'static str,
        message: &str,
    ) {
        let counts = &mut self.counts;
        counts.malformed_count += 1;
        *counts.malformed_by_reason.entry(reason).or_default() += 1;
        if counts.malformed.len() < EXAMPLES_MAX {
            counts.malformed.push(Malformed {
                line: at.number,
                at: at.offset,
                reason,
                message: message.to_owned(),
            });
        }
        if self.letters.len() < LETTERS_MAX {
            self.letters.push(Letter {
                source: feed.source.to_owned(),
                reason: message.to_owned(),
                position: format!("{} line {} byte {}", feed.batch_id, at.number, at.offset),
                body: line.get(..LETTER_BYTES_MAX).unwrap_or(line).to_vec(),
                resend: feed.resend(at, line),
            });
        }
    }
}

/// Where a piece's lines come from.
struct Feed<'a> {
    name: &'static str,
    source: &'a str,
    batch_id: &'a str,
    asked: &'a Asked,
    /// CloudFront's newest `#Fields:` line.
    fields: Vec<u8>,
}

impl Feed<'_> {
    fn learn(&mut self, line: &[u8]) {
        if line.starts_with(b"#Fields:") {
            self.fields = line.to_vec();
        }
    }

    /// How one of its lines comes again: as a piece of its own, at its own place.
    fn resend(&self, at: LineAt, line: &[u8]) -> Option<Resend> {
        if line.is_empty() || line.len() > LETTER_BYTES_MAX {
            return None;
        }
        let mut url = Url::parse("http://door/v1/import/")
            .ok()?
            .join(self.name)
            .ok()?;
        url.query_pairs_mut()
            .append_pair("source", self.source)
            .append_pair("batch", self.batch_id)
            .append_pair("at", &at.offset.to_string())
            .append_pair("line", &at.number.to_string());
        for (field, set) in [
            ("prefix", self.asked.prefix),
            ("stitched", self.asked.stitched),
        ] {
            if set {
                url.query_pairs_mut().append_pair(field, "true");
            }
        }
        let fields = std::str::from_utf8(&self.fields).ok()?.trim_end();
        let fields = (!fields.is_empty()).then_some((LOG_FIELDS_HEADER, fields));
        let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
        Resend::new(&path, fields.as_slice())
    }
}
