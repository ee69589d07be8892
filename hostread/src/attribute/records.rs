//! A CSV file in pieces of whole records, and a record's fields.
//!
//! Needs: the unpacked input. Promises: a record stands in one piece, also when a quoted field has line ends; memory is bounded by
//! a piece; a field that begins with a quoted name and goes on behind it (`"a > b" > c`) is kept as it stands, where a reader
//! of RFC 4180 would drop the quotes and see three names. Leaves out: what a field means.

use std::borrow::Cow;
use std::io::{self, BufRead};

use anyhow::{Result, bail};

/// A piece is of about so many bytes; no record is longer.
const PIECE_BYTES: usize = 1 << 20;

/// Where a byte stands. A quote opens only where a field or a name of a path begins; elsewhere it is a quote.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum At {
    #[default]
    Begin,
    Plain,
    Quoted,
    /// Behind a quote that closes, unless it is the first of two.
    Closed,
}

impl At {
    const fn behind(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Quoted, b'"') => Self::Closed,
            (Self::Quoted, _) | (Self::Begin | Self::Closed, b'"') => Self::Quoted,
            (_, b',' | b'>' | b'\n') => Self::Begin,
            (Self::Begin | Self::Closed, b' ') => self,
            _ => Self::Plain,
        }
    }

    /// Is this byte one that ends something?
    fn ends(self, byte: u8, ending: u8) -> bool {
        byte == ending && self != Self::Quoted
    }
}

/// Whole records.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Line of the first.
    pub(super) line: u64,
    bytes: Vec<u8>,
}

impl Piece {
    /// Its records with the line where each begins, without line ends; empty lines are none.
    pub(super) fn records(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let mut rest = self.bytes.as_slice();
        let mut line = self.line;
        let next = move || {
            let (end, lines) = first_end(rest);
            let (record, after) = rest.split_at_checked(end)?;
            let at = line;
            rest = after;
            line += lines;
            let text = record.strip_suffix(b"\n").unwrap_or(record);
            (!record.is_empty()).then_some((at, text.strip_suffix(b"\r").unwrap_or(text)))
        };
        std::iter::from_fn(next).filter(|(_, record)| !record.is_empty())
    }

    /// Takes the first record that is not empty out of it.
    pub(super) fn take_first(&mut self) -> Option<(u64, Vec<u8>)> {
        let (line, record) = self.records().next()?;
        let record = record.to_vec();
        while self.line <= line {
            let (end, lines) = first_end(&self.bytes);
            self.bytes.drain(..end);
            // The last record may have no line end.
            self.line += lines.max(1);
        }
        Some((line, record))
    }
}

/// Where the first record ends, and on how many lines it stands.
fn first_end(bytes: &[u8]) -> (usize, u64) {
    let (mut stands, mut lines) = (At::Begin, 0);
    for (at, byte) in bytes.iter().enumerate() {
        lines += u64::from(*byte == b'\n');
        if stands.ends(*byte, b'\n') {
            return (at + 1, lines);
        }
        stands = stands.behind(*byte);
    }
    (bytes.len(), lines)
}

/// Cuts an input into pieces.
pub(super) struct Pieces<R> {
    reader: R,
    held: Vec<u8>,
    /// Of what is held: its line, how much was looked at, where the next byte stands, and where the last whole record ends.
    line: u64,
    searched: usize,
    stands: At,
    whole: usize,
    ended: bool,
}

impl<R: BufRead> Pieces<R> {
    pub(super) const fn new(reader: R) -> Self {
        Self {
            reader,
            held: Vec::new(),
            line: 1,
            searched: 0,
            stands: At::Begin,
            whole: 0,
            ended: false,
        }
    }

    /// The next piece; nothing at the end.
    pub(super) fn next(&mut self) -> Result<Option<Piece>> {
        loop {
            self.search();
            if self.ended {
                let all = self.held.len();
                return Ok((all > 0).then(|| self.give(all)));
            }
            if self.held.len() < PIECE_BYTES {
                self.fill()?;
            } else if self.whole > 0 {
                return Ok(Some(self.give(self.whole)));
            } else {
                bail!(
                    "line {}: a record is longer than 1 MiB, or a quote in it is not closed",
                    self.line
                );
            }
        }
    }

    /// Looks through what is new.
    fn search(&mut self) {
        for (at, byte) in self.held.iter().enumerate().skip(self.searched) {
            if self.stands.ends(*byte, b'\n') {
                self.whole = at + 1;
            }
            self.stands = self.stands.behind(*byte);
        }
        self.searched = self.held.len();
    }

