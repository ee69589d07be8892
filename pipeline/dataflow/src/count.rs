//! Counts listener-days: requests and impressions in; verdicts, downloads, deliveries and presence out.
//!
//! ```text
//!   exposures ---- by (tenant, listener, day) ----> [ count ] ----> Counted (verdict | download | delivery | presence)
//!   rules, agents, catalog, deals ----------------------^
//! ```
//! State: the exposures of each live listener-day, sorted by (time, event id); freed when released.
//! Order in a tick: agents, then dimensions, then exposures. Cost: O(touched listener-days); a change
//! of a dimension reads the listener-days that hold a subject it can touch, a rule set all of them.
//! Invariant 1: what is emitted for a listener-day is exactly `count_listener_day` of its exposures.

use std::collections::{BTreeMap, BTreeSet};

use hostread_rules::counting::{CountedDownload, Delivery, Exposure, count_listener_day};
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

type Key = (TenantId, ListenerId, Day);
type Item = (EventTimeMs, EventId, Exposure);

/// One exposure on its way in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) struct ExposureFact {
    tenant: TenantId,
    listener: ListenerId,
    day: Day,
    time: EventTimeMs,
    id: EventId,
    exposure: Exposure,
}

impl ExposureFact {
    /// The exposure that a fact states.
    pub(crate) fn of(fact: &Fact) -> Option<Self> {
        let (listener, exposure) = match &fact.body {
            FactBody::Request(request) => (request.listener, Exposure::Request(*request)),
            FactBody::Impression(impression) => {
                (impression.listener, Exposure::Impression(*impression))
            }
            _ => return None,
        };
        Some(Self {
            tenant: fact.tenant,
            listener,
            day: fact.time.day(),
            time: fact.time,
            id: fact.id,
            exposure,
        })
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
        |exposure| exposure.listener.0 ^ u64::from(exposure.day.0.unsigned_abs()),
        move |_tick, exposures, changes, out| state.step(exposures, &changes, out),
    )
}

#[derive(Default)]
struct State {
    days: KeyedMap<Key, Vec<Item>>,
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
            let key = (exposure.tenant, exposure.listener, exposure.day);
            let item = (exposure.time, exposure.id, exposure.exposure);
            updates.entry(key).or_default().push((item, diff));
        }
        for key in self.touched_days(&touched) {
            updates.entry(key).or_default();
        }
        let default = Catalog::default();
        for (key, changes) in updates {
            let now = self.catalogs.get(&key.0).unwrap_or(&default);
            let then = before.get(&key.0).unwrap_or(now);
            let items = self.days.entry(key).or_default();
            emit(key, items, then, -1, out);
            apply(items, changes);
            emit(key, items, now, 1, out);
            if items.is_empty() {
                self.days.remove(&key);
            }
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
        let hit = |key: &Key, items: &[Item]| match live.get(&key.0) {
            None => false,
            Some(Touched::All) => true,
            Some(Touched::Subjects(wanted)) => items
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

fn apply(items: &mut Vec<Item>, changes: Vec<(Item, i64)>) {
    for (item, diff) in changes {
        match items.binary_search(&item) {
            Ok(at) if diff < 0 => {
                items.remove(at);
            }
            Err(at) if diff > 0 => items.insert(at, item),
            // The head lets one copy of an event live.
            _ => unreachable!("an event came twice or went twice"),
        }
    }
    if items.capacity() > 4 * items.len() {
        items.shrink_to_fit();
    }
}

fn emit(key: Key, items: &[Item], catalog: &Catalog, diff: i64, out: &mut Vec<(Counted, i64)>) {
    if items.is_empty() {
        return;
    }
    let (tenant, listener, day) = key;
    let counted = count_listener_day(items, catalog);
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
    let (household, agent) = match items.first() {
        Some((_, _, Exposure::Request(request))) => (request.household, request.agent),
        Some((_, _, Exposure::Impression(impression))) => (impression.household, impression.agent),
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
