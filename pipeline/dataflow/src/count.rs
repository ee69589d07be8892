//! Counts listener-days: requests and impressions in; verdicts, downloads, deliveries and presence out.
//!
//! ```text
//!   exposures ---- by household, else listener ----> [ count ] ----> Counted (verdict | download | delivery | presence)
//!   rules, agents, catalog, deals ----------------------^
//! ```
//! State: the exposures of each live listener-day, sorted by (time, event id), and per household-day its
//! listeners and its volume; freed when released.
//! Order in a tick: agents, then dimensions, then exposures. Cost: O(touched listener-days); a change
//! of a dimension reads the listener-days that hold a subject it can touch, a rule set all of them.
//! Invariant 1: what is emitted for a listener-day is exactly `count_listener_day` of its exposures.
//! Invariant 2: a household's volume is the sum of its listener-days' volumes.

use std::collections::{BTreeMap, BTreeSet};

use hostread_rules::counting::{
    CountedDownload, Delivery, Exposure, ListenerDay, count_listener_day,
};
use hostread_rules::delivery::{billable, civil_day};
use hostread_schemas::fact::{Fact, FactBody};
use hostread_schemas::view::{
    DownloadKey, DownloadRow, VerdictKey, VerdictRow, ViewRow, WindowKind,
};
use hostread_schemas::{AgentId, Day, EventId, EventTimeMs, HouseholdId, ListenerId, TenantId};
use serde::{Deserialize, Serialize};

use crate::by_tick::{Stream, by_tick};
use crate::catalog::{Catalog, Catalogs, Touched};
use crate::keyed::KeyedMap;
use hostread_rules::counting::Dimensions;

/// What counting says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) enum Counted {
    /// A row of `verdicts`.
    Verdict(VerdictKey, VerdictRow),
    /// A download of a tenant's listener.
    Download(TenantId, ListenerId, CountedDownload),
    /// An ad delivered: identity of its touch, and how it bills.
    Delivery(TenantId, Delivered),
    /// An agent was seen behind an IP* on a day.
    Presence(TenantId, HouseholdId, Day, AgentId),
}

/// An ad delivered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) struct Delivered {
    /// UTC day of the listener-day that it came from.
    pub(crate) exposure_day: Day,
    /// Billing day.
    pub(crate) billing_day: Day,
    /// In flight (baked-in: and before day 30).
    pub(crate) billable: bool,
    /// Identity of the touch.
    pub(crate) touch: EventId,
    /// The delivery.
    pub(crate) delivery: Delivery,
}

impl Counted {
    /// The row of a detail view, if it is one.
    pub(crate) fn row(&self) -> Option<ViewRow> {
        match self {
            Self::Verdict(key, row) => Some((*key, row.clone()).into()),
            Self::Download(tenant, listener, download) => {
                let key = DownloadKey {
                    tenant: *tenant,
                    day: download.t0.day(),
                    window: WindowKind::CalendarDay,
                    episode: download.episode,
                    listener: *listener,
                    t0: download.t0,
                };
                let row = DownloadRow {
                    show: download.show,
                    household: download.household,
                    source_kind: download.source_kind,
                    union_bytes: download.union_bytes,
                    needed_bytes: download.needed_bytes,
                    requests: download.requests,
                };
                Some((key, row).into())
            }
            Self::Delivery(..) | Self::Presence(..) => None,
        }
    }
}

/// A listener is one household's: the address is part of its identity.
type Key = (TenantId, HouseholdId, Day, ListenerId);
type HouseholdDay = (TenantId, HouseholdId, Day);
type Item = (EventTimeMs, EventId, Exposure);

/// One exposure on its way in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) struct ExposureFact {
    tenant: TenantId,
    household: HouseholdId,
    listener: ListenerId,
    day: Day,
    time: EventTimeMs,
    id: EventId,
    exposure: Exposure,
}

