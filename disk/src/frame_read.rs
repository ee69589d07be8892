//! Reads frames back, in order, and says exactly where they stop being whole.
//! Needs: a file written by `FrameWriter`.    Promises: every payload returned is bit for bit what was appended; a broken frame is
//! either the torn tail (`Tail::MayBeTorn` only, and nothing behind it proves that it had been synced) or `DiskError::Damaged`.
//! Leaves out: repair. Cutting a torn tail is `FrameWriter::open`'s.
//! Invariant 1: `position` only ever moves from one frame's end to the next.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::frame::{BACK_UNKNOWN, header_crc};
use crate::{Disk, DiskError, DiskFile, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, Result};

/// How much is read from the file at once, where nothing was read before: one frame may be all that is wanted.
const CHUNK_BYTES_FIRST: u64 = 4 << 10;
/// Twice as much each time, up to this.
const CHUNK_BYTES_MAX: u64 = 256 << 10;
const HEADER: usize = FRAME_HEADER_BYTES as usize;

/// What the end of a file may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Sealed: synced whole before it was called complete. Anything broken is damage.
    Whole,
    /// Being written, now or at the last crash: an unsynced end may be torn.
    MayBeTorn,
}

/// Reads one file's frames.
#[derive(Debug)]
pub struct FrameReader {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    tail: Tail,
    position: u64,
    end: u64,
    torn_at: Option<u64>,
    chunk: Vec<u8>,
    chunk_start: u64,
    chunk_bytes: u64,
}

struct Header {
    len: u32,
    payload_crc: u32,
    back: u32,
}

impl FrameReader {
    /// Starts at the first frame; reads up to the length that the file has now.
    pub fn open(disk: &dyn Disk, path: &Path, tail: Tail) -> Result<Self> {
        Self::over(disk.open_read(path)?, path, tail)
    }

    /// As `open`, over a handle that is already there; `path` is for messages.
    pub fn over(file: Arc<dyn DiskFile>, path: &Path, tail: Tail) -> Result<Self> {
        let end = file.len()?;
        let path = path.to_path_buf();
        Ok(Self {
            file,
            path,
            tail,
            position: 0,
            end,
            torn_at: None,
            chunk: Vec::new(),
            chunk_start: 0,
            chunk_bytes: CHUNK_BYTES_FIRST,
        })
    }

    /// Goes on at a frame's offset, one that `append` or `position` returned.
    pub fn seek(&mut self, offset: u64) {
        self.position = offset;
        self.torn_at = None;
        self.chunk_bytes = CHUNK_BYTES_FIRST;
    }

    /// Moves the end: a reader beside a writer reads up to the writer's `synced_len` and no further.
    pub fn set_end(&mut self, end: u64) {
        if end < self.end || self.torn_at.is_some() {
            self.chunk.clear();
        }
        self.end = end;
        self.torn_at = None;
    }

    /// Where the next frame starts; at the end of the file, the end of the last whole frame.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Where the torn tail starts, once `next_frame` has met it.
    pub fn torn_at(&self) -> Option<u64> {
        self.torn_at
    }

    /// The next whole frame (its offset, its payload), or nothing at the end.
    pub fn next_frame(&mut self) -> Result<Option<(u64, &[u8])>> {
        if self.position >= self.end || self.torn_at.is_some() {
            return Ok(None);
        }
        let at = self.position;
        let len = match self.check(at)? {
            Ok(header) => u64::from(header.len),
            Err(reason) => return self.broken(at, reason),
        };
        self.position = at + FRAME_HEADER_BYTES + len;
        let start = (at + FRAME_HEADER_BYTES - self.chunk_start) as usize;
        Ok(Some((at, &self.chunk[start..start + len as usize])))
    }

    fn broken(&mut self, at: u64, reason: &'static str) -> Result<Option<(u64, &[u8])>> {
        if self.tail == Tail::Whole || self.synced_beyond(at)? {
            return Err(DiskError::Damaged {
                path: self.path.clone(),
                offset: at,
                reason,
            });
        }
        self.torn_at = Some(at);
        Ok(None)
    }

    /// Whether some whole frame behind `at` was written after the byte at `at` had been synced.
    fn synced_beyond(&mut self, at: u64) -> Result<bool> {
        let mut offset = at + 1;
        while offset + FRAME_HEADER_BYTES <= self.end {
            if let Ok(header) = self.header(offset)?
                && header.back != BACK_UNKNOWN
                && offset.saturating_sub(u64::from(header.back)) > at
                && self.check(offset)?.is_ok()
            {
                return Ok(true);
            }
            offset += 1;
        }
        Ok(false)
    }

    /// The header at an offset; the inner error says what is wrong with it.
    fn header(&mut self, at: u64) -> Result<std::result::Result<Header, &'static str>> {
        if at + FRAME_HEADER_BYTES > self.end {
            return Ok(Err("the frame's header is cut short"));
        }
        if !self.fill(at, FRAME_HEADER_BYTES)? {
            return Ok(Err("the file is shorter than it was"));
        }
        let start = (at - self.chunk_start) as usize;
        let mut bytes = [0; HEADER];
        bytes.copy_from_slice(&self.chunk[start..start + HEADER]);
        let word =
            |i: usize| u32::from_le_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        if word(12) != header_crc(at, &bytes) {
            return Ok(Err("the frame's header does not match its checksum"));
        }
        Ok(Ok(Header {
            len: word(0),
            payload_crc: word(4),
            back: word(8),
        }))
    }

    /// Header and payload at an offset; afterwards the chunk holds both.
    fn check(&mut self, at: u64) -> Result<std::result::Result<Header, &'static str>> {
        let header = match self.header(at)? {
            Ok(header) => header,
            Err(reason) => return Ok(Err(reason)),
        };
        let len = u64::from(header.len);
        if len > FRAME_BYTES_MAX {
            return Ok(Err("the frame is over the limit"));
        }
        if at + FRAME_HEADER_BYTES + len > self.end {
            return Ok(Err("the frame's payload is cut short"));
        }
        if !self.fill(at, FRAME_HEADER_BYTES + len)? {
            return Ok(Err("the file is shorter than it was"));
        }
        let start = (at + FRAME_HEADER_BYTES - self.chunk_start) as usize;
        if crc32fast::hash(&self.chunk[start..start + len as usize]) != header.payload_crc {
            return Ok(Err("the payload does not match its checksum"));
        }
        Ok(Ok(header))
    }

    /// Makes the chunk hold `[at, at + want)`; `false` when the file ends before that.
    fn fill(&mut self, at: u64, want: u64) -> Result<bool> {
        let have = self.chunk_start..self.chunk_start + self.chunk.len() as u64;
        if have.start <= at && at + want <= have.end {
            return Ok(true);
        }
        let bytes = want.max(self.chunk_bytes).min(self.end - at);
        self.chunk_bytes = CHUNK_BYTES_MAX.min(self.chunk_bytes * 2);
        self.chunk.resize(bytes as usize, 0);
        self.chunk_start = at;
        let read = self.file.read_at(at, &mut self.chunk)?;
        self.chunk.truncate(read);
        Ok(read as u64 >= want)
    }
}
