//! What a release takes: the live facts of days that are over, read from the files and ticks that may hold them.
//!
//! ```text
//! ticks with events of these days ---> Changes --+
//! files of these days ---------------------------+--> merge --> Going --> Head::release
//! ```
//! Needs: sealed days.    Promises: what is read does not grow with the days that are live.
//! Invariant 1: nothing is live on a day that was released before.

use hostread_schemas::fact::{Fact, RetentionClass};
use hostread_schemas::{Day, Tick};

use crate::error::Result;
use crate::fact_file::Bucket;
use crate::journal::Journal;
use crate::merge::Changes;
use crate::record::{ReleaseRecord, TickRecord};
use crate::tick_log::{Place, RawRecord};

/// First and last day of a tick's events and revisions that are released some day.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Days(Option<(Day, Day)>);

impl Days {
    pub(crate) fn of(record: &TickRecord) -> Self {
        let mut days = Self::default();
        for (fact, _) in &record.events {
            days.note(fact.body.class(), fact.time.day());
        }
        for revision in &record.revisions {
            days.note(revision.class, revision.day);
        }
        days
    }

    pub(crate) fn note(&mut self, class: RetentionClass, day: Day) {
        if class != RetentionClass::Reference {
            let (first, last) = self.0.unwrap_or((day, day));
            self.0 = Some((first.min(day), last.max(day)));
        }
    }
}

/// The buckets that a release takes and the one before it did not.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    after: Option<ReleaseRecord>,
    through: ReleaseRecord,
}

impl Wanted {
    fn bucket(&self, bucket: Bucket) -> bool {
        releases(self.through, bucket) && !self.after.is_some_and(|after| releases(after, bucket))
    }

    /// May a tick with events of these days have one of a wanted bucket?
    fn days(&self, days: Days) -> bool {
        let first = self
            .after
            .map(|after| after.exposures_through.min(after.conversions_through));
        let through = self.through;
        let last = through.exposures_through.max(through.conversions_through);
        days.0.is_some_and(|(oldest, newest)| {
            oldest <= last && first.is_none_or(|first| newest > first)
        })
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

/// The facts that a release takes, as of a tick; see [`Journal::going`].
#[derive(Debug)]
pub struct Going {
    pub(crate) through: ReleaseRecord,
    pub(crate) as_of: Tick,
    /// Their retractions, by day.
    pub(crate) events: Vec<(Fact, i8)>,
}

impl Journal {
    /// The live facts through these days, as of the last appended tick; those through `after` were released before. The days must
    /// be sealed.
    pub fn going(&self, after: Option<ReleaseRecord>, through: ReleaseRecord) -> Result<Going> {
        let wanted = Wanted { after, through };
        let (view, places) = {
            let core = self.core();
            let indexed = core.index.iter();
            let places: Vec<(Tick, Place)> = indexed
                .filter(|(_, indexed)| wanted.days(indexed.days))
                .map(|(tick, indexed)| (*tick, indexed.place))
                .collect();
            (core.view(Tick(0)), places)
        };
        let mut changes = Changes::default();
        let bucket = |bucket| wanted.bucket(bucket);
        let mut log = None;
        for (tick, place) in places {
            let raw = self.record_at(&view, &mut log, tick, place)?;
            changes.add(&raw, &bucket)?;
        }
        for encoded in view.unsynced() {
            if wanted.days(encoded.days) {
                changes.add(&RawRecord::unsynced(encoded), &bucket)?;
            }
        }
        let mut events = Vec::new();
        self.visit_live(&view.manifest, changes, &bucket, &mut |slice| {
            events.extend(slice.into_iter().map(|fact| (fact, -1)));
        })?;
        Ok(Going {
            through,
            as_of: view.appended,
            events,
        })
    }
}
