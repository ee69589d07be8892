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
//! Invariant 3: a conversion with a receipt has the receipt's path as long as its time stays, whatever
//! else changes; its code is looked up anew.

mod identity;

use std::collections::{BTreeMap, BTreeSet};

use differential_dataflow::consolidation::consolidate;
use hostread_rules::conversion::Conversion;
use hostread_schemas::event::ByModel;
use hostread_schemas::fact::{Carry, Fact, PathTouch, RetentionClass};
use hostread_schemas::view::{
    ConversionKey, ConversionRow, CreditKey, CreditRow, ViewKey, ViewRow, ViewValue,
};
use hostread_schemas::{
    CampaignId, ConversionId, Currency, Day, EventId, EventTimeMs, Hour, LineId, ShowId, TenantId,
};
use serde::{Deserialize, Serialize};

use crate::by_tick::{Stream, by_tick};
use crate::deals::{AllDeals, Deals, TouchedDeals};
use crate::keyed::KeyedMap;
use crate::output::{Material, Output};
use crate::sorted::of_tenant;
use identity::{Context, Identity};

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

/// A conversion and the day that it is released with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) struct Sale {
    pub(crate) of: Conversion,
    pub(crate) until: Day,
}

impl std::ops::Deref for Sale {
    type Target = Conversion;

    fn deref(&self) -> &Conversion {
        &self.of
    }
}

/// What comes in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) enum Identified {
    /// A touch.
    Touch(Touch),
    /// A conversion.
    Conversion(Sale),
    /// The household is shared on this day.
    Shared(Day),
    /// The frozen path of a conversion, the day that it is released with, the conversion's time when
    /// it was frozen, and how many touches were cut.
    Receipt(ConversionId, (Day, EventTimeMs), Vec<PathTouch>, u32),
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
    Conversion(ConversionKey, Box<ConversionRow>),
    /// A row of `credits`.
    Credit(CreditKey, CreditRow),
    /// What one conversion adds to the sums of its day.
    Share(ShareRow),
    /// A campaign had a conversion in an hour; the day that it is released with.
    CampaignHour(TenantId, CampaignId, Hour, Day, ConversionId),
    /// What one conversion adds to the bill of a CPA line: the day that it is released with, civil
    /// day, credit micros.
    LineCredit(TenantId, LineId, Day, Day, ConversionId, i64),
    /// A path to be kept: the day of its conversion is sealed.
    Receipt(TenantId, Day, Carry),
}

impl Credited {
    /// What leaves as it is; the rest is summed up.
    #[expect(clippy::result_large_err, reason = "one of two ways, no error")]
    pub(crate) fn output(self) -> Result<Output, Self> {
        match self {
            Self::Conversion(key, row) => Ok(Output::Row(ViewRow {
                key: ViewKey::Conversions(key),
                value: ViewValue::Conversions(row),
            })),
            Self::Credit(key, row) => Ok(Output::Row((key, row).into())),
            Self::Receipt(tenant, day, carry) => Ok(Output::Material(Material {
                class: RetentionClass::Exposure,
                day,
                tenant,
                carry,
            })),
            Self::Share(_) | Self::CampaignHour(..) | Self::LineCredit(..) => Err(self),
        }
    }
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
    pub(crate) credit_micros: ByModel,
    pub(crate) money_micros: ByModel,
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
        |((tenant, identity), _)| of_tenant(*tenant, *identity),
        move |_tick, updates, settings, out| {
            state.step(updates, &settings, out);
            // What is credited as before went and came.
            consolidate(out);
        },
    )
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

impl State {
    /// One tick; updates are sorted, so that those of an identity follow each other.
    fn step(
        &mut self,
        updates: Vec<((IdentityKey, Identified), i64)>,
        settings: &[(Setting, i64)],
        out: &mut Vec<(Credited, i64)>,
    ) {
        let sealed_before = self.sealed;
        let (deals_before, mut whole) = self.apply_settings(settings);
        let mut turn = Turn {
            state: self,
            deals_before,
            sealed_before,
            changes: Vec::new(),
            out,
        };
        let mut updates = updates.into_iter().peekable();
        while let Some(((key, change), diff)) = updates.next() {
            turn.changes.push((change, diff));
            while let Some(((_, change), diff)) = updates.next_if(|((next, _), _)| *next == key) {
                turn.changes.push((change, diff));
            }
            let all = whole.remove(&key);
            turn.identity(key, all);
        }
        for key in whole {
            turn.identity(key, true);
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

/// One tick, an identity at a time.
struct Turn<'a> {
    state: &'a mut State,
    deals_before: AllDeals,
    sealed_before: Option<Day>,
    /// Of the identity whose turn it is.
    changes: Vec<(Identified, i64)>,
    out: &'a mut Vec<(Credited, i64)>,
}

impl Turn<'_> {
    /// What it earned goes, its changes are applied, what it earns comes. `all`: its deals or its sealed days changed.
    fn identity(&mut self, key: IdentityKey, all: bool) {
        let (state, changes) = (&mut *self.state, &mut self.changes);
        let mut identity = state.identities.remove(&key).unwrap_or_default();
        let default = Deals::default();
        let deals = state.deals.get(&key.0).unwrap_or(&default);
        let now = Context {
            tenant: key.0,
            identity: key.1,
            deals,
            sealed: state.sealed,
            lookback_secs_max: state.lookback_secs_max,
        };
        let then = Context {
            deals: self.deals_before.get(&key.0).unwrap_or(deals),
            sealed: self.sealed_before,
            ..now
        };
        let all = all || changes_all(changes);
        let removed = conversions_of(changes, -1);
        let added = conversions_of(changes, 1);
        index_uses(&mut state.uses, key.0, changes);
        let mut standing = identity.affected(changes, &now, all);
        standing.retain(|conversion| !removed.contains(conversion));
        for conversion in standing.iter().chain(&removed) {
            identity.emit(conversion, &then, -1, self.out);
        }
        identity.apply(changes.drain(..), now.deals, all);
        for conversion in standing.iter().chain(&added) {
            identity.emit(conversion, &now, 1, self.out);
        }
        for conversion in &added {
            let day = state.days.entry(conversion.time.day()).or_default();
            day.insert(key);
        }
        if !identity.is_empty() {
            state.identities.insert(key, identity);
        }
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

fn conversions_of(changes: &[(Identified, i64)], sign: i64) -> Vec<Sale> {
    changes
        .iter()
        .filter(|(_, diff)| diff.signum() == sign)
        .filter_map(|(change, _)| match change {
            Identified::Conversion(conversion) => Some(*conversion),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests;
