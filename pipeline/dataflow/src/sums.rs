//! Sums that move together are one difference of one key; each is a row of its own.
//!
//! Needs: sums by key, what goes before what comes in its place. Promises: a row that a change leaves as it is neither goes nor comes.
//! Leaves out: what is summed.

use differential_dataflow::difference::{IsZero, Multiply, Semigroup};
use differential_dataflow::{AsCollection, Data};
use hostread_schemas::event::{ByModel, Model};
use hostread_schemas::view::ViewRow;
use serde::{Deserialize, Serialize};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Operator;

use crate::by_tick::Stream;

/// Credits and money under every model: they come and go together, so they are one difference.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
pub(crate) struct Amounts {
    pub(crate) credit_micros: ByModel,
    pub(crate) money_micros: ByModel,
}

impl Amounts {
    /// (credit, money) under each model, in the order of `Model::ALL`.
    pub(crate) fn by_model(self) -> [(i64, i64); Model::ALL.len()] {
        std::array::from_fn(|at| (self.credit_micros[at], self.money_micros[at]))
    }

    fn cells(&mut self) -> impl Iterator<Item = &mut i64> {
        self.credit_micros.iter_mut().chain(&mut self.money_micros)
    }
}

impl IsZero for Amounts {
    fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

impl Semigroup for Amounts {
    fn plus_equals(&mut self, other: &Self) {
        let more = other.credit_micros.iter().chain(&other.money_micros);
        for (cell, more) in self.cells().zip(more) {
            *cell += more;
        }
    }
}

impl Multiply<i64> for Amounts {
    type Output = Self;

    fn multiply(mut self, times: &i64) -> Self {
        for cell in self.cells() {
            *cell *= times;
        }
        self
    }
}

/// The rows of sums: `amounts` of a sum that are not zero, each made a `row` by its place among them.
pub(crate) fn rows_that_differ<K, S, A, const N: usize>(
    sums: Stream<'_, (K, S)>,
    amounts: impl Fn(S) -> [A; N] + 'static,
    row: impl Fn(&K, usize, A) -> ViewRow + 'static,
) -> Stream<'_, ViewRow>
where
    K: Data,
    S: Data,
    A: Copy + Default + PartialEq + 'static,
{
    let rows = sums.inner.unary(Pipeline, "RowsThatDiffer", |_, _| {
        move |input, output| {
            input.for_each(|capability, updates| {
                let mut session = output.session(&capability);
                let mut updates = updates.drain(..).peekable();
                while let Some(((key, sum), tick, diff)) = updates.next() {
                    let replaced = updates.next_if(|((next, _), at, other)| {
                        *next == key && *at == tick && *other == -diff
                    });
                    let beside = replaced.map_or([A::default(); N], |((_, sum), ..)| amounts(sum));
                    for (at, (one, other)) in amounts(sum).into_iter().zip(beside).enumerate() {
                        for (amount, diff) in [(one, diff), (other, -diff)] {
                            if one != other && amount != A::default() {
                                session.give((row(&key, at, amount), tick, diff));
                            }
                        }
                    }
                }
            });
        }
    });
    rows.as_collection()
}
