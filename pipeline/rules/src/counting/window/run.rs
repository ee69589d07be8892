//! Windows that go over midnight, of a listener's requests for one episode on days that follow each other (definition 33).
//!
//! ```text
//!            midnight          midnight
//!   day 1       |      day 2      |      day 3
//!   r ─ r ── r ─┼─ r ─────── r ───┼─ r           days released: what stays of them is [`OpenWindows`] at their last midnight
//! ```
//! Needs: the requests in order (time, event id), of days of UTC. Promises: a run of one day is the same under each window.
//! Leaves out: which days follow each other, and what is lost to the limit of an address (its caller knows the others behind it).
//!
//! Invariant 1: without its first days, but with what was open at the end of them, a run counts on the days that are left what
//! it counted there before.

use hostread_schemas::event::SourceKind;
use hostread_schemas::fact::OpenWindows;
use hostread_schemas::{Day, EventTimeMs, ShowId};

use super::{Span, Window, Windows, day_later};
use crate::bytes::ByteRange;
use crate::counting::filter::{Passed, filter};
use crate::counting::{
    Dimensions, Item, ListenerDay, count_episode, is_limited, needed_bytes, unite,
};

/// The windows that a run is counted under, in this order.
pub const WINDOWS: [Window; 3] = [Window::Calendar, Window::FirstTouch, Window::LastTouch];

/// A listener's requests for one episode on days that follow each other.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// In order (time, event id).
    pub requests: &'a [Item],
    /// What was open at the end of the days before, if these were released.
    pub open: Option<OpenWindows>,
}

/// A download of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunDownload {
    /// UTC day of its t0.
    pub day: Day,
    /// Show.
    pub show: ShowId,
    /// What saw its first request.
    pub source_kind: SourceKind,
    /// It counts towards the household's limit on the day.
    pub limited: bool,
}

/// What a run comes to.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct RunCount {
    /// Downloads under each of [`WINDOWS`], in order, those that an address has too many of among them.
    pub downloads: [Vec<RunDownload>; WINDOWS.len()],
    /// What is open at the end of each day that has filtered-in requests and is followed by another such day, in order.
    pub open: Vec<(Day, OpenWindows)>,
}

impl Run<'_> {
    /// Counts it.
    #[must_use]
    pub fn count<D: Dimensions + ?Sized>(&self, dims: &D) -> RunCount {
        let mut verdicts = Vec::new();
        let passed = filter(self.requests, dims, &mut verdicts);
        let mut united = Vec::new();
        let mut firsts = Vec::new();
        let downloads = WINDOWS.map(|window| {
            let begun_here = self.begun_here(window, &passed);
            let windows = Windows {
                window,
                zone: "UTC",
            };
            let spans = windows.spans(begun_here, dims.rules().threshold_secs());
            let requests = |span: &Span| begun_here.get(span.requests.clone());
            let downloads = spans.iter().filter_map(requests);
            let downloads = downloads.filter_map(|it| download(it, window, dims, &mut united));
            let downloads = downloads.collect();
            if window == Window::FirstTouch {
                firsts = spans;
            }
            downloads
        });
        RunCount {
            downloads,
            open: open_windows(&passed, &firsts),
        }
    }

    /// The requests that belong to no window of the days before.
    fn begun_here<'p, 'a>(&self, window: Window, passed: &'p [Passed<'a>]) -> &'p [Passed<'a>] {
        let Some(open) = self.open else {
            return passed;
        };
        let belong = match window {
            Window::Calendar => 0,
            Window::FirstTouch => {
                let until = open.first_until.unwrap_or(EventTimeMs(i64::MIN));
                passed.partition_point(|request| request.time < until)
            }
            Window::LastTouch => {
                let mut last = open.last;
                let begins = passed.iter().position(|request| {
                    let joins = request.time < day_later(last);
                    last = request.time;
                    !joins
                });
                begins.unwrap_or(passed.len())
            }
        };
        passed.get(belong..).unwrap_or_default()
    }
}

/// The download that the requests of a window make, if they do.
fn download<D: Dimensions + ?Sized>(
    requests: &[Passed<'_>],
    window: Window,
    dims: &D,
    united: &mut Vec<ByteRange>,
) -> Option<RunDownload> {
    let first = requests.first()?;
    let one_version = requests.iter().all(|it| it.version() == first.version());
    let show = if one_version {
        let needed = needed_bytes(first.episode, dims.rules().threshold_secs());
        // A first-touch window is one because its bytes suffice.
        let suffices = window == Window::FirstTouch || unite(requests, needed, united) >= needed;
        suffices.then_some(first.episode.show)?
    } else {
        let mut by_version = requests.to_vec();
        by_version.sort_unstable_by_key(|it| (it.version(), it.index));
        let mut counted = ListenerDay::default();
        count_episode(&by_version, false, dims, united, &mut counted);
        counted.downloads.first()?.show
    };
    Some(RunDownload {
        day: first.time.day(),
        show,
        source_kind: first.request.source_kind,
        limited: is_limited(first, dims.rules()),
    })
}

fn open_windows(passed: &[Passed<'_>], firsts: &[Span]) -> Vec<(Day, OpenWindows)> {
    let over_midnight = passed.windows(2).filter_map(|pair| {
        let [last, next] = pair else { return None };
        (next.time.day().0 == last.time.day().0.saturating_add(1)).then_some(last.time)
    });
    let open_at = |last: EventTimeMs| {
        let midnight = last.day().end();
        let begun = firsts.partition_point(|span| span.start < midnight);
        let span = begun.checked_sub(1).and_then(|at| firsts.get(at));
        let first_until = span.map(|span| span.end).filter(|end| *end > midnight);
        (last.day(), OpenWindows { first_until, last })
    };
    over_midnight.map(open_at).collect()
}
