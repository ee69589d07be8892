//! The ledgers' rows about the numbers that something is part of: what was restated, and what came too late to be applied.

use hostread_schemas::view::Period;
use hostread_schemas::view::{Cause, LateKey, LateOf, NumberKey, ViewKey, ViewValue, WindowKind};
use hostread_schemas::{BrandId, Currency, Day, EpisodeId, LineId, NameKind, TenantId};
use hostread_sink_kit::words;
use serde::Serialize;

use crate::dims::Dims;
use crate::known::{Known, ReadError};

/// The newest so many are listed.
const LISTED_MAX: usize = 200;

/// Published numbers that something is part of.
#[derive(Clone, Debug)]
pub(crate) enum Moves {
    /// Downloads of an episode on a day.
    Downloads(Day, EpisodeId),
    /// Credits of a brand's lines on a day.
    Credits(Day, BrandId, Currency),
    /// Deliveries of a line, of all days or of a month.
    Delivery(LineId, Option<Period>),
    /// Credits of a line in the days of a month.
    LineCredits(LineId, Period),
    /// The bill of a line in a month.
    Bill(LineId, Period),
}

impl Moves {
    fn hold(&self, dims: &Dims, key: &NumberKey) -> bool {
        let within = |day: Day, month: Period| (month.start()..month.end()).contains(&day);
        match (self, key) {
            (Self::Downloads(day, episode), NumberKey::DownloadsDaily(key)) => {
                key.window == WindowKind::CalendarDay && key.day == *day && key.episode == *episode
            }
            (Self::Credits(day, brand, currency), NumberKey::AttributionDaily(key)) => {
                key.day == *day
                    && key.currency == *currency
                    && dims.brand_of_line(key.line) == *brand
            }
            (Self::Delivery(line, month), NumberKey::DeliveryDaily(key)) => {
                key.line == *line && month.is_none_or(|month| within(key.day, month))
            }
            (Self::LineCredits(line, month), NumberKey::AttributionDaily(key)) => {
                key.line == *line && within(key.day, *month)
            }
            (Self::Bill(line, month), NumberKey::BillingLines(key)) => {
                key.line == *line && key.period == *month
            }
            _ => false,
        }
    }
}

impl Moves {
    /// Numbers that would have moved; rows and events of the day, which are counted together.
    fn hold_late(&self, dims: &Dims, key: &LateKey) -> bool {
        match (&key.of, self) {
            (LateOf::Number(number, _), _) => self.hold(dims, number),
            (
                LateOf::Rows(_) | LateOf::Events,
                Self::Downloads(day, _) | Self::Credits(day, ..),
            ) => key.day == *day,
            _ => false,
        }
    }
}

/// What came after the seal of its day: readers see no trace of it but this.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Late {
    /// When, as a tick.
    pub tick: u64,
    /// The sealed day.
    pub day: String,
    /// `number`: one that would have moved; `rows` of a detail view; `events` that were refused.
    pub kind: &'static str,
    /// View and column, or the detail view; empty for events.
    pub of: String,
    /// The number's key.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    pub key: serde_json::Value,
    /// How many came together.
    pub count: i64,
    /// What the number was, and is as far as readers see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<i64>,
    /// What it would have become.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<i64>,
}

/// What came too late for these numbers, oldest first, and how many older ones there are.
pub(crate) fn late(
    known: &Known<'_>,
    dims: &Dims,
    tenant: TenantId,
    moves: &[Moves],
) -> Result<(Vec<Late>, u64), ReadError> {
    let wanted = |key: &ViewKey| match key {
        ViewKey::LateAfterSeal(key) => {
            key.tenant == tenant && moves.iter().any(|moves| moves.hold_late(dims, key))
        }
        _ => false,
    };
    let (rows, more) = newest(known.archive.ledgers(&wanted)?);
    let rows = rows
        .iter()
        .filter_map(|(key, value)| one_late(known, key, value));
    Ok((rows.collect(), more))
}

