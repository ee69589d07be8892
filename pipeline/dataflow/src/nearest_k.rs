//! Credits each conversion to the nearest touches of its identity, under every rule model at once.
//!
//! ```text
//!   touches, conversions, shared days, receipts -- by (tenant, identity) --> [ nearest_k ] --> Credited deltas
//!   deals, sealed day -----------------------------------------------------------^
//! ```
//! Identity: the household, or the conversion itself when it has none.
//! State: per identity its touches by brand, oldest first, its conversions by time, its shared days
//! and receipts; freed when they are released.
//! Order in a tick: deals, then every removal and insertion of the identity, then credits.
//! Cost: O(affected conversions x (log touches + K)), never O(history): a touch affects the
//! conversions in its forward window; both ends of a path and the count of cut touches are found by
//! binary search.
//! Invariant 1: credits of a matched conversion sum to 1,000,000 per model.
//! Invariant 2: at most K touches of a conversion are read.
//! Invariant 3: a conversion with a receipt has the receipt's path, whatever else changes.

use std::collections::{BTreeMap, BTreeSet};

use differential_dataflow::consolidation::consolidate;
use hostread_rules::attribution::{TOUCHES_PER_CONVERSION_MAX, credit, with_code_touch};
use hostread_rules::conversion::Conversion;
use hostread_rules::delivery::civil_day;
use hostread_schemas::event::PriceKind;
use hostread_schemas::fact::{Carry, Fact, PathTouch, SignalKind};
use hostread_schemas::view::{ConversionKey, ConversionRow, CreditKey, CreditRow};
use hostread_schemas::{
    BrandId, CampaignId, ConversionId, Currency, Day, EventId, EventTimeMs, Hour, LineId, ShowId,
    TenantId,
};
use serde::{Deserialize, Serialize};

use crate::by_tick::{Stream, by_tick};
use crate::deals::{AllDeals, Deals, TouchedDeals};
use crate::keyed::KeyedMap;

/// A touch of an identity, ordered by (whole second, id).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) struct Touch {
    /// Whole seconds.
    pub(crate) secs: i64,
    /// Identity.
    pub(crate) touch: EventId,
    /// When.
    pub(crate) time: EventTimeMs,
    /// Line item.
    pub(crate) line: LineId,
    /// Show.
    pub(crate) show: ShowId,
}

/// What comes in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) enum Identified {
    /// A touch.
    Touch(Touch),
    /// A conversion.
    Conversion(Conversion),
    /// The household is shared on this day.
    Shared(Day),
    /// The frozen path of a conversion, and how many touches were cut.
    Receipt(ConversionId, Vec<PathTouch>, u32),
}

/// Whose.
pub(crate) type IdentityKey = (TenantId, u64);

/// What changes what touches and conversions mean.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) enum Setting {
    /// A deal fact.
    Deal(Fact),
    /// Days through this one are sealed.
    Sealed(Day),
}

/// What goes out.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) enum Credited {
    /// A row of `conversions`.
    Conversion(ConversionKey, ConversionRow),
    /// A row of `credits`.
    Credit(CreditKey, CreditRow),
    /// What one conversion adds to the sums of its day.
    Share(ShareRow),
    /// A campaign had a conversion in an hour.
    CampaignHour(TenantId, CampaignId, Hour, ConversionId),
    /// What one conversion adds to the bill of a CPA line: exposure day, civil day, credit micros.
    LineCredit(TenantId, LineId, Day, Day, ConversionId, i64),
    /// A path to be kept: the day of its conversion is sealed.
    Receipt(TenantId, Day, Carry),
}

/// One conversion's credits for one (line, show).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) struct ShareRow {
    pub(crate) tenant: TenantId,
    pub(crate) day: Day,
    pub(crate) conversion: ConversionId,
    pub(crate) campaign: CampaignId,
    pub(crate) line: LineId,
    pub(crate) show: ShowId,
    pub(crate) currency: Currency,
    pub(crate) credit_micros: [i64; 5],
    pub(crate) money_micros: [i64; 5],
}

/// Wires the operator.
pub(crate) fn nearest_k<'s>(
    identified: Stream<'s, (IdentityKey, Identified)>,
    settings: Stream<'s, Setting>,
    lookback_secs_max: i64,
) -> Stream<'s, Credited> {
    let mut state = State {
        lookback_secs_max,
        ..State::default()
    };
    by_tick(
        identified,
        settings,
        "NearestK",
        |(key, _)| key.1,
        move |_tick, updates, settings, out| {
            state.step(updates, &settings, out);
            // What is credited as before went and came.
            consolidate(out);
        },
    )
}

