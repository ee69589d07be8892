//! `hostread report attribution|codes|path-lengths` and their door beside a system that runs: sums of the daily table are the
//! sums of its conversions, pages are the whole, and a tenant sees its own.

use std::collections::BTreeMap;

use serde_json::Value;

use super::explain::Demo;
use super::{
    codes, customers, episodes, lift, models, paths, printed, reach, returns, revenue, run, sql,
    text,
};

/// Rows of a page: few, so that there are several pages.
const PAGE_ROWS: usize = 3;

pub(super) struct Sheets<'a> {
    demo: &'a Demo<'a>,
    pub(super) tenant: String,
    key: String,
}

/// Everything of both tenants.
pub(super) async fn every_sheet(demo: &Demo<'_>, postgres: &sqlx::PgPool) {
    let refused = run(
        demo.dir,
        &[
            "--data-dir",
            &demo.data,
            "report",
            "attribution",
            "--by",
            "campaign",
        ],
    );
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused).contains("name one model"),
        "{}",
        text(&refused)
    );
    let (mut with_bills, mut with_refunds, mut with_returning) = (0, 0, 0);
    for (tenant, key) in demo.tenants() {
        let sheets = Sheets { demo, tenant, key };
        sheets.credits().await;
        sheets.conversions().await;
        codes::every_code(&sheets).await;
        paths::every_sheet(&sheets).await;
        models::every_campaign(&sheets).await;
        reach::every_row(&sheets).await;
        lift::every_campaign(&sheets);
        episodes::every_campaign(&sheets);
        sheets.sold().await;
        with_returning += u32::from(customers::every_line(&sheets));
        with_refunds += u32::from(revenue::every_day(&sheets));
        with_bills += u32::from(returns::every_line(&sheets, postgres).await);
        sheets.door().await;
    }
    assert!(with_bills > 0, "the connection shows no tenant's bills");
    assert!(with_returning > 0, "nobody came back");
    assert!(
        with_refunds > 0,
        "no refund came on another day than its sale"
    );
}

