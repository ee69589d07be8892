//! The requests of households' days: what the listeners, episodes and days of a log need, whatever the number of its lines.
//!
//! Needs: requests that passed the filters, in any order. Promises: what they come to does not depend on their order or on how
//! many threads took them in; of many requests of a listener for an episode on a day only the united bytes are held, unless
//! windows go over midnight.
//! Leaves out: what a line means.

use std::collections::BTreeMap;

use hostread_rules::bytes;
use hostread_rules::counting::window::{Windows, count_household};
use hostread_rules::counting::{Exposure, Item, ListenerDay};
use hostread_rules::household_day::count_household_day;
use hostread_schemas::fact::RequestFact;
use hostread_schemas::{Day, EnclosureId, HouseholdId, ListenerId};

use super::{Catalog, Seen};

/// From so many requests of a household's day on, they are united now and then.
const UNITE_FROM: usize = 32;
/// Households are dealt out to so many buckets in each part: what is sorted at once fits a processor's cache.
const BUCKETS: usize = 32;
/// Requests are united when a bucket holds so many, and whenever it holds twice as many as were left.
const HELD_FROM: usize = if cfg!(test) { UNITE_FROM } else { 1 << 10 };

/// A request of a household's day.
#[derive(Clone, Copy)]
struct Held {
    day: Day,
    /// Its episode has several addresses.
    several: bool,
    seen: Seen,
}

impl Held {
    const fn item(&self) -> Item {
        let (time, id, request) = self.seen;
        (time, id, Exposure::Request(request))
    }
}

/// Requests that were united away, by day, listener and audio address.
type United = BTreeMap<(Day, ListenerId, EnclosureId), u64>;

/// What a listener's day comes to.
pub(super) struct Counted<'a> {
    pub(super) household: HouseholdId,
    pub(super) day: Day,
    pub(super) listener: ListenerId,
    pub(super) counted: &'a ListenerDay,
    /// Requests beside those with a verdict, which have the verdict of their audio address.
    pub(super) united: Vec<(EnclosureId, u64)>,
}

/// See the module. Households are dealt out to parts, which threads count each by itself.
#[derive(Default)]
pub(super) struct Homes {
    parts: Vec<Vec<Bucket>>,
    /// Windows go over midnight: the days of a household are one, and each request is held with its time.
    rolling: bool,
}

impl Homes {
    pub(super) fn new(parts: usize, rolling: bool) -> Self {
        let part = |_| (0..BUCKETS).map(|_| Bucket::default()).collect();
        let parts = (0..parts.max(1)).map(part).collect();
        Self { parts, rolling }
    }

    /// Takes in a request; `several`: its episode has several addresses.
    pub(super) fn add(&mut self, day: Day, several: bool, seen: Seen) {
        let day = if self.rolling { Day(0) } else { day };
        let household = seen.2.household.0;
        let part = household as usize % self.parts.len();
        let bucket = (household >> 32) as usize % BUCKETS;
        let part = self.parts.get_mut(part);
        if let Some(bucket) = part.and_then(|part| part.get_mut(bucket)) {
            let held = Held { day, several, seen };
            bucket.held.push(held);
            if !self.rolling && bucket.held.len() >= bucket.unite_at.max(HELD_FROM) {
                bucket.unite();
            }
        }
    }

    /// How many parts.
    pub(super) const fn parts(&self) -> usize {
        self.parts.len()
    }

    /// The parts: those of several that were made with the same number of parts belong together.
    pub(super) fn into_parts(self) -> Vec<Part> {
        let part = |buckets| Part(vec![buckets]);
        self.parts.into_iter().map(part).collect()
    }
}

/// The days of some households: of each thread that took them in, its buckets.
pub(super) struct Part(Vec<Vec<Bucket>>);

