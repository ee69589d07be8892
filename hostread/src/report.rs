//! The report that a person reads: what ClickHouse and PostgreSQL say, through the reader views.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context, Result};
use comfy_table::{Cell, CellAlignment, Table};
use hostread_schemas::MoneyMicros;
use hostread_schemas::event::Model;
use hostread_sink_clickhouse::ClickHouseConfig;
use serde_json::Value;
use sqlx::Row;

use crate::ledgers::CAUSE;
use crate::tables::{Tables, int, text};

/// Reads the engines.
pub(crate) struct Reader {
    pub(crate) tables: Tables,
    pub(crate) postgres: sqlx::PgPool,
}

/// Everything that the report shows.
#[derive(Default, Debug)]
pub(crate) struct Numbers {
    pub(crate) downloads: BTreeMap<(String, String, String, String), i64>,
    pub(crate) verdicts: BTreeMap<(String, String), i64>,
    pub(crate) deliveries: BTreeMap<(String, String, String), (i64, i64)>,
    pub(crate) attribution: BTreeMap<(String, String, String), (i64, i64)>,
    pub(crate) conversions: BTreeMap<(String, String), (i64, i64)>,
    pub(crate) pacing: BTreeMap<(String, String), (i64, i64, String)>,
    pub(crate) goals: BTreeMap<(String, String), i64>,
    pub(crate) billing: BTreeMap<(String, String, String), (i64, i64)>,
    /// Lines that are paid per conversion.
    pub(crate) per_conversion: BTreeSet<(String, String)>,
    pub(crate) currencies: BTreeMap<(String, String), String>,
    pub(crate) anomalies: BTreeMap<(String, String, i64), (i64, i64, String)>,
    pub(crate) restatements: Vec<(String, String, i64, i64, String)>,
}

impl Reader {
    /// Connects.
    pub(crate) async fn new(clickhouse: ClickHouseConfig, postgres_url: &str) -> Result<Self> {
        let postgres = sqlx::PgPool::connect(postgres_url)
            .await
            .context("connecting to PostgreSQL")?;
        let tables = Tables::new(clickhouse)?;
        Ok(Self { tables, postgres })
    }

    async fn rows(&self, query: &str) -> Result<Vec<Vec<Value>>> {
        self.tables.rows_with(query, &[]).await
    }

    /// Reads every number of the report.
    pub(crate) async fn numbers(&self) -> Result<Numbers> {
        let mut numbers = Numbers::default();
        self.counting(&mut numbers).await?;
        self.money(&mut numbers).await?;
        self.lines(&mut numbers).await?;
        Ok(numbers)
    }

    async fn counting(&self, numbers: &mut Numbers) -> Result<()> {
        let downloads = "SELECT tenant, show, episode, toString(day), sum(downloads) AS counted FROM hostread.downloads_daily \
            GROUP BY ALL HAVING counted != 0";
        for row in self.rows(downloads).await? {
            let key = (text(&row, 0), text(&row, 1), text(&row, 2), text(&row, 3));
            numbers.downloads.insert(key, int(&row, 4));
        }
        let verdicts =
            "SELECT tenant, verdict, sum(requests) FROM hostread.verdicts_daily GROUP BY ALL";
        for row in self.rows(verdicts).await? {
            numbers
                .verdicts
                .insert((text(&row, 0), text(&row, 1)), int(&row, 2));
        }
        let anomalies = "SELECT tenant, if(series = 'show_downloads', 'show', 'campaign') || ':' || subject, \
            toUnixTimestamp64Milli(hour), count, median, toString(score) FROM hostread.anomalies";
        for row in self.rows(anomalies).await? {
            let key = (text(&row, 0), text(&row, 1), int(&row, 2));
            numbers
                .anomalies
                .insert(key, (int(&row, 3), int(&row, 4), text(&row, 5)));
        }
        let restatements = format!(
            "SELECT tenant, of_view || '.' || metric, count(), sum(difference), argMax({CAUSE}, (tick, of_key)) \
            FROM hostread.restatements GROUP BY tenant, of_view, metric ORDER BY 1, 2"
        );
        for row in self.rows(&restatements).await? {
            let moved = (
                text(&row, 0),
                text(&row, 1),
                int(&row, 2),
                int(&row, 3),
                text(&row, 4),
            );
            numbers.restatements.push(moved);
        }
        Ok(())
    }

