//! Billing lines (definitions 17).

use std::collections::BTreeMap;

use hostread_schemas::Currency;
use hostread_schemas::event::PriceKind;
use hostread_schemas::view::Period;

use super::Truth;
use crate::credit::WHOLE;
use crate::world::TenantWorld;
use crate::world::calendar::local_day;
use crate::world::signals::Kind;

/// `numerator / denominator` to the nearest multiple of `unit`, halves to the even one.
fn round_half_even(numerator: i128, denominator: i128, unit: i128) -> i64 {
    let whole = denominator * unit;
    let (floor, rest) = (numerator.div_euclid(whole), numerator.rem_euclid(whole));
    let up = match (2 * rest).cmp(&whole) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => floor % 2 != 0,
        std::cmp::Ordering::Greater => true,
    };
    ((floor + i128::from(up)) * unit) as i64
}

impl Truth {
    pub(super) fn bill(&mut self, tenant: &TenantWorld) {
        for (index, line) in tenant.catalog.lines.iter().enumerate() {
            let quantities = match line.price_kind {
                PriceKind::Cpm => ads(tenant, index),
                PriceKind::Cpa => self.credits(tenant, index),
            };
            let per: i128 = match line.price_kind {
                PriceKind::Cpm => 1_000,
                PriceKind::Cpa => i128::from(WHOLE),
            };
            let currency = Currency::parse(line.currency()).unwrap_or_default();
            let unit = i128::from(currency.minor_unit_micros());
            let price = |quantity: i64| {
                round_half_even(
                    i128::from(quantity) * i128::from(line.price_micros),
                    per,
                    unit,
                )
            };
            let mut before = 0;
            for (month, quantity) in quantities {
                if quantity != 0 {
                    let amount = price(before + quantity) - price(before);
                    let names = (
                        tenant.name.to_owned(),
                        line.name.to_owned(),
                        month.to_string(),
                    );
                    self.billing.insert(names, (quantity, amount));
                }
                before += quantity;
            }
        }
    }

    /// Credits of a line by month, from conversions that a shop vouches for.
    fn credits(&self, tenant: &TenantWorld, index: usize) -> BTreeMap<Period, i64> {
        let line = &tenant.catalog.lines[index];
        let mut months = BTreeMap::new();
        for order in &self.orders {
            if order.tenant != tenant.name || order.kind != Kind::Order.as_str() {
                continue;
            }
            let touches = order.path.iter().filter(|touch| touch.line == line.name);
            let credits: i64 = touches.map(|touch| touch.credit(line.model).0).sum();
            let month = Period::of(local_day(order.secs, line.zone));
            *months.entry(month).or_default() += credits;
        }
        months
    }
}

/// Billable ads of a line by month that fit under its goal.
fn ads(tenant: &TenantWorld, index: usize) -> BTreeMap<Period, i64> {
    let line = &tenant.catalog.lines[index];
    let mut months: BTreeMap<Period, i64> = BTreeMap::new();
    for delivery in &tenant.deliveries {
        if delivery.line == index && tenant.billable(delivery) {
            let month = Period::of(local_day(delivery.secs, line.zone));
            *months.entry(month).or_default() += 1;
        }
    }
    let mut left = line.goal as i64;
    for ads in months.values_mut() {
        *ads = (*ads).min(left);
        left -= *ads;
    }
    months
}

#[cfg(test)]
mod tests {
    use super::round_half_even;

    #[test]
    fn halves_go_to_the_even_cent() {
        assert_eq!(round_half_even(25_000, 1, 10_000), 20_000);
        assert_eq!(round_half_even(35_000, 1, 10_000), 40_000);
        assert_eq!(round_half_even(35_001, 1, 10_000), 40_000);
        assert_eq!(round_half_even(34_999_999, 1_000, 10_000), 30_000);
    }
}
