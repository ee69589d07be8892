//! Rows of the detail views: what counting says of a listener-day, as readers see it.

use hostread_schemas::view::{DownloadKey, DownloadRow, VerdictKey, VerdictRow, WindowKind};
use hostread_schemas::{AgentId, Day, ListenerId, TenantId};

use crate::counting::{CountedDownload, Exposure, Item, RequestVerdict};

/// Row of `verdicts`.
#[must_use]
pub fn verdict_row(
    tenant: TenantId,
    day: Day,
    listener: ListenerId,
    verdict: &RequestVerdict,
) -> (VerdictKey, VerdictRow) {
    let key = VerdictKey {
        tenant,
        day,
        request: verdict.request,
    };
    let row = VerdictRow {
        time: verdict.time,
        verdict: verdict.verdict,
        enclosure: verdict.enclosure,
        episode: verdict.episode,
        listener,
        sent_bytes: verdict.sent_bytes,
        evidence: verdict.evidence,
    };
    (key, row)
}

/// Row of `downloads`.
#[must_use]
pub fn download_row(
    tenant: TenantId,
    listener: ListenerId,
    download: &CountedDownload,
) -> (DownloadKey, DownloadRow) {
    let key = DownloadKey {
        tenant,
        day: download.t0.day(),
        window: WindowKind::CalendarDay,
        episode: download.episode,
        listener,
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
    (key, row)
}

/// The agent that a listener-day shows behind its household's address: a listener has one.
#[must_use]
pub fn agent_of(items: &[Item]) -> AgentId {
    match items.first() {
        Some((_, _, Exposure::Request(request))) => request.agent,
        Some((_, _, Exposure::Impression(impression))) => impression.agent,
        None => AgentId::NONE,
    }
}
