//! Lines of a log file or of a piece of one, in bounded memory.
//! Promises: a line over `LINE_BYTES_MAX` is skipped and reported, never held; a last line without a line end is a line.
//! Leaves out: what a line means.

use std::io::{self, BufRead};

/// A longer line is no log line but damage.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Where a line stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineAt {
    /// Its number, from 1.
    pub number: u64,
    /// Offset of its first byte in the unpacked input.
    pub offset: u64,
    /// Its length with its line end.
    pub bytes: u64,
}

/// A line, or the start of one that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Without its line end (`\n` or `\r\n`).
    Text(&'a [u8]),
    /// The first 256 bytes of a line over `LINE_BYTES_MAX`.
    TooLong(&'a [u8]),
}

/// Reads line by line.
pub struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    at: LineAt,
}

impl<R: BufRead> Lines<R> {
    /// From the input's first line.
    pub fn new(reader: R) -> Self {
        Self::starting_at(reader, 1, 0)
    }

    /// From the middle of a file: the number and offset of the first line that `reader` gives.
    pub fn starting_at(reader: R, number: u64, offset: u64) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            at: LineAt {
                number: number.saturating_sub(1),
                offset,
                bytes: 0,
            },
        }
    }

    /// The next line; nothing at the end. After an error there is nothing more to read.
    #[expect(
        clippy::should_implement_trait,
        reason = "the line borrows the reader's buffer"
    )]
    pub fn next(&mut self) -> io::Result<Option<(LineAt, Line<'_>)>> {
        self.buffer.clear();
        let mut bytes = 0_u64;
        loop {
            let chunk = match self.reader.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(chunk.len(), |end| end + 1);
            let room = (LINE_BYTES_MAX + 1).saturating_sub(self.buffer.len());
            self.buffer
                .extend_from_slice(chunk.get(..taken.min(room)).unwrap_or_default());
            bytes += taken as u64;
            self.reader.consume(taken);
            if end.is_some() || taken == 0 {
                break;
            }
        }
        if bytes == 0 {
            return Ok(None);
        }
        self.at = LineAt {
            number: self.at.number + 1,
            offset: self.at.offset + self.at.bytes,
            bytes,
        };
        let line = if bytes > LINE_BYTES_MAX as u64 {
            Line::TooLong(self.buffer.get(..256).unwrap_or_default())
        } else {
            let text = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
            Line::Text(text.strip_suffix(b"\r").unwrap_or(text))
        };
        Ok(Some((self.at, line)))
    }
}

impl<R> std::fmt::Debug for Lines<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;
    use crate::unpack::unpack;
    use std::io::Write;

    fn all(input: &[u8]) -> Vec<(u64, u64, Option<Vec<u8>>)> {
        let mut lines = Lines::new(unpack(input).unwrap());
        let mut found = Vec::new();
        while let Some((at, line)) = lines.next().unwrap() {
            found.push((
                at.number,
                at.offset,
                match line {
                    Line::Text(text) => Some(text.to_vec()),
                    Line::TooLong(_) => None,
                },
            ));
        }
        found
    }

    #[test]
    fn line_ends_and_offsets() {
        let text = |s: &str| Some(s.as_bytes().to_vec());
        assert_eq!(
            all(b"a\r\n\nbc\nd"),
            [
                (1, 0, text("a")),
                (2, 3, text("")),
                (3, 4, text("bc")),
                (4, 7, text("d"))
            ]
        );
        assert!(all(b"").is_empty());
        assert_eq!(all(&[0x1F]), [(1, 0, Some(vec![0x1F]))]);
    }

    #[test]
    fn a_line_without_end_is_skipped_in_bounded_memory() {
        let mut input = b"first\n".to_vec();
        input.resize(input.len() + 3 * LINE_BYTES_MAX, b'x');
        input.extend_from_slice(b"\nlast\n");
        let found = all(&input);
        assert_eq!(found.len(), 3);
        assert_eq!(found[1].2, None);
        assert_eq!(
            found[2],
            (3, 6 + 3 * LINE_BYTES_MAX as u64 + 1, Some(b"last".to_vec()))
        );
    }

    #[test]
    fn gzip_of_several_members() {
        let pack = |text: &[u8]| {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(text).unwrap();
            packed.finish().unwrap()
        };
        let input = [pack(b"a\nb"), pack(b"c\n")].concat();
        assert_eq!(all(&input), all(b"a\nbc\n"));
        let mut lines = Lines::new(unpack(&input[..input.len() - 9]).unwrap());
        let mut failed = false;
        for _ in 0..5 {
            failed |= lines.next().is_err();
        }
        assert!(failed, "a cut archive reads as if it were whole");
    }
}
