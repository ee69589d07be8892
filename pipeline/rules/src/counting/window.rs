//! Counts a listener by the window that a rule set names: which requests can be one download (definition 22).
//!
//! ```text
//!   filtered-in requests of an episode ─► windows ─► count_episode each ─► downloads, ads, by the civil day of their t0
//! ```
//! Needs: all requests and impressions of one listener, in order (time, event id). Promises: calendar days of UTC are
//! [`count_listener_day`](super::count_listener_day) of each; O(n log² n) for n requests. Leaves out: whose listeners share an
//! address other than by [`count_household`].
//!
//! Invariant 1: a request lies in one window at most; t0 of two downloads of an episode are 24 hours apart unless they are of
//! calendar days. Invariant 2: a window that makes no download counts none of its requests.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use hostread_schemas::event::ImpressionKind;
use hostread_schemas::unit::DAY_MS;
use hostread_schemas::{Day, EnclosureId, EpisodeId, EventTimeMs, HouseholdId};
use serde::{Deserialize, Serialize};

use super::{
    Delivery, Dimensions, Item, ListenerDay, count_episode, count_impressions, downloadable,
    filter::{Passed, filter},
    needed_bytes, sent,
};
use crate::bytes::Sliding;
use crate::delivery::{civil_day, day_start};

pub mod run;

/// Which requests can be one download.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Window {
    /// Those of a civil day.
    #[default]
    Calendar,
    /// Those of the 24 hours from the first that begins a valid download.
    FirstTouch,
    /// Those that follow each other in less than 24 hours.
    LastTouch,
}

impl Window {
    /// As in documents, options and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calendar => "calendar",
            Self::FirstTouch => "first-touch",
            Self::LastTouch => "last-touch",
        }
    }
}

/// A window and the zone of its days.
#[derive(Clone, Copy, Debug)]
pub struct Windows<'a> {
    /// Its kind.
    pub window: Window,
    /// Where days begin: those of the calendar window, and those by which everything is told.
    pub zone: &'a str,
}

/// Requests of an episode that can be one download, and when an ad is theirs: `[start, end)`.
struct Span {
    requests: Range<usize>,
    start: EventTimeMs,
    end: EventTimeMs,
}

const fn day_later(time: EventTimeMs) -> EventTimeMs {
    EventTimeMs(time.0.saturating_add(DAY_MS))
}

impl Windows<'_> {
    /// The windows of one episode's filtered-in requests, in order. First touch leaves out what begins no download.
    fn spans(self, group: &[Passed<'_>], threshold_secs: u32) -> Vec<Span> {
        if self.window == Window::FirstTouch {
            return first_touch(group, threshold_secs);
        }
        let mut from = 0;
        let mut spans = Vec::new();
        for requests in group.chunk_by(|a, b| self.joins(a.time, b.time)) {
            let (Some(first), Some(last)) = (requests.first(), requests.last()) else {
                continue;
            };
            let day = civil_day(first.time, self.zone);
            let (start, end) = match self.window {
                Window::Calendar => (
                    day_start(day, self.zone),
                    day_start(Day(day.0.saturating_add(1)), self.zone),
                ),
                Window::FirstTouch | Window::LastTouch => (first.time, day_later(last.time)),
            };
            let requests = from..from + requests.len();
            from = requests.end;
            spans.push(Span {
                requests,
                start,
                end,
            });
        }
        spans
    }

    /// Is a request in the window of the one before it? Not asked of first touch, where that is a matter of t0.
    fn joins(self, before: EventTimeMs, next: EventTimeMs) -> bool {
        match self.window {
            Window::Calendar => civil_day(before, self.zone) == civil_day(next, self.zone),
            Window::FirstTouch | Window::LastTouch => next < day_later(before),
        }
    }

    /// Of the ads of a line and an episode, in order, the first of each window.
    fn keep_firsts(self, ads: &[Delivery], kept: &mut Vec<Delivery>) {
        let mut before: Option<EventTimeMs> = None;
        for ad in ads {
            let joins = before.is_some_and(|before| self.joins(before, ad.time));
            if !joins {
                kept.push(*ad);
            }
            if !joins || self.window == Window::LastTouch {
                before = Some(ad.time);
            }
        }
    }
}

/// The union of each version within the window, and how many of them suffice.
#[derive(Default)]
struct Reach {
    versions: BTreeMap<(EpisodeId, EnclosureId, u64), Sliding>,
    sufficient: usize,
}

impl Reach {
    fn change(&mut self, passed: &Passed<'_>, needed: u64, change: impl FnOnce(&mut Sliding)) {
        let union = self.versions.entry(passed.version()).or_default();
        self.sufficient -= usize::from(union.bytes() >= needed);
        change(union);
        self.sufficient += usize::from(union.bytes() >= needed);
    }
}

