//! The one thread that writes: takes what callers have queued, writes it as a group, syncs once, answers them all.
//! ```text
//! append (many tasks) --encoded runs--> queue --> [ group -> frames -> sync -> publish -> answer ] --> readers
//! ```
//! Needs: the only `FrameWriter` of the log.    Promises: an answer `Ok` after the sync, never before; after a failed write the
//! next group is tried again, in the same segment or, after a failed sync, in a new one.
//! Leaves out: retrying a group (its callers got the error and may append again).
//! Invariant 1: `ends` is published after the sync that covers it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use hostread_disk::{DiskError, DiskLock, FrameWriter};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tracing::{error, info, warn};

use super::EmbeddedSettings;
use super::codec::{self, GroupEncoder, Run};
use super::segments::{Layout, Segment, Shared};
use crate::{LogError, Result};

/// A group is cut here. Larger: the first caller waits longer for its sync. Smaller: more syncs when much is queued.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// A frame is closed here: what a reader holds in memory at once.
const FRAME_BODY_BYTES: usize = 512 << 10;

/// Part of a batch: records of one partition, encoded.
pub(crate) struct EncodedRun {
    pub(crate) topic: u16,
    pub(crate) partition: u32,
    pub(crate) slot: usize,
    pub(crate) count: u32,
    pub(crate) body: Vec<u8>,
}

/// A queued batch.
pub(crate) struct Pending {
    pub(crate) runs: Vec<EncodedRun>,
    pub(crate) bytes: usize,
    pub(crate) done: oneshot::Sender<Result<()>>,
    /// Room in the queue, given back when the batch is answered.
    pub(crate) room: OwnedSemaphorePermit,
}

pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) layout: Arc<Layout>,
    pub(crate) settings: EmbeddedSettings,
    pub(crate) segment: Arc<Segment>,
    /// Nothing after a failed sync: the segment is cut back and a new one started before the next group.
    pub(crate) frames: Option<FrameWriter>,
    pub(crate) ends: Vec<u64>,
    pub(crate) encoder: GroupEncoder,
    /// Held while the thread runs.
    pub(crate) _lock: DiskLock,
}

