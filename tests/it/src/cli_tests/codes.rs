//! `hostread report codes` and `leaks` beside a system that runs: what is matched and what stands out is what the single
//! conversions say, by the oracle's own hours.

use std::collections::BTreeMap;

use serde_json::Value;

use super::credits::Sheets;
use crate::oracle::anomalies::flagged;

/// Store, code and line item; and in `codes` the currency.
type Code = Vec<String>;

/// Every code.
pub(super) async fn every_code(sheets: &Sheets<'_>) {
    let query = "SELECT store, code, code_line, currency, toUnixTimestamp64Milli(converted_at) AS at, path_lines, \
        path_shows, path_ages FROM hostread.conversions WHERE code != '' FORMAT JSONEachRow";
    let said = sheets.asked(query).await;
    let mut matched: BTreeMap<Code, (i64, i64)> = BTreeMap::new();
    let mut hours: BTreeMap<Code, BTreeMap<i32, i64>> = BTreeMap::new();
    for line in said.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let word = |of: &str| row[of].as_str().unwrap().to_owned();
        let code = vec![word("store"), word("code"), word("code_line")];
        let list = |of: &str| row[of].as_array().unwrap().clone();
        let touches = list("path_lines").into_iter().zip(list("path_shows"));
        let touches: Vec<_> = touches.zip(list("path_ages")).collect();
        // The code's own touch is as old as the conversion, of the code's line, and of no show.
        let own = |((line, show), age): &((Value, Value), Value)| {
            *line == row["code_line"] && show == "" && *age == 0
        };
        let heard = touches.iter().any(|touch| !own(touch));
        let sum = matched
            .entry([code.clone(), vec![word("currency")]].concat())
            .or_default();
        let at = row["at"].to_string().replace('"', "");
        let hour = i32::try_from(at.parse::<i64>().unwrap() / 3_600_000).unwrap();
        // The first use begins the hours of a code, whoever it was.
        let of_hour = hours.entry(code).or_default().entry(hour).or_default();
        if heard {
            sum.0 += 1;
        } else {
            sum.1 += 1;
            *of_hour += 1;
        }
    }
    let words = |row: &Value, of: &[&str]| -> Code {
        let words = of.iter().map(|of| row[of].as_str().unwrap().to_owned());
        words.collect()
    };
    let number = |row: &Value, of: &str| row[of].as_i64().unwrap();
    let codes = sheets.rows(&["codes"]);
    let found: BTreeMap<_, _> = codes
        .iter()
        .map(|row| {
            let of = words(row, &["store", "code", "line", "currency"]);
            (of, (number(row, "matched"), number(row, "unmatched")))
        })
        .collect();
    assert_eq!(found, matched);
    let mut leaks: Vec<(Code, i64, i64)> = Vec::new();
    for (code, hours) in &hours {
        let until = hours.keys().next_back().map_or(0, |last| last + 1);
        for (hour, row) in flagged(hours, until) {
            if row.count > row.median {
                let start = hostread_schemas::Hour(hour).start().to_string();
                let code = [code.clone(), vec![start]].concat();
                leaks.push((code, row.count, row.count - row.median));
            }
        }
    }
    let found: Vec<_> = sheets
        .rows(&["leaks"])
        .iter()
        .map(|row| {
            let of = words(row, &["store", "code", "line", "hour"]);
            (of, number(row, "unmatched"), number(row, "leaked"))
        })
        .collect();
    assert_eq!(found, leaks);
}
