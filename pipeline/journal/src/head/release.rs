//! Giving back: the tick that takes all released facts away.
//! Needs: sealed days.    Promises: every released fact has its retraction in the tick; the head forgets it.

use hostread_schemas::fact::{Fact, RetentionClass};

use super::Head;
use crate::error::{JournalError, Result};
use crate::fact_file::Bucket;
use crate::journal::Journal;
use crate::record::{ReleaseRecord, TickRecord};

impl Head {
    /// Closes a tick that gives back all exposures and conversions through these days: their retractions. The open tick must be
    /// empty but for carries, which belong to the same tick. Days must be sealed.
    pub fn release(&mut self, journal: &Journal, through: ReleaseRecord) -> Result<TickRecord> {
        let gone = journal.live_through(through)?;
        let mut record = self.cut(journal)?;
        // What was added since the last cut and lies in a released day would be lost without a retraction.
        let released = |bucket: Bucket| releases(through, bucket);
        if record
            .events
            .iter()
            .any(|(fact, _)| released(Bucket::of(fact)))
        {
            return Err(JournalError::Broken(
                "a release's own tick changes a released day",
            ));
        }
        for fact in &gone {
            let hash = self.hash(fact);
            if self.table.get(fact.id).map(|entry| entry.hash) != hash {
                return Err(JournalError::Broken(
                    "a released fact is not the head's live one",
                ));
            }
            self.forget(fact.id);
        }
        let mut events: Vec<(Fact, i8)> = gone.into_iter().map(|fact| (fact, -1)).collect();
        events.append(&mut record.events);
        events.sort_by_key(|(fact, _)| fact.time.day());
        record.events = events;
        record.release = Some(through);
        Ok(record)
    }
}

/// Whether a release takes this bucket.
pub(crate) fn releases(through: ReleaseRecord, bucket: Bucket) -> bool {
    match bucket.class() {
        RetentionClass::Exposure => bucket.day() <= through.exposures_through,
        RetentionClass::Conversion => bucket.day() <= through.conversions_through,
        RetentionClass::Reference => false,
    }
}
