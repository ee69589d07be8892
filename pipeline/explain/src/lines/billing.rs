//! Why a line item costs what it costs in a month.

use std::collections::{BTreeMap, BTreeSet};

use hostread_rules::billing::{billing_lines, price};
use hostread_rules::delivery::{civil_day, period_of};
use hostread_schemas::event::PriceKind;
use hostread_schemas::fact::{LineFact, SignalKind};
use hostread_schemas::view::{BillingLineKey, BillingLineRow, Period, ViewRow};
use hostread_schemas::{Day, EventId, HouseholdId, NameKind, TenantId};
use hostread_sink_kit::words;
use serde::Serialize;
use serde_json::{Value, json};

use super::{ads, from, lines_named};
use crate::NotExplained;
use crate::days::Whose;
use crate::dims::{AllDims, Dims, Said};
use crate::known::{Known, ReadError};
use crate::path::{Part, credited, lives};
use crate::restated::Moves;
use crate::said::{Because, Found, cut};
use crate::signals::merged;

/// A civil day that is billed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct BillingDay {
    /// Day.
    pub day: String,
    /// Billable ads, or credits in millionths.
    pub quantity: i64,
    /// Part of it comes from what a release carried on.
    pub carried: bool,
}

/// A conversion that a CPA line is billed for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ConversionCredit {
    /// Its number: `explain conversion` takes it.
    pub conversion: String,
    /// Its order.
    pub order_reference: String,
    /// Civil day in the line's zone.
    pub day: String,
    /// Credits under the line's model.
    pub credit_micros: i64,
}

/// Why a line costs what it costs in a month.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct BillingLine {
    /// Campaign.
    pub campaign: String,
    /// `cpm`: a thousand ads; `cpa`: one conversion.
    pub price_kind: &'static str,
    /// The price.
    pub price_micros: i64,
    /// Its currency.
    pub currency: String,
    /// Ads sold.
    pub goal: u64,
    /// The model that a CPA price names.
    pub model: &'static str,
    /// Zone of the days.
    pub zone: String,
    /// The event that says all this.
    pub line_event: EventId,
    /// Everything before the month.
    pub before: i64,
    /// In the month.
    pub in_month: i64,
    /// Of all before the month, what fits under the goal.
    pub billed_before: i64,
    /// The same with the month.
    pub billed_through: i64,
    /// Price of what fits before the month, rounded once.
    pub cost_before_micros: i64,
    /// The same with the month.
    pub cost_through_micros: i64,
    /// The difference of the quantities.
    pub quantity: i64,
    /// The difference of the prices.
    pub amount_micros: i64,
    /// The days of the month.
    pub days: Vec<BillingDay>,
    /// The conversions of the month (CPA).
    pub conversions: Vec<ConversionCredit>,
    /// How many of them are not listed.
    pub conversions_more: usize,
}

/// Explains what a line costs in a month.
pub(crate) fn find_billing(
    known: &Known<'_>,
    dims: &AllDims,
    name: &str,
    period: Period,
) -> Result<Vec<Found>, NotExplained> {
    let mut found = Vec::new();
    for (tenant, dims, line) in lines_named(known, dims, name) {
        let fact = &line.what;
        let (days, conversions) = match fact.price_kind {
            PriceKind::Cpm => {
                let ads = ads(known, dims, tenant, fact.line)?.into_iter();
                let days = ads.map(|(day, ads)| (day, (ads.billable, ads.carried)));
                (days.collect(), Vec::new())
            }
            PriceKind::Cpa => credit_days(known, dims, tenant, fact, period)?,
        };
        let quantities: Vec<(Day, i64)> = days.iter().map(|(day, (n, _))| (*day, *n)).collect();
        let mut rows = billing_lines(fact, &quantities).into_iter();
        let Some((_, row)) = rows.find(|(month, _)| *month == period) else {
            continue;
        };
        let key = BillingLineKey {
            tenant,
            line: fact.line,
            period,
        };
        let parts = match fact.price_kind {
            PriceKind::Cpm => Moves::Delivery(fact.line, Some(period)),
            PriceKind::Cpa => Moves::LineCredits(fact.line, period),
        };
        let carried = days.values().any(|(_, carried)| *carried);
        let because = billing(known, line, period, &days, conversions, &row);
        found.push(Found {
            tenant,
            id: format!("{name}/{period}"),
            known_from: from(carried),
            numbers: billing_numbers(&row),
            rows: vec![ViewRow::from((key, row))],
            because: Because::BillingLine(Box::new(because)),
            moves: vec![Moves::Bill(fact.line, period), parts],
        });
    }
    Ok(found)
}

