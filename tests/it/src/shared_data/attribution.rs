//! Rule models against exact rational answers: per channel over many conversions, and money of single orders.
//! A channel is a line item, a touch is an impression of it in an episode of its own, a conversion is an order of the same household.

use std::collections::{BTreeMap, BTreeSet};

use hostread_schemas::NameKind;
use hostread_schemas::unit::MoneyMicros;
use serde_json::{Value, json};

use super::world::{Listener, Rows, World};
use super::{folder, json, list, say, skipped, word};

/// Names in the data, with the place of the model in a row.
const MODELS: [(&str, usize); 5] = [
    ("first", 0),
    ("last", 1),
    ("linear", 2),
    ("position_40_20_40", 4),
    ("shapley_set_game", 5),
];
const MICROS: i128 = 1_000_000;

/// Touches ten minutes apart, then the order.
fn journey(
    world: &mut World,
    case: &str,
    number: usize,
    path: &[Value],
    value: MoneyMicros,
    refund: MoneyMicros,
) {
    let listener = Listener::number(number);
    for (step, channel) in path.iter().enumerate() {
        let line = format!("{case}/{}", word(channel));
        world.say(json!({
            "type": "impression", "id": format!("{number} touch {step}"), "line": line, "show": "show",
            "episode": format!("{number}-{step}"), "time": format!("2026-11-10T{:02}:{:02}:00Z", step / 6, step % 6 * 10),
            "ip": listener.ip, "agent": listener.agent,
        }));
    }
    let order = |kind: &str, value: MoneyMicros, time: &str| {
        json!({
            "type": "order", "id": format!("{number} {kind}"), "kind": kind, "store": case, "order_name": number.to_string(),
            "value": value.0, "currency": "USD", "time": time, "ip": listener.ip,
        })
    };
    world.say(order("placed", value, "2026-11-10T20:00:00Z"));
    if refund.0 > 0 {
        world.say(order("refunded", refund, "2026-11-11T20:00:00Z"));
    }
}

fn deal(world: &mut World, case: &str, channels: &BTreeSet<&str>) {
    world
        .say(json!({"type": "store", "id": format!("store {case}"), "store": case, "brand": case}));
    for channel in channels {
        world.line(
            &format!("{case}/{channel}"),
            case,
            "inserted",
            "impressions",
        );
    }
}

/// Numerator and denominator of `19/6`, `35.50`, `4`.
fn rational(text: &str) -> (i128, i128) {
    match text.split_once('/') {
        Some((above, below)) => (above.parse().unwrap(), below.parse().unwrap()),
        None => (
            i128::from(MoneyMicros::from_decimal(text).unwrap().0),
            MICROS,
        ),
    }
}

/// What was given to each line, under one model.
fn given(rows: &Rows, model: usize, money: bool) -> BTreeMap<String, i128> {
    let mut sums = BTreeMap::new();
    for (key, row) in rows.credits() {
        let micros = if money {
            row.money_micros
        } else {
            row.credit_micros
        };
        *sums
            .entry(rows.name(NameKind::Line, key.line.0))
            .or_default() += i128::from(micros[model]);
    }
    sums
}

