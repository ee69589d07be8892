//! What campaigns brought, day by day, with refunds on the day of the sale or on their own (definition 31).
//!
//! Needs: one state of the journal. Promises: over all days both say the same, to the last millionth; with refunds on the day of
//! the sale it is what the credits of that day have. Leaves out: conversions without a path, and those that were released.

use std::collections::BTreeMap;

use hostread_rules::conversion::{Conversion, merge_order};
use hostread_schemas::event::Model;
use hostread_schemas::fact::{RetentionClass, SignalKind};
use hostread_schemas::{CampaignId, Currency, Day, NameKind, TenantId};

use crate::dims::all_dims;
use crate::known::Known;
use crate::period::{NotCounted, period};
use crate::said::AsOf;
use crate::sales::Sales;
use crate::signals::{Merged, Signal, plain};

/// On which day a refund is booked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refunds {
    /// On that of the conversion: what the sale was worth in the end.
    OfSale,
    /// On its own: what left the till then.
    OfRefund,
}

/// What is asked: both days are part of the period, in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RevenueAsked {
    /// Who divides a conversion.
    pub model: Model,
    /// On which day a refund is booked.
    pub refunds: Refunds,
    /// First day; none: the first that is live.
    pub from: Option<Day>,
    /// Last day; none: the clock's.
    pub to: Option<Day>,
}

/// What a campaign brought on a day, in millionths of the currency.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Brought {
    /// Tenant.
    pub tenant: String,
    /// The day on which it is booked.
    pub day: Day,
    /// Campaign.
    pub campaign: String,
    /// Currency of the conversions.
    pub currency: Currency,
    /// Credited of sales of the day, before refunds.
    pub sold: i64,
    /// Credited of refunds and cancels.
    pub refunded: i64,
}

/// What campaigns brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Revenue {
    /// Which state was read.
    pub as_of: AsOf,
    /// By tenant, day, campaign and currency.
    pub rows: Vec<Brought>,
}

/// Books what campaigns brought.
///
/// # Errors
/// When the period is released or none, or the journal cannot be read.
pub fn revenue(
    known: &Known<'_>,
    asked: RevenueAsked,
    tenant: Option<TenantId>,
) -> Result<Revenue, NotCounted> {
    let (from, to) = period(known, RetentionClass::Conversion, asked.from, asked.to)?;
    let dims = all_dims(known, tenant)?;
    let mut rows = Vec::new();
    for (tenant, dims) in &dims {
        let sales = Sales::read(known, dims, *tenant)?;
        let books = Books { sales, asked };
        for ((day, campaign, currency), booked) in books.booked() {
            if (from..=to).contains(&day) && booked != Booked::default() {
                rows.push(Brought {
                    tenant: known.tenant(*tenant),
                    day,
                    campaign: known.name(NameKind::Campaign, campaign.0),
                    currency,
                    sold: booked.sold,
                    refunded: booked.refunded,
                });
            }
        }
    }
    rows.sort_unstable_by(|a, b| {
        let one = (&a.tenant, a.day, &a.campaign, a.currency);
        one.cmp(&(&b.tenant, b.day, &b.campaign, b.currency))
    });
    Ok(Revenue {
        as_of: known.as_of(),
        rows,
    })
}

/// Day, campaign and currency under which money is booked.
type Place = (Day, CampaignId, Currency);
/// By campaign.
type Money = BTreeMap<CampaignId, i64>;

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Booked {
    sold: i64,
    refunded: i64,
}

/// A tenant's conversions, booked as is asked.
struct Books<'k> {
    sales: Sales<'k>,
    asked: RevenueAsked,
}

impl Books<'_> {
    fn booked(&self) -> BTreeMap<Place, Booked> {
        let mut booked = BTreeMap::new();
        for one in &self.sales.merging.merged {
            self.book(one, &mut booked);
        }
        booked
    }

    /// Books a conversion as it was sold, and then what each refund took.
    fn book(&self, one: &Merged, booked: &mut BTreeMap<Place, Booked>) {
        let takes =
            |signal: &Signal| matches!(signal.fact.kind, SignalKind::Refund | SignalKind::Cancel);
        let (taken, mut so_far): (Vec<Signal>, Vec<Signal>) =
            one.signals.iter().partition(|signal| takes(signal));
        let Some(sold) = merge_order(one.id, &plain(&so_far)) else {
            return;
        };
        let place = |day, campaign: &CampaignId| (day, *campaign, sold.currency);
        let mut before = self.money(&sold);
        for (campaign, money) in &before {
            let of = booked.entry(place(sold.time.day(), campaign)).or_default();
            of.sold += money;
        }
        for refund in taken {
            so_far.push(refund);
            let left = merge_order(one.id, &plain(&so_far));
            let left = left.map(|left| self.money(&left)).unwrap_or_default();
            let day = match self.asked.refunds {
                Refunds::OfSale => sold.time.day(),
                Refunds::OfRefund => refund.time.day(),
            };
            for (campaign, money) in &before {
                let less = money - left.get(campaign).copied().unwrap_or_default();
                booked.entry(place(day, campaign)).or_default().refunded += less;
            }
            before = left;
        }
    }

    /// Who is credited with how much of a conversion.
    fn money(&self, made: &Conversion) -> Money {
        let models = Model::ALL.iter().position(|it| *it == self.asked.model);
        let mut money = Money::new();
        for (_, row) in self.sales.credited(made).credits {
            let of = models.and_then(|model| row.money_micros.get(model));
            *money.entry(row.campaign).or_default() += of.copied().unwrap_or_default();
        }
        money
    }
}

#[cfg(test)]
mod tests;
