//! Attribution as rows: credits by what is asked for, codes, and how long paths are; for `hostread report` and
//! `/v1/attribution`.
//!
//! Promises: a row is a sum over a tenant's rows in the database, exact; money of two currencies is never added up, nor are
//! credits of two models. Rows come in the order of their keys, so that a page goes on where the one before ended.

mod door;

use anyhow::{Context, Result, bail};
use hostread_schemas::event::Model;
use jiff::civil::Date;
use serde_json::Value;

use crate::listing::{Column, Listing};
use crate::tables::{Tables, int, text};

pub(crate) use door::door;

/// What credits are summed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum By {
    Campaign,
    Line,
    Show,
    Day,
    Month,
    Model,
}

impl By {
    const fn key(self) -> Key {
        match self {
            Self::Campaign => Key::text("campaign", "campaign"),
            Self::Line => Key::text("line", "line"),
            Self::Show => Key::text("show", "show"),
            Self::Day => Key::text("day", "toString(day)"),
            Self::Month => Key::text("month", "substring(toString(day), 1, 7)"),
            Self::Model => Key::text("model", "model"),
        }
    }
}

/// Which rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Which {
    /// Only of this tenant.
    pub(crate) tenant: Option<String>,
    /// Only of this campaign; of credits alone.
    pub(crate) campaign: Option<String>,
    /// Only conversions of this UTC day or later.
    pub(crate) from: Option<Date>,
    /// Only conversions of this UTC day or earlier.
    pub(crate) to: Option<Date>,
    /// At most so many.
    pub(crate) limit: u32,
    /// Only what comes behind the row with these keys.
    pub(crate) after: Option<Vec<String>>,
}

/// What a row is about: a column, its expression and the expression's type.
#[derive(Debug, Clone, Copy)]
struct Key {
    column: Column,
    of: &'static str,
    is: &'static str,
}

impl Key {
    const fn text(header: &'static str, of: &'static str) -> Self {
        Self {
            column: Column::text(header),
            of,
            is: "String",
        }
    }
}

/// Seconds of a query. Shorter: years of detail fail; longer: a page that nobody waits for keeps the database busy.
const SECS_MAX: &str = "30";
const TENANT: Key = Key::text("tenant", "tenant");
const CURRENCY: Key = Key::text("currency", "currency");

/// Sums over a table of the database.
struct Sums {
    keys: Vec<Key>,
    sums: Vec<(Column, &'static str)>,
    /// The table, and which of its rows.
    of: String,
    params: Vec<(String, String)>,
}

/// Rows, and the keys behind which the next ones are.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) listing: Listing,
    pub(crate) next: Option<Vec<String>>,
}

impl Tables {
    /// Credits and money, by what is asked for.
    ///
    /// # Errors
    /// When the database does not answer, or the page is of another question.
    pub(crate) async fn credits(
        &self,
        by: &[By],
        model: Option<Model>,
        which: &Which,
    ) -> Result<Page> {
        let mut keys = vec![TENANT];
        keys.extend(by.iter().map(|by| by.key()));
        keys.push(CURRENCY);
        let mut sums = Sums {
            keys,
            sums: vec![
                (Column::micros("credit"), "sum(credit_micros)"),
                (Column::micros("money"), "sum(money_micros)"),
            ],
            of: "FROM serving.attribution_daily FINAL WHERE true".to_owned(),
            params: Vec::new(),
        };
        let model = model.map(|model| model.as_str().to_owned());
        sums.only("tenant", which.tenant.clone());
        sums.only("campaign", which.campaign.clone());
        sums.only("model", model);
        sums.days("day", which);
        self.page(sums, which).await
    }

    /// Orders with a promo code, by code: how many were matched, and what they were worth.
    pub(crate) async fn codes(&self, which: &Which) -> Result<Page> {
        let keys = vec![
            TENANT,
            Key::text("store", "store"),
            Key::text("code", "code"),
            Key::text("line", "code_line"),
            CURRENCY,
        ];
        let sums = vec![
            (Column::count("orders"), "count()"),
            (Column::count("matched"), "countIf(matched_by != 'none')"),
            (Column::count("unmatched"), "countIf(matched_by = 'none')"),
            (Column::micros("value"), "sum(value_micros)"),
            (Column::micros("refunded"), "sum(refunded_micros)"),
        ];
        self.conversions(keys, sums, "code != ''", which).await
    }

    /// Conversions by the number of touches on their path; 0 is unmatched.
    pub(crate) async fn path_lengths(&self, which: &Which) -> Result<Page> {
        let touches = Key {
            column: Column::count("touches"),
            of: "touches",
            is: "UInt32",
        };
        let sums = vec![
            (Column::count("conversions"), "count()"),
            (Column::micros("value"), "sum(value_micros)"),
        ];
        let keys = vec![TENANT, touches, CURRENCY];
        self.conversions(keys, sums, "true", which).await
    }

