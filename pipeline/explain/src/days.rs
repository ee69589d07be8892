//! Counts days once more, a household-day at a time.

use std::collections::BTreeMap;

use hostread_rules::counting::{CountedDownload, Delivery, Exposure, Item, ListenerDay};
use hostread_rules::delivery::{billed, touch_id};
use hostread_rules::household_day::count_household_day;
use hostread_rules::rows::{agent_of, download_row, verdict_row};
use hostread_schemas::fact::{FactBody, RetentionClass};
use hostread_schemas::view::ViewRow;
use hostread_schemas::{AgentId, Day, EventId, HouseholdId, ListenerId, TenantId};

use crate::dims::Dims;
use crate::known::{Known, ReadError};

/// Whose exposures of a day are read.
#[derive(Clone, Copy)]
pub(crate) enum Whose<'a> {
    All,
    Household(HouseholdId),
    Households(&'a std::collections::BTreeSet<HouseholdId>),
}

impl Whose<'_> {
    pub(crate) fn holds(self, household: HouseholdId) -> bool {
        match self {
            Self::All => true,
            Self::Household(one) => one == household,
            Self::Households(some) => some.contains(&household),
        }
    }
}

/// A listener's day, counted.
#[derive(Clone)]
pub(crate) struct CountedDay {
    pub(crate) tenant: TenantId,
    pub(crate) household: HouseholdId,
    pub(crate) day: Day,
    pub(crate) listener: ListenerId,
    pub(crate) items: Vec<Item>,
    pub(crate) counted: ListenerDay,
    /// Downloads of the household on the day that count towards its limit.
    pub(crate) household_volume: u64,
}

/// An ad delivered, and how it bills.
#[derive(Clone, Copy)]
pub(crate) struct Delivered {
    pub(crate) billing_day: Day,
    pub(crate) billable: bool,
    pub(crate) touch: EventId,
    pub(crate) delivery: Delivery,
}

/// Reads and counts a day.
pub(crate) fn count_day(
    known: &Known<'_>,
    dims: &Dims,
    tenant: TenantId,
    day: Day,
    whose: Whose<'_>,
) -> Result<Vec<CountedDay>, ReadError> {
    let mut by_listener: BTreeMap<(HouseholdId, ListenerId), Vec<Item>> = BTreeMap::new();
    known
        .live
        .facts(RetentionClass::Exposure, day, &mut |fact| {
            let (household, listener, exposure) = match &fact.body {
                FactBody::Request(it) => (it.household, it.listener, Exposure::Request(*it)),
                FactBody::Impression(it) => (it.household, it.listener, Exposure::Impression(*it)),
                _ => return,
            };
            if fact.tenant == tenant && whose.holds(household) {
                let items = by_listener.entry((household, listener)).or_default();
                items.push((fact.time, fact.id, exposure));
            }
        })?;
    let mut counted: Vec<CountedDay> = by_listener
        .into_iter()
        .map(|((household, listener), mut items)| {
            items.sort_unstable();
            CountedDay {
                tenant,
                household,
                day,
                listener,
                counted: ListenerDay::default(),
                items,
                household_volume: 0,
            }
        })
        .collect();
    for home in counted.chunk_by_mut(|a, b| a.household == b.household) {
        let household = home.first().map_or(HouseholdId::NONE, |day| day.household);
        let listeners = home.iter().map(|day| day.items.as_slice());
        let (days, volume) = count_household_day(household, listeners, dims);
        for (day, of_listener) in home.iter_mut().zip(days) {
            (day.counted, day.household_volume) = (of_listener, volume);
        }
    }
    Ok(counted)
}

impl CountedDay {
    /// The agent that the listener-day shows behind its household's address.
    pub(crate) fn agent(&self) -> AgentId {
        agent_of(&self.items)
    }

    pub(crate) fn verdict_row(&self, request: EventId) -> Option<ViewRow> {
        let mut verdicts = self.counted.verdicts.iter();
        let verdict = verdicts.find(|verdict| verdict.request == request)?;
        Some(verdict_row(self.tenant, self.day, self.listener, verdict).into())
    }

    pub(crate) fn download_row(&self, download: &CountedDownload) -> ViewRow {
        download_row(self.tenant, self.listener, download).into()
    }

    /// The ads delivered of known lines.
    pub(crate) fn delivered<'a>(&'a self, dims: &'a Dims) -> impl Iterator<Item = Delivered> + 'a {
        self.ads(dims, &self.counted.deliveries)
    }

    /// Ads of the day that are of known lines.
    pub(crate) fn ads<'a>(
        &'a self,
        dims: &'a Dims,
        ads: &'a [Delivery],
    ) -> impl Iterator<Item = Delivered> + 'a {
        ads.iter().filter_map(|delivery| {
            let line = dims.lines.get(&delivery.line)?;
            let aired = dims.aired.get(&(delivery.line, delivery.episode));
            let aired_at = aired.map(|(aired_at, _)| *aired_at);
            let (billing_day, billable) = billed(line, delivery.time, aired_at);
            Some(Delivered {
                billing_day,
                billable,
                touch: touch_id(self.listener, self.day, delivery.line, delivery.episode),
                delivery: *delivery,
            })
        })
    }
}
