//! Unpacks gzip and zstd, told by their first bytes; leaves everything else as it is.
//! Promises: memory is bounded whatever comes in; an archive that becomes far more than its own size is a named error, and so is
//! more than the caller takes.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

const BUFFER_BYTES: usize = 256 << 10;
const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// A frame of zstd that holds something else; its first byte has 16 values.
const ZSTD_SKIPPED: [u8; 3] = [0x2A, 0x4D, 0x18];
/// 128 MiB: what an archive may ask for as memory, and what zstd's own tool takes.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
/// Any archive may become this much.
const FREE_BYTES: u64 = 64 << 20;
/// And beyond it so many times its own size. Logs become 10 to 100 times theirs; gzip can do 1,000, zstd 100,000.
const RATIO_MAX: u64 = 200;

/// Why unpacking stopped, inside an [`io::Error`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UnpackError {
    /// It is made to fill memory or time.
    #[error(
        "a decompression bomb: {packed} bytes became {unpacked}, over {RATIO_MAX} times as many"
    )]
    Bomb {
        /// Bytes that were read.
        packed: u64,
        /// Bytes that they became.
        unpacked: u64,
    },
    /// Over the caller's limit.
    #[error("more than {bytes_max} bytes once it is unpacked")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
}

impl UnpackError {
    /// The one inside an error of reading.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// Unpacks an input of any size.
pub fn unpack<'a>(input: impl Read + Send + 'a) -> io::Result<Box<dyn BufRead + Send + 'a>> {
    unpack_within(input, u64::MAX)
}

/// Unpacks at most so many bytes.
pub fn unpack_within<'a>(
    mut input: impl Read + Send + 'a,
    bytes_max: u64,
) -> io::Result<Box<dyn BufRead + Send + 'a>> {
    let mut start = Vec::with_capacity(ZSTD_MAGIC.len());
    let first = ZSTD_MAGIC.len() as u64;
    input.by_ref().take(first).read_to_end(&mut start)?;
    let gzip = start.starts_with(&GZIP_MAGIC);
    let zstd = start == ZSTD_MAGIC
        || matches!(start.as_slice(), [0x50..=0x5F, rest @ ..] if *rest == ZSTD_SKIPPED);
    let packed = Arc::new(AtomicU64::new(0));
    let counted = Counted {
        input: Cursor::new(start).chain(input),
        read: Arc::clone(&packed),
    };
    let whole = BufReader::with_capacity(BUFFER_BYTES, counted);
    let unpacked: Box<dyn Read + Send + 'a> = if gzip {
        Box::new(MultiGzDecoder::new(whole))
    } else if zstd {
        let mut decoder = ZstdDecoder::with_buffer(whole)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
        Box::new(decoder)
    } else if bytes_max == u64::MAX {
        return Ok(Box::new(whole));
    } else {
        Box::new(whole)
    };
    let bounded = Bounded {
        unpacked,
        bytes: 0,
        packed,
        bytes_max,
    };
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, bounded)))
}

struct Counted<R> {
    input: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Stops an archive that becomes too much.
struct Bounded<'a> {
    unpacked: Box<dyn Read + Send + 'a>,
    bytes: u64,
    packed: Arc<AtomicU64>,
    bytes_max: u64,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.unpacked.read(buffer)?;
        self.bytes += read as u64;
        let packed = self.packed.load(Ordering::Relaxed);
        let bomb = self.bytes > FREE_BYTES && self.bytes / RATIO_MAX > packed;
        let bytes_max = self.bytes_max;
        let why = if bomb {
            let unpacked = self.bytes;
            UnpackError::Bomb { packed, unpacked }
        } else if self.bytes > bytes_max {
            UnpackError::TooLarge { bytes_max }
        } else {
            return Ok(read);
        };
        Err(io::Error::new(io::ErrorKind::InvalidData, why))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(text).unwrap();
        packed.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::encode_all(text, 1).unwrap()
    }

    fn all(packed: &[u8], bytes_max: u64) -> (Vec<u8>, Option<io::Error>) {
        let mut text = Vec::new();
        let mut input = unpack_within(packed, bytes_max).unwrap();
        let failed = input.read_to_end(&mut text).err();
        (text, failed)
    }

    #[test]
    fn every_packing_is_the_same_text() {
        let text = b"a\nb\n";
        let skipped = [
            &[0x5A, 0x2A, 0x4D, 0x18, 2, 0, 0, 0, 9, 9],
            zstd(text).as_slice(),
        ]
        .concat();
        let twice = |packed: Vec<u8>| [packed.clone(), packed].concat();
        for (packed, times) in [
            (text.to_vec(), 1),
            (gzip(text), 1),
            (zstd(text), 1),
            (skipped, 1),
            (twice(gzip(text)), 2),
            (twice(zstd(text)), 2),
        ] {
            let (found, failed) = all(&packed, u64::MAX);
            assert!(failed.is_none(), "{failed:?}");
            assert_eq!(found, text.repeat(times));
        }
    }

    #[test]
    fn a_cut_archive_is_an_error() {
        let text = b"line\n".repeat(1_000);
        for packed in [gzip(&text), zstd(&text)] {
            let (_, failed) = all(&packed[..packed.len() - 5], u64::MAX);
            assert!(failed.is_some_and(|error| UnpackError::of(&error).is_none()));
        }
    }

    #[test]
    fn a_bomb_is_named_soon() {
        let zeros = vec![0; 16 << 20];
        for packed in [gzip(&zeros), zstd(&zeros)] {
            let (text, failed) = all(&packed.repeat(20), u64::MAX);
            let failed = failed.unwrap();
            assert!(matches!(
                UnpackError::of(&failed),
                Some(UnpackError::Bomb { .. })
            ));
            assert!(
                (text.len() as u64) <= FREE_BYTES + (1 << 20),
                "{}",
                text.len()
            );
            let (text, failed) = all(&packed.repeat(3), u64::MAX);
            assert!(failed.is_none() && text.len() == 48 << 20);
        }
    }

    #[test]
    fn the_callers_limit_is_exact() {
        let text = vec![7; 1_000];
        for packed in [text.clone(), gzip(&text), zstd(&text)] {
            assert!(all(&packed, 1_000).1.is_none());
            let failed = all(&packed, 999).1.unwrap();
            let limit = UnpackError::TooLarge { bytes_max: 999 };
            assert_eq!(UnpackError::of(&failed), Some(&limit));
        }
    }

    #[test]
    fn an_archive_that_asks_for_too_much_memory_is_refused() {
        let mut packed = zstd::Encoder::new(Vec::new(), 1).unwrap();
        packed.window_log(28).unwrap();
        packed.write_all(&[7; 300]).unwrap();
        let packed = packed.finish().unwrap();
        assert!(all(&packed, u64::MAX).1.is_some());
    }

    proptest! {
        #[test]
        fn any_bytes_behind_a_magic_end(kind in 0..3_usize, bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let magic = [&GZIP_MAGIC[..], &ZSTD_MAGIC[..], &[]][kind];
            all(&[magic, bytes.as_slice()].concat(), 1 << 20);
        }
    }
}