/// t0 = the earliest request whose union over [t0, t0 + 24 h) reaches the threshold; one that fails is skipped; go on at the
/// first >= t0 + 24 h.
fn first_touch(group: &[Passed<'_>], threshold_secs: u32) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut reach = Reach::default();
    let needed = |passed: &Passed<'_>| needed_bytes(passed.episode, threshold_secs);
    let (mut at, mut end) = (0, 0);
    while let Some(first) = group.get(at) {
        let until = day_later(first.time);
        while let Some(next) = group.get(end).filter(|p| end == at || p.time < until) {
            let needed = needed(next);
            let range = sent(next.request, next.episode, needed);
            reach.change(next, needed, |union| union.push(range));
            end += 1;
        }
        let skipped = if reach.sufficient > 0 {
            spans.push(Span {
                requests: at..end,
                start: first.time,
                end: until,
            });
            end
        } else {
            at + 1
        };
        for gone in group.get(at..skipped).unwrap_or_default() {
            reach.change(gone, needed(gone), Sliding::pop);
        }
        at = skipped;
    }
    spans
}

/// What one listener comes to, by civil day: verdicts by that of the request, downloads and their ads by that of t0.
/// `over_volume`: days on which the household has more downloads than the rules allow.
#[must_use]
pub fn count_listener<D: Dimensions + ?Sized>(
    exposures: &[Item],
    windows: Windows<'_>,
    over_volume: &BTreeSet<Day>,
    dims: &D,
) -> BTreeMap<Day, ListenerDay> {
    let day_of = |time| civil_day(time, windows.zone);
    let mut all = ListenerDay::default();
    let mut days: BTreeMap<Day, ListenerDay> = BTreeMap::new();
    let mut passed = filter(exposures, dims, &mut all.verdicts);
    passed.sort_unstable_by_key(|p| (p.episode.episode, p.index));
    let (mut united, mut spans) = (Vec::new(), Vec::new());
    for group in passed.chunk_by(|a, b| a.episode.episode == b.episode.episode) {
        for span in windows.spans(group, dims.rules().threshold_secs()) {
            let requests = group.get(span.requests.clone()).unwrap_or_default();
            let Some(first) = requests.first() else {
                continue;
            };
            let day = day_of(first.time);
            let mut requests = requests.to_vec();
            requests.sort_unstable_by_key(|p| (p.version(), p.index));
            let over = over_volume.contains(&day);
            all.volume = 0;
            count_episode(&requests, over, dims, &mut united, &mut all);
            days.entry(day).or_default().volume += all.volume;
            if let Some(download) = all.downloads.get(spans.len()) {
                spans.push((download.episode, span.start, span.end));
            }
        }
    }
    let in_window = |episode, time| {
        let after = spans.partition_point(|(of, start, _)| (*of, *start) <= (episode, time));
        let at = after.checked_sub(1)?;
        let (of, _, end) = spans.get(at)?;
        all.downloads
            .get(at)
            .filter(|_| *of == episode && time < *end)
    };
    if all.verdicts.len() < exposures.len() {
        let delivered = ImpressionKind::Delivered;
        count_impressions(exposures, delivered, dims, in_window, &mut all.deliveries);
    }
    for verdict in all.verdicts {
        days.entry(day_of(verdict.time))
            .or_default()
            .verdicts
            .push(verdict);
    }
    for download in all.downloads {
        let day = days.entry(day_of(download.t0)).or_default();
        day.downloads.push(download);
    }
    for delivery in once_a_window(all.deliveries, windows, dims) {
        let day = days.entry(day_of(delivery.time)).or_default();
        day.deliveries.push(delivery);
    }
    days
}

/// One delivery per (line, episode, window).
fn once_a_window<D: Dimensions + ?Sized>(
    mut all: Vec<Delivery>,
    windows: Windows<'_>,
    dims: &D,
) -> Vec<Delivery> {
    // Stable: of several impressions at one time the first stays.
    all.sort_by_key(|ad| (ad.line, ad.episode, ad.time));
    let mut kept = Vec::with_capacity(all.len());
    for ads in all.chunk_by(|a, b| (a.line, a.episode) == (b.line, b.episode)) {
        if ads.first().is_some_and(|ad| downloadable(ad.episode, dims)) {
            // Their time is t0.
            kept.extend(
                ads.chunk_by(|a, b| a.time == b.time)
                    .filter_map(<[_]>::first),
            );
        } else {
            windows.keep_firsts(ads, &mut kept);
        }
    }
    kept
}

/// What the listeners of a household come to, in order, each by civil day: together, for the limit of an address is on all of
/// them (`ip_volume`, on the downloads of a civil day by their t0).
#[must_use]
pub fn count_household<'a, D: Dimensions + ?Sized>(
    household: HouseholdId,
    listeners: impl Iterator<Item = &'a [Item]> + Clone,
    windows: Windows<'_>,
    dims: &D,
) -> Vec<BTreeMap<Day, ListenerDay>> {
    let none = BTreeSet::new();
    let count = |items, over: &BTreeSet<Day>| count_listener(items, windows, over, dims);
    let mut all: Vec<_> = listeners.clone().map(|items| count(items, &none)).collect();
    // Without a household listeners have no address in common.
    if !household.is_some() {
        return all;
    }
    let mut volumes: BTreeMap<Day, u64> = BTreeMap::new();
    for (day, counted) in all.iter().flatten() {
        *volumes.entry(*day).or_default() += u64::from(counted.volume);
    }
    volumes.retain(|_, volume| dims.rules().ip_volume_exceeded(*volume));
    if !volumes.is_empty() {
        let over: BTreeSet<Day> = volumes.into_keys().collect();
        for (days, items) in all.iter_mut().zip(listeners) {
            *days = count(items, &over);
        }
    }
    all
}
