//! Anomalies: hours that stand out in a series.
//!
//! ```text
//!   hourly counts ---- by (tenant, series) ----> [ series ] ----> anomalies
//!   clock --------------------------------------------^
//! ```
//! State: one entry per series and hour with a count, one per flagged hour. Cost: O(48) a closed hour that changes and, when
//! the clock closes an hour, a series.

use std::collections::BTreeMap;
use std::ops::Range;

use differential_dataflow::consolidation::consolidate;
use hostread_rules::anomaly::{HOURS_AFTER, flags};
use hostread_schemas::fact::Series;
use hostread_schemas::view::{AnomalyKey, AnomalyRow, ViewRow};
use hostread_schemas::{Hour, TenantId};

use crate::by_tick::{Stream, by_tick};
use crate::sorted::of_tenant;

type Key = (TenantId, Series);

/// Wires the operator.
pub(crate) fn anomalies<'s>(
    hours: Stream<'s, (Key, (Hour, i64))>,
    clock: Stream<'s, Hour>,
) -> Stream<'s, ViewRow> {
    let mut state = State::default();
    by_tick(
        hours,
        clock,
        "Anomalies",
        |((tenant, series), _)| tenant.0 ^ series_hash(*series),
        |((tenant, _), _)| of_tenant(*tenant, 0),
        move |_tick, updates, clock, out| state.step(updates, &clock, out),
    )
}

/// One series.
#[derive(Default)]
struct Hours {
    counts: BTreeMap<Hour, i64>,
    flagged: BTreeMap<Hour, AnomalyRow>,
}

#[derive(Default)]
struct State {
    series: BTreeMap<Key, Hours>,
    clock: Option<Hour>,
}

impl State {
    fn step(
        &mut self,
        mut updates: Vec<((Key, (Hour, i64)), i64)>,
        clock: &[(Hour, i64)],
        out: &mut Vec<(ViewRow, i64)>,
    ) {
        let before = self.clock;
        let told = clock.iter().filter(|(_, diff)| *diff > 0);
        self.clock = told.map(|(hour, _)| *hour).max().max(before);
        // Retractions first: an hour's new count replaces its old one.
        updates.sort_by_key(|((key, _), diff)| (*key, *diff));
        for of_series in updates.chunk_by(|((one, _), _), ((other, _), _)| one == other) {
            let Some(((key, _), _)) = of_series.first() else {
                continue;
            };
            let hours = self.series.entry(*key).or_default();
            let touched = hours.apply(of_series);
            if let Some(clock) = self.clock {
                hours.judge(*key, touched.start..touched.end.min(clock), out);
            }
            if hours.counts.is_empty() {
                self.series.remove(key);
            }
        }
        if let Some(clock) = self.clock.filter(|_| self.clock != before) {
            let closed = before.unwrap_or(Hour(i32::MIN))..clock;
            for (key, hours) in &mut self.series {
                hours.judge(*key, closed.clone(), out);
            }
        }
        consolidate(out);
    }
}

impl Hours {
    fn first(&self) -> Option<Hour> {
        self.counts.keys().next().copied()
    }

    /// Takes the changes of a series; returns the hours that must be judged anew: where the series begins matters too.
    fn apply(&mut self, updates: &[((Key, (Hour, i64)), i64)]) -> Range<Hour> {
        let first = self.first();
        for ((_, (hour, count)), diff) in updates {
            if *diff > 0 {
                self.counts.insert(*hour, *count);
            } else {
                self.counts.remove(hour);
            }
        }
        let touched = || updates.iter().map(|((_, (hour, _)), _)| *hour);
        let last = touched().max().max(first).max(self.first());
        match (touched().min(), last) {
            (Some(from), Some(last)) => from..Hour(last.0.saturating_add(HOURS_AFTER + 1)),
            _ => Hour(0)..Hour(0),
        }
    }

    fn judge(&mut self, key: Key, judged: Range<Hour>, out: &mut Vec<(ViewRow, i64)>) {
        if judged.is_empty() {
            return;
        }
        let row = |hour: Hour, row: AnomalyRow| -> ViewRow {
            let (tenant, series) = key;
            let key = AnomalyKey {
                tenant,
                series,
                hour,
            };
            (key, row).into()
        };
        let stood: Vec<Hour> = self
            .flagged
            .range(judged.clone())
            .map(|(hour, _)| *hour)
            .collect();
        for hour in stood {
            out.extend(self.flagged.remove(&hour).map(|gone| (row(hour, gone), -1)));
        }
        for (hour, flag) in flags(&self.counts, judged) {
            out.push((row(hour, flag.clone()), 1));
            self.flagged.insert(hour, flag);
        }
    }
}

fn series_hash(series: Series) -> u64 {
    match series {
        Series::ShowDownloads(show) => show.0,
        Series::CampaignConversions(campaign) => campaign.0.rotate_left(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SERIES: Key = (
        TenantId(1),
        Series::ShowDownloads(hostread_schemas::ShowId(1)),
    );

    proptest! {
        #[test]
        fn judging_what_a_change_reaches_is_judging_all(
            ticks in proptest::collection::vec(
                (proptest::collection::vec((0_i32..220, prop_oneof![2 => 40_i64..60, 1 => 0_i64..200]), 0..40), 0_i32..30),
                1..14),
        ) {
            let (mut state, mut rows) = (State::default(), BTreeMap::<ViewRow, i64>::new());
            let (mut counts, mut clock) = (BTreeMap::<Hour, i64>::new(), Hour(90));
            for (changes, hours) in ticks {
                clock = Hour(clock.0 + hours);
                let mut updates = Vec::new();
                for (hour, count) in changes.into_iter().collect::<BTreeMap<_, _>>() {
                    let hour = Hour(hour);
                    let gone = counts.remove(&hour);
                    updates.extend(gone.map(|gone| ((SERIES, (hour, gone)), -1)));
                    if count > 0 {
                        counts.insert(hour, count);
                        updates.push(((SERIES, (hour, count)), 1));
                    }
                }
                let mut out = Vec::new();
                state.step(updates, &[(clock, 1)], &mut out);
                for (row, diff) in out {
                    *rows.entry(row).or_default() += diff;
                }
                rows.retain(|_, count| *count != 0);
                let mut ought = Hours { counts: counts.clone(), ..Hours::default() };
                let mut all = Vec::new();
                ought.judge(SERIES, Hour(i32::MIN)..clock, &mut all);
                let all: BTreeMap<ViewRow, i64> = all.into_iter().collect();
                prop_assert_eq!(&rows, &all);
            }
        }
    }
}
