//! Records in a file, each in a frame that says whether it is whole.
//! ```text
//! frame = len u32 | payload crc u32 | back u32 | header crc u32 | payload            little endian
//! back:        bytes between the file's synced length at the time of writing and this frame's start
//! header crc:  over a format tag, the frame's own offset, len, payload crc and back
//! ```
//! `back` lets a reader tell a torn tail from damage: whatever lies below a whole frame's `offset - back` had been synced before
//! that frame was written, so if it does not read back, it is damage. The offset inside the header crc keeps a copy of a frame
//! inside a payload from being taken for one.
//! Needs: one writer a file.    Promises: `append` buffers, `sync` writes and makes durable.
//! Leaves out: a file header; whoever owns the file puts its version in the first record.
//! Invariant 1: after a failed write (not: a record over the limit) the file holds exactly what the last good `sync` left, or the
//! writer answers `Stopped`.    Invariant 2: after a failed `sync` the writer answers `Stopped`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Disk, DiskError, DiskFile, FrameReader, Result, Tail};

/// Bytes in front of each payload.
pub const FRAME_HEADER_BYTES: u64 = 16;
/// Largest payload. Larger: a reader needs this much memory for one record. Smaller: a tick of 50,000 events would not fit.
pub const FRAME_BYTES_MAX: u64 = 64 << 20;
/// Appended frames are handed to the file at this size; smaller costs system calls, larger memory.
const BUFFER_BYTES: usize = 1 << 20;
/// `back` when the unsynced part is too long to say: such a frame vouches for nothing.
pub(crate) const BACK_UNKNOWN: u32 = u32::MAX;

/// Appends frames to one file.
#[derive(Debug)]
pub struct FrameWriter {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    buffer: Vec<u8>,
    /// Bytes handed to the file.
    written: u64,
    /// Bytes known to be durable.
    synced: u64,
    stopped: bool,
}

/// What opening a file for writing found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Whole frames kept.
    pub frames: u64,
    /// Bytes of a torn tail cut off; 0 after a clean stop.
    pub cut_bytes: u64,
}

impl FrameWriter {
    /// A new file. Its name is durable after `sync_dir` of its folder, which is the caller's.
    pub fn create(disk: &dyn Disk, path: &Path) -> Result<Self> {
        let file = disk.create(path)?;
        Ok(Self::over(file, path, 0))
    }

    /// Opens an existing file: cuts off a torn tail, syncs what is left, and goes on behind it. Reads the whole file.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<(Self, Recovered)> {
        Self::open_with(disk, path, |_, _| Ok(()))
    }

    /// As `open`, and shows each whole frame (offset, payload) on the way. An error from `each` leaves the file untouched.
    pub fn open_with<E: From<DiskError>>(
        disk: &dyn Disk,
        path: &Path,
        mut each: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(Self, Recovered), E> {
        let file = disk.open(path)?;
        let mut reader = FrameReader::over(Arc::clone(&file), path, Tail::MayBeTorn)?;
        let mut frames = 0;
        while let Some((offset, payload)) = reader.next_frame()? {
            each(offset, payload)?;
            frames += 1;
        }
        let end = reader.position();
        let cut_bytes = file.len()?.saturating_sub(end);
        if cut_bytes > 0 {
            file.truncate(end)?;
        }
        // Also without a cut: after a killed process the bytes may be in the page cache only.
        file.sync()?;
        Ok((Self::over(file, path, end), Recovered { frames, cut_bytes }))
    }

    fn over(file: Arc<dyn DiskFile>, path: &Path, len: u64) -> Self {
        Self {
            file,
            path: path.to_path_buf(),
            buffer: Vec::new(),
            written: len,
            synced: len,
            stopped: false,
        }
    }

    /// Adds one record; returns the offset of its frame. Durable after `sync`. After `TooLarge`
    /// only this record is missing; after any other error all frames since the last good `sync` are gone.
    pub fn append(&mut self, payload: &[u8]) -> Result<u64> {
        self.append_parts(&[payload])
    }

    /// As `append`, for a payload in pieces.
    pub fn append_parts(&mut self, parts: &[&[u8]]) -> Result<u64> {
        self.check()?;
        let bytes: u64 = parts.iter().map(|part| part.len() as u64).sum();
        if bytes > FRAME_BYTES_MAX {
            let path = self.path.clone();
            return Err(DiskError::TooLarge {
                path,
                bytes,
                bytes_max: FRAME_BYTES_MAX,
            });
        }
        let offset = self.len();
        let mut crc = crc32fast::Hasher::new();
        for part in parts {
            crc.update(part);
        }
        let back = u32::try_from(offset - self.synced).unwrap_or(BACK_UNKNOWN);
        self.buffer
            .extend_from_slice(&header(offset, bytes as u32, crc.finalize(), back));
        for part in parts {
            self.buffer.extend_from_slice(part);
        }
        if self.buffer.len() >= BUFFER_BYTES {
            self.write_out()?;
        }
        Ok(offset)
    }

    fn check(&self) -> Result<()> {
        if self.stopped {
            Err(DiskError::Stopped {
                path: self.path.clone(),
            })
        } else {
            Ok(())
        }
    }

    fn write_out(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.file.write_at(self.written, &self.buffer) {
            self.stopped = self.roll_back().is_err();
            return Err(error);
        }
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        self.buffer.shrink_to(2 * BUFFER_BYTES);
        Ok(())
    }

    /// Writes and makes durable all that was appended; returns the durable length.
    pub fn sync(&mut self) -> Result<u64> {
        self.check()?;
        self.write_out()?;
        if self.synced < self.written {
            if let Err(error) = self.file.sync() {
                // The kernel may have dropped the dirty pages: a second sync would succeed over lost bytes. Who opens the file
                // next would read them from memory, and write behind a hole: they go, as far as that works.
                self.stopped = true;
                let _best_effort = self.file.truncate(self.synced);
                return Err(error);
            }
            self.synced = self.written;
        }
        Ok(self.synced)
    }

    /// Takes back all frames since the last good `sync`, as if they had not been appended.
    pub fn roll_back(&mut self) -> Result<()> {
        self.check()?;
        self.buffer.clear();
        self.file.truncate(self.synced)?;
        self.written = self.synced;
        Ok(())
    }

    /// Length in bytes, buffered frames included; the offset of the next frame.
    pub fn len(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Whether there is no frame yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Length that a crash cannot take away; never grows without `sync`.
    pub fn synced_len(&self) -> u64 {
        self.synced
    }

    /// The file's name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file, to read durable frames back through the same handle.
    pub fn file(&self) -> Arc<dyn DiskFile> {
        Arc::clone(&self.file)
    }
}

fn header(offset: u64, len: u32, payload_crc: u32, back: u32) -> [u8; FRAME_HEADER_BYTES as usize] {
    let mut header = [0; FRAME_HEADER_BYTES as usize];
    header[0..4].copy_from_slice(&len.to_le_bytes());
    header[4..8].copy_from_slice(&payload_crc.to_le_bytes());
    header[8..12].copy_from_slice(&back.to_le_bytes());
    let crc = header_crc(offset, &header);
    header[12..16].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Over a tag with the format's version, the frame's place and the first 12 bytes of its header.
pub(crate) fn header_crc(offset: u64, header: &[u8; FRAME_HEADER_BYTES as usize]) -> u32 {
    let mut covered = [0; 24];
    covered[0..4].copy_from_slice(b"HRF1");
    covered[4..12].copy_from_slice(&offset.to_le_bytes());
    covered[12..24].copy_from_slice(&header[0..12]);
    crc32fast::hash(&covered)
}
