//! `hostread doctor tracking` beside a system that runs: it says of ads what pacing says, and a test order moves no number.

use serde_json::Value;

use super::explain::Demo;
use super::{run, text};

/// Every line item of every tenant.
pub(super) async fn every_line(demo: &Demo<'_>) {
    for (tenant, key) in demo.tenants() {
        let lines = told(demo, &tenant, &key).await;
        for (row, (code, said)) in &lines {
            is_paced(row, *code, said);
        }
        let line = lines[0].0["line"].as_str().unwrap();
        let said = run(
            demo.dir,
            &args(demo, &["--line", line, "--tenant", &tenant]),
        );
        let said = text(&said);
        assert!(
            said.starts_with(&format!("Line item {line} of {tenant}\n")),
            "{said}"
        );
        assert!(
            said.contains("ads ") && said.contains("\n  brand "),
            "{said}"
        );
        test_order(demo, &tenant, &key, line).await;
    }
    let of_both = run(demo.dir, &args(demo, &["--line", "fern-host-read"]));
    assert!(text(&of_both).contains("--tenant says whose"));
}

/// What pacing has of each line item, and what is said of it in the same hour of the clock.
async fn told(demo: &Demo<'_>, tenant: &str, key: &str) -> Vec<(Value, (i32, Value))> {
    let query = "SELECT line, state, delivered, as_of FROM hostread.pacing ORDER BY line";
    let mut rows = demo.rows(key, query).await;
    loop {
        let ask = |row: &Value| asked(demo, tenant, row["line"].as_str().unwrap(), &[]);
        let said: Vec<(i32, Value)> = rows.iter().map(ask).collect();
        let after = demo.rows(key, query).await;
        if after == rows {
            return rows.into_iter().zip(said).collect();
        }
        rows = after;
    }
}

fn is_paced(row: &Value, code: i32, said: &Value) {
    let ads = &said["seen"][0];
    assert_eq!(ads["what"], "ads");
    let delivered = row["delivered"].to_string().replace('"', "");
    let delivered: u64 = delivered.parse().unwrap();
    let expected = match (said["flight"].as_str().unwrap(), delivered) {
        ("ahead", _) => "unused",
        (_, 0) => "missing",
        _ if row["state"] == "stalled" => "quiet",
        _ => "seen",
    };
    assert_eq!(ads["state"], expected, "{row} {said:#}");
    assert_eq!(ads["last"].is_null(), delivered == 0, "{row} {said:#}");
    assert!(ads["week"].as_u64() <= Some(delivered), "{row} {said:#}");
    assert_eq!(code, i32::from(said["works"] == false), "{row} {said:#}");
}

fn args<'a>(demo: &'a Demo<'_>, more: &[&'a str]) -> Vec<&'a str> {
    let base = ["--data-dir", demo.data.as_str(), "doctor", "tracking"];
    [&base[..], more].concat()
}

fn asked(demo: &Demo<'_>, tenant: &str, line: &str, more: &[&str]) -> (i32, Value) {
    let of = ["--line", line, "--tenant", tenant, "--format", "json"];
    let said = run(demo.dir, &args(demo, &[&of[..], more].concat()));
    let code = said.status.code().unwrap();
    let json = serde_json::from_slice(&said.stdout);
    (code, json.unwrap_or_else(|_| panic!("{}", text(&said))))
}

/// It comes through, and nothing else is there that was not there before.
async fn test_order(demo: &Demo<'_>, tenant: &str, key: &str, line: &str) {
    let query = "SELECT count(), sum(signals), sum(value) FROM hostread.conversions";
    let before = demo.rows(key, query).await;
    let (_, said) = asked(demo, tenant, line, &[]);
    let store = said["stores"][0].as_str().unwrap();
    let more = [
        "--test-order",
        store,
        "--api-key",
        key,
        "--gateway",
        &demo.gateway,
    ];
    let (_, said) = asked(demo, tenant, line, &more);
    let newest = said["seen"].as_array().unwrap().last().unwrap();
    assert_eq!(newest["what"], "test_orders");
    let name = newest["name"].as_str().unwrap();
    assert!(name.starts_with("hostread-test-"), "{newest}");
    assert_eq!(demo.rows(key, query).await, before);
    let elsewhere = ["--test-order", "nowhere", "--api-key", key];
    let of = ["--line", line, "--tenant", tenant];
    let refused = run(demo.dir, &args(demo, &[&of[..], &elsewhere].concat()));
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused).contains("is no store of"),
        "{}",
        text(&refused)
    );
}
