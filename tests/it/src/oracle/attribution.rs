//! Choices 8, 13 and 14: paths, credits and money.

use std::collections::{BTreeMap, BTreeSet};

use hostread_schemas::event::{ByModel, IpClass, Model};
use hostread_schemas::view::{
    AttributionDailyKey, AttributionDailyRow, ConversionKey, ConversionRow, CreditKey, CreditRow,
    PathStep, ViewRow,
};
use hostread_schemas::{
    BrandId, CampaignId, ConversionId, Day, EventId, EventTimeMs, LineId, ShowId, TenantId,
};

use super::Tenant;
use super::conversions::Conversion;
use super::counting::{Counted, Delivery};
use super::sharing::Shared;

/// A touch of a path with what each model gives it.
#[derive(Clone, Debug)]
pub(crate) struct Touch {
    secs: i64,
    pub(crate) line: LineId,
    pub(crate) campaign: CampaignId,
    show: ShowId,
    pub(crate) credit: ByModel,
    money: ByModel,
}

/// A conversion and its path.
#[derive(Clone, Debug)]
pub(crate) struct Credited {
    pub(crate) conversion: Conversion,
    brand: BrandId,
    code_line: LineId,
    pub(crate) path: Vec<Touch>,
    cut: usize,
    matched_by: u8,
}

/// The paths that sealed conversions had, before their codes, and how many touches were cut (21). A path
/// stands as long as its conversion's time stays.
pub(crate) type Kept = BTreeMap<(TenantId, ConversionId), (EventTimeMs, Vec<Touch>, usize)>;

/// The paths of a tenant's conversions, before their codes.
pub(crate) fn paths(
    tenant: &Tenant,
    conversions: &[Conversion],
    counted: &Counted,
    shared: &Shared,
) -> Kept {
    let path = |conversion: &Conversion| {
        let (path, cut) = household_path(tenant, conversion, &counted.deliveries, shared);
        ((tenant.id, conversion.id), (conversion.time, path, cut))
    };
    conversions.iter().map(path).collect()
}

/// Every conversion with its path and credits.
pub(crate) fn attribute(
    tenant: &Tenant,
    conversions: &[Conversion],
    counted: &Counted,
    shared: &Shared,
) -> Vec<Credited> {
    let credit = |conversion: &Conversion| {
        let mut credited = path(tenant, conversion, &counted.deliveries, shared);
        weigh(&mut credited, tenant.settings.half_life_secs);
        credited
    };
    conversions.iter().map(credit).collect()
}

fn campaign_of(tenant: &Tenant, line: LineId) -> CampaignId {
    tenant
        .lines
        .get(&line)
        .map_or(CampaignId::NONE, |line| line.campaign)
}

fn brand_of(tenant: &Tenant, conversion: &Conversion) -> BrandId {
    let brand = tenant.stores.get(&conversion.store);
    brand.copied().unwrap_or(BrandId::NONE)
}

/// The touches of a conversion's household, and how many were cut.
fn household_path(
    tenant: &Tenant,
    conversion: &Conversion,
    deliveries: &[Delivery],
    shared: &Shared,
) -> (Vec<Touch>, usize) {
    let kept = tenant.kept.get(&(tenant.id, conversion.id));
    if let Some((_, path, cut)) = kept.filter(|(time, ..)| *time == conversion.time) {
        return (path.clone(), *cut);
    }
    let brand = brand_of(tenant, conversion);
    let secs = conversion.time.secs();
    let household = conversion.household;
    let usable = brand.is_some()
        && household.is_some()
        && !shared.contains(&(household, conversion.time.day()));
    let mut touches: Vec<(i64, EventId, &Delivery)> = deliveries
        .iter()
        .filter(|touch| {
            let campaign = campaign_of(tenant, touch.line);
            usable
                && touch.household == household
                && touch.ip_class == IpClass::Residential
                && !shared.contains(&(household, touch.time.day()))
                && tenant.campaigns.get(&campaign) == Some(&brand)
                && touch.time.secs()
                    > secs - tenant.settings.lookback_secs.min(tenant.lookback_secs_max)
                && touch.time.secs() <= secs
        })
        .map(|touch| (touch.time.secs(), touch.touch, touch))
        .collect();
    touches.sort_by_key(|(secs, id, _)| (*secs, *id));
    let mut path: Vec<Touch> = touches
        .into_iter()
        .map(|(secs, _, touch)| Touch {
            secs,
            line: touch.line,
            campaign: campaign_of(tenant, touch.line),
            show: touch.show,
            credit: ByModel::default(),
            money: ByModel::default(),
        })
        .collect();
    let mut cut = 0;
    while path.len() > 256 {
        path.remove(1);
        cut += 1;
    }
    (path, cut)
}

