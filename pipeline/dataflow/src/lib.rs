//! The dataflow: live facts in, rows of the maintained views out. A pure function of (live facts, tick).
//!
//! Needs: facts with multiplicity ±1 per event (the head sees to that), ticks in order, an hourly clock.
//! Promises: the same facts and ticks give the same changes, whatever the number of workers.
//! Leaves out: files, sockets, clocks, topics, tables; what is published or sealed ([`ledger`]).
//!
//! The whole of it:
//! ```text
//!  requests, impressions ─► count ─┬─► verdicts, downloads ─► downloads_daily ─► series (show) ─┐
//!   (rules, agents, catalog, deals)│                                                            ├─► anomalies
//!                                  ├─► presence ─► shared households ─┐     series (campaign) ──┘
//!                                  └─► deliveries ─┬─► touches ───────┤            ▲
//!                                                  │                  ▼            │
//!  signals ─► conversions (aliases, merge) ────────┼────────────► nearest_k ──┬────┴─► conversions, credits
//!                                                  ▼        (deals, receipts) └─► attribution_daily
//!                              delivery_daily ─► line numbers ─► pacing, billing_lines   │
//!                                                  ▲──────────── credits of CPA lines ◄──┘
//! ```
//! Boxes of ours (`count`, `shared households`, `nearest_k`, `line numbers`, `anomalies`) are one
//! mechanism, [`by_tick`]; everything between them is differential's own.

mod by_tick;
mod catalog;
pub mod changes;
mod conversions;
mod count;
mod counted;
mod deals;
mod households;
mod keyed;
pub mod ledger;
mod lines;
mod nearest_k;
mod output;
mod parts;
mod recount;
mod rollups;
mod run;
mod series;
mod sorted;
mod sums;

use std::sync::Arc;

use differential_dataflow::AsCollection;
use differential_dataflow::input::{Input, InputSession};
use hostread_rules::publish::Horizons;
use hostread_schemas::EventTimeMs;
use hostread_schemas::event::IpClass;
use hostread_schemas::fact::{Carry, Fact, FactBody, RetentionClass};
use timely::dataflow::Scope;
use timely::dataflow::operators::core::OkErr;

pub use output::{Material, Output};
pub use recount::Recount;
pub use run::{Dataflow, OutputUpdate};

use by_tick::Stream;
use conversions::Merged;
use count::ExposureFact;
use nearest_k::{Credited, Identified, Sale, Setting, Touch};
use parts::{Parts, parts};

/// What a worker feeds.
pub(crate) struct Inputs {
    /// Facts.
    pub(crate) facts: InputSession<u64, Fact, i64>,
    /// The clock, whenever an hour has begun.
    pub(crate) clock: InputSession<u64, EventTimeMs, i64>,
}

