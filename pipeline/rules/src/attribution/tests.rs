//! Weights, apportioning and paths with answers written by hand; what must hold for any path.

use proptest::prelude::*;

use super::*;

const WEEK: i64 = 7 * 86_400;
const CREDIT: i64 = CREDIT_MICROS_PER_CONVERSION as i64;

fn touch(secs: i64, line: u64) -> PathTouch {
    PathTouch {
        time: EventTimeMs(secs * 1000),
        touch: EventId::from(secs as u128),
        line: LineId(line),
        campaign: CampaignId(line + 10),
        show: ShowId(line + 20),
    }
}

#[test]
fn weights_by_place() {
    let of = |model, touches: usize| weights(model, &vec![0; touches], &vec![(); touches], WEEK);
    for model in Model::ALL {
        assert_eq!(of(model, 0), [0; 0]);
        assert_eq!(apportion(90, &of(model, 1)), [90]);
    }
    assert_eq!(of(Model::First, 3), [1, 0, 0]);
    assert_eq!(of(Model::Last, 3), [0, 0, 1]);
    assert_eq!(of(Model::Linear, 3), [1, 1, 1]);
    assert_eq!(of(Model::Position, 2), [1, 1]);
    assert_eq!(of(Model::Position, 3), [2, 1, 2]);
    assert_eq!(of(Model::Position, 5), [6, 1, 1, 1, 6]);
}

#[test]
fn decay_halves_every_half_life() {
    let decay = |ages: &[i64], half_life| weights(Model::TimeDecay, ages, &[(); 2], half_life);
    let first = 1_u64 << 30;
    let one_step = (first * DECAY_FACTOR) >> 32;
    assert_eq!(decay(&[0], WEEK), [first]);
    // One step is 604,800 / 512 = 1,181.25 s.
    assert_eq!(decay(&[1182, 1181], WEEK), [one_step, first]);
    assert_eq!(one_step, 1_072_289_172, "2^30 x 4,289,156,690 / 2^32, cut");
    // The recurrence cuts at every step, so it falls a little below 2^29 and 2^28.
    assert_eq!(decay(&[2 * WEEK, WEEK], WEEK), [268_435_165, 536_870_717]);
    assert_eq!(decay(&[365 * 86_400, 0], WEEK), [0, first]);
    assert_eq!(
        decay(&[900 * 86_400, 800 * 86_400], WEEK),
        [0, 1],
        "all zero: the last"
    );
    assert_eq!(
        decay(&[50, -5], 0),
        [0, first],
        "an absurd half-life is one second"
    );
    assert_eq!(decay(&[i64::MAX, i64::MIN], i64::MIN), [0, first]);
}

#[test]
fn shapley_gives_every_channel_alike_and_its_touches_alike() {
    let of = |channels: &[u8]| weights(Model::Shapley, &vec![0; channels.len()], channels, WEEK);
    assert_eq!(of(&[1, 2, 3]), [1, 1, 1]);
    assert_eq!(of(&[1, 2, 1]), [1, 2, 1]);
    assert_eq!(of(&[1, 2, 1, 2, 3, 1]), [2, 3, 2, 3, 6, 2]);
    // As many numbers of touches that share no divisor as a path has room for.
    let channels: Vec<u8> = [1, 2, 3, 5, 7, 9, 11, 13, 16, 17, 19, 23, 25]
        .into_iter()
        .flat_map(|touches| vec![touches; usize::from(touches)])
        .collect();
    let weights = of(&channels);
    let of_channel = |channel: u8| -> u64 {
        let touches = channels.iter().zip(&weights);
        touches
            .filter(|(of, _)| **of == channel)
            .map(|(_, weight)| weight)
            .sum()
    };
    assert_eq!(of_channel(25), of_channel(1));
    assert_eq!(of_channel(23), 16 * 9 * 25 * 7 * 11 * 13 * 17 * 19 * 23);
}

