//! `hostread report models` beside a system that runs: shares are those of the single credits, and the interval lies around them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::credits::Sheets;

/// Credit in millionths of a conversion by campaign, and of all.
async fn credits(sheets: &Sheets<'_>, model: &str) -> (BTreeMap<String, i64>, i64) {
    let query = format!(
        "SELECT campaign, toString(credit_micros) FROM hostread.attribution WHERE model = '{model}' FORMAT JSONCompactEachRow"
    );
    let mut credits: BTreeMap<String, i64> = BTreeMap::new();
    for row in sheets.asked(&query).await.lines() {
        let [campaign, credit]: [String; 2] = serde_json::from_str(row).unwrap();
        *credits.entry(campaign).or_default() += credit.parse::<i64>().unwrap();
    }
    let all = credits.values().sum();
    (credits, all)
}

fn number(row: &Value, of: &str) -> i64 {
    row[of].as_i64().unwrap()
}

pub(super) async fn every_campaign(sheets: &Sheets<'_>) {
    let first = credits(sheets, "first").await;
    let position = credits(sheets, "position").await;
    let rows = sheets.rows(&["models", "--model", "first", "--against", "position"]);
    let turned = sheets.rows(&["models", "--model", "position", "--against", "first"]);
    let found: Vec<&str> = rows
        .iter()
        .map(|row| row["campaign"].as_str().unwrap())
        .collect();
    assert_eq!(found, first.0.keys().collect::<Vec<_>>());
    for (row, turned) in rows.iter().zip(&turned) {
        let campaign = row["campaign"].as_str().unwrap();
        for (of, (credits, all)) in [("first_micros", &first), ("position_micros", &position)] {
            let share = credits[campaign] as f64 / *all as f64 * 1e6;
            assert!(
                (number(row, of) as f64 - share).abs() <= 0.5,
                "{row}: {share}"
            );
        }
        let difference = number(row, "first_micros") - number(row, "position_micros");
        assert_eq!(number(row, "difference_micros"), difference);
        assert_eq!(number(turned, "difference_micros"), -difference);
        if number(row, "households") < 30 {
            assert_eq!(
                (&row["low_micros"], &row["high_micros"]),
                (&json!(null), &json!(null))
            );
            continue;
        }
        let (low, high) = (number(row, "low_micros"), number(row, "high_micros"));
        assert!(low <= difference && difference <= high, "{row}");
        assert_eq!(
            (number(turned, "low_micros"), number(turned, "high_micros")),
            (-high, -low)
        );
    }
    let alike = sheets.refused(&["models", "--against", "last"]);
    assert!(
        alike.contains("--against") && !alike.contains("do not answer"),
        "{alike}"
    );
    for nothing in [["--to", "1999-12-31"], ["--currency", "XAU"]] {
        let found = sheets.rows(&[&["models"], &nothing[..]].concat());
        assert!(found.is_empty(), "{found:?}");
    }
}
