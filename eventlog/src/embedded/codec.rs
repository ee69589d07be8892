//! What a segment's frames say. Pure: bytes in, bytes out.
//! ```text
//! segment = header frame, then group frames            (frames as in hostread-disk, little endian throughout)
//! header  = 0u8 | JSON {format, created_ms, topics: [{name, starts: [first offset of each partition]}]}
//! group   = 1u8 | flags u8 (1: lz4) | run count u16 | body bytes before compression u32 | run table | body
//! run     = topic u16 | partition u32 | record count u32 | first offset u64 | bytes in the body u32
//! record  = timestamp i64 | key length u32 | headers length u32 | value length u32 | key | headers | value
//! ```
//! All partitions share one series of segments: one sync makes a group durable however many topics it touches, and the
//! pipeline, which reads every topic, reads one file front to back.
//! Invariant 1: topic numbers are places in the header's list; later segments only ever add to its end.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::record::push_header;
use crate::{Headers, Record};

const KIND_HEADER: u8 = 0;
const KIND_GROUP: u8 = 1;
const FLAG_LZ4: u8 = 1;
const GROUP_BYTES: usize = 8;
const RUN_BYTES: usize = 22;
const RECORD_BYTES: usize = 20;
/// Below this a compressed body saves less than a disk sector.
const COMPRESS_BYTES_MIN: usize = 1024;
/// Format number in the header; a reader refuses others.
pub(crate) const FORMAT: u32 = 1;

/// First frame of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentHeader {
    pub(crate) format: u32,
    pub(crate) created_ms: i64,
    pub(crate) topics: Vec<TopicStarts>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TopicStarts {
    pub(crate) name: String,
    pub(crate) starts: Vec<u64>,
}

/// Records of one partition that lie together in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) topic: u16,
    pub(crate) partition: u32,
    pub(crate) count: u32,
    pub(crate) first: u64,
    pub(crate) bytes: u32,
}

/// A parsed frame.
pub(crate) enum Frame<'a> {
    Header(SegmentHeader),
    Group(Group<'a>),
}

/// A group frame whose body is still as it lies on disk.
pub(crate) struct Group<'a> {
    table: &'a [u8],
    body: &'a [u8],
    lz4: bool,
    raw_bytes: usize,
}

/// Why a frame cannot be read.
pub(crate) type Reason = &'static str;

pub(crate) fn encode_header(header: &SegmentHeader) -> Vec<u8> {
    let mut payload = vec![KIND_HEADER];
    let json =
        serde_json::to_vec(header).expect("strings and integers only, no map with other keys");
    payload.extend_from_slice(&json);
    payload
}

pub(crate) fn encode_record(into: &mut Vec<u8>, record: &Record) {
    into.reserve(RECORD_BYTES + record.bytes() + 6 * record.headers.len());
    into.extend_from_slice(&record.timestamp_ms.to_le_bytes());
    into.extend_from_slice(&(record.key.len() as u32).to_le_bytes());
    let headers_at = into.len();
    into.extend_from_slice(&[0; 4]);
    into.extend_from_slice(&(record.value.len() as u32).to_le_bytes());
    into.extend_from_slice(&record.key);
    let headers_start = into.len();
    for (name, value) in &record.headers {
        push_header(into, name, value);
    }
    let headers_bytes = (into.len() - headers_start) as u32;
    into[headers_at..headers_at + 4].copy_from_slice(&headers_bytes.to_le_bytes());
    into.extend_from_slice(&record.value);
}

/// Builds one group frame from runs and their bodies.
#[derive(Debug, Default)]
pub(crate) struct GroupEncoder {
    runs: u16,
    table: Vec<u8>,
    body: Vec<u8>,
    compressed: Vec<u8>,
}

impl GroupEncoder {
    pub(crate) fn push(&mut self, run: Run, body: &[u8]) {
        debug_assert_eq!(run.bytes as usize, body.len());
        self.runs += 1;
        self.table.extend_from_slice(&run.topic.to_le_bytes());
        self.table.extend_from_slice(&run.partition.to_le_bytes());
        self.table.extend_from_slice(&run.count.to_le_bytes());
        self.table.extend_from_slice(&run.first.to_le_bytes());
        self.table.extend_from_slice(&run.bytes.to_le_bytes());
        self.body.extend_from_slice(body);
    }

    pub(crate) fn body_bytes(&self) -> usize {
        self.body.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.runs == u16::MAX
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs == 0
    }

