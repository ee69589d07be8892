//! The segments of a log as its writer and its readers share them, and how a folder becomes that.
//! Needs: files `000000000000.log`, numbered without gaps.    Promises: `State` names only what is durable.
//! Leaves out: writing records (`writer`) and reading them (`reader`).
//! Invariant 1: a segment starts, in every partition, where the one before it ends.
//! Invariant 2: `durable` of a segment only grows; once `sealed` it stays.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use hostread_disk::{Disk, FRAME_BYTES_MAX, FrameReader, FrameWriter, Tail};

use super::codec::{self, Frame, Run, SegmentHeader, TopicStarts};
use crate::{LogError, Offsets, Result, TopicSpec};

/// Topics in the order of their numbers, and a flat place (slot) for each partition.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) topics: Vec<TopicSpec>,
    /// Slot of partition 0 of each topic.
    bases: Vec<usize>,
    slots: usize,
}

impl Layout {
    pub(crate) fn empty() -> Self {
        Self {
            topics: Vec::new(),
            bases: Vec::new(),
            slots: 0,
        }
    }

    pub(crate) fn new(topics: Vec<TopicSpec>) -> Result<Self> {
        let (mut bases, mut slots) = (Vec::new(), 0);
        for (index, spec) in topics.iter().enumerate() {
            let reason = if spec.name.is_empty() {
                Some("its name is empty")
            } else if spec.partitions == 0 {
                Some("it has no partition")
            } else if topics[..index].iter().any(|other| other.name == spec.name) {
                Some("it is named twice")
            } else if index > usize::from(u16::MAX) {
                Some("there are too many topics")
            } else {
                None
            };
            if let Some(reason) = reason {
                return Err(LogError::Topic {
                    topic: spec.name.clone(),
                    reason,
                });
            }
            bases.push(slots);
            slots += spec.partitions as usize;
        }
        Ok(Self {
            topics,
            bases,
            slots,
        })
    }

    pub(crate) fn from_header(header: &SegmentHeader) -> Result<Self> {
        let spec = |topic: &TopicStarts| TopicSpec::new(&topic.name, topic.starts.len() as u32);
        Self::new(header.topics.iter().map(spec).collect())
    }

    /// This layout plus the topics that it does not have yet.
    pub(crate) fn extended(&self, wanted: &[TopicSpec]) -> Result<Self> {
        let mut topics = self.topics.clone();
        for spec in wanted {
            match topics.iter().find(|there| there.name == spec.name) {
                Some(there) if there.partitions != spec.partitions => {
                    let (topic, there, wanted) =
                        (spec.name.clone(), there.partitions, spec.partitions);
                    return Err(LogError::PartitionCount {
                        topic,
                        there,
                        wanted,
                    });
                }
                Some(_) => {}
                None => topics.push(spec.clone()),
            }
        }
        Self::new(topics)
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    pub(crate) fn topic_number(&self, name: &str) -> Option<u16> {
        self.topics
            .iter()
            .position(|spec| spec.name == name)
            .map(|index| index as u16)
    }

    pub(crate) fn slot(&self, topic: u16, partition: u32) -> Option<usize> {
        let spec = self.topics.get(usize::from(topic))?;
        (partition < spec.partitions).then(|| self.bases[usize::from(topic)] + partition as usize)
    }

    pub(crate) fn slot_of(&self, topic: &str, partition: u32) -> Result<usize> {
        let slot = self
            .topic_number(topic)
            .and_then(|number| self.slot(number, partition));
        slot.ok_or_else(|| LogError::NoSuchPartition {
            topic: topic.to_owned(),
            partition,
        })
    }

    /// Number of the topic that a slot belongs to.
    pub(crate) fn topic_of(&self, slot: usize) -> usize {
        self.bases.partition_point(|base| *base <= slot) - 1
    }

    /// Topic and partition of a slot.
    pub(crate) fn name(&self, slot: usize) -> (&str, u32) {
        let topic = self.topic_of(slot);
        (&self.topics[topic].name, (slot - self.bases[topic]) as u32)
    }

    pub(crate) fn offsets(&self, by_slot: &[u64]) -> Offsets {
        let named = |slot: usize| self.name(slot);
        let entry = |(slot, offset): (usize, &u64)| {
            let (topic, partition) = named(slot);
            ((topic.to_owned(), partition), *offset)
        };
        by_slot.iter().enumerate().map(entry).collect()
    }

    pub(crate) fn header(&self, created_ms: i64, starts: &[u64]) -> SegmentHeader {
        let topic = |(spec, base): (&TopicSpec, &usize)| TopicStarts {
            name: spec.name.clone(),
            starts: starts[*base..*base + spec.partitions as usize].to_vec(),
        };
        let topics = self.topics.iter().zip(&self.bases).map(topic).collect();
        SegmentHeader {
            format: codec::FORMAT,
            created_ms,
            topics,
        }
    }

    /// Starts by slot; topics that the header does not know yet start at 0.
    fn starts(&self, header: &SegmentHeader) -> Vec<u64> {
        let mut starts: Vec<u64> = header
            .topics
            .iter()
            .flat_map(|topic| topic.starts.iter().copied())
            .collect();
        starts.resize(self.slots.max(starts.len()), 0);
        starts
    }
}

/// One file of the log.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) created_ms: i64,
    /// First offset of each slot.
    pub(crate) starts: Vec<u64>,
    /// Bytes that readers may see.
    pub(crate) durable: AtomicU64,
    /// No more bytes will come.
    pub(crate) sealed: AtomicBool,
}

