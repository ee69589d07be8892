//! Choices 1 to 6 and 8: requests become downloads, downloads and impressions become deliveries.

use std::collections::{BTreeMap, BTreeSet};

use hostread_schemas::event::{ControllingSource, ImpressionKind, IpClass, SourceKind};
use hostread_schemas::fact::{EpisodeFact, ImpressionFact, RequestFact};
use hostread_schemas::view::{
    DownloadKey, DownloadRow, DownloadsDailyKey, DownloadsDailyRow, Evidence, Verdict, VerdictKey,
    VerdictRow, ViewRow, WindowKind,
};
use hostread_schemas::{
    Day, EnclosureId, EpisodeId, EventId, EventTimeMs, HouseholdId, LineId, ListenerId, ShowId,
};

use super::filters::{bot_pattern, is_included, is_nonhuman, is_watch, refused};
use super::{At, Tenant};

/// Half-open, sorted, apart from each other.
type Bytes = Vec<(u128, u128)>;

/// A request with its place in the order.
pub(crate) type Heard = (At, RequestFact);

/// A download of a listener-day.
#[derive(Clone, Debug)]
pub(crate) struct Download {
    pub(crate) day: Day,
    pub(crate) listener: ListenerId,
    pub(crate) episode: EpisodeId,
    pub(crate) show: ShowId,
    pub(crate) t0: EventTimeMs,
    pub(crate) household: HouseholdId,
    pub(crate) ip_class: IpClass,
    pub(crate) source_kind: SourceKind,
    /// The address of its first filtered-in request is let in.
    included: bool,
    union: Bytes,
    whole: bool,
    needed: u128,
    requests: Vec<EventId>,
}

/// An ad delivered.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) touch: EventId,
    pub(crate) line: LineId,
    pub(crate) episode: EpisodeId,
    pub(crate) show: ShowId,
    pub(crate) time: EventTimeMs,
    pub(crate) household: HouseholdId,
    pub(crate) ip_class: IpClass,
}

/// What counting says of a tenant.
#[derive(Default)]
pub(crate) struct Counted {
    verdicts: Vec<(VerdictKey, VerdictRow)>,
    pub(crate) downloads: Vec<Download>,
    pub(crate) deliveries: Vec<Delivery>,
}

/// Counts every listener-day (1).
pub(crate) fn count(tenant: &Tenant) -> Counted {
    let mut requests: BTreeMap<(Day, ListenerId), Vec<(At, RequestFact)>> = BTreeMap::new();
    for (at, request) in &tenant.requests {
        let key = (at.0.day(), request.listener);
        requests.entry(key).or_default().push((*at, *request));
    }
    let mut impressions: BTreeMap<(Day, ListenerId), Vec<(At, ImpressionFact)>> = BTreeMap::new();
    for (at, impression) in &tenant.impressions {
        let key = (at.0.day(), impression.listener);
        impressions.entry(key).or_default().push((*at, *impression));
    }
    let mut counted = Counted::default();
    for ((day, listener), requests) in &requests {
        count_requests(tenant, *day, *listener, requests, &mut counted);
    }
    lose_volume(tenant, &mut counted);
    let days: BTreeSet<_> = requests.keys().chain(impressions.keys()).copied().collect();
    for (day, listener) in days {
        let impressions = impressions
            .get(&(day, listener))
            .map_or(&[][..], Vec::as_slice);
        deliver(tenant, day, listener, impressions, &mut counted);
    }
    counted
}

/// Requests that the filters let through, with their episodes, in order (3).
pub(super) fn passed(tenant: &Tenant) -> impl Iterator<Item = (EpisodeId, Heard)> {
    let requests = tenant.requests.iter();
    let passed = requests.filter(|(at, request)| refused(tenant, *at, request).is_none());
    passed.map(|heard| (tenant.by_enclosure[&heard.1.enclosure].episode, *heard))
}