impl ExposureFact {
    /// The exposure that a fact states.
    pub(crate) fn of(fact: &Fact) -> Option<Self> {
        let (household, listener, exposure) = match &fact.body {
            FactBody::Request(it) => (it.household, it.listener, Exposure::Request(*it)),
            FactBody::Impression(it) => (it.household, it.listener, Exposure::Impression(*it)),
            _ => return None,
        };
        Some(Self {
            tenant: fact.tenant,
            household,
            listener,
            day: fact.time.day(),
            time: fact.time,
            id: fact.id,
            exposure,
        })
    }

    const fn key(&self) -> Key {
        (self.tenant, self.household, self.day, self.listener)
    }

    fn route(&self) -> u64 {
        let home = if self.household.is_some() {
            self.household.0
        } else {
            self.listener.0
        };
        home ^ u64::from(self.day.0.unsigned_abs())
    }
}

/// Wires the operator.
pub(crate) fn count<'s>(
    exposures: Stream<'s, ExposureFact>,
    dimensions: Stream<'s, Fact>,
) -> Stream<'s, Counted> {
    let mut state = State::default();
    by_tick(
        exposures,
        dimensions,
        "Count",
        ExposureFact::route,
        move |_tick, exposures, changes, out| state.step(exposures, &changes, out),
    )
}

#[derive(Default)]
struct ListenerItems {
    items: Vec<Item>,
    volume: u32,
}

/// A household-day; without a household nothing is kept.
#[derive(Default)]
struct Household {
    /// Every live listener; some may be gone, or there twice.
    listeners: Vec<ListenerId>,
    live: usize,
    volume: u64,
}

#[derive(Default)]
struct State {
    days: KeyedMap<Key, ListenerItems>,
    households: KeyedMap<HouseholdDay, Household>,
    /// How many live exposures a subject has.
    subjects: KeyedMap<(TenantId, u64), u64>,
    catalogs: Catalogs,
}

impl State {
    fn step(
        &mut self,
        exposures: Vec<(ExposureFact, i64)>,
        changes: &[(Fact, i64)],
        out: &mut Vec<(Counted, i64)>,
    ) {
        let (before, touched) = self.apply_changes(changes);
        let mut updates: BTreeMap<Key, Vec<(Item, i64)>> = BTreeMap::new();
        for (exposure, diff) in exposures {
            self.index(&exposure, diff);
            let item = (exposure.time, exposure.id, exposure.exposure);
            updates
                .entry(exposure.key())
                .or_default()
                .push((item, diff));
        }
        for key in self.touched_days(&touched) {
            updates.entry(key).or_default();
        }
        let default = Catalog::default();
        let updates: Vec<_> = updates.into_iter().collect();
        for home in updates.chunk_by(|(a, _), (b, _)| household_day(a) == household_day(b)) {
            let Some((first, _)) = home.first() else {
                continue;
            };
            // Taken and put back: the catalogs are only read here.
            let catalogs = std::mem::take(&mut self.catalogs);
            let now = catalogs.get(&first.0).unwrap_or(&default);
            let then = before.get(&first.0).unwrap_or(now);
            self.recount(household_day(first), home, then, now, out);
            self.catalogs = catalogs;
        }
    }

    /// Recounts the listener-days of one household-day that changed, and the others when the household
    /// comes over or under its limit.
    fn recount(
        &mut self,
        home: HouseholdDay,
        updates: &[(Key, Vec<(Item, i64)>)],
        then: &Catalog,
        now: &Catalog,
        out: &mut Vec<(Counted, i64)>,
    ) {
        let was_over = self.is_over(home, then);
        let mut counted = Vec::with_capacity(updates.len());
        for (key, changes) in updates {
            let day = self.days.entry(*key).or_default();
            let volume_then = day.volume;
            let fresh = day.items.is_empty();
            if !fresh {
                let old = count_listener_day(&day.items, was_over, then);
                emit(*key, &day.items, old, then, -1, out);
            }
            apply(&mut day.items, changes);
            let result = count_listener_day(&day.items, false, now);
            day.volume = result.volume;
            let (volume, gone) = (day.volume, day.items.is_empty());
            if gone {
                self.days.remove(key);
            }
            self.note(*key, volume_then, volume, fresh, gone);
            counted.push(result);
        }
        let is_over = self.is_over(home, now);
        for ((key, _), result) in updates.iter().zip(counted) {
            let Some(day) = self.days.get(key) else {
                continue;
            };
            let result = if is_over && day.volume > 0 {
                count_listener_day(&day.items, true, now)
            } else {
                result
            };
            emit(*key, &day.items, result, now, 1, out);
        }
        if is_over != was_over {
            self.flip(home, updates, is_over, now, out);
        }
    }