    /// Hands the frame's payload, in pieces, to `write`, and starts the next one.
    pub(crate) fn finish<T>(&mut self, compress: bool, write: impl FnOnce(&[&[u8]]) -> T) -> T {
        let mut body = &self.body;
        let mut flags = 0;
        if compress && self.body.len() >= COMPRESS_BYTES_MIN {
            self.compressed
                .resize(lz4_flex::block::get_maximum_output_size(self.body.len()), 0);
            if let Ok(bytes) = lz4_flex::block::compress_into(&self.body, &mut self.compressed)
                && bytes < self.body.len()
            {
                self.compressed.truncate(bytes);
                body = &self.compressed;
                flags = FLAG_LZ4;
            }
        }
        let mut head = [0; GROUP_BYTES];
        (head[0], head[1]) = (KIND_GROUP, flags);
        head[2..4].copy_from_slice(&self.runs.to_le_bytes());
        head[4..8].copy_from_slice(&(self.body.len() as u32).to_le_bytes());
        let result = write(&[&head, &self.table, body]);
        self.clear();
        result
    }

    /// Drops what was pushed.
    pub(crate) fn clear(&mut self) {
        self.runs = 0;
        self.table.clear();
        self.body.clear();
    }
}

/// Reads a frame. `bytes_max` bounds what a body may grow to.
pub(crate) fn parse(payload: &[u8], bytes_max: usize) -> Result<Frame<'_>, Reason> {
    let (kind, rest) = payload.split_first().ok_or("it is empty")?;
    match *kind {
        KIND_HEADER => {
            let header: SegmentHeader =
                serde_json::from_slice(rest).map_err(|_| "its header is not readable JSON")?;
            if header.format == FORMAT {
                Ok(Frame::Header(header))
            } else {
                Err("its format is another one")
            }
        }
        KIND_GROUP => parse_group(payload, bytes_max).map(Frame::Group),
        _ => Err("its kind is another one"),
    }
}

fn parse_group(payload: &[u8], bytes_max: usize) -> Result<Group<'_>, Reason> {
    let (head, rest) = payload
        .split_at_checked(GROUP_BYTES)
        .ok_or("its head is cut short")?;
    let runs = usize::from(u16::from_le_bytes([head[2], head[3]]));
    let raw_bytes = u32_at(head, 4) as usize;
    let (table, body) = rest
        .split_at_checked(runs * RUN_BYTES)
        .ok_or("its run table is cut short")?;
    let group = Group {
        table,
        body,
        lz4: head[1] & FLAG_LZ4 != 0,
        raw_bytes,
    };
    if group.runs().map(|run| run.bytes as usize).sum::<usize>() != raw_bytes {
        return Err("its runs do not add up to its body");
    }
    if raw_bytes > bytes_max || (!group.lz4 && body.len() != raw_bytes) {
        return Err("its body does not have the length it claims");
    }
    Ok(group)
}

impl Group<'_> {
    pub(crate) fn runs(&self) -> impl Iterator<Item = Run> {
        self.table.chunks_exact(RUN_BYTES).map(|run| Run {
            topic: u16::from_le_bytes([run[0], run[1]]),
            partition: u32_at(run, 2),
            count: u32_at(run, 6),
            first: u64_at(run, 10),
            bytes: u32_at(run, 18),
        })
    }

    pub(crate) fn body(&self) -> Result<Bytes, Reason> {
        if !self.lz4 {
            return Ok(Bytes::copy_from_slice(self.body));
        }
        let body = lz4_flex::block::decompress(self.body, self.raw_bytes)
            .map_err(|_| "its body does not unpack")?;
        if body.len() == self.raw_bytes {
            Ok(body.into())
        } else {
            Err("its body unpacks to another length")
        }
    }
}

/// One record's parts, slices of the group's body.
pub(crate) struct RecordParts {
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Bytes,
    pub(crate) headers: Headers,
    pub(crate) value: Bytes,
}

/// Takes the record at `at` out of a run's body; returns it and where the next one starts.
pub(crate) fn decode_record(body: &Bytes, at: usize) -> Result<(RecordParts, usize), Reason> {
    let (head_end, parts) = record_ends(body, at)?;
    let [key_end, headers_end, value_end] = parts;
    let record = RecordParts {
        timestamp_ms: u64_at(body, at) as i64,
        key: body.slice(head_end..key_end),
        headers: Headers::from_encoded(body.slice(key_end..headers_end)),
        value: body.slice(headers_end..value_end),
    };
    Ok((record, value_end))
}

/// Where the record after the one at `at` starts.
pub(crate) fn skip_record(body: &[u8], at: usize) -> Result<usize, Reason> {
    record_ends(body, at).map(|(_, [_, _, end])| end)
}

fn record_ends(body: &[u8], at: usize) -> Result<(usize, [usize; 3]), Reason> {
    let head_end = at + RECORD_BYTES;
    if head_end > body.len() {
        return Err("a record's head is cut short");
    }
    let key_end = head_end + u32_at(body, at + 8) as usize;
    let headers_end = key_end + u32_at(body, at + 12) as usize;
    let value_end = headers_end + u32_at(body, at + 16) as usize;
    if value_end > body.len() {
        return Err("a record is cut short");
    }
    Ok((head_end, [key_end, headers_end, value_end]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
