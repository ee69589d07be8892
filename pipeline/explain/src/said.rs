//! What an explanation is made of, whatever it explains.

use hostread_schemas::view::ViewRow;
use hostread_schemas::{EventTimeMs, TenantId, Tick};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::asked::Kind;
use crate::dims::Dims;
use crate::known::{Known, ReadError};
use crate::restated::{Late, Moves, Restated, late, restated};
use crate::without::{Cause, Without};
use crate::{BillingLine, Conversion, Download, Pacing, Request};

/// Items of a list at most: a listener, or a line, may have any number of them.
const LISTED_MAX: usize = 1_000;

/// Keeps what fits into an explanation; says how many there were more.
pub(crate) fn cut<T>(list: &mut Vec<T>) -> usize {
    let more = list.len().saturating_sub(LISTED_MAX);
    list.truncate(LISTED_MAX);
    more
}

/// Which state of the journal was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct AsOf {
    /// Its newest tick.
    #[serde(serialize_with = "tick")]
    pub tick: Tick,
    /// The clock of that tick.
    #[serde(serialize_with = "time")]
    pub clock: EventTimeMs,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn tick<S: Serializer>(tick: &Tick, to: S) -> Result<S::Ok, S::Error> {
    tick.0.serialize(to)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
pub(crate) fn time<S: Serializer>(time: &EventTimeMs, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(time)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Where it is known from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownFrom {
    /// Computed from live events.
    Events,
    /// Computed; sums of released days come from what their release carried on.
    EventsAndCarries,
    /// The day is sealed: what stands is the archive's row. The events are still there.
    ArchiveSealed,
    /// The row is the archive's: its events were released.
    ArchiveReleased,
}

/// A number, and what it would be.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Number {
    /// The column of the view.
    pub name: String,
    /// What it is.
    pub is: Value,
    /// What it would be without the cause; null: there would be no such row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without: Option<Value>,
}

/// A cause that was thought away.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LeftOutCause {
    /// The cause.
    pub cause: Cause,
    /// What it is, in words.
    pub what: String,
    /// Its live events.
    pub events: usize,
    /// Does any number differ without it?
    pub differs: bool,
}

/// How the numbers came about.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "each variant is the kind of the same name")]
pub enum Because {
    Request(Box<Request>),
    Download(Box<Download>),
    Conversion(Box<Conversion>),
    Pacing(Box<Pacing>),
    BillingLine(Box<BillingLine>),
    /// Nothing but the archive's row is left.
    Released {
        /// The last day whose events are gone.
        through: String,
    },
}

/// Why a number is what it is.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Explanation {
    /// What it explains.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// Whose.
    pub tenant: String,
    /// As of when.
    pub as_of: AsOf,
    /// Where it is known from.
    pub known_from: KnownFrom,
    /// The numbers.
    pub numbers: Vec<Number>,
    /// The cause that was thought away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without: Option<LeftOutCause>,
    /// How they came about.
    pub because: Because,
    /// Published numbers that this one is part of and that moved, oldest first.
    pub restatements: Vec<Restated>,
    /// Older restatements that are not listed.
    pub restatements_more: u64,
    /// What came after the seal of its days, and was not applied, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<Late>,
    /// Older ones that are not listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub late_more: u64,
    /// Whose, as an id.
    #[serde(skip)]
    pub tenant_id: TenantId,
    /// The rows that are explained, as the views have them.
    #[serde(skip)]
    pub rows: Vec<ViewRow>,
}

/// What was found under an id.
pub(crate) struct Found {
    pub(crate) tenant: TenantId,
    pub(crate) id: String,
    pub(crate) known_from: KnownFrom,
    pub(crate) rows: Vec<ViewRow>,
    pub(crate) numbers: Vec<(String, Value)>,
    pub(crate) because: Because,
    /// Published numbers that it is part of.
    pub(crate) moves: Vec<Moves>,
}

impl Found {
    pub(crate) fn explained(
        &self,
        known: &Known<'_>,
        dims: &Dims,
        kind: Kind,
    ) -> Result<Explanation, ReadError> {
        let (restatements, restatements_more) = restated(known, dims, self.tenant, &self.moves)?;
        let (late, late_more) = late(known, dims, self.tenant, &self.moves)?;
        let number = |(name, is): &(String, Value)| Number {
            name: name.clone(),
            is: is.clone(),
            without: None,
        };
        Ok(Explanation {
            kind,
            id: self.id.clone(),
            tenant: known.tenant(self.tenant),
            as_of: known.as_of(),
            known_from: self.known_from.clone(),
            numbers: self.numbers.iter().map(number).collect(),
            without: None,
            because: self.because.clone(),
            restatements,
            restatements_more,
            late,
            late_more,
            tenant_id: self.tenant,
            rows: self.rows.clone(),
        })
    }
}

impl Explanation {
    /// Puts beside each number what it would be.
    pub(crate) fn compare(&mut self, instead: Option<Found>, without: &Without) {
        let instead = instead.map(|found| found.numbers).unwrap_or_default();
        for number in &mut self.numbers {
            let value = instead.iter().find(|(name, _)| *name == number.name);
            number.without = Some(value.map_or(Value::Null, |(_, value)| value.clone()));
        }
        for (name, value) in instead {
            if self.numbers.iter().all(|number| number.name != name) {
                self.numbers.push(Number {
                    name,
                    is: Value::Null,
                    without: Some(value),
                });
            }
        }
        let differs = |number: &Number| number.without.as_ref() != Some(&number.is);
        self.without = Some(LeftOutCause {
            cause: without.cause.clone(),
            what: without.what.clone(),
            events: without.events.len(),
            differs: self.numbers.iter().any(differs),
        });
    }
}