/// Bytes that make a download of an enclosure (4).
fn needed(tenant: &Tenant, episode: &EpisodeFact) -> u128 {
    let threshold = u128::from(tenant.rules.threshold_secs);
    let size = u128::from(episode.size_bytes);
    let header = u128::from(episode.header_bytes);
    let duration = u128::from(episode.duration_secs);
    let short = duration > 0 && duration < threshold;
    let audio = if short {
        None
    } else if episode.bit_rate > 0 && !episode.vbr {
        Some((u128::from(episode.bit_rate) * threshold).div_ceil(8))
    } else if episode.vbr && duration > 0 && size > 0 {
        Some((threshold * size.saturating_sub(header)).div_ceil(duration))
    } else {
        None
    };
    let needed = audio.map_or(size, |audio| header + audio);
    let needed = if size > 0 { needed.min(size) } else { needed };
    needed.max(1)
}

fn union(ranges: &[(u128, u128)]) -> Bytes {
    let mut sorted: Vec<_> = ranges.iter().filter(|(a, b)| a < b).copied().collect();
    sorted.sort_unstable();
    let mut union: Bytes = Vec::new();
    for (from, to) in sorted {
        match union.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => union.push((from, to)),
        }
    }
    union
}

fn total(union: &Bytes) -> u128 {
    union.iter().map(|(from, to)| to - from).sum()
}

/// Requests of one listener-day: verdicts and downloads (3, 4, 5).
fn count_requests(
    tenant: &Tenant,
    day: Day,
    listener: ListenerId,
    requests: &[(At, RequestFact)],
    counted: &mut Counted,
) {
    let mut verdicts: BTreeMap<EventId, (Verdict, Evidence)> = BTreeMap::new();
    let mut by_episode: BTreeMap<EpisodeId, Vec<(At, RequestFact)>> = BTreeMap::new();
    for (at, request) in requests {
        match refused(tenant, *at, request) {
            Some(verdict) => {
                verdicts.insert(at.1, verdict);
            }
            None => {
                let episode = tenant.by_enclosure[&request.enclosure].episode;
                by_episode.entry(episode).or_default().push((*at, *request));
            }
        }
    }
    for (episode, passed) in by_episode {
        let download = download(tenant, day, listener, episode, &passed);
        for (at, request) in &passed {
            let judged = match &download {
                Some(_) => (Verdict::Counted, Evidence::None),
                None => (Verdict::BelowThreshold, seen(tenant, request, &passed)),
            };
            verdicts.insert(at.1, judged);
        }
        counted.downloads.extend(download);
    }
    for (at, request) in requests {
        let key = VerdictKey {
            tenant: tenant.id,
            day,
            request: at.1,
        };
        let row = VerdictRow {
            time: at.0,
            verdict: verdicts[&at.1].0,
            enclosure: request.enclosure,
            episode: tenant
                .by_enclosure
                .get(&request.enclosure)
                .map_or(EpisodeId::NONE, |episode| episode.episode),
            listener,
            sent_bytes: request.sent_bytes,
            evidence: verdicts[&at.1].1,
        };
        counted.verdicts.push((key, row));
    }
}

const fn version(request: &RequestFact) -> (EnclosureId, u64) {
    (request.enclosure, request.total_bytes)
}

/// Bytes of all that were for the same version as a request.
fn same_version(tenant: &Tenant, of: &RequestFact, requests: &[(At, RequestFact)]) -> Bytes {
    let range = |request: &RequestFact| {
        if request.source_kind == SourceKind::Prefix {
            let fact = &tenant.by_enclosure[&request.enclosure];
            let size = if request.total_bytes > 0 {
                request.total_bytes
            } else {
                fact.size_bytes
            };
            return (0, u128::from(size).max(needed(tenant, fact)));
        }
        let first = u128::from(request.sent_first);
        (first, first + u128::from(request.sent_bytes))
    };
    let ranges: Vec<_> = requests
        .iter()
        .filter(|(_, request)| version(request) == version(of))
        .map(|(_, request)| range(request))
        .collect();
    union(&ranges)
}

