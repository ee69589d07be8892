//! `hostread report revenue` beside a system that runs: with refunds on the day of the sale it is what the database has of that
//! day, and over all days it is the same with refunds on their own.

use std::collections::BTreeMap;

use serde_json::Value;

use super::credits::Sheets;

/// Every campaign and day, under two models. Is there a refund on another day than its sale?
pub(super) fn every_day(sheets: &Sheets<'_>) -> bool {
    let mut later = false;
    for model in ["linear", "last"] {
        let of = |on: &str| sheets.rows(&["revenue", "--model", model, "--refunds-on", on]);
        let (of_sale, of_refund) = (of("sale"), of("refund"));
        let days = ["day", "campaign", "currency"];
        let stored = [
            "attribution",
            "--by",
            "day,campaign",
            "--model",
            model,
            "--limit",
            "100000",
        ];
        let stored = sums(&sheets.rows(&stored), &days, "money_micros");
        assert!(!stored.is_empty());
        assert_eq!(sums(&of_sale, &days, "net_micros"), stored);
        for of in ["sold_micros", "refunded_micros", "net_micros"] {
            let all = |rows: &[Value]| sums(rows, &days[1..], of);
            assert_eq!(all(&of_sale), all(&of_refund), "{of}");
        }
        later |= of_sale != of_refund;
    }
    let day = sheets.rows(&["revenue"]);
    let month = sheets.rows(&["revenue", "--by", "month"]);
    let whose = ["campaign", "currency"];
    let all = |rows: &[Value]| sums(rows, &whose, "net_micros");
    assert_eq!(all(&day), all(&month));
    assert!(month.len() <= day.len());
    later
}

/// Sums that are not 0, by words.
fn sums(rows: &[Value], by: &[&str], of: &str) -> BTreeMap<Vec<String>, i64> {
    let mut sums: BTreeMap<Vec<String>, i64> = BTreeMap::new();
    for row in rows {
        let words = by.iter().map(|by| row[by].as_str().unwrap().to_owned());
        *sums.entry(words.collect()).or_default() += row[of].as_i64().unwrap();
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}
