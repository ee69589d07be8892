//! Dies where a test says. In builds without fail points, such as releases, there are no places to die at.
//! `CRASH_AT=ticks.written:3` kills the process, as power going off for it alone, when it comes there for the third time.
//! `WAIT_AT=count.recounted:FILE` waits there for as long as there is the file.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, raise};

const WAIT_LOOK_EVERY: Duration = Duration::from_millis(10);

/// Reads the environment, where there are fail points.
pub(crate) fn arm() {
    if !fail::has_failpoints() {
        return;
    }
    if let Ok(at) = std::env::var("CRASH_AT") {
        die(&at);
    }
    if let Ok(at) = std::env::var("WAIT_AT") {
        wait(&at);
    }
}

fn die(at: &str) {
    let (point, times) = at.split_once(':').unwrap_or((at, "1"));
    let left = AtomicU64::new(times.parse().unwrap_or(1));
    let die = move || {
        if left.fetch_sub(1, Ordering::Relaxed) == 1 {
            raise(Signal::SIGKILL).ok();
        }
    };
    fail::cfg_callback(point, die).ok();
}

fn wait(at: &str) {
    let Some((point, file)) = at.split_once(':') else {
        return;
    };
    let file = PathBuf::from(file);
    let wait = move || {
        while file.exists() {
            std::thread::sleep(WAIT_LOOK_EVERY);
        }
    };
    fail::cfg_callback(point, wait).ok();
}
