//! Downloads under the windows that go over midnight, told as differences from the calendar's.
//!
//! A listener who asks for an episode on one day only, as nearly all do, is the same under each window. So only days that follow
//! each other are looked at: the *run* of an episode. A run is counted whole, before and after a tick's changes.
//! State: what was open at the end of released days; per household-day by how much its volume differs under each window.
//! Cost: two look-ups a touched listener-day; O(n log² n) for the n requests of a touched run.
//! Invariant 1: calendar and differences together are `Run::count` of each window.
//! Invariant 2: a household-day's difference is the sum of those of its listeners' runs.

use std::collections::{BTreeMap, BTreeSet};

use differential_dataflow::consolidation::consolidate;
use hostread_rules::counting::window::run::{Run, RunCount, RunDownload, WINDOWS};
use hostread_rules::counting::{Dimensions, Exposure, Item, filtered};
use hostread_schemas::fact::{Carry, Fact, FactBody, OpenWindows};
use hostread_schemas::view::{DownloadsDailyKey, Verdict, WindowKind};
use hostread_schemas::{Day, EpisodeId, ListenerId};

use super::{Home, State, Update};
use crate::catalog::Catalog;
use crate::counted::{Counted, Key};
use crate::keyed::KeyedMap;

/// The windows that go over midnight, in the order of all that is kept of them.
pub(crate) const ROLLING: [WindowKind; WINDOWS.len() - 1] =
    [WindowKind::FirstTouch, WindowKind::LastTouch];

/// What was open at the end of the released days.
pub(super) type Opened = KeyedMap<Key, Vec<(EpisodeId, OpenWindows)>>;

/// Is a household-day over its limit: under the calendar, under each rolling window?
type Over = [bool; WINDOWS.len()];
/// Those that are, under one at least.
type OverDays = BTreeMap<Day, Over>;

/// Days that follow each other on which a listener asked for an episode; those that a tick touches count as such.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    listener: ListenerId,
    episode: EpisodeId,
    first: Day,
    last: Day,
}

impl Span {
    fn days(&self) -> impl Iterator<Item = Day> + Clone + use<> {
        (self.first.0..=self.last.0).map(Day)
    }
}

/// A span with what does not change in it, and what it came to before.
struct Before {
    span: Span,
    /// Requests of the days that the tick does not touch.
    still: Vec<Item>,
    count: RunCount,
}

/// A household's runs as they were before a tick.
pub(super) struct Runs {
    home: Home,
    spans: Vec<Before>,
    /// Of the days of the changes and of the spans.
    over: OverDays,
    limited: bool,
}

impl Runs {
    fn days<'u>(
        &self,
        updates: &'u [Update<'_>],
    ) -> impl Iterator<Item = Day> + Clone + use<'_, 'u> {
        let of_spans = self.spans.iter().flat_map(|before| before.span.days());
        updates.iter().map(|(key, _)| key.2).chain(of_spans)
    }
}

const fn neighbour(key: Key, days: i32) -> Key {
    (key.0, key.1, Day(key.2.0.saturating_add(days)), key.3)
}

/// What was open at the end of a released listener-day, and whether that comes or goes.
pub(super) type Opening = (Key, (EpisodeId, OpenWindows), i64);

/// What comes and goes of that, by household.
pub(super) fn opening(changes: &[(Fact, i64)]) -> BTreeMap<Home, Vec<Opening>> {
    let mut opening: BTreeMap<Home, Vec<Opening>> = BTreeMap::new();
    for (fact, diff) in changes {
        if let FactBody::Carry(Carry::Windows {
            day,
            household,
            listener,
            episode,
            open,
        }) = fact.body
        {
            let key = (fact.tenant, household, day, listener);
            let of_home = opening.entry((fact.tenant, household)).or_default();
            of_home.push((key, (episode, open), *diff));
        }
    }
    opening
}