impl Part {
    /// Takes in what another thread has of the same households.
    pub(super) fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Counts each listener's day, those of a household one after the other.
    pub(super) fn count(self, catalog: &Catalog, each: &mut dyn FnMut(Counted<'_>)) {
        self.each_home(|(household, day), united, items| {
            let listeners = || by_listener(items);
            let (counted, _) = count_household_day(household, listeners(), catalog);
            for (items, counted) in listeners().zip(&counted) {
                let listener = listener(items);
                let of = |enclosure| (day, listener, EnclosureId(enclosure));
                let united = united.range(of(0)..=of(u64::MAX));
                let united = united.map(|((.., of), requests)| (*of, *requests));
                each(Counted {
                    household,
                    day,
                    listener,
                    counted,
                    united: united.collect(),
                });
            }
        });
    }

    /// Counts each listener by windows that go over midnight, those of a household one after the other.
    pub(super) fn count_rolling(
        self,
        windows: Windows<'_>,
        catalog: &Catalog,
        each: &mut dyn FnMut(Counted<'_>),
    ) {
        self.each_home(|(household, _), _, items| {
            let listeners = || by_listener(items);
            let counted = count_household(household, listeners(), windows, catalog);
            for (items, days) in listeners().zip(&counted) {
                for (day, counted) in days {
                    each(Counted {
                        household,
                        day: *day,
                        listener: listener(items),
                        counted,
                        united: Vec::new(),
                    });
                }
            }
        });
    }

    /// Each household's day, its requests by listener and in order.
    fn each_home(mut self, mut each: impl FnMut((HouseholdId, Day), &United, &[Item])) {
        let mut items: Vec<Item> = Vec::new();
        for at in 0..BUCKETS {
            let mut all = Bucket::default();
            for buckets in &mut self.0 {
                if let Some(bucket) = buckets.get_mut(at) {
                    all.join(std::mem::take(bucket));
                }
            }
            for home in all.spots().chunk_by(|a, b| home_of(a) == home_of(b)) {
                items.clear();
                items.extend(all.at(home).map(|held| held.item()));
                items.sort_unstable_by_key(|item| (listener_of(item), *item));
                let of = home.first().map(home_of).unwrap_or_default();
                each(of, &all.united, &items);
            }
        }
    }
}

/// The days of a few households. Most have one or two requests, so that sorting costs less than a table of them.
#[derive(Default)]
struct Bucket {
    /// Requests; of those united, one per range of bytes in their union, with the facts of the first.
    held: Vec<Held>,
    united: United,
    /// When so many are held, they are united.
    unite_at: usize,
}

/// A household's day, and where one of its requests is held. More than 4 billion fit no memory.
type Spot = (HouseholdId, Day, u32);

const fn home_of(spot: &Spot) -> (HouseholdId, Day) {
    (spot.0, spot.1)
}

impl Bucket {
    fn join(&mut self, mut other: Self) {
        self.held.append(&mut other.held);
        for (key, requests) in other.united {
            *self.united.entry(key).or_default() += requests;
        }
    }

    /// Where the requests of each household's day are held, one day after the other.
    fn spots(&self) -> Vec<Spot> {
        let spot = |(held, at): (&Held, _)| (held.seen.2.household, held.day, at);
        let mut spots: Vec<Spot> = self.held.iter().zip(0..).map(spot).collect();
        spots.sort_unstable();
        spots
    }

    fn at(&self, spots: &[Spot]) -> impl Iterator<Item = Held> {
        let held = |(.., at): &Spot| self.held.get(*at as usize).copied();
        spots.iter().filter_map(held)
    }

    /// Unites the requests of households with many on a day.
    fn unite(&mut self) {
        let spots = self.spots();
        let homes = spots.chunk_by(|a, b| home_of(a) == home_of(b));
        if homes.clone().any(|home| home.len() >= UNITE_FROM) {
            let mut kept = Vec::new();
            for home in homes {
                if home.len() < UNITE_FROM {
                    kept.extend(self.at(home));
                } else {
                    let mut home: Vec<Held> = self.at(home).collect();
                    unite_home(&mut home, &mut kept, &mut self.united);
                }
            }
            self.held = kept;
        }
        self.unite_at = self.held.len() * 2;
    }
}

fn by_listener(items: &[Item]) -> impl Iterator<Item = &[Item]> + Clone {
    items.chunk_by(|a, b| listener_of(a) == listener_of(b))
}

fn listener(items: &[Item]) -> ListenerId {
    items.first().map_or(ListenerId::NONE, listener_of)
}

/// Only requests are taken in.
const fn listener_of(item: &Item) -> ListenerId {
    match &item.2 {
        Exposure::Request(request) => request.listener,
        Exposure::Impression(_) => ListenerId::NONE,
    }
}

/// Keeps of each listener's requests for an episode no more than the ranges of their union. A plain file has one version
/// (`LogSettings::stitched` is off), so that a union and the first request say all that counts. Of an episode with several
/// addresses the one that first brought enough bytes makes the download, which a union does not say.
fn unite_home(home: &mut [Held], kept: &mut Vec<Held>, united: &mut United) {
    let key = |held: &Held| (held.seen.2.listener, held.seen.2.enclosure);
    home.sort_unstable_by_key(|held| (key(held), held.seen));
    let mut ranges = Vec::new();
    for group in home.chunk_by(|a, b| key(a) == key(b)) {
        if group.first().is_some_and(|held| held.several) {
            kept.extend_from_slice(group);
            continue;
        }
        ranges.clear();
        ranges.extend(group.iter().map(|held| {
            let RequestFact {
                sent_first,
                sent_bytes,
                ..
            } = held.seen.2;
            bytes::range(sent_first, sent_bytes)
        }));
        bytes::unite(&mut ranges);
        let (Some(first), true) = (group.first(), ranges.len() < group.len()) else {
            kept.extend_from_slice(group);
            continue;
        };
        // Requests without a byte (those of a prefix) are one.
        if ranges.is_empty() {
            ranges.push((0, 0));
        }
        let gone = group.len() - ranges.len();
        if gone > 0 {
            let (listener, address) = key(first);
            let of = (first.day, listener, address);
            *united.entry(of).or_default() += gone as u64;
        }
        kept.extend(ranges.iter().map(|(from, to)| {
            let (time, id, request) = first.seen;
            let sent = RequestFact {
                sent_first: *from,
                sent_bytes: to - from,
                ..request
            };
            Held {
                seen: (time, id, sent),
                ..*first
            }
        }));
    }
}