/// Builds the dataflow.
pub(crate) fn build(
    scope: Scope<'_, u64>,
    horizons: Horizons,
    recount: Arc<Recount>,
) -> (Inputs, Stream<'_, Output>) {
    let (facts_input, facts) = scope.new_collection::<Fact, i64>();
    let (clock_input, clock) = scope.new_collection::<EventTimeMs, i64>();
    let hours = clock.clone().map(EventTimeMs::hour);

    // Most facts are exposures: they go one way, and only the others are copied to whoever may want them.
    #[expect(clippy::result_large_err, reason = "the other way is no error")]
    let (exposures, facts) = either(facts, |fact| ExposureFact::of(&fact).ok_or(fact));
    let deals = facts.clone().filter(|fact| is_reference(&fact.body));
    let carries = facts.clone().flat_map(|fact| match fact.body {
        FactBody::Carry(carry) => Some((fact.tenant, carry)),
        _ => None,
    });

    let open = facts
        .clone()
        .filter(|fact| matches!(fact.body, FactBody::Carry(Carry::Windows { .. })));
    let counted = count::count(exposures, deals.clone().concat(open), recount);
    let Parts {
        outputs,
        downloads,
        deliveries,
        presence,
        rolled,
    } = parts(counted);

    let touches = deliveries
        .clone()
        .flat_map(|(tenant, delivered)| touch(tenant, &delivered));
    let merged = conversions::conversions(&facts);
    let kept_signals = merged.clone().flat_map(|(tenant, merged)| match merged {
        Merged::Kept(day, carry) => {
            let class = RetentionClass::Conversion;
            Some(Output::Material(Material {
                class,
                day,
                tenant,
                carry,
            }))
        }
        Merged::Conversion(..) => None,
    });
    let conversions = merged.flat_map(|(tenant, merged)| match merged {
        Merged::Conversion(conversion, until) => {
            let identity = if conversion.household.is_some() {
                conversion.household.0
            } else {
                conversion.conversion.0
            };
            let sale = Sale {
                of: conversion,
                until,
            };
            Some(((tenant, identity), Identified::Conversion(sale)))
        }
        Merged::Kept(..) => None,
    });
    let (presence, kept_presence) = households::presence(presence, &carries, &horizons);
    let shared = households::shared_households(presence, deals.clone())
        .map(|((tenant, household), day)| ((tenant, household.0), Identified::Shared(day)));
    let receipts = facts.clone().flat_map(|fact| match fact.body {
        FactBody::Carry(Carry::Receipt {
            conversion,
            time,
            identity,
            path,
            cut,
        }) => Some((
            (fact.tenant, identity),
            Identified::Receipt(conversion, (fact.time.day(), time), path, cut),
        )),
        _ => None,
    });
    let settings = deals
        .clone()
        .map(Setting::Deal)
        .concat(clock.map(move |clock| Setting::Sealed(horizons.sealed_through(clock))));
    let credited = nearest_k::nearest_k(
        touches.concat(conversions).concat(shared).concat(receipts),
        settings,
        i64::from(horizons.lookback_days) * 86_400,
    );

    // Rows and receipts go out; only what sums are made of is copied to each of them.
    let (conversions, credited) = either(credited, Credited::output);
    let rollups = rollups::rollups(&downloads, &deliveries, &credited, &carries, &deals, &hours);
    let outputs = outputs
        .concat(rollups::downloads_daily(&downloads, &rolled).map(Output::Row))
        .concat(conversions)
        .concat(rollups)
        .concat(kept_signals)
        .concat(kept_presence);
    (
        Inputs {
            facts: facts_input,
            clock: clock_input,
        },
        outputs,
    )
}

/// Sends each datum one of two ways, without a copy.
fn either<D, A, B>(
    all: Stream<'_, D>,
    way: impl Fn(D) -> Result<A, B> + 'static,
) -> (Stream<'_, A>, Stream<'_, B>)
where
    D: differential_dataflow::Data,
    A: differential_dataflow::Data,
    B: differential_dataflow::Data,
{
    let (one, other) = all
        .inner
        .ok_err(move |(datum, tick, diff)| match way(datum) {
            Ok(datum) => Ok((datum, tick, diff)),
            Err(datum) => Err((datum, tick, diff)),
        });
    (one.as_collection(), other.as_collection())
}

/// Facts that go to every worker.
fn is_reference(body: &FactBody) -> bool {
    !matches!(
        body,
        FactBody::Request(_) | FactBody::Impression(_) | FactBody::Signal(_) | FactBody::Carry(_)
    )
}

/// The touch of a delivery that a household can be matched by.
fn touch(
    tenant: hostread_schemas::TenantId,
    delivered: &counted::Delivered,
) -> Option<(nearest_k::IdentityKey, Identified)> {
    let delivery = &delivered.delivery;
    if delivery.ip_class != IpClass::Residential || !delivery.household.is_some() {
        return None;
    }
    let touch = Touch {
        secs: delivery.time.secs(),
        touch: delivered.touch,
        time: delivery.time,
        line: delivery.line,
        show: delivery.show,
    };
    Some(((tenant, delivery.household.0), Identified::Touch(touch)))
}