    /// Counts the listener-days anew that did not change themselves.
    fn flip(
        &self,
        home: HouseholdDay,
        changed: &[(Key, Vec<(Item, i64)>)],
        is_over: bool,
        catalog: &Catalog,
        out: &mut Vec<(Counted, i64)>,
    ) {
        let listeners = self
            .households
            .get(&home)
            .map(|h| h.listeners.iter().copied());
        let listeners: BTreeSet<ListenerId> = listeners.into_iter().flatten().collect();
        for listener in listeners {
            let key = (home.0, home.1, home.2, listener);
            let Some(day) = self.days.get(&key).filter(|day| day.volume > 0) else {
                continue;
            };
            if changed.binary_search_by_key(&key, |(key, _)| *key).is_err() {
                for (over, diff) in [(!is_over, -1), (is_over, 1)] {
                    let result = count_listener_day(&day.items, over, catalog);
                    emit(key, &day.items, result, catalog, diff, out);
                }
            }
        }
    }

    fn is_over(&self, home: HouseholdDay, catalog: &Catalog) -> bool {
        let volume = self.households.get(&home).map_or(0, |h| h.volume);
        catalog.rules().ip_volume_exceeded(volume)
    }

    /// Keeps the household-day equal to its listener-days.
    fn note(&mut self, key: Key, volume_then: u32, volume: u32, fresh: bool, gone: bool) {
        if !key.1.is_some() || (fresh && gone) {
            return;
        }
        let home = self.households.entry(household_day(&key)).or_default();
        home.volume = home.volume - u64::from(volume_then) + u64::from(volume);
        if fresh {
            home.listeners.push(key.3);
            home.live += 1;
        } else if gone {
            home.live -= 1;
        }
        if home.live == 0 {
            self.households.remove(&household_day(&key));
        } else if home.listeners.len() > 2 * home.live + 8 {
            home.listeners.sort_unstable();
            home.listeners.dedup();
            let days = &self.days;
            let live = |listener: &ListenerId| days.contains_key(&(key.0, key.1, key.2, *listener));
            home.listeners.retain(live);
        }
    }

    /// Applies the changes; returns the catalogs that changed as they were, and what is touched.
    fn apply_changes(
        &mut self,
        changes: &[(Fact, i64)],
    ) -> (Catalogs, BTreeMap<TenantId, Touched>) {
        let mut before = Catalogs::new();
        let mut touched: BTreeMap<TenantId, Touched> = BTreeMap::new();
        for (fact, diff) in changes {
            let catalog = self.catalogs.entry(fact.tenant).or_default();
            if let FactBody::Agent(agent, text) = &fact.body {
                catalog.learn_agent(*agent, text, *diff);
            } else {
                before.entry(fact.tenant).or_insert_with(|| catalog.clone());
                let touched = touched
                    .entry(fact.tenant)
                    .or_insert_with(|| Touched::Subjects(BTreeSet::new()));
                catalog.apply(fact, *diff, touched);
            }
        }
        // An agent first seen in this very tick was never classified before: let both agree.
        for (tenant, old) in &mut before {
            if let Some(now) = self.catalogs.get(tenant) {
                old.learn_missing_agents(now);
            }
        }
        (before, touched)
    }

    fn index(&mut self, exposure: &ExposureFact, diff: i64) {
        let subjects = subjects(&exposure.exposure);
        for subject in subjects.into_iter().filter(|subject| *subject != 0) {
            let key = (exposure.tenant, subject);
            let count = self.subjects.entry(key).or_insert(0);
            *count = count.wrapping_add_signed(diff);
            if *count == 0 {
                self.subjects.remove(&key);
            }
        }
    }

