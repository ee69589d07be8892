//! `hostread attribute` against the exact answers: every model of every case, from a file as a user writes it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{folder, json, list, say, word};
use crate::engines_tests::launcher_exe;

/// Names in the data and in the answer.
const MODELS: [(&str, &str); 5] = [
    ("first", "first"),
    ("last", "last"),
    ("linear", "linear"),
    ("position_40_20_40", "position"),
    ("shapley_set_game", "shapley"),
];
const NEAR: f64 = 1e-12;

fn attribute(dir: &Path, file: &str) -> Value {
    let mut command = Command::new(launcher_exe());
    command.args(["attribute", "--paths", file, "--format", "json"]);
    let output = command.current_dir(dir).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A CSV with a conversion worth 7.25; a quote is doubled twice: in the name, and in the field.
fn csv(paths: &[Value]) -> String {
    let rows = paths.iter().map(|path| {
        let names = list(&path["path"]).iter().map(word);
        let names: Vec<String> = names.map(|name| format!("\"\"{name}\"\"")).collect();
        let (conversions, nulls) = (path["conversions"].as_u64().unwrap(), &path["nulls"]);
        let cents = conversions * 725;
        format!(
            "\"{}\",{conversions},{}.{:02},{nulls}\n",
            names.join(" > "),
            cents / 100,
            cents % 100
        )
    });
    std::iter::once("path,conversions,value,nulls\n".to_owned())
        .chain(rows)
        .collect()
}

/// The number of a channel; what is not named is 0.
fn near(what: &str, found: &Value, expected: &Value, times: f64) {
    let (found, expected) = (
        found.as_f64().unwrap(),
        expected.as_f64().unwrap_or(0.0) * times,
    );
    assert!(
        (found - expected).abs() <= NEAR * times,
        "{what}: {found}, not {expected}"
    );
}

#[test]
fn every_model_of_every_case_is_exact() {
    let Some(dir) = folder() else {
        return;
    };
    let data = json(&dir, "attribution/cases.json");
    let scratch = tempfile::tempdir().unwrap();
    let mut numbers = 0;
    for case in list(&data["cases"]) {
        let id = word(&case["id"]);
        std::fs::write(scratch.path().join("paths.csv"), csv(list(&case["paths"]))).unwrap();
        let found = attribute(scratch.path(), "paths.csv");
        let expected = &case["expected"];
        assert!(
            found["models"]["time_decay"].is_null(),
            "{id}: there are no ages"
        );
        let detail = &found["markov_detail"];
        near(
            id,
            &detail["base_probability"],
            &expected["markov"]["base_probability"]["value"],
            1.0,
        );
        for channel in list(&expected["channels"]).iter().map(word) {
            let removal = &expected["markov"]["removal_effect"][channel]["value"];
            near(
                &format!("{id} effect of {channel}"),
                &detail["removal_effects"][channel],
                removal,
                1.0,
            );
            let markov = ("markov", &expected["markov"]["credit"][channel]["value"]);
            let rules = MODELS.map(|(name, model)| (model, &expected[name][channel]["value"]));
            for (model, exact) in rules.into_iter().chain([markov]) {
                let what = format!("{id} {model} {channel}");
                let credit = &found["models"][model][channel];
                near(&what, &credit["conversions"], exact, 1.0);
                near(&format!("{what} value"), &credit["value"], exact, 7.25);
                numbers += 2;
            }
        }
    }
    assert!(numbers > 100);
    say(&format!(
        "attribution/cases.json: {numbers} numbers of `hostread attribute`"
    ));
}
