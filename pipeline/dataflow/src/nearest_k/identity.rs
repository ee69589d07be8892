//! One identity: its touches, conversions, shared days and receipts, and what its conversions earn.

use std::collections::{BTreeMap, BTreeSet};

use hostread_rules::attribution::{Share, TOUCHES_PER_CONVERSION_MAX, credit, with_code_touch};
use hostread_rules::delivery::civil_day;
use hostread_schemas::event::PriceKind;
use hostread_schemas::fact::{Carry, PathTouch, SignalKind};
use hostread_schemas::view::{ConversionKey, ConversionRow, CreditKey, CreditRow};
use hostread_schemas::{BrandId, ConversionId, Day, EventTimeMs, LineId, TenantId};

use super::{Credited, Identified, Sale, ShareRow, Touch};
use crate::deals::Deals;
use crate::keyed::insert_tight;

/// Frozen paths of a conversion, and how many touches were cut, by the day that they are released with
/// and the conversion's time.
type Receipts = BTreeMap<(Day, EventTimeMs), (Vec<PathTouch>, u32)>;

#[derive(Default)]
pub(super) struct Identity {
    pub(super) touches: BTreeMap<BrandId, Vec<Touch>>,
    /// Touches of shared days: they match nothing.
    pub(super) hidden: Vec<Touch>,
    pub(super) conversions: Vec<(EventTimeMs, Sale)>,
    pub(super) shared: BTreeSet<Day>,
    pub(super) receipts: BTreeMap<ConversionId, Receipts>,
}

/// What emitting a conversion depends on besides its identity.
pub(super) struct Context<'a> {
    pub(super) tenant: TenantId,
    pub(super) identity: u64,
    pub(super) deals: &'a Deals,
    pub(super) sealed: Option<Day>,
    pub(super) lookback_secs_max: i64,
}

impl Context<'_> {
    fn lookback_secs(&self) -> i64 {
        let asked = self.deals.settings().lookback_secs;
        asked.min(self.lookback_secs_max)
    }
}

impl Identity {
    pub(super) fn is_empty(&self) -> bool {
        self.touches.is_empty()
            && self.hidden.is_empty()
            && self.conversions.is_empty()
            && self.shared.is_empty()
            && self.receipts.is_empty()
    }

    /// Standing conversions whose path the changes can alter.
    pub(super) fn affected(
        &self,
        changes: &[(Identified, i64)],
        context: &Context<'_>,
        all: bool,
    ) -> Vec<Sale> {
        if self.conversions.is_empty() {
            return Vec::new();
        }
        if all {
            return self
                .conversions
                .iter()
                .map(|(_, conversion)| *conversion)
                .collect();
        }
        let (deals, lookback_secs) = (context.deals, context.lookback_secs());
        let mut affected = BTreeSet::new();
        for (change, _) in changes {
            let Identified::Touch(touch) = change else {
                continue;
            };
            let brand = deals.brand_of_line(touch.line);
            let from = self
                .conversions
                .partition_point(|(time, _)| time.secs() < touch.secs);
            for (time, conversion) in self.conversions.get(from..).unwrap_or_default() {
                if time.secs() >= touch.secs.saturating_add(lookback_secs) {
                    break;
                }
                if deals.brand_of_store(conversion.store) == brand {
                    affected.insert((*time, *conversion));
                }
            }
        }
        affected
            .into_iter()
            .map(|(_, conversion)| conversion)
            .collect()
    }

    pub(super) fn apply(&mut self, changes: Vec<(Identified, i64)>, deals: &Deals, all: bool) {
        for (change, diff) in changes {
            match change {
                Identified::Touch(touch) if self.shared.contains(&touch.time.day()) => {
                    sorted_update(&mut self.hidden, touch, diff);
                }
                Identified::Touch(touch) => {
                    let brand = deals.brand_of_line(touch.line);
                    let touches = self.touches.entry(brand).or_default();
                    if !sorted_update(touches, touch, diff) {
                        // It stands under the brand it had before this tick.
                        self.update_elsewhere(touch, diff);
                    }
                    self.touches.retain(|_, touches| !touches.is_empty());
                }
                Identified::Conversion(conversion) => {
                    sorted_update(&mut self.conversions, (conversion.time, conversion), diff);
                }
                Identified::Shared(day) if diff > 0 => {
                    self.shared.insert(day);
                }
                Identified::Shared(day) => {
                    self.shared.remove(&day);
                }
                Identified::Receipt(conversion, until, path, cut) if diff > 0 => {
                    let receipts = self.receipts.entry(conversion).or_default();
                    receipts.insert(until, (path, cut));
                }
                Identified::Receipt(conversion, until, ..) => {
                    if let Some(receipts) = self.receipts.get_mut(&conversion) {
                        receipts.remove(&until);
                    }
                    self.receipts.retain(|_, receipts| !receipts.is_empty());
                }
            }
        }
        if all {
            self.sort_into_brands(deals);
        }
    }

