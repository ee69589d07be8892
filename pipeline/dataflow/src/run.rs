//! Runs the dataflow on its own threads, fed and read over channels.
//!
//! Promises: when [`Dataflow::completed`] is past a tick, every update of that tick has been or can
//! be drained. Invariant 1: ticks are fed in order.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hostread_rules::publish::Horizons;
use hostread_schemas::fact::{Fact, FactBody};
use hostread_schemas::{EventTimeMs, Tick};
use timely::WorkerConfig;
use timely::communication::{Config as CommunicationConfig, WorkerGuards};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Probe;
use timely::dataflow::operators::generic::operator::Operator;
use timely::worker::Worker;

use crate::count::route;
use crate::output::Output;
use crate::{Inputs, Recount, build};

/// An update of an output: what, when, how often.
pub type OutputUpdate = (Output, u64, i64);

/// Steps without work are this far apart while other workers still are at it.
const IDLE_STEP: Duration = Duration::from_micros(50);
/// How long a worker without work waits for its next command before it looks around.
const IDLE_WAIT: Duration = Duration::from_millis(20);

enum Command {
    Feed {
        tick: Tick,
        facts: Vec<(Fact, i64)>,
        clock: Option<EventTimeMs>,
    },
    Advance(Tick),
}

/// A running dataflow.
pub struct Dataflow {
    commands: Vec<Sender<Command>>,
    outputs: Mutex<Receiver<Vec<OutputUpdate>>>,
    completed: Vec<Arc<AtomicU64>>,
    rows_from: Arc<AtomicU64>,
    recount: Arc<Recount>,
    failed: Arc<AtomicBool>,
    workers: Mutex<Option<WorkerGuards<()>>>,
}

impl std::fmt::Debug for Dataflow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Dataflow({} workers, {})",
            self.commands.len(),
            self.completed()
        )
    }
}

/// What one worker starts with.
struct Seat {
    commands: Receiver<Command>,
    outputs: Sender<Vec<OutputUpdate>>,
    completed: Arc<AtomicU64>,
    rows_from: Arc<AtomicU64>,
    recount: Arc<Recount>,
    failed: Arc<AtomicBool>,
}

/// Says so when its worker dies.
struct Alarm<'a>(&'a AtomicBool);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Release);
        }
    }
}

impl Dataflow {
    /// Starts `workers` threads (at least one).
    ///
    /// # Errors
    /// When the threads cannot be started.
    pub fn start(workers: usize, horizons: Horizons) -> Result<Self, String> {
        let workers = workers.max(1);
        let (output_sender, outputs) = channel();
        let mut commands = Vec::new();
        let mut completed = Vec::new();
        let mut seats = Vec::new();
        let failed = Arc::new(AtomicBool::new(false));
        let rows_from = Arc::new(AtomicU64::new(0));
        let recount = Arc::new(Recount::default());
        for _ in 0..workers {
            let (command_sender, command_receiver) = channel();
            let reached = Arc::new(AtomicU64::new(0));
            commands.push(command_sender);
            completed.push(Arc::clone(&reached));
            seats.push(Some(Seat {
                commands: command_receiver,
                outputs: output_sender.clone(),
                completed: reached,
                rows_from: Arc::clone(&rows_from),
                recount: Arc::clone(&recount),
                failed: Arc::clone(&failed),
            }));
        }
        let seats = Mutex::new(seats);
        let communication = if workers == 1 {
            CommunicationConfig::Thread
        } else {
            CommunicationConfig::Process(workers)
        };
        let config = timely::Config {
            communication,
            worker: WorkerConfig::default(),
        };
        let guards = timely::execute(config, move |worker| {
            let index = worker.index();
            let seat = seats
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_mut(index)
                .and_then(Option::take)
                .expect("every worker takes its own seat once");
            work(worker, &seat, horizons);
        })?;
        Ok(Self {
            commands,
            outputs: Mutex::new(outputs),
            completed,
            rows_from,
            recount,
            failed,
            workers: Mutex::new(Some(guards)),
        })
    }

    /// From now on rows of ticks before this one stay inside; what a release would carry comes out.
    pub fn rows_from(&self, tick: Tick) {
        self.rows_from.store(tick.0, Ordering::Release);
    }

    /// How far the workers are with what a change makes them count anew.
    #[must_use]
    pub fn recount(&self) -> Arc<Recount> {
        Arc::clone(&self.recount)
    }

