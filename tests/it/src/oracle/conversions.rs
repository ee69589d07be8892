//! Choices 9 to 12: signals become conversions.

use std::collections::BTreeMap;

use hostread_schemas::event::IpClass;
use hostread_schemas::fact::{SignalFact, SignalKind};
use hostread_schemas::{
    CodeId, ConversionId, Currency, EventId, EventTimeMs, HouseholdId, MoneyMicros, StoreId,
};

use super::{At, Tenant};

/// An order, lead or sale.
#[derive(Clone, Debug)]
pub(crate) struct Conversion {
    pub(crate) id: ConversionId,
    pub(crate) store: StoreId,
    pub(crate) kind: SignalKind,
    pub(crate) time: EventTimeMs,
    /// None unless its address is residential.
    pub(crate) household: HouseholdId,
    /// After refunds.
    pub(crate) value: MoneyMicros,
    pub(crate) refunded: MoneyMicros,
    pub(crate) currency: Currency,
    pub(crate) code: CodeId,
    pub(crate) signals: u32,
}

type Signals = Vec<(At, SignalFact)>;

/// Every conversion of a tenant.
pub(crate) fn conversions(tenant: &Tenant) -> Vec<Conversion> {
    let aliases = aliases(tenant);
    let mut orders: BTreeMap<(StoreId, ConversionId), Signals> = BTreeMap::new();
    let mut rest: BTreeMap<(StoreId, HouseholdId, SignalKind, MoneyMicros, Currency), Signals> =
        BTreeMap::new();
    for (at, signal) in &tenant.signals {
        if matches!(signal.kind, SignalKind::PixelVisit | SignalKind::PixelCart) {
            continue;
        }
        let reference = if signal.order_name.is_some() {
            signal.order_name
        } else {
            signal.order_id
        };
        if reference.is_some() {
            let order = aliases
                .get(&(signal.store, reference))
                .copied()
                .unwrap_or(reference);
            orders
                .entry((signal.store, order))
                .or_default()
                .push((*at, *signal));
        } else if precedence(signal.kind).is_some() {
            let key = (
                signal.store,
                signal.household,
                signal.kind,
                signal.value,
                signal.currency,
            );
            rest.entry(key).or_default().push((*at, *signal));
        }
    }
    let mut conversions: Vec<Conversion> = orders
        .into_iter()
        .filter_map(|((_, order), signals)| merge(order, &signals))
        .collect();
    for ((_, household, ..), signals) in rest {
        let mut group: Signals = Vec::new();
        for (at, signal) in signals {
            let close = group
                .first()
                .is_some_and(|(first, _)| at.0.0 - first.0.0 <= 30 * 60 * 1000);
            if !(close && household.is_some()) {
                conversions.extend(unordered(&std::mem::take(&mut group)));
            }
            group.push((at, signal));
        }
        conversions.extend(unordered(&group));
    }
    conversions
}

/// Other references of an order (9).
fn aliases(tenant: &Tenant) -> BTreeMap<(StoreId, ConversionId), ConversionId> {
    let mut aliases: BTreeMap<(StoreId, ConversionId), ConversionId> = BTreeMap::new();
    for (_, signal) in &tenant.signals {
        if signal.order_id.is_some() && signal.order_name.is_some() {
            let name = aliases
                .entry((signal.store, signal.order_id))
                .or_insert(signal.order_name);
            *name = (*name).min(signal.order_name);
        }
    }
    aliases
}

/// Strongest first; refunds and cancels report no conversion.
fn precedence(kind: SignalKind) -> Option<u8> {
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

/// The conversion of signals without an order, its id made of the first (11).
fn unordered(signals: &Signals) -> Option<Conversion> {
    let EventId { hi, lo } = signals.first()?.0.1;
    let id = super::spread(hi ^ super::spread(lo ^ 0x9E37_79B9_7F4A_7C15));
    merge(ConversionId(id.max(1)), signals)
}

/// The conversion of an order's signals (10).
fn merge(id: ConversionId, signals: &Signals) -> Option<Conversion> {
    if signals
        .iter()
        .any(|(_, s)| s.test || s.kind == SignalKind::Cancel)
    {
        return None;
    }
    // Strongest first; among equals in order.
    let mut reports: Vec<(u8, At, SignalFact)> = signals
        .iter()
        .filter_map(|(at, signal)| Some((precedence(signal.kind)?, *at, *signal)))
        .collect();
    reports.sort_by_key(|(strength, at, _)| (*strength, *at));
    let (strongest, _, first) = reports.first()?;
    let time = reports
        .iter()
        .filter(|(strength, ..)| strength == strongest)
        .map(|(_, at, signal)| signal.placed_at.unwrap_or(at.0))
        .min()?;
    let mut stated: Option<(u8, MoneyMicros, Currency)> = None;
    for (strength, _, signal) in &reports {
        let better = stated.is_none_or(|(standing, ..)| *strength <= standing);
        if signal.has_value && better {
            stated = Some((*strength, signal.value, signal.currency));
        }
    }
    let (value, currency) = stated.map_or(
        (MoneyMicros(0), Currency::default()),
        |(_, value, currency)| (value, currency),
    );
    let refunded: i128 = signals
        .iter()
        .filter(|(_, s)| s.kind == SignalKind::Refund && s.currency == currency)
        .map(|(_, s)| i128::from(s.value.0))
        .sum();
    if refunded > 0 && refunded >= i128::from(value.0) {
        return None;
    }
    let address = reports
        .iter()
        .find(|(.., signal)| signal.household.is_some());
    let household = address
        .filter(|(.., signal)| signal.ip_class == IpClass::Residential)
        .map_or(HouseholdId::NONE, |(.., signal)| signal.household);
    let code = reports
        .iter()
        .find(|(.., signal)| signal.code.is_some())
        .map_or(CodeId::NONE, |(.., signal)| signal.code);
    Some(Conversion {
        id,
        store: first.store,
        kind: first.kind,
        time,
        household,
        value: MoneyMicros(i64::try_from(i128::from(value.0) - refunded).ok()?),
        refunded: MoneyMicros(i64::try_from(refunded).ok()?),
        currency,
        code,
        signals: signals.len() as u32,
    })
}
