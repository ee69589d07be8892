//! One run: a seed draws what happens next, until everything has arrived and nothing waits.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hostread_disk::SimDisk;
use hostread_job::by_hand::{ByHand, Writing};
use hostread_job::{Clock, Decode, JobConfig, JobError, Parts};
use hostread_rules::Horizons;
use hostread_schemas::event::Event;
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{DAY_MS, Decoder, EventTimeMs, HOUR_MS, Tick};
use hostread_simulate::rng::Rng;
use hostread_simulate::{Mix1, Mix1Config};
use hostread_sink_archive::ArchiveSink;
use hostread_sink_kit::{FailPoint, Sink};
use tokio::runtime::Runtime;

use crate::net::{Doors, Place, SimLog, schema_ids};
use crate::shown::Shown;
use crate::sink::{Fate, SINKS, Server};
use crate::tape::Tape;
use crate::trouble::Reason;

/// Small enough that days are sealed, and given back, within a run.
pub(crate) const HORIZONS: Horizons = Horizons {
    lateness_ms: DAY_MS,
    horizon_days: 1,
    publish_after_ms: DAY_MS,
    lookback_days: 1,
    conversion_days: 6,
};
pub(crate) const HASHER: IdHasher = IdHasher::new(*b"simulated ids   ");
/// 2026-02-25: a month ends within a run.
const START_MS: i64 = 20_509 * DAY_MS;
pub(crate) const MINUTE_MS: i64 = 60_000;
/// Steps kept to be shown.
const TRACE_MAX: usize = 60;
/// Nothing takes longer than this to be tried again: more is a livelock.
const TRIES_MAX: u32 = 200;

thread_local! {
    /// What this thread's run did last.
    static TRACE: RefCell<VecDeque<String>> = const { RefCell::new(VecDeque::new()) };
}

/// The last steps of the run on this thread.
pub(crate) fn trace() -> String {
    TRACE.with_borrow(|trace| trace.iter().cloned().collect::<Vec<_>>().join("\n"))
}

/// What a run went through.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    pub(crate) steps: u64,
    pub(crate) ticks: u64,
    pub(crate) rows: u64,
    pub(crate) restarts: u64,
    /// Of these, at a power failure in the middle of something.
    pub(crate) power_failures: u64,
    /// Power failures while a start was under way.
    pub(crate) in_recovery: u64,
    pub(crate) compactions: u64,
    pub(crate) releases: u64,
    pub(crate) fenced: u64,
    pub(crate) broken_ranges: u64,
    pub(crate) restated: u64,
    /// Sinks that were emptied.
    pub(crate) emptied: u64,
    pub(crate) hash: u64,
}

/// The sink's part of the world.
pub(crate) struct Side {
    pub(crate) server: Server,
    pub(crate) shown: Shown,
}

pub(crate) struct Sim {
    pub(crate) rng: Rng,
    pub(crate) runtime: Runtime,
    now: Arc<AtomicI64>,
    pub(crate) disk: SimDisk,
    pub(crate) log: SimLog,
    doors: Doors<Box<dyn Iterator<Item = Event>>>,
    dead: Arc<Mutex<BTreeSet<(Place, u64)>>>,
    pub(crate) sides: Vec<Side>,
    pub(crate) job: Option<ByHand>,
    /// Sinks of processes that ended while they wrote.
    pub(crate) past: Vec<(usize, Writing)>,
    pub(crate) reasons: Vec<Reason>,
    tape: Tape,
    compacts: bool,
    pub(crate) seen: Seen,
}

impl Sim {
    pub(crate) fn new(seed: u64) -> Self {
        TRACE.with_borrow_mut(VecDeque::clear);
        let root = Rng::new(seed);
        let mut rng = root.part("steps");
        let days = 4 + rng.below(6) as u32;
        let mix = Mix1::new(Mix1Config {
            seed,
            events: u64::from(days) * (60 + rng.below(140)),
            days,
            start: EventTimeMs(START_MS),
            lookback_hours: 24,
        });
        let log = SimLog::new();
        let events: Box<dyn Iterator<Item = Event>> = Box::new(mix.events());
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        Self {
            runtime: runtime.unwrap(),
            now: Arc::new(AtomicI64::new(START_MS)),
            disk: SimDisk::new(seed),
            doors: Doors::new(log.clone(), events),
            log,
            dead: Arc::default(),
            sides: SINKS
                .iter()
                .map(|(_, views)| Side {
                    server: Server::default(),
                    shown: Shown::new(views),
                })
                .collect(),
            job: None,
            past: Vec::new(),
            reasons: Vec::new(),
            tape: Tape::new(1 + rng.index(2), HORIZONS),
            compacts: rng.chance(3, 4),
            seen: Seen::default(),
            rng,
        }
    }