type QuantityDays = BTreeMap<Day, (i64, bool)>;

/// Credits of a CPA line by civil day, live and carried, and the conversions of a month.
fn credit_days(
    known: &Known<'_>,
    dims: &Dims,
    tenant: TenantId,
    line: &LineFact,
    period: Period,
) -> Result<(QuantityDays, Vec<ConversionCredit>), ReadError> {
    let mut days = QuantityDays::new();
    for (day, credits) in dims.carried_credits.get(&line.line).into_iter().flatten() {
        let entry = days.entry(*day).or_default();
        entry.0 += credits;
        entry.1 = true;
    }
    let merging = merged(known, tenant)?;
    let made = || {
        merging
            .merged
            .iter()
            .filter_map(|one| one.conversion.as_ref())
    };
    // Only authenticated money is billed.
    let billed: Vec<_> = made()
        .filter(|made| made.kind == SignalKind::Order)
        .collect();
    let mut households: BTreeSet<HouseholdId> = billed.iter().map(|made| made.household).collect();
    households.remove(&HouseholdId::NONE);
    let whose = Whose::Households(&households);
    let lives = lives(known, dims, tenant, whose, |_| Part::Whole)?;
    let mut conversions = Vec::new();
    for made in billed {
        let life = lives.get(&made.household);
        let receipts = merging.receipts.get(&made.conversion);
        let receipts = receipts.map_or(&[][..], Vec::as_slice);
        let credited = credited(known, dims, tenant, made, life, receipts);
        let mut of_line = credited
            .credits
            .iter()
            .filter(|(key, _)| key.line == line.line);
        let Some((_, row)) = of_line.next() else {
            continue;
        };
        let credits = row
            .credit_micros
            .get(line.model as usize)
            .copied()
            .unwrap_or(0);
        let day = civil_day(made.time, &line.zone);
        days.entry(day).or_default().0 += credits;
        if period_of(day) == period && credits != 0 {
            conversions.push(ConversionCredit {
                conversion: made.conversion.to_string(),
                order_reference: known.name(NameKind::Conversion, made.conversion.0),
                day: day.to_string(),
                credit_micros: credits,
            });
        }
    }
    conversions.sort_by(|a, b| (&a.day, &a.conversion).cmp(&(&b.day, &b.conversion)));
    Ok((days, conversions))
}

fn billing(
    known: &Known<'_>,
    line: &Said<LineFact>,
    period: Period,
    days: &QuantityDays,
    mut conversions: Vec<ConversionCredit>,
    row: &BillingLineRow,
) -> BillingLine {
    let fact = &line.what;
    let sum = |of: &dyn Fn(Day) -> bool| {
        let days = days.iter().filter(|(day, _)| of(**day));
        days.fold(0_i64, |sum, (_, (n, _))| sum.saturating_add(*n))
    };
    let (before, in_month) = (
        sum(&|day| period_of(day) < period),
        sum(&|day| period_of(day) == period),
    );
    let goal = i64::try_from(fact.goal).unwrap_or(i64::MAX);
    let fits = |total: i64| match fact.price_kind {
        PriceKind::Cpm => total.min(goal),
        PriceKind::Cpa => total,
    };
    let cost = |total: i64| price(fact.price_kind, fact.price, total, fact.currency).0;
    let (billed_before, billed_through) = (fits(before), fits(before.saturating_add(in_month)));
    let of_month = days.iter().filter(|(day, _)| period_of(**day) == period);
    let conversions_more = cut(&mut conversions);
    BillingLine {
        campaign: known.name(NameKind::Campaign, fact.campaign.0),
        price_kind: words::price_kind(fact.price_kind),
        price_micros: fact.price.0,
        currency: fact.currency.as_str().to_owned(),
        goal: fact.goal,
        model: fact.model.as_str(),
        zone: fact.zone.clone(),
        line_event: line.event,
        before,
        in_month,
        billed_before,
        billed_through,
        cost_before_micros: cost(billed_before),
        cost_through_micros: cost(billed_through),
        quantity: row.quantity,
        amount_micros: row.amount.0,
        days: of_month
            .map(|(day, (quantity, carried))| BillingDay {
                day: day.to_string(),
                quantity: *quantity,
                carried: *carried,
            })
            .collect(),
        conversions,
        conversions_more,
    }
}

fn billing_numbers(row: &BillingLineRow) -> Vec<(String, Value)> {
    vec![
        ("quantity".to_owned(), json!(row.quantity)),
        ("amount_micros".to_owned(), json!(row.amount.0)),
        ("currency".to_owned(), json!(row.currency.as_str())),
    ]
}