    async fn conversions(
        &self,
        keys: Vec<Key>,
        sums: Vec<(Column, &'static str)>,
        these: &str,
        which: &Which,
    ) -> Result<Page> {
        let mut sums = Sums {
            keys,
            sums,
            of: format!("FROM serving.conversions FINAL WHERE {these}"),
            params: Vec::new(),
        };
        sums.only("tenant", which.tenant.clone());
        sums.days("toDate32(converted_at, 'UTC')", which);
        self.page(sums, which).await
    }

    async fn page(&self, mut sums: Sums, which: &Which) -> Result<Page> {
        let behind = sums.behind(which.after.as_deref())?;
        let most = ("max_execution_time", SECS_MAX.to_owned());
        let params: Vec<(&str, String)> = sums
            .params
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()))
            .chain(std::iter::once(most))
            .collect();
        let rows = self
            .rows_with(&sums.rows(&behind, which.limit), &params)
            .await?;
        let counted = self.rows_with(&sums.count(&behind), &params).await?;
        let all = counted.first().map_or(0, |row| int(row, 0));
        let all = u64::try_from(all).unwrap_or(0);
        let is_last = all <= rows.len() as u64;
        let keys = |row: &Vec<Value>| (0..sums.keys.len()).map(|at| text(row, at)).collect();
        let next = rows.last().filter(|_| !is_last).map(keys);
        let columns = sums.columns();
        let listing = Listing::of_all(columns, rows, all, "further");
        Ok(Page { listing, next })
    }
}

/// A model of the pipeline by its name.
pub(crate) fn model(name: &str) -> Option<Model> {
    Model::ALL.into_iter().find(|model| model.as_str() == name)
}

/// Is one model at a time asked for, or each apart, and nothing twice?
pub(crate) fn check(by: &[By], model: Option<Model>) -> Result<()> {
    if model.is_none() && !by.contains(&By::Model) {
        bail!("credits of different models do not add up: name one model, or sum by model too");
    }
    let twice = |(at, one): (usize, &By)| by.iter().skip(at + 1).any(|other| other == one);
    if by.iter().enumerate().any(twice) {
        bail!("nothing is summed by the same twice");
    }
    Ok(())
}

impl Sums {
    /// Only rows whose column is this.
    fn only(&mut self, column: &str, value: Option<String>) {
        if let Some(value) = value {
            let these = format!(" AND {column} = {{{column}:String}}");
            self.of.push_str(&these);
            self.params.push((format!("param_{column}"), value));
        }
    }

    /// Only rows of these days.
    fn days(&mut self, day: &str, which: &Which) {
        for (name, compare, date) in [("from", ">=", which.from), ("to", "<=", which.to)] {
            if let Some(date) = date {
                let these = format!(" AND {day} {compare} {{{name}:Date32}}");
                self.of.push_str(&these);
                self.params
                    .push((format!("param_{name}"), date.to_string()));
            }
        }
    }

    fn columns(&self) -> Vec<Column> {
        let keys = self.keys.iter().map(|key| key.column);
        keys.chain(self.sums.iter().map(|(column, _)| *column))
            .collect()
    }

    fn key_list(&self) -> String {
        let keys: Vec<&str> = self.keys.iter().map(|key| key.of).collect();
        keys.join(", ")
    }

    /// The condition of rows behind the one with these keys.
    fn behind(&mut self, after: Option<&[String]>) -> Result<String> {
        let Some(after) = after else {
            return Ok(String::new());
        };
        if after.len() != self.keys.len() {
            bail!("the cursor is of another question");
        }
        let mut places = Vec::new();
        for (at, (key, value)) in self.keys.iter().zip(after).enumerate() {
            if key.is != "String" {
                value.parse::<u32>().context("the cursor is damaged")?;
            }
            places.push(format!("{{after{at}:{}}}", key.is));
            self.params
                .push((format!("param_after{at}"), value.clone()));
        }
        let keys = self.key_list();
        Ok(format!(
            "HAVING tuple({keys}) > tuple({})",
            places.join(", ")
        ))
    }

    fn rows(&self, behind: &str, limit: u32) -> String {
        let (keys, of) = (self.key_list(), &self.of);
        let sums: Vec<&str> = self.sums.iter().map(|(_, sum)| *sum).collect();
        let sums = sums.join(", ");
        format!("SELECT {keys}, {sums} {of} GROUP BY {keys} {behind} ORDER BY {keys} LIMIT {limit}")
    }

    fn count(&self, behind: &str) -> String {
        let (keys, of) = (self.key_list(), &self.of);
        format!("SELECT count() FROM (SELECT {keys} {of} GROUP BY {keys} {behind})")
    }
}
