//! The requests of households' days: what the listeners, episodes and days of a log need, whatever the number of its lines.
//!
//! Needs: requests that passed the filters, in any order. Promises: what they come to does not depend on their order or on how
//! many threads took them in; of many requests of a listener for an episode on a day only the united bytes are held, unless
//! windows go over midnight.
//! Leaves out: what a line means.

use std::collections::{BTreeMap, HashMap};

use hostread_rules::bytes;
use hostread_rules::counting::window::{Windows, count_household};
use hostread_rules::counting::{Exposure, Item, ListenerDay};
use hostread_rules::household_day::count_household_day;
use hostread_schemas::fact::RequestFact;
use hostread_schemas::{Day, EnclosureId, HouseholdId, ListenerId};

use super::Catalog;

/// From so many requests of a household's day on, they are united now and then.
const UNITE_FROM: usize = 32;

/// A household's day.
#[derive(Default)]
struct Home {
    /// Requests; of those united, one per range of bytes in their union, with the facts of the first.
    items: Vec<Item>,
    /// Requests that were united away.
    united: BTreeMap<(ListenerId, EnclosureId), u64>,
    /// When there are so many, they are united.
    unite_at: usize,
}

/// What a listener's day comes to.
pub(super) struct Counted<'a> {
    pub(super) day: Day,
    pub(super) listener: ListenerId,
    pub(super) counted: &'a ListenerDay,
    /// Requests beside those with a verdict, which have the verdict of their audio address.
    pub(super) united: Vec<(EnclosureId, u64)>,
}

/// See the module. Households are dealt out to parts, which threads count each by itself.
#[derive(Default)]
pub(super) struct Homes {
    parts: Vec<HashMap<(Day, HouseholdId), Home>>,
    /// Windows go over midnight: the days of a household are one, and each request is held with its time.
    rolling: bool,
}

impl Homes {
    pub(super) fn new(parts: usize, rolling: bool) -> Self {
        let parts = (0..parts.max(1)).map(|_| HashMap::new()).collect();
        Self { parts, rolling }
    }

    /// Takes in a request.
    pub(super) fn add(&mut self, day: Day, household: HouseholdId, item: Item) {
        let day = if self.rolling { Day(0) } else { day };
        let part = household.0 as usize % self.parts.len();
        if let Some(homes) = self.parts.get_mut(part) {
            let home = homes.entry((day, household)).or_default();
            home.items.push(item);
            if !self.rolling {
                home.unite_many();
            }
        }
    }

    /// How many parts.
    pub(super) const fn parts(&self) -> usize {
        self.parts.len()
    }

    /// The parts: those of several that were made with the same number of parts belong together.
    pub(super) fn into_parts(self) -> Vec<Part> {
        self.parts.into_iter().map(Part).collect()
    }
}

/// The days of some households.
pub(super) struct Part(HashMap<(Day, HouseholdId), Home>);

impl Part {
    /// Takes in what another thread has of the same households.
    pub(super) fn join(&mut self, other: Self) {
        #[expect(
            clippy::iter_over_hash_type,
            reason = "requests are sorted before they are counted, and sums have no order"
        )]
        for (key, theirs) in other.0 {
            let home = self.0.entry(key).or_default();
            home.items.extend(theirs.items);
            for (key, requests) in theirs.united {
                *home.united.entry(key).or_default() += requests;
            }
        }
    }

    /// Counts each listener's day, in no order.
    pub(super) fn count(self, catalog: &Catalog, each: &mut dyn FnMut(Counted<'_>)) {
        #[expect(clippy::iter_over_hash_type, reason = "sums have no order")]
        for ((day, household), mut home) in self.0 {
            home.items
                .sort_unstable_by_key(|item| (request(item).listener, *item));
            let listeners = || by_listener(&home.items);
            let (counted, _) = count_household_day(household, listeners(), catalog);
            for (items, counted) in listeners().zip(&counted) {
                let listener = listener(items);
                let all = (listener, EnclosureId(0))..=(listener, EnclosureId(u64::MAX));
                let united = home.united.range(all);
                each(Counted {
                    day,
                    listener,
                    counted,
                    united: united.map(|((_, of), requests)| (*of, *requests)).collect(),
                });
            }
        }
    }

    /// Counts each listener by windows that go over midnight, in no order.
    pub(super) fn count_rolling(
        self,
        windows: Windows<'_>,
        catalog: &Catalog,
        each: &mut dyn FnMut(Counted<'_>),
    ) {
        #[expect(clippy::iter_over_hash_type, reason = "sums have no order")]
        for ((_, household), mut home) in self.0 {
            home.items
                .sort_unstable_by_key(|item| (request(item).listener, *item));
            let listeners = || by_listener(&home.items);
            let counted = count_household(household, listeners(), windows, catalog);
            for (items, days) in listeners().zip(&counted) {
                for (day, counted) in days {
                    each(Counted {
                        day: *day,
                        listener: listener(items),
                        counted,
                        united: Vec::new(),
                    });
                }
            }
        }
    }
}

fn by_listener(items: &[Item]) -> impl Iterator<Item = &[Item]> + Clone {
    items.chunk_by(|a, b| request(a).listener == request(b).listener)
}

fn listener(items: &[Item]) -> ListenerId {
    items
        .first()
        .map_or(ListenerId::NONE, |item| request(item).listener)
}

impl Home {
    fn unite_many(&mut self) {
        if self.items.len() >= self.unite_at.max(UNITE_FROM) {
            self.unite();
            self.unite_at = self.items.len() * 2;
        }
    }

    /// Holds of each listener's requests for an episode no more than the ranges of their union. A plain file has one version
    /// (`LogSettings::stitched` is off), so that a union and the first request say all that counts.
    fn unite(&mut self) {
        let key = |item: &Item| (request(item).listener, request(item).enclosure);
        let mut all = std::mem::take(&mut self.items);
        all.sort_unstable_by_key(|item| (key(item), *item));
        let mut ranges = Vec::new();
        for group in all.chunk_by(|a, b| key(a) == key(b)) {
            ranges.clear();
            ranges.extend(group.iter().map(|item| {
                let sent = request(item);
                bytes::range(sent.sent_first, sent.sent_bytes)
            }));
            bytes::unite(&mut ranges);
            let (Some(first), true) = (group.first(), ranges.len() < group.len()) else {
                self.items.extend_from_slice(group);
                continue;
            };
            // Requests without a byte (those of a prefix) are one.
            if ranges.is_empty() {
                ranges.push((0, 0));
            }
            let gone = group.len() - ranges.len();
            if gone > 0 {
                *self.united.entry(key(first)).or_default() += gone as u64;
            }
            self.items.extend(ranges.iter().map(|(from, to)| {
                let sent = RequestFact {
                    sent_first: *from,
                    sent_bytes: to - from,
                    ..request(first)
                };
                (first.0, first.1, Exposure::Request(sent))
            }));
        }
    }
}

/// Only requests are taken in.
fn request(item: &Item) -> RequestFact {
    match item.2 {
        Exposure::Request(request) => request,
        Exposure::Impression(_) => RequestFact::default(),
    }
}