    async fn money(&self, numbers: &mut Numbers) -> Result<()> {
        let attribution = "SELECT tenant, campaign, model, sum(credit_micros), \
            toInt64(sum(money) * 1000000), min(currency) FROM hostread.attribution_daily GROUP BY ALL";
        let attribution = attribution.replace("GROUP BY ALL", "GROUP BY tenant, campaign, model");
        for row in self.rows(&attribution).await? {
            let key = (text(&row, 0), text(&row, 1), text(&row, 2));
            numbers
                .currencies
                .insert((key.0.clone(), key.1.clone()), text(&row, 5));
            numbers
                .attribution
                .insert(key, (int(&row, 3), int(&row, 4)));
        }
        let conversions = "SELECT tenant, kind, count(), countIf(touches > 0) FROM hostread.conversions GROUP BY tenant, kind";
        for row in self.rows(conversions).await? {
            numbers
                .conversions
                .insert((text(&row, 0), text(&row, 1)), (int(&row, 2), int(&row, 3)));
        }
        Ok(())
    }

    async fn lines(&self, numbers: &mut Numbers) -> Result<()> {
        let pacing = "SELECT tenant, line, delivered, expected, state, goal FROM hostread.pacing";
        for row in self.rows(pacing).await? {
            let key = (text(&row, 0), text(&row, 1));
            numbers.goals.insert(key.clone(), int(&row, 5));
            numbers
                .pacing
                .insert(key, (int(&row, 2), int(&row, 3), text(&row, 4)));
        }
        let days =
            "SELECT tenant, line, toString(day), delivered, billable FROM hostread.delivery_daily";
        for row in self.rows(days).await? {
            let key = (text(&row, 0), text(&row, 1), text(&row, 2));
            numbers.deliveries.insert(key, (int(&row, 3), int(&row, 4)));
        }
        let query = "SELECT tenant, line, to_char(period, 'YYYY-MM') AS period, quantity, amount_micros, currency, price_kind \
            FROM serving.billing_lines";
        for row in sqlx::query(query)
            .fetch_all(&self.postgres)
            .await
            .context("reading billing lines")?
        {
            let key = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let (tenant, line): (&String, &String) = (&key.0, &key.1);
            numbers
                .currencies
                .insert((tenant.clone(), line.clone()), row.try_get(5)?);
            if row.try_get::<String, _>(6)? == "cpa" {
                numbers
                    .per_conversion
                    .insert((tenant.clone(), line.clone()));
            }
            numbers
                .billing
                .insert(key, (row.try_get(3)?, row.try_get(4)?));
        }
        Ok(())
    }
}