fn path(
    tenant: &Tenant,
    conversion: &Conversion,
    deliveries: &[Delivery],
    shared: &Shared,
) -> Credited {
    let (mut path, mut cut) = household_path(tenant, conversion, deliveries, shared);
    let brand = brand_of(tenant, conversion);
    let secs = conversion.time.secs();
    let mut matched_by = u8::from(!path.is_empty());
    let code_line = tenant
        .codes
        .get(&(conversion.store, conversion.code))
        .filter(|line| {
            brand.is_some() && conversion.code.is_some() && tenant.lines.contains_key(line)
        })
        .copied()
        .unwrap_or(LineId::NONE);
    if code_line.is_some() {
        matched_by = 2;
        if !path.iter().any(|touch| touch.line == code_line) {
            path.push(Touch {
                secs,
                line: code_line,
                campaign: campaign_of(tenant, code_line),
                show: ShowId::NONE,
                credit: ByModel::default(),
                money: ByModel::default(),
            });
            if path.len() > 256 {
                path.remove(1);
                cut += 1;
            }
        }
    }
    Credited {
        conversion: conversion.clone(),
        brand,
        code_line,
        path,
        cut,
        matched_by,
    }
}

/// Weights of a model over the ages and the line items of a path, oldest first.
fn weights(model: Model, ages: &[i64], lines: &[LineId], half_life: i64) -> Vec<i128> {
    let n = ages.len();
    let last = || (0..n).map(|i| i128::from(i + 1 == n)).collect::<Vec<_>>();
    match model {
        Model::First => (0..n).map(|i| i128::from(i == 0)).collect(),
        Model::Last => last(),
        Model::Linear => vec![1; n],
        Model::TimeDecay => {
            let weights: Vec<i128> = ages.iter().map(|age| decay(*age, half_life)).collect();
            if weights.iter().all(|weight| *weight == 0) {
                last()
            } else {
                weights
            }
        }
        Model::Position => match n {
            1 | 2 => vec![1; n],
            _ => (0..n)
                .map(|i| {
                    if i == 0 || i + 1 == n {
                        40 * (n as i128 - 2)
                    } else {
                        20
                    }
                })
                .collect(),
        },
        // Any number that all counts of touches divide.
        Model::Shapley => {
            let mut counts: BTreeMap<LineId, i128> = BTreeMap::new();
            for line in lines {
                *counts.entry(*line).or_default() += 1;
            }
            let different: BTreeSet<i128> = counts.values().copied().collect();
            let whole: i128 = different.into_iter().product();
            lines.iter().map(|line| whole / counts[line]).collect()
        }
    }
}

/// 512 steps a half-life.
fn decay(age: i64, half_life: i64) -> i128 {
    let steps = i128::from(age) * 512 / i128::from(half_life);
    let mut weight: i128 = 1 << 30;
    for _ in 0..steps.min(40_000) {
        weight = (weight * 4_289_156_690) >> 32;
    }
    weight
}

/// Shares of a total by weight; leftovers to the largest remainders, ties to the earlier.
fn apportion(total: i64, weights: &[i128]) -> Vec<i64> {
    let sum: i128 = weights.iter().sum();
    let exact = |weight: &i128| i128::from(total) * weight;
    let mut shares: Vec<i128> = weights.iter().map(|weight| exact(weight) / sum).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|i| (-(exact(&weights[*i]) % sum), *i));
    let left = i128::from(total) - shares.iter().sum::<i128>();
    for i in order.into_iter().take(left as usize) {
        shares[i] += 1;
    }
    shares.into_iter().map(|share| share as i64).collect()
}

