//! Signals become conversions: one per order, whatever it was called and whoever reported it.
//!
//! ```text
//!   signals ----> [ by reference ] --aliases resolved--> [ by order or group ] ----> conversions
//! ```
//! Both boxes are reductions of small groups: an order has a handful of signals.
//!
//! A signal is released with its day, a conversion with the last of its signals' days and its own.
//! Invariant 1: signals of a conversion that have an earlier day leave a carry that lasts until then,
//! so that a release takes whole conversions.

use hostread_rules::conversion::{
    Alike, Conversion, alike, conversion_id, groups_without_order, merge_order, reference,
};
use hostread_schemas::fact::{Carry, Fact, FactBody, SignalFact};
use hostread_schemas::{ConversionId, Day, EventId, EventTimeMs, StoreId, TenantId};
use serde::{Deserialize, Serialize};

use crate::by_tick::Stream;

/// A signal and the day that it is released with.
type Signal = (EventTimeMs, EventId, SignalFact, Day);

/// What signals become.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub(crate) enum Merged {
    /// A conversion and the day that it is released with.
    Conversion(Conversion, Day),
    /// What stands for a signal when its day is released.
    Kept(Day, Carry),
}

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
    Alike(TenantId, Alike),
}

/// Conversions by tenant.
pub(crate) fn conversions<'s>(facts: &Stream<'s, Fact>) -> Stream<'s, (TenantId, Merged)> {
    let signals = facts.clone().flat_map(|fact| match fact.body {
        FactBody::Signal(signal) if !signal.kind.is_visit() => {
            let day = fact.time.day();
            Some((fact.tenant, (fact.time, fact.id, signal, day)))
        }
        FactBody::Carry(Carry::Signal {
            until,
            time,
            id,
            signal,
        }) => Some((fact.tenant, (time, id, signal, until))),
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
    let alike = signals.flat_map(|(tenant, signal)| {
        let alike = alike(signal.1, &signal.2)?;
        Some((Group::Alike(tenant, alike), signal))
    });
    ordered
        .concat(alike)
        .reduce_named("MergeSignals", |group, items, out: &mut Vec<(_, i64)>| {
            let mut signals: Vec<Signal> = items.iter().map(|(signal, _)| **signal).collect();
            signals.sort_unstable_by_key(|(time, id, ..)| (*time, *id));
            merge(group, &signals, out);
        })
        .map(|(group, merged)| match group {
            Group::Order((tenant, ..)) | Group::Alike(tenant, ..) => (tenant, merged),
        })
}

/// The conversions of a group and what must outlive their signals.
fn merge(group: &Group, signals: &[Signal], out: &mut Vec<(Merged, i64)>) {
    let plain: Vec<_> = signals
        .iter()
        .map(|(time, id, signal, _)| (*time, *id, *signal))
        .collect();
    let parts = match group {
        Group::Order(_) => vec![plain.as_slice()],
        Group::Alike(..) => groups_without_order(&plain),
    };
    let mut rest = signals;
    for part in parts {
        let order = match (group, part.first()) {
            (Group::Order((.., order)), _) => *order,
            (Group::Alike(..), Some((_, id, _))) => conversion_id(*id),
            (Group::Alike(..), None) => continue,
        };
        let (own, after) = rest.split_at(part.len().min(rest.len()));
        rest = after;
        let conversion = merge_order(order, part);
        let days = own.iter().map(|(.., day)| *day);
        let Some(until) = days.chain(conversion.iter().map(|c| c.time.day())).max() else {
            continue;
        };
        out.extend(conversion.map(|conversion| (Merged::Conversion(conversion, until), 1)));
        for (time, id, signal, day) in own.iter().filter(|(.., day)| *day < until) {
            let carry = Carry::Signal {
                until,
                time: *time,
                id: *id,
                signal: *signal,
            };
            out.push((Merged::Kept(*day, carry), 1));
        }
    }
}

/// Where a signal stands, and the alias that it states.
fn references(tenant: TenantId, signal: Signal) -> Vec<(Reference, Referred)> {
    let fact = &signal.2;
    let under = |reference| (tenant, fact.store, reference);
    let own = reference(fact);
    let mut all = Vec::new();
    // An order may have one text as id and name: then it is its own alias.
    if fact.order_id.is_some() && fact.order_name.is_some() {
        all.push((under(fact.order_id), Referred::Alias(fact.order_name)));
    }
    if own.is_some() {
        all.push((under(own), Referred::Signal(signal)));
    }
    all
}

/// Signals under a reference go to its smallest alias, or stay.
fn resolve(
    reference: ConversionId,
    items: &[(&Referred, i64)],
    out: &mut Vec<((ConversionId, Signal), i64)>,
) {
    let mut alias = None;
    for (item, _) in items {
        match item {
            // Aliases sort before signals, smallest first.
            Referred::Alias(name) => alias = alias.or(Some(*name)),
            Referred::Signal(signal) => out.push(((alias.unwrap_or(reference), *signal), 1)),
        }
    }
}
