//! Why a request counted, or why not.

use hostread_rules::counting::{AgentClass, Dimensions};
use hostread_schemas::event::IpClass;
use hostread_schemas::fact::{FactBody, RequestFact};
use hostread_schemas::view::{Verdict, View, ViewKey, ViewRow, ViewValue};
use hostread_schemas::{Day, EventId, EventTimeMs, NameKind};
use hostread_sink_kit::words;
use serde::Serialize;
use serde_json::{Value, json};

use crate::NotExplained;
use crate::asked::{Asked, DownloadId};
use crate::days::{CountedDay, Whose, count_day};
use crate::dims::{AllDims, Dims};
use crate::episode_day::{EpisodeDay, episode_day, fact_of};
use crate::known::{Known, Sealed};
use crate::restated::Moves;
use crate::said::{Because, Found, KnownFrom, time};

/// What a filter said of the request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Filter {
    /// Which.
    pub filter: &'static str,
    /// `passed`, `said no`, or `not asked` because one before it said no.
    pub says: &'static str,
    /// By what.
    pub because: String,
}

/// Why a request has its verdict.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Request {
    /// When.
    #[serde(serialize_with = "time")]
    pub time: EventTimeMs,
    /// Its verdict.
    pub verdict: &'static str,
    /// Audio address.
    pub enclosure: String,
    /// IP* + agent + session.
    pub listener: String,
    /// IP*.
    pub household: String,
    /// The agent's text.
    pub agent: String,
    /// Class of the address when it was received.
    pub address: &'static str,
    /// What saw it.
    pub source_kind: &'static str,
    /// HTTP status.
    pub status: u16,
    /// First byte sent.
    pub sent_first: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// The rule set in force; empty: none, the default rules hold.
    pub rule_set: String,
    /// The event that said it.
    pub rule_set_event: Option<EventId>,
    /// When that version was made.
    pub rule_set_time: Option<String>,
    /// The filters in their order.
    pub filters: Vec<Filter>,
    /// The episode's requests of the day, where there is an episode.
    pub episode_day: Option<EpisodeDay>,
    /// The download that it is part of.
    pub download: Option<String>,
}

/// Explains the request of an event.
pub(crate) fn find(
    known: &Known<'_>,
    dims: &AllDims,
    on: Option<Day>,
    id: EventId,
) -> Result<Vec<Found>, NotExplained> {
    let fact = known.live.find(id)?;
    let fact = fact.filter(|fact| on.is_none_or(|day| day == fact.time.day()));
    let request = fact.as_ref().and_then(|fact| match &fact.body {
        FactBody::Request(request) => Some((fact, *request, dims.get(&fact.tenant)?)),
        _ => None,
    });
    let Some((fact, request, dims)) = request else {
        return released(known, dims, on, id);
    };
    // Without a household there is no limit, and the listener is one among many.
    let whose = Whose::Household(request.household);
    let days = count_day(known, dims, fact.tenant, fact.time.day(), whose)?;
    let of_listener = days.iter().find(|day| day.listener == request.listener);
    let Some((day, row)) = of_listener.and_then(|day| Some((day, day.verdict_row(id)?))) else {
        return Ok(Vec::new());
    };
    let sealed = known.sealed(View::Verdicts, &|key| *key == row.key)?;
    let because = because(known, dims, day, id, &request);
    let episode = episode_in(&row.value);
    let (known_from, row) = match sealed {
        Sealed::Row(row) => (KnownFrom::ArchiveSealed, row),
        // Readers of the sealed day know of no such request.
        Sealed::Gone => return Ok(Vec::new()),
        Sealed::No => (KnownFrom::Events, row),
    };
    Ok(vec![Found {
        tenant: fact.tenant,
        id: Asked::Request(on, id).to_string(),
        known_from,
        numbers: numbers(&row.value),
        rows: vec![row],
        because: Because::Request(Box::new(because)),
        moves: vec![Moves::Downloads(fact.time.day(), episode)],
    }])
}