/// A table with its numbers to the right.
fn table(headers: &[&str], numbers_from: usize) -> Table {
    let mut table = crate::cmd::table();
    table.set_header(headers.iter().copied());
    for (index, column) in table.column_iter_mut().enumerate() {
        if index >= numbers_from {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// `12345` as `12,345`.
pub(crate) fn grouped(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if value < 0 { format!("-{out}") } else { out }
}

/// Millionths with two decimals.
pub(crate) fn decimal(micros: i64) -> String {
    let cents = (micros.abs() + 5_000) / 10_000;
    let sign = if micros < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", grouped(cents / 100), cents % 100)
}

impl Numbers {
    /// The whole report as text.
    pub(crate) fn render(&self) -> String {
        let mut out = String::new();
        let parts = [
            ("Downloads per episode", self.downloads_table()),
            (
                "Requests and why they were not counted",
                self.verdicts_table(),
            ),
            (
                "Attribution per campaign: conversions (and value) under every model",
                self.attribution_table(),
            ),
            ("Pacing per line item", self.pacing_table()),
            ("Hours that stand out", self.anomalies_table()),
            ("Billing lines", self.billing_table()),
            (
                "Published numbers that moved, with the cause",
                self.restatements_table(),
            ),
        ];
        for (title, table) in parts {
            // Writing to a string cannot fail.
            writeln!(out, "\n{title}\n{table}").ok();
        }
        out
    }

    fn downloads_table(&self) -> Table {
        let mut sums: BTreeMap<(&str, &str, &str), (i64, BTreeSet<&str>)> = BTreeMap::new();
        for ((tenant, show, episode, day), downloads) in &self.downloads {
            let sum = sums.entry((tenant, show, episode)).or_default();
            sum.0 += downloads;
            sum.1.insert(day);
        }
        let mut table = table(&["tenant", "show", "episode", "downloads", "days"], 3);
        for ((tenant, show, episode), (downloads, days)) in sums {
            table.add_row(vec![
                tenant.to_owned(),
                show.to_owned(),
                episode.to_owned(),
                grouped(downloads),
                days.len().to_string(),
            ]);
        }
        table
    }

    fn verdicts_table(&self) -> Table {
        let mut table = table(&["tenant", "verdict", "requests", "share"], 2);
        let mut totals: BTreeMap<&str, i64> = BTreeMap::new();
        for ((tenant, _), requests) in &self.verdicts {
            *totals.entry(tenant).or_default() += requests;
        }
        let mut rows: Vec<_> = self.verdicts.iter().collect();
        rows.sort_by_key(|((tenant, _), requests)| (tenant.clone(), -**requests));
        for ((tenant, verdict), requests) in rows {
            let total = totals.get(tenant.as_str()).copied().unwrap_or(1).max(1);
            let share = format!(
                "{}.{} %",
                requests * 1000 / total / 10,
                requests * 1000 / total % 10
            );
            table.add_row(vec![
                tenant.clone(),
                verdict.clone(),
                grouped(*requests),
                share,
            ]);
        }
        table
    }

    fn attribution_table(&self) -> Table {
        let models = Model::ALL.map(Model::as_str);
        let mut headers = vec!["tenant", "campaign"];
        headers.extend(models);
        let mut table = table(&headers, 2);
        let campaigns: BTreeSet<(&String, &String)> = self
            .attribution
            .keys()
            .map(|(tenant, campaign, _)| (tenant, campaign))
            .collect();
        for (tenant, campaign) in campaigns {
            let currency = self.currencies.get(&(tenant.clone(), campaign.clone()));
            let mut row = vec![tenant.clone(), campaign.clone()];
            for model in models {
                let key = (tenant.clone(), campaign.clone(), model.to_owned());
                let (credit, money) = self.attribution.get(&key).copied().unwrap_or_default();
                let currency = currency.map_or("", String::as_str);
                row.push(format!(
                    "{}\n({} {currency})",
                    decimal(credit),
                    decimal(money)
                ));
            }
            table.add_row(row);
        }
        table
    }

    fn pacing_table(&self) -> Table {
        let mut table = table(
            &[
                "tenant",
                "line item",
                "state",
                "delivered",
                "expected",
                "goal",
                "index",
            ],
            3,
        );
        for ((tenant, line), (delivered, expected, state)) in &self.pacing {
            let goal = self
                .goals
                .get(&(tenant.clone(), line.clone()))
                .copied()
                .unwrap_or(0);
            let index = if *expected > 0 {
                format!(
                    "{}.{:02}",
                    delivered * 100 / expected / 100,
                    delivered * 100 / expected % 100
                )
            } else {
                "-".to_owned()
            };
            table.add_row(vec![
                Cell::new(tenant),
                Cell::new(line),
                Cell::new(state),
                Cell::new(grouped(*delivered)),
                Cell::new(grouped(*expected)),
                Cell::new(grouped(goal)),
                Cell::new(index),
            ]);
        }
        table
    }

    fn anomalies_table(&self) -> Table {
        let mut table = table(
            &["tenant", "series", "hour (UTC)", "count", "usual", "score"],
            3,
        );
        for ((tenant, series, hour_ms), (count, median, score)) in &self.anomalies {
            let hour = hostread_schemas::EventTimeMs(*hour_ms).to_rfc3339();
            let hour = hour.get(..16).unwrap_or(&hour).replace('T', " ");
            table.add_row(vec![
                tenant.clone(),
                series.clone(),
                hour,
                grouped(*count),
                grouped(*median),
                score.clone(),
            ]);
        }
        table
    }

    fn billing_table(&self) -> Table {
        let mut table = table(&["tenant", "line item", "month", "quantity", "amount"], 3);
        for ((tenant, line, period), (quantity, amount)) in &self.billing {
            let of_line = (tenant.clone(), line.clone());
            let currency = self.currencies.get(&of_line).map_or("", String::as_str);
            let quantity = if self.per_conversion.contains(&of_line) {
                format!("{} conversions", decimal(*quantity))
            } else {
                format!("{} ads", grouped(*quantity))
            };
            let amount = format!("{} {currency}", MoneyMicros(*amount).to_decimal());
            table.add_row(vec![
                tenant.clone(),
                line.clone(),
                period.clone(),
                quantity,
                amount,
            ]);
        }
        table
    }

    fn restatements_table(&self) -> Table {
        let mut table = table(&["tenant", "number", "rows", "moved by", "newest cause"], 2);
        for (tenant, number, rows, difference, cause) in &self.restatements {
            table.add_row(vec![
                tenant.clone(),
                number.clone(),
                grouped(*rows),
                grouped(*difference),
                cause.clone(),
            ]);
        }
        table
    }

    /// Every number that is not as the truth has it.
    pub(crate) fn differences(&self, truth: &hostread_simulate::Truth) -> Vec<String> {
        let mut out = Vec::new();
        compare("downloads", &truth.downloads, &self.downloads, &mut out);
        compare("verdicts", &truth.verdicts, &self.verdicts, &mut out);
        compare("deliveries", &truth.deliveries, &self.deliveries, &mut out);
        compare(
            "attribution",
            &truth.attribution,
            &self.attribution,
            &mut out,
        );
        compare(
            "conversions",
            &truth.conversions,
            &self.conversions,
            &mut out,
        );
        compare("pacing", &truth.pacing, &self.pacing, &mut out);
        compare("billing", &truth.billing, &self.billing, &mut out);
        let raised = |key: &(String, String, i64)| (key.clone(), true);
        let wanted: BTreeMap<_, bool> = truth.anomalies.iter().map(raised).collect();
        let found: BTreeMap<_, bool> = self.anomalies.keys().map(raised).collect();
        compare("anomalies", &wanted, &found, &mut out);
        out
    }

    /// How many numbers were compared.
    pub(crate) fn count(&self) -> usize {
        self.downloads.len()
            + self.verdicts.len()
            + self.deliveries.len()
            + self.attribution.len()
            + self.conversions.len()
            + self.pacing.len()
            + self.billing.len()
            + self.anomalies.len()
    }
}

fn compare<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    what: &str,
    truth: &BTreeMap<K, V>,
    found: &BTreeMap<K, V>,
    out: &mut Vec<String>,
) {
    let keys: BTreeSet<&K> = truth.keys().chain(found.keys()).collect();
    for key in keys {
        let (wanted, got) = (truth.get(key), found.get(key));
        if wanted != got {
            out.push(format!("{what} {key:?}: truth {wanted:?}, found {got:?}"));
        }
    }
}
