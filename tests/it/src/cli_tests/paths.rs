//! `hostread report paths|touchpoints|time-lags|lookbacks|overlaps` beside a system that runs: each is what the paths of its
//! conversions say, added up here without a database.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::credits::Sheets;

/// A conversion with a path.
struct Conversion {
    tenant: String,
    currency: String,
    value_micros: i64,
    /// Names of its touches by campaign, line and show, oldest first.
    names: [Vec<String>; 3],
    ages: Vec<u64>,
}

const NAMES: [&str; 3] = ["campaign", "line", "show"];

/// Conversions and their value, by what they are summed by.
type Sums = BTreeMap<(String, String, String), Vec<i64>>;

impl Conversion {
    fn read(row: &Value) -> Self {
        let words = |at: usize| -> Vec<String> { serde_json::from_value(row[at].clone()).unwrap() };
        Self {
            tenant: row[0].as_str().unwrap().to_owned(),
            currency: row[1].as_str().unwrap().to_owned(),
            value_micros: row[2].as_str().unwrap().parse().unwrap(),
            names: [words(3), words(4), words(5)],
            ages: serde_json::from_value(row[6].clone()).unwrap(),
        }
    }

    /// Adds numbers to those under a name.
    fn add(&self, sums: &mut Sums, name: &str, numbers: &[i64]) {
        let key = (self.tenant.clone(), name.to_owned(), self.currency.clone());
        let sum = sums.entry(key).or_insert_with(|| vec![0; numbers.len()]);
        for (sum, number) in sum.iter_mut().zip(numbers) {
            *sum += number;
        }
    }
}

fn conversions(said: &str) -> Vec<Conversion> {
    let rows = said.lines().map(|line| serde_json::from_str(line).unwrap());
    rows.map(|row: Value| Conversion::read(&row)).collect()
}

/// A row: what it is about, then its numbers.
fn row(key: &(String, String, String), about: &str, numbers: &[(&str, i64)]) -> Value {
    let mut row = json!({"tenant": key.0, "currency": key.2, about: key.1});
    for (name, number) in numbers {
        row[name] = json!(number);
    }
    row
}

pub(super) async fn every_sheet(sheets: &Sheets<'_>) {
    let query = "SELECT tenant, currency, toString(toInt64(value * 1000000)), path_campaigns, path_lines, path_shows, path_ages \
        FROM hostread.conversions WHERE touches > 0 FORMAT JSONCompactEachRow";
    let conversions = conversions(&sheets.asked(query).await);
    assert!(conversions.len() > 20, "{} conversions", conversions.len());
    for (at, by) in NAMES.into_iter().enumerate() {
        assert_eq!(sheets.rows(&["paths", "--by", by]), paths(&conversions, at));
        assert_eq!(
            sheets.rows(&["touchpoints", "--by", by]),
            touchpoints(&conversions, at, by)
        );
    }
    assert_eq!(sheets.rows(&["time-lags"]), time_lags(&conversions));
    assert_eq!(sheets.rows(&["lookbacks"]), lookbacks(&conversions));
    assert_eq!(sheets.rows(&["overlaps"]), overlaps(&conversions));
    touches(sheets, &conversions).await;
    names_of_credits(sheets, &conversions).await;
    journeys(sheets, &conversions);
}

/// Paths as `attribute` reads them: its linear credits are those of the pipeline, but for what rounding leaves over.
fn journeys(sheets: &Sheets<'_>, conversions: &[Conversion]) {
    let currencies: BTreeSet<&String> = conversions.iter().map(|it| &it.currency).collect();
    let refused = sheets.refused(&["paths", "--journeys"]);
    assert_eq!(
        refused.contains("--currency"),
        currencies.len() > 1,
        "{refused}"
    );
    let refused = sheets.refused(&["paths", "--journeys", "--currency", "USD", "--limit", "1"]);
    assert!(refused.contains("raise --limit"), "{refused}");
    for currency in currencies {
        let only = ["--currency", currency];
        let file =
            sheets.printed(&[&["paths", "--journeys", "--limit", "100000"], &only[..]].concat());
        let credits = sheets.attributed(&file);
        let linear = sheets.rows(
            &[
                &["attribution", "--model", "linear", "--by", "campaign"],
                &only[..],
            ]
            .concat(),
        );
        let all = conversions
            .iter()
            .filter(|it| it.currency == *currency)
            .count();
        for row in &linear {
            let found = &credits["models"]["linear"][row["campaign"].as_str().unwrap()];
            for (of, micros) in [("conversions", "credit_micros"), ("value", "money_micros")] {
                let (found, ought) = (
                    found[of].as_f64().unwrap(),
                    row[micros].as_f64().unwrap() / 1e6,
                );
                assert!((found - ought).abs() < 1e-6 * all as f64, "{row}: {found}");
            }
        }
    }
}