#[test]
fn what_is_left_over_goes_to_the_largest_remainder_then_to_the_earlier() {
    assert_eq!(apportion(CREDIT, &[1, 1, 1]), [333_334, 333_333, 333_333]);
    assert_eq!(apportion(CREDIT, &[1; 7])[..2], [142_858, 142_857]);
    assert_eq!(apportion(5, &[1, 1, 1]), [2, 2, 1]);
    assert_eq!(apportion(10, &[1, 5, 3]), [1, 6, 3], "1.1, 5.6, 3.3");
    assert_eq!(apportion(1, &[1, 2, 2]), [0, 1, 0]);
    assert_eq!(apportion(-5, &[1, 1, 1]), [-2, -2, -1]);
    assert_eq!(apportion(7, &[0, 0]), [0, 7]);
    assert_eq!(apportion(7, &[]), [0; 0]);
    assert_eq!(
        apportion(i64::MAX, &[u64::MAX, u64::MAX]),
        [1 << 62, (1 << 62) - 1]
    );
    assert_eq!(apportion(i64::MIN, &[u64::MAX, 0]), [i64::MIN, 0]);
}

/// Money per line of a path, under first, last, linear, position and Shapley.
fn money(value: &str, path: &[u64]) -> Vec<(u64, [i64; 5])> {
    let value = MoneyMicros::from_decimal(value).unwrap_or_default();
    let touches: Vec<_> = path
        .iter()
        .enumerate()
        .map(|(at, line)| touch(at as i64, *line))
        .collect();
    let shares = credit(EventTimeMs(1_000_000), value, &touches, WEEK);
    let columns = |m: ByModel| [m[0], m[1], m[2], m[4], m[5]];
    shares
        .iter()
        .map(|share| (share.line.0, columns(share.money_micros)))
        .collect()
}

#[test]
fn orders_with_known_answers() {
    let m = 1_000_000;
    assert_eq!(
        money("90", &[1, 2, 1]),
        [
            (1, [90 * m, 90 * m, 60 * m, 72 * m, 45 * m]),
            (2, [0, 0, 30 * m, 18 * m, 45 * m])
        ]
    );
    assert_eq!(
        money("35.50", &[1, 2]),
        [
            (1, [35_500_000, 0, 17_750_000, 17_750_000, 17_750_000]),
            (2, [0, 35_500_000, 17_750_000, 17_750_000, 17_750_000])
        ]
    );
    assert_eq!(money("12", &[2]), [(2, [12 * m; 5])]);
    assert_eq!(
        money("100", &[1, 2, 3]),
        [
            (1, [100 * m, 0, 33_333_334, 40 * m, 33_333_334]),
            (2, [0, 0, 33_333_333, 20 * m, 33_333_333]),
            (3, [0, 100 * m, 33_333_333, 40 * m, 33_333_333]),
        ]
    );
    assert_eq!(
        money("50", &[1, 2, 3, 4, 1]),
        [
            (1, [50 * m, 50 * m, 20 * m, 40 * m, 12_500_000]),
            (2, [0, 0, 10 * m, 3_333_334, 12_500_000]),
            (3, [0, 0, 10 * m, 3_333_333, 12_500_000]),
            (4, [0, 0, 10 * m, 3_333_333, 12_500_000]),
        ]
    );
    assert_eq!(money("0", &[1, 2]), [(1, [0; 5]), (2, [0; 5])]);
    assert_eq!(money("9", &[]), []);
}

#[test]
fn ages_are_whole_seconds() {
    let mut path = [touch(0, 1), touch(1182, 2)];
    path[0].time = EventTimeMs(999);
    let shares = credit(EventTimeMs(1_182_000), MoneyMicros(0), &path, WEEK);
    // 1182 s - 0.999 s is 1182 whole seconds: one step. 1,072,289,172 / 2,146,030,996 = 0.4996615…
    // leaves the larger remainder.
    assert_eq!(shares[0].credit_micros[3], 499_662);
}

#[test]
fn a_code_marks_its_line_or_adds_a_touch() {
    let conversion = Conversion {
        conversion: ConversionId(4),
        time: EventTimeMs(9_000_000),
        ..Conversion::default()
    };
    let code = Some((LineId(2), CampaignId(12)));
    let mut path = Vec::new();
    assert_eq!(with_code_touch(&mut path, &conversion, None), 0);
    assert_eq!(
        with_code_touch(&mut path, &conversion, Some((LineId::NONE, CampaignId(1)))),
        0
    );
    assert_eq!(with_code_touch(&mut path, &conversion, code), 2);
    assert_eq!(path.len(), 1);
    assert_eq!(
        (path[0].time, path[0].show),
        (conversion.time, ShowId::NONE)
    );
    assert_eq!(path[0].touch, code_touch(ConversionId(4)));

    let known = vec![touch(1, 2), touch(2, 1)];
    let mut path = known.clone();
    assert_eq!(with_code_touch(&mut path, &conversion, code), 2);
    assert_eq!(path, known);
    assert_eq!(with_code_touch(&mut path, &conversion, None), 1);

    let mut full: Vec<_> = (0..TOUCHES_PER_CONVERSION_MAX as i64)
        .map(|at| touch(at, 1))
        .collect();
    assert_eq!(with_code_touch(&mut full, &conversion, code), 2);
    assert_eq!(full.len(), TOUCHES_PER_CONVERSION_MAX);
    assert_eq!(
        (full[0], full[1]),
        (touch(0, 1), touch(2, 1)),
        "the oldest but one is cut"
    );
    assert_eq!(full[TOUCHES_PER_CONVERSION_MAX - 1].line, LineId(2));
}