/// What the archive knows of it.
fn released(
    known: &Known<'_>,
    dims: &AllDims,
    on: Option<Day>,
    id: EventId,
) -> Result<Vec<Found>, NotExplained> {
    let Some(through) = known.exposures_released() else {
        return Ok(Vec::new());
    };
    let wanted = |key: &ViewKey| match key {
        ViewKey::Verdicts(key) => {
            key.request == id
                && on.is_none_or(|day| day == key.day)
                && dims.contains_key(&key.tenant)
        }
        _ => false,
    };
    let rows = known.archive.rows(View::Verdicts, &wanted)?;
    let found = rows.into_iter().filter_map(|(key, value)| {
        let (ViewKey::Verdicts(of), Some(value)) = (key, value) else {
            return None;
        };
        Some(Found {
            tenant: of.tenant,
            id: Asked::Request(on, id).to_string(),
            known_from: KnownFrom::ArchiveReleased,
            numbers: numbers(&value),
            moves: vec![Moves::Downloads(of.day, episode_in(&value))],
            rows: vec![ViewRow { key, value }],
            because: Because::Released {
                through: through.to_string(),
            },
        })
    });
    Ok(found.take(1).collect())
}

fn episode_in(value: &ViewValue) -> hostread_schemas::EpisodeId {
    match value {
        ViewValue::Verdicts(row) => row.episode,
        _ => hostread_schemas::EpisodeId::NONE,
    }
}

fn numbers(value: &ViewValue) -> Vec<(String, Value)> {
    match value {
        ViewValue::Verdicts(row) => vec![
            ("verdict".to_owned(), json!(row.verdict.as_str())),
            ("sent_bytes".to_owned(), json!(row.sent_bytes)),
        ],
        _ => Vec::new(),
    }
}

fn because(
    known: &Known<'_>,
    dims: &Dims,
    day: &CountedDay,
    id: EventId,
    request: &RequestFact,
) -> Request {
    let mut verdicts = day.counted.verdicts.iter();
    let judged = verdicts.find(|verdict| verdict.request == id);
    let (verdict, episode_id, at) = judged.map_or_else(Default::default, |verdict| {
        (Some(verdict.verdict), verdict.episode, verdict.time)
    });
    let verdict = verdict.unwrap_or(Verdict::NotAnEpisode);
    let episode = fact_of(dims, request.enclosure, episode_id)
        .map(|episode| episode_day(known, dims, day, episode));
    let rule_set = dims.rule_set.said(&());
    let made = DownloadId {
        day: day.day,
        listener: day.listener,
        episode: known.name(NameKind::Episode, episode_id.0),
    };
    Request {
        time: at,
        verdict: verdict.as_str(),
        enclosure: known.name(NameKind::Enclosure, request.enclosure.0),
        listener: day.listener.to_string(),
        household: household(request),
        agent: dims.agent(request.agent).to_owned(),
        address: words::ip_class(request.ip_class),
        source_kind: words::source_kind(request.source_kind),
        status: request.status,
        sent_first: request.sent_first,
        sent_bytes: request.sent_bytes,
        rule_set: rule_set
            .map(|said| known.name(NameKind::RuleSet, said.what.rule_set.0))
            .unwrap_or_default(),
        rule_set_event: rule_set.map(|said| said.event),
        rule_set_time: rule_set.map(|said| said.time.to_string()),
        filters: filters(known, dims, (at, request), verdict, episode.as_ref()),
        episode_day: episode,
        download: (verdict == Verdict::Counted).then(|| made.to_string()),
    }
}

fn household(request: &RequestFact) -> String {
    if request.household.is_some() {
        request.household.to_string()
    } else {
        String::new()
    }
}

/// The filters in the order of the rules, each with what it went by.
fn filters(
    known: &Known<'_>,
    dims: &Dims,
    request: (EventTimeMs, &RequestFact),
    verdict: Verdict,
    episode: Option<&EpisodeDay>,
) -> Vec<Filter> {
    const ORDER: [Verdict; 11] = [
        Verdict::NotAnEpisode,
        Verdict::Method,
        Verdict::Status,
        Verdict::NoUserAgent,
        Verdict::Watch,
        Verdict::BotUserAgent,
        Verdict::NonhumanIp,
        Verdict::Range01,
        Verdict::Referrer,
        Verdict::BelowThreshold,
        Verdict::IpVolume,
    ];
    let mut asked = true;
    ORDER
        .into_iter()
        .map(|filter| {
            let says = match (asked, filter == verdict) {
                (false, _) => "not asked",
                (true, true) => "said no",
                (true, false) => "passed",
            };
            asked &= filter != verdict;
            let because = if says == "not asked" {
                String::new()
            } else {
                evidence(known, dims, request, filter, episode)
            };
            Filter {
                filter: filter.as_str(),
                says,
                because,
            }
        })
        .collect()
}

