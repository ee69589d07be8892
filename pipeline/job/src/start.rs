//! Starting, restarting and stopping the job.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use hostread_dataflow::{Dataflow, Output, OutputUpdate};
use hostread_disk::Disk;
use hostread_eventlog::{EventLog, Offsets};
use hostread_journal::{Journal, Opened};
use hostread_schemas::fact::Fact;
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{EventTimeMs, Names, Tick};
use hostread_sink_kit::{Archive, Progress, Sink, SinkErrorKind};
use tokio::sync::mpsc::unbounded_channel;

use crate::clock::Pace;
use crate::collect::{Collector, Handover, LOADING_LOOK_EVERY, context_of};
use crate::config::JobConfig;
use crate::cutter::{Cutter, feed};
use crate::decode::Decode;
use crate::error::JobError;
use crate::housekeeping;
use crate::open_tick::OpenTick;
use crate::sequence::{DeadLetters, Sequencer, Threads, sync_when_told};
use crate::sink_task::SinkTask;
use crate::status::{Status, guard};

/// Slices of a load that the dataflow may be behind.
const SLICES_AHEAD: u64 = 4;

/// What a job is made of.
pub struct Parts {
    /// Disk of the journal.
    pub disk: Arc<dyn Disk>,
    /// Folder of the journal.
    pub journal_dir: PathBuf,
    /// Identity of a journal that is created now.
    pub journal_id: u128,
    /// The installation's hash key.
    pub hasher: IdHasher,
    /// Where events come from.
    pub log: Arc<dyn EventLog>,
    /// Reads records.
    pub decode: Decode,
    /// Where rows go.
    pub sinks: Vec<Box<dyn Sink>>,
    /// Where rows are kept that can no longer be computed.
    pub archive: Box<dyn Archive>,
    /// Where records go that cannot be used.
    pub dead_letters: DeadLetters,
}

/// A running job.
pub struct Running {
    /// Where it stands.
    pub status: Arc<Status>,
    /// The names it knows.
    pub names: Names,
    threads: Vec<JoinHandle<()>>,
    sinks: Vec<tokio::task::JoinHandle<()>>,
    journal: Arc<Journal>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Running({:?})", self.status)
    }
}

impl Running {
    /// Stops reading, lets what is durable reach the sinks, closes the journal.
    ///
    /// # Errors
    /// Why the job had stopped on its own, if it had.
    pub async fn stop(self) -> Result<(), String> {
        self.status.stop.store(true, Ordering::Release);
        for thread in self.threads {
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                self.status.fail("a thread of the job panicked".to_owned());
            }
        }
        for sink in self.sinks {
            if sink.await.is_err() {
                self.status.fail("a sink's task panicked".to_owned());
            }
        }
        if let Err(error) = self.journal.close() {
            self.status.fail(describe(&error.into()));
        }
        self.status.failure().map_or(Ok(()), Err)
    }
}

