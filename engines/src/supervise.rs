//! Keeps one engine running: starts it, waits until it is ready, starts it again when it dies, stops it cleanly.
//! Needs: an `Engine` that can build its command and say when it is ready.
//! Promises: the thread that starts children lives as long as they do (their death signal is tied to it); one child
//! at a time; a stop waits for the child and ends with SIGKILL if it must; what a child prints stays bounded.
//! Leaves out: what the engines are.
//! Invariant 1: `ready` is true only between a probe that passed and the child's end.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::sync::watch;

use crate::error::EngineError;

const POLL: Duration = Duration::from_millis(15);
/// What a child printed is cut to nothing beyond this; it is looked at when a child starts and now and then.
const OUTPUT_BYTES_MAX: u64 = 16 << 20;
const OUTPUT_LOOK_EVERY: Duration = Duration::from_secs(10);
/// How often a start is tried before the engine has ever been ready; after that there is no bound.
const FIRST_STARTS_MAX: u32 = 3;
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// A child that lived this long resets the wait between restarts.
const STEADY: Duration = Duration::from_mins(1);

/// One kind of engine.
pub(crate) trait Engine: Send + 'static {
    fn name(&self) -> &'static str;
    /// Clears what a killed child left behind and builds the command of the next.
    fn prepare(&mut self) -> Result<Command, EngineError>;
    /// True once the child answers.
    fn ready(&self, pid: i32) -> bool;
    fn start_limit(&self) -> Duration;
    /// Asks for a clean stop and returns at once or soon.
    fn ask_to_stop(&self, pid: i32);
    fn stop_limit(&self) -> Duration;
    /// The file that gets what the child prints.
    fn output(&self) -> PathBuf;
    /// An error that names the log.
    fn not_ready(&self, reason: String) -> EngineError;
}

/// What is known about an engine now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineStatus {
    /// Process id of the child, if there is one.
    pub pid: Option<i32>,
    /// True if it answers.
    pub ready: bool,
    /// How often it was started again after it had died.
    pub restarts: u32,
    /// Why it was given up, if it was.
    pub failure: Option<String>,
}

/// The handle of a supervised engine. Dropping it stops the engine without waiting.
#[derive(Debug)]
pub(crate) struct Supervisor {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    status: watch::Receiver<EngineStatus>,
}

impl Supervisor {
    pub(crate) fn start(engine: impl Engine) -> Result<Self, EngineError> {
        let (stop, stopped) = channel();
        let (sender, status) = watch::channel(EngineStatus::default());
        let name = engine.name();
        let thread = std::thread::Builder::new()
            .name(format!("engine-{name}"))
            .spawn(move || {
                let supervised = Loop {
                    engine,
                    stopped,
                    status: sender,
                };
                supervised.run();
            })
            .map_err(|source| EngineError::Spawn {
                engine: name,
                source,
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
            status,
        })
    }

    pub(crate) fn status(&self) -> EngineStatus {
        self.status.borrow().clone()
    }

    /// Waits until the engine is ready; `None` if it was given up.
    pub(crate) async fn wait_ready(&self) -> Result<(), String> {
        let mut status = self.status.clone();
        let seen = status
            .wait_for(|status| status.ready || status.failure.is_some())
            .await;
        match seen {
            Ok(status) => status.failure.clone().map_or(Ok(()), Err),
            Err(_) => Err("its supervisor has ended".to_owned()),
        }
    }

    /// Stops the engine and waits for its end.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the thread was already reported by the panic hook.
            drop(tokio::task::spawn_blocking(move || thread.join()).await);
        }
    }
}

enum Ended {
    Died(Option<ExitStatus>),
    StopAsked,
}

struct Loop<E> {
    engine: E,
    stopped: Receiver<()>,
    status: watch::Sender<EngineStatus>,
}

