//! The ledgers on disk: restatements and what came after the seal, which nothing can compute again. A sink like the others,
//! so that the journal is never compacted past a row that is not in it.
//!
//! ```text
//! archive/ledger/rows        frames: epoch, rows (tick, key, value)           appended, never rewritten
//! archive/ledger/progress    journal, epoch, upper, checksum                  replaced after the rows
//! ```
//! Invariant 1: of the frames that name a key, the one of the highest (epoch, tick) counts, of equal ones the last.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use hostread_disk::{Disk, DiskError, FrameReader, FrameWriter, Tail, read_all, replace_file};
use hostread_schemas::view::{View, ViewKey, ViewValue};
use hostread_schemas::{Names, Tick};
use hostread_sink_kit::{
    Admission, Columns, Dump, Progress, RangeBatch, Result, Sink, SinkError, admit, claim,
    plan_chunks, telemetry, version_of,
};

use crate::failed;

const NAME: &str = "ledger";
const VIEWS: &[View] = &[View::Restatements, View::LateAfterSeal];

type Row = (Tick, ViewKey, Option<ViewValue>);
/// Version and value by key.
type Rows = BTreeMap<ViewKey, (u64, Option<ViewValue>)>;

/// Keeps the append-only views.
#[derive(Debug)]
pub struct LedgerSink {
    files: Files,
    /// Behind the last frame, while the sink is ours.
    writer: Arc<Mutex<Option<FrameWriter>>>,
    ours: Option<Progress>,
}

/// Where the files are.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

impl Files {
    pub(crate) fn new(disk: Arc<dyn Disk>, archive: &Path) -> Self {
        let dir = archive.join(NAME);
        Self { disk, dir }
    }

    fn rows(&self) -> PathBuf {
        self.dir.join("rows")
    }

    fn progress(&self) -> PathBuf {
        self.dir.join("progress")
    }

    fn read_progress(&self) -> Result<Option<Progress>> {
        let path = self.progress();
        if !self.disk.exists(&path).map_err(failed(NAME, "looking"))? {
            return Ok(None);
        }
        let bytes =
            read_all(self.disk.as_ref(), &path).map_err(failed(NAME, "reading progress"))?;
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
            None => Err(failed(NAME, "reading progress")(DiskError::Damaged {
                path,
                offset: 0,
                reason: "the checksum is another",
            })),
        }
    }

    fn write_progress(&self, progress: Progress) -> Result<()> {
        let body = (progress.journal_id, progress.epoch, progress.upper);
        let mut bytes = postcard::to_stdvec(&body).map_err(failed(NAME, "writing progress"))?;
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        replace_file(self.disk.as_ref(), &self.progress(), &bytes)
            .map_err(failed(NAME, "writing progress"))
    }

    fn open_rows(&self) -> hostread_disk::Result<FrameWriter> {
        self.disk.create_dir(&self.dir)?;
        if self.disk.exists(&self.rows())? {
            return FrameWriter::open(self.disk.as_ref(), &self.rows()).map(|(writer, _)| writer);
        }
        let writer = FrameWriter::create(self.disk.as_ref(), &self.rows())?;
        self.disk.sync_dir(&self.dir)?;
        Ok(writer)
    }

    fn remove(&self) -> hostread_disk::Result<()> {
        for path in [self.progress(), self.rows()] {
            if self.disk.exists(&path)? {
                self.disk.remove(&path)?;
                self.disk.sync_dir(&self.dir)?;
            }
        }
        Ok(())
    }

    /// Every row that was not taken back (invariant 1).
    pub(crate) fn read(&self) -> Result<BTreeMap<ViewKey, (Tick, ViewValue)>> {
        let tick = |version: u64| Tick(version % (1 << hostread_sink_kit::VERSION_TICK_BITS));
        let standing = self.read_rows()?.into_iter();
        Ok(standing
            .filter_map(|(key, (version, value))| Some((key, (tick(version), value?))))
            .collect())
    }

    fn read_rows(&self) -> Result<Rows> {
        let mut rows = Rows::new();
        let path = self.rows();
        if !self.disk.exists(&path).map_err(failed(NAME, "looking"))? {
            return Ok(rows);
        }
        let doing = "reading rows";
        let mut frames = FrameReader::open(self.disk.as_ref(), &path, Tail::MayBeTorn)
            .map_err(failed(NAME, doing))?;
        while let Some((_, payload)) = frames.next_frame().map_err(failed(NAME, doing))? {
            let (epoch, frame): (u64, Vec<Row>) =
                postcard::from_bytes(payload).map_err(failed(NAME, doing))?;
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

/// Appends frames, then moves the progress.
fn append(
    files: &Files,
    writer: &Mutex<Option<FrameWriter>>,
    frames: &[Vec<u8>],
    progress: Progress,
) -> Result<()> {
    if !frames.is_empty() {
        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        let open = writer.as_mut().ok_or(SinkError::NotOpen { sink: NAME })?;
        let mut written = || {
            for frame in frames {
                open.append(frame)?;
            }
            open.sync().map(drop)
        };
        written().map_err(failed(NAME, "writing rows"))?;
    }
    files.write_progress(progress)
}

/// Blocking work on a thread for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(failed(NAME, "waiting for the disk")(error)),
    }
}