fn weigh(credited: &mut Credited, half_life: i64) {
    if credited.path.is_empty() {
        return;
    }
    let secs = credited.conversion.time.secs();
    let ages: Vec<i64> = credited
        .path
        .iter()
        .map(|touch| secs - touch.secs)
        .collect();
    let lines: Vec<LineId> = credited.path.iter().map(|touch| touch.line).collect();
    for (column, model) in Model::ALL.into_iter().enumerate() {
        let weights = weights(model, &ages, &lines, half_life);
        let credits = apportion(1_000_000, &weights);
        let money = apportion(credited.conversion.value.0, &weights);
        for (i, touch) in credited.path.iter_mut().enumerate() {
            touch.credit[column] = credits[i];
            touch.money[column] = money[i];
        }
    }
}

/// Rows of `conversions`, `credits` and `attribution_daily`.
pub(crate) fn rows(tenant: &Tenant, credited: &[Credited]) -> Vec<ViewRow> {
    let mut rows = Vec::new();
    let mut daily: BTreeMap<AttributionDailyKey, (i64, i64)> = BTreeMap::new();
    for it in credited {
        let conversion = &it.conversion;
        let day = conversion.time.day();
        rows.push(conversion_row(tenant, it));
        let mut credits: BTreeMap<LineId, CreditRow> = BTreeMap::new();
        for touch in &it.path {
            let row = credits.entry(touch.line).or_insert(CreditRow {
                campaign: touch.campaign,
                day,
                touches: 0,
                credit_micros: ByModel::default(),
                money_micros: ByModel::default(),
                currency: conversion.currency,
            });
            row.touches += 1;
            for (column, model) in Model::ALL.into_iter().enumerate() {
                row.credit_micros[column] += touch.credit[column];
                row.money_micros[column] += touch.money[column];
                let sums = daily
                    .entry(daily_key(tenant, it, touch, day, model))
                    .or_default();
                sums.0 += touch.credit[column];
                sums.1 += touch.money[column];
            }
        }
        for (line, row) in credits {
            let key = CreditKey {
                tenant: tenant.id,
                conversion: conversion.id,
                line,
            };
            rows.push((key, row).into());
        }
    }
    for (key, (credit_micros, money_micros)) in daily {
        if (credit_micros, money_micros) != (0, 0) {
            let row = AttributionDailyRow {
                credit_micros,
                money_micros,
            };
            rows.push((key, row).into());
        }
    }
    rows
}

fn daily_key(
    tenant: &Tenant,
    credited: &Credited,
    touch: &Touch,
    day: Day,
    model: Model,
) -> AttributionDailyKey {
    AttributionDailyKey {
        tenant: tenant.id,
        day,
        campaign: touch.campaign,
        line: touch.line,
        show: touch.show,
        model,
        currency: credited.conversion.currency,
    }
}

fn conversion_row(tenant: &Tenant, credited: &Credited) -> ViewRow {
    let conversion = &credited.conversion;
    let key = ConversionKey {
        tenant: tenant.id,
        conversion: conversion.id,
    };
    let row = ConversionRow {
        store: conversion.store,
        brand: credited.brand,
        kind: conversion.kind,
        time: conversion.time,
        household: conversion.household,
        value: conversion.value,
        refunded: conversion.refunded,
        currency: conversion.currency,
        code: conversion.code,
        code_line: credited.code_line,
        signals: conversion.signals,
        touches: credited.path.len() as u32,
        touches_cut: credited.cut as u32,
        matched_by: credited.matched_by,
        path: credited
            .path
            .iter()
            .map(|touch| PathStep {
                line: touch.line,
                campaign: touch.campaign,
                show: touch.show,
                age_secs: (conversion.time.secs() - touch.secs) as u32,
            })
            .collect(),
    };
    (key, row).into()
}
