//! Removal effects by elimination of states, dense.
//!
//! Eliminating a state sends what enters it on to where it leads, in its proportions: what is left is the chain as seen by who
//! does not look at that state (Grassmann, Taksar and Heyman). Weights are only multiplied, divided and added.
//! The effect of a channel is read where all states but its own are eliminated: what comes to a conversion past them stands
//! beside what comes through them. Half of the channels are eliminated for the other half at a time, so that all effects cost
//! about twice what one costs.

use std::ops::Range;

use super::graph::Graph;

/// Below this a thread costs more than it saves.
const THREADED_STATES_MIN: usize = 64;

const CONVERSION: usize = 0;
const NULL: usize = 1;
/// Columns before those of the states. The row before theirs is the beginning's.
const ENDS: usize = 2;

/// A square of weights: row 0 is the beginning, row 1 + i state i; the columns are the ends, then the states.
struct Dense {
    states: usize,
    weights: Vec<f64>,
}

impl Dense {
    fn new(states: usize) -> Self {
        let weights = vec![0.0; (states + 1) * (states + ENDS)];
        Self { states, weights }
    }

    const fn width(&self) -> usize {
        self.states + ENDS
    }

    fn row(&self, row: usize) -> &[f64] {
        let from = row * self.width();
        self.weights.get(from..from + self.width()).unwrap_or(&[])
    }

    fn row_mut(&mut self, row: usize) -> &mut [f64] {
        let width = self.width();
        let from = row * width;
        self.weights.get_mut(from..from + width).unwrap_or(&mut [])
    }

    fn of(graph: &Graph) -> Self {
        let mut dense = Self::new(graph.states() - 1);
        let ends = graph.conversions.iter().zip(&graph.nulls);
        for (at, (next, (conversions, nulls))) in graph.next.iter().zip(ends).enumerate() {
            let row = dense.row_mut(at);
            set(row, CONVERSION, *conversions);
            set(row, NULL, *nulls);
            for (to, weight) in next {
                // States are numbered from 1.
                set(row, to + ENDS - 1, *weight);
            }
        }
        dense
    }

    /// The same with some of its states only, in their order, then others.
    fn in_order(&self, keep: Range<usize>, then: Range<usize>) -> Self {
        let order: Vec<usize> = keep.chain(then).collect();
        let mut dense = Self::new(order.len());
        for row in 0..=order.len() {
            let old = match row.checked_sub(1) {
                Some(state) => order.get(state).map_or(0, |old| old + 1),
                None => 0,
            };
            let from = self.row(old);
            let to = dense.row_mut(row);
            let columns = (0..ENDS).chain(order.iter().map(|old| old + ENDS));
            for (cell, column) in to.iter_mut().zip(columns) {
                *cell = from.get(column).copied().unwrap_or(0.0);
            }
        }
        dense
    }

    /// Eliminates all states behind the first `keep`.
    fn eliminate_behind(&mut self, keep: usize) {
        let width = self.width();
        for state in (keep..self.states).rev() {
            let (before, own) = self.weights.split_at_mut((state + 1) * width);
            // Of the state's row what is left: ends and states before it. A way back to itself changes nothing.
            let own = own.get(..ENDS + state).unwrap_or(&[]);
            let out: f64 = own.iter().sum();
            if out <= 0.0 {
                continue;
            }
            for row in before.chunks_exact_mut(width) {
                let entering = row.get(ENDS + state).copied().unwrap_or(0.0);
                if entering > 0.0 {
                    let times = entering / out;
                    for (cell, on) in row.iter_mut().zip(own) {
                        *cell += times * on;
                    }
                }
            }
        }
    }

    /// The chain as seen by who looks at the states `keep` only.
    fn censored(&self, keep: Range<usize>, dropped: Range<usize>) -> Self {
        let kept = keep.len();
        let mut dense = self.in_order(keep, dropped);
        dense.eliminate_behind(kept);
        dense.in_order(0..kept, 0..0)
    }

    /// The effect of the channel whose states are all that are left.
    fn effect(mut self) -> f64 {
        let past = std::mem::take(self.row_mut(0).first_mut().unwrap_or(&mut 0.0));
        self.eliminate_behind(0);
        let through = self.row(0).first().copied().unwrap_or(0.0);
        if through > 0.0 {
            through / (past + through)
        } else {
            0.0
        }
    }
}

fn set(row: &mut [f64], column: usize, weight: f64) {
    if let Some(cell) = row.get_mut(column) {
        *cell = weight;
    }
}

/// Of every channel.
pub(super) fn effects(graph: &Graph, threads: usize) -> Vec<f64> {
    let mut effects = vec![0.0; graph.groups.len()];
    let present = graph
        .groups
        .iter()
        .enumerate()
        .filter(|(_, states)| !states.is_empty());
    let (channels, sizes): (Vec<usize>, Vec<usize>) = present
        .map(|(channel, states)| (channel, states.len()))
        .unzip();
    let mut found = vec![0.0; channels.len()];
    if !channels.is_empty() {
        halve(Dense::of(graph), &sizes, &mut found, threads);
    }
    for (channel, effect) in channels.iter().zip(found) {
        if let Some(place) = effects.get_mut(*channel) {
            *place = effect;
        }
    }
    effects
}

/// `sizes`: how many states each channel has; they stand in that order.
fn halve(dense: Dense, sizes: &[usize], found: &mut [f64], threads: usize) {
    if let [one] = found {
        *one = dense.effect();
        return;
    }
    let half = sizes.len() / 2;
    let (first_sizes, second_sizes) = sizes.split_at(half);
    let (first_found, second_found) = found.split_at_mut(half);
    let middle: usize = first_sizes.iter().sum();
    let (states, each) = (dense.states, threads / 2);
    let mut first = || {
        let dense = dense.censored(0..middle, middle..states);
        halve(dense, first_sizes, first_found, each);
    };
    let mut second = || {
        let dense = dense.censored(middle..states, 0..middle);
        halve(dense, second_sizes, second_found, each);
    };
    if threads > 1 && states >= THREADED_STATES_MIN {
        std::thread::scope(|scope| {
            scope.spawn(first);
            second();
        });
    } else {
        first();
        second();
    }
}
