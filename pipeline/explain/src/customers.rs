//! New against returning customers: what campaigns sold to whom (definition 36).
//!
//! Needs: one state of the journal. Promises: new, returning and not known have together what a line item is credited with, to the
//! last millionth. Leaves out: conversions without a path, and those that were released.

use std::collections::{BTreeMap, BTreeSet};

use hostread_schemas::event::Model;
use hostread_schemas::fact::RetentionClass;
use hostread_schemas::unit::DAY_MS;
use hostread_schemas::{
    CampaignId, ConversionId, Currency, CustomerId, Day, EventTimeMs, LineId, NameKind, StoreId,
};
use hostread_schemas::{TenantId, view::CreditRow};

use crate::dims::all_dims;
use crate::known::Known;
use crate::period::{NotCounted, period};
use crate::said::AsOf;
use crate::sales::Sales;
use crate::signals::Merged;

/// What is asked: both days are part of the period, in UTC, and conversions are of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CustomersAsked {
    /// Who divides a conversion.
    pub model: Model,
    /// First day; none: the first that is live.
    pub from: Option<Day>,
    /// Last day; none: the clock's.
    pub to: Option<Day>,
    /// A customer whose last conversion is longer ago than so many days is new again.
    pub prior_days: u16,
}

/// Has a customer bought before?
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Bought {
    /// Not in the days before that were asked for.
    New,
    /// In these days.
    Returning,
    /// No signal names the customer.
    NotKnown,
}

impl Bought {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Returning => "returning",
            Self::NotKnown => "not_known",
        }
    }
}

/// What a line item sold to some of the customers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SoldTo {
    /// Tenant.
    pub tenant: String,
    /// Campaign.
    pub campaign: String,
    /// Line item.
    pub line: String,
    /// Currency of the conversions.
    pub currency: Currency,
    /// To whom.
    pub customers: Bought,
    /// With a touch of the line item on their path.
    pub conversions: i64,
    /// In millionths of a conversion.
    pub credit: i64,
    /// In millionths of the currency.
    pub money: i64,
}

/// What was sold to whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Customers {
    /// Which state was read.
    pub as_of: AsOf,
    /// The first day whose orders are held: of customers before it nothing is known.
    pub held_from: Option<Day>,
    /// By tenant, campaign, line item, currency and customers.
    pub rows: Vec<SoldTo>,
}

/// Sums up what was sold to whom.
///
/// # Errors
/// When the period is released or none, or the journal cannot be read.
pub fn customers(
    known: &Known<'_>,
    asked: CustomersAsked,
    tenant: Option<TenantId>,
) -> Result<Customers, NotCounted> {
    let class = RetentionClass::Conversion;
    let (from, to) = period(known, class, asked.from, asked.to)?;
    let mut rows = Vec::new();
    for (tenant, dims) in &all_dims(known, tenant)? {
        let sales = Sales::read(known, dims, *tenant)?;
        let sums = sums(&sales, asked, from, to);
        rows.extend(sums.into_iter().map(|(place, sum)| SoldTo {
            tenant: known.tenant(*tenant),
            campaign: known.name(NameKind::Campaign, place.0.0),
            line: known.name(NameKind::Line, place.1.0),
            currency: place.2,
            customers: place.3,
            conversions: sum.conversions,
            credit: sum.credit,
            money: sum.money,
        }));
    }
    rows.sort_unstable();
    Ok(Customers {
        as_of: known.as_of(),
        held_from: known.live.days(class).into_iter().min(),
        rows,
    })
}

type Place = (CampaignId, LineId, Currency, Bought);

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Sum {
    conversions: i64,
    credit: i64,
    money: i64,
}

fn sums(sales: &Sales<'_>, asked: CustomersAsked, from: Day, to: Day) -> BTreeMap<Place, Sum> {
    let histories = Histories::of(&sales.merging.merged);
    let mut sums: BTreeMap<Place, Sum> = BTreeMap::new();
    for one in &sales.merging.merged {
        let Some(made) = &one.conversion else {
            continue;
        };
        if !(from..=to).contains(&made.time.day()) {
            continue;
        }
        let bought = histories.bought(one, asked.prior_days);
        for (key, row) in sales.credited(made).credits {
            let place = (row.campaign, key.line, made.currency, bought);
            add(sums.entry(place).or_default(), &row, asked.model);
        }
    }
    sums
}

fn add(sum: &mut Sum, row: &CreditRow, model: Model) {
    let at = Model::ALL.iter().position(|it| *it == model);
    let of = |all: &[i64]| at.and_then(|at| all.get(at)).copied().unwrap_or_default();
    sum.conversions += 1;
    sum.credit += of(&row.credit_micros);
    sum.money += of(&row.money_micros);
}

/// When each customer of a store bought what still stands.
struct Histories(BTreeMap<(StoreId, CustomerId), BTreeSet<(EventTimeMs, ConversionId)>>);

impl Histories {
    fn of(merged: &[Merged]) -> Self {
        let mut histories = Self(BTreeMap::new());
        for one in merged {
            if let (Some(who), Some(made)) = (customer(one), &one.conversion) {
                let history = histories.0.entry(who).or_default();
                history.insert((made.time, made.conversion));
            }
        }
        histories
    }

    fn bought(&self, one: &Merged, prior_days: u16) -> Bought {
        let (Some(who), Some(made)) = (customer(one), &one.conversion) else {
            return Bought::NotKnown;
        };
        let history = self.0.get(&who);
        let before = history.and_then(|all| all.range(..(made.time, made.conversion)).next_back());
        let since = EventTimeMs(made.time.0 - i64::from(prior_days) * DAY_MS);
        match before {
            Some((time, _)) if *time >= since => Bought::Returning,
            _ => Bought::New,
        }
    }
}

/// The customer of a conversion: whom the first of its signals names that names one.
fn customer(one: &Merged) -> Option<(StoreId, CustomerId)> {
    let facts = one.signals.iter().map(|signal| &signal.fact);
    let mut named = facts.filter(|fact| fact.customer.is_some());
    named.next().map(|fact| (fact.store, fact.customer))
}

#[cfg(test)]
mod tests;
