//! Counts one listener-day: a verdict for each request, downloads, ads delivered.
//!
//! Needs: the requests and impressions of one listener on one UTC day, in order (time, event id).
//! Promises: definitions 3 to 6; O(n log n) for n requests (with k versions that each reach the
//! threshold O(n log² n)); a handful of allocations a call, none per request.
//! Leaves out: who is over `ip_volume`, which needs the household's other listeners
//! ([`CompiledRules::ip_volume_exceeded`] of the sum of [`ListenerDay::volume`]).
//!
//! Invariant 1: one verdict per request, in order.
//! Invariant 2: at most one download per episode, with `union_bytes >= needed_bytes`; its requests
//! are exactly the `counted` ones of the episode.
//! Invariant 3: at most one delivery per (line, episode).
//! Invariant 4: a request more never lowers the union of a version.

use hostread_schemas::event::{ControllingSource, ImpressionKind, IpClass, SourceKind};
use hostread_schemas::fact::{EpisodeFact, ImpressionFact, LineFact, RequestFact, SlotFact};
use hostread_schemas::view::{Evidence, Verdict};
use hostread_schemas::{
    AgentId, CampaignId, EnclosureId, EpisodeId, EventId, EventTimeMs, HouseholdId, LineId, ShowId,
};
use serde::{Deserialize, Serialize};

use crate::bytes::{self, ByteRange};

mod filter;
pub mod window;

pub use filter::filtered;
use filter::{Judge, Judged, Passed, filter};

pub use crate::rule_set::{AgentClass, CompiledRules};
pub use crate::threshold::{needed_bytes, sent};

/// An episode and the places in it that are not withdrawn.
#[derive(Clone, Copy, Debug)]
pub struct CatalogEntry<'a> {
    /// Its byte map.
    pub episode: &'a EpisodeFact,
    /// Its places for ads.
    pub slots: &'a [SlotFact],
}

/// What requests are judged by: the facts in force (definition 2).
pub trait Dimensions {
    /// The rule set.
    fn rules(&self) -> &CompiledRules;
    /// What an agent is; never asked of the agent `none`.
    fn agent_class(&self, agent: AgentId) -> AgentClass;
    /// The episode of an audio address.
    fn episode_of(&self, enclosure: EnclosureId) -> Option<&EpisodeFact>;
    /// An episode by its id.
    fn episode(&self, id: EpisodeId) -> Option<&EpisodeFact>;
    /// The places in an episode.
    fn slots(&self, episode: EpisodeId) -> &[SlotFact];
    /// A line item.
    fn line(&self, line: LineId) -> Option<&LineFact>;
}

/// What a listener did.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Exposure {
    /// A request for audio.
    Request(RequestFact),
    /// An ad, as reported.
    Impression(ImpressionFact),
}

/// An exposure with its place in the order.
pub type Item = (EventTimeMs, EventId, Exposure);

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestVerdict {
    /// Which.
    pub request: EventId,
    /// When.
    pub time: EventTimeMs,
    /// The verdict.
    pub verdict: Verdict,
    /// What it rests on.
    pub evidence: Evidence,
    /// Audio address.
    pub enclosure: EnclosureId,
    /// Its episode; none: not one.
    pub episode: EpisodeId,
    /// Bytes sent.
    pub sent_bytes: u64,
}

/// What one listener-day comes to.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct ListenerDay {
    /// One per request, in order.
    pub verdicts: Vec<RequestVerdict>,
    /// By episode.
    pub downloads: Vec<CountedDownload>,
    /// By (line, episode).
    pub deliveries: Vec<Delivery>,
    /// Downloads, lost or not, that count towards the household's limit: those of addresses that the
    /// rules do not include by name.
    pub volume: u32,
}

/// Requests that count as one download.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
pub struct CountedDownload {
    /// Episode.
    pub episode: EpisodeId,
    /// Show.
    pub show: ShowId,
    /// The first filtered-in request of the episode.
    pub t0: EventTimeMs,
    /// Household of that request.
    pub household: HouseholdId,
    /// Class of its address.
    pub ip_class: IpClass,
    /// What saw it.
    pub source_kind: SourceKind,
    /// Bytes of the day in the version that made it.
    pub union_bytes: u64,
    /// Bytes that make a download.
    pub needed_bytes: u64,
    /// Filtered-in requests of the episode.
    pub requests: u32,
}

/// An ad delivered.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
pub struct Delivery {
    /// Line item.
    pub line: LineId,
    /// The line's campaign.
    pub campaign: CampaignId,
    /// Episode.
    pub episode: EpisodeId,
    /// Show.
    pub show: ShowId,
    /// When: the download's t0, or the impression's time.
    pub time: EventTimeMs,
    /// Household.
    pub household: HouseholdId,
    /// Class of its address.
    pub ip_class: IpClass,
}