fn one_late(known: &Known<'_>, key: &ViewKey, value: &ViewValue) -> Option<Late> {
    let (ViewKey::LateAfterSeal(key), ViewValue::LateAfterSeal(row)) = (key, value) else {
        return None;
    };
    let mut late = Late {
        tick: key.tick.0,
        day: key.day.to_string(),
        kind: words::late_kind(&key.of),
        of: words::late_view(&key.of).to_owned(),
        key: serde_json::Value::Null,
        count: row.count,
        old: None,
        new: None,
    };
    if let LateOf::Number(number, metric) = &key.of {
        late.of = format!("{}.{}", late.of, metric.as_str());
        late.key =
            serde_json::from_str(&words::number_key(number, known.names)).unwrap_or_default();
        (late.old, late.new) = (Some(row.old), Some(row.new));
    }
    Some(late)
}

/// The newest rows that are listed, oldest first, and how many older ones there are.
fn newest(mut rows: Vec<(ViewKey, ViewValue)>) -> (Vec<(ViewKey, ViewValue)>, u64) {
    rows.sort_unstable_by_key(|(key, _)| *key);
    let more = rows.len().saturating_sub(LISTED_MAX);
    rows.drain(..more);
    (rows, more as u64)
}

/// A published number that moved.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Restated {
    /// When, as a tick.
    pub tick: u64,
    /// The number: view and column.
    pub number: String,
    /// Its key.
    pub of: serde_json::Value,
    /// What it was.
    pub old: i64,
    /// What it became.
    pub new: i64,
    /// What moved it: `event`, `batches` or `clock`.
    pub cause: &'static str,
    /// The event, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// What the event is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// The batches, where they are the cause.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<String>,
    /// Batches that are counted only.
    #[serde(skip_serializing_if = "is_zero")]
    pub batches_more: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The rows of the ledger about these numbers, oldest first, and how many older ones there are.
pub(crate) fn restated(
    known: &Known<'_>,
    dims: &Dims,
    tenant: TenantId,
    moves: &[Moves],
) -> Result<(Vec<Restated>, u64), ReadError> {
    let wanted = |key: &ViewKey| match key {
        ViewKey::Restatements(key) => {
            key.tenant == tenant && moves.iter().any(|moves| moves.hold(dims, &key.of))
        }
        _ => false,
    };
    let (rows, more) = newest(known.archive.ledgers(&wanted)?);
    let rows = rows
        .iter()
        .filter_map(|(key, value)| one(known, dims, key, value));
    Ok((rows.collect(), more))
}

fn one(known: &Known<'_>, dims: &Dims, key: &ViewKey, value: &ViewValue) -> Option<Restated> {
    let (ViewKey::Restatements(key), ViewValue::Restatements(row)) = (key, value) else {
        return None;
    };
    let mut restated = Restated {
        tick: key.tick.0,
        number: format!(
            "{}.{}",
            words::number_view(&key.of).name(),
            key.metric.as_str()
        ),
        of: serde_json::from_str(&words::number_key(&key.of, known.names)).unwrap_or_default(),
        old: row.old,
        new: row.new,
        cause: words::cause(&row.cause),
        event: None,
        what: None,
        batches: Vec::new(),
        batches_more: 0,
    };
    match &row.cause {
        Cause::Event(event) => {
            restated.what = Some(dims.about(known, *event));
            restated.event = Some(event.to_hex());
        }
        Cause::Batches(batches, more) => {
            let name = |batch: &hostread_schemas::BatchId| known.name(NameKind::Batch, batch.0);
            restated.batches = batches.iter().map(name).collect();
            restated.batches_more = *more;
        }
        Cause::Clock => {}
    }
    Some(restated)
}

impl Dims {
    /// What an event is about, in words.
    pub(crate) fn about(&self, known: &Known<'_>, event: hostread_schemas::EventId) -> String {
        in_words(known, self.causes.get(&event).copied())
    }
}

/// What a catalog or deal fact is about, in words.
pub(crate) fn in_words(known: &Known<'_>, about: Option<(NameKind, u64)>) -> String {
    let Some((kind, id)) = about else {
        return "an event that is no longer live".to_owned();
    };
    let what = match kind {
        NameKind::RuleSet => "rule set",
        NameKind::Tenant => return "settings".to_owned(),
        NameKind::Show => "show",
        NameKind::Episode => "episode",
        NameKind::Slot => "slot",
        NameKind::Store => "store",
        NameKind::Campaign => "campaign",
        NameKind::Line => "line item",
        NameKind::Code => "code",
        // A read is told from its episode by its kind.
        NameKind::Title => return format!("read in {}", known.name(NameKind::Episode, id)),
        _ => "fact",
    };
    format!("{what} {}", known.name(kind, id))
}