    /// Runs to the end.
    pub(crate) fn run(mut self) -> Seen {
        while !self.doors.is_over() {
            self.step();
        }
        self.drain();
        self.compare_archive(self.tape.last());
        crate::end::check(
            &self.tape,
            &self.log,
            &self.dead(),
            &self.sides[0].shown,
            &mut self.rng,
        );
        self.seen.ticks = self.tape.last().0;
        let released = self.tape.ticks().iter().filter(|t| t.release.is_some());
        self.seen.releases = released.count() as u64;
        self.seen.rows = self.sides[0].shown.rows().len() as u64;
        self.seen.restated = self.sides.iter().map(|side| side.shown.restated).sum();
        self.seen.hash = self.rng.next_u64();
        self.seen
    }

    fn dead(&self) -> BTreeSet<(Place, u64)> {
        let dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        dead.clone()
    }

    fn now(&self) -> i64 {
        self.now.load(Ordering::Relaxed)
    }

    pub(crate) fn note(&mut self, what: impl FnOnce(&Self) -> String) {
        self.seen.steps += 1;
        let line = format!(
            "{:>5} {} tick {} uppers {}/{}: {}",
            self.seen.steps,
            EventTimeMs(self.now()),
            self.tape.last(),
            self.sides[0].shown.upper(),
            self.sides[1].shown.upper(),
            what(self)
        );
        TRACE.with_borrow_mut(|trace| {
            if trace.len() == TRACE_MAX {
                trace.pop_front();
            }
            trace.push_back(line);
        });
    }

    /// Time goes on; what is under way arrives.
    pub(crate) fn wait(&mut self, ms: i64) {
        self.now.fetch_add(ms, Ordering::Relaxed);
        let now = self.now();
        self.doors.go_to(now, &mut self.rng);
        self.note(|_| format!("{} minutes go by", ms / MINUTE_MS));
    }

    fn step(&mut self) {
        if self.job.is_none() {
            self.start(false);
            return;
        }
        match self.rng.below(1_000) {
            0..300 => {
                let ms = self.rng.range(0, 90 * MINUTE_MS);
                self.wait(ms);
            }
            300..550 => self.read(false),
            550..570 => self.act("close", ByHand::close),
            570..700 => self.act("sync", ByHand::sync),
            700..800 => self.act("collect", ByHand::collect),
            800..950 => {
                let sink = self.rng.index(SINKS.len() + 1);
                if sink == SINKS.len() {
                    let ticks_max = 1 + self.rng.index(40);
                    self.write_archive(ticks_max);
                } else {
                    self.write(sink, false);
                }
            }
            950..970 if self.compacts => self.compact(),
            950..975 => self.write_late(),
            _ => self.trouble(),
        }
    }

    pub(crate) fn read(&mut self, as_given: bool) {
        if !as_given {
            let now = self.now();
            self.doors.give(now, false, &mut self.rng);
        }
        self.act("read", |job| job.read().map(drop));
    }

    /// Lets the job do something; looks at what it did.
    fn act(&mut self, what: &str, act: impl FnOnce(&mut ByHand) -> Result<(), JobError>) {
        self.note(|_| what.to_owned());
        let Some(job) = &mut self.job else { return };
        match act(job) {
            Ok(()) => self.tape.follow(job.journal()),
            Err(error) => self.stopped(&error),
        }
    }

    fn compact(&mut self) {
        self.act("compact", ByHand::compact);
        let Some(job) = &self.job else { return };
        let since = job.journal().since();
        let below = |upper: Tick| since < upper || since.0 == 0;
        // One that was emptied does not hold anything back; it is filled as of `since`.
        let filled = self.sides.iter().filter(|side| !side.shown.is_empty());
        let uppers = filled.map(|side| side.server.upper());
        assert!(uppers.into_iter().all(below), "invariant 3: {since}");
        self.tape.compare_live(job.journal());
        self.seen.compactions += 1;
    }

    /// The archive lies on the simulated disk: no network, but what happens to a disk.
    fn write_archive(&mut self, ticks_max: usize) {
        self.act("archive", |_| Ok(()));
        let Some(job) = &mut self.job else { return };
        let writing = &mut job.sinks()[SINKS.len()];
        writing.gather(ticks_max);
        let result = writing.pending().map(drop);
        let written = result.and_then(|()| self.runtime.block_on(writing.write()));
        if let Err(error) = written {
            self.stopped(&error);
        }
    }

