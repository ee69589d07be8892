//! Reach and funnel of ads as rows, for reports and for the door `/v1/attribution`.

use hostread_explain::{Reach, ReachBy, Reached};
use serde_json::{Value, json};

use crate::credits::Spot;
use crate::listing::{Column, Listing};

/// What is shown of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// A row for each campaign, line item or show.
    Reach,
    /// A row for each step of it.
    Funnel,
}

/// Whose reach.
pub(crate) const fn by(spot: Spot) -> ReachBy {
    match spot {
        Spot::Campaign => ReachBy::Campaign,
        Spot::Line => ReachBy::Line,
        Spot::Show => ReachBy::Show,
    }
}

/// The rows, by tenant and name.
pub(crate) fn listing(reach: &Reach, by: Spot, shown: Shown) -> Listing {
    match shown {
        Shown::Reach => people(reach, by.name()),
        Shown::Funnel => funnel(reach, by.name()),
    }
}

fn people(reach: &Reach, by: &'static str) -> Listing {
    let columns = vec![
        Column::text("tenant"),
        Column::text(by),
        Column::text("from"),
        Column::text("to"),
        Column::count("ads"),
        Column::count("listeners"),
        Column::micros("frequency"),
        Column::share("usable"),
        Column::count("households"),
        Column::count("responses"),
        Column::share("response rate"),
        Column::count("by chance"),
        Column::share("chance rate"),
    ];
    let row = |it: &Reached| -> Vec<Value> {
        vec![
            json!(it.tenant),
            json!(it.of),
            json!(reach.from),
            json!(reach.to),
            json!(it.ads),
            json!(it.listeners),
            per(it.ads, it.listeners),
            per(it.usable_ads, it.ads),
            json!(it.households),
            json!(it.responses),
            per(it.responses, it.households),
            json!(it.by_chance),
            it.by_chance
                .map_or(Value::Null, |by_chance| per(by_chance, it.households)),
        ]
    };
    Listing::whole(columns, reach.rows.iter().map(row).collect())
}

/// From the households that usable ads reached to those that bought.
fn funnel(reach: &Reach, by: &'static str) -> Listing {
    let columns = vec![
        Column::text("tenant"),
        Column::text(by),
        Column::text("from"),
        Column::text("to"),
        Column::text("step"),
        Column::count("households"),
        Column::count("lost"),
        Column::share("of the step before"),
        Column::share("of reached"),
    ];
    let mut rows = Vec::new();
    for it in &reach.rows {
        let steps = [
            ("reached", it.households),
            ("visited", it.visitors),
            ("cart", it.carts),
            ("converted", it.responses),
        ];
        let before = std::iter::once(it.households).chain(steps.map(|(_, count)| count));
        for ((step, count), before) in steps.into_iter().zip(before) {
            rows.push(vec![
                json!(it.tenant),
                json!(it.of),
                json!(reach.from),
                json!(reach.to),
                json!(step),
                json!(count),
                json!(before.saturating_sub(count)),
                per(count, before),
                per(count, it.households),
            ]);
        }
    }
    Listing::whole(columns, rows)
}

/// Millionths, rounded once, halves up; nothing of nothing.
fn per(part: u64, whole: u64) -> Value {
    let twice = u128::from(whole) * 2;
    let part = u128::from(part) * 2_000_000 + u128::from(whole);
    part.checked_div(twice).map_or(Value::Null, |micros| {
        json!(u64::try_from(micros).unwrap_or(u64::MAX))
    })
}

#[cfg(test)]
mod tests {
    use hostread_explain::AsOf;
    use hostread_schemas::{EventTimeMs, Tick};

    use super::*;

    #[test]
    fn each_step_stands_beside_the_one_before_and_the_first() {
        let of = |households, visitors, carts, responses| Reached {
            tenant: "acme".to_owned(),
            of: "spring".to_owned(),
            ads: 90,
            listeners: 45,
            usable_ads: 60,
            households,
            visitors,
            carts,
            responses,
            by_chance: (responses > 0).then_some(2),
        };
        let reach = Reach {
            as_of: AsOf {
                tick: Tick(1),
                clock: EventTimeMs(0),
            },
            from: "2026-03-01".to_owned(),
            to: "2026-03-02".to_owned(),
            rows: vec![of(40, 20, 5, 1), of(3, 0, 0, 0)],
        };
        let said: Vec<_> = listing(&reach, Spot::Line, Shown::Funnel)
            .objects()
            .iter()
            .map(|row| {
                let number = |of: &str| row[of].as_u64();
                (
                    row["step"].as_str().unwrap_or_default().to_owned(),
                    number("households"),
                    number("lost"),
                    number("of_the_step_before_micros"),
                    number("of_reached_micros"),
                )
            })
            .collect();
        let step = |name: &str, households, lost, before, reached| {
            (
                name.to_owned(),
                Some(households),
                Some(lost),
                before,
                reached,
            )
        };
        let whole = Some(1_000_000);
        let expected = [
            step("reached", 40, 0, whole, whole),
            step("visited", 20, 20, Some(500_000), Some(500_000)),
            step("cart", 5, 15, Some(250_000), Some(125_000)),
            step("converted", 1, 4, Some(200_000), Some(25_000)),
            step("reached", 3, 0, whole, whole),
            step("visited", 0, 3, Some(0), Some(0)),
            step("cart", 0, 0, None, Some(0)),
            step("converted", 0, 0, None, Some(0)),
        ];
        assert_eq!(said, expected);
        let reach = listing(&reach, Spot::Line, Shown::Reach).objects();
        assert_eq!(reach[0]["frequency_micros"], 2_000_000);
        assert_eq!(reach[0]["usable_micros"], 666_667);
        assert_eq!(reach[0]["response_rate_micros"], 25_000);
        assert_eq!(reach[0]["chance_rate_micros"], 50_000);
        assert_eq!(reach[1]["chance_rate_micros"], Value::Null);
    }

    #[test]
    fn parts_are_rounded_once() {
        assert_eq!(per(1, 3), json!(333_333));
        assert_eq!(per(2, 3), json!(666_667));
        assert_eq!(per(7, 2), json!(3_500_000));
        assert_eq!(per(0, 5), json!(0));
        assert_eq!(per(0, 0), Value::Null);
    }
}