    fn touched_days(&self, touched: &BTreeMap<TenantId, Touched>) -> Vec<Key> {
        let live: BTreeMap<TenantId, &Touched> = touched
            .iter()
            .filter(|(tenant, touched)| match touched {
                Touched::All => true,
                Touched::Subjects(subjects) => subjects
                    .iter()
                    .any(|subject| self.subjects.contains_key(&(**tenant, *subject))),
            })
            .map(|(tenant, touched)| (*tenant, touched))
            .collect();
        if live.is_empty() {
            return Vec::new();
        }
        let hit = |key: &Key, items: &ListenerItems| match live.get(&key.0) {
            None => false,
            Some(Touched::All) => true,
            Some(Touched::Subjects(wanted)) => items
                .items
                .iter()
                .any(|(_, _, exposure)| subjects(exposure).iter().any(|s| wanted.contains(s))),
        };
        let mut keys: Vec<Key> = self
            .days
            .iter()
            .filter(|(key, items)| hit(key, items))
            .map(|(key, _)| *key)
            .collect();
        keys.sort_unstable();
        keys
    }
}

/// What a dimension must name to matter to an exposure.
fn subjects(exposure: &Exposure) -> [u64; 2] {
    match exposure {
        Exposure::Request(request) => [request.enclosure.0, 0],
        Exposure::Impression(impression) => [impression.line.0, impression.episode.0],
    }
}

const fn household_day(key: &Key) -> HouseholdDay {
    (key.0, key.1, key.2)
}

fn apply(items: &mut Vec<Item>, changes: &[(Item, i64)]) {
    for (item, diff) in changes {
        match items.binary_search(item) {
            Ok(at) if *diff < 0 => {
                items.remove(at);
            }
            Err(at) if *diff > 0 => items.insert(at, *item),
            // The head lets one copy of an event live.
            _ => unreachable!("an event came twice or went twice"),
        }
    }
    if items.capacity() > 4 * items.len() {
        items.shrink_to_fit();
    }
}

fn emit(
    key: Key,
    items: &[Item],
    counted: ListenerDay,
    catalog: &Catalog,
    diff: i64,
    out: &mut Vec<(Counted, i64)>,
) {
    let (tenant, household, day, listener) = key;
    for (request, time, verdict, enclosure, episode, sent_bytes) in counted.verdicts {
        let key = VerdictKey {
            tenant,
            day,
            request,
        };
        let row = VerdictRow {
            time,
            verdict,
            enclosure,
            episode,
            listener,
            sent_bytes,
        };
        out.push((Counted::Verdict(key, row), diff));
    }
    for download in counted.downloads {
        out.push((Counted::Download(tenant, listener, download), diff));
    }
    for delivery in counted.deliveries {
        let Some(line) = catalog.line(delivery.line) else {
            continue;
        };
        let billing_day = civil_day(delivery.time, &line.zone);
        let aired_at = catalog.aired_at(delivery.line, delivery.episode);
        let delivered = Delivered {
            exposure_day: day,
            billing_day,
            billable: billable(line, billing_day, delivery.time, aired_at),
            touch: touch_id(listener, day, &delivery),
            delivery,
        };
        out.push((Counted::Delivery(tenant, delivered), diff));
    }
    let agent = match items.first() {
        Some((_, _, Exposure::Request(request))) => request.agent,
        Some((_, _, Exposure::Impression(impression))) => impression.agent,
        None => return,
    };
    if agent.is_some() && household.is_some() {
        out.push((Counted::Presence(tenant, household, day, agent), diff));
    }
}

/// A touch is its (line, episode, listener, day), whatever reported it.
fn touch_id(listener: ListenerId, day: Day, delivery: &Delivery) -> EventId {
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let hi = mix(listener.0 ^ mix(delivery.line.0));
    let lo = mix(hi ^ mix(delivery.episode.0 ^ u64::from(day.0.unsigned_abs())));
    EventId { hi, lo }
}
