//! What counting says of a listener-day, and the difference between two sayings of it.
//!
//! Invariant 1: between two statements only what differs is emitted.

use std::cmp::Ordering;

use hostread_rules::counting::{CountedDownload, Delivery, Item, ListenerDay, RequestVerdict};
use hostread_rules::delivery::{billed, touch_id};
use hostread_rules::rows::{agent_of, verdict_row};
use hostread_schemas::fact::{Carry, OpenWindows, RetentionClass};
use hostread_schemas::view::{DownloadsDailyKey, VerdictKey, VerdictRow};
use hostread_schemas::{AgentId, Day, EpisodeId, EventId, HouseholdId, ListenerId, TenantId};
use serde::{Deserialize, Serialize};

use hostread_rules::counting::Dimensions;

use crate::catalog::Catalog;
use crate::output::Material;

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
    /// A download more than the calendar window has, of a window that goes over midnight; taken away: one fewer.
    Rolled(DownloadsDailyKey),
    /// What is open at the end of a listener-day, for an episode that is asked for on the next day, too.
    Open(Key, EpisodeId, OpenWindows),
}

impl Counted {
    /// What a release carries of windows that are open.
    pub(crate) fn carry(key: Key, episode: EpisodeId, open: OpenWindows) -> Material {
        let (tenant, household, day, listener) = key;
        let carry = Carry::Windows {
            day,
            household,
            listener,
            episode,
            open,
        };
        Material {
            class: RetentionClass::Exposure,
            day,
            tenant,
            carry,
        }
    }
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

/// A listener is one household's: the address is part of its identity.
pub(crate) type Key = (TenantId, HouseholdId, Day, ListenerId);

/// Everything that counting says of one listener-day.
#[derive(Default)]
pub(crate) struct Statement {
    /// In order of (time, request).
    verdicts: Vec<RequestVerdict>,
    /// By episode.
    downloads: Vec<CountedDownload>,
    /// By (line, episode).
    deliveries: Vec<Delivered>,
    presence: AgentId,
}

impl Statement {
    /// What `counted` means under the catalog that it was counted with.
    pub(crate) fn new(key: Key, items: &[Item], counted: ListenerDay, catalog: &Catalog) -> Self {
        let deliveries = counted.deliveries.into_iter();
        Self {
            verdicts: counted.verdicts,
            downloads: counted.downloads,
            deliveries: deliveries
                .filter_map(|delivery| delivered(key, delivery, catalog))
                .collect(),
            presence: agent_of(items),
        }
    }

    /// Emits what is said no more and what is new.
    pub(crate) fn emit_change(&self, new: &Self, key: Key, out: &mut Vec<(Counted, i64)>) {
        let (tenant, household, day, listener) = key;
        differences(
            &self.verdicts,
            &new.verdicts,
            |verdict| (verdict.time, verdict.request),
            |verdict, diff| out.push((verdict_of(key, verdict), diff)),
        );
        differences(
            &self.downloads,
            &new.downloads,
            |download| download.episode,
            |download, diff| out.push((Counted::Download(tenant, listener, *download), diff)),
        );
        differences(
            &self.deliveries,
            &new.deliveries,
            |delivered| (delivered.delivery.line, delivered.delivery.episode),
            |delivered, diff| out.push((Counted::Delivery(tenant, *delivered), diff)),
        );
        if self.presence != new.presence && household.is_some() {
            for (agent, diff) in [(self.presence, -1), (new.presence, 1)] {
                if agent.is_some() {
                    out.push((Counted::Presence(tenant, household, day, agent), diff));
                }
            }
        }
    }
}

/// Walks two lists sorted by `key`, each key at most once in each, and tells what is only in one.
fn differences<T: PartialEq, K: Ord>(
    old: &[T],
    new: &[T],
    key: impl Fn(&T) -> K,
    mut tell: impl FnMut(&T, i64),
) {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(gone), Some(come)) => key(gone).cmp(&key(come)),
        };
        let gone = if order.is_le() { old.next() } else { None };
        let come = if order.is_ge() { new.next() } else { None };
        if gone != come {
            if let Some(gone) = gone {
                tell(gone, -1);
            }
            if let Some(come) = come {
                tell(come, 1);
            }
        }
    }
}

fn verdict_of(key: Key, verdict: &RequestVerdict) -> Counted {
    let (tenant, _, day, listener) = key;
    let (key, row) = verdict_row(tenant, day, listener, verdict);
    Counted::Verdict(key, row)
}

fn delivered(key: Key, delivery: Delivery, catalog: &Catalog) -> Option<Delivered> {
    let (_, _, day, listener) = key;
    let line = catalog.line(delivery.line)?;
    let aired_at = catalog.aired_at(delivery.line, delivery.episode);
    let (billing_day, billable) = billed(line, delivery.time, aired_at);
    Some(Delivered {
        exposure_day: day,
        billing_day,
        billable,
        touch: touch_id(listener, day, delivery.line, delivery.episode),
        delivery,
    })
}
