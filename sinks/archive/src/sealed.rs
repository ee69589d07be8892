//! Parquet files of rows that are final. All calls block.
//!
//! Invariant 1: a file is there as a whole or not at all; the same tick makes the same bytes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostread_disk::{Disk, read_all, replace_file};
use hostread_schemas::view::{Change, View, ViewClass, ViewKey, ViewValue};
use hostread_schemas::{Names, Tick};
use hostread_sink_kit::{Known, Result};

use crate::ledger::{Listed, damaged, line};
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

    /// Keeps what stood in rows, sorted by key, before a tick changed them. Says what the list must say of the files.
    pub(crate) fn keep(
        &self,
        tick: Tick,
        withheld: &[Change],
        names: &Names,
    ) -> Result<Vec<Vec<u8>>> {
        let mut lines = Vec::new();
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
            lines.push(line(view, tick, &bytes)?);
        }
        Ok(lines)
    }

    /// Every file below `upper` is listed, and every listed one is there as it was written.
    pub(crate) fn check(&self, listed: &Listed, upper: Tick) -> Result<()> {
        let doing = "checking the archive";
        for view in View::ALL {
            for tick in self.ticks(*view)?.into_iter().filter(|tick| *tick < upper) {
                if !listed.contains_key(&(view.name().to_owned(), tick)) {
                    let path = self.path(*view, tick);
                    return Err(failed(doing)(damaged(
                        &path,
                        0,
                        "the archive does not list it",
                    )));
                }
            }
        }
        for ((view, tick), (len, hash)) in listed {
            let path = self.dir.join(view).join(file_name(*tick));
            if !self.disk.exists(&path).map_err(failed(doing))? {
                return Err(failed(doing)(damaged(&path, 0, "the file is missing")));
            }
            let bytes = read_all(self.disk.as_ref(), &path).map_err(failed(doing))?;
            if (bytes.len() as u64) < *len {
                let at = bytes.len() as u64;
                return Err(failed(doing)(damaged(&path, at, "the file ends here")));
            }
            if blake3::hash(&bytes).as_bytes() != hash {
                let reason = "the file's hash is not the one in the archive's list";
                return Err(failed(doing)(damaged(&path, 0, reason)));
            }
        }
        Ok(())
    }

    /// Copies the listed files below `upper`.
    pub(crate) fn copy(&self, listed: &Listed, upper: Tick, to: &Self) -> Result<()> {
        let doing = "copying a file";
        for (view, tick) in listed.keys().filter(|(_, tick)| *tick < upper) {
            let from = self.dir.join(view).join(file_name(*tick));
            let bytes = read_all(self.disk.as_ref(), &from).map_err(failed(doing))?;
            let into = to.dir.join(view);
            to.disk.create_dir(&into).map_err(failed(doing))?;
            replace_file(to.disk.as_ref(), &into.join(file_name(*tick)), &bytes)
                .map_err(failed(doing))?;
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
        self.dir.join(view.name()).join(file_name(tick))
    }
}

fn file_name(tick: Tick) -> String {
    format!("{:020}{SUFFIX}", tick.0)
}
