//! What the ledgers say, for people: published numbers that moved, what came after the seal, and a day as it was published
//! beside what is known now.

use std::collections::BTreeMap;

use anyhow::Result;
use comfy_table::CellAlignment;
use serde_json::{Map, Value, json};

use crate::cmd::table;
use crate::report::{Reader, grouped, int, text};

/// Rows to be printed: a text or a whole number in each column.
#[derive(Debug)]
pub(crate) struct Listing {
    headers: &'static [&'static str],
    /// Columns from here on are numbers, but for the last `texts_after`.
    numbers_from: usize,
    texts_after: usize,
    rows: Vec<Vec<Value>>,
    /// More rows than are shown.
    more: u64,
}

/// Whose rows, and how many.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) tenant: Option<String>,
    /// Id of an event or a batch.
    pub(crate) cause: Option<String>,
    /// View of the number.
    pub(crate) view: Option<String>,
    pub(crate) limit: u32,
}

impl Wanted {
    fn params(&self) -> Vec<(&'static str, String)> {
        let or_any = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![
            ("param_tenant", or_any(&self.tenant)),
            ("param_cause", or_any(&self.cause)),
            ("param_view", or_any(&self.view)),
        ]
    }
}

/// What moved a row of `restatements`, as people read it.
pub(crate) const CAUSE: &str = "multiIf(cause = 'event', 'event ' || cause_event, cause = 'clock', 'the clock', \
    'batch ' || batches[1] || if(length(batches) + batches_more > 1, ' and ' || \
    toString(length(batches) + batches_more - 1) || ' more', ''))";

/// The names of a number's key, without its day.
const NUMBER: &str = "arrayStringConcat(arrayFilter(name -> name != '', [JSONExtractString(of_key, 'show'), \
    JSONExtractString(of_key, 'episode'), JSONExtractString(of_key, 'campaign'), JSONExtractString(of_key, 'line'), \
    JSONExtractString(of_key, 'model'), JSONExtractString(of_key, 'currency'), JSONExtractString(of_key, 'source_kind'), \
    JSONExtractString(of_key, 'period')]), ' / ')";

/// The same of the view's own rows: view, names, columns.
const DAILY: [(&str, &str, &[&str]); 3] = [
    (
        "downloads_daily",
        "[show, episode, source_kind]",
        &["downloads"],
    ),
    (
        "attribution_daily",
        "[show, campaign, line, model, currency]",
        &["credit_micros", "money_micros"],
    ),
    ("delivery_daily", "[line]", &["delivered", "billable"]),
];

impl Reader {
    /// Published numbers that moved, newest last.
    pub(crate) async fn restatements(&self, wanted: &Wanted) -> Result<Listing> {
        let of = "FROM hostread.restatements WHERE ({tenant:String} = '' OR tenant = {tenant:String}) \
            AND ({view:String} = '' OR of_view = {view:String}) \
            AND ({cause:String} = '' OR cause_event = {cause:String} OR has(batches, {cause:String}))";
        let rows = format!(
            "SELECT tenant, toUInt64(tick) AS at, of_view || '.' || metric, {NUMBER}, toString(period_end), old_value, \
             new_value, difference, {CAUSE} {of} ORDER BY at DESC, tenant, of_view, of_key, metric LIMIT {}",
            wanted.limit
        );
        self.list(
            wanted,
            (
                &[
                    "tenant",
                    "tick",
                    "number",
                    "of",
                    "period end",
                    "was",
                    "is",
                    "moved by",
                    "cause",
                ],
                5,
                1,
            ),
            &rows,
            of,
        )
        .await
    }

    /// What came after its day was sealed and was not applied, newest last.
    pub(crate) async fn late(&self, wanted: &Wanted) -> Result<Listing> {
        let of = "FROM hostread.late_after_seal WHERE ({tenant:String} = '' OR tenant = {tenant:String}) \
            AND ({view:String} = '' OR of_view = {view:String})";
        let rows = format!(
            "SELECT tenant, toUInt64(tick) AS at, toString(day), multiIf(kind = 'events', 'events refused', kind = 'rows', \
             'rows of ' || of_view, of_view || '.' || metric), {NUMBER}, count, old_value, new_value \
             {of} ORDER BY at DESC, tenant, day, of_view, of_key, metric LIMIT {}",
            wanted.limit
        );
        self.list(
            wanted,
            (
                &[
                    "tenant",
                    "tick",
                    "sealed day",
                    "what",
                    "of",
                    "count",
                    "stands",
                    "would be",
                ],
                5,
                0,
            ),
            &rows,
            of,
        )
        .await
    }

