//! The real binary as a child that can be killed.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::engines_tests::launcher_exe;

/// A restart replays little; a busy machine is slow.
const READY_MAX: Duration = Duration::from_mins(1);

/// The binary with these settings.
fn hostread(config: &Path) -> Command {
    let mut binary = Command::new(launcher_exe());
    // The tests' own variables are no settings.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HOSTREAD_")) {
        binary.env_remove(name);
    }
    binary.arg("--config").arg(config);
    binary
}

/// What a command prints that must work.
pub(super) fn run_command(config: &Path, args: &[&str]) -> String {
    let output = hostread(config).args(args).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{args:?}: {text}");
    text
}

/// An address that nobody listens on.
pub(super) fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// `hostread pipeline`, running.
pub(super) struct Pipeline {
    child: Child,
    url: String,
    output: PathBuf,
    client: reqwest::Client,
}

impl Pipeline {
    /// Starts the binary with the settings in `config`; its output goes to a file beside them.
    pub(super) fn start(config: &Path, workers: u64) -> Self {
        Self::start_with(config, workers, None)
    }

    /// As `start`; at a crash point, as in "count.recounted", it waits for as long as there is the file.
    pub(super) fn start_to_wait(config: &Path, workers: u64, point: &str, file: &Path) -> Self {
        let at = format!("{point}:{}", file.display());
        Self::start_with(config, workers, Some(("WAIT_AT", &at)))
    }

    /// As `start`; it dies when it comes to a crash point, as in "ticks.written:3".
    pub(super) fn start_to_die(config: &Path, workers: u64, crash_at: Option<&str>) -> Self {
        Self::start_with(config, workers, crash_at.map(|at| ("CRASH_AT", at)))
    }

    fn start_with(config: &Path, workers: u64, at_point: Option<(&str, &str)>) -> Self {
        let address = free_address();
        let output = config.with_extension("out");
        let mut options = fs::OpenOptions::new();
        let file = options.create(true).append(true).open(&output).unwrap();
        let mut binary = hostread(config);
        binary.envs(at_point);
        let child = binary
            .args(["pipeline", "--workers", &workers.to_string()])
            .env("HOSTREAD_PIPELINE__LISTEN", &address)
            .env("HOSTREAD_LOG", "warn,hostread_job=info")
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self {
            child,
            url: format!("http://{address}/readyz"),
            output,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// What it says of itself, once it listens.
    pub(super) async fn status(&mut self) -> Option<Value> {
        if let Some(ended) = self.child.try_wait().unwrap() {
            panic!("the pipeline ended by itself ({ended}):\n{}", self.tail());
        }
        let answer = self.client.get(&self.url).send().await.ok()?;
        answer.json().await.ok()
    }

    /// The most memory that it ever had, in MiB.
    pub(super) fn memory_peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kib.unwrap() / 1024
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, signal: Signal) {
        kill(
            Pid::from_raw(i32::try_from(self.child.id()).unwrap()),
            signal,
        )
        .unwrap();
    }

    /// How it ended and what it said last, if it ended.
    pub(super) fn ended(&mut self) -> Option<String> {
        let ended = self.child.try_wait().unwrap()?;
        Some(format!("{ended}\n{}", self.tail()))
    }

    /// Is there nothing left to do? One that is dead or starts does not rest.
    pub(super) async fn is_at_rest(&mut self) -> bool {
        let Ok(answer) = self.client.get(&self.url).send().await else {
            return false;
        };
        let status: Option<Value> = answer.json().await.ok();
        status.is_some_and(|status| status["ready"] == true && status["caught_up"] == true)
    }

    pub(super) async fn wait_ready(&mut self) {
        let deadline = Instant::now() + READY_MAX;
        while !matches!(self.status().await, Some(status) if status["ready"] == true) {
            assert!(Instant::now() < deadline, "not ready:\n{}", self.tail());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until everything up to the clock `clock_ms` was read and is in both sinks.
    pub(super) async fn wait_drained(&mut self, clock_ms: i64, quiet: Duration) {
        let mut deadline = Instant::now() + READY_MAX;
        let (mut since, mut seen) = (None, (0, 0));
        loop {
            if let Some(status) = self.status().await {
                let clock = status["clock_ms"].as_i64().unwrap_or(0);
                let now = (clock, status["events"].as_i64().unwrap_or(0));
                if now != seen {
                    deadline = Instant::now() + READY_MAX;
                }
                let drained = status["caught_up"] == true && clock >= clock_ms && now == seen;
                seen = now;
                let from: Instant = *since.get_or_insert_with(Instant::now);
                match drained {
                    true if from.elapsed() >= quiet => return,
                    true => {}
                    false => since = None,
                }
                assert!(
                    Instant::now() < deadline,
                    "not drained to {clock_ms}: {status}\n{}",
                    self.tail()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// As power going off for the process alone.
    pub(super) fn kill_9(mut self) {
        if let Some(ended) = self.child.try_wait().unwrap() {
            panic!("the pipeline ended by itself ({ended}):\n{}", self.tail());
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Did it die at its crash point by now?
    pub(super) fn is_dead(&mut self) -> bool {
        let ended = self.child.try_wait().unwrap();
        let signal = ended.and_then(|ended| ended.signal());
        assert!(
            ended.is_none() || signal == Some(Signal::SIGKILL as i32),
            "the pipeline ended by itself ({ended:?}):\n{}",
            self.tail()
        );
        ended.is_some()
    }

    /// It does not start: what it says instead.
    pub(super) async fn wait_refused(mut self) -> String {
        let deadline = Instant::now() + READY_MAX;
        loop {
            if let Some(ended) = self.child.try_wait().unwrap() {
                assert_eq!(ended.code(), Some(2), "{}", self.tail());
                return self.tail();
            }
            assert!(Instant::now() < deadline, "it runs:\n{}", self.tail());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A clean stop.
    pub(super) fn stop(mut self) -> ExitStatus {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        self.child.wait().unwrap()
    }

    fn tail(&self) -> String {
        let text = fs::read_to_string(&self.output).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // Ended already, unless the test failed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
