//! What the ledgers say, for people: published numbers that moved, what came after the seal, and a day as it was published
//! beside what is known now.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Value, json};

use crate::listing::{Column, Listing};
use crate::report::Reader;
use crate::tables::{int, text};

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

/// The same of the view's own rows: view, names, and of each metric its column in which rows.
const DAILY: [(&str, &str, &[(&str, &str, &str)]); 3] = [
    (
        "downloads_daily",
        "[show, episode, source_kind]",
        &[
            ("downloads", "downloads", "window_kind = 'calendar_day'"),
            (
                "downloads_first_touch",
                "downloads",
                "window_kind = 'first_touch'",
            ),
            (
                "downloads_last_touch",
                "downloads",
                "window_kind = 'last_touch'",
            ),
        ],
    ),
    (
        "attribution_daily",
        "[show, campaign, line, model, currency]",
        &[
            ("credit_micros", "credit_micros", "true"),
            ("money_micros", "money_micros", "true"),
        ],
    ),
    (
        "delivery_daily",
        "[line]",
        &[
            ("delivered", "delivered", "true"),
            ("billable", "billable", "true"),
        ],
    ),
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
            &[
                Column::text("tenant"),
                Column::text("tick"),
                Column::text("number"),
                Column::text("of"),
                Column::text("period end"),
                Column::count("was"),
                Column::count("is"),
                Column::count("moved by"),
                Column::text("cause"),
            ],
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
            &[
                Column::text("tenant"),
                Column::text("tick"),
                Column::text("sealed day"),
                Column::text("what"),
                Column::text("of"),
                Column::count("count"),
                Column::count("stands"),
                Column::count("would be"),
            ],
            &rows,
            of,
        )
        .await
    }

    async fn list(
        &self,
        wanted: &Wanted,
        columns: &[Column],
        rows: &str,
        of: &str,
    ) -> Result<Listing> {
        let params = wanted.params();
        let mut rows = self.tables.rows_with(rows, &params).await?;
        rows.reverse();
        let counted = self
            .tables
            .rows_with(&format!("SELECT count() {of}"), &params)
            .await?;
        let all = counted.first().map_or(0, |row| int(row, 0));
        let all = u64::try_from(all).unwrap_or(0);
        Ok(Listing::of_all(columns.to_vec(), rows, all, "older"))
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
        for (view, names, metrics) in DAILY {
            for (metric, column, of) in metrics {
                let now = format!(
                    "SELECT tenant, '{view}.{metric}', arrayStringConcat(arrayFilter(name -> name != '', {names}), ' / '), \
                     sum({column}) FROM serving.{view} FINAL WHERE day = {{day:Date32}} AND {mine} AND {of} GROUP BY ALL"
                );
                for row in self.tables.rows_with(&now, &params).await? {
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
        for row in self.tables.rows_with(&moved, &params).await? {
            add(&row, 1);
        }
        let late = ledger("late_after_seal", "toString(day)", "new_value - old_value");
        for row in self.tables.rows_with(&late, &params).await? {
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
        let columns = [
            Column::text("tenant"),
            Column::text("number"),
            Column::text("of"),
            Column::count("as published"),
            Column::count("now"),
            Column::count("moved by"),
            Column::count("after the seal"),
        ];
        Ok(Listing::whole(columns.to_vec(), rows.collect()))
    }
}
