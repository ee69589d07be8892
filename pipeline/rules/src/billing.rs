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

#[cfg(test)]
mod tests {
    use super::*;
    use hostread_schemas::intern::civil_day;
    use proptest::prelude::*;

    const USD: Currency = Currency(*b"USD");
    const JPY: Currency = Currency(*b"JPY");
    const KWD: Currency = Currency(*b"KWD");

    fn line(price_kind: PriceKind, price: &str, goal: u64) -> LineFact {
        LineFact {
            price_kind,
            price: MoneyMicros::from_decimal(price).unwrap_or_default(),
            goal,
            ..LineFact::default()
        }
    }

    fn rows(line: &LineFact, days: &[(&str, i64)]) -> Vec<(String, i64, String)> {
        let day = |text: &str| civil_day(text).unwrap_or_default();
        let days: Vec<_> = days
            .iter()
            .map(|(text, count)| (day(text), *count))
            .collect();
        let row = |(period, row): (Period, BillingLineRow)| {
            (period.to_string(), row.quantity, row.amount.to_decimal())
        };
        billing_lines(line, &days).into_iter().map(row).collect()
    }

    fn cost(kind: PriceKind, each: &str, quantity: i64, currency: Currency) -> String {
        let each = MoneyMicros::from_decimal(each).unwrap_or_default();
        price(kind, each, quantity, currency).to_decimal()
    }

    #[test]
    fn prices_round_half_to_even() {
        assert_eq!(cost(PriceKind::Cpm, "25", 1000, USD), "25.00");
        assert_eq!(cost(PriceKind::Cpm, "1", 5, USD), "0.00", "0.005");
        assert_eq!(cost(PriceKind::Cpm, "1", 6, USD), "0.01");
        assert_eq!(cost(PriceKind::Cpm, "1", 15, USD), "0.02", "0.015");
        assert_eq!(cost(PriceKind::Cpm, "1", 25, USD), "0.02", "0.025");
        assert_eq!(cost(PriceKind::Cpm, "-1", 15, USD), "-0.02");
        assert_eq!(cost(PriceKind::Cpm, "1000", 2, JPY), "2.00");
        assert_eq!(cost(PriceKind::Cpm, "500", 5, JPY), "2.00", "2.5 yen");
        assert_eq!(
            cost(PriceKind::Cpm, "1.5", 7, KWD),
            "0.01",
            "0.0105, three digits"
        );
        assert_eq!(cost(PriceKind::Cpm, "1.5", 9, KWD), "0.014", "0.0135");
        assert_eq!(cost(PriceKind::Cpa, "40", 2_500_000, USD), "100.00");
        assert_eq!(cost(PriceKind::Cpa, "40", 333_334, USD), "13.33");
        let most = price(PriceKind::Cpm, MoneyMicros(i64::MAX), i64::MAX, USD);
        assert_eq!(most, MoneyMicros(i64::MAX));
    }

    #[test]
    fn cpm_bills_up_to_the_goal_and_rounds_the_running_sum() {
        let line = line(PriceKind::Cpm, "1", 31);
        let days = [
            ("2026-10-30", 0),
            ("2026-10-31", 4),
            ("2026-11-01", 9),
            ("2026-11-30", 2),
            ("2026-12-01", 0),
            ("2027-01-01", 10),
            ("2027-02-01", 20),
            ("2027-03-01", 3),
        ];
        let row =
            |period: &str, quantity, amount: &str| (period.to_owned(), quantity, amount.to_owned());
        assert_eq!(
            rows(&line, &days),
            [
                row("2026-10", 4, "0.00"),
                row("2026-11", 11, "0.02"),
                row("2027-01", 10, "0.00"),
                row("2027-02", 6, "0.01"),
            ]
        );
    }

    #[test]
    fn cpa_bills_credits_without_a_goal() {
        let line = line(PriceKind::Cpa, "10", 1);
        let days = [
            ("2026-11-01", 1_000_000),
            ("2026-11-02", 500_000),
            ("2026-12-02", 333_333),
        ];
        let row =
            |period: &str, quantity, amount: &str| (period.to_owned(), quantity, amount.to_owned());
        let expected = [
            row("2026-11", 1_500_000, "15.00"),
            row("2026-12", 333_333, "3.33"),
        ];
        assert_eq!(rows(&line, &days), expected);
        assert_eq!(rows(&line, &[]), []);
    }

    proptest! {
        #[test]
        fn invariants_1_and_2_months_add_up(
            counts in proptest::collection::vec((0_i32..3000, 0_i64..5000), 0..30),
            goal in 0_u64..40_000,
            each in 0_i64..50_000_000,
            cpa: bool,
        ) {
            let kind = if cpa { PriceKind::Cpa } else { PriceKind::Cpm };
            let line = LineFact { price: MoneyMicros(each), ..line(kind, "0", goal) };
            let mut days: Vec<_> = counts.iter().map(|(day, count)| (Day(*day), *count)).collect();
            days.sort_unstable();
            let rows = billing_lines(&line, &days);
            let quantity: i64 = rows.iter().map(|(_, row)| row.quantity).sum();
            let amount: i64 = rows.iter().map(|(_, row)| row.amount.0).sum();
            let total: i64 = days.iter().map(|(_, count)| count).sum();
            let billed = if cpa { total } else { total.min(goal as i64) };
            prop_assert_eq!(quantity, billed);
            prop_assert_eq!(amount, price(kind, line.price, billed, line.currency).0);
            prop_assert!(rows.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }

        #[test]
        fn rounding_is_to_the_nearest(
            each in prop_oneof![-9_000_000_i64..9_000_000, (-50_i64..50).prop_map(|k| k * 500_000)],
            quantity in -3_000_i64..3_000,
        ) {
            let exact = i128::from(each) * i128::from(quantity);
            let amount = price(PriceKind::Cpm, MoneyMicros(each), quantity, JPY).0;
            prop_assert_eq!(amount % 1_000_000, 0);
            let off = 1000 * i128::from(amount) - exact;
            prop_assert!(off.abs() <= 500_000_000);
            prop_assert!(off.abs() < 500_000_000 || amount % 2_000_000 == 0);
        }

        #[test]
        fn nothing_panics(days in proptest::collection::vec((any::<i32>(), any::<i64>()), 0..5), each: i64, goal: u64) {
            let days: Vec<_> = days.iter().map(|(day, count)| (Day(*day), *count)).collect();
            let line = LineFact { price: MoneyMicros(each), ..line(PriceKind::Cpm, "0", goal) };
            prop_assert!(billing_lines(&line, &days).len() <= days.len());
        }
    }
}
