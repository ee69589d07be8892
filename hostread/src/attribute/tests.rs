//! Files of paths, and what they come to.
#![allow(clippy::unwrap_used, reason = "tests panic")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn report(text: &str, order: usize, threads: usize) -> Result<Report> {
    let asked = Asked {
        models: ModelName::chosen(&[ModelName::All]),
        custom: None,
        order,
        channels_max: 1 << 20,
        steps_max: u64::MAX,
    };
    let counted = attribute(text.as_bytes(), &asked, threads)?;
    Ok(Report::new(&counted, &asked))
}

fn answer(text: &str) -> Value {
    serde_json::to_value(report(text, 1, 2).unwrap()).unwrap()
}

#[test]
fn channels_with_the_names_of_states_are_channels() {
    let own = "path,conversions,value,nulls\na > b > c,5,50,2\nb > d,3,30,4\nc,0,0,9\n";
    let names = [
        ("a", "start"),
        ("b", "null"),
        ("c", "conversion"),
        ("d", "(start)"),
    ];
    let mut inner = own.to_owned();
    for (letter, name) in names {
        let lines = inner.lines().map(|line| {
            let (path, rest) = line.split_once(',').unwrap();
            let renamed: Vec<&str> = path
                .split(" > ")
                .map(|old| if old == letter { name } else { old })
                .collect();
            format!("{},{rest}\n", renamed.join(" > "))
        });
        inner = lines.collect();
    }
    let (own, inner) = (answer(own), answer(&inner));
    for (letter, name) in names {
        for model in ["first", "last", "linear", "position", "markov", "shapley"] {
            let credit = |answer: &Value, channel: &str, what: &str| {
                answer["models"][model][channel][what].as_f64().unwrap()
            };
            for what in ["conversions", "value"] {
                let (one, other) = (credit(&own, letter, what), credit(&inner, name, what));
                assert!((one - other).abs() < 1e-13, "{model} {name}: {one} {other}");
            }
        }
    }
    assert_eq!(own["markov_detail"]["base_probability"], json!(8.0 / 23.0));
}

#[test]
fn what_is_left_out_is_said_once() {
    let found = answer("path,conversions\na,1\nb,x\n,2\n");
    assert!(found["models"]["time_decay"].is_null());
    let notes = [
        "2 lines could not be read and are left out",
        "time_decay is left out: the file has no column \"ages\"",
        "the file has no column \"nulls\": Markov takes every journey as one that converts",
        "the file has no column \"value\": every value is 0",
    ];
    assert_eq!(found["notes"], json!(notes));
    assert_eq!(
        (&found["input"]["rows"], &found["input"]["malformed"]),
        (&json!(3), &json!(2))
    );
    let found = answer("path,conversions,value,nulls,ages\na > b,0,0,3,\n");
    assert_eq!(
        found["notes"],
        json!(["no journey of the file converts: every credit is 0"])
    );
    assert_eq!(
        found["models"]["time_decay"]["a"]["conversions"],
        json!(0.0)
    );
    assert_eq!(found["models"]["markov"]["b"]["conversions"], json!(0.0));
}

#[test]
fn time_decay_by_hours() {
    let found = answer("path,conversions,value,nulls,ages\na > b,3,0,0,168 > 0\n");
    let credit = |channel: &str| {
        found["models"]["time_decay"][channel]["conversions"]
            .as_f64()
            .unwrap()
    };
    // The table of weights cuts at each of 512 steps: 536,870,717 against 2^30.
    let exact = 3.0 * 536_870_717.0 / (536_870_717.0 + 1_073_741_824.0);
    assert!((credit("a") - exact).abs() < 1e-12 && (credit("b") - 3.0 + exact).abs() < 1e-12);
}

#[test]
fn a_file_that_is_none_is_an_error() {
    let wrong = |text: &str| format!("{:#}", report(text, 1, 2).unwrap_err());
    assert_eq!(wrong(""), "the file is empty");
    assert_eq!(wrong("\n\n"), "the file is empty");
    assert_eq!(
        wrong("\npath,x\n"),
        "line 2: column \"x\" is none of path, conversions, value, nulls, ages"
    );
    let row = "a,1000000000000\n";
    assert_eq!(
        wrong(&format!("path,conversions\n{}", row.repeat(10))),
        "conversions: the file's total is over nine trillion"
    );
}

#[test]
fn a_long_path_is_cut_and_said() {
    let path = vec!["a"; 300].join(" > ");
    let found = answer(&format!("path,conversions,value,nulls\n{path} > b,1,1,1\n"));
    assert_eq!(found["input"]["touches_cut"], json!(45));
    assert_eq!(
        found["models"]["linear"]["b"]["conversions"],
        json!(1.0 / 256.0)
    );
    assert!(
        found["notes"]
            .to_string()
            .contains("45 touches are left out")
    );
}

proptest! {
    #[test]
    fn the_order_of_rows_and_threads_change_no_bit(
        rows in proptest::collection::vec(
            (proptest::collection::vec(0_usize..6, 1..6), 0_u64..1_000_000, 0_u64..100_000, 0_u64..1_000), 1..40,
        ),
        turn in 0_usize..40,
        order in 1_usize..4,
        threads in 1_usize..5,
    ) {
        const NAMES: [&str; 6] = ["start", "\"\"\"a > b\"\"\"", "ü", "c d", "null", "z"];
        let line = |(path, conversions, value, nulls): &(Vec<usize>, u64, u64, u64)| {
            let hours: Vec<String> = (0..path.len()).rev().map(|age| (age * 31).to_string()).collect();
            // The quoted name makes the field one that is quoted.
            let names: Vec<&str> = path.iter().map(|name| NAMES[*name]).collect();
            let names = names.join(" > ").replace("\"\"\"", "\"\"");
            format!("\"{names}\",{}.{:06},{value},{nulls},{}\n", conversions / 1000, conversions, hours.join(">"))
        };
        let mut lines: Vec<String> = rows.iter().map(line).collect();
        let file = |lines: &[String]| format!("path,conversions,value,nulls,ages\n{}", lines.concat());
        let whole = serde_json::to_string(&report(&file(&lines), order, 1).unwrap()).unwrap();
        lines.rotate_left(turn % rows.len());
        lines.reverse();
        let turned = serde_json::to_string(&report(&file(&lines), order, threads).unwrap()).unwrap();
        prop_assert!(!whole.contains("malformed\":1"));
        prop_assert_eq!(whole, turned);
    }
}
