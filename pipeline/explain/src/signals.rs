//! Merges a tenant's signals to conversions once more (definitions 9 to 11).

use std::collections::BTreeMap;

use hostread_rules::conversion::{
    Alike, Conversion, alike, conversion_id, groups_without_order, merge_order, reference,
};
use hostread_schemas::fact::{Carry, FactBody, PathTouch, RetentionClass, SignalFact};
use hostread_schemas::{ConversionId, Day, EventId, EventTimeMs, StoreId, TenantId};

use crate::known::{Known, ReadError};

/// A signal, and whether its own day is released already.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Signal {
    pub(crate) time: EventTimeMs,
    pub(crate) event: EventId,
    pub(crate) fact: SignalFact,
    pub(crate) carried: bool,
}

/// Signals that are one order, lead or sale, and the conversion that they make, if they do.
#[derive(Clone, Debug)]
pub(crate) struct Merged {
    pub(crate) id: ConversionId,
    pub(crate) signals: Vec<Signal>,
    pub(crate) conversion: Option<Conversion>,
}

/// A path that was frozen.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    pub(crate) until: Day,
    pub(crate) time: EventTimeMs,
    pub(crate) identity: u64,
    pub(crate) path: Vec<PathTouch>,
    pub(crate) cut: u32,
}

/// Everything that signals say of a tenant's conversions.
#[derive(Default, Debug)]
pub(crate) struct Merging {
    pub(crate) merged: Vec<Merged>,
    pub(crate) receipts: BTreeMap<ConversionId, Vec<Receipt>>,
}

type Reference = (StoreId, ConversionId);
/// Reads and merges the signals of a tenant.
pub(crate) fn merged(known: &Known<'_>, tenant: TenantId) -> Result<Merging, ReadError> {
    let mut signals: Vec<Signal> = Vec::new();
    let mut merging = Merging::default();
    let class = RetentionClass::Conversion;
    for day in known.live.days(class) {
        known.live.facts(class, day, &mut |fact| {
            if fact.tenant != tenant {
                return;
            }
            match fact.body {
                FactBody::Signal(signal) => signals.push(Signal {
                    time: fact.time,
                    event: fact.id,
                    fact: signal,
                    carried: false,
                }),
                FactBody::Carry(Carry::Signal {
                    time, id, signal, ..
                }) => signals.push(Signal {
                    time,
                    event: id,
                    fact: signal,
                    carried: true,
                }),
                FactBody::Carry(Carry::Receipt {
                    conversion,
                    time,
                    identity,
                    path,
                    cut,
                }) => merging
                    .receipts
                    .entry(conversion)
                    .or_default()
                    .push(Receipt {
                        until: fact.time.day(),
                        time,
                        identity,
                        path,
                        cut,
                    }),
                _ => {}
            }
        })?;
    }
    signals.retain(|signal| !signal.fact.kind.is_visit());
    signals.sort_unstable_by_key(|signal| (signal.time, signal.event));
    merging.merged = merge(&signals);
    Ok(merging)
}

fn merge(signals: &[Signal]) -> Vec<Merged> {
    let mut aliases: BTreeMap<Reference, ConversionId> = BTreeMap::new();
    for signal in signals {
        let fact = &signal.fact;
        if fact.order_id.is_some() && fact.order_name.is_some() {
            let alias = aliases.entry((fact.store, fact.order_id));
            let known = alias.or_insert(fact.order_name);
            *known = (*known).min(fact.order_name);
        }
    }
    let mut orders: BTreeMap<Reference, Vec<Signal>> = BTreeMap::new();
    let mut groups: BTreeMap<Alike, Vec<Signal>> = BTreeMap::new();
    for signal in signals {
        let fact = &signal.fact;
        let own = reference(fact);
        if own.is_some() {
            let order = aliases.get(&(fact.store, own)).copied();
            let order = (fact.store, order.unwrap_or(own));
            orders.entry(order).or_default().push(*signal);
        } else if let Some(key) = alike(signal.event, fact) {
            groups.entry(key).or_default().push(*signal);
        }
    }
    let by_order = orders.into_iter().map(|((_, id), signals)| {
        let conversion = merge_order(id, &plain(&signals));
        Merged {
            id,
            signals,
            conversion,
        }
    });
    let alike = groups.into_values();
    let without = alike.flat_map(|signals| without_order(&signals));
    by_order.chain(without).collect()
}

fn without_order(signals: &[Signal]) -> Vec<Merged> {
    let all = plain(signals);
    let mut rest = signals;
    let groups = groups_without_order(&all);
    let one = groups.into_iter().filter_map(|group| {
        let (own, after) = rest.split_at(group.len().min(rest.len()));
        rest = after;
        let id = conversion_id(own.first()?.event);
        Some(Merged {
            id,
            signals: own.to_vec(),
            conversion: merge_order(id, group),
        })
    });
    one.collect()
}

pub(crate) fn plain(signals: &[Signal]) -> Vec<(EventTimeMs, EventId, SignalFact)> {
    signals
        .iter()
        .map(|signal| (signal.time, signal.event, signal.fact))
        .collect()
}
