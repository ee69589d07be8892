//! The ledgers on disk: restatements and what came after the seal, which nothing can compute again; and how far the whole
//! archive has come. All calls block.
//!
//! ```text
//! ledger/rows        frames: epoch, rows (tick, key, value)           appended, never rewritten
//! ledger/progress    journal, epoch, upper, checksum                  replaced after the rows
//! ```
//! Invariant 1: of the frames that name a key, the one of the highest (epoch, tick) counts, of equal ones the last.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostread_disk::{Disk, DiskError, FrameReader, FrameWriter, Tail, read_all, replace_file};
use hostread_schemas::Tick;
use hostread_schemas::view::{View, ViewKey, ViewValue};
use hostread_sink_kit::{Progress, RangeBatch, Result, plan_chunks, version_of};

use crate::failed;

/// What is kept here.
pub(crate) const VIEWS: &[View] = &[View::Restatements, View::LateAfterSeal];

type Row = (Tick, ViewKey, Option<ViewValue>);
/// Version and value by key.
pub(crate) type Rows = BTreeMap<ViewKey, (u64, Option<ViewValue>)>;

/// The files of a ledger.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

impl Ledger {
    pub(crate) fn new(disk: Arc<dyn Disk>, archive: &Path) -> Self {
        let dir = archive.join("ledger");
        Self { disk, dir }
    }

    fn rows(&self) -> PathBuf {
        self.dir.join("rows")
    }

    fn progress(&self) -> PathBuf {
        self.dir.join("progress")
    }

    pub(crate) fn read_progress(&self) -> Result<Option<Progress>> {
        let path = self.progress();
        if !self.disk.exists(&path).map_err(failed("looking"))? {
            return Ok(None);
        }
        let bytes = read_all(self.disk.as_ref(), &path).map_err(failed("reading progress"))?;
        let progress = bytes
            .split_last_chunk::<4>()
            .filter(|(body, sum)| crc32fast::hash(body) == u32::from_le_bytes(**sum))
            .and_then(|(body, _)| postcard::from_bytes::<(u128, u64, Tick)>(body).ok());
        match progress {
            Some((journal_id, epoch, upper)) => Ok(Some(Progress {
                journal_id,
                epoch,
                upper,
            })),
            None => Err(failed("reading progress")(DiskError::Damaged {
                path,
                offset: 0,
                reason: "the checksum is another",
            })),
        }
    }

    pub(crate) fn write_progress(&self, progress: Progress) -> Result<()> {
        let body = (progress.journal_id, progress.epoch, progress.upper);
        let mut bytes = postcard::to_stdvec(&body).map_err(failed("writing progress"))?;
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        replace_file(self.disk.as_ref(), &self.progress(), &bytes)
            .map_err(failed("writing progress"))
    }

    /// Opens the rows for appending.
    pub(crate) fn open_rows(&self) -> hostread_disk::Result<FrameWriter> {
        self.disk.create_dir(&self.dir)?;
        if self.disk.exists(&self.rows())? {
            return FrameWriter::open(self.disk.as_ref(), &self.rows()).map(|(writer, _)| writer);
        }
        let writer = FrameWriter::create(self.disk.as_ref(), &self.rows())?;
        self.disk.sync_dir(&self.dir)?;
        Ok(writer)
    }

    pub(crate) fn remove(&self) -> hostread_disk::Result<()> {
        for path in [self.progress(), self.rows()] {
            if self.disk.exists(&path)? {
                self.disk.remove(&path)?;
                self.disk.sync_dir(&self.dir)?;
            }
        }
        Ok(())
    }

    /// Version and value of every row (invariant 1).
    pub(crate) fn read_rows(&self) -> Result<Rows> {
        let mut rows = Rows::new();
        let path = self.rows();
        if !self.disk.exists(&path).map_err(failed("looking"))? {
            return Ok(rows);
        }
        let doing = "reading rows";
        let mut frames =
            FrameReader::open(self.disk.as_ref(), &path, Tail::MayBeTorn).map_err(failed(doing))?;
        while let Some((_, payload)) = frames.next_frame().map_err(failed(doing))? {
            let (epoch, frame): (u64, Vec<Row>) =
                postcard::from_bytes(payload).map_err(failed(doing))?;
            for (tick, key, value) in frame {
                let version = version_of(epoch, tick);
                let known = rows.entry(key).or_default();
                if known.0 <= version {
                    *known = (version, value);
                }
            }
        }
        Ok(rows)
    }
}

/// The frames of a range's rows from a tick on.
pub(crate) fn frames(batch: &RangeBatch, from: Tick, epoch: u64) -> Result<Vec<Vec<u8>>> {
    let chunks = plan_chunks(&batch.upserts, from, VIEWS).into_iter();
    let frame = |chunk: hostread_sink_kit::Chunk<'_>| {
        let rows = chunk.rows.iter();
        let rows: Vec<(Tick, &ViewKey, &Option<ViewValue>)> =
            rows.map(|row| (row.tick, &row.key, &row.value)).collect();
        postcard::to_stdvec(&(epoch, rows)).map_err(failed("encoding rows"))
    };
    chunks.map(frame).collect()
}

/// Appends frames, durably.
pub(crate) fn append(writer: &mut FrameWriter, frames: &[Vec<u8>]) -> hostread_disk::Result<()> {
    for frame in frames {
        writer.append(frame)?;
    }
    writer.sync().map(drop)
}
