//! Keeps, beside the journal, what readers know and nothing can compute again: rows of sealed days as Parquet, and the ledgers.
//!
//! ```text
//! archive/<view>/<tick>.parquet     rows that tick changed or took away without its readers seeing it, as they stood before
//! archive/ledger/                   restatements, late_after_seal                 (`ledger`)
//! ```
//! A Parquet file has the columns of the view's table, `present` (false: readers know of no such row) and `row`, the same row as the
//! program reads it back.
//!
//! Needs: a folder of its own. Promises: what `keep` took survives a crash; the same tick makes the same bytes, so a tick
//! that is replayed changes nothing.
//! Leaves out: rows that can still be computed (journal), what a row became behind the seal.
//! Invariant 1: of a daily view, what readers know of a key is what the first file says that names it; of another, the last.
//! Invariant 2: a file is there as a whole or not at all.

mod columns;
mod file;
mod ledger;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostread_disk::{Disk, replace_file};
use hostread_schemas::view::{Change, View, ViewClass, ViewKey, ViewValue};
use hostread_schemas::{Names, Tick};
use hostread_sink_kit::{Archive, Known, Result, SinkError};

pub use ledger::LedgerSink;

const NAME: &str = "archive";
const SUFFIX: &str = ".parquet";

/// See the crate.
#[derive(Debug)]
pub struct ParquetArchive {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

impl ParquetArchive {
    /// An archive in this folder, which is made when the first row comes. No I/O.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        Self {
            disk,
            dir: dir.to_owned(),
        }
    }

    /// The sink for what only this archive keeps for good.
    #[must_use]
    pub fn ledger(&self) -> LedgerSink {
        LedgerSink::new(self.ledger_files())
    }

    fn ledger_files(&self) -> ledger::Files {
        ledger::Files::new(Arc::clone(&self.disk), &self.dir)
    }

    /// The ticks that left rows of a view, ascending.
    ///
    /// # Errors
    /// When the folder cannot be read or holds something else.
    pub fn ticks(&self, view: View) -> Result<Vec<Tick>> {
        let dir = self.dir.join(view.name());
        if !self.disk.exists(&dir).map_err(failed(NAME, "looking"))? {
            return Ok(Vec::new());
        }
        let mut ticks = Vec::new();
        for name in self
            .disk
            .list(&dir)
            .map_err(failed(NAME, "listing files"))?
        {
            // A file under way has another suffix and no owner after a crash.
            if let Some(stem) = name.strip_suffix(SUFFIX) {
                let tick = stem
                    .parse()
                    .map_err(failed(NAME, "reading a file's name"))?;
                ticks.push(Tick(tick));
            }
        }
        Ok(ticks)
    }

    /// The rows of a view that a tick left.
    ///
    /// # Errors
    /// When the file is not there or damaged.
    pub fn rows(&self, view: View, tick: Tick) -> Result<Vec<(ViewKey, Option<ViewValue>)>> {
        let bytes = hostread_disk::read_all(self.disk.as_ref(), &self.path(view, tick))
            .map_err(failed(NAME, "reading a file"))?;
        file::decode(bytes).map_err(failed(NAME, "reading a file"))
    }

    fn path(&self, view: View, tick: Tick) -> PathBuf {
        let name = format!("{:020}{SUFFIX}", tick.0);
        self.dir.join(view.name()).join(name)
    }
}

impl Archive for ParquetArchive {
    fn keep(&mut self, tick: Tick, withheld: &[Change], names: &Names) -> Result<()> {
        for of_view in withheld.chunk_by(|a, b| a.key.view() == b.key.view()) {
            let Some(view) = of_view.first().map(|change| change.key.view()) else {
                continue;
            };
            let bytes =
                file::encode(view, tick, of_view, names).map_err(failed(NAME, "writing rows"))?;
            self.disk
                .create_dir(&self.dir.join(view.name()))
                .map_err(failed(NAME, "making a folder"))?;
            replace_file(self.disk.as_ref(), &self.path(view, tick), &bytes)
                .map_err(failed(NAME, "writing a file"))?;
        }
        Ok(())
    }

    fn known(&self, through: Tick) -> Result<Known> {
        let mut known = Known::new();
        for view in View::ALL {
            for tick in self.ticks(*view)? {
                if tick > through {
                    break;
                }
                for (key, value) in self.rows(*view, tick)? {
                    if view.class() == ViewClass::Daily {
                        known.entry(key).or_insert(value);
                    } else {
                        known.insert(key, value);
                    }
                }
            }
        }
        let ledger = self.ledger_files().read()?.into_iter();
        let past = ledger.filter(|(_, (tick, _))| *tick <= through);
        known.extend(past.map(|(key, (_, value))| (key, Some(value))));
        Ok(known)
    }
}

fn failed<E: std::error::Error + Send + Sync + 'static>(
    name: &'static str,
    doing: &'static str,
) -> impl FnOnce(E) -> SinkError {
    move |source| SinkError::of_server(name, doing, false, source)
}
