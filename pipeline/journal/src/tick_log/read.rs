//! Reading the tick log: record by record over segments, and where its whole part ends.
//! Promises: a prefix of what was appended; damage before the end is an error that names file and byte.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostread_disk::{Disk, FrameReader, Tail};
use hostread_schemas::Tick;

use super::{
    CLOSED, Chain, Encoded, FORMAT, GOES_ON, HEADER, PART_HEAD_BYTES, Place, SegmentHeader, link,
    part_head, segment_path,
};
use crate::error::{JournalError, Result};
use crate::record::TickRecord;

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
