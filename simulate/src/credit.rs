//! Credit of one conversion under every model that looks at one conversion, written from definitions 13 and 14 alone.

use hostread_schemas::event::Model;

/// A conversion in every model.
pub(crate) const WHOLE: i64 = 1_000_000;
const STEPS: i128 = 512;
const KEPT_A_STEP: u64 = 4_289_156_690;

/// Weight of a touch this many half-life steps before the conversion.
fn decay(step: i128) -> i128 {
    let mut weight: u64 = 1 << 30;
    for _ in 0..step {
        if weight == 0 {
            break;
        }
        weight = ((u128::from(weight) * u128::from(KEPT_A_STEP)) >> 32) as u64;
    }
    i128::from(weight)
}

/// Weights of the touches of a path, oldest first, from their ages in seconds and their line items.
pub(crate) fn weights(
    model: Model,
    ages: &[i64],
    lines: &[usize],
    half_life_secs: i64,
) -> Vec<i128> {
    let count = ages.len();
    let last = count.saturating_sub(1);
    let only = |wanted: usize| (0..count).map(|nth| i128::from(nth == wanted)).collect();
    match model {
        Model::First => only(0),
        Model::Last => only(last),
        Model::Linear => vec![1; count],
        Model::TimeDecay => {
            let step = |age: &i64| i128::from(*age) * STEPS / i128::from(half_life_secs.max(1));
            let weights: Vec<i128> = ages.iter().map(|age| decay(step(age))).collect();
            if weights.iter().all(|&weight| weight == 0) {
                only(last)
            } else {
                weights
            }
        }
        Model::Position if count <= 2 => vec![1; count],
        Model::Position => {
            // 40% at each end, 20% shared by the n touches between: 2n, 1 … 1, 2n.
            let ends = 2 * (count as i128 - 2);
            let at_end = |nth: usize| if nth == 0 || nth == last { ends } else { 1 };
            (0..count).map(at_end).collect()
        }
        // One share a line item, cut into its touches: any number that all of these divide will do for a share.
        Model::Shapley => {
            let touches = |line| lines.iter().filter(|&it| it == line).count() as i128;
            let mut factors: Vec<i128> = lines.iter().map(touches).collect();
            factors.sort_unstable();
            factors.dedup();
            let share: i128 = factors.iter().product();
            lines.iter().map(|line| share / touches(line)).collect()
        }
    }
}

/// Splits `total` by weights: floors first, what is left to the largest remainders, of equal ones
/// to the earlier touch.
pub(crate) fn split(total: i64, weights: &[i128]) -> Vec<i64> {
    let sum: i128 = weights.iter().sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let shares = weights.iter().map(|weight| i128::from(total) * weight);
    let (mut parts, remainders): (Vec<i64>, Vec<i128>) = shares
        .map(|share| ((share / sum) as i64, share % sum))
        .unzip();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|&nth| (-remainders[nth], nth));
    let left = total - parts.iter().sum::<i64>();
    for nth in order.into_iter().take(left as usize) {
        parts[nth] += 1;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    #[test]
    fn published_cases() {
        let ages = [3 * DAY, 2 * DAY, DAY];
        let credits = |model| split(WHOLE, &weights(model, &ages, &[4, 9, 4], 7 * DAY));
        assert_eq!(credits(Model::First), [WHOLE, 0, 0]);
        assert_eq!(credits(Model::Last), [0, 0, WHOLE]);
        assert_eq!(credits(Model::Linear), [333_334, 333_333, 333_333]);
        assert_eq!(credits(Model::Position), [400_000, 200_000, 400_000]);
        assert_eq!(credits(Model::Shapley), [250_000, 500_000, 250_000]);
    }

    #[test]
    fn half_the_weight_after_a_half_life() {
        assert_eq!(decay(0), 1 << 30);
        let half = decay(512);
        assert!(((1 << 29) - half).abs() < 600, "{half}");
    }

    #[test]
    fn old_touches_alone_fall_back_to_the_last() {
        let weights = weights(
            Model::TimeDecay,
            &[40_000 * DAY, 39_000 * DAY],
            &[1, 2],
            DAY,
        );
        assert_eq!(weights, [0, 1]);
    }

    #[test]
    fn nothing_gets_lost() {
        for total in [0, 1, 7, WHOLE, 12_345_671] {
            for count in 1..9_usize {
                let ages: Vec<i64> = (0..count as i64).rev().map(|n| n * 50_000).collect();
                let lines: Vec<usize> = (0..count).map(|nth| nth % 3).collect();
                for model in Model::ALL {
                    let parts = split(total, &weights(model, &ages, &lines, 2 * DAY));
                    assert_eq!(parts.iter().sum::<i64>(), total);
                    assert!(parts.iter().all(|&part| part >= 0));
                }
            }
        }
    }
}
