//! Pacing and billing of line items.
//!
//! ```text
//!   line items, reads, delivery days, credit days ---- by (tenant, line) ----> [ lines ] ----> pacing, billing rows
//!   clock -----------------------------------------------------------------------^
//! ```
//! State: per line its versions, reads and one entry per billing day. Cost: a changed line re-reads
//! its days; a new hour re-reads every line.

use std::collections::{BTreeMap, BTreeSet};

use hostread_rules::billing::billing_lines;
use hostread_rules::pacing::{AiredRead, pace};
use hostread_schemas::event::PriceKind;
use hostread_schemas::fact::{Fact, FactBody, LineFact};
use hostread_schemas::view::{BillingLineKey, PacingKey, ViewRow};
use hostread_schemas::{Day, EpisodeId, EventTimeMs, Hour, LineId, TenantId};
use serde::{Deserialize, Serialize};

use crate::by_tick::{Latest, Stream, by_tick};
use crate::sorted::of_tenant;

/// Whose.
pub(crate) type LineKey = (TenantId, LineId);

/// What a line's numbers are made of.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) enum LineInput {
    /// A line item or a read that aired.
    Deal(Fact),
    /// Billable ads of a day and the last hour that had one.
    Delivered(Day, i64, Option<Hour>),
    /// Credit micros of a day under the line's model.
    Credited(Day, i64),
}

#[derive(Default)]
struct Line {
    versions: Latest<(), LineFact>,
    reads: Latest<EpisodeId, (EventTimeMs, u64)>,
    delivered: BTreeMap<Day, (i64, Option<Hour>)>,
    credited: BTreeMap<Day, i64>,
}

/// Wires the operator. The clock is the start of the hour that has begun.
pub(crate) fn line_numbers<'s>(
    inputs: Stream<'s, (LineKey, LineInput)>,
    clock: Stream<'s, Hour>,
) -> Stream<'s, ViewRow> {
    let mut lines: BTreeMap<LineKey, Line> = BTreeMap::new();
    let mut hour: Option<Hour> = None;
    by_tick(
        inputs,
        clock,
        "LineNumbers",
        |(key, _)| key.1.0,
        |((tenant, line), _)| of_tenant(*tenant, line.0),
        move |_tick, updates, clock, out| {
            let before = hour;
            hour = clock
                .iter()
                .filter(|(_, diff)| *diff > 0)
                .map(|(h, _)| *h)
                .max()
                .max(hour);
            let mut changes: BTreeMap<LineKey, Vec<(LineInput, i64)>> = BTreeMap::new();
            for ((key, input), diff) in updates {
                changes.entry(key).or_default().push((input, diff));
            }
            let touched: BTreeSet<LineKey> = if hour == before {
                changes.keys().copied().collect()
            } else {
                changes.keys().chain(lines.keys()).copied().collect()
            };
            for key in touched {
                let line = lines.entry(key).or_default();
                line.emit(key, before, -1, out);
                // Retractions first: a day's new row replaces its old one.
                let mut changes = changes.remove(&key).unwrap_or_default();
                changes.sort_by_key(|(_, diff)| *diff);
                for (input, diff) in changes {
                    line.apply(input, diff);
                }
                line.emit(key, hour, 1, out);
            }
        },
    )
}

impl Line {
    fn apply(&mut self, input: LineInput, diff: i64) {
        match input {
            LineInput::Deal(fact) => match &fact.body {
                FactBody::Line(line) => self.versions.update((), &fact, line.clone(), diff),
                FactBody::Aired {
                    episode,
                    aired_at,
                    episode_goal,
                    ..
                } => {
                    self.reads
                        .update(*episode, &fact, (*aired_at, *episode_goal), diff);
                }
                _ => {}
            },
            LineInput::Delivered(day, billable, last_hour) if diff > 0 => {
                self.delivered.insert(day, (billable, last_hour));
            }
            LineInput::Delivered(day, ..) => {
                self.delivered.remove(&day);
            }
            LineInput::Credited(day, credits) if diff > 0 => {
                self.credited.insert(day, credits);
            }
            LineInput::Credited(day, _) => {
                self.credited.remove(&day);
            }
        }
    }

    fn emit(&self, key: LineKey, clock: Option<Hour>, diff: i64, out: &mut Vec<(ViewRow, i64)>) {
        let (tenant, line) = key;
        let Some(fact) = self.versions.get(&()) else {
            return;
        };
        if let Some(clock) = clock {
            let reads: Vec<AiredRead> = self
                .reads
                .iter()
                .map(|(episode, (aired_at, episode_goal))| AiredRead {
                    episode: *episode,
                    aired_at: *aired_at,
                    episode_goal: *episode_goal,
                })
                .collect();
            let billable = self.delivered.values().map(|(billable, _)| billable).sum();
            let last_hour = self.delivered.values().filter_map(|(_, hour)| *hour).max();
            let row = pace(fact, &reads, billable, last_hour, clock);
            out.push(((PacingKey { tenant, line }, row).into(), diff));
        }
        let days: Vec<(Day, i64)> = match fact.price_kind {
            PriceKind::Cpm => self
                .delivered
                .iter()
                .map(|(day, (n, _))| (*day, *n))
                .collect(),
            PriceKind::Cpa => self.credited.iter().map(|(day, n)| (*day, *n)).collect(),
        };
        for (period, row) in billing_lines(fact, &days) {
            out.push((
                (
                    BillingLineKey {
                        tenant,
                        line,
                        period,
                    },
                    row,
                )
                    .into(),
                diff,
            ));
        }
    }
}
