//! What of a tick's changes becomes visible: sealed days do not move, published numbers move only
//! with a ledger row, a release moves nothing.
//!
//! Needs: the changes of one tick and what its record says. Promises: a pure function of both.
//! Invariant 1: in a release tick every change lies in a released day; anything else is an error.
//! Invariant 2: a change of a published number has one restatement per changed column.
//! Invariant 3: no row of a daily view changes once its day is sealed.

use std::collections::BTreeMap;

use hostread_rules::publish::{Horizons, metrics};
use hostread_schemas::fact::Series;
use hostread_schemas::view::{
    Cause, Change, LateKey, LateOf, LateRow, Metric, NumberKey, Period, RestatementKey,
    RestatementRow, ViewClass, ViewKey, ViewValue,
};
use hostread_schemas::{BatchId, Day, EventId, EventTimeMs, TenantId, Tick};

/// Batches that a ledger row names at most; more are counted.
pub const CAUSE_BATCHES_MAX: usize = 16;

/// What a tick's record says.
#[derive(Clone, Debug, Default)]
pub struct TickContext {
    /// The tick.
    pub tick: Tick,
    /// Its clock.
    pub clock: EventTimeMs,
    /// The one event that has the tick to itself, if it is a cause.
    pub cause: Option<EventId>,
    /// The batches that its events came with, by tenant, and how many more there were.
    pub batches: BTreeMap<TenantId, (Vec<BatchId>, u32)>,
    /// Events refused because their day was sealed.
    pub late: Vec<(TenantId, Day, u64)>,
    /// Exposures and conversions released through these days.
    pub release: Option<(Day, Day)>,
}

/// A release tick changed something that is not released.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReleaseMoved {
    /// The row that moved.
    pub key: ViewKey,
    /// The tick.
    pub tick: Tick,
}

impl std::fmt::Display for ReleaseMoved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "release tick {} moved a row that is not released: {:?}",
            self.tick, self.key
        )
    }
}

impl std::error::Error for ReleaseMoved {}

/// What becomes of a tick's changes, each part sorted by key.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Settled {
    /// They leave for the sinks.
    pub changes: Vec<Change>,
    /// They do not: what stood before is final.
    pub withheld: Vec<Change>,
}

/// Parts what leaves for the sinks from what is final.
///
/// # Errors
/// When a release moved a row outside the released days (invariant 1).
pub fn settle(
    mut changes: Vec<Change>,
    context: &TickContext,
    horizons: &Horizons,
) -> Result<Settled, ReleaseMoved> {
    if let Some((exposures, conversions)) = context.release {
        let moved = |change: &&Change| !released(change, exposures, conversions);
        return match changes.iter().find(moved) {
            Some(moved) => Err(ReleaseMoved {
                key: moved.key,
                tick: context.tick,
            }),
            None => Ok(Settled {
                changes: Vec::new(),
                withheld: changes,
            }),
        };
    }
    let sealed = horizons.sealed_through(context.clock);
    let mut late: BTreeMap<LateKey, LateRow> = BTreeMap::new();
    let mut restated = Vec::new();
    let final_day = |change: &Change| key_day(&change.key).filter(|day| *day <= sealed);
    let withheld: Vec<Change> = changes
        .extract_if(.., |change| final_day(change).is_some())
        .collect();
    for change in &withheld {
        if let Some(day) = final_day(change) {
            note_late(change, day, &mut late);
        }
    }
    for change in &changes {
        restate(change, context, horizons, &mut restated);
    }
    for (tenant, day, count) in &context.late {
        let key = LateKey {
            tenant: *tenant,
            tick: context.tick,
            day: *day,
            of: LateOf::Events,
        };
        let count = i64::try_from(*count).unwrap_or(i64::MAX);
        late.insert(
            key,
            LateRow {
                count,
                old: 0,
                new: 0,
            },
        );
    }
    if restated.is_empty() && late.is_empty() {
        return Ok(Settled { changes, withheld });
    }
    changes.append(&mut restated);
    changes.extend(late.into_iter().map(|(key, row)| Change {
        tick: context.tick,
        key: ViewKey::LateAfterSeal(key),
        old: None,
        new: Some(ViewValue::LateAfterSeal(row)),
    }));
    changes.sort_by_key(|change| change.key);
    Ok(Settled { changes, withheld })
}

/// The day in the key of a daily view.
fn key_day(key: &ViewKey) -> Option<Day> {
    if key.view().class() != ViewClass::Daily {
        return None;
    }
    match key {
        ViewKey::Verdicts(key) => Some(key.day),
        ViewKey::Downloads(key) => Some(key.day),
        ViewKey::DownloadsDaily(key) => Some(key.day),
        ViewKey::AttributionDaily(key) => Some(key.day),
        ViewKey::DeliveryDaily(key) => Some(key.day),
        ViewKey::Anomalies(key) => Some(key.hour.start().day()),
        _ => None,
    }
}

