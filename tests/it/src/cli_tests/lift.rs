//! `hostread report lift` beside a system that runs: the exposed are households that were reached, and those of them that
//! converted are responses.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::credits::Sheets;
use super::explain::Demo;
use super::{run, text};

/// Every campaign, in all days and in some.
pub(super) fn every_campaign(sheets: &Sheets<'_>) {
    let reach = sheets.rows(&["reach"]);
    let reached: BTreeMap<&str, &Value> = reach
        .iter()
        .map(|row| (row["campaign"].as_str().unwrap(), row))
        .collect();
    let rows = sheets.rows(&["lift"]);
    assert!(!rows.is_empty());
    let mut exposed = 0;
    for row in &rows {
        let campaign = row["campaign"].as_str().unwrap();
        let reached = |of: &str| reached[campaign][of].as_i64().unwrap();
        let number = |of: &str| row[of].as_i64().unwrap();
        assert!(number("compared") <= number("exposed"), "{row}");
        assert!(number("exposed") <= reached("households"), "{row}");
        assert!(number("heard_later") <= number("controls"), "{row}");
        exposed += number("exposed");
        if row["lift_micros"].is_null() {
            assert!(row["low_micros"].is_null() && row["p_micros"].is_null());
            continue;
        }
        let (low, high) = (number("low_micros"), number("high_micros"));
        assert!(low <= high && number("p_micros") > 0, "{row}");
        let both = (number("converted_micros"), number("of_controls_micros"));
        assert_eq!(number("lift_micros"), both.0 - both.1, "{row}");
        if row["when"] == "after" {
            let converted = (both.0 * number("compared") + 500_000) / 1_000_000;
            assert!(converted <= reached("responses"), "{row} {converted}");
        }
    }
    assert!(exposed > 100, "{rows:?}");
    let campaign = rows[0]["campaign"].as_str().unwrap();
    let one = sheets.rows(&["lift", "--campaign", campaign]);
    assert_eq!(one, rows[..2]);
    let short = sheets.rows(&["lift", "--within", "1", "--campaign", campaign]);
    assert_eq!(short[0]["exposed"], rows[0]["exposed"]);
    assert_eq!(short[0]["days"], 1);
    let backwards = ["lift", "--from", "2026-03-10", "--to", "2026-03-09"];
    let refused = sheets.refused(&backwards);
    assert!(refused.contains("before it begins"), "{refused}");
}

/// Households that a draw let hear an ad of a new campaign, and that it held out: six days before the world ends they could, and
/// of either a share buys.
fn test() -> Vec<Value> {
    let day = "2026-03-09T12:00:00Z";
    let mut events = vec![
        json!({"type": "store", "id": "t-store", "time": day, "store": "holdout-shop", "brand": "holdout"}),
        json!({"type": "campaign", "id": "t-campaign", "time": day, "campaign": "holdout-test", "brand": "holdout"}),
        json!({
            "type": "line_item", "id": "t-line", "time": day, "line": "holdout-line", "campaign": "holdout-test", "kind": "inserted",
            "controlling": "impressions", "goal": 1_000, "start": "2026-03-01", "end": "2026-03-31", "zone": "UTC",
            "price_kind": "cpm", "price": 25_000_000, "currency": "USD",
        }),
    ];
    for number in 0..200 {
        let (ip, held_out) = (format!("86.1.2.{number}"), number % 4 == 0);
        let kind = if held_out {
            "control_exposure"
        } else {
            "delivered"
        };
        events.push(json!({
            "type": "impression", "id": format!("t-ad-{number}"), "time": day, "line": "holdout-line", "show": "elsewhere",
            "episode": "elsewhere-1", "kind": kind, "ip": ip, "agent": "AntennaPod/3.4.0",
        }));
        // 30 of 150 and 5 of 50.
        if number % 5 == 0 && !held_out || number % 40 == 0 {
            events.push(json!({
                "type": "order", "id": format!("t-order-{number}"), "time": "2026-03-10T12:00:00Z", "store": "holdout-shop",
                "order_id": format!("9{number}"), "placed_at": "2026-03-10T12:00:00Z", "value": 10_000_000, "currency": "USD",
                "ip": ip,
            }));
        }
    }
    events
}

/// Sent to a system that runs, it has a lift; who was held out moves no other number.
pub(super) async fn of_a_draw(demo: &Demo<'_>) {
    let (tenant, key) = demo.tenants().swap_remove(0);
    let lift = |more: &[&str]| {
        let base = [
            "--data-dir",
            &demo.data,
            "report",
            "lift",
            "--tenant",
            &tenant,
        ];
        run(
            demo.dir,
            &[&base[..], &["--randomised", "--format", "json"], more].concat(),
        )
    };
    let before = lift(&[]);
    assert_eq!(before.status.code(), Some(0), "{}", text(&before));
    assert!(before.stdout.is_empty(), "the demo's world has no draw");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let sent = client
        .post(format!("{}/v1/events", demo.gateway))
        .bearer_auth(&key)
        .json(&test())
        .send();
    let answer: Value = sent.await.unwrap().json().await.unwrap();
    assert_eq!(answer["rejected"], json!([]), "{answer}");
    let until = std::time::Instant::now() + std::time::Duration::from_mins(1);
    let rows = loop {
        let said = lift(&["--within", "7"]);
        let rows: Vec<Value> = text(&said)
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        if rows
            .first()
            .is_some_and(|row| row["converted_micros"] == 200_000)
        {
            break rows;
        }
        assert!(std::time::Instant::now() < until, "{}", text(&said));
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    };
    let row = &rows[0];
    assert_eq!(
        (&row["campaign"], &row["design"]),
        (&json!("holdout-test"), &json!("randomised"))
    );
    assert_eq!(
        [&row["exposed"], &row["controls"], &row["heard_later"]],
        [150, 50, 0]
    );
    assert_eq!(
        [&row["of_controls_micros"], &row["lift_micros"]],
        [100_000, 100_000]
    );
    assert!(
        row["low_micros"].as_i64() < Some(100_000) && row["p_micros"].as_i64() > Some(0),
        "{row}"
    );
    assert!(
        rows[1]["lift_micros"].is_null(),
        "nobody bought before: {rows:?}"
    );
    let query = "SELECT toString(sum(delivered)) AS ads FROM hostread.delivery_daily WHERE line = 'holdout-line'";
    while demo.rows(&key, query).await[0]["ads"] != "150" {
        assert!(
            std::time::Instant::now() < until,
            "only who heard it counts"
        );
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    assert_eq!(lift(&["--held-out", "25"]).status.code(), Some(0));
    let doubted = lift(&["--held-out", "50"]);
    assert_eq!(doubted.status.code(), Some(1));
    let doubt = "holdout-test: 50 of 200 households were held out, and 50 of 100 were to be";
    assert!(text(&doubted).contains(doubt), "{}", text(&doubted));
    assert_eq!(lift(&["--campaign", "nobody"]).stdout, b"");
}
