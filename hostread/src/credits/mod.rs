//! Attribution as rows: credits by what is asked for, codes, and how long paths are; for `hostread report` and
//! `/v1/attribution`.
//!
//! Promises: a row is a sum over a tenant's rows in the database, exact; money of two currencies is never added up, nor are
//! credits of two models. Rows come in the order of their keys, so that a page goes on where the one before ended.

mod door;

use anyhow::Result;
use hostread_schemas::event::Model;
use jiff::civil::Date;

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

/// Which numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// Credits and money, by what is asked for.
    Credits {
        /// Each once.
        by: Vec<By>,
        /// Only under this; without it models are summed by.
        model: Option<Model>,
    },
    /// Conversions with a promo code, by code: how many were matched, and what they were worth.
    Codes,
    /// Conversions by the number of touches on their path; 0 is unmatched.
    PathLengths,
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
const TOUCHES: Key = Key {
    column: Column::count("touches"),
    of: "touches",
    is: "UInt32",
};

impl Question {
    /// Credits, if they add up.
    ///
    /// # Errors
    /// What is wrong with `by`.
    pub(crate) fn credits(by: Vec<By>, model: Option<Model>) -> Result<Self, &'static str> {
        if model.is_none() && !by.contains(&By::Model) {
            return Err(
                "credits of different models do not add up: name one model, or sum by model too",
            );
        }
        let twice = |(at, one): (usize, &By)| by.iter().skip(at + 1).any(|other| other == one);
        if by.iter().enumerate().any(twice) {
            return Err("nothing is summed by the same twice");
        }
        Ok(Self::Credits { by, model })
    }

    /// Can a page of it begin behind a row with these keys?
    pub(crate) fn follows(&self, after: &[String]) -> bool {
        let keys = self.keys();
        let fits =
            |(key, value): (&Key, &String)| key.is == "String" || value.parse::<u32>().is_ok();
        keys.len() == after.len() && keys.iter().zip(after).all(fits)
    }

    fn keys(&self) -> Vec<Key> {
        let about = match self {
            Self::Credits { by, .. } => by.iter().map(|by| by.key()).collect(),
            Self::Codes => vec![
                Key::text("store", "store"),
                Key::text("code", "code"),
                Key::text("line", "code_line"),
            ],
            Self::PathLengths => vec![TOUCHES],
        };
        [vec![TENANT], about, vec![CURRENCY]].concat()
    }

    fn sums(&self) -> &'static [(Column, &'static str)] {
        match self {
            Self::Credits { .. } => {
                const {
                    &[
                        (Column::micros("credit"), "sum(credit_micros)"),
                        (Column::micros("money"), "sum(money_micros)"),
                    ]
                }
            }
            Self::Codes => {
                const {
                    &[
                        (Column::count("redemptions"), "count()"),
                        (Column::count("matched"), "countIf(matched_by != 'none')"),
                        (Column::count("unmatched"), "countIf(matched_by = 'none')"),
                        (Column::micros("value"), "sum(value_micros)"),
                        (Column::micros("refunded"), "sum(refunded_micros)"),
                    ]
                }
            }
            Self::PathLengths => {
                const {
                    &[
                        (Column::count("conversions"), "count()"),
                        (Column::micros("value"), "sum(value_micros)"),
                    ]
                }
            }
        }
    }

    /// The query over the rows that are wanted.
    fn query(&self, which: &Which) -> Query {
        let (table, day) = match self {
            Self::Credits { .. } => ("serving.attribution_daily FINAL WHERE true", "day"),
            Self::Codes => ("serving.conversions FINAL WHERE code != ''", CONVERSION_DAY),
            Self::PathLengths => ("serving.conversions FINAL WHERE true", CONVERSION_DAY),
        };
        let keys = self.keys();
        let list: Vec<&str> = keys.iter().map(|key| key.of).collect();
        let mut query = Query {
            keys: list.join(", "),
            of: format!("FROM {table}"),
            behind: String::new(),
            params: vec![("max_execution_time".to_owned(), SECS_MAX.to_owned())],
        };
        query.only("tenant", which.tenant.clone());
        if let Self::Credits { model, .. } = self {
            query.only("campaign", which.campaign.clone());
            query.only("model", model.map(|model| model.as_str().to_owned()));
        }
        query.days(day, which);
        if let Some(after) = &which.after {
            query.behind(&keys, after);
        }
        query
    }
}

const CONVERSION_DAY: &str = "toDate32(converted_at, 'UTC')";

/// Parts of a query, and its parameters.
struct Query {
    keys: String,
    /// The table, and which of its rows.
    of: String,
    /// Which of the sums.
    behind: String,
    params: Vec<(String, String)>,
}

/// Rows, and the keys behind which the next ones are.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) listing: Listing,
    pub(crate) next: Option<Vec<String>>,
}

impl Tables {
    /// The rows behind `which.after`, which the question follows.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn page(&self, question: &Question, which: &Which) -> Result<Page> {
        let query = question.query(which);
        let params: Vec<(&str, String)> = query
            .params
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        let (keys, sums) = (question.keys(), question.sums());
        let rows = self
            .rows_with(&query.rows(sums, which.limit), &params)
            .await?;
        let counted = self.rows_with(&query.count(), &params).await?;
        let all = counted.first().map_or(0, |row| int(row, 0));
        let all = u64::try_from(all).unwrap_or(0);
        let last = rows.last().filter(|_| all > rows.len() as u64);
        let next = last.map(|row| (0..keys.len()).map(|at| text(row, at)).collect());
        let columns = keys.iter().map(|key| key.column);
        let columns = columns.chain(sums.iter().map(|(column, _)| *column));
        let listing = Listing::of_all(columns.collect(), rows, all, "further");
        Ok(Page { listing, next })
    }
}

/// A model of the pipeline by its name.
pub(crate) fn model(name: &str) -> Result<Model, String> {
    let found = Model::ALL.into_iter().find(|model| model.as_str() == name);
    found.ok_or_else(|| {
        let known = Model::ALL.map(Model::as_str).join(", ");
        format!("the pipeline has {known}")
    })
}

impl Query {
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

    /// Only sums behind those of these keys.
    fn behind(&mut self, keys: &[Key], after: &[String]) {
        let mut places = Vec::new();
        for (at, (key, value)) in keys.iter().zip(after).enumerate() {
            places.push(format!("{{after{at}:{}}}", key.is));
            self.params
                .push((format!("param_after{at}"), value.clone()));
        }
        let (keys, places) = (&self.keys, places.join(", "));
        self.behind = format!("HAVING tuple({keys}) > tuple({places})");
    }

    fn rows(&self, sums: &[(Column, &str)], limit: u32) -> String {
        let Self {
            keys, of, behind, ..
        } = self;
        let sums: Vec<&str> = sums.iter().map(|(_, sum)| *sum).collect();
        let sums = sums.join(", ");
        format!("SELECT {keys}, {sums} {of} GROUP BY {keys} {behind} ORDER BY {keys} LIMIT {limit}")
    }

    fn count(&self) -> String {
        let Self {
            keys, of, behind, ..
        } = self;
        format!("SELECT count() FROM (SELECT {keys} {of} GROUP BY {keys} {behind})")
    }
}
