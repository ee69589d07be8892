//! The job without threads of its own: whoever drives it says what happens next.
//!
//! Promises: the parts are those of [`crate::start`]; one seed that decides every step decides every
//! row, whatever the machine does. For simulators.
//! Leaves out: pauses, retries and limits of time; they are the driver's.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use hostread_dataflow::changes::Updates;
use hostread_eventlog::LogReader;
use hostread_journal::Journal;
use hostread_schemas::Tick;
use hostread_sink_kit::RangeBatch;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::collect::{Collector, SettledTick};
use crate::config::JobConfig;
use crate::error::JobError;
use crate::feeder::{Beside, sync};
use crate::housekeeping;
use crate::restore::restore;
use crate::sequence::Sequencer;
use crate::sink_task::{Range, SinkTask};
use crate::start::{Job, Parts, assemble, own_sinks};
use crate::status::{Status, guard};

/// See the module.
pub struct ByHand {
    sequencer: Sequencer,
    collecting: Collecting,
    sinks: Vec<Writing>,
    reader: Box<dyn LogReader>,
    /// The newest tick that the journal had when it was opened.
    pub opened_at: Tick,
}

impl std::fmt::Debug for ByHand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ByHand({:?})", self.collecting.status)
    }
}

/// A sink, the range that gathers for it and the one that is being written.
pub struct Writing {
    task: SinkTask,
    ticks: UnboundedReceiver<Arc<SettledTick>>,
    range: Range,
    held: Option<RangeBatch>,
}

impl std::fmt::Debug for Writing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Writing({}, {})", self.task.sink.name(), self.task.upper)
    }
}

impl ByHand {
    /// Starts or starts again, as [`crate::start`] does: opens journal and sinks, loads, replays.
    ///
    /// # Errors
    /// When the journal cannot be opened or a sink cannot be owned.
    pub async fn start(config: &JobConfig, mut parts: Parts) -> Result<Self, JobError> {
        let (disk, dir) = (Arc::clone(&parts.disk), &parts.journal_dir);
        let opened = Journal::open(disk, dir, parts.journal_id, parts.hasher)?;
        let status = Arc::new(Status::default());
        let owned = own_sinks(&mut parts.sinks, &opened, &status).await?;
        let log = Arc::clone(&parts.log);
        let beside = |journal: &_, collector: Collector| {
            let collecting = Collecting {
                journal: Arc::clone(journal),
                status: Arc::clone(&collector.status),
                collector: Arc::new(Mutex::new((collector, Updates::default()))),
            };
            let beside: Box<dyn Beside> = Box::new(collecting.clone());
            (beside, collecting)
        };
        let Job {
            mut sequencer,
            collecting,
            sinks,
            offsets,
            last,
            refills,
            ..
        } = assemble(config, parts, opened, owned, &status, beside).await?;
        restore(&mut sequencer.cutter, last, refills)?;
        collecting.turn(last)?;
        status.loaded.store(true, Ordering::Release);
        let writing = |(task, ticks): (SinkTask, _)| Writing {
            range: task.next_range(),
            task,
            ticks,
            held: None,
        };
        Ok(Self {
            sequencer,
            collecting,
            sinks: sinks.into_iter().map(writing).collect(),
            reader: log.reader(&offsets)?,
            opened_at: last,
        })
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.collecting.journal
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.collecting.status
    }

    /// Reads what the log gives now and cuts what is due; `false` when a limit says to wait.
    ///
    /// # Errors
    /// When the job must stop.
    pub fn read(&mut self) -> Result<bool, JobError> {
        let read = self.sequencer.turn(self.reader.as_mut());
        self.failed()?;
        read
    }

    /// Cuts the open tick, as its age does.
    ///
    /// # Errors
    /// When the job must stop.
    pub fn close(&mut self) -> Result<(), JobError> {
        let closed = self.sequencer.close();
        self.failed()?;
        closed
    }

