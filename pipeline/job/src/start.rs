//! Starting, restarting and stopping the job.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use hostread_dataflow::Dataflow;
use hostread_disk::Disk;
use hostread_eventlog::{EventLog, Offsets};
use hostread_journal::{Journal, Opened};
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{Names, Tick};
use hostread_sink_kit::{Known, Progress, Sink, SinkErrorKind};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::backlog::Backlog;
use crate::clock::Pace;
use crate::collect::{Collector, Handover, Outlet, SettledTick};
use crate::config::JobConfig;
use crate::cutter::Cutter;
use crate::decode::Decode;
use crate::error::{JobError, in_full};
use crate::feeder::{Beside, Feeder, Threads, sync_when_told};
use crate::housekeeping;
use crate::open_tick::OpenTick;
use crate::restore::restore;
use crate::sequence::{DeadLetters, Sequencer};
use crate::sink_task::SinkTask;
use crate::status::{Status, guard};
use crate::tell::Telling;

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
    tellings: Vec<Telling>,
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
        for telling in self.tellings {
            telling.stop().await;
        }
        if let Err(error) = self.journal.close() {
            self.status.fail(JobError::from(error).in_full());
        }
        self.status.failure().map_or(Ok(()), Err)
    }
}

/// Opens journal and sinks, loads what is live, replays what the sinks lack, goes on from the log.
///
/// # Errors
/// When the journal cannot be opened or a sink cannot be owned.
pub async fn start(config: JobConfig, mut parts: Parts) -> Result<Running, JobError> {
    let (disk, dir) = (Arc::clone(&parts.disk), parts.journal_dir.clone());
    let (journal_id, hasher) = (parts.journal_id, parts.hasher);
    let opened = tokio::task::spawn_blocking(move || Journal::open(disk, &dir, journal_id, hasher))
        .await
        .map_err(|error| JobError::Dataflow(error.to_string()))??;
    let status = Arc::new(Status::default());
    let owned = own_sinks(&mut parts.sinks, &opened, &status).await?;
    let log = Arc::clone(&parts.log);
    let (syncer, told) = sync_channel(1);
    let beside = |_: &_, collector: Collector| {
        let (handover, status) = (
            Arc::clone(&collector.handover),
            Arc::clone(&collector.status),
        );
        let threads: Box<dyn Beside> = Box::new(Threads {
            syncer,
            handover,
            status,
        });
        (threads, collector)
    };
    let Job {
        mut sequencer,
        mut collecting,
        sinks,
        journal,
        offsets,
        last,
        refills,
    } = assemble(&config, parts, opened, owned, &status, beside).await?;
    let names = sequencer.cutter.head.names().clone();
    let handover = Arc::clone(&collecting.handover);
    let (mut tasks, mut tellings) = (Vec::new(), Vec::new());
    for (task, receiver) in sinks {
        let teller = task.sink.teller();
        tellings.extend(teller.map(|teller| Telling::start(teller, &status, &config.clock)));
        let status = Arc::clone(&status);
        tasks.push(tokio::spawn(async move {
            let name = task.sink.name();
            if let Err(error) = task.run(receiver).await {
                tracing::error!(sink = name, error = %error.in_full(), "sink stopped");
                status.fail(error.in_full());
            }
        }));
    }
    let threads = vec![
        thread("sequencer", &status, {
            let status = Arc::clone(&status);
            move || {
                restore(&mut sequencer.cutter, last, refills)?;
                status.loaded.store(true, Ordering::Release);
                let mut reader = log.reader(&offsets)?;
                sequencer.run(reader.as_mut())
            }
        }),
        thread("syncer", &status, {
            let (journal, status) = (Arc::clone(&journal), Arc::clone(&status));
            move || sync_when_told(&journal, &told, &handover, &status)
        }),
        thread("collector", &status, move || collecting.run()),
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
        tellings,
        journal,
    })
}

/// A job whose parts do not run yet.
pub(crate) struct Job<C> {
    pub(crate) sequencer: Sequencer,
    /// Whoever collects.
    pub(crate) collecting: C,
    /// Each with the settled ticks that wait for it.
    pub(crate) sinks: Vec<(SinkTask, UnboundedReceiver<Arc<SettledTick>>)>,
    pub(crate) journal: Arc<Journal>,
    /// Where to go on in the log.
    pub(crate) offsets: Offsets,
    /// The journal's newest tick.
    pub(crate) last: Tick,
    /// A sink was emptied and is filled again.
    pub(crate) refills: bool,
}

