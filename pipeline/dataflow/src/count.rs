//! Counts listener-days: requests and impressions in; verdicts, downloads, deliveries and presence out.
//!
//! ```text
//!   exposures ---- by household, else listener ----> [ count ] ----> Counted (verdict | download | delivery | presence | rolled)
//!   rules, agents, catalog, deals, open windows ---------^
//! ```
//! State: the exposures of each live listener-day, sorted by (time, event id), and per household-day its
//! listeners and its volume; freed when released. What goes over midnight: [`rolling`].
//! Order in a tick: agents, then dimensions, then exposures. Cost: O(touched listener-days); a change
//! of a dimension recounts the listener-days that hold a subject it can touch; a rule set looks at every exposure once, and
//! recounts the listener-days with an agent, network, address or referrer that it judges differently.
//! Invariant 1: what is emitted for a listener-day is exactly `count_listener_day` of its exposures.
//! Invariant 2: a household's volume is the sum of its listener-days' volumes.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use hostread_rules::counting::{Dimensions, Exposure, Item, ListenerDay, count_listener_day};
use hostread_schemas::fact::{Fact, FactBody};
use hostread_schemas::{Day, EventId, EventTimeMs, HouseholdId, ListenerId, TenantId};
use serde::{Deserialize, Serialize};

use crate::by_tick::{Stream, by_tick};
use crate::catalog::{Catalog, Catalogs, Rejudged, Touched};
use crate::counted::{Counted, Key, Statement};
use crate::keyed::{KeyedMap, insert_tight};
use crate::recount::Recount;
use crate::sorted::of_tenant;

mod rolling;

use rolling::Opened;
pub(crate) use rolling::ROLLING;

type Home = (TenantId, HouseholdId);
type HouseholdDay = (TenantId, HouseholdId, Day);

/// One exposure on its way in; sorted, a household-day's listeners lie together.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) struct ExposureFact {
    tenant: TenantId,
    household: HouseholdId,
    day: Day,
    listener: ListenerId,
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
        route(self.household, self.listener)
    }
}

/// A household is counted in one place: its listeners share a limit, and their windows go over midnight.
pub(crate) const fn route(household: HouseholdId, listener: ListenerId) -> u64 {
    if household.is_some() {
        household.0
    } else {
        listener.0
    }
}

/// Wires the operator.
pub(crate) fn count<'s>(
    exposures: Stream<'s, ExposureFact>,
    dimensions: Stream<'s, Fact>,
    recount: Arc<Recount>,
) -> Stream<'s, Counted> {
    let mut state = State {
        progress: recount,
        ..State::default()
    };
    by_tick(
        exposures,
        dimensions,
        "Count",
        ExposureFact::route,
        |fact| of_tenant(fact.tenant, fact.household.0),
        move |_tick, exposures, changes, out| state.step(exposures, &changes, out),
    )
}

#[derive(Default)]
struct ListenerItems {
    items: Vec<Item>,
    volume: u32,
}

impl ListenerItems {
    fn statement(&self, key: Key, over_volume: bool, catalog: &Catalog) -> Statement {
        let counted: ListenerDay = count_listener_day(&self.items, over_volume, catalog);
        Statement::new(key, &self.items, counted, catalog)
    }
}

/// A listener-day, and its exposures that came and went.
type Update<'e> = (Key, &'e [(ExposureFact, i64)]);

/// A household-day; without a household nothing is kept.
#[derive(Default)]
struct Household {
    /// Every live listener; some may be gone, or there twice.
    listeners: Vec<ListenerId>,
    live: usize,
    volume: u64,
    /// By how much the volume differs under the windows that go over midnight.
    rolling: [i64; ROLLING.len()],
}

/// What a dimension can name.
#[derive(Default)]
struct Subject {
    /// Live exposures of it.
    exposures: u64,
    /// Every listener-day with one; some may be gone, or there twice.
    days: Vec<(HouseholdId, Day, ListenerId)>,
}

#[derive(Default)]
struct State {
    days: KeyedMap<Key, ListenerItems>,
    households: KeyedMap<HouseholdDay, Household>,
    subjects: KeyedMap<(TenantId, u64), Subject>,
    catalogs: Catalogs,
    /// Of a tenant that has said nothing; its rules are compiled once.
    default: Rc<Catalog>,
    /// What was open at the end of released days.
    opened: Opened,
    progress: Arc<Recount>,
}

