//! Choice 18: hours that stand out.

use std::collections::{BTreeMap, BTreeSet};

use hostread_schemas::fact::Series;
use hostread_schemas::view::{AnomalyKey, AnomalyRow, ViewRow};
use hostread_schemas::{CampaignId, EventTimeMs, Hour};

use super::Tenant;
use super::attribution::Credited;
use super::counting::Counted;

/// Rows of `anomalies`.
pub(crate) fn rows(
    tenant: &Tenant,
    counted: &Counted,
    credited: &[Credited],
    clock: Option<EventTimeMs>,
) -> Vec<ViewRow> {
    let Some(clock) = clock else {
        return Vec::new();
    };
    let mut counts: BTreeMap<Series, BTreeMap<i32, i64>> = BTreeMap::new();
    let mut count = |series: Series, at: EventTimeMs| {
        *counts
            .entry(series)
            .or_default()
            .entry(at.hour().0)
            .or_default() += 1;
    };
    for download in &counted.downloads {
        count(Series::ShowDownloads(download.show), download.t0);
    }
    for it in credited {
        let campaigns: BTreeSet<CampaignId> = it.path.iter().map(|t| t.campaign).collect();
        for campaign in campaigns {
            count(Series::CampaignConversions(campaign), it.conversion.time);
        }
    }
    let mut rows = Vec::new();
    for (series, counts) in counts {
        for (hour, row) in flagged(&counts, clock.hour().0) {
            let key = AnomalyKey {
                tenant: tenant.id,
                series,
                hour: Hour(hour),
            };
            rows.push((key, row).into());
        }
    }
    rows
}

/// Hours before `until` that stand out.
pub(crate) fn flagged(counts: &BTreeMap<i32, i64>, until: i32) -> Vec<(i32, AnomalyRow)> {
    let mut flagged = Vec::new();
    let Some(first) = counts.keys().next().copied() else {
        return flagged;
    };
    let at = |hour: i32| counts.get(&hour).copied().unwrap_or(0);
    for hour in first..until {
        let before: Vec<i64> = (first.max(hour - 48)..hour).map(at).collect();
        if before.len() < 24 {
            continue;
        }
        let count = at(hour);
        let median = lower_median(before.clone());
        let mad = lower_median(before.iter().map(|x| (x - median).abs()).collect());
        let score_milli = 6745 * (count - median) / (10 * mad.max(1));
        if score_milli.abs() >= 3500 && (count - median).abs() >= 10 {
            let row = AnomalyRow {
                count,
                median,
                mad,
                score_milli,
            };
            flagged.push((hour, row));
        }
    }
    flagged
}

fn lower_median(mut numbers: Vec<i64>) -> i64 {
    numbers.sort_unstable();
    numbers[(numbers.len() - 1) / 2]
}