/// Paths have the names that credits have: each line item with its campaign on as many touches, each first touch with its show.
async fn names_of_credits(sheets: &Sheets<'_>, conversions: &[Conversion]) {
    let mut touches: BTreeMap<[&str; 2], i64> = BTreeMap::new();
    let mut first: BTreeMap<[&str; 2], i64> = BTreeMap::new();
    for it in conversions {
        let [campaigns, lines, shows] = &it.names;
        for (line, campaign) in lines.iter().zip(campaigns) {
            *touches.entry([line, campaign]).or_default() += 1;
        }
        *first.entry([&lines[0], &shows[0]]).or_default() += 1_000_000;
    }
    for (ought, query) in [
        (
            touches,
            "SELECT line, campaign, toString(sum(touches)) AS sum FROM hostread.attribution WHERE model = 'last'",
        ),
        (
            first,
            "SELECT line, show, toString(sum(credit_micros)) AS sum FROM hostread.attribution_daily WHERE model = 'first'",
        ),
    ] {
        let query =
            format!("{query} GROUP BY 1, 2 HAVING sum != '0' ORDER BY 1, 2 FORMAT TabSeparated");
        let ought = ought
            .iter()
            .map(|([line, other], sum)| format!("{line}\t{other}\t{sum}"));
        let ought: Vec<String> = ought.collect();
        assert_eq!(sheets.asked(&query).await.trim_end(), ought.join("\n"));
    }
}

/// The view of touches has those of the conversions.
async fn touches(sheets: &Sheets<'_>, conversions: &[Conversion]) {
    let query = "SELECT campaign, line, show, toUInt32(sum(age_secs)), toUInt32(count()), toUInt32(countIf(position = touches)) \
        FROM hostread.touchpoints GROUP BY ALL ORDER BY ALL FORMAT JSONCompactEachRow";
    let mut ought: BTreeMap<[&str; 3], [u64; 3]> = BTreeMap::new();
    for it in conversions {
        for (at, age) in it.ages.iter().enumerate() {
            let names = [0, 1, 2].map(|of| it.names[of][at].as_str());
            let sums = ought.entry(names).or_default();
            let last = u64::from(at + 1 == it.ages.len());
            for (sum, number) in sums.iter_mut().zip([*age, 1, last]) {
                *sum += number;
            }
        }
    }
    let ought = ought.into_iter().map(|(names, sums)| {
        let names = names.map(|name| json!(name));
        names
            .into_iter()
            .chain(sums.map(|sum| json!(sum)))
            .collect()
    });
    let ought: Vec<Vec<Value>> = ought.collect();
    let found = sheets.asked(query).await;
    let found: Vec<Vec<Value>> = found
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(found, ought);
}

fn paths(conversions: &[Conversion], at: usize) -> Vec<Value> {
    let mut sums = Sums::new();
    for it in conversions {
        let names = serde_json::to_string(&it.names[at]).unwrap();
        it.add(&mut sums, &names, &[1, it.value_micros]);
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, numbers)| -numbers[0]);
    let row = |(key, numbers): &((String, String, String), Vec<i64>)| {
        let numbers = [("conversions", numbers[0]), ("value_micros", numbers[1])];
        let mut row = row(key, "path", &numbers);
        let names: Vec<String> = serde_json::from_str(&key.1).unwrap();
        // A code's touch has no show.
        let names = names.iter().map(|name| match name.as_str() {
            "" => "\"\"",
            name => name,
        });
        row["path"] = json!(names.collect::<Vec<_>>().join(" > "));
        row
    };
    sums.iter().map(row).collect()
}

