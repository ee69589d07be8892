//! Makes one conversion of the signals that report it (definitions 9 to 11).
//!
//! Needs: the signals of one order, or of one group without an order, in order (time, event id).
//! Promises: who says what does not depend on arrival. Leaves out: finding the order of a signal
//! (the alias of id and name), shared households, brands and codes.
//! Invariant 1: a conversion's `value` is at least 0 when the stated value is.
//! Invariant 2: a conversion's id is never 0.

use hostread_schemas::event::IpClass;
use hostread_schemas::fact::{SignalFact, SignalKind};
use hostread_schemas::{
    CodeId, ConversionId, Currency, EventId, EventTimeMs, HouseholdId, MoneyMicros, StoreId,
};
use serde::{Deserialize, Serialize};

/// Signals without an order that come no later than this after the first are one conversion.
pub const WITHOUT_ORDER_WINDOW_MS: i64 = 30 * 60 * 1000;

/// A signal with its place in the order.
pub type Signal = (EventTimeMs, EventId, SignalFact);

/// One order, lead or sale.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
pub struct Conversion {
    /// Its id: the order, or derived from the first signal.
    pub conversion: ConversionId,
    /// Store.
    pub store: StoreId,
    /// The strongest kind of signal that reports it.
    pub kind: SignalKind,
    /// When.
    pub time: EventTimeMs,
    /// Household; none unless its address is residential.
    pub household: HouseholdId,
    /// Value after refunds.
    pub value: MoneyMicros,
    /// What was given back in the value's currency; already taken off `value`.
    pub refunded: MoneyMicros,
    /// Currency of the value.
    pub currency: Currency,
    /// Promo code.
    pub code: CodeId,
    /// Signals it is made of, refunds included, visits not.
    pub signals: u32,
}

/// What makes signals without an order one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Alike {
    store: StoreId,
    household: HouseholdId,
    kind: SignalKind,
    value: MoneyMicros,
    currency: Currency,
    /// Without a household each is one of its own.
    alone: EventId,
}

/// What a signal is alike in; `None`: it names an order, or reports no conversion.
#[must_use]
pub fn alike(event: EventId, signal: &SignalFact) -> Option<Alike> {
    if reference(signal).is_some() || strength(signal.kind).is_none() {
        return None;
    }
    let alone = if signal.household.is_some() {
        EventId::default()
    } else {
        event
    };
    Some(Alike {
        store: signal.store,
        household: signal.household,
        kind: signal.kind,
        value: signal.value,
        currency: signal.currency,
        alone,
    })
}

/// What a signal calls its order by: its name, or else its id.
#[must_use]
pub const fn reference(signal: &SignalFact) -> ConversionId {
    if signal.order_name.is_some() {
        signal.order_name
    } else {
        signal.order_id
    }
}

/// Strength of a kind of signal, strongest first; none: it reports no conversion.
#[must_use]
pub const fn strength(kind: SignalKind) -> Option<u8> {
    match kind {
        SignalKind::Order => Some(0),
        SignalKind::Redemption => Some(1),
        SignalKind::PixelPurchase => Some(2),
        SignalKind::PixelLead => Some(3),
        SignalKind::Refund
        | SignalKind::Cancel
        | SignalKind::PixelVisit
        | SignalKind::PixelCart => None,
    }
}

/// The conversion of one order, if it is one.
#[must_use]
pub fn merge_order(
    conversion: ConversionId,
    signals: &[(EventTimeMs, EventId, SignalFact)],
) -> Option<Conversion> {
    let facts = || signals.iter().map(|(_, _, signal)| signal);
    if facts().any(|signal| signal.test || signal.kind == SignalKind::Cancel) {
        return None;
    }
    let reports = || facts().filter_map(|signal| Some((strength(signal.kind)?, signal)));
    // `min_by_key` keeps the first of equals; reversed, the last.
    let (_, strongest) = reports().min_by_key(|report| report.0)?;
    let valued = reports()
        .rev()
        .filter(|(_, signal)| signal.has_value)
        .min_by_key(|report| report.0);
    let placed = reports()
        .filter(|(_, signal)| signal.household.is_some())
        .min_by_key(|report| report.0);
    let coded = reports()
        .filter(|(_, signal)| signal.code.is_some())
        .min_by_key(|report| report.0);
    let time = signals
        .iter()
        .filter(|(_, _, signal)| signal.kind == strongest.kind)
        .map(|(time, _, signal)| match signal.kind {
            SignalKind::Order => signal.placed_at.unwrap_or(*time),
            _ => *time,
        })
        .min()?;

    let (stated, currency) = valued.map_or_else(Default::default, |(_, s)| (s.value, s.currency));
    let refunded = facts()
        .filter(|signal| signal.kind == SignalKind::Refund && signal.currency == currency)
        .fold(0_i64, |sum, signal| {
            sum.saturating_add(signal.value.0.max(0))
        });
    if refunded > 0 && refunded >= stated.0 {
        return None;
    }
    let counted = facts().filter(|signal| !signal.kind.is_visit());
    let merged = Conversion {
        conversion,
        store: strongest.store,
        kind: strongest.kind,
        time,
        household: placed
            .filter(|(_, signal)| signal.ip_class == IpClass::Residential)
            .map_or(HouseholdId::NONE, |(_, signal)| signal.household),
        value: MoneyMicros(stated.0.saturating_sub(refunded)),
        refunded: MoneyMicros(refunded),
        currency,
        code: coded.map_or(CodeId::NONE, |(_, signal)| signal.code),
        signals: u32::try_from(counted.count()).unwrap_or(u32::MAX),
    };
    debug_assert!(stated.0 < 0 || merged.value.0 >= 0, "invariant 1");
    Some(merged)
}

/// The conversions of one (store, household, kind, value, currency) without an order.
#[must_use]
pub fn merge_without_order(signals: &[Signal]) -> Vec<Conversion> {
    let merged = |group: &&[Signal]| merge_order(conversion_id(group.first()?.1), group);
    groups_without_order(signals)
        .iter()
        .filter_map(merged)
        .collect()
}

/// The signals of one (store, household, kind, value, currency) without an order, by conversion.
#[must_use]
pub fn groups_without_order(signals: &[Signal]) -> Vec<&[Signal]> {
    let mut groups = Vec::new();
    let mut rest = signals;
    while let Some((first, _, signal)) = rest.first() {
        let inside = |time: EventTimeMs| time.0.saturating_sub(first.0) <= WITHOUT_ORDER_WINDOW_MS;
        let taken = if signal.household.is_some() {
            rest.iter().take_while(|(time, _, _)| inside(*time)).count()
        } else {
            1
        };
        let (group, after) = rest.split_at(taken.clamp(1, rest.len()));
        groups.push(group);
        rest = after;
    }
    groups
}

/// Id of a conversion without an order, from its first signal.
#[must_use]
pub const fn conversion_id(first: EventId) -> ConversionId {
    let mixed = mix(first.hi ^ mix(first.lo ^ 0x9E37_79B9_7F4A_7C15));
    ConversionId(if mixed == 0 { 1 } else { mixed })
}

/// A bijection of 64 bits that spreads every bit (the finaliser of splitmix64).
pub(crate) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests;