/// Each touch may be rounded by less than a millionth.
fn assert_close(what: &str, found: i128, exact: &str, roundings: usize) {
    let (above, below) = rational(exact);
    let off = (found * below - above * MICROS).abs();
    let bound = below * i128::try_from(roundings).unwrap();
    assert!(
        off < bound || off == 0,
        "{what}: {found} micros, not {exact}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn credits_of_the_rule_models_are_the_exact_ones() {
    let Some(dir) = folder() else {
        return;
    };
    let data = json(&dir, "attribution/cases.json");
    let mut world = World::new().await;
    let (mut number, mut left_out) = (0, Vec::new());
    let mut touches: BTreeMap<&str, usize> = BTreeMap::new();
    let mut nulls = 0;
    for case in list(&data["cases"]) {
        let id = word(&case["id"]);
        let paths = list(&case["paths"]);
        let channels = paths
            .iter()
            .flat_map(|path| list(&path["path"]))
            .map(word)
            .collect();
        deal(&mut world, id, &channels);
        for path in paths {
            for _ in 0..path["conversions"].as_u64().unwrap() {
                number += 1;
                let steps = list(&path["path"]);
                *touches.entry(id).or_default() += steps.len();
                journey(
                    &mut world,
                    id,
                    number,
                    steps,
                    MoneyMicros(0),
                    MoneyMicros(0),
                );
            }
            nulls += path["nulls"].as_u64().unwrap();
        }
        let expected = case["expected"].as_object().unwrap();
        let models = expected.keys().filter(|key| key.starts_with("markov"));
        left_out.extend(
            models.map(|model| (format!("{id} {model}"), "looks at all journeys together")),
        );
    }
    let rows = world.rows().await;
    assert_eq!(rows.conversions().len(), number);
    assert!(rows.conversions().iter().all(|row| row.matched_by == 1));
    for (model, place) in MODELS {
        let found = given(&rows, place, false);
        for case in list(&data["cases"]) {
            let id = word(&case["id"]);
            let expected = case["expected"][model].as_object().unwrap();
            for channel in list(&case["expected"]["channels"]).iter().map(word) {
                let exact = expected
                    .get(channel)
                    .map_or("0", |share| word(&share["exact"]));
                let got = found
                    .get(&format!("{id}/{channel}"))
                    .copied()
                    .unwrap_or_default();
                assert_close(&format!("{id} {model} {channel}"), got, exact, touches[id]);
            }
        }
        let mut sums: BTreeMap<_, i64> = BTreeMap::new();
        for (key, row) in rows.credits() {
            *sums.entry(key.conversion).or_default() += row.credit_micros[place];
        }
        assert!(
            sums.len() == number && sums.values().all(|sum| *sum == 1_000_000),
            "{model}"
        );
    }
    say(&format!(
        "attribution/cases.json: {number} conversions; {nulls} journeys without one do not bear on rule models"
    ));
    skipped("attribution/cases.json", &left_out);
}

#[tokio::test(flavor = "multi_thread")]
async fn money_of_an_order_goes_to_its_touches() {
    let Some(dir) = folder() else {
        return;
    };
    let data = json(&dir, "attribution/revenue-cases.json");
    let mut world = World::new().await;
    let money = |value: &Value| MoneyMicros::from_decimal(value.as_str().unwrap_or("0")).unwrap();
    for (index, case) in list(&data["cases"]).iter().enumerate() {
        let path = list(&case["path"]);
        deal(
            &mut world,
            word(&case["id"]),
            &path.iter().map(word).collect(),
        );
        journey(
            &mut world,
            word(&case["id"]),
            index + 1,
            path,
            money(&case["value"]),
            money(&case["refund"]),
        );
    }
    let rows = world.rows().await;
    for (model, place) in MODELS {
        let found = given(&rows, place, true);
        for case in list(&data["cases"]) {
            let Some(expected) = case[model].as_object() else {
                continue;
            };
            let id = word(&case["id"]);
            let channels: BTreeSet<&str> = list(&case["path"]).iter().map(word).collect();
            let mut sum = 0;
            for channel in channels {
                let exact = expected.get(channel).map_or("0", word);
                let got = found
                    .get(&format!("{id}/{channel}"))
                    .copied()
                    .unwrap_or_default();
                assert_close(
                    &format!("{id} {model} {channel}"),
                    got,
                    exact,
                    list(&case["path"]).len(),
                );
                sum += got;
            }
            let left = money(&case["value"]).0 - money(&case["refund"]).0;
            assert_eq!(
                sum,
                i128::from(left),
                "{id} {model}: all of the order's value, no more"
            );
        }
    }
}