/// What those that did not suffice had, and what was needed.
fn seen(tenant: &Tenant, of: &RequestFact, passed: &[(At, RequestFact)]) -> Evidence {
    let bytes = |count| u64::try_from(count).unwrap_or(u64::MAX);
    Evidence::Bytes {
        seen: bytes(total(&same_version(tenant, of, passed))),
        needed: bytes(needed(tenant, &tenant.by_enclosure[&of.enclosure])),
    }
}

/// The download of an episode, if its bytes were sent (4, 5).
pub(super) fn download(
    tenant: &Tenant,
    day: Day,
    listener: ListenerId,
    episode: EpisodeId,
    passed: &[(At, RequestFact)],
) -> Option<Download> {
    for (index, (_, request)) in passed.iter().enumerate() {
        let fact = &tenant.by_enclosure[&request.enclosure];
        let needed = needed(tenant, fact);
        if total(&same_version(tenant, request, &passed[..=index])) < needed {
            continue;
        }
        let (first_at, first) = &passed[0];
        return Some(Download {
            day,
            listener,
            episode,
            show: fact.show,
            t0: first_at.0,
            household: first.household,
            ip_class: first.ip_class,
            source_kind: first.source_kind,
            included: first.ip_class == IpClass::Included
                || is_included(tenant, *first_at, first.net, first.household),
            union: same_version(tenant, request, passed),
            whole: passed
                .iter()
                .filter(|(_, other)| version(other) == version(request))
                .any(|(_, other)| other.source_kind == SourceKind::Prefix),
            needed,
            requests: passed.iter().map(|(at, _)| at.1).collect(),
        });
    }
    None
}

/// `ip_volume` (3): a household over its limit loses the day's downloads.
fn lose_volume(tenant: &Tenant, counted: &mut Counted) {
    let all = std::mem::take(&mut counted.downloads);
    counted.downloads = kept_by_volume(tenant, all.clone());
    let key = |it: &Download| (it.day, it.listener, it.episode);
    let kept: BTreeSet<_> = counted.downloads.iter().map(key).collect();
    let requests: BTreeSet<EventId> = all
        .iter()
        .filter(|download| !kept.contains(&key(download)))
        .flat_map(|download| download.requests.iter().copied())
        .collect();
    for (key, row) in &mut counted.verdicts {
        if requests.contains(&key.request) {
            row.verdict = Verdict::IpVolume;
            row.evidence = Evidence::DownloadsMax(tenant.rules.ip_volume_downloads_max);
        }
    }
}

/// Downloads but for those of households that have too many on the day (3).
pub(super) fn kept_by_volume(tenant: &Tenant, mut downloads: Vec<Download>) -> Vec<Download> {
    let limit = u64::from(tenant.rules.ip_volume_downloads_max);
    if limit == 0 {
        return downloads;
    }
    let limited = |download: &Download| !download.included && download.household.is_some();
    let mut volumes: BTreeMap<(Day, HouseholdId), u64> = BTreeMap::new();
    for download in downloads.iter().filter(|d| limited(d)) {
        *volumes
            .entry((download.day, download.household))
            .or_default() += 1;
    }
    downloads.retain(|download| {
        !limited(download) || volumes[&(download.day, download.household)] <= limit
    });
    downloads
}

