//! The tick log: segments of CRC-framed, hash-chained tick records.
//!
//! ```text
//! ticks-<first tick>   frame: header   1 | format, journal id, first tick, chain so far
//!                      frame: part     2 | tick u64 | part u32 | parts u32 | chain | block        one record = its parts in order
//!                      frame: closed   3                                       vouches for all before it
//!                      frame: goes on  4                                       vouches for the next segment's being there
//! chain = blake3(chain before | tick | part | parts | block)
//! ```
//! Needs: one writer.    Promises: reading gives a prefix of what was appended, every synced record in it; anything else is an
//! error that names file and byte.    Leaves out: which ticks are still needed (`journal`).
//! Invariant 1: ticks follow each other without gaps.    Invariant 2: a segment is synced whole before the next one is made.

mod read;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostread_disk::{Disk, FrameWriter};
use hostread_schemas::Tick;
use serde::{Deserialize, Serialize};

pub(crate) use read::{LogEnd, LogReader, RawRecord};

use crate::error::{JournalError, Result};
use crate::going::Days;

/// Format of the tick log.
const FORMAT: u32 = 1;
/// A segment longer than this is followed by a new one. Shorter: more files; longer: erased facts stay longer, slower opening.
pub(crate) const SEGMENT_BYTES: u64 = 64 << 20;
const HEADER: u8 = 1;
const PART: u8 = 2;
const CLOSED: u8 = 3;
const GOES_ON: u8 = 4;
/// Kind, tick, part, parts.
const PART_HEAD_BYTES: usize = 17;
pub(crate) type Chain = [u8; 32];

#[derive(Serialize, Deserialize)]
struct SegmentHeader {
    format: u32,
    journal: u128,
    first: Tick,
    chain: Chain,
}

/// A record in its written form.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) tick: Tick,
    pub(crate) parts: Vec<Vec<u8>>,
    pub(crate) days: Days,
}

/// Where a record starts: its segment and the offset in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) segment: Tick,
    pub(crate) offset: u64,
}

pub(crate) fn segment_path(dir: &Path, first: Tick) -> PathBuf {
    dir.join(format!("ticks-{:020}", first.0))
}

/// First ticks of the segments in a folder, in order.
pub(crate) fn segments(disk: &dyn Disk, dir: &Path) -> Result<Vec<Tick>> {
    let names = disk.list(dir)?;
    let ticks = names
        .iter()
        .filter_map(|name| name.strip_prefix("ticks-")?.parse().ok().map(Tick));
    let mut ticks: Vec<Tick> = ticks.collect();
    ticks.sort_unstable();
    Ok(ticks)
}

fn part_head(tick: Tick, part: usize, parts: usize) -> [u8; PART_HEAD_BYTES] {
    let mut head = [PART; PART_HEAD_BYTES];
    head[1..9].copy_from_slice(&tick.0.to_le_bytes());
    head[9..13].copy_from_slice(&(part as u32).to_le_bytes());
    head[13..17].copy_from_slice(&(parts as u32).to_le_bytes());
    head
}

fn link(chain: &Chain, head: &[u8], block: &[u8]) -> Chain {
    let mut hasher = blake3::Hasher::new();
    hasher.update(chain).update(head).update(block);
    *hasher.finalize().as_bytes()
}

/// Appends records to the newest segment.
#[derive(Debug)]
pub(crate) struct LogWriter {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    journal: u128,
    frames: FrameWriter,
    segment: Tick,
    next: Tick,
    chain: Chain,
    /// A roll was begun and not ended: a file with the next segment's name may be there.
    rolling: bool,
}

impl LogWriter {
    /// Starts a segment whose first record will be `first`.
    pub(crate) fn create(
        disk: Arc<dyn Disk>,
        dir: &Path,
        journal: u128,
        first: Tick,
        chain: Chain,
    ) -> Result<Self> {
        let frames = start_segment(disk.as_ref(), dir, journal, first, chain)?;
        Ok(Self {
            disk,
            dir: dir.to_path_buf(),
            journal,
            frames,
            segment: first,
            next: first,
            chain,
            rolling: false,
        })
    }

