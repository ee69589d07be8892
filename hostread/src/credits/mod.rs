//! Attribution as rows: credits by what is asked for, codes, paths and what can be seen in them; for `hostread report` and
//! `/v1/attribution`.
//!
//! Promises: a row is a sum over a tenant's rows in the database, exact; money of two currencies is never added up, nor are
//! credits of two models. Rows come in the order of their keys, paths by their conversions, so that a page goes on where the one
//! before ended.

mod door;
mod heard;
mod question;

use anyhow::Result;
use hostread_schemas::event::Model;
use jiff::civil::Date;

use crate::listing::{Column, Listing};
use crate::tables::{Tables, int, text};

pub(crate) use door::door;
pub(crate) use question::{By, HEARD, Question, Spot};

/// Which rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Which {
    /// Only of this tenant.
    pub(crate) tenant: Option<String>,
    /// Only of this campaign; of credits alone.
    pub(crate) campaign: Option<String>,
    /// Only in this currency.
    pub(crate) currency: Option<String>,
    /// Only conversions of this UTC day or later.
    pub(crate) from: Option<Date>,
    /// Only conversions of this UTC day or earlier.
    pub(crate) to: Option<Date>,
    /// At most so many.
    pub(crate) limit: u32,
    /// Only what comes behind the row at this place.
    pub(crate) after: Option<Vec<String>>,
}

/// What a row is about: a column, its expression and the expression's type.
#[derive(Debug, Clone)]
struct Key {
    column: Column,
    of: String,
    is: &'static str,
}

impl Key {
    fn text(header: &'static str, of: impl Into<String>) -> Self {
        Self {
            column: Column::text(header),
            of: of.into(),
            is: TEXT,
        }
    }

    /// A whole number from 0.
    fn count(header: &'static str, of: impl Into<String>) -> Self {
        Self {
            column: Column::count(header),
            of: of.into(),
            is: COUNT,
        }
    }
}

/// Types of places in the database.
const TEXT: &str = "String";
const COUNT: &str = "UInt32";
const NUMBER: &str = "Int64";

/// Seconds of a query. Shorter: years of detail fail; longer: a page that nobody waits for keeps the database busy.
pub(crate) const SECS_MAX: &str = "30";

/// Parts of a query, and its parameters.
struct Query {
    keys: Vec<Key>,
    sums: Vec<(Column, String)>,
    /// Rows with the largest first sum come first.
    largest_first: bool,
    /// The table, and which of its rows.
    of: String,
    /// Which of the sums.
    behind: String,
    params: Vec<(String, String)>,
}

/// Rows, and the place behind which the next ones are.
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
        let query = Query::new(question, which);
        let params: Vec<(&str, String)> = query
            .params
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        let rows = self.rows_with(&query.text(which.limit), &params).await?;
        let width = query.keys.len() + query.sums.len();
        let all = rows.first().map_or(0, |row| int(row, width));
        let all = u64::try_from(all).unwrap_or(0);
        let last = rows.last().filter(|_| all > rows.len() as u64);
        let next = last.map(|row| {
            let first_sum = query.largest_first.then(|| -int(row, query.keys.len()));
            let first_sum = first_sum.map(|sum| sum.to_string());
            let keys = (0..query.keys.len()).map(|at| text(row, at));
            first_sum.into_iter().chain(keys).collect()
        });
        let columns = query.keys.iter().map(|key| key.column);
        let columns = columns.chain(query.sums.iter().map(|(column, _)| *column));
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
    /// Over the rows that are wanted.
    fn new(question: &Question, which: &Which) -> Self {
        let mut query = Self {
            keys: question.keys(),
            sums: question.sums(),
            largest_first: question.largest_first(),
            of: format!("FROM {}", question.table()),
            behind: String::new(),
            params: vec![("max_execution_time".to_owned(), SECS_MAX.to_owned())],
        };
        query.only("tenant", which.tenant.clone());
        query.only("currency", which.currency.clone());
        if let Question::Credits { model, .. } = question {
            query.only("campaign", which.campaign.clone());
            query.only("model", model.map(|model| model.as_str().to_owned()));
        }
        query.days(question.day(), which);
        if let Some(after) = &which.after {
            query.behind(question, after);
        }
        query
    }

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

    /// By what rows are ordered: the columns of their places.
    fn order(&self) -> String {
        let first_sum = self.largest_first.then(|| "-toInt64(s0)".to_owned());
        let keys = (0..self.keys.len()).map(|at| format!("k{at}"));
        first_sum
            .into_iter()
            .chain(keys)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Only rows behind this place.
    fn behind(&mut self, question: &Question, after: &[String]) {
        let mut places = Vec::new();
        for (at, (is, value)) in question.places().iter().zip(after).enumerate() {
            places.push(format!("{{after{at}:{is}}}"));
            self.params
                .push((format!("param_after{at}"), value.clone()));
        }
        let (order, places) = (self.order(), places.join(", "));
        self.behind = format!("WHERE tuple({order}) > tuple({places})");
    }

    /// Rows, each with the number of all of them at its end.
    fn text(&self, limit: u32) -> String {
        let keys = self.keys.iter().map(|key| key.of.as_str()).enumerate();
        let keys = keys.map(|(at, of)| format!("{of} AS k{at}"));
        let sums = self.sums.iter().map(|(_, of)| of.as_str()).enumerate();
        let sums = sums.map(|(at, of)| format!("{of} AS s{at}"));
        let columns = keys.chain(sums).collect::<Vec<_>>().join(", ");
        let groups = (0..self.keys.len()).map(|at| format!("k{at}"));
        let groups = groups.collect::<Vec<_>>().join(", ");
        let (of, behind, order) = (&self.of, &self.behind, self.order());
        format!(
            "SELECT *, count() OVER () FROM (SELECT {columns} {of} GROUP BY {groups}) {behind} ORDER BY {order} LIMIT {limit}"
        )
    }
}