/// An error with its causes, on one line.
pub(crate) fn describe(error: &JobError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Opens journal and sinks, loads what is live, replays what the sinks lack, goes on from the log.
///
/// # Errors
/// When the journal cannot be opened or a sink cannot be owned.
pub async fn start(config: JobConfig, parts: Parts) -> Result<Running, JobError> {
    let Parts {
        disk,
        journal_dir,
        journal_id,
        hasher,
        log,
        decode,
        mut sinks,
        archive,
        dead_letters,
    } = parts;
    let opened =
        tokio::task::spawn_blocking(move || Journal::open(disk, &journal_dir, journal_id, hasher))
            .await
            .map_err(|error| JobError::Dataflow(error.to_string()))??;
    let status = Arc::new(Status::default());
    let owned = own_sinks(&mut sinks, &opened, &status).await?;
    let names = opened.names.clone();
    let dataflow =
        Arc::new(Dataflow::start(config.workers, config.horizons).map_err(JobError::Dataflow)?);
    let handover = Arc::new(Handover::default());
    let mut senders = Vec::new();
    let mut tasks = Vec::new();
    for (sink, Owned { upper, begun }) in sinks.into_iter().zip(owned) {
        let (sender, receiver) = unbounded_channel();
        let name = sink.name();
        senders.push((name, sender));
        let task = SinkTask {
            sink,
            upper,
            begun,
            names: names.clone(),
            status: Arc::clone(&status),
            waiting: handover.waiting_for(name),
            range_every: config.range_every,
            range_rows_max: config.range_rows_max,
        };
        let status = Arc::clone(&status);
        tasks.push(tokio::spawn(async move {
            if let Err(error) = task.run(receiver).await {
                tracing::error!(sink = name, error = %describe(&error), "sink stopped");
                status.fail(describe(&error));
            }
        }));
    }
    let mut collector = Collector {
        dataflow: Arc::clone(&dataflow),
        handover: Arc::clone(&handover),
        status: Arc::clone(&status),
        horizons: config.horizons,
        sinks: senders,
        archive,
        names: names.clone(),
    };
    let Opened {
        journal,
        head,
        offsets,
        released,
        clock,
        last,
        ..
    } = opened;
    let journal = Arc::new(journal);
    let (syncer, told) = sync_channel(1);
    let cutter = Cutter {
        hasher,
        horizons: config.horizons,
        journal: Arc::clone(&journal),
        head,
        clock,
        clock_fed: None,
        released,
        open: OpenTick::default(),
        onward: Threads {
            dataflow,
            handover: Arc::clone(&handover),
            status: Arc::clone(&status),
            syncer,
        },
    };
    let sequencer = Sequencer {
        cutter,
        status: Arc::clone(&status),
        decode,
        dead_letters,
        received_max: clock.0,
        pace: Pace::new(config.clock.clone()),
        config: config.clone(),
    };
    let offsets = resume_offsets(log.as_ref(), offsets).await?;
    let threads = vec![
        thread("sequencer", &status, {
            let status = Arc::clone(&status);
            move || sequence(sequencer, log.as_ref(), &offsets, last, &status)
        }),
        thread("syncer", &status, {
            let (journal, status) = (Arc::clone(&journal), Arc::clone(&status));
            move || sync_when_told(&journal, &told, &handover, &status)
        }),
        thread("collector", &status, move || collector.run()),
        thread("housekeeping", &status, {
            let (journal, status) = (Arc::clone(&journal), Arc::clone(&status));
            move || housekeeping::run(&journal, &status, config.compact_events)
        }),
    ];
    Ok(Running {
        status,
        names,
        threads,
        sinks: tasks,
        journal,
    })
}

/// Every partition of the log: where the journal stands, or its start.
async fn resume_offsets(log: &dyn EventLog, known: Offsets) -> Result<Offsets, JobError> {
    let mut offsets = log.start_offsets().await?;
    offsets.extend(known);
    Ok(offsets)
}

/// Where a sink stands.
struct Owned {
    upper: Tick,
    begun: Tick,
}

/// Takes ownership of every sink and checks that the journal and the sinks fit.
async fn own_sinks(
    sinks: &mut [Box<dyn Sink>],
    opened: &Opened,
    status: &Status,
) -> Result<Vec<Owned>, JobError> {
    let mut owned = Vec::new();
    for sink in sinks {
        let name = sink.name();
        let (progress, begun) = own(sink.as_mut(), opened.journal_id, status).await?;
        let upper = progress.upper;
        if upper.max(begun) > opened.last.next() {
            return Err(JobError::SinkAhead {
                sink: name,
                upper: upper.max(begun),
                last: opened.last,
            });
        }
        if upper.0.saturating_sub(1) < opened.since.0 {
            return Err(JobError::SinkBehind {
                sink: name,
                upper,
                since: opened.since,
            });
        }
        guard(&status.uppers).insert(name, upper);
        owned.push(Owned { upper, begun });
    }
    Ok(owned)
}

/// The progress now ours, and how far an owner before had begun to write.
async fn own(
    sink: &mut dyn Sink,
    journal_id: u128,
    status: &Status,
) -> Result<(Progress, Tick), JobError> {
    let name = sink.name();
    loop {
        match try_own(sink, journal_id).await {
            Ok(progress) => {
                status.set_trouble(name, None);
                return Ok(progress);
            }
            Err(error) if matches!(error.kind(), SinkErrorKind::Dependency { .. }) => {
                tracing::warn!(sink = name, %error, "sink not ready");
                status.set_trouble(name, Some(error.to_string()));
                tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            }
            Err(source) => return Err(JobError::Sink { sink: name, source }),
        }
    }
}

async fn try_own(
    sink: &mut dyn Sink,
    journal_id: u128,
) -> hostread_sink_kit::Result<(Progress, Tick)> {
    sink.migrate().await?;
    let progress = sink.open(journal_id).await?;
    Ok((progress, sink.begun_upper().await?))
}

fn thread(
    name: &'static str,
    status: &Arc<Status>,
    run: impl FnOnce() -> Result<(), JobError> + Send + 'static,
) -> JoinHandle<()> {
    let status = Arc::clone(status);
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            if let Err(error) = run() {
                tracing::error!(thread = name, error = %describe(&error), "the job stopped");
                status.fail(describe(&error));
            }
        })
        .expect("the machine has room for a thread")
}

