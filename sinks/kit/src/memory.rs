//! A sink in memory: the reference that the others are held against, for simulators and property tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use hostread_schemas::view::{View, ViewKey, ViewValue};
use hostread_schemas::{Names, Tick};

use crate::admit::{Admission, admit, claim};
use crate::error::{Result, SinkError};
use crate::plan::plan_chunks;
use crate::{
    Columns, Dump, FreshnessRow, Progress, RangeBatch, Sink, VERSION_TICK_BITS, version_of,
};

const NAME: &str = "memory";

/// Where the next `apply` breaks off, once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailPoint {
    /// Before anything is written.
    BeforeData,
    /// After so many rows: what a sink without transactions leaves behind.
    AfterRows(usize),
    /// After the data, before the progress.
    BeforeProgress,
    /// After the progress: written, but not acknowledged.
    AfterProgress,
}

#[derive(Default, Debug)]
struct State {
    rows: BTreeMap<ViewKey, ViewValue>,
    versions: BTreeMap<ViewKey, u64>,
    freshness: Vec<FreshnessRow>,
    progress: Option<Progress>,
    uppers: Vec<Tick>,
    rows_written: u64,
    fail: Option<FailPoint>,
}

/// What outlives a [`MemorySink`]; clones are the same store.
#[derive(Clone, Default, Debug)]
pub struct MemoryStore(Arc<Mutex<State>>);

impl MemoryStore {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows that stand now.
    #[must_use]
    pub fn rows(&self) -> BTreeMap<ViewKey, ViewValue> {
        self.state().rows.clone()
    }

    /// Looks at the rows without copying them.
    pub fn with_rows<T>(&self, look: impl FnOnce(&BTreeMap<ViewKey, ViewValue>) -> T) -> T {
        look(&self.state().rows)
    }

    /// The tick of every row that stands.
    #[must_use]
    pub fn row_ticks(&self) -> BTreeMap<ViewKey, Tick> {
        let state = self.state();
        let stands = |(key, version): (&ViewKey, &u64)| {
            let tick = Tick(version % (1 << VERSION_TICK_BITS));
            state.rows.contains_key(key).then_some((*key, tick))
        };
        state.versions.iter().filter_map(stands).collect()
    }

    /// What was appended about freshness.
    #[must_use]
    pub fn freshness(&self) -> Vec<FreshnessRow> {
        self.state().freshness.clone()
    }

    /// What is stored about progress.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        self.state().progress
    }

    /// Stores another progress, as a test of a stop between rows and progress needs it.
    pub fn set_progress(&self, progress: Progress) {
        self.state().progress = Some(progress);
    }

    /// Every upper that was stored, in order.
    #[must_use]
    pub fn uppers(&self) -> Vec<Tick> {
        self.state().uppers.clone()
    }

    /// Rows written since the beginning, repeated ones too.
    #[must_use]
    pub fn rows_written(&self) -> u64 {
        self.state().rows_written
    }

    /// Lets the next `apply` that has something to write break off.
    pub fn fail_next(&self, point: FailPoint) {
        self.state().fail = Some(point);
    }
}

/// A sink in memory.
#[derive(Debug)]
pub struct MemorySink {
    store: MemoryStore,
    views: &'static [View],
    ours: Option<Progress>,
}

impl MemorySink {
    /// A handle that writes every view to `store`.
    #[must_use]
    pub const fn new(store: MemoryStore) -> Self {
        Self::with_views(store, View::ALL)
    }

    /// A handle that writes `views` to `store`.
    #[must_use]
    pub const fn with_views(store: MemoryStore, views: &'static [View]) -> Self {
        Self {
            store,
            views,
            ours: None,
        }
    }
}

fn broke_off() -> SinkError {
    SinkError::Dependency {
        sink: NAME,
        doing: "writing rows".to_owned(),
        source: "a test asked for it".into(),
    }
}

#[async_trait]
impl Sink for MemorySink {
    fn name(&self) -> &'static str {
        NAME
    }

    fn views(&self) -> &'static [View] {
        self.views
    }

    async fn migrate(&mut self) -> Result<()> {
        Ok(())
    }

    async fn open(&mut self, journal_id: u128) -> Result<Progress> {
        let mut state = self.store.state();
        let claimed = claim(NAME, state.progress, journal_id)?;
        state.progress = Some(claimed);
        self.ours = Some(claimed);
        Ok(claimed)
    }

    async fn apply(&mut self, batch: &RangeBatch, _names: &Names) -> Result<()> {
        let ours = self.ours.ok_or(SinkError::NotOpen { sink: NAME })?;
        let mut state = self.store.state();
        let Admission::Write { from } = admit(NAME, state.progress, ours, batch)? else {
            return Ok(());
        };
        let fail = state.fail.take();
        if fail == Some(FailPoint::BeforeData) {
            return Err(broke_off());
        }
        let mut written = 0;
        for chunk in plan_chunks(&batch.upserts, from, self.views) {
            for upsert in chunk.rows {
                if fail == Some(FailPoint::AfterRows(written)) {
                    return Err(broke_off());
                }
                written += 1;
                state.write(ours.epoch, upsert);
            }
        }
        if matches!(
            fail,
            Some(FailPoint::BeforeProgress | FailPoint::AfterRows(_))
        ) {
            return Err(broke_off());
        }
        state.freshness.extend(batch.freshness);
        state.uppers.push(batch.upper);
        state.progress = Some(Progress {
            upper: batch.upper,
            ..ours
        });
        match fail {
            Some(_) => Err(broke_off()),
            None => Ok(()),
        }
    }

    async fn begun_upper(&self) -> Result<Tick> {
        let state = self.store.state();
        let ticks = state
            .versions
            .values()
            .map(|version| version % (1 << VERSION_TICK_BITS));
        Ok(ticks.max().map_or(Tick(0), |tick| Tick(tick).next()))
    }

    async fn progress(&self) -> Result<Option<Progress>> {
        Ok(self.store.progress())
    }

    async fn clear(&mut self) -> Result<()> {
        *self.store.state() = State::default();
        self.ours = None;
        Ok(())
    }
}

impl State {
    /// The newer version wins, as in the real sinks.
    fn write(&mut self, epoch: u64, upsert: &crate::Upsert) {
        self.rows_written += 1;
        let version = version_of(epoch, upsert.tick);
        if self.versions.get(&upsert.key) > Some(&version) {
            return;
        }
        self.versions.insert(upsert.key, version);
        match &upsert.value {
            Some(value) => self.rows.insert(upsert.key, value.clone()),
            None => self.rows.remove(&upsert.key),
        };
    }
}

#[async_trait]
impl Dump for MemorySink {
    async fn dump(&self, view: View, columns: Columns) -> Result<Vec<String>> {
        let state = self.store.state();
        let of_view = state.rows.iter().filter(|(key, _)| key.view() == view);
        let mut lines: Vec<String> = of_view
            .map(|(key, value)| match columns {
                Columns::Row => format!("{key:?} {value:?}"),
                Columns::RowAndVersion => {
                    let version = state.versions.get(key).copied().unwrap_or_default();
                    format!("{key:?} {value:?} {version}")
                }
            })
            .collect();
        lines.sort_unstable();
        Ok(lines)
    }
}
