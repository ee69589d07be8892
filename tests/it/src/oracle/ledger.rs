//! Choices 19 and 20: what of a tick's changes a reader sees, and what the ledgers say of it.

use std::collections::{BTreeMap, BTreeSet};

use hostread_schemas::fact::{Fact, FactBody};
use hostread_schemas::unit::DAY_MS;
use hostread_schemas::view::{
    Cause, LateKey, LateOf, LateRow, Metric, NumberKey, Period, RestatementKey, RestatementRow,
    View, ViewKey, ViewRow, ViewValue, WindowKind,
};
use hostread_schemas::{BatchId, Day, EventId, EventTimeMs, TenantId, Tick};

use super::Rows;

/// How long things may move.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) lateness_ms: i64,
    pub(crate) horizon_days: i64,
    pub(crate) publish_after_ms: i64,
    /// Days between the end of a day and the release of its exposures.
    pub(crate) exposure_days: i64,
    /// The same for signals.
    pub(crate) signal_days: i64,
}

impl Times {
    /// Is the day sealed (20)?
    pub(crate) fn is_sealed(self, day: Day, clock: EventTimeMs) -> bool {
        self.is_behind(day, self.horizon_days + 2, clock)
    }

    /// Is the fact released (20)?
    pub(crate) fn is_released(self, fact: &Fact, clock: EventTimeMs) -> bool {
        let days = match fact.body {
            FactBody::Request(_) | FactBody::Impression(_) => self.exposure_days,
            FactBody::Signal(_) => self.signal_days,
            _ => return false,
        };
        self.is_behind(fact.time.day(), days, clock)
    }

    fn is_behind(self, day: Day, days: i64, clock: EventTimeMs) -> bool {
        clock.0 - self.lateness_ms >= day.end().0 + days * DAY_MS
    }
}

/// What is known of a tick besides its rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct TickSaid {
    pub(crate) tick: Tick,
    pub(crate) clock: EventTimeMs,
    /// The fact that has the tick to itself.
    pub(crate) cause: Option<EventId>,
    /// Batches of the tick's events.
    pub(crate) batches: BTreeMap<TenantId, BTreeSet<BatchId>>,
    /// Events refused because their day was sealed.
    pub(crate) late: BTreeMap<(TenantId, Day), i64>,
}

/// The visible rows after a tick: rows went from `before` to `after`.
pub(crate) fn step(visible: &mut Rows, before: &Rows, after: &Rows, said: &TickSaid, times: Times) {
    let keys: BTreeSet<&ViewKey> = before.keys().chain(after.keys()).collect();
    let mut late: BTreeMap<LateKey, LateRow> = BTreeMap::new();
    let mut written: Vec<ViewRow> = Vec::new();
    for key in keys {
        let (old, new) = (before.get(key), after.get(key));
        if old == new {
            continue;
        }
        if let Some(day) = day_of(key).filter(|day| times.is_sealed(*day, said.clock)) {
            note(key, day, old, new, said.tick, &mut late);
            continue;
        }
        match new {
            Some(new) => visible.insert(*key, new.clone()),
            None => visible.remove(key),
        };
        written.extend(restatements(key, old, new, said, times));
    }
    for ((tenant, day), count) in &said.late {
        let key = LateKey {
            tenant: *tenant,
            tick: said.tick,
            day: *day,
            of: LateOf::Events,
        };
        let (old, new) = (0, 0);
        let count = *count;
        late.insert(key, LateRow { count, old, new });
    }
    written.extend(late.into_iter().map(ViewRow::from));
    visible.extend(written.into_iter().map(|row| (row.key, row.value)));
}