impl State {
    /// Keeps what was open at the end of released days.
    pub(super) fn open(&mut self, opening: Vec<Opening>) {
        for (key, one, diff) in opening {
            let of_day = self.opened.entry(key).or_default();
            if diff > 0 {
                of_day.push(one);
            } else {
                of_day.retain(|known| *known != one);
            }
            if of_day.is_empty() {
                self.opened.remove(&key);
            }
        }
    }

    /// The runs of a household that changes can touch, as they are before these.
    pub(super) fn runs(
        &self,
        home: Home,
        updates: &[Update<'_>],
        opening: &[Opening],
        (then, now): (&Catalog, &Catalog),
    ) -> Runs {
        let limited = home.1.is_some()
            && [then, now].map(|it| it.rules().ip_volume_downloads_max() > 0) != [false; 2];
        let mut over = OverDays::new();
        if limited {
            self.note_over(home, updates.iter().map(|(key, _)| key.2), then, &mut over);
        }
        let mut spans = Vec::new();
        for (key, changes) in updates {
            let apart = over.get(&key.2).is_some_and(|over| !uniform(*over));
            let beside = [-1, 1].map(|days| neighbour(*key, days));
            if !apart && !beside.iter().any(|beside| self.may_hold(beside, updates)) {
                continue;
            }
            let mut episodes = Vec::new();
            self.episodes(key, then, &mut episodes);
            if !std::ptr::eq(then, now) {
                self.episodes(key, now, &mut episodes);
            }
            let come = changes.iter().filter(|(_, diff)| *diff > 0);
            episodes.extend(come.filter_map(|(it, _)| episode_of(&it.exposure, now)));
            let opened = opening.iter().filter(|(of, ..)| of == key);
            episodes.extend(opened.map(|(_, (episode, _), _)| *episode));
            episodes.sort_unstable();
            episodes.dedup();
            for episode in episodes {
                let span = self.span(*key, episode, updates, then);
                if apart || span.first < span.last {
                    spans.push(span);
                }
            }
        }
        spans.sort_unstable();
        spans.dedup();
        if limited {
            self.note_over(home, spans.iter().flat_map(Span::days), then, &mut over);
        }
        let before = |span| {
            let mut still = Vec::new();
            self.requests(home, &span, then, |key| !is_in(key, updates), &mut still);
            let count = self.count(home, &span, still.clone(), updates, then);
            Before { span, still, count }
        };
        Runs {
            home,
            spans: spans.into_iter().map(before).collect(),
            over,
            limited,
        }
    }

    /// Tells by how much the runs differ from what they were, once the changes are in.
    pub(super) fn tell_runs(
        &mut self,
        mut before: Runs,
        updates: &[Update<'_>],
        now: &Catalog,
        out: &mut Vec<(Counted, i64)>,
    ) {
        let home = before.home;
        let mut after = Vec::with_capacity(before.spans.len());
        for Before { span, still, count } in &mut before.spans {
            let is = self.count(home, span, std::mem::take(still), updates, now);
            if *count != is {
                self.note_volumes(home, count, -1);
                self.note_volumes(home, &is, 1);
            }
            after.push(is);
        }
        let mut over = OverDays::new();
        let days = before.days(updates);
        if before.limited {
            self.note_over(home, days.clone(), now, &mut over);
        }
        let mut counted = Vec::new();
        for (Before { span, count, .. }, is) in before.spans.iter().zip(&after) {
            tell(home, span, count, &before.over, -1, &mut counted);
            tell(home, span, is, &over, 1, &mut counted);
        }
        let flips = days.filter(|day| before.over.get(day) != over.get(day));
        let flips: BTreeSet<Day> = flips.collect();
        for span in self.flipped(&before, &flips, now) {
            // It did not change itself, and neither did what the catalog says of it.
            let mut all = Vec::new();
            self.requests(home, &span, now, |_| true, &mut all);
            let it = self.count(home, &span, all, &[], now);
            tell(home, &span, &it, &before.over, -1, &mut counted);
            tell(home, &span, &it, &over, 1, &mut counted);
        }
        consolidate(&mut counted);
        out.append(&mut counted);
    }

    /// Runs that did not change, on days on which the household came over or under its limit.
    fn flipped(&self, before: &Runs, flips: &BTreeSet<Day>, catalog: &Catalog) -> BTreeSet<Span> {
        let mut flipped = BTreeSet::new();
        for day in flips {
            let (tenant, household) = before.home;
            let of_day = self.households.get(&(tenant, household, *day));
            let listeners: BTreeSet<ListenerId> = of_day
                .into_iter()
                .flat_map(|household| household.listeners.iter().copied())
                .collect();
            for listener in listeners {
                let key = (tenant, household, *day, listener);
                let mut episodes = Vec::new();
                self.episodes(&key, catalog, &mut episodes);
                let spans = episodes.into_iter();
                flipped.extend(spans.map(|episode| self.span(key, episode, &[], catalog)));
            }
        }
        let changed: BTreeSet<Span> = before.spans.iter().map(|before| before.span).collect();
        let overlaps = |span: &Span| {
            let of_same = changed.range(
                Span {
                    first: Day(i32::MIN),
                    last: Day(i32::MIN),
                    ..*span
                }..,
            );
            of_same
                .take_while(|it| (it.listener, it.episode) == (span.listener, span.episode))
                .any(|it| it.first <= span.last && span.first <= it.last)
        };
        flipped.retain(|span| !overlaps(span));
        flipped
    }

    /// May a listener-day hold something before or after the changes?
    fn may_hold(&self, key: &Key, updates: &[Update<'_>]) -> bool {
        self.days.contains_key(key)
            || (!self.opened.is_empty() && self.opened.contains_key(key))
            || is_in(key, updates)
    }

    /// The span of a listener's episode around a day.
    fn span(
        &self,
        key: Key,
        episode: EpisodeId,
        updates: &[Update<'_>],
        catalog: &Catalog,
    ) -> Span {
        let follows = |key: &Key| is_in(key, updates) || self.asks(key, episode, catalog);
        let end = |step: i32| {
            let mut at = key;
            loop {
                let next = neighbour(at, step);
                if next == at || !follows(&next) {
                    return at.2;
                }
                at = next;
            }
        };
        Span {
            listener: key.3,
            episode,
            first: end(-1),
            last: end(1),
        }
    }

    /// Has a listener-day a filtered-in request for an episode, or had it one when it was released?
    fn asks(&self, key: &Key, episode: EpisodeId, catalog: &Catalog) -> bool {
        let opened = self.opened.get(key).into_iter().flatten();
        let mut live = self.days.get(key).into_iter().flat_map(|day| &day.items);
        opened.into_iter().any(|(of, _)| *of == episode)
            || live.any(|(time, _, exposure)| {
                episode_of(exposure, catalog) == Some(episode)
                    && matches!(exposure, Exposure::Request(request)
                        if filtered(*time, request, catalog) == Verdict::BelowThreshold)
            })
    }

    /// The episodes that a live listener-day has requests for, and those of which something was open when it was released.
    fn episodes(&self, key: &Key, catalog: &Catalog, episodes: &mut Vec<EpisodeId>) {
        let items = self.days.get(key).into_iter().flat_map(|day| &day.items);
        episodes.extend(items.filter_map(|(_, _, exposure)| episode_of(exposure, catalog)));
        let opened = self.opened.get(key).into_iter().flatten();
        episodes.extend(opened.map(|(episode, _)| *episode));
    }

    /// The requests of a span's days that are `wanted`.
    fn requests(
        &self,
        home: Home,
        span: &Span,
        catalog: &Catalog,
        wanted: impl Fn(&Key) -> bool,
        requests: &mut Vec<Item>,
    ) {
        let keys = span.days().map(|day| (home.0, home.1, day, span.listener));
        for live in keys.filter(wanted).filter_map(|key| self.days.get(&key)) {
            let of_episode = |item: &&Item| episode_of(&item.2, catalog) == Some(span.episode);
            requests.extend(live.items.iter().filter(of_episode));
        }
    }

    /// Counts a span: what does not change in it, and what the days of the changes hold now.
    fn count(
        &self,
        home: Home,
        span: &Span,
        mut requests: Vec<Item>,
        updates: &[Update<'_>],
        catalog: &Catalog,
    ) -> RunCount {
        self.requests(
            home,
            span,
            catalog,
            |key| is_in(key, updates),
            &mut requests,
        );
        requests.sort_unstable_by_key(|(time, id, _)| (*time, *id));
        let mut open = None;
        if !self.opened.is_empty() {
            let keys = span.days().map(|day| (home.0, home.1, day, span.listener));
            let opened = keys.filter_map(|key| self.opened.get(&key)).flatten();
            let mut opened = opened.filter(|(episode, _)| *episode == span.episode);
            // Of one day at most: those behind which days are live.
            open = opened.next().map(|(_, open)| *open);
        }
        let run = Run {
            requests: &requests,
            open,
        };
        run.count(catalog)
    }

    /// Notes which days a household is over its limit on.
    fn note_over(
        &self,
        home: Home,
        days: impl Iterator<Item = Day>,
        catalog: &Catalog,
        over: &mut OverDays,
    ) {
        let mut before = None;
        for day in days.filter(|day| before.replace(*day) != Some(*day)) {
            let Some(household) = self.households.get(&(home.0, home.1, day)) else {
                continue;
            };
            let exceeded = |difference: i64| {
                let volume = household.volume.saturating_add_signed(difference);
                catalog.rules().ip_volume_exceeded(volume)
            };
            let [first, last] = household.rolling;
            let of_day = [exceeded(0), exceeded(first), exceeded(last)];
            if of_day != Over::default() {
                over.insert(day, of_day);
            }
        }
    }

    /// Keeps invariant 2.
    fn note_volumes(&mut self, home: Home, count: &RunCount, sign: i64) {
        for (which, downloads) in count.downloads.iter().enumerate() {
            for download in downloads.iter().filter(|download| download.limited) {
                // A household-day that is gone has taken its differences with it.
                let of_day = (home.0, home.1, download.day);
                let Some(household) = self.households.get_mut(&of_day) else {
                    continue;
                };
                for (at, difference) in household.rolling.iter_mut().enumerate() {
                    // The first is the calendar's, from which all others differ.
                    *difference += match which {
                        0 => -sign,
                        _ if which == at + 1 => sign,
                        _ => 0,
                    };
                }
            }
        }
    }
}

/// Tells, so many times, what a span has more or less than the calendar, and what is open in it.
fn tell(
    home: Home,
    span: &Span,
    count: &RunCount,
    over: &OverDays,
    times: i64,
    out: &mut Vec<(Counted, i64)>,
) {
    for (which, downloads) in count.downloads.iter().enumerate() {
        let lost =
            |it: &&RunDownload| it.limited && over.get(&it.day).is_some_and(|over| over[which]);
        for download in downloads.iter().filter(|it| !lost(it)) {
            for (at, window) in ROLLING.into_iter().enumerate() {
                let times = match which {
                    0 => -times,
                    _ if which == at + 1 => times,
                    _ => continue,
                };
                let key = DownloadsDailyKey {
                    tenant: home.0,
                    day: download.day,
                    window,
                    show: download.show,
                    episode: span.episode,
                    source_kind: download.source_kind,
                };
                out.push((Counted::Rolled(key), times));
            }
        }
    }
    for (day, open) in &count.open {
        let key = (home.0, home.1, *day, span.listener);
        out.push((Counted::Open(key, span.episode, *open), times));
    }
}

/// The episode that a request is for.
fn episode_of(exposure: &Exposure, catalog: &Catalog) -> Option<EpisodeId> {
    match exposure {
        Exposure::Request(request) => Some(catalog.episode_of(request.enclosure)?.episode),
        Exposure::Impression(_) => None,
    }
}

/// Is a listener-day one of those that changes touch?
fn is_in(key: &Key, updates: &[Update<'_>]) -> bool {
    updates.binary_search_by_key(key, |(key, _)| *key).is_ok()
}

fn uniform(over: Over) -> bool {
    over == [over[0]; WINDOWS.len()]
}

#[cfg(test)]
mod tests;