/// Counts one listener-day. `exposures` are sorted by (time, id); `over_volume` says that the household
/// has more downloads on the day than the rules allow.
#[must_use]
pub fn count_listener_day<D: Dimensions + ?Sized>(
    exposures: &[(EventTimeMs, EventId, Exposure)],
    over_volume: bool,
    dims: &D,
) -> ListenerDay {
    let mut day = ListenerDay::default();
    let mut passed = filter(exposures, dims, &mut day.verdicts);
    if passed.len() > 1 {
        passed.sort_unstable_by_key(|p| (p.version(), p.index));
    }
    let mut united = Vec::new();
    for group in passed.chunk_by(|a, b| a.episode.episode == b.episode.episode) {
        count_episode(group, over_volume, dims, &mut united, &mut day);
    }
    if day.verdicts.len() < exposures.len() {
        let downloads = &day.downloads;
        let of_episode = |episode, _| of_episode(downloads, episode);
        let delivered = ImpressionKind::Delivered;
        count_impressions(exposures, delivered, dims, of_episode, &mut day.deliveries);
    }
    keep_firsts(&mut day.deliveries);
    day
}

/// The ads that a listener-day was held out of: what its control exposures would be, were they ads delivered. By (line, episode);
/// `counted` is what the day came to.
#[must_use]
pub fn held_out<D: Dimensions + ?Sized>(
    exposures: &[Item],
    counted: &ListenerDay,
    dims: &D,
) -> Vec<Delivery> {
    let mut withheld = Vec::new();
    let of_episode = |episode, _| of_episode(&counted.downloads, episode);
    let kind = ImpressionKind::ControlExposure;
    count_impressions(exposures, kind, dims, of_episode, &mut withheld);
    keep_firsts(&mut withheld);
    withheld
}

/// Of downloads by episode that of one.
fn of_episode(downloads: &[CountedDownload], episode: EpisodeId) -> Option<&CountedDownload> {
    let at = downloads.binary_search_by_key(&episode, |d| d.episode);
    downloads.get(at.ok()?)
}

/// Of several ads of a line in an episode the first, in the order in which they stand.
fn keep_firsts(ads: &mut Vec<Delivery>) {
    if ads.len() > 1 {
        ads.sort_by_key(|d| (d.line, d.episode));
        ads.dedup_by_key(|d| (d.line, d.episode));
    }
}

/// The version that makes the download.
struct Made<'g, 'a> {
    version: &'g [Passed<'a>],
    union_bytes: u64,
    needed_bytes: u64,
}

