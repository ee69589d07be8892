//! Gives a conversion's credit and money to its touches, under every model (definitions 13, 14).
//!
//! Needs: the path, oldest first, at most [`TOUCHES_PER_CONVERSION_MAX`] touches and the code's.
//! Promises: integers only. Leaves out: finding the path (`nearest_k`), roll-ups.
//! Invariant 1: the credits of a conversion with a path sum to 1,000,000 in each model.
//! Invariant 2: its money sums to its value after refunds in each model.
//! Invariant 3: what is left over goes to the largest remainders, ties to the earlier touch.

use hostread_schemas::event::{ByModel, Model};
use hostread_schemas::fact::PathTouch;
use hostread_schemas::{
    CREDIT_MICROS_PER_CONVERSION, CampaignId, ConversionId, EventId, EventTimeMs, LineId,
    MoneyMicros, ShowId,
};
use serde::{Deserialize, Serialize};

use crate::conversion::{Conversion, mix};

/// The oldest touch and the 255 nearest. Too small: long paths lose their middle. Too large: a hot
/// household costs its whole history per conversion.
pub const TOUCHES_PER_CONVERSION_MAX: usize = 256;
const WHOLE_CREDIT: i64 = CREDIT_MICROS_PER_CONVERSION as i64;
const _: () = assert!(TOUCHES_PER_CONVERSION_MAX as u64 <= CREDIT_MICROS_PER_CONVERSION);

/// Steps of the decay table in one half-life.
const DECAY_STEPS_PER_HALF_LIFE: i128 = 512;
/// floor(2^32 x 2^(-1/512)).
const DECAY_FACTOR: u64 = 4_289_156_690;
/// Steps until the weight is 0 for good.
const DECAY_STEPS: usize = 11_264;

static DECAY: [u32; DECAY_STEPS] = decay_table();

#[expect(clippy::large_stack_arrays, reason = "it runs at compile time")]
const fn decay_table() -> [u32; DECAY_STEPS] {
    let mut table = [0; DECAY_STEPS];
    let mut weight = 1_u64 << 30;
    let mut at = 0;
    while at < DECAY_STEPS {
        table[at] = weight as u32;
        weight = (weight * DECAY_FACTOR) >> 32;
        at += 1;
    }
    assert!(weight == 0, "weights beyond the table are 0");
    table
}

/// Weight of a touch in the decay model. Ages below 0 are 0; a half-life below 1 s is 1 s.
fn decay_weight(age_secs: i64, half_life_secs: i64) -> u64 {
    let steps =
        i128::from(age_secs.max(0)) * DECAY_STEPS_PER_HALF_LIFE / i128::from(half_life_secs.max(1));
    let at = usize::try_from(steps).unwrap_or(usize::MAX);
    DECAY.get(at).copied().map_or(0, u64::from)
}

/// The weights of a path under a model, from the ages and the channels of its touches, oldest first.
#[must_use]
pub fn weights<C: PartialEq>(
    model: Model,
    ages_secs: &[i64],
    channels: &[C],
    half_life_secs: i64,
) -> Vec<u64> {
    let mut weights = Vec::with_capacity(ages_secs.len());
    weigh(model, ages_secs, channels, half_life_secs, &mut weights);
    weights
}

pub(crate) fn weigh<C: PartialEq>(
    model: Model,
    ages_secs: &[i64],
    channels: &[C],
    half_life_secs: i64,
    weights: &mut Vec<u64>,
) {
    let touches = ages_secs.len();
    weights.clear();
    match model {
        Model::First => {
            weights.resize(touches, 0);
            set(weights.first_mut(), 1);
        }
        Model::Last => {
            weights.resize(touches, 0);
            set(weights.last_mut(), 1);
        }
        Model::Linear => weights.resize(touches, 1),
        Model::TimeDecay => {
            weights.extend(
                ages_secs
                    .iter()
                    .map(|age| decay_weight(*age, half_life_secs)),
            );
            if weights.iter().all(|weight| *weight == 0) {
                set(weights.last_mut(), 1);
            }
        }
        // 40/20/40: the ends weigh 2(n - 2), the n - 2 between them 1 each.
        Model::Position => {
            weights.resize(touches, 1);
            if touches >= 3 {
                let end = 2 * (touches as u64 - 2);
                set(weights.first_mut(), end);
                set(weights.last_mut(), end);
            }
        }
        // A channel's whole weight is what all numbers of touches divide; a path has at most 2^56 together.
        Model::Shapley => {
            let mut distinct: Vec<(&C, u64)> = Vec::new();
            for channel in channels {
                match distinct.iter_mut().find(|(known, _)| *known == channel) {
                    Some((_, touches)) => *touches += 1,
                    None => distinct.push((channel, 1)),
                }
            }
            let whole = distinct
                .iter()
                .fold(1, |whole, (_, touches)| lcm(whole, *touches));
            let weight = |channel| {
                let of = distinct.iter().find(|(known, _)| *known == channel);
                of.map_or(0, |(_, touches)| whole / touches)
            };
            weights.extend(channels.iter().map(weight));
        }
    }
}