    fn update_elsewhere(&mut self, touch: Touch, diff: i64) {
        let lists = self.touches.values_mut().chain([&mut self.hidden]);
        for touches in lists {
            if touches.binary_search(&touch).is_ok() {
                sorted_update(touches, touch, diff);
                return;
            }
        }
    }

    fn sort_into_brands(&mut self, deals: &Deals) {
        let mut every: Vec<Touch> = std::mem::take(&mut self.hidden);
        every.extend(std::mem::take(&mut self.touches).into_values().flatten());
        every.sort_unstable();
        for touch in every {
            if self.shared.contains(&touch.time.day()) {
                self.hidden.push(touch);
            } else {
                self.touches
                    .entry(deals.brand_of_line(touch.line))
                    .or_default()
                    .push(touch);
            }
        }
    }

    /// The path of a conversion, oldest first, and how many touches were cut.
    fn path(&self, conversion: &Sale, context: &Context<'_>) -> (Vec<PathTouch>, u32) {
        let brand = context.deals.brand_of_store(conversion.store);
        let shared = self.shared.contains(&conversion.time.day());
        let touches = match self.touches.get(&brand) {
            Some(touches) if brand.is_some() && conversion.household.is_some() && !shared => {
                touches
            }
            _ => return (Vec::new(), 0),
        };
        let secs = conversion.time.secs();
        let oldest = secs.saturating_sub(context.lookback_secs());
        let from = touches.partition_point(|touch| touch.secs <= oldest);
        let to = touches.partition_point(|touch| touch.secs <= secs);
        let window = touches.get(from..to).unwrap_or_default();
        let cut = window.len().saturating_sub(TOUCHES_PER_CONVERSION_MAX);
        let nearest = window.iter().skip(if cut == 0 { 1 } else { cut + 1 });
        let path = window
            .iter()
            .take(1)
            .chain(nearest)
            .map(|touch| PathTouch {
                time: touch.time,
                touch: touch.touch,
                line: touch.line,
                campaign: context
                    .deals
                    .line(touch.line)
                    .map(|l| l.campaign)
                    .unwrap_or_default(),
                show: touch.show,
            })
            .collect();
        (path, u32::try_from(cut).unwrap_or(u32::MAX))
    }

    /// The frozen path of a conversion, unless its time has moved since.
    fn receipt(&self, conversion: &Sale) -> Option<(Day, &(Vec<PathTouch>, u32))> {
        let receipts = self.receipts.get(&conversion.conversion)?;
        receipts
            .iter()
            .rev()
            .find(|((_, time), _)| *time == conversion.time)
            .map(|((until, _), path)| (*until, path))
    }

