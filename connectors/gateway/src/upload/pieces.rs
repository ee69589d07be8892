//! A file that is sent in pieces: how far it was read, and by what it is known.

use std::fs::File;
use std::io::{BufRead, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hostread_connectors::lines::Blocks;

/// A piece; the door takes 8 MiB.
pub(super) const PIECE_BYTES: usize = 4 << 20;
/// A file is known by its name and its first line that is no header: a log that grows stays the same file, the next one of the
/// same name is another. Looked for in so many bytes.
const IDENTITY_BYTES: u64 = 64 << 10;

/// Pieces of whole lines.
pub(super) struct Pieces {
    pub(super) blocks: Blocks<Box<dyn BufRead + Send>>,
    pub(super) read: Arc<AtomicU64>,
    pub(super) note: Option<PathBuf>,
}

impl Pieces {
    pub(super) fn file_bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

pub(super) struct CountedFile {
    pub(super) file: File,
    pub(super) read: Arc<AtomicU64>,
}

impl Read for CountedFile {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Header lines and the first other line, whole; less in a file that has no more yet.
pub(super) fn head(reader: &mut dyn BufRead, mut first_is_head: bool) -> Vec<u8> {
    let mut head = Vec::new();
    let mut reader = reader.take(IDENTITY_BYTES);
    loop {
        let start = head.len();
        let ended = reader.read_until(b'\n', &mut head).is_err() || head.last() != Some(&b'\n');
        let line = head.get(start..).unwrap_or_default();
        if ended {
            // Half a line is no identity: it may be longer the next time.
            head.truncate(start);
            return head;
        }
        if !line.starts_with(b"#") && !std::mem::take(&mut first_is_head) {
            return head;
        }
    }
}

/// Skips so many bytes, or to the end; says how many it were.
pub(super) fn skip(reader: &mut dyn BufRead, bytes: u64) -> std::io::Result<u64> {
    let mut left = bytes;
    while left > 0 {
        let chunk = reader.fill_buf()?.len() as u64;
        if chunk == 0 {
            break;
        }
        let step = chunk.min(left);
        reader.consume(usize::try_from(step).unwrap_or(usize::MAX));
        left -= step;
    }
    Ok(bytes - left)
}
