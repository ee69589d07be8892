//! `hostread import --poll`: objects of a place, late and repeated ones too, each in effect once.

use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;

use super::{API_KEY, Running, VERDICTS, hostread, run, text, until_found, up, write_settings};
use crate::doors::bench::gzip;

/// A line of this hour, the same whenever it is asked for.
fn line(hours_ago: i64, n: usize) -> String {
    static BEGAN: LazyLock<jiff::Timestamp> = LazyLock::new(jiff::Timestamp::now);
    let at = *BEGAN - jiff::SignedDuration::from_hours(hours_ago);
    let at = at.strftime("%d/%b/%Y:%H:%M:%S +0000");
    format!("198.51.100.{n} - - [{at}] \"GET /e.mp3 HTTP/1.1\" 200 5000 \"-\" \"Player/{n}\"\n")
}

/// A file that nobody writes to any more.
fn put(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_mins(1))
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_object_is_in_once_whenever_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write_settings(dir);
    let logs = dir.join("logs");
    let lines = |from: usize, to: usize| -> String { (from..to).map(|n| line(5, n)).collect() };
    put(&logs.join("cdn/2026-11-09/a.log"), lines(0, 10).as_bytes());
    put(
        &logs.join("cdn/2026-11-10/a.log.gz"),
        &gzip(lines(10, 20).as_bytes()),
    );
    put(&logs.join("other/b.log"), lines(90, 99).as_bytes());
    // Somebody writes to it still.
    let open = logs.join("cdn/open.log");
    put(&open, line(5, 40).as_bytes());
    let file = std::fs::File::options().write(true).open(&open).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_hours(1))
        .unwrap();

    let (up, gateway, door) = up(dir);
    let place = format!("file://{}/cdn", logs.display());
    let args = [
        "--config",
        "hostread.toml",
        "import",
        "combined",
        "--source",
        "host",
        "--poll",
        &place,
    ];
    let args = [&args[..], &["--gateway", &gateway, "--api-key", API_KEY]].concat();
    let once = || {
        let args = [&args[..], &["--once"]].concat();
        tokio::task::block_in_place(|| run(dir, &args))
    };
    let done = |output: &std::process::Output| {
        assert_eq!(output.status.code(), Some(0), "{}", text(output));
        text(output).matches("10 requests").count()
    };
    assert_eq!(done(&once()), 2);
    assert_eq!(done(&once()), 0, "nothing is sent twice");
    until_found(&door, VERDICTS, "20\t20").await;

    // Late, into an old folder; and a damaged one, which stops no other.
    put(
        &logs.join("cdn/2026-11-09/late.log"),
        lines(20, 30).as_bytes(),
    );
    let packed = gzip(lines(0, 9).as_bytes());
    put(
        &logs.join("cdn/2026-11-09/bad.log.gz"),
        &packed[..packed.len() / 2],
    );
    let output = once();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(
        text(&output).contains("late.log: 10 lines, 10 requests"),
        "{}",
        text(&output)
    );
    assert!(
        text(&output).contains("1 objects are not whole"),
        "{}",
        text(&output)
    );
    // Whole now.
    put(
        &logs.join("cdn/2026-11-09/bad.log.gz"),
        &gzip(lines(30, 40).as_bytes()),
    );
    assert_eq!(done(&once()), 1);

    // The list is lost, and a file comes again under another name: all is sent again, and changes nothing.
    for entry in std::fs::read_dir(dir.join("data/imports")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "seen") {
            std::fs::remove_file(path).unwrap();
        }
    }
    put(&logs.join("cdn/copy.log"), lines(0, 10).as_bytes());
    assert_eq!(done(&once()), 5);
    until_found(&door, VERDICTS, "40\t40").await;

    // As a process that goes on: killed in the middle of a pass, and started again.
    for n in 0..40 {
        put(
            &logs.join(format!("cdn/many/{n}.log")),
            line(4, 100 + n).as_bytes(),
        );
    }
    let many = || {
        Running::start({
            let mut command = hostread(dir, &args);
            command.args(["--every", "1"]);
            command
        })
    };
    let mut killed = many();
    killed.wait_for("many/");
    killed.kill_9();
    let mut again = many();
    again.wait_for("many/39.log");
    until_found(&door, VERDICTS, "80\t80").await;
    put(&logs.join("cdn/many/new.log"), line(3, 200).as_bytes());
    again.wait_for("many/new.log");
    until_found(&door, VERDICTS, "81\t81").await;
    assert_eq!(again.stop(Signal::SIGINT), Some(0));
    assert_eq!(up.stop(Signal::SIGTERM), Some(0));
}

#[test]
fn a_place_that_cannot_be_asked_is_said() {
    let dir = tempfile::tempdir().unwrap();
    write_settings(dir.path());
    for (place, said) in [
        ("logs", "is no place such as s3://"),
        ("ftp://a.example/logs", "is no place such as s3://"),
        ("file:///none/of/this", "there is no folder /none/of/this"),
    ] {
        let args = [
            "--config",
            "hostread.toml",
            "import",
            "combined",
            "--once",
            "--poll",
            place,
            "--api-key",
            "x",
        ];
        let output = run(dir.path(), &args);
        assert_eq!(output.status.code(), Some(2), "{place}: {}", text(&output));
        assert!(text(&output).contains(said), "{said}: {}", text(&output));
    }
}