/// The day of a daily view's row.
fn day_of(key: &ViewKey) -> Option<Day> {
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

/// The numbers of a row that is published one day: its key, first day after its period, columns.
fn numbers(
    key: &ViewKey,
    value: Option<&ViewValue>,
) -> Option<(NumberKey, Day, Vec<(Metric, i64)>)> {
    let next = |day: Day| Day(day.0 + 1);
    let next_month = |period: Period| Period(period.0 + 1).start();
    let (number, end, metrics) = match key {
        ViewKey::DownloadsDaily(key) => (
            NumberKey::DownloadsDaily(*key),
            next(key.day),
            vec![match key.window {
                WindowKind::CalendarDay => Metric::Downloads,
                WindowKind::FirstTouch => Metric::DownloadsFirstTouch,
                WindowKind::LastTouch => Metric::DownloadsLastTouch,
            }],
        ),
        ViewKey::AttributionDaily(key) => {
            let metrics = vec![Metric::CreditMicros, Metric::MoneyMicros];
            (NumberKey::AttributionDaily(*key), next(key.day), metrics)
        }
        ViewKey::DeliveryDaily(key) => {
            let metrics = vec![Metric::Delivered, Metric::Billable];
            (NumberKey::DeliveryDaily(*key), next(key.day), metrics)
        }
        ViewKey::BillingLines(key) => {
            let metrics = vec![Metric::Quantity, Metric::AmountMicros];
            (
                NumberKey::BillingLines(*key),
                next_month(key.period),
                metrics,
            )
        }
        _ => return None,
    };
    let columns = match value {
        None => vec![0, 0],
        Some(ViewValue::DownloadsDaily(row)) => vec![row.downloads],
        Some(ViewValue::AttributionDaily(row)) => vec![row.credit_micros, row.money_micros],
        Some(ViewValue::DeliveryDaily(row)) => vec![row.delivered, row.billable],
        Some(ViewValue::BillingLines(row)) => vec![row.quantity, row.amount.0],
        Some(_) => return None,
    };
    Some((number, end, metrics.into_iter().zip(columns).collect()))
}

/// The columns that moved: metric, old, new.
fn moved(
    key: &ViewKey,
    old: Option<&ViewValue>,
    new: Option<&ViewValue>,
) -> Option<(NumberKey, Day, Vec<(Metric, i64, i64)>)> {
    let (number, end, old) = numbers(key, old)?;
    let (.., new) = numbers(key, new)?;
    let columns = old
        .into_iter()
        .zip(new)
        .filter(|((_, old), (_, new))| old != new)
        .map(|((metric, old), (_, new))| (metric, old, new));
    Some((number, end, columns.collect()))
}

fn restatements(
    key: &ViewKey,
    old: Option<&ViewValue>,
    new: Option<&ViewValue>,
    said: &TickSaid,
    times: Times,
) -> Vec<ViewRow> {
    let Some((number, end, columns)) = moved(key, old, new) else {
        return Vec::new();
    };
    if said.clock.0 < end.start().0 + times.publish_after_ms {
        return Vec::new();
    }
    let tenant = key.tenant();
    let restated = columns.into_iter().map(|(metric, old, new)| {
        let key = RestatementKey {
            tenant,
            tick: said.tick,
            of: number,
            metric,
        };
        let row = RestatementRow {
            period_end: Day(end.0 - 1),
            old,
            new,
            cause: cause(tenant, said),
        };
        ViewRow::from((key, row))
    });
    restated.collect()
}

/// The fact that has the tick to itself; else the tenant's batches, 16 at most; else the clock.
fn cause(tenant: TenantId, said: &TickSaid) -> Cause {
    match (said.cause, said.batches.get(&tenant)) {
        (Some(event), _) => Cause::Event(event),
        (None, Some(batches)) => {
            let more = batches.len().saturating_sub(16) as u32;
            Cause::Batches(batches.iter().take(16).copied().collect(), more)
        }
        (None, None) => Cause::Clock,
    }
}

/// A change that came after its day was sealed.
fn note(
    key: &ViewKey,
    day: Day,
    old: Option<&ViewValue>,
    new: Option<&ViewValue>,
    tick: Tick,
    late: &mut BTreeMap<LateKey, LateRow>,
) {
    let late_key = |of: LateOf| LateKey {
        tenant: key.tenant(),
        tick,
        day,
        of,
    };
    let none = LateRow {
        count: 0,
        old: 0,
        new: 0,
    };
    match moved(key, old, new) {
        None if key.view() == View::Anomalies => {}
        None => {
            late.entry(late_key(LateOf::Rows(key.view())))
                .or_insert(none)
                .count += 1;
        }
        Some((number, _, columns)) => {
            for (metric, old, new) in columns {
                let count = 1;
                late.insert(
                    late_key(LateOf::Number(number, metric)),
                    LateRow { count, old, new },
                );
            }
        }
    }
}
