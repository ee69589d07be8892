//! `hostread report lift` beside a system that runs: the exposed are households that were reached, and those of them that
//! converted are responses.

use std::collections::BTreeMap;

use serde_json::Value;

use super::credits::Sheets;

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