/// Does this row change only because facts are released?
fn released(change: &Change, exposures: Day, conversions: Day) -> bool {
    let gone = change.new.is_none();
    match (&change.key, &change.old) {
        (ViewKey::Verdicts(_) | ViewKey::Downloads(_) | ViewKey::DownloadsDaily(_), _) => {
            gone && key_day(&change.key).is_some_and(|day| day <= exposures)
        }
        // Conversions of one day may be released on different days.
        (ViewKey::AttributionDaily(key), _) => key.day <= conversions,
        (ViewKey::Conversions(_), Some(ViewValue::Conversions(row))) => {
            gone && row.time.day() <= conversions
        }
        (ViewKey::Credits(_), Some(ViewValue::Credits(row))) => gone && row.day <= conversions,
        // What is carried of a month becomes one sum, of a series its beginning.
        (ViewKey::DeliveryDaily(key), _) => Period::of(key.day).end() <= exposures,
        (ViewKey::Anomalies(key), _) => match key.series {
            Series::ShowDownloads(_) => key.hour.start().day() <= exposures,
            Series::CampaignConversions(_) => key.hour.start().day() <= conversions,
        },
        _ => false,
    }
}

fn numbers(
    key: &ViewKey,
    value: Option<&ViewValue>,
) -> Option<(NumberKey, EventTimeMs, Vec<(Metric, i64)>)> {
    metrics(key, value?)
}

/// The columns that changed: metric, old, new.
fn moved(change: &Change) -> Option<(NumberKey, EventTimeMs, Vec<(Metric, i64, i64)>)> {
    let old = numbers(&change.key, change.old.as_ref());
    let new = numbers(&change.key, change.new.as_ref());
    let (number, period_end, columns) = new.as_ref().or(old.as_ref())?;
    let value = |side: &Option<(NumberKey, EventTimeMs, Vec<(Metric, i64)>)>, metric: Metric| {
        side.as_ref()
            .and_then(|(_, _, columns)| columns.iter().find(|(m, _)| *m == metric))
            .map_or(0, |(_, value)| *value)
    };
    let columns = columns
        .iter()
        .map(|(metric, _)| (*metric, value(&old, *metric), value(&new, *metric)))
        .filter(|(_, old, new)| old != new)
        .collect();
    Some((*number, *period_end, columns))
}

fn restate(change: &Change, context: &TickContext, horizons: &Horizons, out: &mut Vec<Change>) {
    let Some((number, period_end, columns)) = moved(change) else {
        return;
    };
    if !horizons.published(period_end, context.clock) {
        return;
    }
    let tenant = change.key.tenant();
    for (metric, old, new) in columns {
        let key = RestatementKey {
            tenant,
            tick: context.tick,
            of: number,
            metric,
        };
        let row = RestatementRow {
            // The last day, not the one after.
            period_end: EventTimeMs(period_end.0.saturating_sub(1)).day(),
            old,
            new,
            cause: cause(tenant, context),
        };
        out.push(Change {
            tick: context.tick,
            key: ViewKey::Restatements(key),
            old: None,
            new: Some(ViewValue::Restatements(row)),
        });
    }
}

fn cause(tenant: TenantId, context: &TickContext) -> Cause {
    if let Some(event) = context.cause {
        return Cause::Event(event);
    }
    match context.batches.get(&tenant) {
        Some((batches, more)) if !batches.is_empty() => {
            let kept: Vec<BatchId> = batches.iter().take(CAUSE_BATCHES_MAX).copied().collect();
            let cut = batches.len().saturating_sub(CAUSE_BATCHES_MAX);
            Cause::Batches(
                kept,
                more.saturating_add(u32::try_from(cut).unwrap_or(u32::MAX)),
            )
        }
        _ => Cause::Clock,
    }
}

fn note_late(change: &Change, day: Day, late: &mut BTreeMap<LateKey, LateRow>) {
    // What stands out is judged anew whenever a count moves; the count is noted.
    if let ViewKey::Anomalies(_) = change.key {
        return;
    }
    let tenant = change.key.tenant();
    let tick = change.tick;
    match moved(change) {
        Some((number, _, columns)) => {
            for (metric, old, new) in columns {
                let key = LateKey {
                    tenant,
                    tick,
                    day,
                    of: LateOf::Number(number, metric),
                };
                late.insert(key, LateRow { count: 1, old, new });
            }
        }
        None => {
            let key = LateKey {
                tenant,
                tick,
                day,
                of: LateOf::Rows(change.key.view()),
            };
            late.entry(key)
                .or_insert(LateRow {
                    count: 0,
                    old: 0,
                    new: 0,
                })
                .count += 1;
        }
    }
}
