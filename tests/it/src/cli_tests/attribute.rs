//! `hostread attribute`: files, pipes and archives; what it prints, and how it ends.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{API_KEY, Running, hostread, printed, run, text, write_settings};
use crate::doors::bench::gzip;

const PATHS: &str = "path,conversions,value,nulls,ages
a > b,2,50,1,168 > 0
\"\"\"a > b\"\" > c\",1,30,0,9 > 1
b,x,1,1,1
";

fn answer(dir: &Path, args: &[&str]) -> Value {
    let args = [&["attribute", "--format", "json"], args].concat();
    serde_json::from_str(&printed(dir, &args)).unwrap()
}

#[test]
fn a_file_a_pipe_and_an_archive_are_one_input() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("paths.csv"), PATHS).unwrap();
    std::fs::write(dir.join("paths.csv.gz"), gzip(PATHS.as_bytes())).unwrap();
    let of_file = answer(dir, &["--paths", "paths.csv"]);
    assert_eq!(answer(dir, &["--paths", "paths.csv.gz"]), of_file);
    let mut piped = hostread(dir, &["attribute", "--format", "json", "--paths", "-"]);
    let mut child = piped
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(PATHS.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&output.stdout).unwrap(),
        of_file
    );
    assert_eq!(
        of_file["models"]["last"],
        json!({
            "a": {"conversions": 0.0, "value": 0.0}, "a > b": {"conversions": 0.0, "value": 0.0},
            "b": {"conversions": 2.0, "value": 50.0}, "c": {"conversions": 1.0, "value": 30.0},
        })
    );
    assert_eq!(of_file["markov_detail"]["base_probability"], json!(0.75));
    assert_eq!(of_file["input"]["malformed"], json!(1));
}

#[test]
fn models_come_in_one_order_and_only_those_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("paths.csv"), PATHS).unwrap();
    let args = [
        "attribute",
        "--paths",
        "paths.csv",
        "--format",
        "json",
        "--models",
        "shapley,first,first",
    ];
    let text = printed(dir.path(), &args);
    assert!(text.starts_with("{\"models\":{\"first\":{\"a\":"), "{text}");
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["models"].as_object().unwrap().len(), 2);
    assert!(found["markov_detail"].is_null());
}

#[test]
fn how_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("paths.csv"), PATHS).unwrap();
    std::fs::write(
        dir.join("no-ages.csv"),
        "path,conversions,value,nulls\na,1,1,1\n",
    )
    .unwrap();
    let bands = r#"{"first":1,"between":1,"last":1,"ages":[{"up_to_hours":9,"weight":2}]}"#;
    std::fs::write(dir.join("ages.json"), bands).unwrap();
    let shares = r#"{"first":40,"between":"20","last":40}"#;
    std::fs::write(dir.join("shares.json"), shares).unwrap();
    let large = format!("{bands}{}x", " ".repeat(1 << 16));
    std::fs::write(dir.join("large.json"), large).unwrap();
    std::fs::write(dir.join("semicolons.csv"), "path;conversions\na;1\n").unwrap();
    let archive = gzip(PATHS.as_bytes());
    std::fs::write(dir.join("cut.csv.gz"), &archive[..archive.len() - 9]).unwrap();
    for (args, code, told) in [
        (
            vec!["paths.csv"],
            0,
            "warning: paths.csv:4: conversions: \"x\" is no number with at most six decimals",
        ),
        (
            vec!["paths.csv", "--strict"],
            2,
            "error: not every line could be read, and --strict was given",
        ),
        (
            vec!["no-ages.csv"],
            0,
            "warning: time_decay is left out: the file has no column \"ages\"",
        ),
        (
            vec!["no-ages.csv", "--models", "time_decay"],
            2,
            "error: no-ages.csv has no column \"ages\", which time_decay needs",
        ),
        (
            vec!["semicolons.csv"],
            2,
            "error: reading semicolons.csv: line 1: column \"path;conversions\" is none of",
        ),
        (
            vec!["paths.csv", "--models", "custom"],
            2,
            "error: the model custom needs its document: --custom FILE",
        ),
        (
            vec!["paths.csv", "--custom", "shares.json"],
            2,
            "error: shares.json: between: invalid type: string \"20\", expected u32",
        ),
        (
            vec!["paths.csv", "--custom", "large.json"],
            2,
            "error: large.json has over 65536 bytes",
        ),
        (
            vec!["no-ages.csv", "--custom", "ages.json"],
            0,
            "warning: custom is left out: the file has no column \"ages\"",
        ),
        (
            vec![
                "no-ages.csv",
                "--models",
                "custom,time_decay",
                "--custom",
                "ages.json",
            ],
            2,
            "error: no-ages.csv has no column \"ages\", which time_decay and custom need",
        ),
        (vec!["nowhere.csv"], 2, "error: opening nowhere.csv"),
        (vec!["cut.csv.gz"], 2, "error: reading cut.csv.gz"),
        (vec!["paths.csv", "--order", "4"], 2, "4 is not in 1..=3"),
    ] {
        let output = run(dir, &[&["attribute", "--paths"], args.as_slice()].concat());
        let printed = text(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {printed}");
        assert_eq!(printed.matches(told).count(), 1, "{args:?}: {printed}");
    }
}