/// Deliveries of a listener-day (6): one per (line, episode).
fn deliver(
    tenant: &Tenant,
    day: Day,
    listener: ListenerId,
    impressions: &[(At, ImpressionFact)],
    counted: &mut Counted,
) {
    let downloads: BTreeMap<EpisodeId, Download> = counted
        .downloads
        .iter()
        .filter(|download| download.day == day && download.listener == listener)
        .map(|download| (download.episode, download.clone()))
        .collect();
    for (line, terms) in &tenant.lines {
        match terms.controlling {
            ControllingSource::Bytes => {
                for download in downloads.values() {
                    if heard(tenant, *line, download) {
                        counted.deliveries.push(delivery(*line, download));
                    }
                }
            }
            ControllingSource::Impressions => {
                let mut first: BTreeMap<EpisodeId, (At, ImpressionFact)> = BTreeMap::new();
                for (at, impression) in impressions {
                    if impression.line == *line && is_valid(tenant, *at, impression) {
                        first
                            .entry(impression.episode)
                            .or_insert((*at, *impression));
                    }
                }
                for (episode, (at, impression)) in first {
                    let known = tenant
                        .by_episode
                        .get(&episode)
                        .is_some_and(|fact| !fact.enclosures.is_empty());
                    match downloads.get(&episode) {
                        Some(download) if known => {
                            counted.deliveries.push(delivery(*line, download));
                        }
                        None if known => {}
                        _ => counted.deliveries.push(Delivery {
                            touch: touch_id(*line, episode, listener, day),
                            line: *line,
                            episode,
                            show: impression.show,
                            time: at.0,
                            household: impression.household,
                            ip_class: impression.ip_class,
                        }),
                    }
                }
            }
        }
    }
}

fn delivery(line: LineId, download: &Download) -> Delivery {
    Delivery {
        touch: touch_id(line, download.episode, download.listener, download.day),
        line,
        episode: download.episode,
        show: download.show,
        time: download.t0,
        household: download.household,
        ip_class: download.ip_class,
    }
}

/// Was all of some slot of the line sent?
fn heard(tenant: &Tenant, line: LineId, download: &Download) -> bool {
    tenant.slots.values().any(|slot| {
        let whole = download.whole
            || download.union.iter().any(|(from, to)| {
                *from <= u128::from(slot.first_byte)
                    && slot.first_byte <= slot.last_byte
                    && u128::from(slot.last_byte) < *to
            });
        slot.line == line && slot.episode == download.episode && !slot.removed && whole
    })
}

fn is_valid(tenant: &Tenant, at: At, impression: &ImpressionFact) -> bool {
    impression.kind == ImpressionKind::Delivered
        && impression.agent.is_some()
        && !is_watch(tenant, impression.agent)
        && bot_pattern(tenant, impression.agent).is_none()
        && (is_included(tenant, at, impression.net, impression.household)
            || !is_nonhuman(tenant, impression.ip_class, impression.net))
}

/// The identity of a delivery's touch (6).
fn touch_id(line: LineId, episode: EpisodeId, listener: ListenerId, day: Day) -> EventId {
    let hi = super::spread(listener.0 ^ super::spread(line.0));
    let lo = super::spread(hi ^ super::spread(episode.0 ^ u64::from(day.0.unsigned_abs())));
    EventId { hi, lo }
}

/// Rows of `verdicts`, `downloads` and `downloads_daily`.
pub(crate) fn rows(tenant: &Tenant, counted: &Counted) -> Vec<ViewRow> {
    let mut rows: Vec<ViewRow> = counted
        .verdicts
        .iter()
        .map(|(key, row)| (*key, row.clone()).into())
        .collect();
    let mut daily: BTreeMap<DownloadsDailyKey, i64> = BTreeMap::new();
    for download in &counted.downloads {
        let key = DownloadKey {
            tenant: tenant.id,
            day: download.day,
            window: WindowKind::CalendarDay,
            episode: download.episode,
            listener: download.listener,
            t0: download.t0,
        };
        let row = DownloadRow {
            show: download.show,
            household: download.household,
            source_kind: download.source_kind,
            union_bytes: u64::try_from(total(&download.union)).unwrap_or(u64::MAX),
            needed_bytes: u64::try_from(download.needed).unwrap_or(u64::MAX),
            requests: download.requests.len() as u32,
        };
        rows.push((key, row).into());
        let key = DownloadsDailyKey {
            tenant: tenant.id,
            day: download.day,
            window: WindowKind::CalendarDay,
            show: download.show,
            episode: download.episode,
            source_kind: download.source_kind,
        };
        *daily.entry(key).or_default() += 1;
    }
    let daily = daily
        .into_iter()
        .map(|(key, downloads)| (key, DownloadsDailyRow { downloads }).into());
    rows.extend(daily);
    rows
}
