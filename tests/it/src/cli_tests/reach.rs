//! `hostread report reach` beside a system that runs: its ads are those of the daily table, its responses the households that
//! single conversions name.

use std::collections::BTreeMap;

use serde_json::Value;

use super::credits::Sheets;

/// Every campaign, line item and show, in all days and in some.
pub(super) async fn every_row(sheets: &Sheets<'_>) {
    let delivered = "SELECT line, sum(delivered) FROM hostread.delivery_daily GROUP BY line";
    let by_line = sheets.rows(&["reach", "--by", "line"]);
    let ads = numbers(&by_line, "line", "ads");
    assert!(!ads.is_empty());
    assert_eq!(ads, stored(sheets, delivered).await);
    for by in ["campaign", "line", "show"] {
        let rows = sheets.rows(&["reach", "--by", by]);
        let all: i64 = numbers(&rows, by, "ads").values().sum();
        assert_eq!(all, ads.values().sum::<i64>(), "{by}");
        let bought = format!(
            "SELECT of, uniqExact(household) FROM hostread.conversions \
             ARRAY JOIN path_{by}s AS of, path_shows AS show \
             WHERE show != '' AND household != '' GROUP BY of"
        );
        let mut responses = numbers(&rows, by, "responses");
        responses.retain(|_, count| *count > 0);
        assert!(!responses.is_empty());
        assert_eq!(responses, stored(sheets, &bought).await, "{by}");
        let funnel = sheets.rows(&["funnel", "--by", by]);
        for row in &rows {
            let number = |of: &str| row[of].as_i64().unwrap();
            assert!(number("responses") <= number("households"), "{row}");
            let steps = funnel.iter().filter(|step| step[by] == row[by]);
            let steps: Vec<i64> = steps
                .map(|step| step["households"].as_i64().unwrap())
                .collect();
            assert_eq!((steps.len(), steps[0]), (4, number("households")), "{row}");
            assert_eq!(steps[3], number("responses"), "{row}");
            assert!(steps.is_sorted_by(|a, b| a >= b), "{steps:?}");
            assert!(number("households") <= number("listeners"), "{row}");
            assert!(number("listeners") <= number("ads"), "{row}");
            assert!(number("usable_micros") <= 1_000_000, "{row}");
        }
    }
    periods(sheets, &ads);
    door(sheets).await;
}

/// The door says what the command says, page by page.
async fn door(sheets: &Sheets<'_>) {
    let (from, to) = ("2026-03-01", "2026-03-15");
    for (sheet, by) in [
        ("reach", "line"),
        ("funnel", "campaign"),
        ("funnel", "show"),
    ] {
        let question = format!("{sheet}?by={by}&from={from}&to={to}");
        let rows = sheets.rows(&[sheet, "--by", by, "--from", from, "--to", to]);
        assert_eq!(sheets.pages(&question).await, rows, "{question}");
    }
}

/// Ads of two parts of a period are those of the period; a period that ends before it begins is refused.
fn periods(sheets: &Sheets<'_>, ads: &BTreeMap<String, i64>) {
    let first = sheets.rows(&["reach", "--by", "line", "--to", "2026-03-09"]);
    let second = sheets.rows(&["reach", "--by", "line", "--from", "2026-03-10"]);
    let mut sum = numbers(&first, "line", "ads");
    assert!(!sum.is_empty());
    for (line, count) in numbers(&second, "line", "ads") {
        *sum.entry(line).or_default() += count;
    }
    assert_eq!(sum, *ads);
    let backwards = ["reach", "--from", "2026-03-10", "--to", "2026-03-09"];
    let refused = sheets.refused(&backwards);
    assert!(refused.contains("before it begins"), "{refused}");
}

fn numbers(rows: &[Value], by: &str, of: &str) -> BTreeMap<String, i64> {
    let rows = rows.iter();
    rows.map(|row| {
        (
            row[by].as_str().unwrap().to_owned(),
            row[of].as_i64().unwrap(),
        )
    })
    .collect()
}

async fn stored(sheets: &Sheets<'_>, query: &str) -> BTreeMap<String, i64> {
    let said = sheets.asked(&format!("{query} FORMAT TabSeparated")).await;
    let rows = said.lines().map(|line| {
        let (name, count) = line.split_once('\t').unwrap();
        (name.to_owned(), count.parse().unwrap())
    });
    rows.filter(|(_, count)| *count > 0).collect()
}
