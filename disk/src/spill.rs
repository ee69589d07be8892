//! A bounded buffer on disk for records whose real destination is away.
//! Needs: a folder of its own.    Promises: `append` returns once the kept records are durable; records come out in the order they
//! went in, at least once: after a restart those of a half-released segment come again, so the reader must know duplicates.
//! Leaves out: waiting, retrying, knowing what a record is.
//! Invariant 1: bytes on disk stay within `bytes_max` (+ frame headers); what does not fit is cut and counted, oldest kept.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Disk, FRAME_HEADER_BYTES, FrameReader, FrameWriter, Result, Tail};

/// How much a spill may hold.
#[derive(Clone, Copy, Debug)]
pub struct SpillLimits {
    /// Bytes on disk over all segments. Too small: a short outage loses pixels. Too large: it fills the disk that the log needs.
    pub bytes_max: u64,
    /// A new segment starts at this size; the unit in which space is given back and in which records repeat after a restart.
    pub segment_bytes: u64,
}

impl Default for SpillLimits {
    fn default() -> Self {
        Self {
            bytes_max: 256 << 20,
            segment_bytes: 8 << 20,
        }
    }
}

/// What one append did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Records that are durable now.
    pub kept: u64,
    /// Records that the bound cut.
    pub cut: u64,
}

/// How full a spill is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpillStats {
    /// Records waiting.
    pub records: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Records that the bound cut since the spill was opened.
    pub cut_total: u64,
}

/// The spill of one folder. Calls from several threads are fine.
#[derive(Debug)]
pub struct Spill {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    limits: SpillLimits,
    state: Mutex<State>,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    bytes: u64,
    records: u64,
}

#[derive(Debug)]
struct State {
    /// Oldest first. The writer, when there is one, appends to the last.
    segments: VecDeque<Segment>,
    writer: Option<FrameWriter>,
    next_number: u64,
    /// Records of the oldest segment already released, and where the next one starts.
    released: u64,
    released_bytes: u64,
    cut_total: u64,
}

impl Spill {
    /// Opens or makes the folder. Torn tails are cut: what `append` did not return for was never promised.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, limits: SpillLimits) -> Result<Self> {
        disk.create_dir(dir)?;
        let mut segments = VecDeque::new();
        for name in disk.list(dir)? {
            let Some(number) = name
                .strip_suffix(".spill")
                .and_then(|n| n.parse::<u64>().ok())
            else {
                continue;
            };
            let (writer, found) = FrameWriter::open(disk.as_ref(), &dir.join(&name))?;
            if found.frames == 0 {
                disk.remove(writer.path())?;
            } else {
                segments.push_back(Segment {
                    number,
                    bytes: writer.len(),
                    records: found.frames,
                });
            }
        }
        // A name that only the page cache knew must not vanish later under records that are there now.
        disk.sync_dir(dir)?;
        segments
            .make_contiguous()
            .sort_by_key(|segment| segment.number);
        let next_number = segments.back().map_or(0, |last| last.number + 1);
        let state = State {
            segments,
            writer: None,
            next_number,
            released: 0,
            released_bytes: 0,
            cut_total: 0,
        };
        Ok(Self {
            disk,
            dir: dir.to_path_buf(),
            limits,
            state: Mutex::new(state),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:010}.spill"))
    }

    /// Keeps as many of the records as fit, durably, and counts the rest as cut. On an error none of them is promised.
    pub fn append<R: AsRef<[u8]>>(&self, records: &[R]) -> Result<Appended> {
        let mut state = self.state();
        let mut done = Appended::default();
        let result = self.append_all(&mut state, records, &mut done);
        if result.is_err() {
            // The segment may end in frames that were never promised; the next append starts another one.
            state.writer = None;
            self.recount_last(&mut state)?;
        }
        result?;
        state.cut_total += done.cut;
        Ok(done)
    }

