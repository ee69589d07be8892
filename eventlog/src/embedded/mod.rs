//! The log in a folder: the default, and the one that tests without Kafka use.
//! Needs: a folder of its own on a `Disk`; one writing process (a lock file sees to that).
//! Promises: as `EventLog`; a group of batches costs one sync; 14 days of records, given back segment by segment.
//! Leaves out: replication; a limit on bytes (a full disk is an error that a later append may not have).
//! Invariant 1: what `append` returned for is read back bit for bit after any crash.
//! Invariant 2: a torn tail is cut at open; damage elsewhere is an error that names segment and byte.

mod codec;
mod follow;
mod reader;
mod segments;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use hostread_disk::Disk;
use tokio::sync::{Semaphore, oneshot};
use tracing::{info, warn};

use self::codec::GroupEncoder;
use self::reader::EmbeddedReader;
pub(crate) use self::segments::Layout;
use self::segments::{Opened, Shared, State};
use self::writer::{EncodedRun, Pending, Writer, create_segment};
use crate::{EventLog, LogError, LogReader, Offsets, RECORD_BYTES_MAX, Record, Result, TopicSpec};

/// A run is closed at this size: what one frame must hold at least.
const RUN_BYTES: usize = 256 << 10;
const DAY_MS: i64 = 24 * 3_600_000;

/// Milliseconds since 1970.
pub type NowMs = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How an embedded log keeps its files.
#[derive(Clone)]
pub struct EmbeddedSettings {
    /// A new segment starts at this size. Larger: a reader skips more to find its place. Smaller: more files.
    pub segment_bytes: u64,
    /// A segment with records is closed at this age, so that retention gives its space back in time.
    pub segment_ms_max: i64,
    /// How long records stay. Shorter than the erasure deadline; longer than any stop of the pipeline.
    pub retention_ms: i64,
    /// How often ages are looked at.
    pub housekeeping_every: Duration,
    /// lz4 on groups.
    pub compress: bool,
    /// Bytes of batches waiting for the writer; further appends wait.
    pub queue_bytes_max: u32,
    /// Ages are counted by this clock, never by the records' own times.
    pub now_ms: NowMs,
}

impl Default for EmbeddedSettings {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            segment_ms_max: DAY_MS,
            retention_ms: 14 * DAY_MS,
            housekeeping_every: Duration::from_secs(30),
            compress: true,
            queue_bytes_max: 64 << 20,
            now_ms: Arc::new(wall_ms),
        }
    }
}

fn wall_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}

/// A log in a folder.
pub struct EmbeddedLog {
    shared: Arc<Shared>,
    layout: Arc<Layout>,
    queue_bytes_max: u32,
    room: Arc<Semaphore>,
    /// Nothing in a log opened for reading.
    writer: Mutex<Option<(Sender<Pending>, JoinHandle<()>)>>,
}

impl EmbeddedLog {
    /// Opens or makes a log for writing and reading. Topics that are new are added; one with another partition count is refused.
    /// Blocks while the last segment is read.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        topics: &[TopicSpec],
        settings: EmbeddedSettings,
    ) -> Result<Self> {
        disk.create_dir(dir)?;
        let lock = disk.lock(&dir.join("lock"))?;
        let Opened {
            segments,
            last,
            cut_bytes,
        } = segments::open_segments(disk.as_ref(), dir)?;
        if cut_bytes > 0 {
            warn!(cut_bytes, "log had a torn tail");
        }
        let found = match &last {
            Some((_, scan)) => scan.layout.clone(),
            None => Layout::empty(),
        };
        let layout = Arc::new(found.extended(topics)?);
        let mut ends = last
            .as_ref()
            .map_or_else(Vec::new, |(_, scan)| scan.ends.clone());
        ends.resize(layout.slots(), 0);
        let state = State {
            layout: Arc::clone(&layout),
            segments,
            ends: ends.clone(),
            version: 0,
        };
        let shared = Shared::new(disk, dir, state, false);
        let grown = layout.slots() > found.slots();
        let (frames, segment) = match last {
            Some((frames, scan)) if !grown => {
                let segment = shared.state().segments.back().map(Arc::clone);
                (
                    frames,
                    segment.ok_or(segments::missing_header(scan.number))?,
                )
            }
            other => first_of_layout(
                &shared,
                &layout,
                &ends,
                other.map(|(_, scan)| scan.number),
                &settings,
            )?,
        };
        info!(
            segments = shared.state().segments.len(),
            topics = layout.topics.len(),
            "log opened"
        );
        let queue_bytes_max = settings.queue_bytes_max;
        let writer = Writer {
            shared: Arc::clone(&shared),
            layout: Arc::clone(&layout),
            settings,
            segment,
            frames: Some(frames),
            ends,
            encoder: GroupEncoder::default(),
            _lock: lock,
        };
        let (sender, queue) = mpsc::channel();
        let run = move || writer.run(&queue);
        let thread = std::thread::Builder::new()
            .name("log-writer".into())
            .spawn(run)
            .map_err(LogError::Thread)?;
        let room = Arc::new(Semaphore::new(queue_bytes_max as usize));
        Ok(Self {
            shared,
            layout,
            queue_bytes_max,
            room,
            writer: Mutex::new(Some((sender, thread))),
        })
    }

    /// Opens a log that another process writes, for reading. Records may be seen up to one sync before they are durable.
    /// A missing folder is an error; an empty one has no topics.
    pub fn open_reader(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self> {
        let state = follow::look(disk.as_ref(), dir)?;
        let layout = Arc::clone(&state.layout);
        let shared = Shared::new(disk, dir, state, true);
        let room = Arc::new(Semaphore::new(0));
        Ok(Self {
            shared,
            layout,
            queue_bytes_max: 0,
            room,
            writer: Mutex::new(None),
        })
    }

    /// Groups a batch by partition and encodes it; refuses all of it when one record cannot be taken.
    fn encode(&self, batch: &[Record]) -> Result<Vec<EncodedRun>> {
        let mut runs: Vec<EncodedRun> = Vec::new();
        let mut open: Vec<(usize, usize)> = Vec::new();
        for record in batch {
            check_record(record)?;
            let (topic, partition) = (record.topic.as_str(), record.partition);
            let slot = self.layout.slot_of(topic, partition)?;
            let at = open.iter().position(|(there, _)| *there == slot);
            let at = at.unwrap_or_else(|| {
                open.push((slot, usize::MAX));
                open.len() - 1
            });
            if runs
                .get(open[at].1)
                .is_none_or(|run| run.body.len() >= RUN_BYTES)
            {
                let topic = self.layout.topic_of(slot) as u16;
                open[at].1 = runs.len();
                runs.push(EncodedRun {
                    topic,
                    partition,
                    slot,
                    count: 0,
                    body: Vec::new(),
                });
            }
            let run = &mut runs[open[at].1];
            codec::encode_record(&mut run.body, record);
            run.count += 1;
        }
        Ok(runs)
    }
}

