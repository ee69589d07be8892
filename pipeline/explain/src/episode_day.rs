//! One episode on one listener's day: its requests, their bytes, and how far they came.

use hostread_rules::bytes;
use hostread_rules::counting::{Dimensions, Exposure, needed_bytes, sent};
use hostread_schemas::fact::{EpisodeFact, RequestFact};
use hostread_schemas::view::Verdict;
use hostread_schemas::{EnclosureId, EpisodeId, EventId, EventTimeMs, NameKind};
use hostread_sink_kit::words;
use serde::Serialize;

use crate::days::CountedDay;
use crate::dims::Dims;
use crate::known::Known;
use crate::said::{cut, time};

/// One request for the episode.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RequestSeen {
    /// Event.
    pub request: EventId,
    /// When.
    #[serde(serialize_with = "time")]
    pub time: EventTimeMs,
    /// Its verdict.
    pub verdict: &'static str,
    /// What saw it.
    pub source_kind: &'static str,
    /// First byte that it brought.
    pub first_byte: u64,
    /// Bytes that it brought; a prefix source's request stands for the whole file.
    pub bytes: u64,
    /// Bytes that it added to what earlier requests of its version brought; none where it does not count.
    pub added_bytes: u64,
    /// Place among the versions; none where a filter said no.
    pub version: Option<usize>,
}

/// The requests of one version of the file, put together.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Version {
    /// Audio address.
    pub enclosure: String,
    /// Total length that the source says; 0: it says none.
    pub total_bytes: u64,
    /// Distinct bytes.
    pub union_bytes: u64,
    /// Bytes that make a download.
    pub needed_bytes: u64,
    /// The request with which it had them.
    pub reached_with: Option<EventId>,
    /// Is it the version that makes the download: the first that had them?
    pub makes_it: bool,
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct EpisodeDay {
    /// Episode.
    pub episode: String,
    /// Show.
    pub show: String,
    /// The event that describes the episode.
    pub episode_event: Option<EventId>,
    /// How the bytes that make a download follow from the episode and the rule set.
    pub needed_because: String,
    /// Versions.
    pub versions: Vec<Version>,
    /// Every request of the listener for the episode on the day, in order.
    pub requests: Vec<RequestSeen>,
    /// How many of them are not listed.
    pub requests_more: usize,
    /// Downloads of the household on the day that count towards its limit.
    pub household_downloads: u64,
    /// The limit; 0: there is none.
    pub household_limit: u64,
}

type Group = (EnclosureId, u64);

/// Puts an episode's requests of a counted day together.
pub(crate) fn episode_day(
    known: &Known<'_>,
    dims: &Dims,
    day: &CountedDay,
    episode: &EpisodeFact,
) -> EpisodeDay {
    let verdicts = day.counted.verdicts.iter();
    let requests = day.items.iter().filter_map(|(time, id, it)| match it {
        Exposure::Request(request) => Some((*time, *id, request)),
        Exposure::Impression(_) => None,
    });
    // One verdict per request, in order.
    let of_episode: Vec<(EventTimeMs, EventId, &RequestFact, Verdict)> = verdicts
        .zip(requests)
        .filter(|(verdict, _)| verdict.episode == episode.episode)
        .map(|(verdict, (time, id, request))| (time, id, request, verdict.verdict))
        .collect();
    let mut versions: Vec<(Group, Version, Vec<bytes::ByteRange>)> = Vec::new();
    let threshold_secs = dims.rules().threshold_secs();
    let mut seen = Vec::with_capacity(of_episode.len());
    for (time, request_id, request, verdict) in of_episode {
        let needed = needed_bytes(episode_of(dims, request, episode), threshold_secs);
        let (first, end) = sent(request, episode_of(dims, request, episode), needed);
        let passed = matches!(
            verdict,
            Verdict::Counted | Verdict::BelowThreshold | Verdict::IpVolume
        );
        let mut one = RequestSeen {
            request: request_id,
            time,
            verdict: verdict.as_str(),
            source_kind: words::source_kind(request.source_kind),
            first_byte: first,
            bytes: end.saturating_sub(first),
            added_bytes: 0,
            version: None,
        };
        if passed {
            let at = version_of(known, &mut versions, request, needed);
            if let Some((_, version, ranges)) = versions.get_mut(at) {
                ranges.push((first, end));
                let union_bytes = bytes::unite(ranges);
                one.added_bytes = union_bytes.saturating_sub(version.union_bytes);
                version.union_bytes = union_bytes;
                if union_bytes >= needed && version.reached_with.is_none() {
                    version.reached_with = Some(request_id);
                }
            }
            one.version = Some(at);
        }
        seen.push(one);
    }
    let mut versions: Vec<Version> = versions
        .into_iter()
        .map(|(_, version, _)| version)
        .collect();
    let reached = |id: EventId| versions.iter().position(|v| v.reached_with == Some(id));
    let first = seen.iter().find_map(|one| reached(one.request));
    if let Some(version) = first.and_then(|at| versions.get_mut(at)) {
        version.makes_it = true;
    }
    let limit = dims
        .rule_set
        .get(&())
        .map_or(0, |rules| rules.ip_volume_downloads_max);
    let requests_more = cut(&mut seen);
    EpisodeDay {
        episode: known.name(NameKind::Episode, episode.episode.0),
        show: known.name(NameKind::Show, episode.show.0),
        episode_event: dims
            .by_episode
            .said(&episode.episode)
            .map(|said| said.event),
        needed_because: needed_because(episode, threshold_secs),
        versions,
        requests: seen,
        requests_more,
        household_downloads: day.household_volume,
        household_limit: u64::from(limit),
    }
}

