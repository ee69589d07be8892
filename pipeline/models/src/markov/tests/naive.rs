//! The definition, word by word: states as lists, a linear system for each removed channel, solved with pivots.

use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Naive {
    pub(super) base: f64,
    pub(super) effects: Vec<f64>,
}

type State = Vec<Option<u32>>;

pub(super) fn solve(order: usize, rows: &[(Vec<u32>, u64, u64)], channels: u32) -> Naive {
    // Counts of (state, next state); a conversion and a null are states of their own, `None` of the outer option.
    let mut counts: BTreeMap<(State, Result<State, bool>), f64> = BTreeMap::new();
    for (path, conversions, nulls) in rows {
        for (weight, converts) in [(*conversions, true), (*nulls, false)] {
            if weight == 0 {
                continue;
            }
            let mut state: State = vec![None; order];
            for channel in path {
                let mut next = state[1..].to_vec();
                next.push(Some(*channel));
                *counts.entry((state, Ok(next.clone()))).or_default() += weight as f64;
                state = next;
            }
            *counts.entry((state, Err(converts))).or_default() += weight as f64;
        }
    }
    let base = probability(order, &counts, None);
    let effect = |channel| {
        if base == 0.0 {
            0.0
        } else {
            1.0 - probability(order, &counts, Some(channel)) / base
        }
    };
    let effects = (0..channels).map(effect).collect();
    Naive { base, effects }
}

/// Of a conversion, where whatever enters a state with the channel is lost.
fn probability(
    order: usize,
    counts: &BTreeMap<(State, Result<State, bool>), f64>,
    removed: Option<u32>,
) -> f64 {
    let gone = |state: &State| removed.is_some() && state.contains(&removed);
    let mut number: BTreeMap<&State, usize> = BTreeMap::new();
    for (from, _) in counts.keys() {
        let next = number.len();
        number.entry(from).or_insert(next);
    }
    let states = number.len();
    // x = A x + b as (I - A) x = b, b in the last column.
    let mut system = vec![vec![0.0; states + 1]; states];
    for (from, row) in &number {
        system[*row][*row] = 1.0;
        let all: f64 = counts
            .iter()
            .filter(|((state, _), _)| state == *from)
            .map(|(_, count)| count)
            .sum();
        for ((state, to), count) in counts {
            if state != *from || gone(state) {
                continue;
            }
            match to {
                Ok(to) if gone(to) => {}
                Ok(to) => system[*row][number[to]] -= count / all,
                Err(true) => system[*row][states] += count / all,
                Err(false) => {}
            }
        }
    }
    let solved = gauss(system);
    number
        .get(&vec![None; order])
        .map_or(0.0, |start| solved[*start])
}

fn gauss(mut system: Vec<Vec<f64>>) -> Vec<f64> {
    let size = system.len();
    for column in 0..size {
        let pivot = (column..size).max_by(|a, b| {
            system[*a][column]
                .abs()
                .total_cmp(&system[*b][column].abs())
        });
        system.swap(column, pivot.unwrap());
        let row = system[column].clone();
        for (at, other) in system.iter_mut().enumerate() {
            let times = other[column] / row[column];
            if at != column && times != 0.0 {
                other
                    .iter_mut()
                    .zip(&row)
                    .for_each(|(cell, of)| *cell -= times * of);
            }
        }
    }
    (0..size)
        .map(|at| system[at][size] / system[at][at])
        .collect()
}
