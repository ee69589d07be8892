//! Removal effects of large chains, by following journeys to their end.
//!
//! What waits at a state is sent on, state by state, until less than 2^-64 of it is still under way: with every round a share
//! of the journeys ends. A share of what waits that returns to where it is at once is sent on with the rest. What enters a
//! removed state is kept there; times the chance of a conversion from there it is what the removal loses.
//! Cost: transitions x rounds x channels.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::MarkovError;
use super::graph::Graph;

/// What may be left under way: beyond what 53 bits can tell.
const LEFT_MAX: f64 = 1.0 / (1_u128 << 64) as f64;
/// Rounds until a chain that goes in circles is given up.
const ROUNDS_MAX: u64 = 100_000;

/// A chain with shares in place of weights and no way from a state to itself.
struct Shares {
    /// Where the ways of each state begin; one more for the end of the last.
    starts: Vec<usize>,
    to: Vec<u32>,
    share: Vec<f64>,
    /// That it ends in a conversion.
    conversion: Vec<f64>,
    /// States as journeys come to them, those behind before those ahead where there are no circles: a round follows far.
    order: Vec<usize>,
}

impl Shares {
    fn new(graph: &Graph) -> Self {
        let mut shares = Self {
            starts: vec![0],
            to: Vec::new(),
            share: Vec::new(),
            conversion: Vec::new(),
            order: Vec::new(),
        };
        let ends = graph.conversions.iter().zip(&graph.nulls);
        for (at, (next, (conversions, nulls))) in graph.next.iter().zip(ends).enumerate() {
            let others = || next.iter().filter(|(to, _)| *to != at);
            let on: f64 = others().map(|(_, weight)| weight).sum();
            // Every state is on a path that ends, so something leaves it.
            let out = on + conversions + nulls;
            for (to, weight) in others() {
                shares.to.push(u32::try_from(*to).unwrap_or(u32::MAX));
                shares.share.push(weight / out);
            }
            shares.starts.push(shares.to.len());
            shares.conversion.push(conversions / out);
        }
        shares.order = shares.in_order();
        shares
    }

    /// A state comes before all that it leads to, as far as the circles let it: the reverse of leaving them in depth first.
    fn in_order(&self) -> Vec<usize> {
        let mut seen = vec![false; self.states()];
        let mut left = Vec::with_capacity(self.states());
        let mut open = vec![(0, self.starts.first().copied().unwrap_or(0))];
        seen.iter_mut().take(1).for_each(|seen| *seen = true);
        while let Some((at, way)) = open.last_mut() {
            let end = self.starts.get(*at + 1).copied().unwrap_or(0);
            if *way >= end {
                left.push(*at);
                open.pop();
                continue;
            }
            let to = self.to.get(*way).map_or(0, |to| *to as usize);
            *way += 1;
            if let Some(seen) = seen.get_mut(to).filter(|seen| !**seen) {
                *seen = true;
                open.push((to, self.starts.get(to).copied().unwrap_or(0)));
            }
        }
        left.reverse();
        left
    }

    fn states(&self) -> usize {
        self.conversion.len()
    }

    fn ways(&self, at: usize) -> impl Iterator<Item = (usize, f64)> {
        let range = match (self.starts.get(at), self.starts.get(at + 1)) {
            (Some(from), Some(to)) => *from..*to,
            _ => 0..0,
        };
        let to = self.to.get(range.clone()).unwrap_or(&[]);
        let share = self.share.get(range).unwrap_or(&[]);
        to.iter()
            .zip(share)
            .map(|(to, share)| (*to as usize, *share))
    }

