//! `POST /v1/import/{format}`: a piece of a delivery log, plain, gzip or zstd, cut at line ends. What `hostread import` and
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
use hostread_connectors::lines::{Blocks, Line, LineAt};
use hostread_connectors::log::{LOG_FORMATS, LogFormat, LogSettings, MAPPED};
use hostread_connectors::mapped::Mapping;
use hostread_connectors::unpack::{UnpackError, unpack_within};
use hostread_connectors_kit::{Mapped, Origin, Resend};
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

/// A file's header line (CloudFront's `#Fields:`, the columns' names of CSV), for pieces that do not begin with it.
pub(crate) const LOG_FIELDS_HEADER: &str = "x-log-fields";
/// Which field of a line is what, in the format `mapped`: a mapping file on one line.
pub(crate) const LOG_MAPPING_HEADER: &str = "x-log-mapping";
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
    let name = LOG_FORMATS.into_iter().find(|name| *name == format);
    let name = name.ok_or(Problem::NotFound)?;
    let mapping = (name == MAPPED).then(|| mapping(headers, settings));
    let mapping = mapping.transpose()?;
    let mut format = LogFormat::named(name, settings, mapping.as_ref()).ok_or(Problem::NotFound)?;
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
    format.learn(&fields);
    let limits = &state.config.limits;
    let body = body::read(body, limits.batch_bytes_max, limits.body_secs_max).await?;
    let permit = state
        .batches
        .acquire()
        .await
        .map_err(|_| Problem::Internal)?;
    let (mapper, of_tenant) = (Arc::clone(&state), Arc::clone(&tenant));
    let piece = tokio::task::spawn_blocking(move || {
        let feed = Feed {
            name,
            source: asked.source.as_deref().unwrap_or(name),
            batch_id: asked.batch.as_deref().unwrap_or("import"),
            asked: &asked,
            fields,
            mapping: mapping.as_deref(),
        };
        map(&mapper, &of_tenant, format, feed, &body)
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

/// The mapping that the sender gives with the piece.
fn mapping(headers: &HeaderMap, settings: LogSettings) -> Result<Arc<Mapping>, Problem> {
    let wrong = |message: String| Problem::invalid(LOG_MAPPING_HEADER, message);
    let text = headers.get(LOG_MAPPING_HEADER);
    let text = text.ok_or_else(|| wrong("is missing: the format needs a mapping".to_owned()))?;
    let mapping = Mapping::read(text.as_bytes()).map_err(|error| wrong(error.to_string()))?;
    if settings.source_kind != SourceKind::Prefix {
        let checked = mapping.check_bytes();
        checked.map_err(|error| wrong(error.to_string()))?;
    }
    Ok(Arc::new(mapping))
}

fn map(
    state: &State,
    tenant: &Tenant,
    mut format: LogFormat,
    mut feed: Feed<'_>,
    body: &Bytes,
) -> Result<Piece, Problem> {
    let now_ms = state.intake.now_ms();
    let asked = feed.asked;
    let origin = state.origin(tenant, feed.source, feed.batch_id, now_ms);
    let unreadable = |_| Problem::invalid("", "the piece cannot be read");
    let bytes_max = state.config.limits.unpacked_bytes_max;
    let reader = unpack_within(&body[..], bytes_max).map_err(unreadable)?;
    let mut at = LineAt {
        number: asked.line.unwrap_or(1),
        offset: asked.at,
    };
    let mut blocks = Blocks::new(reader, at);
    let mut piece = Piece {
        counts: Counts::default(),
        events: Vec::new(),
        letters: Vec::new(),
    };
    loop {
        let block = match blocks.next() {
            Ok(Some(block)) => block,
            Ok(None) => return Ok(piece),
            Err(error) if UnpackError::of(&error).is_some() => {
                return Err(Problem::TooLarge { bytes_max });
            }
            // The lines before the damage count; the sender reads that the rest is missing.
            Err(_) => {
                let message = "the archive is damaged from here on";
                piece.malformed(&feed, at, &[], "damaged", message);
                return Ok(piece);
            }
        };
        for (stands, line) in block.lines() {
            piece.line(&mut feed, &mut format, &origin, now_ms, (stands, line));
            at.number += 1;
        }
        at.offset += block.taken();
    }
}

impl Piece {
    fn line(
        &mut self,
        feed: &mut Feed<'_>,
        format: &mut LogFormat,
        origin: &Origin<'_>,
        now_ms: i64,
        (at, line): (LineAt, Line<'_>),
    ) {
        self.counts.lines += 1;
        let text = match line {
            Line::TooLong(start) => {
                self.malformed(feed, at, start, "too_long", "the line is too long");
                return;
            }
            Line::Text(text) => text,
        };
        let event = match format.line(origin, text) {
            Mapped::Nothing if format.is_head(text) => {
                feed.fields = text.to_vec();
                return;
            }
            Mapped::Nothing => return,
            Mapped::Rejected(rejected) => {
                let message = rejected.to_string();
                self.malformed(feed, at, text, rejected.reason, &message);
                return;
            }
            Mapped::Event(event) => event,
        };
        match checked(*event, now_ms) {
            Ok(event) => {
                self.counts.accepted += 1;
                self.events.push(event);
            }
            Err(error) => {
                let reason = if error.field == "time" {
                    "time"
                } else {
                    "value"
                };
                self.malformed(feed, at, text, reason, &error.to_string());
            }
        }
    }

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
    /// The newest header line.
    fields: Vec<u8>,
    mapping: Option<&'a Mapping>,
}

impl Feed<'_> {
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
        let mapping = self.mapping.map(|m| (LOG_MAPPING_HEADER, m.text()));
        let headers: Vec<(&str, &str)> = fields.into_iter().chain(mapping).collect();
        let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
        Resend::new(&path, &headers)
    }
}