    pub(super) fn emit(
        &self,
        conversion: &Sale,
        context: &Context<'_>,
        diff: i64,
        out: &mut Vec<(Credited, i64)>,
    ) {
        let tenant = context.tenant;
        let deals = context.deals;
        let brand = deals.brand_of_store(conversion.store);
        let code_line = if brand.is_some() {
            deals.line_of_code(conversion.store, conversion.code)
        } else {
            None
        };
        let receipt = self.receipt(conversion);
        let (mut path, mut cut) = match receipt {
            Some((_, (path, cut))) => (path.clone(), *cut),
            None => self.path(conversion, context),
        };
        let day = conversion.time.day();
        // A later signal makes the conversion outlive the receipt that it has.
        let outlived = receipt.is_none_or(|(until, _)| until < conversion.until);
        if outlived && !path.is_empty() && context.sealed.is_some_and(|sealed| day <= sealed) {
            let carry = Carry::Receipt {
                conversion: conversion.conversion,
                time: conversion.time,
                identity: context.identity,
                path: path.clone(),
                cut,
            };
            out.push((Credited::Receipt(tenant, conversion.until, carry), diff));
        }
        let code_line = code_line.map(|line| (line.line, line.campaign));
        let full = path.len() == TOUCHES_PER_CONVERSION_MAX;
        let added = code_line.is_some_and(|(line, _)| path.iter().all(|touch| touch.line != line));
        cut += u32::from(full && added);
        let matched_by = with_code_touch(&mut path, conversion, code_line);
        let value = conversion.value;
        let key = ConversionKey {
            tenant,
            conversion: conversion.conversion,
        };
        let row = ConversionRow {
            store: conversion.store,
            brand,
            kind: conversion.kind,
            time: conversion.time,
            household: conversion.household,
            value,
            refunded: conversion.refunded,
            currency: conversion.currency,
            code: conversion.code,
            code_line: code_line.map(|(line, _)| line).unwrap_or_default(),
            signals: conversion.signals,
            touches: u32::try_from(path.len()).unwrap_or(u32::MAX),
            touches_cut: cut,
            matched_by,
        };
        out.push((Credited::Conversion(key, row), diff));
        if path.is_empty() {
            return;
        }
        let half_life_secs = deals.settings().half_life_secs;
        let shares = credit(conversion.time, value, &path, half_life_secs);
        emit_shares(conversion, context, day, &shares, diff, out);
    }
}

fn emit_shares(
    conversion: &Sale,
    context: &Context<'_>,
    day: Day,
    shares: &[Share],
    diff: i64,
    out: &mut Vec<(Credited, i64)>,
) {
    let tenant = context.tenant;
    let mut by_line: BTreeMap<LineId, CreditRow> = BTreeMap::new();
    let mut campaigns = BTreeSet::new();
    for share in shares {
        let row = by_line.entry(share.line).or_insert_with(|| CreditRow {
            campaign: share.campaign,
            day,
            touches: 0,
            credit_micros: [0; 5],
            money_micros: [0; 5],
            currency: conversion.currency,
        });
        row.touches += share.touches;
        add(&mut row.credit_micros, &share.credit_micros);
        add(&mut row.money_micros, &share.money_micros);
        campaigns.insert(share.campaign);
        let share = ShareRow {
            tenant,
            day,
            conversion: conversion.conversion,
            campaign: share.campaign,
            line: share.line,
            show: share.show,
            currency: conversion.currency,
            credit_micros: share.credit_micros,
            money_micros: share.money_micros,
        };
        out.push((Credited::Share(share), diff));
    }
    debug_assert!(
        (0..5).all(|m| by_line
            .values()
            .filter_map(|r| r.credit_micros.get(m))
            .sum::<i64>()
            == 1_000_000),
        "invariant 1: credits sum to a million"
    );
    for (line, row) in by_line {
        if let Some(fact) = context.deals.line(line)
            && fact.price_kind == PriceKind::Cpa
            && conversion.kind == SignalKind::Order
            && let Some(credits) = row.credit_micros.get(fact.model as usize)
        {
            let civil = civil_day(conversion.time, &fact.zone);
            let (until, id) = (conversion.until, conversion.conversion);
            let credit = Credited::LineCredit(tenant, line, until, civil, id, *credits);
            out.push((credit, diff));
        }
        let key = CreditKey {
            tenant,
            conversion: conversion.conversion,
            line,
        };
        out.push((Credited::Credit(key, row), diff));
    }
    for campaign in campaigns {
        let hour = conversion.time.hour();
        out.push((
            Credited::CampaignHour(
                tenant,
                campaign,
                hour,
                conversion.until,
                conversion.conversion,
            ),
            diff,
        ));
    }
}

fn add(sum: &mut [i64; 5], part: &[i64; 5]) {
    for (sum, part) in sum.iter_mut().zip(part) {
        *sum += part;
    }
}

/// Inserts or removes; `false` when what was to go is not there.
fn sorted_update<T: Ord>(list: &mut Vec<T>, item: T, diff: i64) -> bool {
    match list.binary_search(&item) {
        Ok(at) if diff < 0 => {
            list.remove(at);
            true
        }
        Err(at) if diff > 0 => {
            insert_tight(list, at, item);
            true
        }
        _ => false,
    }
}
