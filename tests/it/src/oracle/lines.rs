//! Choices 15 to 17: delivery, pacing and billing of line items.

use std::collections::BTreeMap;

use hostread_schemas::event::{AdKind, PriceKind};
use hostread_schemas::fact::{LineFact, SignalKind};
use hostread_schemas::unit::HOUR_MS;
use hostread_schemas::view::{
    BillingLineKey, BillingLineRow, DeliveryDailyKey, DeliveryDailyRow, PacingKey, PacingRow,
    PacingState, Period, ViewRow,
};
use hostread_schemas::{Day, EventTimeMs, Hour, LineId, MoneyMicros};
use jiff::tz::TimeZone;

use super::Tenant;
use super::attribution::Credited;
use super::counting::Counted;

const DAYS_30_MS: i64 = 30 * 24 * HOUR_MS;

/// A delivery as it bills (15).
#[derive(Clone, Debug)]
pub(crate) struct Billed {
    line: LineId,
    day: Day,
    hour: Hour,
    billable: bool,
}

fn zone(line: &LineFact) -> TimeZone {
    TimeZone::get(&line.zone).unwrap_or(TimeZone::UTC)
}

/// The civil day of a time in the line's zone.
fn civil_day(time: EventTimeMs, line: &LineFact) -> Day {
    let timestamp = jiff::Timestamp::from_millisecond(time.0).unwrap_or_default();
    Day::from_date(timestamp.to_zoned(zone(line)).date())
}

/// The first moment of a civil day in the line's zone.
fn local_start(day: Day, line: &LineFact) -> i64 {
    let start = day
        .date()
        .to_zoned(zone(line))
        .expect("a day of the calendar");
    start.timestamp().as_millisecond()
}

/// Every delivery with its billing day (15).
pub(crate) fn deliveries(tenant: &Tenant, counted: &Counted) -> Vec<Billed> {
    let mut billed = Vec::new();
    for delivery in &counted.deliveries {
        let line = &tenant.lines[&delivery.line];
        let day = civil_day(delivery.time, line);
        let in_flight = line.start <= day && day <= line.end;
        let aired = tenant.aired.get(&(delivery.line, delivery.episode));
        let due = match line.kind {
            AdKind::Inserted => true,
            AdKind::BakedIn => {
                aired.is_some_and(|(aired_at, _)| delivery.time.0 < aired_at.0 + DAYS_30_MS)
            }
        };
        billed.push(Billed {
            line: delivery.line,
            day,
            hour: delivery.time.hour(),
            billable: in_flight && due,
        });
    }
    billed
}

/// Rows of `delivery_daily`, `pacing` and `billing_lines`.
pub(crate) fn rows(
    tenant: &Tenant,
    deliveries: &[Billed],
    credited: &[Credited],
    clock: Option<EventTimeMs>,
) -> Vec<ViewRow> {
    let mut rows = Vec::new();
    for (id, line) in &tenant.lines {
        let own: Vec<&Billed> = deliveries.iter().filter(|d| d.line == *id).collect();
        let mut days: BTreeMap<Day, (i64, i64)> = BTreeMap::new();
        for delivery in &own {
            let (delivered, billable) = days.entry(delivery.day).or_default();
            *delivered += 1;
            *billable += i64::from(delivery.billable);
        }
        for (day, (delivered, billable)) in &days {
            let key = DeliveryDailyKey {
                tenant: tenant.id,
                line: *id,
                day: *day,
            };
            let row = DeliveryDailyRow {
                delivered: *delivered,
                billable: *billable,
            };
            rows.push((key, row).into());
        }
        if let Some(clock) = clock {
            rows.push(pacing(tenant, *id, line, &own, clock.hour()));
        }
        let amounts: BTreeMap<Day, i128> = match line.price_kind {
            PriceKind::Cpm => days
                .iter()
                .map(|(day, (_, billable))| (*day, i128::from(*billable)))
                .collect(),
            PriceKind::Cpa => earned(*id, line, credited),
        };
        rows.extend(billing(tenant, *id, line, &amounts));
    }
    rows
}

/// Ads expected of a line by a moment (16).
fn expected(tenant: &Tenant, id: LineId, line: &LineFact, at: i64) -> i64 {
    let expected: i128 = match line.kind {
        AdKind::Inserted => {
            let start = local_start(line.start, line);
            let end = local_start(Day(line.end.0 + 1), line);
            if end <= start {
                return 0;
            }
            let elapsed = (at - start).clamp(0, end - start);
            i128::from(line.goal) * i128::from(elapsed) / i128::from(end - start)
        }
        AdKind::BakedIn => reads(tenant, id)
            .map(|(aired_at, goal)| {
                let age = (at - aired_at.0).clamp(0, DAYS_30_MS);
                i128::from(goal) * i128::from(age) / i128::from(DAYS_30_MS)
            })
            .sum(),
    };
    i64::try_from(expected).unwrap_or(i64::MAX)
}