/// The sequencer's thread: load, replay, then the log.
fn sequence(
    mut sequencer: Sequencer,
    log: &dyn EventLog,
    offsets: &Offsets,
    last: Tick,
    status: &Arc<Status>,
) -> Result<(), JobError> {
    restore(&mut sequencer.cutter, last)?;
    status.loaded.store(true, Ordering::Release);
    let mut reader = log.reader(offsets)?;
    sequencer.run(reader.as_mut())
}

/// Loads the live facts as of the lowest upper and replays the ticks since.
fn restore(cutter: &mut Cutter<Threads>, last: Tick) -> Result<(), JobError> {
    let journal = Arc::clone(&cutter.journal);
    let status = Arc::clone(&cutter.onward.status);
    let dataflow = Arc::clone(&cutter.onward.dataflow);
    let loaded = Tick(status.upper().0.saturating_sub(1));
    let clock = clock_of(&journal, loaded, last, cutter.clock)?;
    // Rows as of `loaded` are in the sinks already; only what they would carry on is kept.
    dataflow.rows_from(loaded.next());
    dataflow.feed(Tick(0), Vec::new(), cutter.new_hour(clock));
    let mut loader = Loader {
        onward: &cutter.onward,
        loaded,
        slices: 0,
        facts: 0,
        updates: Vec::new(),
    };
    journal.load(loaded, &mut |facts| loader.feed(facts))?;
    let facts_count = loader.finish()?;
    status.settled.store(loaded.next().0, Ordering::Release);
    status.fed.store(last.0, Ordering::Release);
    status.durable.store(last.0, Ordering::Release);
    status.clock.store(cutter.clock.0, Ordering::Release);
    tracing::info!(tick = %loaded, facts = facts_count, "loaded the live events");
    if last > loaded {
        replay(cutter, &journal, loaded.next())?;
    }
    Ok(())
}

/// Slices of live facts become ticks before `loaded`, as far as there are any: the dataflow works while
/// the next ones are read.
struct Loader<'a> {
    onward: &'a Threads,
    loaded: Tick,
    slices: u64,
    facts: u64,
    updates: Vec<OutputUpdate>,
}

impl Loader<'_> {
    fn feed(&mut self, facts: Vec<Fact>) {
        let dataflow = &self.onward.dataflow;
        let tick = Tick(self.slices.min(self.loaded.0));
        self.slices += 1;
        self.facts += facts.len() as u64;
        dataflow.feed(
            tick,
            facts.into_iter().map(|fact| (fact, 1)).collect(),
            None,
        );
        if tick < self.loaded {
            dataflow.advance(tick.next());
        }
        while dataflow.completed().0 + SLICES_AHEAD < tick.0 && !dataflow.failed() {
            dataflow.pause(LOADING_LOOK_EVERY, &mut self.updates);
            self.keep();
        }
    }

    /// Waits for all; returns how many facts there were.
    fn finish(mut self) -> Result<u64, JobError> {
        let dataflow = &self.onward.dataflow;
        dataflow.advance(self.loaded.next());
        if !dataflow.wait(self.loaded.next(), &mut self.updates) {
            return Err(JobError::Dataflow("a worker died while loading".to_owned()));
        }
        self.keep();
        Ok(self.facts)
    }

    fn keep(&mut self) {
        let material = self
            .updates
            .drain(..)
            .filter_map(|(output, _, diff)| match output {
                Output::Material(material) => Some((material, diff)),
                Output::Row(_) => None,
            });
        self.onward.handover.keep(material);
    }
}

fn replay(cutter: &mut Cutter<Threads>, journal: &Journal, from: Tick) -> Result<(), JobError> {
    let mut ticks = 0_u64;
    for record in journal.ticks(from)? {
        let record = record?;
        let new_hour = cutter.new_hour(record.clock);
        let onward = &cutter.onward;
        onward.handover.expect(context_of(&record));
        let tick = record.tick;
        feed(&onward.dataflow, record, new_hour);
        ticks += 1;
        // At most a few ticks in flight, as while running.
        let behind = Tick(tick.0.saturating_sub(16));
        if !onward.handover.wait_settled(behind, &onward.status) {
            break;
        }
    }
    tracing::info!(ticks, "replayed the tick log");
    Ok(())
}

/// The clock of a tick; `newest` is the clock of the last one.
fn clock_of(
    journal: &Journal,
    tick: Tick,
    last: Tick,
    newest: EventTimeMs,
) -> Result<EventTimeMs, JobError> {
    if tick == last {
        return Ok(newest);
    }
    if tick <= journal.since() {
        return Ok(EventTimeMs(0));
    }
    match journal.ticks(tick)?.next() {
        Some(record) => Ok(record?.clock),
        None => Ok(newest),
    }
}
