//! Why a number is what it is: from a row of a view back to events, rules, links, weights and restatements, by running the
//! rules once more over the live events, with and without a cause.
//!
//! ```text
//!   live facts (journal) ─► [ facts in force ] ─► [ count the days, merge the signals, walk the path ] ─► rows, and how they came
//!        └ without a cause ─► the same once more ─► what they would be                                            │
//!   archive, ledger ──────────────────────────────────────────────► what is sealed or released; what was restated ┘
//! ```
//! Needs: one state of the journal ([`Live`]), the archive beside it ([`Archive`]). Promises: the rows that it names equal those
//! of the views as of that state; nothing is written; a tenant's explanation holds nothing of another's.
//! Leaves out: reading the journal's log, HTTP, pages of text (the binary).
//! Memory: one day's exposures of a tenant, all of its signals where a conversion is asked for.

mod asked;
mod conversion;
mod customers;
mod days;
mod dims;
mod download;
mod episode_day;
mod episodes;
mod known;
mod lift;
mod lines;
mod path;
mod period;
mod reach;
mod request;
mod restated;
mod revenue;
mod said;
mod sales;
mod signals;
#[cfg(test)]
mod testing;
mod tracking;
mod visits;
mod without;

pub use asked::{Asked, Kind};
pub use conversion::{Conversion, Credits, LeftOut, PathStep, Sharing, SignalSaid};
pub use customers::{Bought, Customers, CustomersAsked, SoldTo, customers};
pub use download::Download;
pub use episode_day::{EpisodeDay, RequestSeen, Version};
pub use episodes::{EpisodeSold, Episodes, EpisodesAsked, episodes};
pub use known::{Archive, Known, Live, ReadError};
pub use lift::{Design, LiftAsked, Lifted, Lifts, lifts};
pub use lines::{BillingDay, BillingLine, ConversionCredit, LineDay, Pacing, Read};
pub use period::NotCounted;
pub use reach::{Reach, ReachAsked, ReachBy, Reached, reach};
pub use request::{Filter, Request};
pub use restated::{Late, Restated};
pub use revenue::{Brought, Refunds, Revenue, RevenueAsked, revenue};
pub use said::{AsOf, Because, Explanation, KnownFrom, LeftOutCause, Number};
pub use tracking::{Flight, LOOKED_DAYS, Seen, State, Trace, Tracking, tracking};
pub use without::{Cause, Without};

use hostread_schemas::TenantId;
use hostread_schemas::fact::{Fact, FactBody};
use hostread_sink_kit::words;

use crate::dims::all_dims;
use crate::said::Found;

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
pub enum NotExplained {
    /// No such row, as far as the tenant can know.
    #[error("there is no such {}: {id}", kind.as_str())]
    Unknown {
        /// What was asked for.
        kind: Kind,
        /// Its id.
        id: String,
    },
    /// Several rows have the id.
    #[error("\"{id}\" names several; ask for one of: {}", ids.join(", "))]
    Several {
        /// What was asked for.
        id: String,
        /// Who or what has it.
        ids: Vec<String>,
    },
    /// Journal or archive cannot be read.
    #[error("the journal cannot be read")]
    Read(#[source] ReadError),
}

impl From<ReadError> for NotExplained {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

/// Explains one row of a view: of a tenant, or of the one tenant that has it.
///
/// # Errors
/// When there is no such row, several have the id, or journal or archive cannot be read.
pub fn explain(
    known: &Known<'_>,
    asked: &Asked,
    tenant: Option<TenantId>,
) -> Result<Explanation, NotExplained> {
    let dims = all_dims(known, tenant)?;
    let mut found = find(known, &dims, asked)?;
    let unknown = || NotExplained::Unknown {
        kind: asked.kind(),
        id: asked.to_string(),
    };
    if found.len() > 1 {
        let by_tenant = |found: &Found| format!("{} of {}", found.id, known.tenant(found.tenant));
        return Err(NotExplained::Several {
            id: asked.to_string(),
            ids: found.iter().map(by_tenant).collect(),
        });
    }
    let found = found.pop().ok_or_else(unknown)?;
    let dims = dims.get(&found.tenant).ok_or_else(unknown)?;
    Ok(found.explained(known, dims, asked.kind())?)
}

/// Puts beside the numbers of an explanation what they would be without a cause.
///
/// # Errors
/// When journal or archive cannot be read.
pub fn compare(
    known: &Known<'_>,
    explanation: &mut Explanation,
    without: &Without,
) -> Result<(), NotExplained> {
    let live = without::Filtered::new(known.live, without);
    let less = Known {
        live: &live,
        ..*known
    };
    let dims = all_dims(&less, Some(explanation.tenant_id))?;
    let mut instead = match Asked::parse(explanation.kind, &explanation.id) {
        Some(asked) => find(&less, &dims, &asked)?,
        None => Vec::new(),
    };
    instead.retain(|instead| instead.id == explanation.id);
    explanation.compare(instead.pop(), without);
    Ok(())
}

/// What a fact is about, in words.
#[must_use]
pub fn in_words(known: &Known<'_>, fact: &Fact) -> String {
    let kind = match &fact.body {
        FactBody::Request(_) => "request",
        FactBody::Impression(_) => "impression",
        FactBody::Signal(signal) => words::signal_kind(signal.kind),
        _ => {
            let about = dims::about(fact);
            return restated::in_words(known, about);
        }
    };
    format!("{kind} of {}", fact.time)
}

fn find(
    known: &Known<'_>,
    dims: &dims::AllDims,
    asked: &Asked,
) -> Result<Vec<Found>, NotExplained> {
    match asked {
        Asked::Request(day, id) => request::find(known, dims, *day, *id),
        Asked::Download(id) => download::find(known, dims, id),
        Asked::Conversion(id) => conversion::find(known, dims, id),
        Asked::Pacing(line) => lines::find_pacing(known, dims, line),
        Asked::BillingLine(line, period) => lines::find_billing(known, dims, line, *period),
    }
}
