//! Choice 33: downloads by day under the windows that go over midnight. Every request is tried as the beginning of a window.

use std::collections::{BTreeMap, BTreeSet};

use hostread_schemas::unit::DAY_MS;
use hostread_schemas::view::{DownloadsDailyKey, DownloadsDailyRow, ViewRow, WindowKind};
use hostread_schemas::{EpisodeId, ListenerId};

use super::Tenant;
use super::counting::{Download, Heard, download, kept_by_volume, passed};

/// Rows of `downloads_daily` under both windows.
pub(crate) fn rows(tenant: &Tenant) -> Vec<ViewRow> {
    let mut heard: BTreeMap<(ListenerId, EpisodeId), Vec<Heard>> = BTreeMap::new();
    for (episode, request) in passed(tenant) {
        let of = heard.entry((request.1.listener, episode)).or_default();
        of.push(request);
    }
    let mut daily: BTreeMap<DownloadsDailyKey, i64> = BTreeMap::new();
    for window in [WindowKind::FirstTouch, WindowKind::LastTouch] {
        let downloads = heard.iter().flat_map(|((listener, episode), requests)| {
            let of = |requests: &[Heard]| {
                let day = requests.first()?.0.0.day();
                download(tenant, day, *listener, *episode, requests)
            };
            match window {
                WindowKind::FirstTouch => first_touch(requests, of),
                _ => last_touch(requests, of),
            }
        });
        for download in kept_by_volume(tenant, downloads.collect()) {
            let key = DownloadsDailyKey {
                tenant: tenant.id,
                day: download.day,
                window,
                show: download.show,
                episode: download.episode,
                source_kind: download.source_kind,
            };
            *daily.entry(key).or_default() += 1;
        }
    }
    daily
        .into_iter()
        .map(|(key, downloads)| (key, DownloadsDailyRow { downloads }).into())
        .collect()
}

/// Each request in turn: does what came within a day of it suffice?
fn first_touch(
    requests: &[Heard],
    download: impl Fn(&[Heard]) -> Option<Download>,
) -> Vec<Download> {
    let mut taken: BTreeSet<usize> = BTreeSet::new();
    let mut downloads = Vec::new();
    for first in 0..requests.len() {
        let within = |at: &usize| requests[*at].0.0.0 - requests[first].0.0.0 < DAY_MS;
        let window: Vec<usize> = (first..requests.len()).filter(within).collect();
        if taken.contains(&first) {
            continue;
        }
        let of_window: Vec<Heard> = window.iter().map(|at| requests[*at]).collect();
        if let Some(download) = download(&of_window) {
            downloads.push(download);
            taken.extend(window);
        }
    }
    downloads
}

/// Requests less than a day apart from the one before are one.
fn last_touch(
    requests: &[Heard],
    download: impl Fn(&[Heard]) -> Option<Download>,
) -> Vec<Download> {
    let mut chains: Vec<Vec<Heard>> = Vec::new();
    for request in requests {
        match chains.last_mut() {
            Some(chain) if request.0.0.0 - chain[chain.len() - 1].0.0.0 < DAY_MS => {
                chain.push(*request);
            }
            _ => chains.push(vec![*request]),
        }
    }
    chains.iter().filter_map(|chain| download(chain)).collect()
}
