//! The ledgers on disk: restatements and what came after the seal, which nothing can compute again; the list of the Parquet
//! files; and how far the whole archive has come. All calls block.
//!
//! ```text
//! ledger/rows        frames: epoch, rows (tick, key, value)           appended, never rewritten
//! ledger/files       frames: view, tick, length, hash                 appended, never rewritten
//! ledger/progress    journal, epoch, upper, lengths, checksum         replaced after both
//! ```
//! Invariant 1: of the frames that name a key, the one of the highest (epoch, tick) counts, of equal ones the last.
//! Invariant 2: what progress vouches for is there, byte for byte, or opening fails and names the file.

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

/// Bytes of rows and list that progress vouches for.
type Lengths = (u64, u64);
/// Journal, epoch, upper, lengths.
type Stored = (u128, u64, Tick, Lengths);
/// View, tick, length and hash of a file.
type Line = (String, Tick, u64, [u8; 32]);
/// Length and hash of every file, by view and tick.
pub(crate) type Listed = BTreeMap<(String, Tick), (u64, [u8; 32])>;
type Row = (Tick, ViewKey, Option<ViewValue>);
/// Version and value by key.
pub(crate) type Rows = BTreeMap<ViewKey, (u64, Option<ViewValue>)>;

/// Behind the last frames.
#[derive(Debug)]
pub(crate) struct Writers {
    pub(crate) rows: FrameWriter,
    pub(crate) files: FrameWriter,
}

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

    fn files(&self) -> PathBuf {
        self.dir.join("files")
    }

    fn progress(&self) -> PathBuf {
        self.dir.join("progress")
    }

    pub(crate) fn read_progress(&self) -> Result<Option<Progress>> {
        Ok(self.read_stored()?.map(|(progress, _)| progress))
    }

    fn read_stored(&self) -> Result<Option<(Progress, Lengths)>> {
        let path = self.progress();
        if !self.disk.exists(&path).map_err(failed("looking"))? {
            return Ok(None);
        }
        let bytes = read_all(self.disk.as_ref(), &path).map_err(failed("reading progress"))?;
        let stored = bytes
            .split_last_chunk::<4>()
            .filter(|(body, sum)| crc32fast::hash(body) == u32::from_le_bytes(**sum))
            .and_then(|(body, _)| postcard::from_bytes::<Stored>(body).ok());
        let (journal_id, epoch, upper, lengths) = stored.ok_or_else(|| {
            failed("reading progress")(damaged(&path, 0, "the checksum is another"))
        })?;
        let progress = Progress {
            journal_id,
            epoch,
            upper,
        };
        Ok(Some((progress, lengths)))
    }

    pub(crate) fn write_progress(&self, progress: Progress, writers: &Writers) -> Result<()> {
        let lengths: Lengths = (writers.rows.synced_len(), writers.files.synced_len());
        self.store(&(progress.journal_id, progress.epoch, progress.upper, lengths))
    }

    fn store(&self, stored: &Stored) -> Result<()> {
        let mut bytes = postcard::to_stdvec(stored).map_err(failed("writing progress"))?;
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        replace_file(self.disk.as_ref(), &self.progress(), &bytes)
            .map_err(failed("writing progress"))
    }

    /// Opens rows and list for appending.
    pub(crate) fn open_writers(&self) -> hostread_disk::Result<Writers> {
        self.disk.create_dir(&self.dir)?;
        Ok(Writers {
            rows: self.open_writer(&self.rows())?,
            files: self.open_writer(&self.files())?,
        })
    }

    fn open_writer(&self, path: &Path) -> hostread_disk::Result<FrameWriter> {
        if self.disk.exists(path)? {
            return FrameWriter::open(self.disk.as_ref(), path).map(|(writer, _)| writer);
        }
        let writer = FrameWriter::create(self.disk.as_ref(), path)?;
        self.disk.sync_dir(&self.dir)?;
        Ok(writer)
    }

    /// Invariant 2, before anything is cut or written; the list of files comes back.
    pub(crate) fn check(&self) -> Result<Listed> {
        let lengths = self.read_stored()?.map_or((0, 0), |(_, lengths)| lengths);
        let mut listed = Listed::new();
        self.check_frames(&self.rows(), lengths.0, |_| Some(()))?;
        self.check_frames(&self.files(), lengths.1, |frame| {
            let (view, tick, bytes, hash) = postcard::from_bytes::<Line>(frame).ok()?;
            listed.insert((view, tick), (bytes, hash));
            Some(())
        })?;
        Ok(listed)
    }

    /// Copies rows and list as far as progress vouches for them; the list so far and the upper come back.
    pub(crate) fn copy(&self, to: &Self) -> Result<Option<(Listed, Tick)>> {
        let doing = "copying the ledger";
        let Some((progress, lengths)) = self.read_stored()? else {
            return Ok(None);
        };
        to.disk.create_dir(&to.dir).map_err(failed(doing))?;
        for (from, into, length) in [
            (self.rows(), to.rows(), lengths.0),
            (self.files(), to.files(), lengths.1),
        ] {
            let mut bytes = read_all(self.disk.as_ref(), &from).map_err(failed(doing))?;
            bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
            replace_file(to.disk.as_ref(), &into, &bytes).map_err(failed(doing))?;
        }
        to.store(&(progress.journal_id, progress.epoch, progress.upper, lengths))?;
        Ok(Some((to.check()?, progress.upper)))
    }

    fn check_frames(
        &self,
        path: &Path,
        vouched: u64,
        mut each: impl FnMut(&[u8]) -> Option<()>,
    ) -> Result<()> {
        let doing = "checking the archive";
        let mut whole = 0;
        if self.disk.exists(path).map_err(failed(doing))? {
            let mut frames = FrameReader::open(self.disk.as_ref(), path, Tail::MayBeTorn)
                .map_err(failed(doing))?;
            while let Some((at, frame)) = frames.next_frame().map_err(failed(doing))? {
                each(frame)
                    .ok_or_else(|| failed(doing)(damaged(path, at, "the frame does not decode")))?;
            }
            whole = frames.position();
        }
        if whole < vouched {
            let reason = "the rest of what was synced is missing";
            return Err(failed(doing)(damaged(path, whole, reason)));
        }
        Ok(())
    }

    pub(crate) fn remove(&self) -> hostread_disk::Result<()> {
        for path in [self.progress(), self.rows(), self.files()] {
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

/// The list's frame of a file.
pub(crate) fn line(view: View, tick: Tick, bytes: &[u8]) -> Result<Vec<u8>> {
    let line: Line = (
        view.name().to_owned(),
        tick,
        bytes.len() as u64,
        *blake3::hash(bytes).as_bytes(),
    );
    postcard::to_stdvec(&line).map_err(failed("encoding the list of files"))
}

pub(crate) fn damaged(path: &Path, offset: u64, reason: &'static str) -> DiskError {
    let path = path.to_path_buf();
    DiskError::Damaged {
        path,
        offset,
        reason,
    }
}

/// Appends frames, durably.
pub(crate) fn append(writer: &mut FrameWriter, frames: &[Vec<u8>]) -> hostread_disk::Result<()> {
    for frame in frames {
        writer.append(frame)?;
    }
    writer.sync().map(drop)
}
