//! `hostread report customers` beside a system that runs: new, returning and not known have together what the database credits to
//! a line item.

use std::collections::BTreeMap;

use serde_json::Value;

use super::credits::Sheets;

/// Every line item, under two models; did anybody come back?
pub(super) fn every_line(sheets: &Sheets<'_>) -> bool {
    for model in ["position", "last"] {
        let rows = sheets.rows(&["customers", "--model", model]);
        let by = ["--by", "campaign,line", "--limit", "100000"];
        let stored = sheets.rows(&[&["attribution", "--model", model][..], &by].concat());
        for of in ["credit_micros", "money_micros"] {
            assert_eq!(sums(&rows, of), sums(&stored, of), "{model} {of}");
        }
    }
    let conversions = |of: &str, prior_days: &str| -> i64 {
        let rows = sheets.rows(&["customers", "--prior-days", prior_days]);
        let those = rows.iter().filter(|row| row["customers"] == of);
        those.map(|row| row["conversions"].as_i64().unwrap()).sum()
    };
    assert!(conversions("new", "365") > 0, "orders name their customers");
    for of in ["new", "returning"] {
        let (short, long) = (conversions(of, "1"), conversions(of, "365"));
        assert!(if of == "new" {
            short >= long
        } else {
            short <= long
        });
    }
    costs(sheets);
    conversions("returning", "365") > 0
}

/// A month's spend is its bills, and it is divided by the credit of new customers in all currencies.
fn costs(sheets: &Sheets<'_>) {
    let march = ["--from", "2026-03-01", "--to", "2026-03-31"];
    let sold = sheets.rows(&[&["customers"][..], &march].concat());
    let costs = sheets.rows(&[&["customers", "--costs"][..], &march].concat());
    let new = |line: &Value| -> i64 {
        let rows = sold.iter();
        let rows = rows.filter(|row| row["line"] == *line && row["customers"] == "new");
        rows.map(|row| row["credit_micros"].as_i64().unwrap()).sum()
    };
    for row in &costs {
        let (spend, won) = (row["spend_micros"].as_i64().unwrap(), new(&row["line"]));
        let cost = row["cost_per_new_customer_micros"].as_f64();
        assert_eq!(cost.is_some(), spend > 0 && won > 0, "{row}");
        if let Some(cost) = cost {
            let ought = spend as f64 / won as f64 * 1e6;
            assert!((cost - ought).abs() < 1.0, "{row}: not {ought}");
        }
    }
    let spend = |rows: &[Value]| -> i64 {
        let spend = rows.iter().map(|row| row["spend_micros"].as_i64());
        spend.map(Option::unwrap).sum()
    };
    let ever = sheets.rows(&["returns", "--model", "linear"]);
    assert_eq!(spend(&costs), spend(&ever), "all bills are of March");
    let refused = sheets.refused(&[
        "customers",
        "--costs",
        "--from",
        "2026-03-02",
        "--to",
        "2026-03-31",
    ]);
    assert!(refused.contains("billed by the month"), "{refused}");
}

/// By campaign, line item and currency.
fn sums(rows: &[Value], of: &str) -> BTreeMap<[String; 3], i64> {
    let mut sums: BTreeMap<[String; 3], i64> = BTreeMap::new();
    for row in rows {
        let words = ["campaign", "line", "currency"].map(|by| row[by].as_str().unwrap().to_owned());
        *sums.entry(words).or_default() += row[of].as_i64().unwrap();
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}
