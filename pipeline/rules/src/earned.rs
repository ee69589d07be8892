//! What a conversion is to readers once its path is known: its row, and what each line item earned by it (definitions 12 to 14).
//!
//! Needs: the touches in its window, oldest first. Promises: the row and the shares are of the same path.
//! Leaves out: which touches lie in the window (the dataflow by its index, `explain` by walking all).

use std::collections::BTreeMap;
use std::ops::Range;

use hostread_schemas::event::ByModel;
use hostread_schemas::fact::PathTouch;
use hostread_schemas::view::{ConversionRow, CreditRow, PathStep};
use hostread_schemas::{BrandId, CampaignId, EventTimeMs, LineId};

use crate::attribution::{Share, TOUCHES_PER_CONVERSION_MAX, credit, with_code_touch};
use crate::conversion::Conversion;

/// Places in a window of so many touches that are cut from the path: those between the oldest and the nearest.
#[must_use]
pub const fn beyond_limit(touches: usize) -> Range<usize> {
    1..1 + touches.saturating_sub(TOUCHES_PER_CONVERSION_MAX)
}

/// A conversion as readers see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Earned {
    /// Row of `conversions`.
    pub row: ConversionRow,
    /// What each touch earned; none without a path.
    pub shares: Vec<Share>,
    /// Rows of `credits`.
    pub by_line: BTreeMap<LineId, CreditRow>,
}

/// Credits a conversion to its path, of which `cut` touches were left out. The line that its code names is added as a touch, if
/// the path has none of it; without a brand it names none.
#[must_use]
pub fn earned(
    conversion: &Conversion,
    brand: BrandId,
    code_line: Option<(LineId, CampaignId)>,
    path: &mut Vec<PathTouch>,
    mut cut: u32,
    half_life_secs: i64,
) -> Earned {
    let code_line = code_line.filter(|_| brand.is_some());
    let full = path.len() == TOUCHES_PER_CONVERSION_MAX;
    let added = code_line.is_some_and(|(line, _)| path.iter().all(|touch| touch.line != line));
    cut += u32::from(full && added);
    let matched_by = with_code_touch(path, conversion, code_line);
    let row = ConversionRow {
        store: conversion.store,
        brand,
        kind: conversion.kind,
        time: conversion.time,
        household: conversion.household,
        value: conversion.value,
        refunded: conversion.refunded,
        currency: conversion.currency,
        code: conversion.code,
        code_line: code_line.map(|(line, _)| line).unwrap_or_default(),
        signals: conversion.signals,
        touches: u32::try_from(path.len()).unwrap_or(u32::MAX),
        touches_cut: cut,
        matched_by,
        path: path
            .iter()
            .map(|touch| step(conversion.time, touch))
            .collect(),
    };
    let shares = if path.is_empty() {
        Vec::new()
    } else {
        credit(conversion.time, conversion.value, path, half_life_secs)
    };
    Earned {
        row,
        by_line: by_line(conversion, &shares),
        shares,
    }
}

/// A touch as readers see it; ages as the models have them.
fn step(converted: EventTimeMs, touch: &PathTouch) -> PathStep {
    let age = converted.secs().saturating_sub(touch.time.secs());
    PathStep {
        line: touch.line,
        campaign: touch.campaign,
        show: touch.show,
        age_secs: u32::try_from(age.max(0)).unwrap_or(u32::MAX),
    }
}

fn by_line(conversion: &Conversion, shares: &[Share]) -> BTreeMap<LineId, CreditRow> {
    let mut by_line: BTreeMap<LineId, CreditRow> = BTreeMap::new();
    for share in shares {
        let row = by_line.entry(share.line).or_insert_with(|| CreditRow {
            campaign: share.campaign,
            day: conversion.time.day(),
            touches: 0,
            credit_micros: ByModel::default(),
            money_micros: ByModel::default(),
            currency: conversion.currency,
        });
        row.touches += share.touches;
        add(&mut row.credit_micros, &share.credit_micros);
        add(&mut row.money_micros, &share.money_micros);
    }
    by_line
}

fn add(sum: &mut ByModel, part: &ByModel) {
    for (sum, part) in sum.iter_mut().zip(part) {
        *sum += part;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostread_schemas::event::Model;
    use hostread_schemas::{EventId, EventTimeMs, MoneyMicros, ShowId};

    /// Touches of one line, a second apart.
    fn touches(count: u64) -> Vec<PathTouch> {
        let touch = |number: u64| PathTouch {
            time: EventTimeMs(1000 * i64::try_from(number).unwrap_or(0)),
            touch: EventId { hi: 0, lo: number },
            line: LineId(1),
            campaign: CampaignId(1),
            show: ShowId(1),
        };
        (0..count).map(touch).collect()
    }

    fn of(path: &mut Vec<PathTouch>, brand: u64, code: Option<u64>) -> Earned {
        let conversion = Conversion {
            time: EventTimeMs(1_000_000),
            value: MoneyMicros(7_000_001),
            ..Conversion::default()
        };
        let code = code.map(|line| (LineId(line), CampaignId(line)));
        earned(&conversion, BrandId(brand), code, path, 5, 86_400)
    }

    #[test]
    fn the_oldest_and_the_nearest_255_stay() {
        assert_eq!(beyond_limit(0), 1..1);
        assert_eq!(beyond_limit(256), 1..1);
        assert_eq!(beyond_limit(257), 1..2);
        assert_eq!(beyond_limit(300), 1..45);
    }

    #[test]
    fn a_touch_of_the_code_cuts_another_only_where_the_path_is_full() {
        let full = TOUCHES_PER_CONVERSION_MAX as u64;
        for (count, code, touches_after, cut) in [
            (full, Some(2), 256, 6),
            (full - 1, Some(2), 256, 5),
            (full, Some(1), 256, 5),
            (full, None, 256, 5),
        ] {
            let row = of(&mut touches(count), 9, code).row;
            assert_eq!((row.touches, row.touches_cut), (touches_after, cut));
        }
    }

    #[test]
    fn lines_have_what_their_touches_earned() {
        let mut path = touches(3);
        let earned = of(&mut path, 9, Some(2));
        assert_eq!(earned.row.code_line, LineId(2));
        let lines: Vec<LineId> = earned.by_line.keys().copied().collect();
        assert_eq!(lines, [LineId(1), LineId(2)]);
        for model in 0..Model::ALL.len() {
            let sum = |of: fn(&CreditRow) -> &ByModel| -> i64 {
                let rows = earned.by_line.values();
                rows.filter_map(|row| of(row).get(model)).sum()
            };
            assert_eq!(sum(|row| &row.credit_micros), 1_000_000);
            assert_eq!(sum(|row| &row.money_micros), 7_000_001);
        }
        let touches: u32 = earned.by_line.values().map(|row| row.touches).sum();
        assert_eq!(touches, 4);
    }

    #[test]
    fn without_a_brand_a_code_names_nothing() {
        let earned = of(&mut Vec::new(), 0, Some(2));
        assert_eq!(earned.row.code_line, LineId::default());
        assert!(earned.shares.is_empty() && earned.by_line.is_empty());
    }
}