fn touchpoints(conversions: &[Conversion], at: usize, by: &str) -> Vec<Value> {
    let mut sums = Sums::new();
    for it in conversions {
        let path = &it.names[at];
        let distinct: BTreeSet<&String> = path.iter().collect();
        for name in &distinct {
            let touches = path.iter().filter(|other| other == name).count() as i64;
            let first = i64::from(path.first() == Some(name));
            let last = i64::from(path.last() == Some(name));
            let alone = i64::from(distinct.len() == 1);
            let numbers = [1, touches, first, last, alone, it.value_micros];
            it.add(&mut sums, name, &numbers);
        }
    }
    let columns = [
        "conversions",
        "touches",
        "first",
        "last",
        "alone",
        "value_micros",
    ];
    let row = |(key, numbers): (&_, &Vec<i64>)| {
        let numbers: Vec<_> = columns.into_iter().zip(numbers.iter().copied()).collect();
        row(key, by, &numbers)
    };
    sums.iter().map(row).collect()
}

fn time_lags(conversions: &[Conversion]) -> Vec<Value> {
    let mut rows = Vec::new();
    for (since, last) in [("first touch", false), ("last touch", true)] {
        // Of each currency, by whole days.
        let mut sums: BTreeMap<u64, Sums> = BTreeMap::new();
        let mut all: BTreeMap<&str, i64> = BTreeMap::new();
        for it in conversions {
            let age = if last {
                it.ages.last()
            } else {
                it.ages.first()
            };
            let of_day = sums.entry(age.unwrap() / 86_400).or_default();
            it.add(of_day, since, &[1, it.value_micros]);
            *all.entry(&it.currency).or_default() += 1;
        }
        let mut so_far: BTreeMap<&str, i64> = BTreeMap::new();
        for (days, sums) in &sums {
            for (key, numbers) in sums {
                let so_far = so_far.entry(&key.2).or_default();
                *so_far += numbers[0];
                let share = 1_000_000 * *so_far / all[&*key.2];
                let numbers = [
                    ("days", *days as i64),
                    ("conversions", numbers[0]),
                    ("share_so_far_micros", share),
                    ("value_micros", numbers[1]),
                ];
                rows.push(row(key, "since", &numbers));
            }
        }
    }
    let curve = |row: &Value| [&row["since"], &row["currency"]].map(Value::to_string);
    rows.sort_by_key(curve);
    rows
}

fn lookbacks(conversions: &[Conversion]) -> Vec<Value> {
    let mut rows = Vec::new();
    for days in [1, 3, 7, 14, 30, 60, 90] {
        let mut sums = Sums::new();
        for it in conversions {
            let near = it.ages.iter().filter(|age| **age < days * 86_400).count() as i64;
            let matched = i64::from(near > 0);
            it.add(&mut sums, "", &[matched, near, matched * it.value_micros]);
        }
        for (key, numbers) in &sums {
            rows.push(json!({
                "tenant": key.0, "days": days, "currency": key.2,
                "conversions": numbers[0], "touches": numbers[1], "value_micros": numbers[2],
            }));
        }
    }
    rows.sort_by_key(|row| row["currency"].to_string());
    rows
}

fn overlaps(conversions: &[Conversion]) -> Vec<Value> {
    let mut sums: BTreeMap<(String, String, String, String), [i64; 2]> = BTreeMap::new();
    for it in conversions {
        let names: BTreeSet<&String> = it.names[0].iter().collect();
        for one in &names {
            for other in names.iter().filter(|other| *other > one) {
                let names = ((*one).clone(), (*other).clone());
                let key = (it.tenant.clone(), names.0, names.1, it.currency.clone());
                let sum = sums.entry(key).or_default();
                sum[0] += 1;
                sum[1] += it.value_micros;
            }
        }
    }
    let row = |((tenant, one, other, currency), sum): (_, [i64; 2])| {
        json!({
            "tenant": tenant, "campaign": one, "and_campaign": other, "currency": currency,
            "conversions": sum[0], "value_micros": sum[1],
        })
    };
    sums.into_iter().map(row).collect()
}
