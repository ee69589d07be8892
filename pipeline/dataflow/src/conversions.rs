//! Signals become conversions: one per order, whatever it was called and whoever reported it.
//!
//! ```text
//!   signals ----> [ by reference ] --aliases resolved--> [ by order or group ] ----> conversions
//! ```
//! Both boxes are reductions of small groups: an order has a handful of signals.

use hostread_rules::conversion::{Conversion, merge_order, merge_without_order};
use hostread_schemas::fact::{Fact, FactBody, SignalFact, SignalKind};
use hostread_schemas::{
    ConversionId, Currency, EventId, EventTimeMs, HouseholdId, MoneyMicros, StoreId, TenantId,
};
use serde::{Deserialize, Serialize};

use crate::by_tick::Stream;

type Signal = (EventTimeMs, EventId, SignalFact);
type Reference = (TenantId, StoreId, ConversionId);

/// What stands under a reference to an order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
enum Referred {
    /// The reference is another name of this order.
    Alias(ConversionId),
    /// A signal that names its order so.
    Signal(Signal),
}

/// What makes signals without an order one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
enum Group {
    Order(Reference),
    Alike(
        TenantId,
        StoreId,
        HouseholdId,
        SignalKind,
        MoneyMicros,
        Currency,
        EventId,
    ),
}

/// Conversions by tenant.
pub(crate) fn conversions<'s>(facts: &Stream<'s, Fact>) -> Stream<'s, (TenantId, Conversion)> {
    let signals = facts.clone().flat_map(|fact| match fact.body {
        FactBody::Signal(signal) if signal.kind != SignalKind::PixelVisit => {
            Some((fact.tenant, (fact.time, fact.id, signal)))
        }
        _ => None,
    });
    let referred = signals
        .clone()
        .flat_map(|(tenant, signal)| references(tenant, signal));
    let ordered = referred
        .reduce_named(
            "ResolveAliases",
            |reference: &Reference, items, out: &mut Vec<(_, i64)>| {
                resolve(reference.2, items, out);
            },
        )
        .map(|((tenant, store, _), (order, signal))| {
            (Group::Order((tenant, store, order)), signal)
        });
    let alike = signals.flat_map(|(tenant, signal)| alike(tenant, signal));
    ordered
        .concat(alike)
        .reduce_named("MergeSignals", |group, items, out: &mut Vec<(_, i64)>| {
            let mut signals: Vec<Signal> = items.iter().map(|(signal, _)| **signal).collect();
            signals.sort_unstable_by_key(|(time, id, _)| (*time, *id));
            match group {
                Group::Order((.., order)) => {
                    out.extend(merge_order(*order, &signals).map(|conversion| (conversion, 1)));
                }
                Group::Alike(..) => {
                    out.extend(merge_without_order(&signals).into_iter().map(|c| (c, 1)));
                }
            }
        })
        .map(|(group, conversion)| match group {
            Group::Order((tenant, ..)) | Group::Alike(tenant, ..) => (tenant, conversion),
        })
}

/// Where a signal stands, and the alias that it states.
fn references(tenant: TenantId, signal: Signal) -> Vec<(Reference, Referred)> {
    let fact = &signal.2;
    let store = fact.store;
    match (fact.order_name.is_some(), fact.order_id.is_some()) {
        (false, false) => Vec::new(),
        (true, false) => vec![((tenant, store, fact.order_name), Referred::Signal(signal))],
        (false, true) => vec![((tenant, store, fact.order_id), Referred::Signal(signal))],
        (true, true) => vec![
            (
                (tenant, store, fact.order_id),
                Referred::Alias(fact.order_name),
            ),
            ((tenant, store, fact.order_name), Referred::Signal(signal)),
        ],
    }
}

/// Signals under a reference go to its smallest alias, or stay.
fn resolve(
    reference: ConversionId,
    items: &[(&Referred, i64)],
    out: &mut Vec<((ConversionId, Signal), i64)>,
) {
    let mut order = reference;
    for (item, _) in items {
        match item {
            // Aliases sort before signals, smallest first.
            Referred::Alias(name) if order == reference => order = *name,
            Referred::Alias(_) => {}
            Referred::Signal(signal) => out.push(((order, *signal), 1)),
        }
    }
}

fn alike(tenant: TenantId, signal: Signal) -> Option<(Group, Signal)> {
    let (_, id, fact) = &signal;
    let conversion = matches!(
        fact.kind,
        SignalKind::Order
            | SignalKind::Redemption
            | SignalKind::PixelPurchase
            | SignalKind::PixelLead
    );
    if fact.order_name.is_some() || fact.order_id.is_some() || !conversion {
        return None;
    }
    let alone = if fact.household.is_some() {
        EventId::default()
    } else {
        *id
    };
    let group = Group::Alike(
        tenant,
        fact.store,
        fact.household,
        fact.kind,
        fact.value,
        fact.currency,
        alone,
    );
    Some((group, signal))
}
