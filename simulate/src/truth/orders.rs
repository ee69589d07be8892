//! Conversions: value, path and credits.

use hostread_schemas::event::{ByModel, Model};
use serde::{Deserialize, Serialize};

use crate::credit::{WHOLE, split, weights};
use crate::world::catalog::{BRANDS, CAMPAIGNS};
use crate::world::signals::Conversion;
use crate::world::{HOUR_SECS, TenantWorld};

/// One touch of a path and what it earns under each model.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TouchTruth {
    /// Line item.
    pub line: String,
    /// Its campaign.
    pub campaign: String,
    /// Show; empty for a code's own touch.
    pub show: String,
    /// When (Unix seconds).
    pub secs: i64,
    /// By model, in the order of `Model::ALL`.
    pub credit_micros: ByModel,
    /// By model, in the order of `Model::ALL`.
    pub money_micros: ByModel,
}

impl TouchTruth {
    /// Credit and money under a model.
    #[must_use]
    pub fn credit(&self, model: Model) -> (i64, i64) {
        let nth = Model::ALL.iter().position(|&other| other == model);
        let nth = nth.unwrap_or_default();
        (self.credit_micros[nth], self.money_micros[nth])
    }
}

/// One conversion that stands: not a test, not cancelled, not refunded in full.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OrderTruth {
    /// Tenant.
    pub tenant: String,
    /// Store.
    pub store: String,
    /// Order number or name; `None` for leads and redemptions that name none.
    pub order: Option<String>,
    /// Kind of its strongest signal.
    pub kind: String,
    /// When (Unix seconds).
    pub secs: i64,
    /// Value after refunds.
    pub value_micros: i64,
    /// Refunds.
    pub refunded_micros: i64,
    /// Currency; `USD` where nothing states one.
    pub currency: String,
    /// Line item that its code names.
    pub code_line: Option<String>,
    /// Line item whose ad made the buyer buy, whether or not that can be seen.
    pub cause_line: Option<String>,
    /// Its path, oldest first.
    pub path: Vec<TouchTruth>,
}

pub(super) fn of(tenant: &TenantWorld) -> Vec<OrderTruth> {
    let order = |conversion| order(tenant, conversion);
    tenant.conversions.iter().map(order).collect()
}

/// Touches of the conversion as (second, line, show).
fn path(tenant: &TenantWorld, conversion: &Conversion) -> Vec<(i64, usize, String)> {
    let lookback = i64::from(tenant.lookback_hours) * HOUR_SECS;
    let (from, to) = (conversion.secs - lookback, conversion.secs);
    let home = conversion.home.map(|home| &tenant.homes[home]);
    let usable = home.filter(|home| !home.shared(conversion.secs));
    let mut path: Vec<(i64, usize, String)> = usable
        .into_iter()
        .flat_map(|home| home.touches.iter().map(move |touch| (home, touch)))
        .filter(|(_, touch)| from < touch.secs && touch.secs <= to)
        .filter(|(_, touch)| tenant.catalog.lines[touch.line].brand() == conversion.brand)
        .filter(|(home, touch)| !home.shared(touch.secs))
        .map(|(_, touch)| (touch.secs, touch.line, touch.show.clone()))
        .collect();
    path.sort();
    if let Some(line) = conversion.code_line
        && path.iter().all(|touch| touch.1 != line)
    {
        path.push((conversion.secs, line, String::new()));
    }
    path
}

fn order(tenant: &TenantWorld, conversion: &Conversion) -> OrderTruth {
    let path = path(tenant, conversion);
    let ages: Vec<i64> = path.iter().map(|touch| conversion.secs - touch.0).collect();
    let lines: Vec<usize> = path.iter().map(|touch| touch.1).collect();
    let half_life = i64::from(tenant.half_life_hours) * HOUR_SECS;
    let value_micros = conversion.value_micros - conversion.refunded_micros;
    let mut credits = vec![(ByModel::default(), ByModel::default()); path.len()];
    for (nth, model) in Model::ALL.into_iter().enumerate() {
        let weights = weights(model, &ages, &lines, half_life);
        let parts = split(WHOLE, &weights)
            .into_iter()
            .zip(split(value_micros, &weights));
        for ((credit, money), part) in credits.iter_mut().zip(parts) {
            (credit[nth], money[nth]) = part;
        }
    }
    // A lead without a value states no currency.
    let currency = match conversion.value_micros {
        0 => hostread_schemas::Currency::default().as_str().to_owned(),
        _ => BRANDS[conversion.brand].currency.to_owned(),
    };
    let line_name = |line: usize| tenant.catalog.lines[line].name.to_owned();
    let touch = |((secs, line, show), (credit_micros, money_micros))| TouchTruth {
        line: line_name(line),
        campaign: CAMPAIGNS[tenant.catalog.lines[line].campaign].0.to_owned(),
        show,
        secs,
        credit_micros,
        money_micros,
    };
    OrderTruth {
        tenant: tenant.name.to_owned(),
        store: BRANDS[conversion.brand].store.to_owned(),
        order: conversion.order.clone(),
        kind: conversion.kind.as_str().to_owned(),
        secs: conversion.secs,
        value_micros,
        refunded_micros: conversion.refunded_micros,
        currency,
        code_line: conversion.code_line.map(line_name),
        cause_line: conversion.cause.as_ref().map(|touch| line_name(touch.line)),
        path: path.into_iter().zip(credits).map(touch).collect(),
    }
}