/// At the door of a gateway, with and without a key, as JSON and as CSV.
#[tokio::test(flavor = "multi_thread")]
async fn the_door_says_what_the_command_says() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write_settings(dir);
    let rows = "path,conversions,value,nulls\na > b > a,3,60.5,9\n\"\"\"b > c\"\"\",1,0,2\n";
    std::fs::write(dir.join("paths.csv"), rows).unwrap();
    let args = [
        "attribute",
        "--paths",
        "paths.csv",
        "--format",
        "json",
        "--order",
        "2",
    ];
    let expected: Value = serde_json::from_str(&printed(dir, &args)).unwrap();
    let mut gateway = Running::start(hostread(dir, &["--config", "hostread.toml", "gateway"]));
    let address = gateway.address("gateway  ");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let calculate = |query: &str, kind: &str, body: &str| {
        let url = format!("{address}/v1/attribution/calculate{query}");
        let post = client.post(url).header("content-type", kind);
        post.body(body.to_owned())
    };
    let said = async |request: reqwest::RequestBuilder| {
        let answer = request.bearer_auth(API_KEY).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap())
    };
    let json = r#"{"paths":[{"path":["a","b","a"],"conversions":3,"value":60.5,"nulls":9},
        {"path":["b > c"],"conversions":1,"nulls":2}]}"#;
    for (kind, body) in [("text/csv", rows), ("application/json", json)] {
        let found = said(calculate("?order=2", kind, body)).await;
        assert_eq!(found, (200, expected.clone()), "{kind}");
    }
    let (status, found) = said(calculate("?models=lst", "application/json", json)).await;
    assert_eq!((status, &found["field"]), (422, &Value::from("models")));
    let half = &json[..90];
    let (status, _) = said(calculate("", "application/json", half)).await;
    assert_eq!(status, 422);
    let (status, models) = said(client.get(format!("{address}/v1/attribution/models"))).await;
    let names = models["models"].as_array().unwrap().iter();
    let names: Vec<&str> = names.map(|model| model["name"].as_str().unwrap()).collect();
    let of_command: Vec<&String> = expected["models"].as_object().unwrap().keys().collect();
    assert!(status == 200 && of_command.iter().all(|name| names.contains(&name.as_str())));
    let nobody = calculate("", "application/json", json)
        .send()
        .await
        .unwrap();
    assert_eq!(nobody.status().as_u16(), 401);
    assert_eq!(gateway.stop(Signal::SIGTERM), Some(0));
}