impl<E: Engine> Loop<E> {
    fn run(mut self) {
        let mut backoff = BACKOFF_MIN;
        let mut been_ready = false;
        let mut failures = 0;
        loop {
            let started = Instant::now();
            match self.one_life() {
                Ok(Ended::StopAsked) => return,
                Ok(Ended::Died(exit)) => {
                    been_ready = true;
                    let exit = exit.map_or_else(String::new, |exit| exit.to_string());
                    tracing::warn!(
                        engine = self.engine.name(),
                        exit,
                        "engine ended; starting it again"
                    );
                }
                Err(error) => {
                    failures += 1;
                    if !been_ready && failures >= FIRST_STARTS_MAX {
                        let failure = Some(error.to_string());
                        self.status.send_modify(|status| {
                            *status = EngineStatus {
                                failure,
                                ..status.clone()
                            };
                        });
                        return;
                    }
                    tracing::warn!(engine = self.engine.name(), %error, "engine did not start; trying again");
                }
            }
            self.status.send_modify(|status| {
                status.restarts += 1;
                status.pid = None;
                status.ready = false;
            });
            backoff = if started.elapsed() > STEADY {
                BACKOFF_MIN
            } else {
                backoff
            };
            if self.asked_to_stop(backoff) {
                return;
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// From start to end of one child.
    fn one_life(&mut self) -> Result<Ended, EngineError> {
        let name = self.engine.name();
        let mut command = self.engine.prepare()?;
        let mut child = command.spawn().map_err(|source| EngineError::Spawn {
            engine: name,
            source,
        })?;
        let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
        self.status.send_modify(|status| status.pid = Some(pid));
        let started = Instant::now();
        while !self.engine.ready(pid) {
            if let Some(exit) = ended(&mut child) {
                return Err(self.engine.not_ready(format!("it ended first ({exit})")));
            }
            if self.asked_to_stop(POLL) {
                self.end(&mut child, pid);
                return Ok(Ended::StopAsked);
            }
            if started.elapsed() > self.engine.start_limit() {
                self.end(&mut child, pid);
                return Err(self.engine.not_ready("it took too long".to_owned()));
            }
        }
        tracing::info!(
            engine = name,
            pid,
            ms = started.elapsed().as_millis(),
            "engine is ready"
        );
        self.status.send_modify(|status| status.ready = true);
        let mut looked = Instant::now();
        loop {
            if looked.elapsed() > OUTPUT_LOOK_EVERY {
                looked = Instant::now();
                cut_output(&self.engine.output());
            }
            if let Some(exit) = ended(&mut child) {
                self.status.send_modify(|status| status.ready = false);
                end_group(pid);
                return Ok(Ended::Died(Some(exit)));
            }
            if self.asked_to_stop(POLL) {
                self.status.send_modify(|status| status.ready = false);
                self.end(&mut child, pid);
                self.status.send_modify(|status| status.pid = None);
                return Ok(Ended::StopAsked);
            }
        }
    }

    /// Clean stop, then SIGTERM, then SIGKILL.
    fn end(&self, child: &mut Child, pid: i32) {
        self.engine.ask_to_stop(pid);
        let limit = self.engine.stop_limit();
        if gone_within(child, limit) {
            return;
        }
        tracing::warn!(
            engine = self.engine.name(),
            pid,
            "engine did not stop when asked; forcing it"
        );
        send(pid, Signal::SIGTERM);
        if !gone_within(child, limit) {
            end_group(pid);
            drop(child.wait());
        }
    }

    fn asked_to_stop(&self, wait: Duration) -> bool {
        !matches!(
            self.stopped.recv_timeout(wait),
            Err(RecvTimeoutError::Timeout)
        )
    }
}

/// Opens the file for what a child prints: each line goes to the end, so that it may be cut meanwhile.
pub(crate) fn open_output(path: &Path) -> Result<(Stdio, Stdio), EngineError> {
    cut_output(path);
    let out = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(EngineError::file("open", path))?;
    let err = out.try_clone().map_err(EngineError::file("open", path))?;
    Ok((out.into(), err.into()))
}

/// The end of a log, on one line.
pub(crate) fn last_lines(path: &Path) -> String {
    tail(&String::from_utf8_lossy(
        &fs::read(path).unwrap_or_default(),
    ))
}

pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(5)..)
        .unwrap_or_default()
        .join("; ")
}

fn cut_output(path: &Path) {
    let Ok(found) = fs::metadata(path) else {
        return;
    };
    if found.len() > OUTPUT_BYTES_MAX
        && let Err(error) = OpenOptions::new().write(true).truncate(true).open(path)
    {
        tracing::warn!(path = %path.display(), %error, "could not cut a log");
    }
}

fn ended(child: &mut Child) -> Option<ExitStatus> {
    child.try_wait().ok().flatten()
}

fn gone_within(child: &mut Child, limit: Duration) -> bool {
    let started = Instant::now();
    while started.elapsed() < limit {
        if ended(child).is_some() {
            return true;
        }
        std::thread::sleep(POLL);
    }
    false
}

/// Ends what is left of the child's process group.
fn end_group(pid: i32) {
    if let Err(error) = killpg(Pid::from_raw(pid), Signal::SIGKILL) {
        // Usually: nobody is left.
        tracing::trace!(pid, %error, "no process group to end");
    }
}

/// Sends a signal to a process that may have ended meanwhile.
pub(crate) fn send(pid: i32, signal: Signal) {
    if let Err(error) = kill(Pid::from_raw(pid), signal) {
        tracing::debug!(pid, %signal, %error, "signal not delivered");
    }
}