impl Writer {
    pub(crate) fn run(mut self, queue: &Receiver<Pending>) {
        let every = self.settings.housekeeping_every;
        let mut next_housekeeping = Instant::now();
        loop {
            if Instant::now() >= next_housekeeping {
                self.keep_house();
                next_housekeeping = Instant::now() + every;
            }
            match queue.recv_timeout(every) {
                Ok(first) => self.write_group(first, queue),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    }

    fn write_group(&mut self, first: Pending, queue: &Receiver<Pending>) {
        let mut bytes = first.bytes;
        let mut group = vec![first];
        while bytes < GROUP_BYTES_MAX
            && let Ok(next) = queue.try_recv()
        {
            bytes += next.bytes;
            group.push(next);
        }
        let result = self.write(&group).map_err(Arc::new);
        if let Err(error) = &result {
            warn!(error = %error, batches = group.len(), "log group not written");
        }
        for pending in group {
            let answer = result.clone().map_err(LogError::Write);
            // Nobody listening means the caller gave up waiting; the batch is in all the same.
            drop(pending.done.send(answer));
            drop(pending.room);
        }
        if self
            .frames
            .as_ref()
            .is_some_and(|frames| frames.len() >= self.settings.segment_bytes)
        {
            self.roll_or_warn();
        }
    }

    fn write(&mut self, group: &[Pending]) -> Result<(), DiskError> {
        if self.frames.is_none() {
            self.restart()?;
        }
        let mut ends = self.ends.clone();
        let written = self.write_frames(group, &mut ends);
        self.encoder.clear();
        let durable = match written {
            Ok(durable) => durable,
            Err(error) => {
                // A writer that cannot be rolled back has failed a sync.
                self.frames = self
                    .frames
                    .take()
                    .and_then(|mut frames| frames.roll_back().is_ok().then_some(frames));
                return Err(error);
            }
        };
        self.ends = ends;
        let (ends, segment) = (&self.ends, &self.segment);
        self.shared.publish(|state| {
            segment.durable.store(durable, Ordering::Release);
            state.ends.clone_from(ends);
        });
        Ok(())
    }

    fn write_frames(&mut self, group: &[Pending], ends: &mut [u64]) -> Result<u64, DiskError> {
        let frames = self
            .frames
            .as_mut()
            .expect("checked or restarted by `write`");
        fail::fail_point!("log.before_write");
        let compress = self.settings.compress;
        for run in group.iter().flat_map(|pending| &pending.runs) {
            let end = &mut ends[run.slot];
            let entry = Run {
                topic: run.topic,
                partition: run.partition,
                count: run.count,
                first: *end,
                bytes: run.body.len() as u32,
            };
            *end += u64::from(run.count);
            self.encoder.push(entry, &run.body);
            if self.encoder.body_bytes() >= FRAME_BODY_BYTES || self.encoder.is_full() {
                self.encoder
                    .finish(compress, |parts| frames.append_parts(parts))?;
            }
        }
        if !self.encoder.is_empty() {
            self.encoder
                .finish(compress, |parts| frames.append_parts(parts))?;
        }
        fail::fail_point!("log.written");
        let durable = frames.sync()?;
        fail::fail_point!("log.synced");
        Ok(durable)
    }

    /// After a failed sync: what the kernel holds of the tail is unknown, so cut the segment back to what is durable.
    fn restart(&mut self) -> Result<(), DiskError> {
        let (_, durable) = self.segment.extent();
        let file = self
            .shared
            .disk
            .open(&self.shared.segment_path(self.segment.number))?;
        file.truncate(durable)?;
        file.sync()?;
        self.roll()
    }

    fn roll_or_warn(&mut self) {
        if let Err(error) = self.roll() {
            // The old segment goes on growing; the next group tries again.
            warn!(error = %error, "log segment not rolled");
        }
    }

    /// Starts the next segment. Needs: all of the current one is durable.
    fn roll(&mut self) -> Result<(), DiskError> {
        let created_ms = (self.settings.now_ms)().max(self.segment.created_ms);
        let number = self.segment.number + 1;
        let (frames, segment) =
            create_segment(&self.shared, number, created_ms, &self.layout, &self.ends)?;
        let old = std::mem::replace(&mut self.segment, Arc::clone(&segment));
        self.frames = Some(frames);
        self.shared.publish(|state| {
            old.seal();
            state.segments.push_back(segment);
        });
        Ok(())
    }

    /// Closes a segment that is old, and removes those that retention has passed.
    fn keep_house(&mut self) {
        let now_ms = (self.settings.now_ms)();
        let has_records = self.ends != self.segment.starts;
        if has_records
            && self.frames.is_some()
            && now_ms - self.segment.created_ms >= self.settings.segment_ms_max
        {
            self.roll_or_warn();
        }
        while let Some(number) = self.expired(now_ms) {
            // Out of the state first: nobody is promised a file that is about to go.
            self.shared
                .publish(|state| drop(state.segments.pop_front()));
            let removed = self.shared.disk.remove(&self.shared.segment_path(number));
            match removed.and_then(|()| self.shared.disk.sync_dir(&self.shared.dir)) {
                Ok(()) => info!(segment = number, "log segment past retention removed"),
                Err(error) => {
                    error!(error = %error, segment = number, "log segment past retention not removed");
                }
            }
        }
    }

    /// The oldest segment, when its newest record is older than retention allows.
    fn expired(&self, now_ms: i64) -> Option<u64> {
        let state = self.shared.state();
        let next = state.segments.get(1)?;
        (next.created_ms <= now_ms - self.settings.retention_ms).then(|| state.segments[0].number)
    }
}

/// Makes a segment file with its header, durable under its name.
pub(crate) fn create_segment(
    shared: &Shared,
    number: u64,
    created_ms: i64,
    layout: &Layout,
    starts: &[u64],
) -> Result<(FrameWriter, Arc<Segment>), DiskError> {
    let path = shared.segment_path(number);
    if shared.disk.exists(&path)? {
        // Left by an attempt that failed; nothing in it was acknowledged.
        shared.disk.remove(&path)?;
    }
    let mut frames = FrameWriter::create(shared.disk.as_ref(), &path)?;
    frames.append(&codec::encode_header(&layout.header(created_ms, starts)))?;
    let durable = frames.sync()?;
    shared.disk.sync_dir(&shared.dir)?;
    let segment = Segment::new(number, created_ms, starts.to_vec(), durable);
    Ok((frames, segment))
}
