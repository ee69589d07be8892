//! One identity: its touches, conversions, shared days and receipts, and what its conversions earn.

use std::collections::{BTreeMap, BTreeSet};

use hostread_rules::attribution::Share;
use hostread_rules::delivery::civil_day;
use hostread_rules::earned::{beyond_limit, earned};
use hostread_schemas::event::PriceKind;
use hostread_schemas::fact::{Carry, PathTouch, SignalKind};
use hostread_schemas::view::{ConversionKey, CreditKey, CreditRow};
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

    pub(super) fn apply(
        &mut self,
        changes: impl Iterator<Item = (Identified, i64)>,
        deals: &Deals,
        all: bool,
    ) {
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
        let beyond = beyond_limit(window.len());
        let path = window
            .iter()
            .take(beyond.start)
            .chain(window.iter().skip(beyond.end))
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
        (path, u32::try_from(beyond.len()).unwrap_or(u32::MAX))
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
        let receipt = self.receipt(conversion);
        let (mut path, cut) = match receipt {
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
        let key = ConversionKey {
            tenant,
            conversion: conversion.conversion,
        };
        let code_line = deals.line_of_code(conversion.store, conversion.code);
        let code_line = code_line.map(|line| (line.line, line.campaign));
        let half_life_secs = deals.settings().half_life_secs;
        let earned = earned(conversion, brand, code_line, &mut path, cut, half_life_secs);
        out.push((Credited::Conversion(key, Box::new(earned.row)), diff));
        emit_shares(conversion, context, &earned.shares, diff, out);
        emit_credits(conversion, context, earned.by_line, diff, out);
    }
}

/// What each touch earned, and that its campaign had a conversion in the hour.
fn emit_shares(
    conversion: &Sale,
    context: &Context<'_>,
    shares: &[Share],
    diff: i64,
    out: &mut Vec<(Credited, i64)>,
) {
    let (tenant, id) = (context.tenant, conversion.conversion);
    let mut campaigns = BTreeSet::new();
    for share in shares {
        campaigns.insert(share.campaign);
        let share = ShareRow {
            tenant,
            day: conversion.time.day(),
            conversion: id,
            campaign: share.campaign,
            line: share.line,
            show: share.show,
            currency: conversion.currency,
            credit_micros: share.credit_micros,
            money_micros: share.money_micros,
        };
        out.push((Credited::Share(share), diff));
    }
    let (hour, until) = (conversion.time.hour(), conversion.until);
    for campaign in campaigns {
        out.push((
            Credited::CampaignHour(tenant, campaign, hour, until, id),
            diff,
        ));
    }
}

/// What each line item earned, and what of it may bill.
fn emit_credits(
    conversion: &Sale,
    context: &Context<'_>,
    by_line: BTreeMap<LineId, CreditRow>,
    diff: i64,
    out: &mut Vec<(Credited, i64)>,
) {
    let (tenant, id) = (context.tenant, conversion.conversion);
    for (line, row) in by_line {
        if let Some(fact) = context.deals.line(line)
            && fact.price_kind == PriceKind::Cpa
            && conversion.kind == SignalKind::Order
            && let Some(credits) = row.credit_micros.get(fact.model as usize)
        {
            let civil = civil_day(conversion.time, &fact.zone);
            let until = conversion.until;
            let credit = Credited::LineCredit(tenant, line, until, civil, id, *credits);
            out.push((credit, diff));
        }
        let key = CreditKey {
            tenant,
            conversion: id,
            line,
        };
        out.push((Credited::Credit(key, row), diff));
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