    /// Makes durable what is cut.
    ///
    /// # Errors
    /// When the job must stop.
    pub fn sync(&mut self) -> Result<(), JobError> {
        sync(&self.collecting.journal, self.status())
    }

    /// Gives what is durable and complete to the sinks; every tick that was fed is waited for.
    ///
    /// # Errors
    /// When the job must stop.
    pub fn collect(&mut self) -> Result<(), JobError> {
        self.collecting.turn(self.status().fed())
    }

    /// Compacts the journal behind the slowest sink.
    ///
    /// # Errors
    /// When the job must stop.
    pub fn compact(&mut self) -> Result<(), JobError> {
        housekeeping::compact(&self.collecting.journal, self.status())
    }

    /// The sinks.
    pub fn sinks(&mut self) -> &mut [Writing] {
        &mut self.sinks
    }

    /// The process ends; what it was writing may go on.
    #[must_use]
    pub fn into_sinks(self) -> Vec<Writing> {
        self.sinks
    }

    /// What failed first is why, whatever failed behind it.
    fn failed(&self) -> Result<(), JobError> {
        self.status()
            .failure()
            .map_or(Ok(()), |why| Err(JobError::Stopped(why)))
    }
}

impl Writing {
    /// Adds up to so many settled ticks to the range, unless one is being written.
    pub fn gather(&mut self, ticks_max: usize) {
        if self.held.is_some() {
            return;
        }
        for _ in 0..ticks_max {
            let Ok(tick) = self.ticks.try_recv() else {
                return;
            };
            self.task.take(&mut self.range, tick);
        }
    }

    /// What is written next: the range that was tried before, or the one gathered, if it may end.
    ///
    /// # Errors
    /// When the ticks do not follow each other.
    pub fn pending(&mut self) -> Result<Option<&RangeBatch>, JobError> {
        if self.held.is_none() && self.task.may_end(&self.range) {
            self.held = Some(self.task.batch(&self.range)?);
        }
        Ok(self.held.as_ref())
    }

    /// Tries to write it once; `false` when there is nothing or it may work later.
    ///
    /// # Errors
    /// When the sink refuses it for good.
    pub async fn write(&mut self) -> Result<bool, JobError> {
        let Some(batch) = &self.held else {
            return Ok(false);
        };
        let written = self.task.write(&self.range, batch).await?;
        if written {
            self.held = None;
            self.range = self.task.next_range();
        }
        Ok(written)
    }

    /// Every tick below is written, as far as this owner knows.
    #[must_use]
    pub const fn upper(&self) -> Tick {
        self.task.upper
    }
}

/// Collects when it is told, and when the sequencer waits for it.
#[derive(Clone)]
struct Collecting {
    journal: Arc<Journal>,
    status: Arc<Status>,
    /// With what came out of the dataflow and did not leave yet.
    collector: Arc<Mutex<(Collector, Updates)>>,
}

impl Collecting {
    /// Waits until a tick is complete, then gives on what is durable as well.
    fn turn(&self, tick: Tick) -> Result<(), JobError> {
        let mut collector = guard(&self.collector);
        let (collector, updates) = &mut *collector;
        if !collector.dataflow.wait(tick.next(), updates) {
            return Err(JobError::Dataflow("a worker died".to_owned()));
        }
        collector.turn(updates).map(drop)
    }

    /// Until a tick has left.
    fn through(&self, tick: Tick) -> Result<(), JobError> {
        let status = &self.status;
        if status.durable() < tick {
            sync(&self.journal, status)?;
        }
        if status.settled() <= tick {
            self.turn(tick)?;
        }
        Ok(())
    }
}

impl Beside for Collecting {
    fn tell(&mut self) {}

    fn wait_settled(&mut self, tick: Tick) -> bool {
        if let Err(error) = self.through(tick) {
            self.status.fail(error.in_full());
        }
        !self.status.stopping()
    }
}
