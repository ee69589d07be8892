//! What an explanation stands on: one state of the journal, and the archive beside it.

use hostread_journal::{ReleaseRecord, Snapshot};
use hostread_rules::Horizons;
use hostread_schemas::fact::{Fact, RetentionClass};
use hostread_schemas::intern::IdHasher;
use hostread_schemas::view::{View, ViewKey, ViewRow, ViewValue};
use hostread_schemas::{Day, EventId, EventTimeMs, NameKind, Names, TenantId, Tick};

use crate::said::AsOf;

/// What goes wrong while reading.
pub type ReadError = Box<dyn std::error::Error + Send + Sync>;

/// The live facts of one tick.
pub trait Live {
    /// The days that have facts of a class, ascending.
    fn days(&self, class: RetentionClass) -> Vec<Day>;
    /// Shows the facts of a class and day; of reference facts all, whatever the day.
    ///
    /// # Errors
    /// When they cannot be read.
    fn facts(
        &self,
        class: RetentionClass,
        day: Day,
        each: &mut dyn FnMut(Fact),
    ) -> Result<(), ReadError>;
    /// The fact of an event.
    ///
    /// # Errors
    /// When it cannot be read.
    fn find(&self, id: EventId) -> Result<Option<Fact>, ReadError>;
}

impl Live for Snapshot {
    fn days(&self, class: RetentionClass) -> Vec<Day> {
        self.days(class)
    }

    fn facts(
        &self,
        class: RetentionClass,
        day: Day,
        each: &mut dyn FnMut(Fact),
    ) -> Result<(), ReadError> {
        Ok(self.facts(class, day, each)?)
    }

    fn find(&self, id: EventId) -> Result<Option<Fact>, ReadError> {
        Ok(self.find(id)?)
    }
}

/// What readers know and nobody can compute again.
pub trait Archive {
    /// What readers know of archived rows of a view, sorted by key; `None`: of no such row.
    ///
    /// # Errors
    /// When it cannot be read.
    fn rows(
        &self,
        view: View,
        wanted: &dyn Fn(&ViewKey) -> bool,
    ) -> Result<Vec<(ViewKey, Option<ViewValue>)>, ReadError>;
    /// The rows of the ledgers (`restatements`, `late_after_seal`), sorted by key.
    ///
    /// # Errors
    /// When they cannot be read.
    fn ledgers(
        &self,
        wanted: &dyn Fn(&ViewKey) -> bool,
    ) -> Result<Vec<(ViewKey, ViewValue)>, ReadError>;
}

/// See the module.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// Live facts.
    pub live: &'a dyn Live,
    /// Archive.
    pub archive: &'a dyn Archive,
    /// Names.
    pub names: &'a Names,
    /// What names are hashed by.
    pub hasher: IdHasher,
    /// When what is published, sealed, released.
    pub horizons: Horizons,
    /// The tick of the state.
    pub tick: Tick,
    /// The clock of that tick.
    pub clock: EventTimeMs,
    /// How far events were released.
    pub released: Option<ReleaseRecord>,
}

impl std::fmt::Debug for Known<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Known({})", self.tick)
    }
}

impl Known<'_> {
    pub(crate) fn name(&self, kind: NameKind, id: u64) -> String {
        self.names.text(kind, id).to_string()
    }

    pub(crate) fn tenant(&self, tenant: TenantId) -> String {
        self.name(NameKind::Tenant, tenant.0)
    }

    /// Which state it is.
    pub(crate) const fn as_of(&self) -> AsOf {
        AsOf {
            tick: self.tick,
            clock: self.clock,
        }
    }

    /// The last day whose requests, impressions and touches are released.
    pub(crate) fn exposures_released(&self) -> Option<Day> {
        self.released.map(|released| released.exposures_through)
    }

    /// The last day whose signals are released.
    pub(crate) fn conversions_released(&self) -> Option<Day> {
        self.released.map(|released| released.conversions_through)
    }

    /// What the archive knows of rows, if it is one row.
    pub(crate) fn sealed(
        &self,
        view: View,
        wanted: &dyn Fn(&ViewKey) -> bool,
    ) -> Result<Sealed, ReadError> {
        let rows = self.archive.rows(view, wanted)?;
        let known = !rows.is_empty();
        let mut standing = rows.into_iter().filter_map(|(key, value)| {
            let value = value?;
            Some(ViewRow { key, value })
        });
        Ok(match standing.next() {
            Some(row) => Sealed::Row(row),
            None if known => Sealed::Gone,
            None => Sealed::No,
        })
    }
}

/// What the archive knows of a row.
pub(crate) enum Sealed {
    /// Nothing.
    No,
    /// That readers know of no such row.
    Gone,
    /// The row.
    Row(ViewRow),
}
