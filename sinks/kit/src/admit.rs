//! May a range be written, and from which tick on? Pure; every sink asks here, against what is stored.

use hostread_schemas::Tick;
use hostread_schemas::view::ViewValue;

use crate::error::{Result, SinkError};
use crate::{Progress, RangeBatch, Upsert, VERSION_TICK_BITS};

/// What to do with a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// All of it is stored already.
    Skip,
    /// Write the upserts whose tick is at least `from`, then the range's upper.
    Write {
        /// The stored upper.
        from: Tick,
    },
}

/// Judges a range against what is stored and the epoch that the caller holds.
pub fn admit(
    sink: &'static str,
    stored: Option<Progress>,
    ours: Progress,
    batch: &RangeBatch,
) -> Result<Admission> {
    let stored = stored.ok_or(SinkError::NotOpen { sink })?;
    if stored.journal_id != ours.journal_id {
        return Err(SinkError::OtherJournal {
            sink,
            stored: stored.journal_id,
            ours: ours.journal_id,
        });
    }
    if stored.epoch != ours.epoch {
        return Err(SinkError::Fenced {
            sink,
            stored: stored.epoch,
            ours: ours.epoch,
        });
    }
    batch.check()?;
    if batch.upper <= stored.upper {
        return Ok(Admission::Skip);
    }
    if batch.lower > stored.upper {
        return Err(SinkError::Gap {
            sink,
            stored: stored.upper,
            lower: batch.lower,
            upper: batch.upper,
        });
    }
    Ok(Admission::Write { from: stored.upper })
}

/// What a new owner stores: the next epoch at the stored upper, or the first at tick 0.
pub fn claim(sink: &'static str, stored: Option<Progress>, journal_id: u128) -> Result<Progress> {
    match stored {
        None => Ok(Progress {
            journal_id,
            epoch: 1,
            upper: Tick(0),
        }),
        Some(stored) if stored.journal_id == journal_id => Ok(Progress {
            epoch: stored.epoch + 1,
            ..stored
        }),
        Some(stored) => Err(SinkError::OtherJournal {
            sink,
            stored: stored.journal_id,
            ours: journal_id,
        }),
    }
}

impl RangeBatch {
    /// Is the range well-formed? Sorted, one upsert per key, ticks inside the range, values of the key's view.
    pub fn check(&self) -> Result<()> {
        let wrong = |reason| {
            Err(SinkError::Malformed {
                lower: self.lower,
                upper: self.upper,
                reason,
            })
        };
        if self.lower >= self.upper {
            return wrong("lower is not below upper");
        }
        if self.upper.0 >> VERSION_TICK_BITS != 0 {
            return wrong("a tick does not fit a version");
        }
        if !self.upserts.is_sorted_by(|a, b| a.key < b.key) {
            return wrong("keys are not sorted, or one stands twice");
        }
        let inside = |upsert: &Upsert| upsert.tick >= self.lower && upsert.tick < self.upper;
        if !self.upserts.iter().all(inside) {
            return wrong("a tick lies outside");
        }
        let of_view = |upsert: &Upsert| match &upsert.value {
            Some(value) => same_view(upsert, value),
            None => true,
        };
        if !self.upserts.iter().all(of_view) {
            return wrong("a value belongs to another view than its key");
        }
        Ok(())
    }
}

fn same_view(upsert: &Upsert, value: &ViewValue) -> bool {
    upsert.key.view() == crate::plan::view_of(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;

    const OURS: Progress = Progress {
        journal_id: 7,
        epoch: 3,
        upper: Tick(10),
    };

    fn range(lower: u64, upper: u64) -> RangeBatch {
        RangeBatch {
            lower: Tick(lower),
            upper: Tick(upper),
            upserts: Vec::new(),
            withheld: Vec::new(),
            freshness: None,
            rows_done: std::sync::Arc::default(),
        }
    }

    #[test]
    fn ranges_against_a_stored_upper_of_ten() {
        let judge = |lower, upper| admit("x", Some(OURS), OURS, &range(lower, upper));
        assert_eq!(judge(0, 10).unwrap(), Admission::Skip);
        assert_eq!(judge(10, 11).unwrap(), Admission::Write { from: Tick(10) });
        assert_eq!(judge(4, 11).unwrap(), Admission::Write { from: Tick(10) });
        assert!(matches!(judge(11, 12), Err(SinkError::Gap { .. })));
        assert!(matches!(judge(10, 10), Err(SinkError::Malformed { .. })));
    }

    #[test]
    fn owners() {
        let newer = Progress { epoch: 4, ..OURS };
        let refused = admit("x", Some(newer), OURS, &range(10, 11)).unwrap_err();
        assert_eq!(refused.kind(), crate::SinkErrorKind::Fenced);
        assert!(admit("x", None, OURS, &range(10, 11)).is_err());
        assert_eq!(claim("x", Some(OURS), 7).unwrap(), newer);
        let other = claim("x", Some(OURS), 8).unwrap_err().to_string();
        assert!(other.contains("hostread sinks resync"), "{other}");
    }
}
