//! A genuine Kafka broker for tests, on free ports, in a folder of its own.
//! Needs: `java` 17 or newer; the jars of `tests/kafka/setup`, which `start` runs when they are missing (then also `mvn`).
//! Promises: ready when `start` returns; gone, with its folder, when the value is dropped or the test process ends in any way.
//! Leaves out: several brokers. With `HOSTREAD_KEEP=1` in the environment the folder stays.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A cold JVM on a busy machine needs 10 s.
const READY: Duration = Duration::from_secs(90);
const READY_LINE: &str = "Kafka Server started";
const CLUSTER_ID: &str = "aG9zdHJlYWQtdGVzdHMtMA";
/// Starts the broker ($2...) with its output in $1/log, says its process id, and waits for a line. At that line, or when the
/// test process is gone, the broker dies, and with it the folder, unless the line says `keep`.
const GUARD: &str = r#"
dir=$1; shift
"$@" >>"$dir/log" 2>&1 </dev/null &
broker=$!
echo $broker
read -r word
kill -9 $broker 2>/dev/null
wait
[ "$word" = keep ] || [ "${HOSTREAD_KEEP:-}" = 1 ] || rm -rf "$dir"
"#;

/// A running broker.
#[derive(Debug)]
pub(crate) struct Broker {
    dir: PathBuf,
    port: u16,
    /// Broker and its guard; nothing while it is stopped.
    running: Option<(Pid, Child)>,
}

impl Broker {
    /// Starts a broker and waits until it is ready.
    ///
    /// # Panics
    /// When it does not start; the message ends with the last lines of its log.
    pub(crate) fn start() -> Self {
        set_up();
        let dir = tempfile::Builder::new()
            .prefix("hostread-kafka-")
            .tempdir()
            .expect("a temporary folder")
            .keep();
        let (port, controller_port) = (free_port(), free_port());
        let data = dir.join("data");
        let template =
            fs::read_to_string(folder().join("server.properties")).expect("the template is there");
        let settings = template
            .replace("@PORT@", &port.to_string())
            .replace("@CONTROLLER_PORT@", &controller_port.to_string())
            .replace("@DATA@", &data.display().to_string());
        fs::write(dir.join("server.properties"), settings).expect("writes the settings");
        let mut broker = Self {
            dir,
            port,
            running: None,
        };
        let format = [
            "kafka.tools.StorageTool",
            "format",
            "--standalone",
            "-t",
            CLUSTER_ID,
            "-c",
        ];
        let formatted = broker
            .java(&format)
            .arg(broker.dir.join("server.properties"))
            .output()
            .expect("java runs");
        assert!(
            formatted.status.success(),
            "{}",
            String::from_utf8_lossy(&formatted.stderr)
        );
        broker.restart();
        broker
    }

    /// `host:port` for clients.
    pub(crate) fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// As power going off for the process alone.
    pub(crate) fn kill(&mut self) {
        self.end(Signal::SIGKILL);
    }

    /// Stands still, or goes on.
    pub(crate) fn signal(&self, signal: Signal) {
        let (pid, _) = self.running.as_ref().expect("it runs");
        kill(*pid, signal).expect("it runs");
    }

    /// A clean stop.
    pub(crate) fn stop(&mut self) {
        self.end(Signal::SIGTERM);
    }

    /// Starts it again, on the same ports and data, and waits until it is ready.
    pub(crate) fn restart(&mut self) {
        assert!(self.running.is_none(), "it runs");
        let java = self.java(&["kafka.Kafka"]);
        let mut guard = Command::new("sh");
        guard
            .args(["-c", GUARD, "sh"])
            .arg(&self.dir)
            .arg(java.get_program())
            .args(java.get_args());
        guard.arg(self.dir.join("server.properties"));
        let log = self.dir.join("log");
        let seen = fs::read_to_string(&log).unwrap_or_default().len();
        let mut guard = guard
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh runs");
        let mut line = String::new();
        let output = guard.stdout.take().expect("it is piped");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("the guard says a process id");
        let pid = Pid::from_raw(line.trim().parse().expect("a process id"));
        self.running = Some((pid, guard));
        let deadline = Instant::now() + READY;
        loop {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let new = text.get(seen..).unwrap_or_default();
            if new.contains(READY_LINE) {
                return;
            }
            let failed = kill(pid, None).is_err() || Instant::now() >= deadline;
            assert!(!failed, "Kafka did not start:\n{}", tail(new));
            sleep(Duration::from_millis(50));
        }
    }

    fn java(&self, arguments: &[&str]) -> Command {
        let kafka = folder();
        let mut java = Command::new("java");
        java.args([
            "-Xms256m",
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=4",
        ]);
        java.arg(format!(
            "-Dlog4j2.configurationFile={}",
            kafka.join("log4j2.properties").display()
        ));
        java.arg("-cp")
            .arg(kafka.join("libs/*"))
            .args(arguments)
            .current_dir(&self.dir);
        java
    }

    fn end(&mut self, signal: Signal) {
        let Some((pid, mut guard)) = self.running.take() else {
            return;
        };
        let sent = kill(pid, signal);
        let deadline = Instant::now() + READY;
        // The guard reaps its child only when it is told to, so the broker stays as a zombie until then.
        while sent.is_ok() && alive(pid) && Instant::now() < deadline {
            sleep(Duration::from_millis(20));
        }
        let mut guard_input = guard.stdin.take().expect("it is piped");
        let told = guard_input.write_all(b"keep\n");
        drop(guard_input);
        let ended = guard.wait();
        assert!(
            told.is_ok() && ended.is_ok(),
            "the guard of Kafka ended early"
        );
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        match self.running.take() {
            Some((_, mut guard)) => {
                drop(guard.stdin.take());
                drop(guard.wait());
            }
            None if std::env::var_os("HOSTREAD_KEEP").is_none() => {
                drop(fs::remove_dir_all(&self.dir));
            }
            None => {}
        }
    }
}

/// Address of one broker that all tests of this process share. It ends with the process.
pub(crate) fn shared() -> String {
    static SHARED: OnceLock<Broker> = OnceLock::new();
    SHARED.get_or_init(Broker::start).bootstrap()
}

fn alive(pid: Pid) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.starts_with(" Z"))
    })
}

fn folder() -> PathBuf {
    let here = std::env::var_os("HOSTREAD_KAFKA_DIR");
    here.map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../kafka"),
        PathBuf::from,
    )
}

/// Fetches the jars once; they stay for later runs.
fn set_up() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let status = Command::new(folder().join("setup"))
            .status()
            .expect("tests/kafka/setup runs");
        assert!(status.success(), "tests/kafka/setup failed");
    });
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
