//! Reads segments front to back and hands out the records of the partitions asked for.
//! Needs: `Shared`.    Promises: each partition's records in offset order, without gaps, only below `durable`.
//! Leaves out: an order between partitions (it is the order of writing, but nothing may rely on it).
//! Invariant 1: `next[slot]` is the offset of the record that comes next; a frame that would skip one is an error.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hostread_disk::{DiskError, FrameReader, Tail};

use super::codec::{self, Frame};
use super::follow;
use super::segments::{Layout, Segment, Shared, parse_frame};
use crate::{LogError, LogReader, Offsets, ReadRecord, Result};

/// How often a reader beside another process looks at the files.
const FOLLOW_EVERY: Duration = Duration::from_millis(20);

/// Records of one partition, decoded one by one.
struct Part {
    slot: usize,
    topic: u16,
    partition: u32,
    left: u32,
    body: Bytes,
    at: usize,
}

pub(crate) struct EmbeddedReader {
    shared: Arc<Shared>,
    layout: Arc<Layout>,
    names: Vec<Arc<str>>,
    /// Next offset by slot; nothing for partitions that are not read.
    next: Vec<Option<u64>>,
    segment: Arc<Segment>,
    frames: FrameReader,
    parts: VecDeque<Part>,
}

impl EmbeddedReader {
    pub(crate) fn new(shared: Arc<Shared>, from: &Offsets) -> Result<Self> {
        if shared.follows {
            follow::refresh(&shared)?;
        }
        let state = shared.state();
        let layout = Arc::clone(&state.layout);
        let mut next = vec![None; layout.slots()];
        let starts = state.starts();
        for ((topic, partition), &wanted) in from {
            let slot = layout.slot_of(topic, *partition)?;
            let (start, end) = (starts[slot], state.ends[slot]);
            let (topic, partition) = (topic.clone(), *partition);
            if wanted < start {
                return Err(LogError::Truncated {
                    topic,
                    partition,
                    wanted,
                    start,
                });
            }
            if wanted > end {
                return Err(LogError::Beyond {
                    topic,
                    partition,
                    wanted,
                    end,
                });
            }
            next[slot] = Some(wanted);
        }
        let covers = |segment: &&Arc<Segment>| {
            segment
                .starts
                .iter()
                .zip(&next)
                .all(|(start, wanted)| wanted.is_none_or(|wanted| *start <= wanted))
        };
        let segment = state
            .segments
            .iter()
            .rev()
            .find(covers)
            .or(state.segments.front());
        let segment = Arc::clone(segment.ok_or(LogError::Closed)?);
        let at_end = next
            .iter()
            .zip(&state.ends)
            .all(|(wanted, end)| wanted.is_none_or(|wanted| wanted == *end));
        let position = if at_end { segment.extent().1 } else { 0 };
        drop(state);
        let mut frames = open_frames(&shared, &segment)?;
        frames.seek(position);
        let names = layout
            .topics
            .iter()
            .map(|spec| Arc::from(spec.name.as_str()))
            .collect();
        Ok(Self {
            shared,
            layout,
            names,
            next,
            segment,
            frames,
            parts: VecDeque::new(),
        })
    }

    /// Decodes what is loaded, up to `records_max`.
    fn take_parts(&mut self, records: &mut Vec<ReadRecord>, records_max: usize) -> Result<()> {
        while records.len() < records_max {
            let Some(part) = self.parts.front_mut() else {
                break;
            };
            if part.left == 0 {
                self.parts.pop_front();
                continue;
            }
            let (record, at) =
                codec::decode_record(&part.body, part.at).map_err(|reason| LogError::Format {
                    segment: self.segment.number,
                    offset: self.frames.position(),
                    reason,
                })?;
            (part.at, part.left) = (at, part.left - 1);
            let next = self.next[part.slot]
                .as_mut()
                .expect("parts are made for slots that are read");
            records.push(ReadRecord {
                topic: Arc::clone(&self.names[usize::from(part.topic)]),
                partition: part.partition,
                offset: *next,
                key: record.key,
                headers: record.headers,
                value: record.value,
                timestamp_ms: record.timestamp_ms,
            });
            *next += 1;
        }
        Ok(())
    }

    /// Loads the next frame; `false` when there is none yet.
    fn load(&mut self) -> Result<bool> {
        loop {
            let (sealed, durable) = self.segment.extent();
            self.frames.set_end(durable);
            let segment = self.segment.number;
            if let Some((offset, payload)) = self.frames.next_frame()? {
                if let Frame::Group(group) = parse_frame(segment, offset, payload)? {
                    let parts = parts_of(&self.layout, &self.next, &group);
                    self.parts = parts.map_err(|reason| LogError::Format {
                        segment,
                        offset,
                        reason,
                    })?;
                }
                return Ok(true);
            }
            if !sealed || !self.next_segment()? {
                return Ok(false);
            }
        }
    }

