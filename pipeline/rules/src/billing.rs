//! What a line item costs per month (definition 17).
//!
//! Needs: quantities per civil day of the line's zone, in order. Promises: rounded once per
//! cumulative sum, half to even, to the currency's minor unit; sums saturate.
//! Leaves out: closing, adjustments, tiers. Invariant 1: the amounts of the months add up to the
//! price of the whole quantity. Invariant 2: CPM never bills more than the goal.

use hostread_schemas::event::PriceKind;
use hostread_schemas::fact::LineFact;
use hostread_schemas::view::{BillingLineRow, Period};
use hostread_schemas::{CREDIT_MICROS_PER_CONVERSION, Currency, Day, MoneyMicros};

use crate::delivery::period_of;

/// Price of a cumulative quantity: ads (CPM) or credit micros (CPA).
#[must_use]
pub fn price(
    kind: PriceKind,
    price: MoneyMicros,
    quantity: i64,
    currency: Currency,
) -> MoneyMicros {
    let per = match kind {
        PriceKind::Cpm => 1_000,
        PriceKind::Cpa => i128::from(CREDIT_MICROS_PER_CONVERSION),
    };
    let unit = i128::from(currency.minor_unit_micros());
    let amount = i128::from(price.0) * i128::from(quantity);
    let rounded = half_even(amount, per * unit) * unit;
    MoneyMicros(rounded.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
}

/// The whole number nearest to `amount / by`; between two, the even one. `by` is positive.
fn half_even(amount: i128, by: i128) -> i128 {
    let (whole, rest) = (amount.div_euclid(by), amount.rem_euclid(by));
    let up = match (2 * rest).cmp(&by) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Equal => whole.rem_euclid(2),
        std::cmp::Ordering::Greater => 1,
    };
    whole + up
}

/// The rows of a line. `days`: billable ads per civil day (CPM) or credit micros (CPA), in order.
#[must_use]
pub fn billing_lines(line: &LineFact, days: &[(Day, i64)]) -> Vec<(Period, BillingLineRow)> {
    let goal = i64::try_from(line.goal).unwrap_or(i64::MAX);
    let billed = |total: i64| match line.price_kind {
        PriceKind::Cpm => total.min(goal),
        PriceKind::Cpa => total,
    };
    let cost = |total: i64| price(line.price_kind, line.price, total, line.currency).0;
    let mut rows = Vec::new();
    let mut total = 0_i64;
    for month in days.chunk_by(|a, b| period_of(a.0) == period_of(b.0)) {
        let before = billed(total);
        total = month
            .iter()
            .fold(total, |sum, (_, count)| sum.saturating_add(*count));
        let after = billed(total);
        let quantity = after.saturating_sub(before);
        let Some((day, _)) = month.first().filter(|_| quantity != 0) else {
            continue;
        };
        let row = BillingLineRow {
            price_kind: line.price_kind,
            quantity,
            amount: MoneyMicros(cost(after).saturating_sub(cost(before))),
            currency: line.currency,
        };
        rows.push((period_of(*day), row));
    }
    rows
}
