//! Counts days once more, a household-day at a time.

use std::collections::BTreeMap;

use hostread_rules::counting::{
    CountedDownload, Delivery, Exposure, ListenerDay, count_listener_day,
};
use hostread_rules::delivery::{billable, civil_day, touch_id};
use hostread_schemas::fact::{FactBody, RetentionClass};
use hostread_schemas::view::{
    DownloadKey, DownloadRow, VerdictKey, VerdictRow, ViewRow, WindowKind,
};
use hostread_schemas::{AgentId, Day, EventId, EventTimeMs, HouseholdId, ListenerId, TenantId};

use crate::dims::Dims;
use crate::known::{Known, ReadError};

/// One exposure; a listener-day is sorted by (time, event id).
pub(crate) type Item = (EventTimeMs, EventId, Exposure);

/// Whose exposures of a day are read.
#[derive(Clone, Copy)]
pub(crate) enum Whose<'a> {
    All,
    Household(HouseholdId),
    Households(&'a std::collections::BTreeSet<HouseholdId>),
}

impl Whose<'_> {
    fn holds(self, household: HouseholdId) -> bool {
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
                counted: count_listener_day(&items, false, dims),
                items,
                household_volume: 0,
            }
        })
        .collect();
    for home in counted.chunk_by_mut(|a, b| a.household == b.household) {
        limit(home, dims);
    }
    Ok(counted)
}

/// A household over its limit loses the day's downloads.
fn limit(home: &mut [CountedDay], dims: &Dims) {
    use hostread_rules::counting::Dimensions;
    let volume = home.iter().map(|day| u64::from(day.counted.volume)).sum();
    for day in home {
        if !day.household.is_some() {
            continue;
        }
        day.household_volume = volume;
        if dims.rules().ip_volume_exceeded(volume) && day.counted.volume > 0 {
            day.counted = count_listener_day(&day.items, true, dims);
        }
    }
}

impl CountedDay {
    /// The agent that the listener-day shows behind its household's address.
    pub(crate) fn agent(&self) -> AgentId {
        match self.items.first() {
            Some((_, _, Exposure::Request(it))) => it.agent,
            Some((_, _, Exposure::Impression(it))) => it.agent,
            None => AgentId::NONE,
        }
    }

    pub(crate) fn verdict_row(&self, request: EventId) -> Option<ViewRow> {
        let mut verdicts = self.counted.verdicts.iter();
        let (_, time, verdict, enclosure, episode, sent_bytes) =
            *verdicts.find(|verdict| verdict.0 == request)?;
        let key = VerdictKey {
            tenant: self.tenant,
            day: self.day,
            request,
        };
        let row = VerdictRow {
            time,
            verdict,
            enclosure,
            episode,
            listener: self.listener,
            sent_bytes,
        };
        Some((key, row).into())
    }

    pub(crate) fn download_row(&self, download: &CountedDownload) -> ViewRow {
        let key = DownloadKey {
            tenant: self.tenant,
            day: download.t0.day(),
            window: WindowKind::CalendarDay,
            episode: download.episode,
            listener: self.listener,
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
        (key, row).into()
    }

    /// The ads delivered of known lines.
    pub(crate) fn delivered<'a>(&'a self, dims: &'a Dims) -> impl Iterator<Item = Delivered> + 'a {
        self.counted.deliveries.iter().filter_map(|delivery| {
            let line = dims.lines.get(&delivery.line)?;
            let billing_day = civil_day(delivery.time, &line.zone);
            let aired = dims.aired.get(&(delivery.line, delivery.episode));
            let aired_at = aired.map(|(aired_at, _)| *aired_at);
            Some(Delivered {
                billing_day,
                billable: billable(line, billing_day, delivery.time, aired_at),
                touch: touch_id(self.listener, self.day, delivery.line, delivery.episode),
                delivery: *delivery,
            })
        })
    }
}
