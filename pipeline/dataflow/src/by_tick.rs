//! The one mechanism of our own operators: exchange by key, wait until a tick is complete, then let
//! plain code turn the tick's updates into output updates.
//!
//! ```text
//!   facts ---- exchange by route ----> [ buffer by tick ] --complete ticks, in order--> [ step ] ----> updates
//!   dimensions ---- to every worker ------^
//! ```
//! Needs: totally ordered ticks; updates whose time is their tick.
//! Promises: `step` sees each tick once, in order, its updates consolidated and sorted.
//! What `step` emits goes on as it is: a step that takes back and gives again consolidates.
//! Frontier: updates of tick t leave when both inputs have passed t.
//! Leaves out: state (it is `step`'s own; what it may hold is said by the operator that owns it).
//! Why not an arrangement: ADR 0003.

use std::collections::BTreeMap;
use std::rc::Rc;

use differential_dataflow::consolidation::consolidate;
use differential_dataflow::{AsCollection, ExchangeData, VecCollection};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::operator::Operator;
use timely::dataflow::operators::vec::Broadcast;

use crate::sorted::consolidated;

/// A collection of ours: ticks are `u64`, multiplicities `i64`.
pub(crate) type Stream<'s, D> = VecCollection<'s, u64, D, i64>;

/// One tick's updates on their way to `step`.
struct Pending<I, D> {
    facts: Vec<(I, i64)>,
    dimensions: Vec<(D, i64)>,
    capability: Capability<u64>,
}

/// What waits for a tick to be complete.
fn work_of<I, D>(
    pending: &mut BTreeMap<u64, Pending<I, D>>,
    tick: u64,
    capability: impl FnOnce() -> Capability<u64>,
) -> &mut Pending<I, D> {
    pending.entry(tick).or_insert_with(|| Pending {
        facts: Vec::new(),
        dimensions: Vec::new(),
        capability: capability(),
    })
}

/// Runs `step(tick, facts, dimensions, out)` for every complete tick that has updates. A fact goes to the worker of its `route`;
/// facts are sorted, and `lead` is what their order begins with.
pub(crate) fn by_tick<'s, I, D, O, R, L, S>(
    facts: Stream<'s, I>,
    dimensions: Stream<'s, D>,
    name: &str,
    route: R,
    lead: L,
    mut step: S,
) -> Stream<'s, O>
where
    I: ExchangeData,
    D: ExchangeData,
    O: differential_dataflow::Data,
    R: Fn(&I) -> u64 + 'static,
    L: Fn(&I) -> u128 + 'static,
    S: FnMut(u64, Vec<(I, i64)>, Vec<(D, i64)>, &mut Vec<(O, i64)>) + 'static,
{
    let pact = Exchange::new(move |(fact, _, _): &(I, u64, i64)| route(fact));
    let broadcast = dimensions.inner.broadcast();
    facts
        .inner
        .binary_frontier::<_, CapacityContainerBuilder<Vec<(O, u64, i64)>>, _, _, _, _>(
            broadcast,
            pact,
            Pipeline,
            name,
            move |_capability, _info| {
                let mut pending: BTreeMap<u64, Pending<I, D>> = BTreeMap::new();
                let mut out = Vec::new();
                move |(facts, facts_frontier), (dimensions, dimensions_frontier), output| {
                    facts.for_each(|capability, data| {
                        let runs = data.chunk_by(|(_, a, _), (_, b, _)| a == b);
                        let runs = runs.filter_map(|run| Some((run.first()?.1, run.len())));
                        let runs: Vec<(u64, usize)> = runs.collect();
                        let mut rest = data.drain(..);
                        for (tick, len) in runs {
                            let work = work_of(&mut pending, tick, || capability.delayed(&tick, 0));
                            let run = rest.by_ref().take(len);
                            work.facts.extend(run.map(|(fact, _, diff)| (fact, diff)));
                        }
                    });
                    dimensions.for_each(|capability, data| {
                        for (change, tick, diff) in data.drain(..) {
                            let work = work_of(&mut pending, tick, || capability.delayed(&tick, 0));
                            work.dimensions.push((change, diff));
                        }
                    });
                    let complete = |tick: u64| {
                        !facts_frontier.less_equal(&tick) && !dimensions_frontier.less_equal(&tick)
                    };
                    while let Some(entry) = pending.first_entry() {
                        if !complete(*entry.key()) {
                            break;
                        }
                        let (tick, mut work) = entry.remove_entry();
                        let facts: Vec<(I, i64)> = consolidated(work.facts, &lead).collect();
                        debug_assert!(
                            facts.is_sorted_by(|(a, _), (b, _)| a < b),
                            "their order begins with another lead"
                        );
                        consolidate(&mut work.dimensions);
                        step(tick, facts, work.dimensions, &mut out);
                        let mut session = output.session(&work.capability);
                        for (datum, diff) in out.drain(..) {
                            session.give((datum, tick, diff));
                        }
                    }
                }
            },
        )
        .as_collection()
}

/// Versions by (time, event id), and how often each lives.
type Versions<V> = Rc<BTreeMap<(i64, u64, u64, V), i64>>;

/// The live versions of a reference fact; the latest by (time, event id) stands. A clone shares all that does not change
/// after it.
#[derive(Clone, Debug)]
pub(crate) struct Latest<K: Ord, V: Ord> {
    versions: Rc<BTreeMap<K, Versions<V>>>,
}

impl<K: Ord, V: Ord> Default for Latest<K, V> {
    fn default() -> Self {
        Self {
            versions: Rc::default(),
        }
    }
}

impl<K: Ord + Clone, V: Ord + Clone> Latest<K, V> {
    /// Adds or takes away a version.
    pub(crate) fn update(
        &mut self,
        key: K,
        fact: &hostread_schemas::fact::Fact,
        value: V,
        diff: i64,
    ) {
        let version = (fact.time.0, fact.id.hi, fact.id.lo, value);
        let all = Rc::make_mut(&mut self.versions);
        let versions = Rc::make_mut(all.entry(key.clone()).or_default());
        let count = versions.entry(version).or_insert(0);
        *count += diff;
        versions.retain(|_, count| *count != 0);
        if versions.is_empty() {
            all.remove(&key);
        }
    }

    /// The version that stands.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.versions
            .get(key)?
            .last_key_value()
            .map(|(version, _)| &version.3)
    }

    /// Every key with the version that stands.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.versions
            .iter()
            .filter_map(|(key, versions)| versions.last_key_value().map(|(v, _)| (key, &v.3)))
    }
}