fn any_weight() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0_u64..6, 2 => 0_u64..(1 << 30), 1 => Just(u64::MAX), 1 => any::<u64>()]
}

fn any_amount() -> impl Strategy<Value = i64> {
    prop_oneof![4 => 0_i64..30, 2 => 0_i64..2_000_000, 1 => 0_i64..=i64::MAX]
}

proptest! {
    #[test]
    fn invariant_3_shares_are_floors_and_the_rest_goes_by_remainder(
        amount in any_amount(),
        weights in proptest::collection::vec(any_weight(), 1..12),
    ) {
        let shares = apportion(amount, &weights);
        prop_assert_eq!(shares.iter().map(|share| i128::from(*share)).sum::<i128>(), i128::from(amount));
        let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
        prop_assume!(sum > 0);
        let exact = |at: usize| amount as u128 * u128::from(weights[at]);
        let extra = |at: usize| shares[at] as u128 - exact(at) / sum;
        for at in 0..weights.len() {
            prop_assert!(extra(at) <= 1);
            for later in at + 1..weights.len() {
                let (a, b) = (exact(at) % sum, exact(later) % sum);
                if a >= b {
                    prop_assert!(extra(at) >= extra(later), "larger or equal and earlier goes first");
                } else {
                    prop_assert!(extra(at) <= extra(later));
                }
            }
        }
    }

    #[test]
    fn invariants_1_and_2_credits_and_money_sum_up(
        value in any_amount(),
        path in proptest::collection::vec((0_i64..3_000_000, 0_u64..5), 0..40),
    ) {
        let mut path: Vec<_> = path.iter().map(|(secs, line)| touch(*secs, *line)).collect();
        path.sort_unstable();
        let shares = credit(EventTimeMs(3_000_000_000), MoneyMicros(value), &path, WEEK);
        let touches: u32 = shares.iter().map(|share| share.touches).sum();
        prop_assert_eq!(touches as usize, path.len());
        prop_assert!(shares.windows(2).all(|pair| pair[0].key() < pair[1].key()));
        for (column, model) in Model::ALL.into_iter().enumerate() {
            let credits: i64 = shares.iter().map(|share| share.credit_micros[column]).sum();
            let money: i64 = shares.iter().map(|share| share.money_micros[column]).sum();
            prop_assert_eq!((credits, money), if path.is_empty() { (0, 0) } else { (CREDIT, value) });
            let ages: Vec<i64> = path.iter().map(|t| 3_000_000 - t.time.secs()).collect();
            let lines: Vec<LineId> = path.iter().map(|t| t.line).collect();
            let per_touch = apportion(value, &weights(model, &ages, &lines, WEEK));
            for share in &shares {
                let of_line = path.iter().zip(&per_touch).filter(|(t, _)| t.line == share.line);
                let expected: i64 = of_line.map(|(_, money)| money).sum();
                prop_assert_eq!(share.money_micros[column], expected);
            }
        }
    }

    #[test]
    fn nothing_panics(
        value: i64,
        time: i64,
        half_life: i64,
        path in proptest::collection::vec((any::<i64>(), 0_u64..3), 0..6),
    ) {
        let path: Vec<_> = path
            .iter()
            .map(|(ms, line)| PathTouch { time: EventTimeMs(*ms), ..touch(0, *line) })
            .collect();
        let shares = credit(EventTimeMs(time), MoneyMicros(value), &path, half_life);
        let credits: i64 = shares.iter().map(|share| share.credit_micros[3]).sum();
        prop_assert_eq!(credits, if path.is_empty() { 0 } else { CREDIT });
    }
}
