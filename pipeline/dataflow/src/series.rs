//! Anomalies: hours that stand out in a series.
//!
//! ```text
//!   hourly counts ---- by (tenant, series) ----> [ series ] ----> anomalies
//!   clock --------------------------------------------^
//! ```
//! State: one entry per series and hour with a count. Cost: a series is judged when one of its closed
//! hours changes, every series when the clock closes an hour.

use std::collections::{BTreeMap, BTreeSet};

use hostread_rules::anomaly::flags;
use hostread_schemas::fact::Series;
use hostread_schemas::view::{AnomalyKey, ViewRow};
use hostread_schemas::{Hour, TenantId};

use crate::by_tick::{Stream, by_tick};

type Key = (TenantId, Series);

/// Wires the operator.
pub(crate) fn anomalies<'s>(
    hours: Stream<'s, (Key, (Hour, i64))>,
    clock: Stream<'s, Hour>,
) -> Stream<'s, ViewRow> {
    let mut series: BTreeMap<Key, BTreeMap<Hour, i64>> = BTreeMap::new();
    let mut standing: BTreeMap<Key, Vec<(ViewRow, i64)>> = BTreeMap::new();
    let mut clock_hour: Option<Hour> = None;
    by_tick(
        hours,
        clock,
        "Anomalies",
        |((tenant, series), _)| tenant.0 ^ series_hash(*series),
        move |_tick, updates, clock, out| {
            let before = clock_hour;
            clock_hour = clock
                .iter()
                .filter(|(_, diff)| *diff > 0)
                .map(|(h, _)| *h)
                .max()
                .max(clock_hour);
            let mut touched: BTreeSet<Key> = BTreeSet::new();
            let mut updates = updates;
            updates.sort_by_key(|(_, diff)| *diff);
            for ((key, (hour, count)), diff) in updates {
                let hours = series.entry(key).or_default();
                if diff > 0 {
                    hours.insert(hour, count);
                } else {
                    hours.remove(&hour);
                }
                if clock_hour.is_some_and(|clock| hour < clock) {
                    touched.insert(key);
                }
            }
            if clock_hour != before {
                touched.extend(series.keys().copied());
            }
            for key in touched {
                out.extend(
                    standing
                        .remove(&key)
                        .unwrap_or_default()
                        .into_iter()
                        .map(|(r, d)| (r, -d)),
                );
                let Some(hours) = series.get(&key) else {
                    continue;
                };
                let rows = judge(key, hours, clock_hour);
                out.extend(rows.iter().cloned());
                if !rows.is_empty() {
                    standing.insert(key, rows);
                }
            }
            series.retain(|_, hours| !hours.is_empty());
        },
    )
}

fn judge(
    (tenant, series): Key,
    hours: &BTreeMap<Hour, i64>,
    clock: Option<Hour>,
) -> Vec<(ViewRow, i64)> {
    let Some(clock) = clock else {
        return Vec::new();
    };
    let closed: Vec<(Hour, i64)> = hours
        .range(..clock)
        .map(|(hour, count)| (*hour, *count))
        .collect();
    flags(&closed, clock)
        .into_iter()
        .map(|(hour, row)| {
            (
                (
                    AnomalyKey {
                        tenant,
                        series,
                        hour,
                    },
                    row,
                )
                    .into(),
                1,
            )
        })
        .collect()
}

fn series_hash(series: Series) -> u64 {
    match series {
        Series::ShowDownloads(show) => show.0,
        Series::CampaignConversions(campaign) => campaign.0.rotate_left(1),
    }
}