/// One episode's filtered-in requests, sorted by (version, order).
fn count_episode<D: Dimensions + ?Sized>(
    group: &[Passed<'_>],
    over_volume: bool,
    dims: &D,
    united: &mut Vec<ByteRange>,
    day: &mut ListenerDay,
) {
    let threshold_secs = dims.rules().threshold_secs();
    let mut made: Option<Made<'_, '_>> = None;
    for version in group.chunk_by(|a, b| a.version() == b.version()) {
        let Some(episode) = version.first().map(|p| p.episode) else {
            continue;
        };
        let needed_bytes = needed_bytes(episode, threshold_secs);
        let union_bytes = unite(version, needed_bytes, united);
        let candidate = Made {
            version,
            union_bytes,
            needed_bytes,
        };
        let first = |other: &Made<'_, '_>, united: &mut _| {
            reached_at(&candidate, united) < reached_at(other, united)
        };
        let seen = Evidence::Bytes {
            seen: union_bytes,
            needed: needed_bytes,
        };
        judge_all(version, &mut day.verdicts, (Verdict::BelowThreshold, seen));
        if union_bytes >= needed_bytes && made.as_ref().is_none_or(|other| first(other, united)) {
            made = Some(candidate);
        }
    }
    let first = group.iter().min_by_key(|p| p.index);
    let (Some(made), Some(first)) = (made, first) else {
        return;
    };
    debug_assert!(made.union_bytes >= made.needed_bytes, "invariant 2");
    let rules = dims.rules();
    let limited = is_limited(first, rules);
    day.volume += u32::from(limited);
    if limited && over_volume {
        let max = rules.ip_volume_downloads_max();
        let lost = (Verdict::IpVolume, Evidence::DownloadsMax(max));
        judge_all(group, &mut day.verdicts, lost);
        return;
    }
    let counted = (Verdict::Counted, Evidence::None);
    judge_all(group, &mut day.verdicts, counted);
    let episode = made.version.first().unwrap_or(first).episode;
    let download = CountedDownload {
        episode: episode.episode,
        show: episode.show,
        t0: first.time,
        household: first.request.household,
        ip_class: first.request.ip_class,
        source_kind: first.request.source_kind,
        union_bytes: made.union_bytes,
        needed_bytes: made.needed_bytes,
        requests: u32::try_from(group.len()).unwrap_or(u32::MAX),
    };
    deliver_slots(&download, &made, dims, united, &mut day.deliveries);
    day.downloads.push(download);
}

/// Does a download with this first request count towards the limit of its address?
fn is_limited(first: &Passed<'_>, rules: &CompiledRules) -> bool {
    let (net, address) = (first.request.net, first.request.household);
    first.request.ip_class != IpClass::Included && !rules.included(first.time.day(), net, address)
}

fn judge_all(requests: &[Passed<'_>], verdicts: &mut [RequestVerdict], judged: Judged) {
    for passed in requests {
        if let Some(verdict) = verdicts.get_mut(passed.index) {
            (verdict.verdict, verdict.evidence) = judged;
        }
    }
}

/// Unites the bytes of requests of one version into `united`.
fn unite(requests: &[Passed<'_>], needed: u64, united: &mut Vec<ByteRange>) -> u64 {
    united.clear();
    united.extend(requests.iter().map(|p| sent(p.request, p.episode, needed)));
    bytes::unite(united)
}

/// The request with which the union reached what is needed. The union only grows (invariant 4), so
/// the shortest prefix that suffices is found by halving.
fn reached_at(made: &Made<'_, '_>, united: &mut Vec<ByteRange>) -> usize {
    let (mut short, mut enough) = (0, made.version.len());
    while short + 1 < enough {
        let middle = short.midpoint(enough);
        let prefix = made.version.get(..middle).unwrap_or_default();
        if unite(prefix, made.needed_bytes, united) >= made.needed_bytes {
            enough = middle;
        } else {
            short = middle;
        }
    }
    made.version.get(short).map_or(usize::MAX, |p| p.index)
}

/// The ads of lines that are counted by bytes.
fn deliver_slots<D: Dimensions + ?Sized>(
    download: &CountedDownload,
    made: &Made<'_, '_>,
    dims: &D,
    united: &mut Vec<ByteRange>,
    deliveries: &mut Vec<Delivery>,
) {
    let slots = dims.slots(download.episode);
    if slots.is_empty() {
        return;
    }
    let prefix = |p: &Passed<'_>| p.request.source_kind == SourceKind::Prefix;
    let whole = made.version.iter().any(prefix);
    unite(made.version, made.needed_bytes, united);
    for slot in slots {
        if slot.removed || !(whole || bytes::covers(united, slot.first_byte, slot.last_byte)) {
            continue;
        }
        let line = dims.line(slot.line);
        if let Some(line) = line.filter(|line| line.controlling == ControllingSource::Bytes) {
            deliveries.push(delivery(line, slot.line, download));
        }
    }
}

const fn delivery(line: &LineFact, id: LineId, download: &CountedDownload) -> Delivery {
    Delivery {
        line: id,
        campaign: line.campaign,
        episode: download.episode,
        show: download.show,
        time: download.t0,
        household: download.household,
        ip_class: download.ip_class,
    }
}

/// The reports of one kind about lines that are counted by impressions, as ads; `download_of` knows the download of an episode that an ad of a time is in.
fn count_impressions<'d, D: Dimensions + ?Sized>(
    exposures: &[(EventTimeMs, EventId, Exposure)],
    kind: ImpressionKind,
    dims: &D,
    download_of: impl Fn(EpisodeId, EventTimeMs) -> Option<&'d CountedDownload>,
    deliveries: &mut Vec<Delivery>,
) {
    let mut judge = Judge::new(dims);
    for (time, _, exposure) in exposures {
        let Exposure::Impression(ad) = exposure else {
            continue;
        };
        let line = dims.line(ad.line);
        let Some(line) = line.filter(|line| line.controlling == ControllingSource::Impressions)
        else {
            continue;
        };
        if ad.kind != kind || !judge.human(*time, ad) {
            continue;
        }
        if downloadable(ad.episode, dims) {
            if let Some(download) = download_of(ad.episode, *time) {
                deliveries.push(delivery(line, ad.line, download));
            }
        } else {
            deliveries.push(Delivery {
                line: ad.line,
                campaign: line.campaign,
                episode: ad.episode,
                show: ad.show,
                time: *time,
                household: ad.household,
                ip_class: ad.ip_class,
            });
        }
    }
}

/// Does the catalog name an address of the episode's audio?
fn downloadable<D: Dimensions + ?Sized>(episode: EpisodeId, dims: &D) -> bool {
    let known = dims.episode(episode);
    known.is_some_and(|episode| !episode.enclosures.is_empty())
}

#[cfg(test)]
mod tests;