impl LedgerSink {
    pub(crate) fn new(files: Files) -> Self {
        Self {
            files,
            writer: Arc::default(),
            ours: None,
        }
    }
}

#[async_trait]
impl Sink for LedgerSink {
    fn name(&self) -> &'static str {
        NAME
    }

    fn views(&self) -> &'static [View] {
        VIEWS
    }

    async fn migrate(&mut self) -> Result<()> {
        Ok(())
    }

    async fn open(&mut self, journal_id: u128) -> Result<Progress> {
        let (files, writer) = (self.files.clone(), Arc::clone(&self.writer));
        let ours = blocking(move || {
            let ours = claim(NAME, files.read_progress()?, journal_id)?;
            let rows = files.open_rows().map_err(failed(NAME, "opening rows"))?;
            *writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(rows);
            files.write_progress(ours).map(|()| ours)
        })
        .await?;
        self.ours = Some(ours);
        telemetry::opened(NAME, ours.epoch, ours.upper);
        Ok(ours)
    }

    async fn apply(&mut self, batch: &RangeBatch, _names: &Names) -> Result<()> {
        let ours = self.ours.ok_or(SinkError::NotOpen { sink: NAME })?;
        let started = Instant::now();
        let Admission::Write { from } = admit(NAME, self.progress().await?, ours, batch)? else {
            return Ok(());
        };
        let (mut frames, mut written) = (Vec::new(), 0);
        for chunk in plan_chunks(&batch.upserts, from, VIEWS) {
            let rows: Vec<(Tick, &ViewKey, &Option<ViewValue>)> = chunk
                .rows
                .iter()
                .map(|row| (row.tick, &row.key, &row.value))
                .collect();
            written += rows.len();
            frames.push(
                postcard::to_stdvec(&(ours.epoch, rows)).map_err(failed(NAME, "encoding rows"))?,
            );
        }
        let progress = Progress {
            upper: batch.upper,
            ..ours
        };
        let (files, writer) = (self.files.clone(), Arc::clone(&self.writer));
        blocking(move || append(&files, &writer, &frames, progress)).await?;
        telemetry::range_written(NAME, batch.lower, batch.upper, written, started.elapsed());
        Ok(())
    }

    fn can_be_filled_again(&self) -> bool {
        false
    }

    async fn progress(&self) -> Result<Option<Progress>> {
        let files = self.files.clone();
        blocking(move || files.read_progress()).await
    }

    async fn clear(&mut self) -> Result<()> {
        let (files, writer) = (self.files.clone(), Arc::clone(&self.writer));
        self.ours = None;
        blocking(move || {
            *writer.lock().unwrap_or_else(PoisonError::into_inner) = None;
            files.remove().map_err(failed(NAME, "removing files"))
        })
        .await
    }
}

#[async_trait]
impl Dump for LedgerSink {
    async fn dump(&self, view: View, columns: Columns) -> Result<Vec<String>> {
        let files = self.files.clone();
        let rows = blocking(move || files.read_rows()).await?;
        let of_view = rows.into_iter().filter(|(key, _)| key.view() == view);
        Ok(of_view
            .filter_map(|(key, (version, value))| {
                let value = value?;
                Some(match columns {
                    Columns::Row => format!("{key:?} {value:?}"),
                    Columns::RowAndVersion => format!("{key:?} {value:?} {version}"),
                })
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use hostread_disk::SimDisk;
    use hostread_sink_kit::conformance::{self, Target, range};

    use super::*;

    struct OnDisk(SimDisk);

    impl OnDisk {
        fn files(&self) -> Files {
            Files::new(Arc::new(self.0.clone()), Path::new("/archive"))
        }
    }

    #[async_trait]
    impl Target for OnDisk {
        type Sink = LedgerSink;

        async fn connect(&self) -> LedgerSink {
            LedgerSink::new(self.files())
        }

        async fn lose_progress(&self, to: Progress) {
            self.files().write_progress(to).unwrap();
        }

        fn shows_names(&self) -> bool {
            false
        }
    }

    #[tokio::test]
    async fn the_ledger_conforms() {
        conformance::run(&OnDisk(SimDisk::new(5))).await;
    }

    #[tokio::test]
    async fn a_crash_takes_no_row_below_the_progress() {
        for seed in 0..40 {
            let target = OnDisk(SimDisk::new(seed));
            let steps: Vec<_> = (0..10)
                .map(|tick| (tick, View::Restatements, tick + 1, Some(tick + 1)))
                .collect();
            let mut sink = target.connect().await;
            sink.open(1).await.unwrap();
            target.0.power_off_at(target.0.steps() + 3 + seed);
            for tick in 0..10 {
                if sink
                    .apply(&range(tick, tick + 1, &steps), &Names::default())
                    .await
                    .is_err()
                {
                    break;
                }
            }
            target.0.crash();
            let upper = target.connect().await.open(1).await.unwrap().upper;
            let rows = target.files().read().unwrap();
            assert!(
                rows.len() as u64 >= upper.0,
                "{} rows at {upper}",
                rows.len()
            );
        }
    }
}