/// The first segment of a log, or the first with new topics.
fn first_of_layout(
    shared: &Arc<Shared>,
    layout: &Layout,
    ends: &[u64],
    last: Option<u64>,
    settings: &EmbeddedSettings,
) -> Result<(hostread_disk::FrameWriter, Arc<segments::Segment>)> {
    let created_ms = (settings.now_ms)();
    let number = last.map_or(0, |last| last + 1);
    let (frames, segment) = create_segment(shared, number, created_ms, layout, ends)?;
    shared.publish(|state| {
        if let Some(old) = state.segments.back() {
            old.seal();
        }
        state.segments.push_back(Arc::clone(&segment));
    });
    Ok((frames, segment))
}

pub(crate) fn check_record(record: &Record) -> Result<()> {
    let bytes = record.bytes();
    if bytes > RECORD_BYTES_MAX {
        return Err(LogError::TooLarge {
            bytes,
            bytes_max: RECORD_BYTES_MAX,
        });
    }
    let carried = |name: &str| u16::try_from(name.len()).is_ok() && !name.contains('\0');
    match record.headers.iter().find(|(name, _)| !carried(name)) {
        Some((name, _)) => Err(LogError::HeaderName {
            name: name.chars().take(40).collect(),
        }),
        None => Ok(()),
    }
}

#[async_trait]
impl EventLog for EmbeddedLog {
    async fn append(&self, batch: Vec<Record>) -> Result<()> {
        let runs = self.encode(&batch)?;
        drop(batch);
        if runs.is_empty() {
            return Ok(());
        }
        let bytes: usize = runs.iter().map(|run| run.body.len()).sum();
        let permits = u32::try_from(bytes)
            .unwrap_or(u32::MAX)
            .clamp(1, self.queue_bytes_max.max(1));
        let room = Arc::clone(&self.room);
        let sender = {
            let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            writer
                .as_ref()
                .map(|(sender, _)| sender.clone())
                .ok_or(LogError::Closed)?
        };
        let room = room
            .acquire_many_owned(permits)
            .await
            .map_err(|_| LogError::Closed)?;
        let (done, answer) = oneshot::channel();
        sender
            .send(Pending {
                runs,
                bytes,
                done,
                room,
            })
            .map_err(|_| LogError::Closed)?;
        drop(sender);
        answer.await.map_err(|_| LogError::Closed)?
    }

    async fn start_offsets(&self) -> Result<Offsets> {
        if self.shared.follows {
            follow::refresh(&self.shared)?;
        }
        let state = self.shared.state();
        Ok(state.layout.offsets(&state.starts()))
    }

    async fn end_offsets(&self) -> Result<Offsets> {
        if self.shared.follows {
            follow::refresh(&self.shared)?;
        }
        let state = self.shared.state();
        Ok(state.layout.offsets(&state.ends))
    }

    fn topics(&self) -> &[TopicSpec] {
        &self.layout.topics
    }

    fn reader(&self, from: &Offsets) -> Result<Box<dyn LogReader>> {
        Ok(Box::new(EmbeddedReader::new(
            Arc::clone(&self.shared),
            from,
        )?))
    }
}

impl Drop for EmbeddedLog {
    /// Writes what is queued and ends the writer; afterwards the folder can be opened again.
    fn drop(&mut self) {
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some((sender, thread)) = writer {
            drop(sender);
            if thread.join().is_err() {
                warn!("log writer had panicked");
            }
        }
    }
}
