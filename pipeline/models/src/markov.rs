//! Attribution by a Markov chain of order 1 to 3, solved exactly.
//!
//! A state is the last `order` channels of a journey, nothing standing before the first. Journeys go from the state without
//! channels to a conversion or to nothing, with the frequencies of the data. The removal effect of a channel is the share of
//! conversions that is lost when whatever would enter a state with it is lost; that is when its touch would come, since a state
//! holds a channel only behind a state where it is the newest.
//!
//! Promises: the probability of a conversion is that of the data, whatever the order: the chain's flows are the data's. Effects
//! are found without a subtraction, so that each is exact to the last few of 53 bits and 0 is 0: `eliminate` for small chains,
//! `push` for large ones. Invariant 1: what comes out depends on the sums of the paths only. Invariant 2: an effect is in [0, 1].

mod eliminate;
mod graph;
mod push;

use std::collections::BTreeMap;

use graph::Graph;

/// States are the last three channels at most.
pub const ORDER_MAX: usize = 3;
/// What a chain may hold, 40 bytes each. Too small: an order of 3 is refused for real data. Too large: a file of noise fills memory.
pub const TRANSITIONS_MAX: usize = 1 << 22;
/// Channels that can be solved. Their number is squared at least: beyond this a solution takes minutes.
pub const CHANNELS_MAX: usize = 4_096;
/// Chains up to this are solved by elimination, which takes no longer for one that mixes slowly.
const ELIMINATED_STATES_MAX: usize = 512;

/// Why there is no solution.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum MarkovError {
    /// Too many transitions.
    #[error("the paths make over {TRANSITIONS_MAX} transitions: a lower order has fewer")]
    Transitions,
    /// Too many channels.
    #[error("the paths have over {CHANNELS_MAX} channels")]
    Channels,
    /// The paths go in circles too long, or are too many for the steps that it may take.
    #[error("following the journeys to their end takes too long: a lower order may be solved")]
    Circles,
}

/// Newest channel first, each one above its number; 0 where there is none.
type Key = [u32; ORDER_MAX];

#[derive(Clone, Default, Debug)]
struct State {
    key: Key,
    /// By channel.
    next: Vec<Next>,
    conversions: u128,
    nulls: u128,
}

#[derive(Clone, Copy, Debug)]
struct Next {
    channel: u32,
    to: usize,
    weight: u128,
}

/// Counted journeys as a chain.
#[derive(Clone, Debug)]
pub struct Chain {
    order: usize,
    states: Vec<State>,
    by_key: BTreeMap<Key, usize>,
    transitions: usize,
}

/// What a chain says.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// Of a conversion.
    pub base_probability: f64,
    /// By channel.
    pub removal_effects: Vec<f64>,
}

impl Solution {
    /// Each channel's share of all conversions; nothing when no channel has an effect.
    #[must_use]
    pub fn shares(&self) -> Vec<f64> {
        let sum: f64 = self.removal_effects.iter().sum();
        let share = |effect: &f64| if sum > 0.0 { effect / sum } else { 0.0 };
        self.removal_effects.iter().map(share).collect()
    }
}

impl Chain {
    /// Without journeys; an order outside 1 to 3 is the nearest of them.
    #[must_use]
    pub fn new(order: usize) -> Self {
        Self {
            order: order.clamp(1, ORDER_MAX),
            states: vec![State::default()],
            by_key: BTreeMap::from([(Key::default(), 0)]),
            transitions: 0,
        }
    }

    /// Counts journeys along a path, oldest touch first: how many converted and how many ended without, in one unit.
    pub fn add(&mut self, path: &[u32], conversions: u64, nulls: u64) -> Result<(), MarkovError> {
        let weight = u128::from(conversions) + u128::from(nulls);
        if weight == 0 {
            return Ok(());
        }
        let mut at = 0;
        for channel in path {
            at = self.step(at, *channel, weight)?;
        }
        self.end(at, u128::from(conversions), u128::from(nulls));
        Ok(())
    }

    fn end(&mut self, at: usize, conversions: u128, nulls: u128) {
        if let Some(state) = self.states.get_mut(at) {
            state.conversions = state.conversions.saturating_add(conversions);
            state.nulls = state.nulls.saturating_add(nulls);
        }
    }

    /// Goes on from a state with a channel; returns where that leads.
    fn step(&mut self, at: usize, channel: u32, weight: u128) -> Result<usize, MarkovError> {
        let Some(state) = self.states.get_mut(at) else {
            return Ok(at);
        };
        let place = match state
            .next
            .binary_search_by_key(&channel, |next| next.channel)
        {
            Ok(place) => {
                let known = state.next.get_mut(place);
                return Ok(known.map_or(at, |next| {
                    next.weight = next.weight.saturating_add(weight);
                    next.to
                }));
            }
            Err(place) => place,
        };
        if self.transitions >= TRANSITIONS_MAX {
            return Err(MarkovError::Transitions);
        }
        self.transitions += 1;
        let [newest, before, _] = state.key;
        let mut key = [channel.saturating_add(1), newest, before];
        key.iter_mut().skip(self.order).for_each(|old| *old = 0);
        let to = self.state(key);
        let next = Next {
            channel,
            to,
            weight,
        };
        if let Some(state) = self.states.get_mut(at) {
            state.next.insert(place, next);
        }
        Ok(to)
    }

    fn state(&mut self, key: Key) -> usize {
        let new = self.states.len();
        let at = *self.by_key.entry(key).or_insert(new);
        if at == new {
            self.states.push(State {
                key,
                ..State::default()
            });
        }
        at
    }

    /// Adds another's journeys, whose channel `i` is `names[i]` here. Both have one order.
    pub fn join(&mut self, other: &Self, names: &[u32]) -> Result<(), MarkovError> {
        let name = |channel: u32| names.get(channel as usize).copied().unwrap_or(channel);
        for state in &other.states {
            let key = state.key.map(|channel| match channel.checked_sub(1) {
                Some(channel) => name(channel).saturating_add(1),
                None => 0,
            });
            let at = self.state(key);
            for next in &state.next {
                self.step(at, name(next.channel), next.weight)?;
            }
            self.end(at, state.conversions, state.nulls);
        }
        Ok(())
    }

    /// The effect of each of so many channels. Journeys of a large chain are followed for so many `steps_max` (a step is one of
    /// them on one transition, some nanoseconds), and never longer than 100,000 rounds.
    pub fn solve(
        &self,
        channels: usize,
        threads: usize,
        steps_max: u64,
    ) -> Result<Solution, MarkovError> {
        if channels > CHANNELS_MAX {
            return Err(MarkovError::Channels);
        }
        let graph = Graph::new(self, channels);
        let eliminated = self.order == 1 || graph.states() <= ELIMINATED_STATES_MAX;
        let removal_effects = if eliminated {
            eliminate::effects(&graph, threads)
        } else {
            push::effects(&graph, threads, steps_max)?
        };
        Ok(Solution {
            base_probability: graph.base_probability(),
            removal_effects,
        })
    }
}

#[cfg(test)]
mod tests;