impl Segment {
    pub(crate) fn new(number: u64, created_ms: i64, starts: Vec<u64>, durable: u64) -> Arc<Self> {
        let (durable, sealed) = (AtomicU64::new(durable), AtomicBool::new(false));
        Arc::new(Self {
            number,
            created_ms,
            starts,
            durable,
            sealed,
        })
    }

    /// Whether it is sealed, and how many bytes may be read. In this order: a sealed segment's length is final.
    pub(crate) fn extent(&self) -> (bool, u64) {
        let sealed = self.sealed.load(Ordering::Acquire);
        (sealed, self.durable.load(Ordering::Acquire))
    }

    pub(crate) fn seal(&self) {
        self.sealed.store(true, Ordering::Release);
    }
}

/// What is durable now.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) layout: Arc<Layout>,
    /// Oldest first; the last one is being written. Never empty in a log that is open.
    pub(crate) segments: VecDeque<Arc<Segment>>,
    /// Next offset of each slot.
    pub(crate) ends: Vec<u64>,
    /// Counts changes, so that a waiting reader knows that there is something to look at.
    pub(crate) version: u64,
}

impl State {
    /// The oldest offsets that can be read.
    pub(crate) fn starts(&self) -> Vec<u64> {
        let mut starts = self
            .segments
            .front()
            .map_or_else(Vec::new, |first| first.starts.clone());
        starts.resize(self.layout.slots(), 0);
        starts
    }
}

/// The log as all its users see it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
    /// Another process writes: look at the folder for what is new.
    pub(crate) follows: bool,
}

impl Shared {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: &Path, state: State, follows: bool) -> Arc<Self> {
        let (state, changed) = (Mutex::new(state), Condvar::new());
        Arc::new(Self {
            disk,
            dir: dir.to_path_buf(),
            state,
            changed,
            follows,
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes readers.
    pub(crate) fn publish(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        state.version += 1;
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until the version is another one, at most `wait`.
    pub(crate) fn wait(&self, version: u64, wait: std::time::Duration) {
        let state = self.state();
        drop(
            self.changed
                .wait_timeout_while(state, wait, |state| state.version == version),
        );
    }

    pub(crate) fn segment_path(&self, number: u64) -> PathBuf {
        segment_path(&self.dir, number)
    }
}

pub(crate) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}.log"))
}

/// Numbers of the segments in a folder, oldest first.
pub(crate) fn segment_numbers(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>> {
    let names = disk.list(dir)?;
    let mut numbers: Vec<u64> = names
        .iter()
        .filter_map(|name| name.strip_suffix(".log"))
        .filter_map(|name| name.parse().ok())
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Numbers before a gap: a retention run that a crash left half undone. What is behind the gap is the log.
pub(crate) fn before_gap(numbers: &[u64]) -> usize {
    numbers
        .windows(2)
        .rposition(|pair| pair[0] + 1 != pair[1])
        .map_or(0, |index| index + 1)
}

/// The header of a segment whose first frame is whole; nothing when the file holds no whole frame and may be torn.
pub(crate) fn read_header(
    disk: &dyn Disk,
    dir: &Path,
    number: u64,
    tail: Tail,
) -> Result<Option<SegmentHeader>> {
    let mut reader = FrameReader::open(disk, &segment_path(dir, number), tail)?;
    let Some((offset, payload)) = reader.next_frame()? else {
        return Ok(None);
    };
    match parse_frame(number, offset, payload)? {
        Frame::Header(header) => Ok(Some(header)),
        Frame::Group(_) => Err(LogError::Format {
            segment: number,
            offset,
            reason: "it is not a header",
        }),
    }
}

pub(crate) fn parse_frame(segment: u64, offset: u64, payload: &[u8]) -> Result<Frame<'_>> {
    codec::parse(payload, FRAME_BYTES_MAX as usize).map_err(|reason| LogError::Format {
        segment,
        offset,
        reason,
    })
}

/// Follows a segment's frames and keeps count of the offsets.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) number: u64,
    pub(crate) layout: Layout,
    pub(crate) header: Option<SegmentHeader>,
    pub(crate) ends: Vec<u64>,
}

impl Scan {
    pub(crate) fn new(number: u64) -> Self {
        let layout = Layout::empty();
        Self {
            number,
            layout,
            header: None,
            ends: Vec::new(),
        }
    }