/// Puts the parts together; `beside` says who makes ticks durable and collects their output.
pub(crate) async fn assemble<C>(
    config: &JobConfig,
    parts: Parts,
    opened: Opened,
    owned: Vec<Owned>,
    status: &Arc<Status>,
    beside: impl FnOnce(&Arc<Journal>, Collector) -> (Box<dyn Beside>, C),
) -> Result<Job<C>, JobError> {
    let resumed = resume(parts.log.as_ref(), opened.offsets, config.skip_lost).await?;
    let dataflow =
        Arc::new(Dataflow::start(config.workers, config.horizons).map_err(JobError::Dataflow)?);
    let handover = Arc::new(Handover::default());
    let mut senders = Vec::new();
    let mut sinks = Vec::new();
    let refills = owned.iter().any(|owned| owned.is_empty);
    let known = if refills {
        archived(&parts.sinks, opened.since).await?
    } else {
        Known::new()
    };
    for (sink, owned) in parts.sinks.into_iter().zip(owned) {
        let Owned {
            upper,
            begun,
            is_empty,
        } = owned;
        let (sender, receiver) = unbounded_channel();
        let name = sink.name();
        senders.push(Outlet {
            name,
            sender,
            is_empty,
        });
        let task = SinkTask {
            sink,
            upper,
            begun,
            names: opened.names.clone(),
            clock: config.clock.clone(),
            status: Arc::clone(status),
            range_every: config.range_every,
            range_rows_max: config.range_rows_max,
        };
        sinks.push((task, receiver));
    }
    let collector = Collector {
        dataflow: Arc::clone(&dataflow),
        handover: Arc::clone(&handover),
        status: Arc::clone(status),
        horizons: config.horizons,
        sinks: senders,
        known,
    };
    let journal = Arc::new(opened.journal);
    let (beside, collecting) = beside(&journal, collector);
    let cutter = Cutter {
        hasher: parts.hasher,
        horizons: config.horizons,
        journal: Arc::clone(&journal),
        head: opened.head,
        clock: opened.clock,
        clock_fed: None,
        released: opened.released,
        open: OpenTick::at(resumed.skipped_to),
        onward: Feeder {
            dataflow,
            handover,
            status: Arc::clone(status),
            beside,
        },
    };
    let sequencer = Sequencer {
        cutter,
        status: Arc::clone(status),
        decode: parts.decode,
        dead_letters: parts.dead_letters,
        received_max: opened.clock.0,
        backlog: Backlog::default(),
        pace: Pace::new(config.clock.clone()),
        unread: VecDeque::new(),
        schema_asked_again_ms: None,
        config: config.clone(),
    };
    Ok(Job {
        sequencer,
        collecting,
        sinks,
        journal,
        offsets: resumed.offsets,
        last: opened.last,
        refills,
    })
}

/// Where to go on in the log.
struct Resumed {
    /// In every partition.
    offsets: Offsets,
    /// Those where lost records are given up: the journal does not know yet.
    skipped_to: Offsets,
}

/// Every partition of the log: where the journal stands, or its start. What the log lost in between is a gap that nobody
/// passes over unasked.
async fn resume(log: &dyn EventLog, known: Offsets, skip_lost: bool) -> Result<Resumed, JobError> {
    let mut offsets = log.start_offsets().await?;
    let mut skipped_to = Offsets::new();
    for ((topic, partition), wanted) in known {
        let offset = offsets.entry((topic.clone(), partition)).or_insert(wanted);
        let start = *offset;
        if start <= wanted {
            *offset = wanted;
        } else if skip_lost {
            tracing::error!(
                topic,
                partition,
                from = wanted,
                to = start,
                "records are lost"
            );
            skipped_to.insert((topic, partition), start);
        } else {
            return Err(JobError::LogLost {
                topic,
                partition,
                wanted,
                start,
            });
        }
    }
    Ok(Resumed {
        offsets,
        skipped_to,
    })
}

/// Where a sink stands.
pub(crate) struct Owned {
    upper: Tick,
    begun: Tick,
    /// It was emptied, and the journal no longer begins at its beginning: it is filled as of there.
    is_empty: bool,
}

/// Takes ownership of every sink and checks that the journal and the sinks fit.
pub(crate) async fn own_sinks(
    sinks: &mut [Box<dyn Sink>],
    opened: &Opened,
    status: &Status,
) -> Result<Vec<Owned>, JobError> {
    let mut owned = Vec::new();
    for sink in sinks {
        let name = sink.name();
        let (progress, begun) = own(sink.as_mut(), opened.journal_id, status).await?;
        let (upper, since, last) = (progress.upper, opened.since, opened.last);
        let is_ahead = upper.max(begun) > last.next();
        let is_behind = upper.0.saturating_sub(1) < since.0;
        let is_empty = is_behind && upper == Tick(0);
        if sink.is_archive() && (is_ahead || is_behind) {
            return Err(JobError::ArchiveApart {
                sink: name,
                upper: upper.max(begun),
                since,
                last,
            });
        }
        if is_ahead {
            return Err(JobError::SinkAhead {
                sink: name,
                upper: upper.max(begun),
                last,
            });
        }
        if is_behind && !is_empty {
            return Err(JobError::SinkBehind {
                sink: name,
                upper,
                since,
            });
        }
        let replay_from = if is_empty { since.next() } else { upper };
        guard(&status.uppers).insert(name, replay_from);
        fail::fail_point!("start.sink_owned");
        owned.push(Owned {
            upper,
            begun,
            is_empty,
        });
    }
    Ok(owned)
}

/// What is archived through a tick.
async fn archived(sinks: &[Box<dyn Sink>], through: Tick) -> Result<Known, JobError> {
    let mut known = Known::new();
    for sink in sinks {
        let sink_knows = sink.known(through).await;
        let name = sink.name();
        known.extend(sink_knows.map_err(|source| JobError::Sink { sink: name, source })?);
    }
    Ok(known)
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
                let why = in_full(&error);
                tracing::warn!(sink = name, error = why, "sink not ready");
                status.set_trouble(name, Some(why));
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
                tracing::error!(thread = name, error = %error.in_full(), "the job stopped");
                status.fail(error.in_full());
            }
        })
        .expect("the machine has room for a thread")
}