    async fn list(
        &self,
        wanted: &Wanted,
        (headers, numbers_from, texts_after): (&'static [&'static str], usize, usize),
        rows: &str,
        of: &str,
    ) -> Result<Listing> {
        let params = wanted.params();
        let mut rows = self.rows_with(rows, &params).await?;
        rows.reverse();
        let counted = self
            .rows_with(&format!("SELECT count() {of}"), &params)
            .await?;
        let all = counted.first().map_or(0, |row| int(row, 0));
        Ok(Listing {
            headers,
            numbers_from,
            texts_after,
            more: u64::try_from(all).unwrap_or(0) - rows.len() as u64,
            rows,
        })
    }

    /// Numbers of a day: when they were published, now, and what the events that came after the seal would make of them.
    pub(crate) async fn day(&self, day: &str, wanted: &Wanted) -> Result<Listing> {
        let mut params = wanted.params();
        params.push(("param_day", day.to_owned()));
        let mut numbers: BTreeMap<(String, String, String), [i64; 3]> = BTreeMap::new();
        let mut add = |row: &[Value], column: usize| {
            let key = (text(row, 0), text(row, 1), text(row, 2));
            if let Some(sum) = numbers.entry(key).or_default().get_mut(column) {
                *sum += int(row, 3);
            }
        };
        let mine = "({tenant:String} = '' OR tenant = {tenant:String})";
        for (view, names, columns) in DAILY {
            for column in columns {
                let now = format!(
                    "SELECT tenant, '{view}.{column}', arrayStringConcat(arrayFilter(name -> name != '', {names}), ' / '), \
                     sum({column}) FROM serving.{view} FINAL WHERE day = {{day:Date32}} AND {mine} GROUP BY ALL"
                );
                for row in self.rows_with(&now, &params).await? {
                    add(&row, 0);
                }
            }
        }
        let ledger = |table: &str, of_day: &str, difference: &str| {
            format!(
                "SELECT tenant, of_view || '.' || metric, {NUMBER}, sum({difference}) FROM hostread.{table} \
                 WHERE {of_day} = {{day:String}} AND {mine} AND of_key != '' GROUP BY ALL"
            )
        };
        let moved = ledger(
            "restatements",
            "JSONExtractString(of_key, 'day')",
            "difference",
        );
        for row in self.rows_with(&moved, &params).await? {
            add(&row, 1);
        }
        let late = ledger("late_after_seal", "toString(day)", "new_value - old_value");
        for row in self.rows_with(&late, &params).await? {
            add(&row, 2);
        }
        let rows = numbers
            .into_iter()
            .map(|((tenant, number, of), [now, moved, late])| {
                vec![
                    json!(tenant),
                    json!(number),
                    json!(of),
                    json!(now - moved),
                    json!(now),
                    json!(moved),
                    json!(late),
                ]
            });
        Ok(Listing {
            headers: &[
                "tenant",
                "number",
                "of",
                "as published",
                "now",
                "moved by",
                "after the seal",
            ],
            numbers_from: 3,
            texts_after: 0,
            rows: rows.collect(),
            more: 0,
        })
    }
}

impl Listing {
    /// Of a day: what is known now alone.
    pub(crate) fn only_now(&mut self) {
        self.headers = &["tenant", "number", "of", "now"];
        for row in &mut self.rows {
            row.truncate(5);
            row.remove(3);
        }
    }

    /// One JSON object a row.
    pub(crate) fn json(&self) -> Vec<String> {
        let object = |row: &Vec<Value>| {
            let fields = self.headers.iter().enumerate().map(|(at, header)| {
                let value = if self.is_number(at) {
                    json!(int(row, at))
                } else {
                    json!(text(row, at))
                };
                (header.replace(' ', "_"), value)
            });
            Value::Object(fields.collect::<Map<String, Value>>()).to_string()
        };
        self.rows.iter().map(object).collect()
    }

    fn is_number(&self, at: usize) -> bool {
        at >= self.numbers_from && at + self.texts_after < self.headers.len()
    }

    /// A table for people, and what it leaves out.
    pub(crate) fn render(&self, nothing: &str) -> String {
        if self.rows.is_empty() {
            return nothing.to_owned();
        }
        let mut table = table();
        table.set_header(self.headers);
        for (at, column) in table.column_iter_mut().enumerate() {
            if self.is_number(at) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for row in &self.rows {
            table.add_row((0..self.headers.len()).map(|at| {
                if self.is_number(at) {
                    grouped(int(row, at))
                } else {
                    text(row, at)
                }
            }));
        }
        match self.more {
            0 => table.to_string(),
            more => format!("{table}\n{more} older ones are not shown (--limit)"),
        }
    }
}