impl State {
    fn step(
        &mut self,
        exposures: Vec<(ExposureFact, i64)>,
        changes: &[(Fact, i64)],
        out: &mut Vec<(Counted, i64)>,
    ) {
        let (before, touched) = self.apply_changes(changes);
        let mut opening = rolling::opening(changes);
        let default = Rc::clone(&self.default);
        let mut touched = self.touched_days(&before, &touched);
        let recounts = !touched.is_empty();
        if !opening.is_empty() {
            touched.extend(opening.values().flatten().map(|(key, ..)| *key));
            touched.sort_unstable();
            touched.dedup();
        }
        let updates = Self::updates(&exposures, touched);
        if recounts {
            self.progress.find(updates.len());
        }
        // Taken and put back: the catalogs are only read here.
        let catalogs = std::mem::take(&mut self.catalogs);
        for home in updates.chunk_by(|(a, _), (b, _)| home(a) == home(b)) {
            let Some(of) = home.first().map(|(key, _)| self::home(key)) else {
                continue;
            };
            let now = catalogs.get(&of.0).unwrap_or(&default);
            let then = before.get(&of.0).unwrap_or(now);
            let opening = opening.remove(&of).unwrap_or_default();
            let runs = self.runs(of, home, &opening, (then, now));
            for day in home.chunk_by(|(a, _), (b, _)| household_day(a) == household_day(b)) {
                let of_day = day.first().map(|(key, _)| household_day(key));
                self.recount(of_day.unwrap_or_default(), day, (then, now), out);
                if recounts {
                    self.progress.finish(day.len());
                    fail::fail_point!("count.recounted");
                }
            }
            self.open(opening);
            self.tell_runs(runs, home, now, out);
        }
        self.catalogs = catalogs;
        self.index(&exposures);
    }

