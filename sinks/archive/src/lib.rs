//! Keeps, beside the journal, what readers know and nothing can compute again: rows of sealed days as Parquet, and the ledgers.
//! A sink like the others, so that the journal is never compacted past a row that is not in it.
//!
//! ```text
//! archive/<view>/<tick>.parquet     rows that tick changed or took away without its readers seeing it, as they stood before
//! archive/ledger/                   restatements, late_after_seal, progress           (`ledger`)
//! ```
//! A Parquet file has the columns of the view's table, `present` (false: readers know of no such row) and `row`, the same row as
//! the program reads it back.
//!
//! Needs: a folder of its own in the journal's. Promises: what a range covers survives a crash once its progress is stored.
//! Leaves out: rows that can still be computed (journal), what a row became behind the seal.
//! Invariant 1: of a daily view, what readers know of a key is what the first file says that names it; of another, the last.
//! Invariant 2: progress is written after the rows; a range that comes again changes nothing.

mod columns;
mod file;
mod ledger;
mod sealed;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use hostread_disk::{Disk, FrameWriter};
use hostread_schemas::view::{View, ViewKey, ViewValue};
use hostread_schemas::{Names, Tick};
use hostread_sink_kit::{
    Admission, Columns, Dump, Known, Progress, RangeBatch, Result, Sink, SinkError,
    VERSION_TICK_BITS, admit, claim, telemetry,
};

use crate::ledger::Ledger;
use crate::sealed::Sealed;

const NAME: &str = "archive";

/// See the crate.
#[derive(Debug)]
pub struct ArchiveSink {
    ledger: Ledger,
    sealed: Sealed,
    /// Behind the ledger's last frame, while the sink is ours.
    writer: Arc<Mutex<Option<FrameWriter>>>,
    ours: Option<Progress>,
}

impl ArchiveSink {
    /// An archive in this folder, which is made when it is opened. No I/O.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        Self {
            ledger: Ledger::new(Arc::clone(&disk), dir),
            sealed: Sealed::new(disk, dir),
            writer: Arc::default(),
            ours: None,
        }
    }

    /// The ticks that left rows of a view in Parquet, ascending. Blocks.
    ///
    /// # Errors
    /// When the folder cannot be read or holds something else.
    pub fn ticks(&self, view: View) -> Result<Vec<Tick>> {
        self.sealed.ticks(view)
    }

    /// The rows of a view that a tick left in Parquet; `None`: readers know of no such row. Blocks.
    ///
    /// # Errors
    /// When the file is not there or damaged.
    pub fn rows(&self, view: View, tick: Tick) -> Result<Vec<(ViewKey, Option<ViewValue>)>> {
        self.sealed.rows(view, tick)
    }
}

#[async_trait]
impl Sink for ArchiveSink {
    fn name(&self) -> &'static str {
        NAME
    }

    fn views(&self) -> &'static [View] {
        ledger::VIEWS
    }

    fn is_archive(&self) -> bool {
        true
    }

    async fn migrate(&mut self) -> Result<()> {
        Ok(())
    }

    async fn open(&mut self, journal_id: u128) -> Result<Progress> {
        let (ledger, writer) = (self.ledger.clone(), Arc::clone(&self.writer));
        let ours = blocking(move || {
            let ours = claim(NAME, ledger.read_progress()?, journal_id)?;
            let rows = ledger.open_rows().map_err(failed("opening the ledger"))?;
            *writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(rows);
            ledger.write_progress(ours).map(|()| ours)
        })
        .await?;
        self.ours = Some(ours);
        telemetry::opened(NAME, ours.epoch, ours.upper);
        Ok(ours)
    }

    async fn apply(&mut self, batch: &RangeBatch, names: &Names) -> Result<()> {
        let ours = self.ours.ok_or(SinkError::NotOpen { sink: NAME })?;
        let started = Instant::now();
        let Admission::Write { from } = admit(NAME, self.progress().await?, ours, batch)? else {
            return Ok(());
        };
        let frames = ledger::frames(batch, from, ours.epoch)?;
        let (ledger, sealed) = (self.ledger.clone(), self.sealed.clone());
        let (writer, names) = (Arc::clone(&self.writer), names.clone());
        let withheld = batch.withheld.clone();
        let progress = Progress {
            upper: batch.upper,
            ..ours
        };
        blocking(move || {
            for (tick, changes) in withheld.iter().filter(|(tick, _)| *tick >= from) {
                sealed.keep(*tick, changes, &names)?;
                fail::fail_point!("archive.day_kept");
            }
            if !frames.is_empty() {
                let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                let writer = writer.as_mut().ok_or(SinkError::NotOpen { sink: NAME })?;
                ledger::append(writer, &frames).map_err(failed("writing the ledger"))?;
            }
            fail::fail_point!("archive.before_progress");
            ledger.write_progress(progress)?;
            fail::fail_point!("archive.progress_written");
            Ok(())
        })
        .await?;
        let rows = batch.upserts.len();
        telemetry::range_written(NAME, batch.lower, batch.upper, rows, started.elapsed());
        Ok(())
    }

    async fn progress(&self) -> Result<Option<Progress>> {
        let ledger = self.ledger.clone();
        blocking(move || ledger.read_progress()).await
    }

    async fn known(&self, through: Tick) -> Result<Known> {
        let (ledger, sealed) = (self.ledger.clone(), self.sealed.clone());
        blocking(move || {
            let mut known = sealed.known(through)?;
            let said = ledger.read_rows()?.into_iter();
            let past = said.filter(|(_, (version, _))| tick_of(*version) <= through);
            known.extend(past.map(|(key, (_, value))| (key, value)));
            Ok(known)
        })
        .await
    }

    async fn clear(&mut self) -> Result<()> {
        let (ledger, sealed) = (self.ledger.clone(), self.sealed.clone());
        let writer = Arc::clone(&self.writer);
        self.ours = None;
        blocking(move || {
            *writer.lock().unwrap_or_else(PoisonError::into_inner) = None;
            sealed.remove()?;
            ledger.remove().map_err(failed("removing the ledger"))
        })
        .await
    }
}

#[async_trait]
impl Dump for ArchiveSink {
    async fn dump(&self, view: View, columns: Columns) -> Result<Vec<String>> {
        let ledger = self.ledger.clone();
        let rows = blocking(move || ledger.read_rows()).await?;
        let of_view = rows.into_iter().filter(|(key, _)| key.view() == view);
        let line = |(key, (version, value)): (ViewKey, (u64, Option<ViewValue>))| {
            let value = value?;
            Some(match columns {
                Columns::Row => format!("{key:?} {value:?}"),
                Columns::RowAndVersion => format!("{key:?} {value:?} {version}"),
            })
        };
        Ok(of_view.filter_map(line).collect())
    }
}

const fn tick_of(version: u64) -> Tick {
    Tick(version % (1 << VERSION_TICK_BITS))
}

/// Blocking work on a thread for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(failed("waiting for the disk")(error)),
    }
}

fn failed<E: std::error::Error + Send + Sync + 'static>(
    doing: &'static str,
) -> impl FnOnce(E) -> SinkError {
    move |source| SinkError::of_server(NAME, doing, false, source)
}
