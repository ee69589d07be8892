//! Chains with answers written by hand, and what a naive solver says of any.
#![allow(clippy::unwrap_used, reason = "tests panic")]

mod naive;

use proptest::prelude::*;

use super::*;

/// A path by the letters of its channels, conversions, journeys without.
type Row = (&'static str, u64, u64);

fn path(letters: &str) -> Vec<u32> {
    letters
        .bytes()
        .map(|letter| u32::from(letter - b'a'))
        .collect()
}

fn chain(order: usize, rows: &[Row]) -> Chain {
    let mut chain = Chain::new(order);
    for (letters, conversions, nulls) in rows {
        chain.add(&path(letters), *conversions, *nulls).unwrap();
    }
    chain
}

fn solve(order: usize, rows: &[Row], channels: usize) -> Solution {
    chain(order, rows).solve(channels, 1, u64::MAX).unwrap()
}

#[track_caller]
fn assert_near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    let near = |(found, expected): (&f64, &f64)| (found - expected).abs() < 1e-15;
    assert!(
        found.iter().zip(expected).all(near),
        "{found:?}, not {expected:?}"
    );
}

#[test]
fn three_channels_by_hand() {
    // a -> b -> c -> conversion; a and "b, c" alone end without.
    let rows = [("abc", 1, 0), ("a", 0, 1), ("bc", 0, 1)];
    let solution = solve(1, &rows, 3);
    assert_near(&[solution.base_probability], &[1.0 / 3.0]);
    assert_near(&solution.removal_effects, &[0.5, 1.0, 1.0]);
    assert_near(&solution.shares(), &[0.2, 0.4, 0.4]);
}

#[test]
fn the_order_decides_what_is_remembered() {
    // Behind "ab" all convert, behind "cb" none; at order 1 a b is a b, and half of either's do.
    let rows = [("ab", 1, 0), ("cb", 0, 1)];
    assert_near(&solve(1, &rows, 3).removal_effects, &[0.5, 1.0, 0.5]);
    assert_near(&solve(2, &rows, 3).removal_effects, &[1.0, 1.0, 0.0]);
    assert_near(&solve(3, &rows, 3).removal_effects, &[1.0, 1.0, 0.0]);
    // One channel between: order 3 remembers. Two between: it does not.
    let rows = [("adb", 1, 0), ("cdb", 0, 1)];
    assert_near(&solve(2, &rows, 4).removal_effects, &[0.5, 1.0, 0.5, 1.0]);
    assert_near(&solve(3, &rows, 4).removal_effects, &[1.0, 1.0, 0.0, 1.0]);
    let rows = [("adeb", 1, 0), ("cdeb", 0, 1)];
    assert_near(
        &solve(3, &rows, 5).removal_effects,
        &[0.5, 1.0, 0.5, 1.0, 1.0],
    );
}

#[test]
fn nothing_counted_is_nothing() {
    let solution = solve(1, &[], 2);
    assert_eq!(
        (solution.base_probability, solution.shares()),
        (0.0, vec![0.0; 2])
    );
    let solution = solve(2, &[("ab", 0, 3)], 2);
    assert_eq!(
        (solution.base_probability, solution.removal_effects),
        (0.0, vec![0.0; 2])
    );
    assert_eq!(solve(1, &[("a", 0, 0)], 0).removal_effects, [0.0; 0]);
    assert_eq!(Chain::new(0).order, 1);
    assert_eq!(Chain::new(9).order, 3);
}

#[test]
fn limits_are_errors() {
    let many = Chain::new(1).solve(CHANNELS_MAX + 1, 1, u64::MAX);
    assert_eq!(many, Err(MarkovError::Channels));
    let mut chain = Chain::new(1);
    chain.transitions = TRANSITIONS_MAX - 1;
    assert_eq!(chain.add(&[0], 1, 0), Ok(()));
    assert_eq!(chain.add(&[0, 1], 1, 0), Err(MarkovError::Transitions));
    assert_eq!(
        chain.add(&[0], 1, 0),
        Ok(()),
        "a transition that is known is no new one"
    );
}

