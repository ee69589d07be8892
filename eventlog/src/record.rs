//! A record on its way in and on its way out, and the encoding both back ends share for headers.
//! ```text
//! header = name length u16 | name | value length u32 | value            little endian, one after another
//! ```
//! Records read are slices of one buffer a frame (or message): nothing is copied and no header is looked at until somebody asks.

use std::sync::Arc;

use bytes::Bytes;

/// A record to append.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// One of the topics given at open.
    pub topic: String,
    /// Below the topic's partition count.
    pub partition: u32,
    /// May be empty.
    pub key: Vec<u8>,
    /// CloudEvents attributes and `traceparent`. Names up to 65,535 bytes, without NUL.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub value: Vec<u8>,
    /// When a door received it, by the machine's clock (Unix milliseconds): freshness counts from here.
    pub timestamp_ms: i64,
}

impl Record {
    /// Key, headers and value together.
    pub fn bytes(&self) -> usize {
        let headers: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        self.key.len() + headers + self.value.len()
    }
}

/// A record read. `key`, `value` and header values deref to `[u8]`; cloning is cheap but keeps the whole frame in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRecord {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: u32,
    /// Place in the partition.
    pub offset: u64,
    /// Key.
    pub key: Bytes,
    /// Headers.
    pub headers: Headers,
    /// Body.
    pub value: Bytes,
    /// As it was appended.
    pub timestamp_ms: i64,
}

/// Headers in the order they were appended, decoded while they are walked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Bytes);

impl Headers {
    pub(crate) fn from_encoded(encoded: Bytes) -> Self {
        Self(encoded)
    }

    /// All headers.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut rest: &[u8] = &self.0;
        std::iter::from_fn(move || {
            let (name, after) = take(rest, 2)?;
            let (value, after) = take(after, 4)?;
            rest = after;
            Some((std::str::from_utf8(name).unwrap_or_default(), value))
        })
    }

    /// The first header of this name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            .find(|(there, _)| *there == name)
            .map(|(_, value)| value)
    }

    /// The first header of this name, when it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Owned copies.
    pub fn to_vec(&self) -> Vec<(String, Vec<u8>)> {
        self.iter()
            .map(|(name, value)| (name.to_owned(), value.to_vec()))
            .collect()
    }
}

/// Splits off one length-prefixed piece; the length has `width` bytes.
fn take(bytes: &[u8], width: usize) -> Option<(&[u8], &[u8])> {
    let (prefix, rest) = bytes.split_at_checked(width)?;
    let len = prefix
        .iter()
        .rev()
        .fold(0_usize, |len, byte| len << 8 | usize::from(*byte));
    rest.split_at_checked(len)
}

/// Makes `Headers`, for tests and for back ends.
#[derive(Debug, Default)]
pub struct HeadersBuilder(Vec<u8>);

impl HeadersBuilder {
    /// Adds a header. A name over 65,535 bytes is left out: no back end can carry it.
    pub fn push(&mut self, name: &str, value: &[u8]) {
        push_header(&mut self.0, name, value);
    }

    /// The headers.
    pub fn build(self) -> Headers {
        Headers(Bytes::from(self.0))
    }
}

pub(crate) fn push_header(into: &mut Vec<u8>, name: &str, value: &[u8]) {
    let (Ok(name_len), Ok(value_len)) = (u16::try_from(name.len()), u32::try_from(value.len()))
    else {
        return;
    };
    into.extend_from_slice(&name_len.to_le_bytes());
    into.extend_from_slice(name.as_bytes());
    into.extend_from_slice(&value_len.to_le_bytes());
    into.extend_from_slice(value);
}