/// Least common multiple of two numbers that are not 0.
const fn lcm(a: u64, b: u64) -> u64 {
    let (mut divisor, mut rest) = (a, b);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    a / divisor * b
}

pub(crate) fn set(place: Option<&mut u64>, weight: u64) {
    if let Some(place) = place {
        *place = weight;
    }
}

/// Splits an amount in proportion to weights, to the last unit. All weights 0: the last gets it
/// all. A negative amount is split like its opposite. No weights: nothing.
#[must_use]
pub fn apportion(amount: i64, weights: &[u64]) -> Vec<i64> {
    let mut scratch = Scratch::default();
    scratch.apportion(amount, weights);
    scratch.shares
}

#[derive(Default)]
struct Scratch {
    shares: Vec<i64>,
    /// (remainder, place from the end) in one number: the larger goes first. A remainder is below
    /// the sum of fewer than 2^32 weights, so it has at most 96 bits.
    remainders: Vec<u128>,
}

impl Scratch {
    fn apportion(&mut self, amount: i64, weights: &[u64]) {
        self.shares.clear();
        let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
        if sum == 0 {
            self.shares.resize(weights.len(), 0);
            if let Some(last) = self.shares.last_mut() {
                *last = amount;
            }
            return;
        }
        let left = self.floors(amount.unsigned_abs(), weights, sum);
        if left > 0 && left < self.remainders.len() {
            self.remainders
                .select_nth_unstable_by(left - 1, |a, b| b.cmp(a));
        }
        for remainder in self.remainders.iter().take(left) {
            let place = u32::MAX - (*remainder as u32);
            if let Some(share) = self.shares.get_mut(place as usize) {
                *share = share.wrapping_add(1);
            }
        }
        if amount < 0 {
            for share in &mut self.shares {
                *share = share.wrapping_neg();
            }
        }
    }

    /// Writes the whole parts and the remainders; returns how many units are left, fewer than
    /// there are weights. A share of `i64::MIN` wraps and is turned back by the negation.
    fn floors(&mut self, size: u64, weights: &[u64], sum: u128) -> usize {
        self.remainders.clear();
        let mut left = size;
        let largest = weights.iter().copied().max().unwrap_or(0);
        // 64-bit division is several times cheaper and nearly always enough.
        let narrow = u64::try_from(sum)
            .ok()
            .filter(|_| size.checked_mul(largest).is_some());
        let divide = |weight: u64| match narrow {
            Some(sum) => {
                let product = size * weight;
                (product / sum, u128::from(product % sum))
            }
            None => {
                let product = u128::from(size) * u128::from(weight);
                ((product / sum) as u64, product % sum)
            }
        };
        // Runs of equal weights, as in all models but one, are divided once.
        let mut weight_before = 0;
        let (mut whole, mut remainder) = (0, 0);
        for (place, weight) in weights.iter().enumerate() {
            if *weight != weight_before {
                weight_before = *weight;
                (whole, remainder) = divide(*weight);
            }
            self.shares.push(whole as i64);
            left -= whole;
            let from_end = u32::MAX - (place as u32);
            self.remainders
                .push((remainder << 32) | u128::from(from_end));
        }
        debug_assert!((left as usize) < weights.len(), "invariant 3");
        left as usize
    }
}

/// What a (line, campaign, show) gets of a conversion, by model in the order of [`Model::ALL`].
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
pub struct Share {
    /// Line item.
    pub line: LineId,
    /// Campaign.
    pub campaign: CampaignId,
    /// Show; none for a code.
    pub show: ShowId,
    /// Touches of the path.
    pub touches: u32,
    /// Credits.
    pub credit_micros: ByModel,
    /// Money.
    pub money_micros: ByModel,
}

impl Share {
    const fn key(&self) -> (LineId, CampaignId, ShowId) {
        (self.line, self.campaign, self.show)
    }
}

