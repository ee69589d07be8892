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

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostread_disk::{Disk, FrameReader, FrameWriter, Tail};
use hostread_schemas::Tick;
use serde::{Deserialize, Serialize};

use crate::error::{JournalError, Result};
use crate::record::TickRecord;

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
        self.frames.sync()?;
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
        self.frames.append(&[GOES_ON])?;
        self.frames.sync()?;
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

/// Where the whole records of a log end.
#[derive(Clone, Debug)]
pub(crate) struct LogEnd {
    pub(crate) segment: Tick,
    /// End of the last whole record (or mark) in that segment; 0 = not even a header.
    pub(crate) offset: u64,
    pub(crate) next: Tick,
    pub(crate) chain: Chain,
}

/// A record as read, not decoded.
#[derive(Debug)]
pub(crate) struct RawRecord {
    pub(crate) tick: Tick,
    pub(crate) place: Place,
    pub(crate) parts: Vec<Vec<u8>>,
    path: PathBuf,
}

impl RawRecord {
    /// A record that is still in memory only.
    pub(crate) fn unsynced(encoded: &Encoded) -> Self {
        Self {
            tick: encoded.tick,
            place: Place {
                segment: encoded.tick,
                offset: 0,
            },
            parts: encoded.parts.clone(),
            path: PathBuf::from("(not yet written)"),
        }
    }

    pub(crate) fn decode(&self) -> Result<TickRecord> {
        TickRecord::decode(&self.parts)
            .filter(|record| record.tick == self.tick)
            .ok_or_else(|| self.damaged("the record does not decode"))
    }

    pub(crate) fn damaged(&self, reason: &'static str) -> JournalError {
        JournalError::damaged(&self.path, self.place.offset, reason)
    }
}

/// Reads records in order, over segments.
#[derive(Debug)]
pub(crate) struct LogReader {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    journal: u128,
    /// Segments not yet begun, the last of all included.
    rest: std::vec::IntoIter<Tick>,
    /// The newest segment is read up to here; `None`: to its last whole record, its tail may be torn.
    newest_end: Option<u64>,
    frames: Option<FrameReader>,
    end: LogEnd,
    /// Nothing before this reader's start can vouch for the chain.
    unlinked: bool,
    /// The segment being read says that there is a next one.
    goes_on: bool,
    /// Where the segment before stopped being whole: only its mark may be torn.
    torn_before: Option<(Tick, u64)>,
}