#[derive(Default)]
struct Identity {
    touches: BTreeMap<BrandId, Vec<Touch>>,
    /// Touches of shared days: they match nothing.
    hidden: Vec<Touch>,
    conversions: Vec<(EventTimeMs, Conversion)>,
    shared: BTreeSet<Day>,
    receipts: BTreeMap<ConversionId, (Vec<PathTouch>, u32)>,
}

#[derive(Default)]
struct State {
    identities: KeyedMap<IdentityKey, Identity>,
    deals: AllDeals,
    /// Lines of live touches, stores and codes of live conversions.
    uses: KeyedMap<(TenantId, u64), u64>,
    /// Conversions by UTC day, to freeze them when it is sealed.
    days: BTreeMap<Day, BTreeSet<IdentityKey>>,
    sealed: Option<Day>,
    /// Touches older than this may be released: no tenant can look further back.
    lookback_secs_max: i64,
}

/// What emitting a conversion depends on besides its identity.
struct Context<'a> {
    tenant: TenantId,
    identity: u64,
    deals: &'a Deals,
    sealed: Option<Day>,
    lookback_secs_max: i64,
}

impl Context<'_> {
    fn lookback_secs(&self) -> i64 {
        let asked = self.deals.settings().lookback_secs;
        asked.min(self.lookback_secs_max)
    }
}

impl State {
    fn step(
        &mut self,
        updates: Vec<((IdentityKey, Identified), i64)>,
        settings: &[(Setting, i64)],
        out: &mut Vec<(Credited, i64)>,
    ) {
        let sealed_before = self.sealed;
        let (deals_before, mut whole) = self.apply_settings(settings);
        let mut by_identity: BTreeMap<IdentityKey, Vec<(Identified, i64)>> = BTreeMap::new();
        for ((key, update), diff) in updates {
            by_identity.entry(key).or_default().push((update, diff));
        }
        for key in &whole {
            by_identity.entry(*key).or_default();
        }
        for (key, changes) in by_identity {
            let mut identity = self.identities.remove(&key).unwrap_or_default();
            let default = Deals::default();
            let deals = self.deals.get(&key.0).unwrap_or(&default);
            let now = Context {
                tenant: key.0,
                identity: key.1,
                deals,
                sealed: self.sealed,
                lookback_secs_max: self.lookback_secs_max,
            };
            let then = Context {
                deals: deals_before.get(&key.0).unwrap_or(deals),
                sealed: sealed_before,
                ..now
            };
            let all = whole.remove(&key) || changes_all(&changes);
            let removed = conversions_of(&changes, -1);
            let added = conversions_of(&changes, 1);
            index_uses(&mut self.uses, key.0, &changes);
            let mut standing = identity.affected(&changes, &now, all);
            standing.retain(|conversion| !removed.contains(conversion));
            for conversion in standing.iter().chain(&removed) {
                identity.emit(conversion, &then, -1, out);
            }
            identity.apply(changes, now.deals, all);
            for conversion in standing.iter().chain(&added) {
                identity.emit(conversion, &now, 1, out);
            }
            for conversion in &added {
                self.days
                    .entry(conversion.time.day())
                    .or_default()
                    .insert(key);
            }
            if !identity.is_empty() {
                self.identities.insert(key, identity);
            }
        }
    }

    /// Applies the settings; returns the deals that changed as they were, and the identities that
    /// must be read as a whole.
    fn apply_settings(&mut self, settings: &[(Setting, i64)]) -> (AllDeals, BTreeSet<IdentityKey>) {
        let mut before = AllDeals::new();
        let mut touched: BTreeMap<TenantId, TouchedDeals> = BTreeMap::new();
        let mut sealed = self.sealed;
        for (setting, diff) in settings {
            match setting {
                Setting::Sealed(day) if *diff > 0 => sealed = sealed.max(Some(*day)),
                Setting::Sealed(_) => {}
                Setting::Deal(fact) => {
                    let deals = self.deals.entry(fact.tenant).or_default();
                    before.entry(fact.tenant).or_insert_with(|| deals.clone());
                    let touched = touched
                        .entry(fact.tenant)
                        .or_insert_with(|| Some(BTreeSet::new()));
                    deals.apply(fact, *diff, touched);
                }
            }
        }
        let mut whole = BTreeSet::new();
        if sealed != self.sealed {
            self.sealed = sealed;
            let open =
                sealed.map_or_else(BTreeMap::new, |day| self.days.split_off(&Day(day.0 + 1)));
            let newly_sealed = std::mem::replace(&mut self.days, open);
            whole.extend(newly_sealed.into_values().flatten());
        }
        let used: BTreeSet<TenantId> = touched
            .iter()
            .filter(|(tenant, touched)| match touched {
                None => true,
                Some(ids) => ids
                    .iter()
                    .any(|id| self.uses.contains_key(&(**tenant, *id))),
            })
            .map(|(tenant, _)| *tenant)
            .collect();
        if !used.is_empty() {
            whole.extend(self.identities.keys().filter(|key| used.contains(&key.0)));
        }
        (before, whole)
    }
}