    fn next_segment(&mut self) -> Result<bool> {
        let state = self.shared.state();
        let Some(segment) = state
            .segments
            .iter()
            .find(|segment| segment.number > self.segment.number)
        else {
            return Ok(false);
        };
        let segment = Arc::clone(segment);
        drop(state);
        for (slot, wanted) in self.next.iter().enumerate() {
            let start = segment.starts.get(slot).copied().unwrap_or(0);
            if let Some(wanted) = wanted.filter(|wanted| *wanted < start) {
                let (topic, partition) = self.layout.name(slot);
                return Err(LogError::Truncated {
                    topic: topic.to_owned(),
                    partition,
                    wanted,
                    start,
                });
            }
        }
        self.frames = open_frames(&self.shared, &segment)?;
        self.segment = segment;
        Ok(true)
    }
}

fn open_frames(shared: &Shared, segment: &Segment) -> Result<FrameReader> {
    match FrameReader::open(
        shared.disk.as_ref(),
        &shared.segment_path(segment.number),
        Tail::Whole,
    ) {
        Err(error) if error.is_not_found() => Err(gone(shared, segment, error)),
        other => Ok(other?),
    }
}

/// Retention removed the file between the look at the state and the open.
fn gone(shared: &Shared, segment: &Segment, error: DiskError) -> LogError {
    if shared.follows
        && let Err(error) = follow::refresh(shared)
    {
        return error;
    }
    let state = shared.state();
    let starts = state.starts();
    let moved = segment
        .starts
        .iter()
        .zip(&starts)
        .enumerate()
        .find(|(_, (wanted, start))| wanted < start);
    match moved {
        Some((slot, (wanted, start))) => {
            let (topic, partition) = state.layout.name(slot);
            LogError::Truncated {
                topic: topic.to_owned(),
                partition,
                wanted: *wanted,
                start: *start,
            }
        }
        None => error.into(),
    }
}

/// The runs of a group that are read, from the records that come next.
fn parts_of(
    layout: &Layout,
    next: &[Option<u64>],
    group: &codec::Group<'_>,
) -> Result<VecDeque<Part>, codec::Reason> {
    let mut parts = VecDeque::new();
    let mut body = None;
    let mut start = 0;
    // A partition may have several runs in one frame: what the earlier ones will have moved on to.
    let mut ahead: Vec<(usize, u64)> = Vec::new();
    for run in group.runs() {
        let range = start..start + run.bytes as usize;
        start = range.end;
        // No slot: a topic that came after this reader was opened, beside another process.
        let slot = layout.slot(run.topic, run.partition);
        let Some((slot, wanted)) = slot.and_then(|slot| Some((slot, next[slot]?))) else {
            continue;
        };
        let wanted = ahead
            .iter()
            .rev()
            .find(|(ahead, _)| *ahead == slot)
            .map_or(wanted, |(_, offset)| *offset);
        let end = run.first + u64::from(run.count);
        if end <= wanted {
            continue;
        }
        let skip = wanted
            .checked_sub(run.first)
            .ok_or("its offsets do not follow")?;
        let body: &Bytes = match &mut body {
            Some(body) => body,
            empty => empty.insert(group.body()?),
        };
        let body = body.slice(range);
        let mut at = 0;
        for _ in 0..skip {
            at = codec::skip_record(&body, at)?;
        }
        let left = run.count - skip as u32;
        parts.push_back(Part {
            slot,
            topic: run.topic,
            partition: run.partition,
            left,
            body,
            at,
        });
        ahead.push((slot, end));
    }
    Ok(parts)
}

impl LogReader for EmbeddedReader {
    fn poll(&mut self, records_max: usize, wait: Duration) -> Result<Vec<ReadRecord>> {
        let deadline = Instant::now() + wait;
        let mut records = Vec::new();
        let mut looked = !self.shared.follows;
        loop {
            self.take_parts(&mut records, records_max)?;
            if records.len() >= records_max {
                return Ok(records);
            }
            let version = self.shared.state().version;
            if self.load()? {
                continue;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if !records.is_empty() || (left.is_zero() && looked) {
                return Ok(records);
            }
            if self.shared.follows {
                if looked {
                    std::thread::sleep(left.min(FOLLOW_EVERY));
                }
                follow::refresh(&self.shared)?;
                looked = true;
            } else {
                self.shared.wait(version, left);
            }
        }
    }

    fn behind(&mut self) -> Result<Offsets> {
        let state = self.shared.state();
        let slots = self.next.iter().zip(&state.ends).enumerate();
        let behind = slots.filter_map(|(slot, (next, end))| {
            let left = end.checked_sub((*next)?).filter(|left| *left > 0)?;
            let (topic, partition) = self.layout.name(slot);
            Some(((topic.to_owned(), partition), left))
        });
        Ok(behind.collect())
    }
}
