//! `hostread report episodes` beside a system that runs: the episodes of a campaign and a show have together what the database
//! credits to these, and the last touches are where paths end.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::credits::Sheets;

/// Every campaign, under two models.
pub(super) fn every_campaign(sheets: &Sheets<'_>) {
    for model in ["position", "last"] {
        let rows = sheets.rows(&["episodes", "--model", model]);
        let by = ["--by", "campaign,show", "--limit", "100000"];
        let stored = sheets.rows(&[&["attribution", "--model", model][..], &by].concat());
        for of in ["credit_micros", "money_micros"] {
            assert_eq!(sums(&rows, of), sums(&stored, of), "{model} {of}");
        }
        let named: BTreeSet<&str> = rows
            .iter()
            .map(|row| row["episode"].as_str().unwrap())
            .collect();
        assert!(named.len() > 3, "{named:?}");
        for row in &rows {
            let number = |of: &str| row[of].as_i64().unwrap();
            assert!(number("conversions") <= number("touches"), "{row}");
            let of_code = row["show"] == "";
            assert_eq!(row["episode"] == "", of_code, "{row}");
        }
    }
    let rows = sheets.rows(&["episodes"]);
    let campaign = rows[0]["campaign"].as_str().unwrap();
    let one = sheets.rows(&["episodes", "--campaign", campaign]);
    let ought = rows.iter().filter(|row| row["campaign"] == campaign);
    assert_eq!(one, ought.cloned().collect::<Vec<_>>());
    let day = ["--from", "2026-03-10", "--to", "2026-03-10"];
    let of_day = sheets.rows(&[&["episodes", "--model", "linear"][..], &day].concat());
    let by = ["--by", "campaign,show", "--model", "linear"];
    let stored = sheets.rows(&[&["attribution"][..], &by, &day].concat());
    assert_eq!(
        sums(&of_day, "credit_micros"),
        sums(&stored, "credit_micros")
    );
}

/// By campaign, show and currency.
fn sums(rows: &[Value], of: &str) -> BTreeMap<[String; 3], i64> {
    let mut sums: BTreeMap<[String; 3], i64> = BTreeMap::new();
    for row in rows {
        let words = ["campaign", "show", "currency"].map(|by| row[by].as_str().unwrap().to_owned());
        *sums.entry(words).or_default() += row[of].as_i64().unwrap();
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}
