//! Periods of days that are counted from the journal, as far as it still has them.

use hostread_schemas::Day;
use hostread_schemas::fact::RetentionClass;

use crate::known::{Known, ReadError};

/// Why a period is not counted.
#[derive(Debug, thiserror::Error)]
pub enum NotCounted {
    /// Requests of the period are gone.
    #[error(
        "requests and impressions through {through} were released, and who they reached with them: ask from {first} on"
    )]
    Released {
        /// The last day that is gone.
        through: Day,
        /// The first that is not.
        first: Day,
    },
    /// Conversions of the period are gone.
    #[error("conversions through {through} were released: ask from {first} on")]
    Sold {
        /// The last day that is gone.
        through: Day,
        /// The first that is not.
        first: Day,
    },
    /// The last day is before the first.
    #[error("the period ends on {to}, before it begins on {from}")]
    Backwards {
        /// First day.
        from: Day,
        /// Last day.
        to: Day,
    },
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Read(#[from] ReadError),
}

/// The days that are asked for, both included: without a first one all that are there, without a last one through the clock's.
pub(crate) fn period(
    known: &Known<'_>,
    class: RetentionClass,
    from: Option<Day>,
    to: Option<Day>,
) -> Result<(Day, Day), NotCounted> {
    let sold = class == RetentionClass::Conversion;
    let released = if sold {
        known.conversions_released()
    } else {
        known.exposures_released()
    };
    let live = released.map(|through| Day(through.0.saturating_add(1)));
    let first = live.or_else(|| known.live.days(class).first().copied());
    let to = to.unwrap_or_else(|| known.clock.day());
    let from = from.or(first).unwrap_or(to);
    match (released, live) {
        (Some(through), Some(first)) if from <= through && sold => {
            Err(NotCounted::Sold { through, first })
        }
        (Some(through), Some(first)) if from <= through => {
            Err(NotCounted::Released { through, first })
        }
        _ if from > to => Err(NotCounted::Backwards { from, to }),
        _ => Ok((from, to)),
    }
}
