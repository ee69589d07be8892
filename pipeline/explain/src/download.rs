//! Why a download is one.

use hostread_schemas::view::{View, ViewKey, ViewRow, ViewValue};
use hostread_schemas::{EpisodeId, EventId, LineId, NameKind, TenantId};
use hostread_sink_kit::words;
use serde::Serialize;
use serde_json::{Value, json};

use crate::NotExplained;
use crate::asked::DownloadId;
use crate::days::{CountedDay, Whose, count_day};
use crate::dims::{AllDims, Dims};
use crate::episode_day::{EpisodeDay, episode_day};
use crate::known::{Known, ReadError, Sealed};
use crate::restated::Moves;
use crate::said::{Because, Found, KnownFrom, cut};

/// Another episode of the same listener and day that is no download.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct NotCounted {
    /// Request.
    pub request: EventId,
    /// Episode; empty: the address is none's.
    pub episode: String,
    /// Why.
    pub verdict: &'static str,
}

/// An ad that the download delivered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Ad {
    /// Line item.
    pub line: String,
    /// Identity of its touch.
    pub touch: EventId,
    /// Billing day.
    pub day: String,
    /// Can it be billed?
    pub billable: bool,
}

/// Why a download is one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Download {
    /// How requests are put together: by UTC calendar day.
    pub window: &'static str,
    /// The listener's day.
    pub day: String,
    /// IP* + agent + session.
    pub listener: String,
    /// IP*; empty: none.
    pub household: String,
    /// The agent's text.
    pub agent: String,
    /// The rule set in force; empty: the default rules.
    pub rule_set: String,
    /// The event that said it.
    pub rule_set_event: Option<EventId>,
    /// When it began: the first request that passed the filters.
    pub started_at: String,
    /// What saw that request.
    pub source_kind: &'static str,
    /// Its requests and their bytes.
    pub episode_day: EpisodeDay,
    /// Requests of the listener on the day that count for nothing, and why.
    pub not_counted: Vec<NotCounted>,
    /// How many of them are not listed.
    pub not_counted_more: usize,
    /// Ads that it delivered.
    pub ads: Vec<Ad>,
}

/// Explains a download.
pub(crate) fn find(
    known: &Known<'_>,
    dims: &AllDims,
    id: &DownloadId,
) -> Result<Vec<Found>, NotExplained> {
    let mut found = Vec::new();
    for (tenant, dims) in dims {
        let episode = known.hasher.name(NameKind::Episode, *tenant, &id.episode);
        found.extend(of_tenant(known, dims, *tenant, id, EpisodeId(episode))?);
    }
    Ok(found)
}

fn of_tenant(
    known: &Known<'_>,
    dims: &Dims,
    tenant: TenantId,
    id: &DownloadId,
    episode: EpisodeId,
) -> Result<Option<Found>, ReadError> {
    let archived = archived(known, tenant, id, episode)?;
    let computed = computed(known, dims, tenant, id, episode)?;
    let (known_from, row, because) = match (archived, computed) {
        // Readers of the sealed day know of no such download.
        (Sealed::Gone, _) | (Sealed::No, None) => return Ok(None),
        (Sealed::Row(row), Some((_, because))) => (KnownFrom::ArchiveSealed, row, because),
        (Sealed::Row(row), None) => {
            let through = known.exposures_released().unwrap_or(id.day).to_string();
            let because = Because::Released { through };
            (KnownFrom::ArchiveReleased, row, because)
        }
        (Sealed::No, Some((row, because))) => (KnownFrom::Events, row, because),
    };
    Ok(Some(Found {
        tenant,
        id: id.to_string(),
        known_from,
        numbers: numbers(&row.value),
        rows: vec![row],
        because,
        moves: vec![Moves::Downloads(id.day, episode)],
    }))
}

fn archived(
    known: &Known<'_>,
    tenant: TenantId,
    id: &DownloadId,
    episode: EpisodeId,
) -> Result<Sealed, ReadError> {
    // With another first request the same download has another key: one of them may stand.
    known.sealed(View::Downloads, &|key| match key {
        ViewKey::Downloads(key) => {
            key.tenant == tenant
                && key.day == id.day
                && key.listener == id.listener
                && key.episode == episode
        }
        _ => false,
    })
}

fn computed(
    known: &Known<'_>,
    dims: &Dims,
    tenant: TenantId,
    id: &DownloadId,
    episode: EpisodeId,
) -> Result<Option<(ViewRow, Because)>, ReadError> {
    // The listener's household is not in the id: a listener has one, but for the listener to be found all are counted.
    let days = count_day(known, dims, tenant, id.day, Whose::All)?;
    let mut of_listener = days.iter().filter(|day| day.listener == id.listener);
    let found = of_listener.find_map(|day| {
        let mut downloads = day.counted.downloads.iter();
        let download = downloads.find(|download| download.episode == episode)?;
        Some((day, download))
    });
    let Some((day, download)) = found else {
        return Ok(None);
    };
    let Some(fact) = dims
        .by_enclosure
        .iter()
        .map(|(_, said)| &said.what)
        .find(|fact| fact.episode == episode)
    else {
        return Ok(None);
    };
    let fact = dims.by_episode.get(&episode).unwrap_or(fact);
    let rule_set = dims.rule_set.said(&());
    let mut others = not_counted(known, day, episode);
    let not_counted_more = cut(&mut others);
    let said = Download {
        window: "calendar_day",
        day: id.day.to_string(),
        listener: id.listener.to_string(),
        household: if download.household.is_some() {
            download.household.to_string()
        } else {
            String::new()
        },
        agent: dims.agent(day.agent()).to_owned(),
        rule_set: rule_set
            .map(|said| known.name(NameKind::RuleSet, said.what.rule_set.0))
            .unwrap_or_default(),
        rule_set_event: rule_set.map(|said| said.event),
        started_at: download.t0.to_string(),
        source_kind: words::source_kind(download.source_kind),
        episode_day: episode_day(known, dims, day, fact),
        not_counted: others,
        not_counted_more,
        ads: ads(known, dims, day, episode),
    };
    Ok(Some((
        day.download_row(download),
        Because::Download(Box::new(said)),
    )))
}

fn not_counted(known: &Known<'_>, day: &CountedDay, episode: EpisodeId) -> Vec<NotCounted> {
    use hostread_schemas::view::Verdict;
    let others = day
        .counted
        .verdicts
        .iter()
        .filter(|verdict| verdict.episode != episode && verdict.verdict != Verdict::Counted);
    others
        .map(|verdict| NotCounted {
            request: verdict.request,
            episode: known.name(NameKind::Episode, verdict.episode.0),
            verdict: verdict.verdict.as_str(),
        })
        .collect()
}

fn ads(known: &Known<'_>, dims: &Dims, day: &CountedDay, episode: EpisodeId) -> Vec<Ad> {
    let name = |line: LineId| known.name(NameKind::Line, line.0);
    let of_episode = day
        .delivered(dims)
        .filter(|ad| ad.delivery.episode == episode);
    of_episode
        .map(|ad| Ad {
            line: name(ad.delivery.line),
            touch: ad.touch,
            day: ad.billing_day.to_string(),
            billable: ad.billable,
        })
        .collect()
}

fn numbers(value: &ViewValue) -> Vec<(String, Value)> {
    match value {
        ViewValue::Downloads(row) => vec![
            ("downloads".to_owned(), json!(1)),
            ("union_bytes".to_owned(), json!(row.union_bytes)),
            ("needed_bytes".to_owned(), json!(row.needed_bytes)),
            ("requests".to_owned(), json!(row.requests)),
        ],
        _ => Vec::new(),
    }
}