    /// Lets a sink gather and try to write.
    fn write(&mut self, sink: usize, calm: bool) {
        let fate = match self.rng.below(if calm { 1 } else { 12 }) {
            1 => Some(Fate::Lost),
            2 => Some(Fate::Breaks(FailPoint::BeforeData)),
            3 => Some(Fate::Breaks(FailPoint::AfterRows(self.rng.index(30)))),
            4 => Some(Fate::Breaks(FailPoint::BeforeProgress)),
            5 => Some(Fate::Breaks(FailPoint::AfterProgress)),
            6 => Some(Fate::Twice),
            _ => None,
        };
        let ticks_max = if calm {
            usize::MAX
        } else {
            1 + self.rng.index(40)
        };
        let Some(job) = &mut self.job else { return };
        let writing = &mut job.sinks()[sink];
        writing.gather(ticks_max);
        let Some(upper) = writing.pending().unwrap().map(|batch| batch.upper) else {
            return;
        };
        let side = &self.sides[sink];
        let before = side.server.store.rows_written();
        side.server.next(fate);
        let written = self.runtime.block_on(writing.write()).unwrap();
        side.server.next(None);
        let rows = side.server.store.rows_written() - before;
        let changed = side.shown.changed(&self.tape, upper);
        assert!(
            rows <= changed,
            "invariant 7: {rows} rows for {changed} changes"
        );
        self.note(|_| format!("sink {sink} to {upper}: {fate:?}, written: {written}"));
        assert!(
            written || fate.is_some(),
            "invariant 9: a range was refused"
        );
        self.seen.broken_ranges += u64::from(!written);
        let side = &mut self.sides[sink];
        if side.server.upper() > side.shown.upper() {
            side.shown.follow(&self.tape, &side.server, &HORIZONS);
        }
    }

    /// Starts the job, again and again until it starts.
    fn start(&mut self, calm: bool) {
        self.seen.restarts += 1;
        for tries in 0.. {
            assert!(tries < TRIES_MAX, "invariant 9: the job does not start");
            if !calm && self.rng.chance(1, 4) {
                self.disk
                    .power_off_at(self.disk.steps() + 1 + self.rng.below(12));
                self.reasons.push(Reason::Power);
            }
            let workers = 1 + self.rng.index(3);
            let config = self.config(workers);
            let parts = self.parts();
            match self.runtime.block_on(ByHand::start(&config, parts)) {
                Ok(job) => {
                    let opened_at = job.opened_at;
                    self.note(|_| format!("started with {workers} workers at {opened_at}"));
                    let since = job.journal().since();
                    for side in &mut self.sides {
                        side.shown.filled_again(since);
                    }
                    self.tape.compare(job.journal());
                    self.compare_archive(since);
                    self.job = Some(job);
                    return;
                }
                Err(error) => {
                    self.stopped(&error);
                    self.end_troubles();
                    self.seen.in_recovery += 1;
                }
            }
        }
    }

    fn config(&mut self, workers: usize) -> JobConfig {
        let now = Arc::clone(&self.now);
        JobConfig {
            workers,
            horizons: HORIZONS,
            tick_events_max: 20 + self.rng.index(60),
            tick_open_max: Duration::from_millis(20 * MINUTE_MS as u64),
            clock: Clock::Wall(Arc::new(move || now.load(Ordering::Relaxed))),
            ..JobConfig::default()
        }
    }

    fn archive(&self) -> ArchiveSink {
        ArchiveSink::new(Arc::new(self.disk.clone()), Path::new("/journal/archive"))
    }

    fn compare_archive(&self, through: Tick) {
        let known = self.runtime.block_on(self.archive().known(through));
        self.tape.compare_archive(&known.unwrap(), through);
    }

    fn parts(&self) -> Parts {
        let dead = Arc::clone(&self.dead);
        let sink = |(number, side): (usize, &Side)| side.server.sink(number);
        Parts {
            disk: Arc::new(self.disk.clone()),
            journal_dir: PathBuf::from("/journal"),
            journal_id: 7,
            hasher: HASHER,
            log: Arc::new(self.log.clone()),
            decode: Decode::new(Decoder::current(&schema_ids()), Box::new(|_| None)),
            sinks: self
                .sides
                .iter()
                .enumerate()
                .map(sink)
                .chain([Box::new(self.archive()) as Box<dyn Sink>])
                .collect(),
            dead_letters: Box::new(move |letter| {
                let record = letter.record;
                let place = (record.topic.to_string(), record.partition);
                let mut dead = dead.lock().unwrap_or_else(PoisonError::into_inner);
                dead.insert((place, record.offset));
            }),
        }
    }

    /// Everything has arrived and nothing fails any more: the job reads to the end and rests.
    fn drain(&mut self) {
        self.kill();
        self.end_troubles();
        self.start(true);
        for _ in 0..TRIES_MAX {
            self.wait(HOUR_MS);
            let now = self.now();
            self.doors.give(now, true, &mut self.rng);
            self.act("read all", |job| job.read().map(drop));
            self.act("close", ByHand::close);
            self.act("sync", ByHand::sync);
            self.act("collect", ByHand::collect);
            for sink in 0..SINKS.len() {
                self.write(sink, true);
            }
            self.write_archive(usize::MAX);
            let job = self.job.as_ref().expect("nothing fails any more");
            if job.status().caught_up() {
                self.compact();
                return;
            }
        }
        panic!("invariant 9: the job does not come to rest");
    }
}