impl LogReader {
    /// Reads all of `segments` (in order, at least one); the newest to `newest_end`.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        journal: u128,
        segments: Vec<Tick>,
        newest_end: Option<u64>,
    ) -> Self {
        let first = segments.first().copied().unwrap_or_default();
        Self {
            disk,
            dir: dir.to_path_buf(),
            journal,
            rest: segments.into_iter(),
            newest_end,
            frames: None,
            end: LogEnd {
                segment: first,
                offset: 0,
                next: first,
                chain: Chain::default(),
            },
            unlinked: true,
            goes_on: false,
            torn_before: None,
        }
    }

    /// Starts at a record instead of at the first segment's start; its chain is taken as it stands.
    pub(crate) fn seek(&mut self, tick: Tick, place: Place) -> Result<()> {
        while self
            .rest
            .as_slice()
            .first()
            .is_some_and(|s| *s < place.segment)
        {
            self.rest.next();
        }
        self.next_segment()?;
        if let Some(frames) = &mut self.frames {
            frames.seek(place.offset);
        }
        self.end.next = tick;
        self.end.offset = place.offset;
        self.unlinked = true;
        Ok(())
    }

    /// The chain before the first segment's first record, if that segment has a header.
    pub(crate) fn peek_chain(&mut self) -> Result<Option<Chain>> {
        let begun = self.frames.is_some() || self.next_segment()?;
        Ok(begun.then_some(self.end.chain))
    }

    /// Whether a segment is missing behind the one that was read last.
    pub(crate) fn misses_segment(&self) -> bool {
        self.goes_on
    }

    /// Where reading has come to.
    pub(crate) fn end(&self) -> &LogEnd {
        &self.end
    }

    fn path(&self) -> PathBuf {
        segment_path(&self.dir, self.end.segment)
    }

    fn damaged(&self, reason: &'static str) -> JournalError {
        JournalError::damaged(&self.path(), self.end.offset, reason)
    }

    fn is_newest(&self) -> bool {
        self.rest.as_slice().is_empty()
    }

    /// Opens the next segment and reads its header; `false` at the end of the log.
    fn next_segment(&mut self) -> Result<bool> {
        let Some(first) = self.rest.next() else {
            return Ok(false);
        };
        let path = segment_path(&self.dir, first);
        let newest = self.is_newest();
        let mut frames = FrameReader::open(self.disk.as_ref(), &path, Tail::MayBeTorn)?;
        self.goes_on = false;
        if let (true, Some(end)) = (newest, self.newest_end) {
            frames.set_end(end);
        }
        let linked = !self.unlinked;
        let (next, chain) = (self.end.next, self.end.chain);
        self.end.segment = first;
        self.end.offset = 0;
        let Some((_, payload)) = frames.next_frame()? else {
            if !newest {
                return Err(self.damaged("the segment has no header"));
            }
            if linked && next != first {
                return Err(self.does_not_follow());
            }
            self.frames = None;
            self.end.next = first;
            return Ok(false);
        };
        let header = payload
            .strip_prefix(&[HEADER])
            .and_then(|bytes| postcard::from_bytes::<SegmentHeader>(bytes).ok());
        let Some(header) = header else {
            return Err(self.damaged("the segment's header does not decode"));
        };
        if header.format > FORMAT {
            return Err(JournalError::Format {
                path,
                found: header.format,
                known: FORMAT,
            });
        }
        if header.journal != self.journal || header.first != first {
            return Err(self.damaged("the segment belongs to another place or journal"));
        }
        if linked && (next != first || chain != header.chain) {
            return Err(self.does_not_follow());
        }
        self.end.next = first;
        self.end.chain = header.chain;
        self.end.offset = frames.position();
        self.frames = Some(frames);
        self.unlinked = false;
        Ok(true)
    }

    fn does_not_follow(&self) -> JournalError {
        match self.torn_before {
            Some((segment, offset)) => {
                let path = segment_path(&self.dir, segment);
                JournalError::damaged(&path, offset, "the segment's end is not whole")
            }
            None => self.damaged("the segment does not follow the one before"),
        }
    }

    /// The next whole record, or nothing at the end of the log.
    pub(crate) fn next_record(&mut self) -> Result<Option<RawRecord>> {
        loop {
            if self.frames.is_none() && !self.next_segment()? {
                return Ok(None);
            }
            match self.record_here()? {
                Step::Record(record) => return Ok(Some(record)),
                Step::End if self.is_newest() => return Ok(None),
                Step::End => self.frames = None,
            }
        }
    }

    fn record_here(&mut self) -> Result<Step> {
        let mut parts = Vec::new();
        let mut chain = self.end.chain;
        let mut start = self.end.offset;
        loop {
            let (end, newest) = (self.end.clone(), self.is_newest());
            let damaged = |offset, reason| {
                JournalError::damaged(&segment_path(&self.dir, end.segment), offset, reason)
            };
            let Some(frames) = self.frames.as_mut() else {
                return Ok(Step::End);
            };
            let Some((offset, payload)) = frames.next_frame()? else {
                if !newest && !parts.is_empty() {
                    return Err(damaged(start, "the segment ends inside a record"));
                }
                self.torn_before = frames.torn_at().map(|at| (end.segment, at));
                return Ok(Step::End);
            };
            if parts.is_empty() && (payload == [CLOSED] || payload == [GOES_ON]) {
                self.goes_on = payload == [GOES_ON];
                start = frames.position();
                self.end.offset = start;
                continue;
            }
            let Some((head, rest)) = payload.split_first_chunk::<PART_HEAD_BYTES>() else {
                return Err(damaged(offset, "the frame is no part of a record"));
            };
            let Some((stored, block)) = rest.split_first_chunk::<32>() else {
                return Err(damaged(offset, "the frame is no part of a record"));
            };
            let count = u32::from_le_bytes([head[13], head[14], head[15], head[16]]) as usize;
            if *head != part_head(end.next, parts.len(), count) || count == 0 {
                return Err(damaged(
                    offset,
                    "the record is not the one that belongs here",
                ));
            }
            if !self.unlinked && link(&chain, head, block) != *stored {
                return Err(damaged(offset, "the chain of records is broken"));
            }
            self.unlinked = false;
            chain = *stored;
            parts.push(block.to_vec());
            if parts.len() == count {
                self.end.offset = frames.position();
                self.end.chain = chain;
                self.end.next = end.next.next();
                return Ok(Step::Record(RawRecord {
                    tick: end.next,
                    place: Place {
                        segment: end.segment,
                        offset: start,
                    },
                    parts,
                    path: segment_path(&self.dir, end.segment),
                }));
            }
        }
    }
}

enum Step {
    Record(RawRecord),
    End,
}
