//! A log file in blocks of whole lines, so that several threads can read its lines at once.
//!
//! Needs: the unpacked input. Promises: every line is in one block, in order; bounded memory (a block is little more than
//! `LINE_BYTES_MAX`); the whole lines before damage are given before its error. Leaves out: what a line means.

use std::io::{self, BufRead};

use crate::lines::{LINE_BYTES_MAX, Line};

/// Whole lines of a file; of a line that is longer than `LINE_BYTES_MAX` the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Number of its first line, from 1.
    number: u64,
    bytes: Vec<u8>,
}

impl Block {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its lines, with their numbers.
    pub fn lines(&self) -> impl Iterator<Item = (u64, Line<'_>)> {
        let numbers = self.number..;
        numbers.zip(whole_lines(&self.bytes).map(|line| {
            if line.len() > LINE_BYTES_MAX {
                Line::TooLong(line.get(..256).unwrap_or_default())
            } else {
                let text = line.strip_suffix(b"\n").unwrap_or(line);
                Line::Text(text.strip_suffix(b"\r").unwrap_or(text))
            }
        }))
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
    /// Lines given.
    lines: u64,
    ended: Option<io::Result<()>>,
}

impl<R> std::fmt::Debug for Blocks<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocks")
            .field("lines", &self.lines)
            .finish_non_exhaustive()
    }
}

impl<R: BufRead> Blocks<R> {
    /// From the input's first line.
    pub const fn new(reader: R) -> Self {
        Self {
            reader,
            held: Vec::new(),
            lines: 0,
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
            // A last line without a line end is a line, unless damage has cut it.
            (Some(Ok(())), _) => self.held.len(),
            (_, Some(whole)) => whole,
            (Some(Err(_)), None) => 0,
            (None, None) => return self.skip_line().map(Some),
        };
        if give == 0 {
            self.held.clear();
            return self.ended.take().unwrap_or(Ok(())).map(|()| None);
        }
        let rest = self.held.split_off(give);
        let bytes = std::mem::replace(&mut self.held, rest);
        Ok(Some(self.block(bytes)))
    }

    fn block(&mut self, bytes: Vec<u8>) -> Block {
        let number = self.lines + 1;
        let ends = memchr::memchr_iter(b'\n', &bytes).count() as u64;
        self.lines += ends + u64::from(bytes.last() != Some(&b'\n'));
        Block { number, bytes }
    }

    /// Reads until more than the longest line is held, or to the end.
    fn fill(&mut self) {
        while self.ended.is_none() && self.held.len() <= LINE_BYTES_MAX {
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
        start.truncate(LINE_BYTES_MAX + 1);
        loop {
            let chunk = match self.reader.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = memchr::memchr(b'\n', chunk);
            let taken = end.map_or(chunk.len(), |end| end + 1);
            self.reader.consume(taken);
            if end.is_some() || taken == 0 {
                return Ok(self.block(start));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;
    use crate::lines::{LineAt, Lines};
    use proptest::prelude::*;
    use std::io::{BufReader, Read};

    type Told = Vec<(u64, Option<Vec<u8>>)>;

    fn told(number: u64, line: Line<'_>) -> (u64, Option<Vec<u8>>) {
        match line {
            Line::Text(text) => (number, Some(text.to_vec())),
            Line::TooLong(_) => (number, None),
        }
    }

    fn in_blocks(reader: impl BufRead) -> (Told, usize, bool) {
        let mut blocks = Blocks::new(reader);
        let (mut lines, mut longest) = (Vec::new(), 0);
        loop {
            match blocks.next() {
                Ok(Some(block)) => {
                    longest = longest.max(block.bytes().len());
                    lines.extend(block.lines().map(|(number, line)| told(number, line)));
                }
                Ok(None) => return (lines, longest, false),
                Err(_) => return (lines, longest, true),
            }
        }
    }

    fn one_by_one(input: &[u8]) -> Told {
        let mut lines = Lines::new(input);
        let mut found = Vec::new();
        while let Some((LineAt { number, .. }, line)) = lines.next().unwrap() {
            found.push(told(number, line));
        }
        found
    }

    #[test]
    fn a_line_without_end_is_skipped_in_bounded_memory() {
        let mut input = b"first\n".to_vec();
        input.resize(input.len() + 3 * LINE_BYTES_MAX, b'x');
        input.extend_from_slice(b"\nlast\n");
        let (lines, longest, damaged) = in_blocks(BufReader::new(input.as_slice()));
        let text = |text: &[u8]| Some(text.to_vec());
        assert_eq!(lines, [(1, text(b"first")), (2, None), (3, text(b"last"))]);
        assert!(longest <= LINE_BYTES_MAX + 1 && !damaged);
        assert_eq!(lines, one_by_one(&input));
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
        let (lines, _, damaged) = in_blocks(input);
        assert_eq!(lines, one_by_one(b"a\nb\n"));
        assert!(damaged);
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
        ) {
            let input = pieces.concat();
            let (lines, _, damaged) = in_blocks(BufReader::with_capacity(buffer, input.as_slice()));
            prop_assert_eq!(lines, one_by_one(&input));
            prop_assert!(!damaged);
        }
    }
}
