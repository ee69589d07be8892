//! Lines of a log file or of a piece of one, in blocks of whole lines: what is sent in one request, or counted by one thread.
//!
//! Needs: the unpacked input. Promises: every line is in one block, in order; memory is bounded by a block; a line over
//! `LINE_BYTES_MAX` is skipped and reported, never held; a last line without a line end is a line, and a block of its own; the
//! whole lines before damage are given before its error. Leaves out: what a line means.

use std::io::{self, BufRead};

/// A longer line is no log line but damage.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Where a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineAt {
    /// Its number, from 1.
    pub number: u64,
    /// Offset of its first byte in the unpacked input.
    pub offset: u64,
}

impl LineAt {
    /// The first line of a file.
    pub const FIRST: Self = Self {
        number: 1,
        offset: 0,
    };
}

/// A line, or the start of one that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Without its line end (`\n` or `\r\n`).
    Text(&'a [u8]),
    /// The first 256 bytes of a line over `LINE_BYTES_MAX`.
    TooLong(&'a [u8]),
}

/// Whole lines of a file; of a line that is too long its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    at: LineAt,
    bytes: Vec<u8>,
    /// Bytes of the input that it stands for.
    taken: u64,
}

impl Block {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of the unpacked input that it stands for: more than it holds when a line is too long.
    #[must_use]
    pub const fn taken(&self) -> u64 {
        self.taken
    }

    /// Its last line has a line end: a file that grows does not change it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.bytes.ends_with(b"\n")
    }

    /// Its lines, and where they stand.
    pub fn lines(&self) -> impl Iterator<Item = (LineAt, Line<'_>)> {
        let mut at = self.at;
        whole_lines(&self.bytes).map(move |line| {
            let stands = at;
            at.number += 1;
            at.offset += line.len() as u64;
            let said = if line.len() > LINE_BYTES_MAX {
                Line::TooLong(line.get(..256).unwrap_or_default())
            } else {
                let text = line.strip_suffix(b"\n").unwrap_or(line);
                Line::Text(text.strip_suffix(b"\r").unwrap_or(text))
            };
            (stands, said)
        })
    }
}

/// With their line ends.
fn whole_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    let mut ends = memchr::memchr_iter(b'\n', bytes);
    std::iter::from_fn(move || {
        let end = ends.next().map_or(bytes.len(), |end| end + 1);
        let line = bytes.get(start..end).filter(|line| !line.is_empty());
        start = end;
        line
    })
}

/// Reads block by block.
pub struct Blocks<R> {
    reader: R,
    /// What was read and not given.
    held: Vec<u8>,
    /// Where the next block begins.
    at: LineAt,
    /// A block is of about so many bytes.
    block_bytes: usize,
    ended: Option<io::Result<()>>,
}

