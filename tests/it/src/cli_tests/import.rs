//! A large log through `hostread import` into `hostread up`: killed, gone on, sent again, in effect once.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{
    API_KEY, Running, VERDICTS, hostread, printed, run, text, until_found, up, write_settings,
};
use crate::doors::bench::gzip;

/// Good lines; long ones, so that the file has several pieces of 4 MiB.
const LINES: usize = 12_000;
/// Lines that cannot be read.
const GARBAGE: usize = 8;

fn log() -> String {
    let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(3);
    let at = at.strftime("%d/%b/%Y:%H:%M:%S +0000");
    let padding = "x".repeat(1_900);
    let mut log = String::new();
    for n in 0..LINES {
        if n % (LINES / GARBAGE) == 1 {
            log.push_str("this is no log line\n");
        }
        writeln!(
            log,
            "198.51.{}.{} - - [{at}] \"GET /e{}.mp3?pad={padding} HTTP/1.1\" 200 {n} \"-\" \"Player/{}\"",
            n / 250 % 250,
            n % 250,
            n % 9,
            n % 40
        )
        .unwrap();
    }
    log
}

fn import<'a>(files: &[&'a str]) -> Vec<&'a str> {
    [
        &[
            "--config",
            "hostread.toml",
            "import",
            "combined",
            "--source",
            "host",
        ],
        files,
    ]
    .concat()
}

fn notes(dir: &Path) -> usize {
    std::fs::read_dir(dir.join("data/imports")).map_or(0, |notes| {
        notes
            .filter(|note| {
                note.as_ref()
                    .is_ok_and(|n| n.path().extension().is_some_and(|e| e == "json"))
            })
            .count()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_gone_on_every_line_is_in_once() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write_settings(dir);
    let log = log();
    std::fs::write(dir.join("access.log"), &log).unwrap();
    let (up_1, gateway, _) = up(dir);
    let command = |files: &[&str]| {
        let mut command = hostread(dir, &import(files));
        command
            .env("HOSTREAD_API_KEY", API_KEY)
            .args(["--gateway", &gateway]);
        command
    };

    // Killed as soon as the first piece was answered.
    let killed = Running::start(command(&["access.log"]));
    let deadline = Instant::now() + Duration::from_mins(1);
    while notes(dir) == 0 {
        assert!(Instant::now() < deadline, "no piece was answered");
        std::thread::sleep(Duration::from_millis(2));
    }
    killed.kill_9();
    let output = command(&["access.log"]).output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    let middle = said.contains("were in already") && !said.contains(", 0 are new");
    assert!(middle, "it was not killed in the middle: {said}");
    assert!(
        said.contains(&format!("{LINES} requests, {GARBAGE} malformed")),
        "{said}"
    );
    assert!(said.contains("line 2 (byte "), "{said}");

    // The same file packed, under another name and without notes: the same events.
    std::fs::write(dir.join("copy.log.gz"), gzip(log.as_bytes())).unwrap();
    let output = command(&["copy.log.gz", "--again"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));

    // Stopped and started again, it goes on where it was.
    assert_eq!(up_1.stop(Signal::SIGTERM), Some(0));
    let (up_2, _, door) = up(dir);
    until_found(&door, VERDICTS, &format!("{LINES}\t{LINES}")).await;
    let letters = printed(
        dir,
        &[
            "--config",
            "hostread.toml",
            "dead-letters",
            "list",
            "--format",
            "json",
            "--body",
        ],
    );
    assert!(letters.lines().count() >= 2 * GARBAGE, "{letters}");
    assert!(
        letters.contains(r#""body":"this is no log line""#),
        "{letters}"
    );
    assert_eq!(up_2.stop(Signal::SIGINT), Some(0));
}

#[test]
fn nobody_there_is_said() {
    let dir = tempfile::tempdir().unwrap();
    write_settings(dir.path());
    let output = run(
        dir.path(),
        &[import(&["none.log"]), vec!["--api-key", "x"]].concat(),
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("none.log"), "{}", text(&output));
}
