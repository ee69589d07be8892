//! Giving back: the tick that takes all released facts away.
//! Needs: sealed days.    Promises: every released fact has its retraction in the tick; the head forgets it.

use super::{Head, by_day};
use crate::error::{JournalError, Result};
use crate::fact_file::Bucket;
use crate::going::{Going, releases};
use crate::journal::Journal;
use crate::record::TickRecord;

impl Head {
    /// Closes a tick that gives back these facts: their retractions. The open tick must be empty but for carries, which belong to
    /// the same tick, and follow the one that they are read as of.
    pub fn release(&mut self, journal: &Journal, going: Going) -> Result<TickRecord> {
        let Going {
            through,
            as_of,
            mut events,
        } = going;
        if self.next != as_of.next() {
            return Err(JournalError::Broken("a tick came before its release"));
        }
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
        for (fact, _) in &events {
            let hash = self.hash(fact);
            if self.table.get(fact.id).map(|entry| entry.hash) != hash {
                return Err(JournalError::Broken(
                    "a released fact is not the head's live one",
                ));
            }
            self.forget(fact.id);
        }
        events.append(&mut record.events);
        by_day(&mut events);
        record.events = events;
        record.release = Some(through);
        Ok(record)
    }
}