#[test]
fn a_long_circle_is_followed_to_its_end() {
    let mut chain = Chain::new(2);
    let round: Vec<u32> = (0..256).map(|touch| touch % 2).collect();
    chain.add(&round, 1, 999).unwrap();
    chain.add(&[2], 1, 0).unwrap();
    let graph = graph::Graph::new(&chain, 3);
    let expected = [0.5, 0.5, 0.5];
    assert_near(&eliminate::effects(&graph, 1), &expected);
    let pushed = push::effects(&graph, 1, u64::MAX).unwrap();
    assert!(
        pushed
            .iter()
            .zip(expected)
            .all(|(found, expected)| (found - expected).abs() < 1e-13)
    );
}

fn journeys() -> impl Strategy<Value = Vec<(Vec<u32>, u64, u64)>> {
    let row = (
        proptest::collection::vec(0_u32..5, 1..8),
        0_u64..20,
        0_u64..20,
    );
    proptest::collection::vec(row, 1..12)
}

fn of(order: usize, rows: &[(Vec<u32>, u64, u64)]) -> Chain {
    let mut chain = Chain::new(order);
    for (path, conversions, nulls) in rows {
        chain.add(path, *conversions, *nulls).unwrap();
    }
    chain
}

proptest! {
    #[test]
    fn both_solvers_say_what_a_naive_one_says(rows in journeys(), order in 1_usize..4) {
        let graph = graph::Graph::new(&of(order, &rows), 5);
        let naive = naive::solve(order, &rows, 5);
        prop_assert!((graph.base_probability() - naive.base).abs() < 1e-12);
        let (eliminated, pushed) = (eliminate::effects(&graph, 1), push::effects(&graph, 1, u64::MAX).unwrap());
        for channel in 0..5 {
            prop_assert!((eliminated[channel] - naive.effects[channel]).abs() < 1e-11, "{channel}: {eliminated:?} {naive:?}");
            prop_assert!((eliminated[channel] - pushed[channel]).abs() < 1e-13, "{channel}: {eliminated:?} {pushed:?}");
            prop_assert!((0.0..=1.0).contains(&eliminated[channel]) && (0.0..=1.0).contains(&pushed[channel]), "invariant 2");
            prop_assert_eq!(eliminated[channel] == 0.0, pushed[channel] == 0.0);
        }
    }

    #[test]
    fn invariant_1(rows in journeys(), order in 1_usize..4, at in 0_usize..12, threads in 1_usize..5) {
        let whole = of(order, &rows).solve(5, 1, u64::MAX).unwrap();
        let names: Vec<u32> = (0..5).map(|channel| 4 - channel).collect();
        let (one, other) = rows.split_at(at.min(rows.len()));
        let mut joined = Chain::new(order);
        for part in [other, one] {
            let mut renamed: Vec<_> = part.to_vec();
            renamed.reverse();
            for channel in renamed.iter_mut().flat_map(|row| row.0.iter_mut()) {
                *channel = 4 - *channel;
            }
            joined.join(&of(order, &renamed), &names).unwrap();
        }
        prop_assert_eq!(joined.solve(5, threads, u64::MAX).unwrap(), whole);
        let graph = graph::Graph::new(&of(order, &rows), 5);
        prop_assert_eq!(push::effects(&graph, 1, u64::MAX), push::effects(&graph, threads, u64::MAX));
        prop_assert_eq!(eliminate::effects(&graph, 1), eliminate::effects(&graph, threads));
    }

    #[test]
    fn a_touch_repeated_at_once_does_not_matter_at_order_1(rows in journeys(), times in 2_usize..4) {
        let repeated: Vec<_> = rows.iter().map(|(path, conversions, nulls)| {
            let path = path.iter().flat_map(|channel| vec![*channel; times]).collect();
            (path, *conversions, *nulls)
        }).collect();
        let (one, many) = (of(1, &rows).solve(5, 1, u64::MAX).unwrap(), of(1, &repeated).solve(5, 1, u64::MAX).unwrap());
        prop_assert_eq!(one, many);
    }
}