impl Sheets<'_> {
    /// What is said to a question that is refused; nothing if it is answered.
    pub(super) fn refused(&self, args: &[&str]) -> String {
        let base = ["--data-dir", &self.demo.data, "report"];
        let mine = ["--tenant", &self.tenant];
        let said = run(self.demo.dir, &[&base[..], args, &mine].concat());
        if said.status.success() {
            return String::new();
        }
        text(&said)
    }

    /// Credits of a file of paths.
    pub(super) fn attributed(&self, file: &str) -> Value {
        let path = self.demo.dir.join("journeys.csv");
        std::fs::write(&path, file).unwrap();
        let path = path.to_str().unwrap();
        let models = ["--models", "linear", "--format", "json"];
        let said = printed(
            self.demo.dir,
            &[&["attribute", "--paths", path], &models[..]].concat(),
        );
        serde_json::from_str(&said).unwrap()
    }

    pub(super) fn printed(&self, args: &[&str]) -> String {
        let base = ["--data-dir", &self.demo.data, "report"];
        let mine = ["--tenant", &self.tenant];
        printed(self.demo.dir, &[&base[..], args, &mine].concat())
    }

    pub(super) fn rows(&self, args: &[&str]) -> Vec<Value> {
        let said = self.printed(&[args, &["--format", "json"]].concat());
        let lines = said.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    pub(super) async fn asked(&self, query: &str) -> String {
        sql(&self.demo.door, &self.key, query).await
    }

    /// By campaign and model, as the credits of the single conversions have it; sums by day and line are the same.
    async fn credits(&self) {
        let rows = self.rows(&["attribution"]);
        let found: Vec<String> = rows
            .iter()
            .map(|row| {
                let word = |of: &str| row[of].as_str().unwrap().to_owned();
                let number = |of: &str| row[of].as_i64().unwrap();
                format!(
                    "{}\t{}\t{}\t{}\t{}",
                    word("campaign"),
                    word("model"),
                    word("currency"),
                    number("credit_micros"),
                    number("money_micros")
                )
            })
            .collect();
        let single = "SELECT campaign, model, currency, sum(credit_micros), toInt64(sum(money) * 1000000) \
            FROM hostread.attribution GROUP BY ALL HAVING sum(credit_micros) != 0 OR sum(money) != 0 \
            ORDER BY campaign, model, currency FORMAT TabSeparated";
        assert_eq!(found.join("\n"), self.asked(single).await.trim());
        let sums = |rows: &[Value]| {
            let mut sums: BTreeMap<String, [i64; 2]> = BTreeMap::new();
            for row in rows {
                let sum = sums
                    .entry(row["currency"].as_str().unwrap().to_owned())
                    .or_default();
                sum[0] += row["credit_micros"].as_i64().unwrap();
                sum[1] += row["money_micros"].as_i64().unwrap();
            }
            sums
        };
        let by = |by: &str| self.rows(&["attribution", "--model", "linear", "--by", by]);
        let campaigns = by("campaign");
        for finer in ["day,line,show", "month"] {
            assert_eq!(sums(&by(finer)), sums(&campaigns), "{finer}");
        }
        self.days(&campaigns);
        self.sheet(&rows);
    }

    /// What is counted from the journal is the same at the door.
    async fn sold(&self) {
        let period = ["--from", "2026-03-01", "--to", "2026-03-15"];
        for (sheet, field, value) in [
            ("episodes", "model", "last"),
            ("customers", "model", "position"),
            ("customers", "prior-days", "1"),
        ] {
            let flag = format!("--{field}");
            let rows = self.rows(&[&[sheet, &flag, value], &period[..]].concat());
            assert!(!rows.is_empty(), "{sheet} of {}", self.tenant);
            let field = field.replace('-', "_");
            let question = format!("{sheet}?{field}={value}&from=2026-03-01&to=2026-03-15");
            assert_eq!(self.pages(&question).await, rows, "{question}");
        }
    }

    /// Days before and behind one are all days.
    fn days(&self, campaigns: &[Value]) {
        let credits = |args: &[&str]| -> i64 {
            let linear = [
                "attribution",
                "--model",
                "linear",
                "--by",
                "day",
                "--limit",
                "9999",
            ];
            let rows = self.rows(&[&linear[..], args].concat());
            rows.iter()
                .map(|row| row["credit_micros"].as_i64().unwrap())
                .sum()
        };
        let all: i64 = campaigns
            .iter()
            .map(|row| row["credit_micros"].as_i64().unwrap())
            .sum();
        let (early, late) = (
            credits(&["--to", "2026-03-09"]),
            credits(&["--from", "2026-03-10"]),
        );
        assert_eq!(early + late, all);
        assert_eq!(credits(&["--campaign", "nobody"]), 0);
    }

    /// The spreadsheet has the same rows, as decimals.
    fn sheet(&self, rows: &[Value]) {
        let said = self.printed(&["attribution", "--format", "csv"]);
        let mut csv = csv::Reader::from_reader(said.as_bytes());
        let head = csv.headers().unwrap().iter().collect::<Vec<_>>().join(",");
        assert_eq!(head, "tenant,campaign,model,currency,credit,money");
        let cells: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
        assert_eq!(cells.len(), rows.len());
        for (cells, row) in cells.iter().zip(rows) {
            assert_eq!(Some(&cells[1]), row["campaign"].as_str());
            let credit: f64 = cells[4].parse().unwrap();
            let micros = row["credit_micros"].as_i64().unwrap();
            assert!((credit * 1e6 - micros as f64).abs() < 0.5, "{cells:?}");
        }
    }

    /// Codes and lengths of paths are of the conversions that there are.
    async fn conversions(&self) {
        let sum = |rows: &[Value], of: &str| -> i64 {
            rows.iter().map(|row| row[of].as_i64().unwrap()).sum()
        };
        let count = |said: String| -> i64 { said.trim().parse().unwrap() };
        let tabs = "FORMAT TabSeparated";
        let codes = self.rows(&["codes"]);
        let orders = format!("SELECT count() FROM hostread.conversions WHERE code != '' {tabs}");
        assert_eq!(sum(&codes, "redemptions"), count(self.asked(&orders).await));
        assert_eq!(
            sum(&codes, "redemptions"),
            sum(&codes, "matched") + sum(&codes, "unmatched")
        );
        let lengths = self.rows(&["path-lengths"]);
        let all = format!("SELECT count() FROM hostread.conversions {tabs}");
        assert_eq!(sum(&lengths, "conversions"), count(self.asked(&all).await));
        let unmatched: Vec<Value> = lengths
            .into_iter()
            .filter(|row| row["touches"] == 0)
            .collect();
        let all =
            format!("SELECT count() FROM hostread.conversions WHERE matched_by = 'none' {tabs}");
        assert_eq!(
            sum(&unmatched, "conversions"),
            count(self.asked(&all).await)
        );
    }

    async fn get(&self, path: &str, key: &str) -> (u16, Value) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let address = format!("{}/v1/attribution/{path}", self.demo.gateway);
        let answer = client
            .get(address)
            .header("Authorization", format!("Bearer {key}"))
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Every row of a question's pages.
    pub(super) async fn pages(&self, question: &str) -> Vec<Value> {
        let mark = if question.contains('?') { '&' } else { '?' };
        let mut found: Vec<Value> = Vec::new();
        let mut page = format!("{question}{mark}limit={PAGE_ROWS}");
        loop {
            let (status, mut answer) = self.get(&page, &self.key).await;
            assert_eq!(status, 200, "{answer}");
            let rows = answer["rows"].take();
            found.extend(rows.as_array().unwrap().iter().cloned());
            let Some(next) = answer["next"].as_str() else {
                return found;
            };
            assert_eq!(found.len() % PAGE_ROWS, 0);
            page = format!("{question}{mark}limit={PAGE_ROWS}&cursor={next}");
        }
    }

    /// Pages one after the other are what the command prints.
    async fn door(&self) {
        for (path, command) in [
            ("campaigns", "attribution"),
            ("codes", "codes"),
            ("paths", "paths"),
            ("path-lengths", "path-lengths"),
            ("touchpoints", "touchpoints"),
            ("time-lags", "time-lags"),
            ("lookbacks", "lookbacks"),
            ("overlaps", "overlaps"),
        ] {
            assert_eq!(self.pages(path).await, self.rows(&[command]), "{path}");
        }
        // Names hold any character, also those that the database's parameters escape.
        for name in ["%5C", "a%5Cb", "a%09b", "a%0Ab", "%27", "%C3%A9"] {
            let (status, said) = self
                .get(&format!("campaigns?campaign={name}"), &self.key)
                .await;
            assert_eq!(
                (status, said["rows"].as_array().map(Vec::len)),
                (200, Some(0)),
                "{name}"
            );
        }
        assert_eq!(self.get("campaigns", "nobody").await.0, 401);
        let (status, said) = self.get("campaigns?by=campaign", &self.key).await;
        assert_eq!((status, said["field"].as_str()), (422, Some("by")));
        let (status, said) = self.get("codes?cursor=WyJhIl0", &self.key).await;
        assert_eq!((status, said["field"].as_str()), (422, Some("cursor")));
    }
}
