//! What each channel gets of many journeys, under every model that looks at one journey at a time.
//!
//! Needs: journeys with the totals of their conversions and value in millionths; channels as small numbers.
//! Promises: the weights of [`attribution`](crate::attribution), integers only, whatever the order of the journeys and however
//! they are shared out. Leaves out: the names of channels, Markov.
//! Invariant 1: under each model the channels get exactly the totals of the journeys.
//! Invariant 2: one order of journeys gives what another gives.

use hostread_schemas::event::Model;

use crate::attribution::{TOUCHES_PER_CONVERSION_MAX, weigh};
use crate::custom::CustomModel;

/// The place of a custom model among what a channel got, behind those of [`Model::ALL`].
pub const CUSTOM: usize = Model::ALL.len();
const PLACES: usize = CUSTOM + 1;

/// Millionths with 64 binary places behind the point: many thirds add up to what they are.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct FineMicros(u128);

impl FineMicros {
    /// A whole number of millionths.
    #[must_use]
    pub const fn of_micros(micros: u64) -> Self {
        Self((micros as u128) << 64)
    }

    /// Whole millionths, and the rest in 2^-64 of one.
    #[must_use]
    pub const fn parts(self) -> (u64, u64) {
        ((self.0 >> 64) as u64, self.0 as u64)
    }

    /// This many of `sum` parts of it, cut. `sum` must not be 0.
    const fn part(micros: u64, weight: u64, sum: u64) -> Self {
        let product = micros as u128 * weight as u128;
        let (whole, rest) = (product / sum as u128, product % sum as u128);
        Self((whole << 64) | ((rest << 64) / sum as u128))
    }

    const fn plus(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }
}

/// Conversions and value of a channel under a model.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Given {
    /// Conversions.
    pub conversions: FineMicros,
    /// Money.
    pub value: FineMicros,
}

/// Journeys along one path, and what they came to.
#[derive(Clone, Copy, Debug)]
pub struct Journeys<'a> {
    /// Channels, oldest touch first; at most [`TOUCHES_PER_CONVERSION_MAX`].
    pub path: &'a [u32],
    /// Ages of the touches at the conversion; without them time-decay gives nothing, nor does a custom model that asks for them.
    pub ages_secs: Option<&'a [i64]>,
    /// How many converted, in millionths.
    pub conversions_micros: u64,
    /// What they brought.
    pub value_micros: u64,
}

/// What the models are told beside the journeys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Of time-decay.
    pub half_life_secs: i64,
    /// A model of one's own; without it its place stays empty.
    pub custom: Option<CustomModel>,
}

/// See the module. Sums saturate: a total beyond `u64` millionths must be refused by who counts it.
#[derive(Clone, Default, Debug)]
pub struct ChannelSums {
    channels: Vec<[Given; PLACES]>,
    weights: Vec<u64>,
}

impl ChannelSums {
    /// Credits a path's journeys under every model.
    pub fn add(&mut self, journeys: Journeys<'_>, settings: &Settings) {
        if journeys.conversions_micros == 0 && journeys.value_micros == 0 {
            return;
        }
        debug_assert!(journeys.path.len() <= TOUCHES_PER_CONVERSION_MAX);
        let mut weights = std::mem::take(&mut self.weights);
        let no_ages = [0; TOUCHES_PER_CONVERSION_MAX];
        let no_ages = no_ages.get(..journeys.path.len()).unwrap_or(&[]);
        let ages = journeys.ages_secs.unwrap_or(no_ages);
        let has_ages = journeys.ages_secs.is_some();
        for (place, model) in Model::ALL.into_iter().enumerate() {
            if has_ages || model != Model::TimeDecay {
                let half_life_secs = settings.half_life_secs;
                weigh(model, ages, journeys.path, half_life_secs, &mut weights);
                self.give(place, &weights, &journeys);
            }
        }
        if let Some(custom) = &settings.custom
            && (has_ages || !custom.needs_ages())
        {
            custom.weigh(ages, &mut weights);
            self.give(CUSTOM, &weights, &journeys);
        }
        self.weights = weights;
    }

    /// The first with a weight gets what the divisions cut off: under a millionth of a millionth.
    fn give(&mut self, place: usize, weights: &[u64], journeys: &Journeys<'_>) {
        // 256 weights of at most 2^30, of Shapley at most 2^56 together, of a custom model less than 2^50.
        let sum: u64 = weights.iter().sum();
        let part = |weight| Given {
            conversions: FineMicros::part(journeys.conversions_micros, weight, sum),
            value: FineMicros::part(journeys.value_micros, weight, sum),
        };
        let mut left = Given {
            conversions: FineMicros::of_micros(journeys.conversions_micros),
            value: FineMicros::of_micros(journeys.value_micros),
        };
        let mut first = None;
        let (mut weight_before, mut given) = (0, Given::default());
        for (channel, weight) in journeys
            .path
            .iter()
            .zip(weights)
            .filter(|(_, weight)| **weight > 0)
        {
            // Runs of equal weights are divided once.
            if *weight != weight_before {
                weight_before = *weight;
                given = part(*weight);
            }
            left.conversions.0 -= given.conversions.0;
            left.value.0 -= given.value.0;
            first = first.or(Some(*channel));
            self.credit(place, *channel, given);
        }
        if let Some(channel) = first {
            self.credit(place, channel, left);
        }
    }

    fn credit(&mut self, place: usize, channel: u32, given: Given) {
        let channel = channel as usize;
        if channel >= self.channels.len() {
            self.channels.resize(channel + 1, Default::default());
        }
        let models = self.channels.get_mut(channel);
        if let Some(cell) = models.and_then(|models| models.get_mut(place)) {
            cell.conversions = cell.conversions.plus(given.conversions);
            cell.value = cell.value.plus(given.value);
        }
    }

    /// Adds another's sums, whose channel `i` is `names[i]` here.
    pub fn join(&mut self, other: &Self, names: &[u32]) {
        for (models, channel) in other.channels.iter().zip(names) {
            for (place, given) in models.iter().enumerate() {
                self.credit(place, *channel, *given);
            }
        }
    }

    /// What a channel got, by the places of [`Model::ALL`], then under the [`CUSTOM`] model.
    #[must_use]
    pub fn of(&self, channel: u32) -> [Given; PLACES] {
        let models = self.channels.get(channel as usize);
        models.copied().unwrap_or_default()
    }
}

/// Leaves of a path what the models look at: the oldest touch and the nearest. Returns how many were cut.
pub fn cut<T>(path: &mut Vec<T>) -> usize {
    let cut = path.len().saturating_sub(TOUCHES_PER_CONVERSION_MAX);
    if cut > 0 {
        path.drain(1..=cut);
    }
    cut
}

#[cfg(test)]
mod tests;