/// The episode's fact that an address leads to; an older one may still name an old address.
fn episode_of<'a>(
    dims: &'a Dims,
    request: &RequestFact,
    episode: &'a EpisodeFact,
) -> &'a EpisodeFact {
    dims.episode_of(request.enclosure).unwrap_or(episode)
}

fn version_of(
    known: &Known<'_>,
    versions: &mut Vec<(Group, Version, Vec<bytes::ByteRange>)>,
    request: &RequestFact,
    needed_bytes: u64,
) -> usize {
    let group = (request.enclosure, request.total_bytes);
    if let Some(at) = versions.iter().position(|(there, ..)| *there == group) {
        return at;
    }
    let version = Version {
        enclosure: known.name(NameKind::Enclosure, request.enclosure.0),
        total_bytes: request.total_bytes,
        union_bytes: 0,
        needed_bytes,
        reached_with: None,
        makes_it: false,
    };
    versions.push((group, version, Vec::new()));
    versions.len() - 1
}

/// How the bytes that make a download follow from what the catalog says (definition 4).
fn needed_because(episode: &EpisodeFact, threshold_secs: u32) -> String {
    let needed = needed_bytes(episode, threshold_secs);
    let (header, size) = (episode.header_bytes, episode.size_bytes);
    let duration = episode.duration_secs;
    if duration != 0 && duration < threshold_secs {
        return format!(
            "{duration} s long, under {threshold_secs} s: the whole size, {needed} bytes"
        );
    }
    let known = if episode.vbr {
        (duration != 0 && size != 0).then(|| {
            format!(
                "header {header} + {threshold_secs} s of {} audio bytes over {duration} s, rounded up",
                size.saturating_sub(header)
            )
        })
    } else {
        (episode.bit_rate != 0).then(|| {
            format!(
                "header {header} + {threshold_secs} s at {} bit/s, rounded up",
                episode.bit_rate
            )
        })
    };
    match (known, size) {
        (Some(sum), 0) => format!("{sum}: {needed} bytes"),
        (Some(sum), size) if needed == size => format!("{sum}, at most the size: {needed} bytes"),
        (Some(sum), _) => format!("{sum}: {needed} bytes"),
        (None, 0) => "neither rate nor size known: one byte".to_owned(),
        (None, _) => format!("no rate known: the whole size, {needed} bytes"),
    }
}

/// The episode's fact, by what a row says.
pub(crate) fn fact_of(
    dims: &Dims,
    enclosure: EnclosureId,
    episode: EpisodeId,
) -> Option<&EpisodeFact> {
    let by_address = dims.by_enclosure.get(&enclosure);
    by_address
        .filter(|fact| fact.episode == episode)
        .or_else(|| dims.by_episode.get(&episode))
}