    /// Number of workers.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.commands.len()
    }

    /// Feeds facts of a tick; may be called several times for one tick before it is closed.
    pub fn feed(&self, tick: Tick, facts: Vec<(Fact, i64)>, clock: Option<EventTimeMs>) {
        let peers = self.commands.len();
        let share = facts.len() / peers + facts.len() / 8;
        let mut shares: Vec<Vec<(Fact, i64)>> =
            (0..peers).map(|_| Vec::with_capacity(share)).collect();
        for (fact, diff) in facts {
            let to = home(&fact, peers);
            if let Some(share) = shares.get_mut(to) {
                share.push((fact, diff));
            }
        }
        for (index, (commands, facts)) in self.commands.iter().zip(shares).enumerate() {
            let clock = if index == 0 { clock } else { None };
            // A worker that is gone has panicked; `completed` will never move and `join` says why.
            drop(commands.send(Command::Feed { tick, facts, clock }));
        }
    }

    /// Closes every tick before `upper`.
    pub fn advance(&self, upper: Tick) {
        for commands in &self.commands {
            drop(commands.send(Command::Advance(upper)));
        }
    }

    /// Every tick before this one is complete.
    #[must_use]
    pub fn completed(&self) -> Tick {
        Tick(
            self.completed
                .iter()
                .map(|c| c.load(Ordering::Acquire))
                .min()
                .unwrap_or(0),
        )
    }

    /// Has a worker died? Nothing will complete any more.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Takes what has come out so far.
    pub fn drain(&self, into: &mut impl Extend<OutputUpdate>) {
        let outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok(batch) = outputs.try_recv() {
            into.extend(batch);
        }
    }

    /// Waits a little for something to come out.
    pub fn pause(&self, wait: Duration, into: &mut impl Extend<OutputUpdate>) {
        let outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(batch) = outputs.recv_timeout(wait) {
            into.extend(batch);
        }
    }

    /// Waits until every tick before `upper` is complete, draining meanwhile; `false` when a worker
    /// has died.
    #[must_use]
    pub fn wait(&self, upper: Tick, into: &mut impl Extend<OutputUpdate>) -> bool {
        loop {
            let done = self.completed() >= upper;
            self.drain(into);
            if done {
                return true;
            }
            if self.failed() {
                return false;
            }
            self.pause(Duration::from_millis(1), into);
        }
    }
}

impl Drop for Dataflow {
    fn drop(&mut self) {
        self.commands.clear();
        let workers = self
            .workers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(workers) = workers else { return };
        if self.failed() {
            // The others wait for the dead one for ever; the process is about to stop.
            std::mem::forget(workers);
        } else {
            // Joins the threads.
            drop(workers);
        }
    }
}

/// The worker that counts an exposure, so that it need not be exchanged.
fn home(fact: &Fact, peers: usize) -> usize {
    let hash = match &fact.body {
        FactBody::Request(it) => route(it.household, it.listener),
        FactBody::Impression(it) => route(it.household, it.listener),
        FactBody::Signal(signal) => signal.store.0 ^ fact.id.lo,
        _ => 0,
    };
    usize::try_from(hash % peers as u64).unwrap_or(0)
}

fn work(worker: &mut Worker, seat: &Seat, horizons: Horizons) {
    let _alarm = Alarm(&seat.failed);
    let outputs = seat.outputs.clone();
    let (rows_from, recount) = (Arc::clone(&seat.rows_from), Arc::clone(&seat.recount));
    let (mut inputs, probe) = worker.dataflow::<u64, _, _>(|scope| {
        let (inputs, collection) = build(scope, horizons, recount);
        let (probe, _) = collection
            .inner
            .unary::<timely::container::CapacityContainerBuilder<Vec<()>>, _, _, _>(
                Pipeline,
                "Capture",
                move |_, _| {
                    move |input, _output| {
                        let rows_from = rows_from.load(Ordering::Acquire);
                        input.for_each(|_, data| {
                            if rows_from > 0 {
                                data.retain(|(output, tick, _)| {
                                    *tick >= rows_from || matches!(output, Output::Material(_))
                                });
                            }
                            drop(outputs.send(std::mem::take(data)));
                        });
                    }
                },
            )
            .probe();
        (inputs, probe)
    });
    let mut upper = 0_u64;
    let mut open = true;
    loop {
        while open {
            match seat.commands.try_recv() {
                Ok(command) => upper = obey(&mut inputs, command, upper),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => open = false,
            }
        }
        if !open {
            return;
        }
        let reached = probe.with_frontier(|frontier| frontier.first().copied().unwrap_or(u64::MAX));
        seat.completed.store(reached.min(upper), Ordering::Release);
        if reached >= upper {
            match seat.commands.recv_timeout(IDLE_WAIT) {
                Ok(command) => upper = obey(&mut inputs, command, upper),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            worker.step();
        } else {
            worker.step_or_park(Some(IDLE_STEP));
        }
    }
}

fn obey(inputs: &mut Inputs, command: Command, upper: u64) -> u64 {
    match command {
        Command::Feed { tick, facts, clock } => {
            assert!(
                tick.0 >= upper,
                "invariant 1: tick {tick} was closed at {upper}"
            );
            for (fact, diff) in facts {
                inputs.facts.update_at(fact, tick.0, diff);
            }
            if let Some(clock) = clock {
                inputs.clock.update_at(clock, tick.0, 1);
            }
            upper
        }
        Command::Advance(to) => {
            let to = to.0.max(upper);
            inputs.facts.advance_to(to);
            inputs.facts.flush();
            inputs.clock.advance_to(to);
            inputs.clock.flush();
            to
        }
    }
}