/// Credits a path under every model, grouped by (line, campaign, show) and sorted by it.
#[must_use]
pub fn credit(
    conversion_time: EventTimeMs,
    net_value: MoneyMicros,
    path: &[PathTouch],
    half_life_secs: i64,
) -> Vec<Share> {
    let (mut shares, places) = group(path);
    let age = |touch: &PathTouch| conversion_time.secs().saturating_sub(touch.time.secs());
    let ages: Vec<i64> = path.iter().map(age).collect();
    let lines: Vec<LineId> = path.iter().map(|touch| touch.line).collect();
    let mut weights = Vec::with_capacity(path.len());
    let mut scratch = Scratch::default();
    for (column, model) in Model::ALL.into_iter().enumerate() {
        let credit = |share: &mut Share, amount| add(&mut share.credit_micros, column, amount);
        let money = |share: &mut Share, amount| add(&mut share.money_micros, column, amount);
        let only = match model {
            Model::First => places.get(..1),
            Model::Last => places.get(path.len().saturating_sub(1)..),
            Model::Linear | Model::TimeDecay | Model::Position | Model::Shapley => None,
        };
        if let Some(place) = only {
            spread(&mut shares, place, &[WHOLE_CREDIT], credit);
            spread(&mut shares, place, &[net_value.0], money);
            continue;
        }
        weigh(model, &ages, &lines, half_life_secs, &mut weights);
        scratch.apportion(WHOLE_CREDIT, &weights);
        spread(&mut shares, &places, &scratch.shares, credit);
        scratch.apportion(net_value.0, &weights);
        spread(&mut shares, &places, &scratch.shares, money);
    }
    debug_assert!(sums_hold(&shares, net_value), "invariants 1 and 2");
    shares.sort_unstable_by_key(Share::key);
    shares
}

/// One empty share per (line, campaign, show), as they come, and each touch's place among them.
fn group(path: &[PathTouch]) -> (Vec<Share>, Vec<usize>) {
    let mut shares: Vec<Share> = Vec::new();
    // Places of the shares in the order of their keys.
    let mut sorted: Vec<usize> = Vec::new();
    let mut places: Vec<usize> = Vec::with_capacity(path.len());
    for touch in path {
        let key = (touch.line, touch.campaign, touch.show);
        let key_at = |place: usize| shares.get(place).map(Share::key);
        let last = places.last().copied();
        let place = match last.filter(|place| key_at(*place) == Some(key)) {
            Some(place) => place,
            None => match sorted.binary_search_by(|place| key_at(*place).cmp(&Some(key))) {
                Ok(at) => sorted.get(at).copied().unwrap_or(0),
                Err(at) => {
                    let place = shares.len();
                    sorted.insert(at, place);
                    shares.push(Share {
                        line: touch.line,
                        campaign: touch.campaign,
                        show: touch.show,
                        ..Share::default()
                    });
                    place
                }
            },
        };
        if let Some(share) = shares.get_mut(place) {
            share.touches = share.touches.saturating_add(1);
        }
        places.push(place);
    }
    (shares, places)
}

fn spread(shares: &mut [Share], places: &[usize], amounts: &[i64], give: impl Fn(&mut Share, i64)) {
    for (place, amount) in places
        .iter()
        .zip(amounts)
        .filter(|(_, amount)| **amount != 0)
    {
        if let Some(share) = shares.get_mut(*place) {
            give(share, *amount);
        }
    }
}

fn add(columns: &mut ByModel, column: usize, amount: i64) {
    if let Some(cell) = columns.get_mut(column) {
        *cell = cell.wrapping_add(amount);
    }
}

fn sums_hold(shares: &[Share], net_value: MoneyMicros) -> bool {
    (0..Model::ALL.len()).all(|column| {
        let credit: i64 = shares.iter().map(|share| share.credit_micros[column]).sum();
        let money: i64 = shares.iter().map(|share| share.money_micros[column]).sum();
        credit == WHOLE_CREDIT && money == net_value.0
    }) || shares.is_empty()
}

/// Lets the conversion's code speak (definition 13). Returns `matched_by`: 2 when the code named a
/// line of the path or added one, 1 with touches, 0 without.
///
/// A path that was full before and is as long after has lost its second touch.
pub fn with_code_touch(
    path: &mut Vec<PathTouch>,
    conversion: &Conversion,
    code_line: Option<(LineId, CampaignId)>,
) -> u8 {
    let Some((line, campaign)) = code_line.filter(|(line, _)| line.is_some()) else {
        return u8::from(!path.is_empty());
    };
    if !path.iter().any(|touch| touch.line == line) {
        path.push(PathTouch {
            time: conversion.time,
            touch: code_touch(conversion.conversion),
            line,
            campaign,
            show: ShowId::NONE,
        });
        if path.len() > TOUCHES_PER_CONVERSION_MAX {
            path.remove(1);
        }
    }
    2
}

/// Identity of the touch that a code adds.
#[must_use]
pub const fn code_touch(conversion: ConversionId) -> EventId {
    EventId {
        hi: mix(conversion.0 ^ 0xC0DE_70C4_0000_0001),
        lo: mix(conversion.0 ^ 0xC0DE_70C4_0000_0002),
    }
}

#[cfg(test)]
mod tests;