fn evidence(
    known: &Known<'_>,
    dims: &Dims,
    (time, request): (EventTimeMs, &RequestFact),
    filter: Verdict,
    episode: Option<&EpisodeDay>,
) -> String {
    let included = let_in(dims, time, request);
    let agent = dims.agent(request.agent);
    match filter {
        Verdict::NotAnEpisode => match dims.by_enclosure.said(&request.enclosure) {
            Some(said) => format!(
                "episode {} has this address (event {})",
                known.name(NameKind::Episode, said.what.episode.0),
                said.event
            ),
            None => "no episode has this address".to_owned(),
        },
        Verdict::Method => words::method(request.method).to_owned(),
        Verdict::Status => format!("status {}", request.status),
        Verdict::NoUserAgent if request.agent.is_some() => "there is an agent".to_owned(),
        Verdict::NoUserAgent => "the agent is empty".to_owned(),
        Verdict::Watch => match dims.agent_class(request.agent) {
            AgentClass::Watch => "the agent is a watch's, whose phone fetches the same".to_owned(),
            _ => "no watch".to_owned(),
        },
        Verdict::BotUserAgent => match dims.rules().bot_pattern(agent) {
            Some(pattern) => format!("the agent matches {pattern:?}"),
            None => match dims.rules().other_pattern(agent) {
                Some((other, bot)) => format!("the agent matches {other:?} before {bot:?}"),
                None => format!("none of {} patterns", bot_patterns(dims)),
            },
        },
        Verdict::NonhumanIp => included.unwrap_or_else(|| address_evidence(dims, request)),
        Verdict::Range01 => match (request.range_0_1, dims.rules().prefix_drops_range_0_1()) {
            (false, _) => "not exactly bytes 0-1".to_owned(),
            (true, true) => "exactly bytes 0-1 were asked for".to_owned(),
            (true, false) => {
                "exactly bytes 0-1 were asked for; the rule set lets prefix sources do so"
                    .to_owned()
            }
        },
        Verdict::Referrer => match (
            request.referrer,
            dims.rules().referrer_denied(request.referrer),
        ) {
            (0, _) => "no referrer".to_owned(),
            (host, true) => format!("{} is denied", known.name(NameKind::Referrer, host)),
            (host, false) => format!("{} is not denied", known.name(NameKind::Referrer, host)),
        },
        Verdict::BelowThreshold => threshold_evidence(episode),
        Verdict::IpVolume => volume_evidence(request, included, episode),
        Verdict::Counted => String::new(),
    }
}

fn bot_patterns(dims: &Dims) -> usize {
    dims.rule_set
        .get(&())
        .map_or(0, |rules| rules.bot_agents.len())
}

/// What lets the address in, if anything does.
fn let_in(dims: &Dims, time: EventTimeMs, request: &RequestFact) -> Option<String> {
    let (day, class) = (time.day(), request.ip_class);
    if class == IpClass::Included {
        Some("the address is on an inclusion list".to_owned())
    } else if dims.rules().included(day, request.net, request.household) {
        let class = words::ip_class(class);
        Some(format!(
            "class {class}, but the rule set's inclusion list lets the address in on {day}"
        ))
    } else {
        None
    }
}

fn address_evidence(dims: &Dims, request: &RequestFact) -> String {
    let class = words::ip_class(request.ip_class);
    let listed = dims.rules().nonhuman_ip(IpClass::Residential, request.net);
    match (request.ip_class, listed.is_some()) {
        (IpClass::DataCentre | IpClass::Vpn, _) => format!("the address is of class {class}"),
        (_, true) => format!("its network {} is on the rule set's list", request.net),
        (_, false) => format!("class {class}, its network is on no list"),
    }
}

fn threshold_evidence(episode: Option<&EpisodeDay>) -> String {
    let Some(episode) = episode else {
        return String::new();
    };
    let mut versions = episode.versions.iter();
    let best = versions
        .clone()
        .find(|version| version.makes_it)
        .or_else(|| versions.by_ref().max_by_key(|version| version.union_bytes));
    match best {
        Some(version) => format!(
            "{} of {} bytes needed, of all requests of the day together",
            version.union_bytes, version.needed_bytes
        ),
        None => String::new(),
    }
}

fn volume_evidence(
    request: &RequestFact,
    included: Option<String>,
    episode: Option<&EpisodeDay>,
) -> String {
    let (volume, limit) = episode.map_or((0, 0), |episode| {
        (episode.household_downloads, episode.household_limit)
    });
    if limit == 0 {
        "the rule set has no limit".to_owned()
    } else if let Some(included) = included {
        included
    } else if !request.household.is_some() {
        "no household, no limit".to_owned()
    } else {
        format!("{volume} downloads of the household on the day, limit {limit}")
    }
}

#[cfg(test)]
mod tests;