fn reads(tenant: &Tenant, id: LineId) -> impl Iterator<Item = (EventTimeMs, u64)> {
    let reads = tenant
        .aired
        .iter()
        .filter(move |((line, _), _)| *line == id);
    reads.map(|(_, read)| *read)
}

fn pacing(
    tenant: &Tenant,
    id: LineId,
    line: &LineFact,
    deliveries: &[&Billed],
    hour: Hour,
) -> ViewRow {
    let now = hour.start().0;
    let billable: Vec<Hour> = deliveries
        .iter()
        .filter(|d| d.billable)
        .map(|d| d.hour)
        .collect();
    let delivered = billable.len() as i64;
    let due = expected(tenant, id, line, now);
    let due_before = expected(tenant, id, line, now - 24 * HOUR_MS);
    let start = match line.kind {
        AdKind::Inserted => Some(local_start(line.start, line)),
        AdKind::BakedIn => reads(tenant, id).map(|(aired_at, _)| aired_at.0).min(),
    };
    let young = start.is_none_or(|start| now < start + 24 * HOUR_MS);
    let index = if due == 0 { -1 } else { 1000 * delivered / due };
    let silent = billable.iter().all(|at| at.0 < hour.0 - 24);
    let state = if due == 0 || start.is_none() || (due < 50 && young) {
        PacingState::None
    } else if due - due_before >= 20 && silent {
        PacingState::Stalled
    } else if index < 850 {
        PacingState::Under
    } else if index < 950 {
        PacingState::AtRisk
    } else if index <= 1050 {
        PacingState::OnTrack
    } else {
        PacingState::Over
    };
    let key = PacingKey {
        tenant: tenant.id,
        line: id,
    };
    let row = PacingRow {
        kind: line.kind,
        goal: line.goal,
        delivered,
        expected: due,
        index_permille: index,
        state,
        as_of: hour,
    };
    (key, row).into()
}

/// Credits of a CPA line by civil day, from authenticated orders (17).
fn earned(id: LineId, line: &LineFact, credited: &[Credited]) -> BTreeMap<Day, i128> {
    let mut earned: BTreeMap<Day, i128> = BTreeMap::new();
    for it in credited
        .iter()
        .filter(|it| it.conversion.kind == SignalKind::Order)
    {
        for touch in it.path.iter().filter(|touch| touch.line == id) {
            let credit = touch.credit[line.model as usize];
            *earned
                .entry(civil_day(it.conversion.time, line))
                .or_default() += i128::from(credit);
        }
    }
    earned
}

/// The price of a quantity, rounded half to even to the currency's minor unit (17).
fn price(line: &LineFact, quantity: i128) -> i128 {
    let per = match line.price_kind {
        PriceKind::Cpm => 1_000,
        PriceKind::Cpa => 1_000_000,
    };
    let minor = i128::from(line.currency.minor_unit_micros());
    let (exact, unit) = (quantity * i128::from(line.price.0), per * minor);
    let (whole, rest) = (exact.div_euclid(unit), exact.rem_euclid(unit));
    let up = 2 * rest > unit || (2 * rest == unit && whole % 2 != 0);
    (whole + i128::from(up)) * minor
}

fn billing(
    tenant: &Tenant,
    id: LineId,
    line: &LineFact,
    amounts: &BTreeMap<Day, i128>,
) -> Vec<ViewRow> {
    let mut months: BTreeMap<Period, i128> = BTreeMap::new();
    for (day, amount) in amounts {
        *months.entry(Period::of(*day)).or_default() += amount;
    }
    let under_goal = |sum: i128| match line.price_kind {
        PriceKind::Cpm => sum.min(i128::from(line.goal)),
        PriceKind::Cpa => sum,
    };
    let mut rows = Vec::new();
    let mut sum = 0;
    for (period, amount) in months {
        let (before, after) = (under_goal(sum), under_goal(sum + amount));
        sum += amount;
        if before == after {
            continue;
        }
        let key = BillingLineKey {
            tenant: tenant.id,
            line: id,
            period,
        };
        let row = BillingLineRow {
            price_kind: line.price_kind,
            quantity: (after - before) as i64,
            amount: MoneyMicros((price(line, after) - price(line, before)) as i64),
            currency: line.currency,
        };
        rows.push((key, row).into());
    }
    rows
}