/// Do the changes alter which touches or paths stand, beyond a window?
fn changes_all(changes: &[(Identified, i64)]) -> bool {
    changes
        .iter()
        .any(|(change, _)| matches!(change, Identified::Shared(_) | Identified::Receipt(..)))
}

/// Counts the lines, stores and codes in use.
fn index_uses(
    uses: &mut KeyedMap<(TenantId, u64), u64>,
    tenant: TenantId,
    changes: &[(Identified, i64)],
) {
    for (change, diff) in changes {
        let subjects = match change {
            Identified::Touch(touch) => [touch.line.0, 0],
            Identified::Conversion(conversion) => [conversion.store.0, conversion.code.0],
            Identified::Shared(_) | Identified::Receipt(..) => [0, 0],
        };
        for subject in subjects.into_iter().filter(|subject| *subject != 0) {
            let count = uses.entry((tenant, subject)).or_insert(0);
            *count = count.wrapping_add_signed(*diff);
            if *count == 0 {
                uses.remove(&(tenant, subject));
            }
        }
    }
}

fn conversions_of(changes: &[(Identified, i64)], sign: i64) -> Vec<Conversion> {
    changes
        .iter()
        .filter(|(_, diff)| diff.signum() == sign)
        .filter_map(|(change, _)| match change {
            Identified::Conversion(conversion) => Some(*conversion),
            _ => None,
        })
        .collect()
}

impl Identity {
    fn is_empty(&self) -> bool {
        self.touches.is_empty()
            && self.hidden.is_empty()
            && self.conversions.is_empty()
            && self.shared.is_empty()
            && self.receipts.is_empty()
    }

    /// Standing conversions whose path the changes can alter.
    fn affected(
        &self,
        changes: &[(Identified, i64)],
        context: &Context<'_>,
        all: bool,
    ) -> Vec<Conversion> {
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

    fn apply(&mut self, changes: Vec<(Identified, i64)>, deals: &Deals, all: bool) {
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
                Identified::Receipt(conversion, path, cut) if diff > 0 => {
                    self.receipts.insert(conversion, (path, cut));
                }
                Identified::Receipt(conversion, ..) => {
                    self.receipts.remove(&conversion);
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
    fn path(&self, conversion: &Conversion, context: &Context<'_>) -> (Vec<PathTouch>, u32) {
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

    fn emit(
        &self,
        conversion: &Conversion,
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
        let receipt = self.receipts.get(&conversion.conversion);
        let (mut path, cut) = match receipt {
            Some((path, cut)) => (path.clone(), *cut),
            None => self.path(conversion, context),
        };
        let before_code = path.len();
        let code_line = code_line.map(|line| (line.line, line.campaign));
        let matched_by = with_code_touch(&mut path, conversion, code_line);
        let cut = cut
            + u32::from(before_code == TOUCHES_PER_CONVERSION_MAX && code_added(&path, conversion));
        let day = conversion.time.day();
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
        if receipt.is_none() && context.sealed.is_some_and(|sealed| day <= sealed) {
            let carry = Carry::Receipt {
                conversion: conversion.conversion,
                identity: context.identity,
                path: path.clone(),
                cut,
            };
            out.push((Credited::Receipt(tenant, day, carry), diff));
        }
        let half_life_secs = deals.settings().half_life_secs;
        let shares = credit(conversion.time, value, &path, half_life_secs);
        emit_shares(conversion, context, day, &shares, diff, out);
    }
}

/// Was the last touch added by the code?
fn code_added(path: &[PathTouch], conversion: &Conversion) -> bool {
    path.last()
        .is_some_and(|touch| touch.time == conversion.time && !touch.show.is_some())
}

fn emit_shares(
    conversion: &Conversion,
    context: &Context<'_>,
    day: Day,
    shares: &[hostread_rules::attribution::Share],
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
            let credit =
                Credited::LineCredit(tenant, line, day, civil, conversion.conversion, *credits);
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
            Credited::CampaignHour(tenant, campaign, hour, conversion.conversion),
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
            list.insert(at, item);
            true
        }
        _ => false,
    }
}