    /// The chance of a conversion from each state.
    fn hopes(&self, rounds_max: u64) -> Result<Vec<f64>, MarkovError> {
        let mut hopes = vec![0.0; self.states()];
        // The chance that a journey is still under way, which bounds what a hope lacks.
        let mut open = vec![1.0; self.states()];
        for _ in 0..rounds_max {
            let mut open_max = 0.0_f64;
            for at in self.order.iter().rev().copied() {
                let (mut hope, mut under_way) = (0.0, 0.0);
                for (to, share) in self.ways(at) {
                    hope += share * hopes.get(to).copied().unwrap_or(0.0);
                    under_way += share * open.get(to).copied().unwrap_or(0.0);
                }
                if let (Some(old_hope), Some(old)) = (hopes.get_mut(at), open.get_mut(at)) {
                    *old_hope = hope + self.conversion.get(at).copied().unwrap_or(0.0);
                    *old = under_way;
                }
                open_max = open_max.max(under_way);
            }
            if open_max <= LEFT_MAX {
                return Ok(hopes);
            }
        }
        Err(MarkovError::Circles)
    }

    /// What enters the states of a channel first, by state; the rest is followed to its end.
    fn entering(
        &self,
        removed: &Range<usize>,
        rounds_max: u64,
        waiting: &mut Vec<f64>,
    ) -> Result<Vec<f64>, MarkovError> {
        let mut entered = vec![0.0; removed.len()];
        waiting.clear();
        waiting.resize(self.states(), 0.0);
        if let Some(start) = waiting.first_mut() {
            *start = 1.0;
        }
        for _ in 0..rounds_max {
            for at in self.order.iter().copied() {
                let here = waiting.get_mut(at).map_or(0.0, std::mem::take);
                if here == 0.0 {
                    continue;
                }
                for (to, share) in self.ways(at) {
                    let inside = to.checked_sub(removed.start);
                    let place = match inside.and_then(|inside| entered.get_mut(inside)) {
                        Some(place) => Some(place),
                        None => waiting.get_mut(to),
                    };
                    if let Some(place) = place {
                        *place += here * share;
                    }
                }
            }
            if waiting.iter().sum::<f64>() <= LEFT_MAX {
                return Ok(entered);
            }
        }
        Err(MarkovError::Circles)
    }
}

/// Of every channel, in so many steps at most.
pub(super) fn effects(
    graph: &Graph,
    threads: usize,
    steps_max: u64,
) -> Result<Vec<f64>, MarkovError> {
    let shares = Shares::new(graph);
    // All channels may take as many rounds, and so may the hopes.
    let a_round = (shares.to.len().max(1) as u64).saturating_mul(graph.groups.len() as u64 + 1);
    let rounds_max = ROUNDS_MAX.min(steps_max / a_round);
    let hopes = shares.hopes(rounds_max)?;
    let base = hopes.first().copied().unwrap_or(0.0);
    let effect = |removed: &Range<usize>, waiting: &mut Vec<f64>| {
        let entered = shares.entering(removed, rounds_max, waiting)?;
        let hopes = hopes.get(removed.clone()).unwrap_or(&[]);
        let lost: f64 = entered
            .iter()
            .zip(hopes)
            .map(|(entered, hope)| entered * hope)
            .sum();
        Ok(if lost > 0.0 {
            (lost / base).min(1.0)
        } else {
            0.0
        })
    };
    let turn = AtomicUsize::new(0);
    let work = || {
        let (mut found, mut waiting) = (Vec::new(), Vec::new());
        loop {
            let channel = turn.fetch_add(1, Ordering::Relaxed);
            let Some(removed) = graph.groups.get(channel) else {
                return Ok(found);
            };
            found.push((channel, effect(removed, &mut waiting)?));
        }
    };
    let found: Vec<Result<Vec<(usize, f64)>, MarkovError>> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.max(1)).map(|_| scope.spawn(work)).collect();
        let own = work();
        let joined = others.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        std::iter::once(own).chain(joined).collect()
    });
    let mut effects = vec![0.0; graph.groups.len()];
    for part in found {
        for (channel, effect) in part? {
            if let Some(place) = effects.get_mut(channel) {
                *place = effect;
            }
        }
    }
    Ok(effects)
}