    /// Every listener-day to be counted anew with the exposures that came and went, sorted.
    fn updates<'e>(exposures: &'e [(ExposureFact, i64)], touched: Vec<Key>) -> Vec<Update<'e>> {
        let mut updates: Vec<Update<'e>> = exposures
            .chunk_by(|(a, _), (b, _)| a.key() == b.key())
            .filter_map(|chunk| Some((chunk.first()?.0.key(), chunk)))
            .collect();
        if !touched.is_empty() {
            let changed = updates.len();
            for key in touched {
                let known = updates.get(..changed).unwrap_or_default();
                if known.binary_search_by_key(&key, |(key, _)| *key).is_err() {
                    updates.push((key, &[]));
                }
            }
            updates.sort_unstable_by_key(|(key, _)| *key);
        }
        updates
    }

    /// Recounts the listener-days of one household-day that changed, and the others when the household
    /// comes over or under its limit.
    fn recount(
        &mut self,
        home: HouseholdDay,
        updates: &[Update<'_>],
        (then, now): (&Catalog, &Catalog),
        out: &mut Vec<(Counted, i64)>,
    ) {
        let was_over = self.is_over(home, then);
        let mut counted = Vec::with_capacity(updates.len());
        for (key, changes) in updates {
            let day = self.days.entry(*key).or_default();
            let volume_then = day.volume;
            let fresh = day.items.is_empty();
            let old = day.statement(*key, was_over, then);
            apply(&mut day.items, changes);
            let result = count_listener_day(&day.items, false, now);
            day.volume = result.volume;
            let (volume, gone) = (day.volume, day.items.is_empty());
            if gone {
                self.days.remove(key);
            }
            self.note(*key, volume_then, volume, fresh, gone);
            counted.push((old, result));
        }
        let is_over = self.is_over(home, now);
        for ((key, _), (old, result)) in updates.iter().zip(counted) {
            let new = match self.days.get(key) {
                Some(day) if is_over && day.volume > 0 => day.statement(*key, true, now),
                Some(day) => Statement::new(*key, &day.items, result, now),
                None => Statement::default(),
            };
            old.emit_change(&new, *key, out);
        }
        if is_over != was_over {
            self.flip(home, updates, is_over, now, out);
        }
    }

    /// Counts the listener-days anew that did not change themselves.
    fn flip(
        &self,
        home: HouseholdDay,
        changed: &[Update<'_>],
        is_over: bool,
        catalog: &Catalog,
        out: &mut Vec<(Counted, i64)>,
    ) {
        let household = self.households.get(&home);
        let listeners = household.map(|h| h.listeners.iter().copied());
        let listeners: BTreeSet<ListenerId> = listeners.into_iter().flatten().collect();
        for listener in listeners {
            let key = (home.0, home.1, home.2, listener);
            let Some(day) = self.days.get(&key).filter(|day| day.volume > 0) else {
                continue;
            };
            if changed.binary_search_by_key(&key, |(key, _)| *key).is_err() {
                let old = day.statement(key, !is_over, catalog);
                let new = day.statement(key, is_over, catalog);
                old.emit_change(&new, key, out);
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
            } else if Catalog::knows(&fact.body) {
                before.entry(fact.tenant).or_insert_with(|| catalog.clone());
                let touched = touched.entry(fact.tenant).or_default();
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

    /// Keeps the subjects equal to the exposures, once these are in their listener-days.
    fn index(&mut self, changes: &[(ExposureFact, i64)]) {
        for (exposure, diff) in changes {
            let named = subjects(&exposure.exposure);
            for subject in named.into_iter().filter(|subject| *subject != 0) {
                let key = (exposure.tenant, subject);
                let entry = self.subjects.entry(key).or_default();
                entry.exposures = entry.exposures.wrapping_add_signed(*diff);
                if entry.exposures == 0 {
                    self.subjects.remove(&key);
                    continue;
                }
                let day = (exposure.household, exposure.day, exposure.listener);
                if *diff > 0 && entry.days.last() != Some(&day) {
                    entry.days.push(day);
                }
                if entry.days.len() as u64 > 2 * entry.exposures + 8 {
                    let days = &self.days;
                    let live = |(household, day, listener): &(HouseholdId, Day, ListenerId)| {
                        days.contains_key(&(exposure.tenant, *household, *day, *listener))
                    };
                    entry.days.sort_unstable();
                    entry.days.dedup();
                    entry.days.retain(live);
                }
            }
        }
    }

    /// The live listener-days that the changes can touch, sorted.
    fn touched_days(&self, before: &Catalogs, touched: &BTreeMap<TenantId, Touched>) -> Vec<Key> {
        let mut keys: Vec<Key> = Vec::new();
        for (tenant, touched) in touched {
            let known = touched.subjects.iter();
            let known = known.filter_map(|subject| self.subjects.get(&(*tenant, *subject)));
            let days = known.flat_map(|subject| &subject.days);
            let keyed =
                days.map(|(household, day, listener)| (*tenant, *household, *day, *listener));
            keys.extend(keyed.filter(|key| self.days.contains_key(key)));
            if touched.rules
                && let (Some(then), Some(now)) = (before.get(tenant), self.catalogs.get(tenant))
            {
                let rejudged = Rejudged::between(then, now);
                let hit = |day: &ListenerItems| {
                    day.items
                        .iter()
                        .any(|(time, _, it)| rejudged.hits(*time, it))
                };
                let of_tenant = self.days.iter().filter(|(key, _)| key.0 == *tenant);
                keys.extend(of_tenant.filter(|(_, day)| hit(day)).map(|(key, _)| *key));
            }
        }
        keys.sort_unstable();
        keys.dedup();
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

const fn home(key: &Key) -> Home {
    (key.0, key.1)
}

const fn household_day(key: &Key) -> HouseholdDay {
    (key.0, key.1, key.2)
}

fn apply(items: &mut Vec<Item>, changes: &[(ExposureFact, i64)]) {
    for (fact, diff) in changes {
        let item = (fact.time, fact.id, fact.exposure);
        match items.binary_search(&item) {
            Ok(at) if *diff < 0 => {
                items.remove(at);
            }
            Err(at) if *diff > 0 => insert_tight(items, at, item),
            // The head lets one copy of an event live.
            _ => unreachable!("an event came twice or went twice"),
        }
    }
    if items.capacity() > 4 * items.len() {
        items.shrink_to_fit();
    }
}
