//! The commands as a person types them: what they print, what they leave, how they end.
//! Needs: `npm ci --prefix engines`, the binary (`cargo build -p hostread` or `HOSTREAD_BIN`).
//! `HOSTREAD_TEST_SEED` names the demo's world; without it each run draws one.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests panic, and print seeds"
)]

mod answers;
mod attribute;
mod catalog;
mod codes;
mod compare;
mod count;
mod count_input;
mod credits;
mod customers;
mod dead_letters;
mod demo;
mod doctor;
mod episodes;
mod explain;
mod guide;
mod import;
mod lift;
mod lists;
mod models;
mod paths;
mod poll;
mod probe;
mod reach;
mod replay;
mod returns;
mod revenue;
mod rules;
mod schemathesis;
mod site;
mod tracking;
mod validate;
mod windows;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::engines_tests::{launcher_exe, packages_dir};

/// A start on a busy machine, a demo included.
const WAIT_MAX: Duration = Duration::from_secs(150);
const API_KEY: &str = "key-of-acme";

/// `hostread …` in a folder of its own; nothing of this machine's settings, free ports.
fn hostread(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(launcher_exe());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HOSTREAD_")) {
        command.env_remove(name);
    }
    command.args(args).current_dir(dir).stdin(Stdio::null());
    command.env(
        "HOSTREAD_ENGINES_DIR",
        std::path::absolute(packages_dir()).unwrap(),
    );
    for setting in ["GATEWAY", "SQL", "PIPELINE"] {
        command.env(format!("HOSTREAD_{setting}__LISTEN"), "127.0.0.1:0");
    }
    command
}

fn run(dir: &Path, args: &[&str]) -> Output {
    hostread(dir, args).output().unwrap()
}

/// Both outputs, for messages.
fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// What a command printed that must have worked.
fn printed(dir: &Path, args: &[&str]) -> String {
    let output = run(dir, args);
    assert!(output.status.success(), "{args:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Settings with one tenant, whose API key is [`API_KEY`].
fn write_settings(dir: &Path) {
    let settings = format!(
        "[[tenants]]\nname = \"acme\"\napi_key_sha256 = [\"{}\"]\npublic_key = \"pk-acme\"\nhash_key = \"{}\"\n",
        hostread_connectors_kit::signature::sha256_hex(API_KEY.as_bytes()),
        "0b".repeat(32)
    );
    std::fs::write(dir.join("hostread.toml"), settings).unwrap();
}

/// A command that goes on until it is told to stop; dies with the test.
struct Running {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        Self { child, lines }
    }

    fn printed(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// Waits for a line that holds `part`.
    fn wait_for(&mut self, part: &str) -> String {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let found = self
                .lines
                .lock()
                .unwrap()
                .iter()
                .find(|line| line.contains(part))
                .cloned();
            if let Some(line) = found {
                return line;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "no \"{part}\" ({ended:?}):\n{}",
                self.printed()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The address in the line that holds `part`.
    fn address(&mut self, part: &str) -> String {
        let line = self.wait_for(part);
        let word = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"));
        word.unwrap_or_else(|| panic!("no address in {line}"))
            .to_owned()
    }

    fn kill_9(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ctrl-C or SIGTERM; the exit code.
    fn stop(mut self, signal: Signal) -> Option<i32> {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, signal).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already, unless the test failed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// `hostread up` with the settings of a folder, its gateway and its SQL door.
fn up(dir: &Path) -> (Running, String, String) {
    let mut up = Running::start(hostread(dir, &["--config", "hostread.toml", "up"]));
    let (gateway, door) = (up.address("gateway  "), up.address("/sql "));
    (up, gateway, door)
}

/// Rows of verdicts, and of how many requests they are.
const VERDICTS: &str =
    "SELECT count(), uniqExact(request) FROM hostread.verdicts FORMAT TabSeparated";

/// Waits until a query of the tenant's finds what is wanted.
async fn until_found(door: &str, query: &str, wanted: &str) {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let found = sql(door, API_KEY, query).await;
        if found == wanted {
            return;
        }
        let waits = Instant::now() < deadline;
        assert!(waits, "{query}: {found} instead of {wanted}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Asks the SQL door.
async fn sql(door: &str, key: &str, query: &str) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client
        .post(door)
        .bearer_auth(key)
        .body(query.to_owned())
        .send();
    let answer = answer.await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{query}: {status} {text}");
    text.trim().to_owned()
}
