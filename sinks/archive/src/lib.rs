//! Keeps, beside the journal, what readers know and nothing can compute again: rows of sealed days as Parquet, and the ledgers.
//! A sink like the others, so that the journal is never compacted past a row that is not in it.
//!
//! ```text
//! archive/<view>/<tick>.parquet     rows that tick changed or took away without its readers seeing it, as they stood before
//! archive/ledger/                   restatements, late_after_seal, list of files, progress   (`ledger`)
//! ```
//! A Parquet file has the columns of the view's table, `present` (false: readers know of no such row) and `row`, the same row as
//! the program reads it back.
//!
//! Needs: a folder of its own in the journal's. Promises: what a range covers survives a crash once its progress is stored.
//! Leaves out: rows that can still be computed (journal), what a row became behind the seal.
//! Invariant 1: of a daily view, what readers know of a key is what the first file says that names it; of another, the last.
//! Invariant 2: progress is written after the rows; a range that comes again changes nothing.
//! Invariant 3: opening reads every byte that progress vouches for; damage is an error that names the file.

mod columns;
mod file;
mod ledger;
mod sealed;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use hostread_disk::Disk;
use hostread_schemas::view::{View, ViewKey, ViewValue};
use hostread_schemas::{Names, Tick};
use hostread_sink_kit::{
    Admission, Columns, Dump, Known, Progress, RangeBatch, Result, Sink, SinkError,
    VERSION_TICK_BITS, admit, claim, telemetry,
};

use crate::ledger::{Ledger, Writers};
use crate::sealed::Sealed;

const NAME: &str = "archive";

/// See the crate.
#[derive(Debug)]
pub struct ArchiveSink {
    ledger: Ledger,
    sealed: Sealed,
    /// Behind the ledger's last frames, while the sink is ours.
    writers: Arc<Mutex<Option<Writers>>>,
    ours: Option<Progress>,
}

impl ArchiveSink {
    /// An archive in this folder, which is made when it is opened. No I/O.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        Self {
            ledger: Ledger::new(Arc::clone(&disk), dir),
            sealed: Sealed::new(disk, dir),
            writers: Arc::default(),
            ours: None,
        }
    }

    /// Reads everything that is vouched for; changes nothing. Says how far it has come, if there is an archive. Blocks.
    ///
    /// # Errors
    /// When a file is damaged or missing: which.
    pub fn check(&self) -> Result<Option<Progress>> {
        let stored = self.ledger.read_progress()?;
        check(&self.ledger, &self.sealed, stored)?;
        Ok(stored)
    }

    /// Copies what progress vouches for into another folder, also while the archive is written. `false` when there is none.
    /// Blocks.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn copy(&self, disk: &Arc<dyn Disk>, to: &Path) -> Result<bool> {
        let copied = self.ledger.copy(&Ledger::new(Arc::clone(disk), to))?;
        if let Some((listed, upper)) = &copied {
            let to = Sealed::new(Arc::clone(disk), to);
            self.sealed.copy(listed, *upper, &to)?;
        }
        Ok(copied.is_some())
    }

    fn clone_parts(&self) -> (Ledger, Sealed) {
        (self.ledger.clone(), self.sealed.clone())
    }

    /// The rows of the ledgers, by key. Beside a writer: what it has finished writing. Blocks.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn ledgers(&self) -> Result<Vec<(ViewKey, ViewValue)>> {
        let rows = self.ledger.read_rows()?.into_iter();
        Ok(rows
            .filter_map(|(key, (_, value))| Some((key, value?)))
            .collect())
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
        let this = self.clone_parts();
        let writers = Arc::clone(&self.writers);
        let ours = blocking(move || {
            let (ledger, sealed) = this;
            let stored = ledger.read_progress()?;
            check(&ledger, &sealed, stored)?;
            let ours = claim(NAME, stored, journal_id)?;
            let opened = ledger
                .open_writers()
                .map_err(failed("opening the ledger"))?;
            ledger.write_progress(ours, &opened)?;
            *writers.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
            Ok(ours)
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
        let (ledger, sealed) = self.clone_parts();
        let (writers, names) = (Arc::clone(&self.writers), names.clone());
        let withheld = batch.withheld.clone();
        let progress = Progress {
            upper: batch.upper,
            ..ours
        };
        blocking(move || {
            let mut writers = writers.lock().unwrap_or_else(PoisonError::into_inner);
            let writers = writers.as_mut().ok_or(SinkError::NotOpen { sink: NAME })?;
            let mut lines = Vec::new();
            for (tick, changes) in withheld.iter().filter(|(tick, _)| *tick >= from) {
                lines.extend(sealed.keep(*tick, changes, &names)?);
                fail::fail_point!("archive.day_kept");
            }
            for (writer, frames) in [(&mut writers.files, lines), (&mut writers.rows, frames)] {
                if !frames.is_empty() {
                    ledger::append(writer, &frames).map_err(failed("writing the ledger"))?;
                }
            }
            fail::fail_point!("archive.before_progress");
            ledger.write_progress(progress, writers)?;
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
        let (ledger, sealed) = self.clone_parts();
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
        let (ledger, sealed) = self.clone_parts();
        let writers = Arc::clone(&self.writers);
        self.ours = None;
        blocking(move || {
            *writers.lock().unwrap_or_else(PoisonError::into_inner) = None;
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

fn check(ledger: &Ledger, sealed: &Sealed, stored: Option<Progress>) -> Result<()> {
    let upper = stored.map_or(Tick(0), |stored| stored.upper);
    sealed.check(&ledger.check()?, upper)
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