    pub(crate) fn frame(&mut self, offset: u64, payload: &[u8]) -> Result<()> {
        let format = |reason| LogError::Format {
            segment: self.number,
            offset,
            reason,
        };
        match (parse_frame(self.number, offset, payload)?, offset) {
            (Frame::Header(header), 0) => {
                self.layout = Layout::from_header(&header)?;
                self.ends = self.layout.starts(&header);
                self.header = Some(header);
            }
            (Frame::Group(group), 1..) => {
                for run in group.runs() {
                    let slot = self
                        .layout
                        .slot(run.topic, run.partition)
                        .ok_or(format("it names another topic"))?;
                    let end = &mut self.ends[slot];
                    *end = end_after(*end, run).ok_or(format("its offsets do not follow"))?;
                }
            }
            _ => return Err(format("its kind does not belong there")),
        }
        Ok(())
    }

    pub(crate) fn starts(&self) -> Vec<u64> {
        self.header
            .as_ref()
            .map_or_else(Vec::new, |header| self.layout.starts(header))
    }
}

fn end_after(end: u64, run: Run) -> Option<u64> {
    (run.first == end).then(|| end + u64::from(run.count))
}

/// A folder's segments, read for writing.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) segments: VecDeque<Arc<Segment>>,
    /// Writer and scan of the last segment; nothing in an empty folder.
    pub(crate) last: Option<(FrameWriter, Scan)>,
    pub(crate) cut_bytes: u64,
}

/// Opens the last segment for writing, with its torn tail cut, and reads the headers of the others.
pub(crate) fn open_segments(disk: &dyn Disk, dir: &Path) -> Result<Opened> {
    let mut numbers = segment_numbers(disk, dir)?;
    for stray in numbers.drain(..before_gap(&numbers)) {
        disk.remove(&segment_path(dir, stray))?;
    }
    let mut cut_bytes = 0;
    let mut last = None;
    while let Some(number) = numbers.pop() {
        let mut scan = Scan::new(number);
        let path = segment_path(dir, number);
        let (writer, found) =
            FrameWriter::open_with(disk, &path, |offset, payload| scan.frame(offset, payload))?;
        cut_bytes += found.cut_bytes;
        if scan.header.is_some() {
            last = Some((writer, scan));
            break;
        }
        // The crash came while it was being made: nothing in it was ever acknowledged.
        disk.remove(&path)?;
    }
    disk.sync_dir(dir)?;
    let mut segments = VecDeque::new();
    if let Some((writer, scan)) = &last {
        for number in numbers {
            let header = read_header(disk, dir, number, Tail::Whole)?;
            let Some(header) = header else {
                return Err(missing_header(number));
            };
            segments.push_back(sealed_segment(disk, dir, number, &header, &scan.layout)?);
        }
        let created_ms = scan.header.as_ref().map_or(0, |header| header.created_ms);
        segments.push_back(Segment::new(
            scan.number,
            created_ms,
            scan.starts(),
            writer.len(),
        ));
    }
    Ok(Opened {
        segments,
        last,
        cut_bytes,
    })
}

pub(crate) fn missing_header(segment: u64) -> LogError {
    LogError::Format {
        segment,
        offset: 0,
        reason: "there is no header",
    }
}

pub(crate) fn sealed_segment(
    disk: &dyn Disk,
    dir: &Path,
    number: u64,
    header: &SegmentHeader,
    layout: &Layout,
) -> Result<Arc<Segment>> {
    let len = disk.open_read(&segment_path(dir, number))?.len()?;
    let segment = Segment::new(number, header.created_ms, layout.starts(header), len);
    segment.seal();
    Ok(segment)
}