impl<R> std::fmt::Debug for Blocks<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocks")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl<R: BufRead> Blocks<R> {
    /// Blocks of about as many bytes as the longest line; the first line that `reader` gives stands at `at`.
    pub const fn new(reader: R, at: LineAt) -> Self {
        Self::of_bytes(reader, at, LINE_BYTES_MAX)
    }

    /// Blocks of about so many bytes, and of no more than what `reader` holds at once beyond them.
    pub const fn of_bytes(reader: R, at: LineAt, block_bytes: usize) -> Self {
        assert!(block_bytes >= LINE_BYTES_MAX, "a line fits a block");
        Self {
            reader,
            held: Vec::new(),
            at,
            block_bytes,
            ended: None,
        }
    }

    /// The next block; nothing at the end. After an error there is nothing more to read.
    #[expect(
        clippy::should_implement_trait,
        reason = "an error ends the input, which no iterator promises"
    )]
    pub fn next(&mut self) -> io::Result<Option<Block>> {
        self.fill();
        let whole = memchr::memrchr(b'\n', &self.held).map(|end| end + 1);
        let give = match (&self.ended, whole) {
            (_, Some(whole)) => whole,
            (Some(Ok(())), None) => self.held.len(),
            // Half a line, cut by damage, is none.
            (Some(Err(_)), None) => 0,
            (None, None) => return self.skip_line().map(Some),
        };
        if give == 0 {
            self.held.clear();
            return self.ended.take().unwrap_or(Ok(())).map(|()| None);
        }
        let rest = self.held.split_off(give);
        let bytes = std::mem::replace(&mut self.held, rest);
        let taken = bytes.len() as u64;
        Ok(Some(self.block(bytes, taken)))
    }

    fn block(&mut self, bytes: Vec<u8>, taken: u64) -> Block {
        let at = self.at;
        let ends = memchr::memchr_iter(b'\n', &bytes).count() as u64;
        self.at.number += ends + u64::from(!bytes.ends_with(b"\n"));
        self.at.offset += taken;
        Block { at, bytes, taken }
    }

    /// Reads until more than a block is held, or to the end.
    fn fill(&mut self) {
        while self.ended.is_none() && self.held.len() <= self.block_bytes {
            match self.reader.fill_buf() {
                Ok([]) => self.ended = Some(Ok(())),
                Ok(chunk) => {
                    self.held.extend_from_slice(chunk);
                    let taken = chunk.len();
                    self.reader.consume(taken);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.ended = Some(Err(error)),
            }
        }
    }

    /// What is held begins a line that is too long: its start is given, its rest is never held.
    fn skip_line(&mut self) -> io::Result<Block> {
        let mut start = std::mem::take(&mut self.held);
        let mut taken = start.len() as u64;
        start.truncate(LINE_BYTES_MAX + 1);
        loop {
            let chunk = match self.reader.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = memchr::memchr(b'\n', chunk);
            let gone = end.map_or(chunk.len(), |end| end + 1);
            self.reader.consume(gone);
            taken += gone as u64;
            if end.is_some() {
                start.push(b'\n');
            }
            if end.is_some() || gone == 0 {
                return Ok(self.block(start, taken));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;
    use crate::unpack::unpack;
    use proptest::prelude::*;
    use std::io::{BufReader, Read, Write};

    /// Number, offset and text of each line; no text where it is too long.
    type Told = Vec<(u64, u64, Option<Vec<u8>>)>;

    struct AllOf {
        lines: Told,
        longest: usize,
        taken: u64,
        damaged: bool,
    }

    fn read(reader: impl BufRead, block_bytes: usize) -> AllOf {
        let mut blocks = Blocks::of_bytes(reader, LineAt::FIRST, block_bytes);
        let mut all = AllOf {
            lines: Vec::new(),
            longest: 0,
            taken: 0,
            damaged: false,
        };
        loop {
            let block = match blocks.next() {
                Ok(Some(block)) => block,
                Ok(None) => return all,
                Err(_) => {
                    all.damaged = true;
                    return all;
                }
            };
            all.longest = all.longest.max(block.bytes().len());
            all.taken += block.taken();
            all.lines.extend(block.lines().map(|(at, line)| match line {
                Line::Text(text) => (at.number, at.offset, Some(text.to_vec())),
                Line::TooLong(_) => (at.number, at.offset, None),
            }));
        }
    }

    fn lines(input: &[u8]) -> Told {
        read(input, LINE_BYTES_MAX).lines
    }

    /// The oracle: of the whole input at once.
    fn split(input: &[u8]) -> Told {
        let mut offset = 0;
        let lines = input.split_inclusive(|byte| *byte == b'\n');
        let told = lines.zip(1..).map(|(line, number)| {
            let at = offset;
            offset += line.len() as u64;
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            let text = text.strip_suffix(b"\r").unwrap_or(text).to_vec();
            (number, at, (line.len() <= LINE_BYTES_MAX).then_some(text))
        });
        told.collect()
    }

    fn bytes(text: &str) -> Vec<u8> {
        text.as_bytes().to_vec()
    }

    #[test]
    fn line_ends_and_offsets() {
        let found = [
            (1, 0, Some(bytes("a"))),
            (2, 3, Some(bytes(""))),
            (3, 4, Some(bytes("bc"))),
            (4, 7, Some(bytes("d"))),
        ];
        assert_eq!(lines(b"a\r\n\nbc\nd"), found);
        assert!(lines(b"").is_empty());
    }

    #[test]
    fn a_line_without_end_is_a_block_of_its_own() {
        let at = LineAt {
            number: 8,
            offset: 100,
        };
        let mut blocks = Blocks::new(b"a\nhal".as_slice(), at);
        let (whole, half) = (
            blocks.next().unwrap().unwrap(),
            blocks.next().unwrap().unwrap(),
        );
        assert!(whole.is_whole() && !half.is_whole());
        let (at, line) = half.lines().next().unwrap();
        assert_eq!((at.number, at.offset, line), (9, 102, Line::Text(b"hal")));
        assert_eq!(blocks.next().unwrap(), None);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_in_bounded_memory() {
        let mut input = b"first\n".to_vec();
        input.resize(input.len() + 9 * LINE_BYTES_MAX, b'x');
        let long = 6 + 9 * LINE_BYTES_MAX as u64 + 1;
        input.extend_from_slice(b"\nlast\n");
        for block_bytes in [LINE_BYTES_MAX, 4 * LINE_BYTES_MAX] {
            let all = read(BufReader::new(input.as_slice()), block_bytes);
            let found = [
                (1, 0, Some(bytes("first"))),
                (2, 6, None),
                (3, long, Some(bytes("last"))),
            ];
            assert_eq!(all.lines, found);
            assert!(all.longest <= LINE_BYTES_MAX + 2 && !all.damaged);
            assert_eq!(all.taken, input.len() as u64);
        }
    }

    #[test]
    fn whole_lines_before_damage_are_given() {
        struct Damage;
        impl Read for Damage {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("damage"))
            }
        }
        let input = BufReader::new(b"a\nb\nha".as_slice().chain(Damage));
        let all = read(input, LINE_BYTES_MAX);
        assert_eq!(all.lines, split(b"a\nb\n"));
        assert!(all.damaged);
    }

    #[test]
    fn gzip_of_several_members() {
        let pack = |text: &[u8]| {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(text).unwrap();
            packed.finish().unwrap()
        };
        let input = [pack(b"a\nb"), pack(b"c\n")].concat();
        let all = |input: &[u8]| read(unpack(input).unwrap(), LINE_BYTES_MAX);
        assert_eq!(all(&input).lines, split(b"a\nbc\n"));
        assert!(
            all(&input[..input.len() - 9]).damaged,
            "a cut archive reads as if it were whole"
        );
    }

    proptest! {
        #[test]
        fn blocks_hold_the_lines(
            pieces in proptest::collection::vec(
                prop_oneof![
                    8 => proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..40),
                    1 => (0_usize..3 * LINE_BYTES_MAX).prop_map(|length| vec![b'x'; length]),
                ],
                0..6,
            ),
            buffer in 1_usize..100_000,
            times in 1_usize..4,
        ) {
            let input = pieces.concat();
            let reader = BufReader::with_capacity(buffer, input.as_slice());
            let all = read(reader, times * LINE_BYTES_MAX);
            prop_assert_eq!(all.lines, split(&input));
            prop_assert_eq!(all.taken, input.len() as u64);
            prop_assert!(!all.damaged);
        }
    }
}