    fn append_all<R: AsRef<[u8]>>(
        &self,
        state: &mut State,
        records: &[R],
        done: &mut Appended,
    ) -> Result<()> {
        let mut held: u64 = state.segments.iter().map(|segment| segment.bytes).sum();
        for record in records {
            let record = record.as_ref();
            let bytes = record.len() as u64 + FRAME_HEADER_BYTES;
            if held + bytes > self.limits.bytes_max {
                done.cut += 1;
                continue;
            }
            self.writer(state)?.append(record)?;
            held += bytes;
            let last = state.segments.back_mut().expect("writer() made one");
            last.bytes += bytes;
            last.records += 1;
            done.kept += 1;
        }
        if let Some(writer) = state.writer.as_mut() {
            writer.sync()?;
        }
        Ok(())
    }

    /// The writer of the last segment; starts a new segment when there is none or it is full.
    fn writer<'a>(&self, state: &'a mut State) -> Result<&'a mut FrameWriter> {
        let full = state
            .writer
            .as_ref()
            .is_some_and(|writer| writer.len() >= self.limits.segment_bytes);
        if full && let Some(mut old) = state.writer.take() {
            old.sync()?;
        }
        if state.writer.is_none() {
            let number = state.next_number;
            let writer = FrameWriter::create(self.disk.as_ref(), &self.path(number))?;
            state.next_number += 1;
            state.segments.push_back(Segment {
                number,
                bytes: 0,
                records: 0,
            });
            self.disk.sync_dir(&self.dir)?;
            state.writer = Some(writer);
        }
        Ok(state.writer.as_mut().expect("set above"))
    }

    fn recount_last(&self, state: &mut State) -> Result<()> {
        let Some(last) = state.segments.back_mut() else {
            return Ok(());
        };
        let (writer, found) = FrameWriter::open(self.disk.as_ref(), &self.path(last.number))?;
        (last.bytes, last.records) = (writer.len(), found.frames);
        Ok(())
    }

    /// The oldest records, up to `records_max` and about `bytes_max`, without taking them out. Empty when nothing waits.
    pub fn peek(&self, records_max: usize, bytes_max: u64) -> Result<Vec<Vec<u8>>> {
        let state = self.state();
        let (mut records, mut bytes) = (Vec::new(), 0);
        for (index, segment) in state.segments.iter().enumerate() {
            let mut reader =
                FrameReader::open(self.disk.as_ref(), &self.path(segment.number), Tail::Whole)?;
            reader.set_end(segment.bytes);
            if index == 0 {
                reader.seek(state.released_bytes);
            }
            while records.len() < records_max && (bytes < bytes_max || records.is_empty()) {
                let Some((_, payload)) = reader.next_frame()? else {
                    break;
                };
                bytes += payload.len() as u64;
                records.push(payload.to_vec());
            }
            if records.len() >= records_max || bytes >= bytes_max {
                break;
            }
        }
        Ok(records)
    }

    /// Takes out the oldest `count` records, those that `peek` showed first. Space comes back segment by segment.
    pub fn release(&self, count: usize) -> Result<()> {
        let mut state = self.state();
        let mut left = count as u64;
        while let Some(first) = state.segments.front() {
            let (number, there) = (first.number, first.records - state.released);
            if left < there {
                let mut reader =
                    FrameReader::open(self.disk.as_ref(), &self.path(number), Tail::Whole)?;
                reader.seek(state.released_bytes);
                for _ in 0..left {
                    reader.next_frame()?;
                }
                state.released_bytes = reader.position();
                state.released += left;
                return Ok(());
            }
            left -= there;
            self.disk.remove(&self.path(number))?;
            self.disk.sync_dir(&self.dir)?;
            state.segments.pop_front();
            (state.released, state.released_bytes) = (0, 0);
            if state.segments.is_empty() {
                state.writer = None;
            }
        }
        debug_assert_eq!(left, 0, "released more than peek showed");
        Ok(())
    }

    /// How full it is.
    pub fn stats(&self) -> SpillStats {
        let state = self.state();
        SpillStats {
            records: state
                .segments
                .iter()
                .map(|segment| segment.records)
                .sum::<u64>()
                - state.released,
            bytes: state.segments.iter().map(|segment| segment.bytes).sum(),
            cut_total: state.cut_total,
        }
    }
}
