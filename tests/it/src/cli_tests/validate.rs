//! `hostread validate` in the world that ships: who caused each order is known there, and each model is as near as counting by hand says.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{printed, run, text};

const TRUTH: &str = include_str!("../../../../samples/truth.json");

type Credits = BTreeMap<String, f64>;

fn shares(credits: &Credits, names: &BTreeMap<String, f64>) -> Vec<f64> {
    let all: f64 = credits.values().sum();
    let of = |name: &String| credits.get(name).copied().unwrap_or(0.0) / all;
    names.keys().map(of).collect()
}

#[test]
fn models_beside_what_a_simulated_world_knows() {
    let dir = tempfile::tempdir().unwrap();
    let world: Value = serde_json::from_str(TRUTH).unwrap();
    let (mut paths, mut causes) = ("path,conversions\n".to_owned(), Credits::new());
    let mut models: BTreeMap<&str, Credits> = BTreeMap::new();
    let mut names = Credits::new();
    for order in world["orders"].as_array().unwrap() {
        let touches = order["path"].as_array().unwrap();
        let (Some(cause), [first, .., last]) = (order["cause_line"].as_str(), &touches[..]) else {
            continue;
        };
        let line = |touch: &Value| touch["line"].as_str().unwrap().to_owned();
        let lines: Vec<String> = touches.iter().map(line).collect();
        paths.push_str(&lines.join(" > "));
        paths.push_str(",1\n");
        *causes.entry(cause.to_owned()).or_default() += 1.0;
        let mut give = |model, name: String, credit: f64| {
            names.entry(name.clone()).or_default();
            *models.entry(model).or_default().entry(name).or_default() += credit;
        };
        give("first", line(first), 1.0);
        give("last", line(last), 1.0);
        for name in &lines {
            give("linear", name.clone(), 1.0 / lines.len() as f64);
        }
    }
    assert!(causes.len() > 3, "{causes:?}");
    names.extend(causes.keys().map(|name| (name.clone(), 0.0)));
    let rows = causes
        .iter()
        .map(|(name, caused)| format!("{name},{caused}\n"));
    let truth = format!("channel,conversions\n{}", rows.collect::<String>());
    std::fs::write(dir.path().join("paths.csv"), &paths).unwrap();
    std::fs::write(dir.path().join("truth.csv"), truth).unwrap();

    let files = ["validate", "--paths", "paths.csv", "--truth", "truth.csv"];
    let asked = ["--models", "first,last,linear", "--format", "json"];
    let said = printed(dir.path(), &[&files[..], &asked].concat());
    let said: Value = serde_json::from_str(&said).unwrap();
    let ought = shares(&causes, &names);
    let judged = said["models"].as_array().unwrap();
    assert_eq!(judged.len(), 3);
    let mut before = 1.0;
    for it in judged {
        let given = shares(&models[it["model"].as_str().unwrap()], &names);
        let mut apart = 0.0;
        for ((name, given), ought) in names.keys().zip(given).zip(&ought) {
            let bias = it["bias"][name].as_f64().unwrap();
            assert!((bias - (given - ought)).abs() < 1e-6, "{name}: {it}");
            apart += (given - ought).abs();
        }
        let accuracy = it["accuracy"].as_f64().unwrap();
        assert!((accuracy - (1.0 - apart / 2.0)).abs() < 1e-6, "{it}");
        assert!(accuracy <= before, "the most accurate first: {said}");
        before = accuracy;
    }
    // In this world each touch may be the one that sold.
    assert_eq!(judged[0]["model"], "linear", "{said}");
    let twice = run(dir.path(), &["validate", "--paths", "-", "--truth", "-"]);
    assert!(text(&twice).contains("standard input is one of the two"));
}
