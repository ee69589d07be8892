//! Parquet files of rows that are final. All calls block.
//!
//! Invariant 1: a file is there as a whole or not at all; the same tick makes the same bytes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostread_disk::{Disk, read_all, replace_file};
use hostread_schemas::view::{Change, View, ViewClass, ViewKey, ViewValue};
use hostread_schemas::{Names, Tick};
use hostread_sink_kit::{Known, Result};

use crate::{failed, file};

const SUFFIX: &str = ".parquet";

/// The files of an archive.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

impl Sealed {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        let dir = dir.to_owned();
        Self { disk, dir }
    }

    /// Keeps what stood in rows, sorted by key, before a tick changed them.
    pub(crate) fn keep(&self, tick: Tick, withheld: &[Change], names: &Names) -> Result<()> {
        for of_view in withheld.chunk_by(|a, b| a.key.view() == b.key.view()) {
            let Some(view) = of_view.first().map(|change| change.key.view()) else {
                continue;
            };
            let bytes =
                file::encode(view, tick, of_view, names).map_err(failed("encoding rows"))?;
            self.disk
                .create_dir(&self.dir.join(view.name()))
                .map_err(failed("making a folder"))?;
            replace_file(self.disk.as_ref(), &self.path(view, tick), &bytes)
                .map_err(failed("writing a file"))?;
        }
        Ok(())
    }

    /// The ticks that left rows of a view, ascending.
    pub(crate) fn ticks(&self, view: View) -> Result<Vec<Tick>> {
        let dir = self.dir.join(view.name());
        if !self.disk.exists(&dir).map_err(failed("looking"))? {
            return Ok(Vec::new());
        }
        let mut ticks = Vec::new();
        for name in self.disk.list(&dir).map_err(failed("listing files"))? {
            // A file under way has another suffix, and no owner after a crash.
            if let Some(stem) = name.strip_suffix(SUFFIX) {
                let tick = stem.parse().map_err(failed("reading a file's name"))?;
                ticks.push(Tick(tick));
            }
        }
        Ok(ticks)
    }

    /// The rows of a view that a tick left.
    pub(crate) fn rows(&self, view: View, tick: Tick) -> Result<Vec<(ViewKey, Option<ViewValue>)>> {
        let bytes = read_all(self.disk.as_ref(), &self.path(view, tick))
            .map_err(failed("reading a file"))?;
        file::decode(bytes).map_err(failed("reading a file"))
    }

    /// What readers know, as of a tick.
    pub(crate) fn known(&self, through: Tick) -> Result<Known> {
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
        Ok(known)
    }

    pub(crate) fn remove(&self) -> Result<()> {
        for view in View::ALL {
            for tick in self.ticks(*view)? {
                self.disk
                    .remove(&self.path(*view, tick))
                    .map_err(failed("removing a file"))?;
            }
        }
        Ok(())
    }

    fn path(&self, view: View, tick: Tick) -> PathBuf {
        let name = format!("{:020}{SUFFIX}", tick.0);
        self.dir.join(view.name()).join(name)
    }
}
