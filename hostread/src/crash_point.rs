//! Dies where a test says. In builds without fail points, such as releases, there are no places to die at.
//! `CRASH_AT=ticks.written:3` kills the process, as power going off for it alone, when it comes there for the third time.

use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::signal::{Signal, raise};

/// Reads the environment, where there are fail points.
pub(crate) fn arm() {
    if !fail::has_failpoints() {
        return;
    }
    let Ok(at) = std::env::var("CRASH_AT") else {
        return;
    };
    let (point, times) = at.split_once(':').unwrap_or((&at, "1"));
    let left = AtomicU64::new(times.parse().unwrap_or(1));
    let die = move || {
        if left.fetch_sub(1, Ordering::Relaxed) == 1 {
            raise(Signal::SIGKILL).ok();
        }
    };
    fail::cfg_callback(point, die).ok();
}
