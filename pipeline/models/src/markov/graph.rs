//! A chain as numbers for the solvers: states in the order of their channels, those with one newest channel together.

use std::ops::Range;

use super::Chain;

/// States are numbered from 1; 0 is where journeys begin.
pub(super) struct Graph {
    /// Of each channel: the states where it is the newest.
    pub(super) groups: Vec<Range<usize>>,
    /// Where each state leads, and how often.
    pub(super) next: Vec<Vec<(usize, f64)>>,
    pub(super) conversions: Vec<f64>,
    pub(super) nulls: Vec<f64>,
    /// Journeys.
    conversions_all: u128,
    nulls_all: u128,
}

impl Graph {
    pub(super) fn new(chain: &Chain, channels: usize) -> Self {
        let sorted: Vec<usize> = chain.by_key.values().copied().collect();
        let mut number = vec![0; chain.states.len()];
        for (new, old) in sorted.iter().enumerate() {
            if let Some(number) = number.get_mut(*old) {
                *number = new;
            }
        }
        let mut graph = Self {
            groups: vec![0..0; channels],
            next: Vec::with_capacity(sorted.len()),
            conversions: Vec::with_capacity(sorted.len()),
            nulls: Vec::with_capacity(sorted.len()),
            conversions_all: 0,
            nulls_all: 0,
        };
        for (at, state) in sorted
            .iter()
            .filter_map(|old| chain.states.get(*old))
            .enumerate()
        {
            let newest = state.key.first().and_then(|channel| channel.checked_sub(1));
            let group = newest.and_then(|channel| graph.groups.get_mut(channel as usize));
            if let Some(group) = group {
                *group = if group.end == 0 { at } else { group.start }..at + 1;
            }
            let mut next: Vec<(usize, f64)> = state
                .next
                .iter()
                .map(|next| {
                    (
                        number.get(next.to).copied().unwrap_or(0),
                        next.weight as f64,
                    )
                })
                .collect();
            next.sort_unstable_by_key(|(to, _)| *to);
            graph.next.push(next);
            graph.conversions.push(state.conversions as f64);
            graph.nulls.push(state.nulls as f64);
            graph.conversions_all = graph.conversions_all.saturating_add(state.conversions);
            graph.nulls_all = graph.nulls_all.saturating_add(state.nulls);
        }
        graph
    }

    /// With the beginning.
    pub(super) fn states(&self) -> usize {
        self.next.len()
    }

    /// Journeys that convert, of all: what leaves a state is what comes to it, so that the chain's probability is the data's.
    pub(super) fn base_probability(&self) -> f64 {
        let all = self.conversions_all.saturating_add(self.nulls_all);
        if all == 0 {
            return 0.0;
        }
        self.conversions_all as f64 / all as f64
    }
}