    /// Goes on where a reader found the log's end; cuts off what is torn behind it.
    pub(crate) fn resume(
        disk: Arc<dyn Disk>,
        dir: &Path,
        journal: u128,
        end: &LogEnd,
    ) -> Result<Self> {
        let path = segment_path(dir, end.segment);
        let file = disk.open(&path)?;
        if file.len()? > end.offset {
            file.truncate(end.offset)?;
            file.sync()?;
        }
        let (frames, _) = FrameWriter::open(disk.as_ref(), &path)?;
        Ok(Self {
            disk,
            dir: dir.to_path_buf(),
            journal,
            frames,
            segment: end.segment,
            next: end.next,
            chain: end.chain,
            rolling: false,
        })
    }

    /// Writes records and makes them durable; says where each starts. After an error none of them counts.
    pub(crate) fn write(&mut self, records: &[Arc<Encoded>]) -> Result<Vec<Place>> {
        if self.rolling || self.frames.len() > SEGMENT_BYTES {
            self.roll()?;
        }
        fail::fail_point!("ticks.before_write");
        let mut chain = self.chain;
        let mut next = self.next;
        let mut places = Vec::with_capacity(records.len());
        for record in records {
            if record.tick != next {
                let (expected, got) = (next, record.tick);
                return Err(JournalError::OutOfOrder { expected, got });
            }
            for (index, block) in record.parts.iter().enumerate() {
                let head = part_head(record.tick, index, record.parts.len());
                chain = link(&chain, &head, block);
                let offset = self.frames.append_parts(&[&head, &chain, block])?;
                if index == 0 {
                    let segment = self.segment;
                    places.push(Place { segment, offset });
                }
            }
            next = next.next();
        }
        fail::fail_point!("ticks.written");
        self.frames.sync()?;
        fail::fail_point!("ticks.synced");
        self.chain = chain;
        self.next = next;
        Ok(places)
    }

    /// Goes on in a new segment, unless this one is still empty. Returns whether it did.
    pub(crate) fn roll(&mut self) -> Result<bool> {
        if self.segment == self.next {
            return Ok(false);
        }
        // Fails for good if the segment takes no more writes: then the next one, whose mark may be durable, stays.
        self.frames.sync()?;
        self.rolling = true;
        let next = start_segment(
            self.disk.as_ref(),
            &self.dir,
            self.journal,
            self.next,
            self.chain,
        )?;
        fail::fail_point!("ticks.segment_made");
        self.frames.append(&[GOES_ON])?;
        self.frames.sync()?;
        fail::fail_point!("ticks.rolled");
        self.rolling = false;
        self.frames = next;
        self.segment = self.next;
        Ok(true)
    }

    /// Adds a mark that vouches for all before it: afterwards damage to the last records is found, too.
    pub(crate) fn close(&mut self) -> Result<()> {
        self.frames.append(&[CLOSED])?;
        self.frames.sync()?;
        Ok(())
    }

    pub(crate) fn segment(&self) -> Tick {
        self.segment
    }

    pub(crate) fn synced_len(&self) -> u64 {
        self.frames.synced_len()
    }
}

fn start_segment(
    disk: &dyn Disk,
    dir: &Path,
    journal: u128,
    first: Tick,
    chain: Chain,
) -> Result<FrameWriter> {
    let path = segment_path(dir, first);
    if disk.exists(&path)? {
        // Left by a crash, or a failure, before its header was durable: no record can be in it.
        disk.remove(&path)?;
    }
    let mut frames = FrameWriter::create(disk, &path)?;
    let mut header = vec![HEADER];
    let format = FORMAT;
    crate::codec::put(
        &SegmentHeader {
            format,
            journal,
            first,
            chain,
        },
        &mut header,
    )?;
    frames.append(&header)?;
    frames.sync()?;
    disk.sync_dir(dir)?;
    Ok(frames)
}