    fn fill(&mut self) -> Result<()> {
        match self.reader.fill_buf() {
            Ok([]) => self.ended = true,
            Ok(chunk) => {
                self.held.extend_from_slice(chunk);
                let taken = chunk.len();
                self.reader.consume(taken);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn give(&mut self, end: usize) -> Piece {
        let rest = self.held.split_off(end);
        let bytes = std::mem::replace(&mut self.held, rest);
        let line = self.line;
        self.line += memchr::memchr_iter(b'\n', &bytes).count() as u64;
        self.searched = 0;
        self.stands = At::Begin;
        self.whole = 0;
        Piece { line, bytes }
    }
}

/// The fields of a record.
pub(super) fn fields(record: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = Some(record);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut stands = At::Begin;
        let end = text.bytes().position(|byte| {
            let ends = stands.ends(byte, b',');
            stands = stands.behind(byte);
            ends
        });
        let (field, after) = match end {
            Some(end) => (text.get(..end), text.get(end + 1..)),
            None => (Some(text), None),
        };
        rest = after;
        Some(unquoted(field.unwrap_or_default()))
    })
}

/// A field without its quotes; as it is when they are not around all of it.
fn unquoted(field: &str) -> Cow<'_, str> {
    let Some(inside) = field.trim().strip_prefix('"') else {
        return Cow::Borrowed(field);
    };
    match close(inside) {
        Some((text, "")) => text,
        _ => Cow::Borrowed(field),
    }
}

/// What stands behind an opening quote: the quoted text, two quotes in it for one, and what follows its end.
pub(super) fn close(inside: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut from = 0;
    loop {
        let at = from + inside.get(from..)?.find('"')?;
        let after = inside.get(at + 1..)?;
        if after.starts_with('"') {
            from = at + 2;
            continue;
        }
        let text = inside.get(..at)?;
        let text = if text.contains('"') {
            Cow::Owned(text.replace("\"\"", "\""))
        } else {
            Cow::Borrowed(text)
        };
        return Some((text, after));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;

    fn all(record: &str) -> Vec<String> {
        fields(record).map(Cow::into_owned).collect()
    }

    fn read(input: &[u8]) -> Vec<(u64, String)> {
        let mut pieces = Pieces::new(io::BufReader::with_capacity(7, input));
        let mut found = Vec::new();
        while let Some(piece) = pieces.next().unwrap() {
            let text = |record: &[u8]| String::from_utf8(record.to_vec()).unwrap();
            found.extend(piece.records().map(|(line, record)| (line, text(record))));
        }
        found
    }

    #[test]
    fn fields_quoted_and_not() {
        assert_eq!(all("a > b,1,2"), ["a > b", "1", "2"]);
        assert_eq!(all(",,"), ["", "", ""]);
        assert_eq!(all(r#""a, x > b",1"#), ["a, x > b", "1"]);
        assert_eq!(all(r#""""a > b"" > c",1"#), [r#""a > b" > c"#, "1"]);
        assert_eq!(
            all(r#""a > b" > c,1"#),
            [r#""a > b" > c"#, "1"],
            "as it stands"
        );
        assert_eq!(all(r#"c > "a, > b",1"#), [r#"c > "a, > b""#, "1"]);
        assert_eq!(all(r#""a > b" > "c > d",1"#), [r#""a > b" > "c > d""#, "1"]);
        assert_eq!(all(r#""open,1"#), [r#""open,1"#]);
        assert_eq!(all(r#"12" vinyl > a "b,1"#), [r#"12" vinyl > a "b"#, "1"]);
        assert_eq!(all(r#"" a ""b"" ",1"#), [r#" a "b" "#, "1"]);
    }

    #[test]
    fn records_and_their_lines() {
        let found = read(b"path,x\r\n\na,1\n\"b\nc\",2\nd,3");
        let expected = [(1, "path,x"), (3, "a,1"), (4, "\"b\nc\",2"), (6, "d,3")];
        assert_eq!(found, expected.map(|(line, text)| (line, text.to_owned())));
        assert!(read(b"").is_empty());
    }

    #[test]
    fn pieces_are_bounded() {
        let line = format!("{},1\n", "x".repeat(1000));
        let input = line.repeat(3000);
        let mut pieces = Pieces::new(input.as_bytes());
        let (mut records, mut line_before) = (0, 0);
        while let Some(piece) = pieces.next().unwrap() {
            assert!(piece.bytes.len() <= input.len() && piece.line > line_before);
            line_before = piece.line;
            records += piece.records().count();
        }
        assert_eq!(records, 3000);
        let open = format!("a,1\n\"{line}{}", "x\n".repeat(PIECE_BYTES));
        let mut pieces = Pieces::new(io::BufReader::with_capacity(1000, open.as_bytes()));
        let error = loop {
            match pieces.next() {
                Ok(piece) => assert!(piece.is_some()),
                Err(error) => break error.to_string(),
            }
        };
        assert_eq!(
            error,
            "line 2: a record is longer than 1 MiB, or a quote in it is not closed"
        );
    }
}
