//! What line items cost and what they brought, for `hostread report returns`.
//!
//! Spend is priced delivery: the bills of the line item's months as they stand (there are no invoices and no imported costs yet).
//! Promises: exact sums; money of two currencies is neither added up nor divided; a rate is rounded once, to the nearest millionth.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use hostread_schemas::event::Model;
use jiff::civil::Date;
use serde_json::{Value, json};

use crate::credits::SECS_MAX;
use crate::listing::{Column, Listing};
use crate::report::Reader;
use crate::tables::{int, text};

/// Which rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Returns {
    /// Only of this tenant.
    pub(crate) tenant: Option<String>,
    /// Only of this line item.
    pub(crate) line: Option<String>,
    /// Only under this model.
    pub(crate) model: Option<Model>,
    /// At most so many.
    pub(crate) limit: u32,
}

/// Tenant and line item.
pub(crate) type Line = (String, String);

/// What a line item cost in a currency, in millionths.
pub(crate) type Spend = (Line, String, i64);

/// All that a line item cost and brought, in millionths.
#[derive(Debug, Default)]
struct Sums {
    /// By currency.
    spend: BTreeMap<String, i64>,
    /// Credits and money by model and currency.
    earned: BTreeMap<(String, String), (i64, i64)>,
}

impl Reader {
    /// A row for each line item, currency and model.
    ///
    /// # Errors
    /// When a database does not answer.
    pub(crate) async fn returns(&self, which: &Returns) -> Result<Listing> {
        let mut lines: BTreeMap<Line, Sums> = BTreeMap::new();
        let bills = self.spend(which.tenant.as_deref(), which.line.as_deref(), None);
        for (line, currency, micros) in bills.await? {
            let sums = lines.entry(line).or_default();
            sums.spend.insert(currency, micros);
        }
        self.earned(which, &mut lines).await?;
        Ok(listing(&lines, which))
    }

    /// Bills by tenant, line item and currency, in millionths: of all months, or of those that begin from a day to another.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn spend(
        &self,
        tenant: Option<&str>,
        line: Option<&str>,
        months: Option<(Date, Date)>,
    ) -> Result<Vec<Spend>> {
        let query = "SELECT tenant, line, currency, sum(amount_micros)::bigint FROM serving.billing_lines \
            WHERE ($1::text IS NULL OR tenant = $1) AND ($2::text IS NULL OR line = $2) \
            AND ($3::text IS NULL OR period BETWEEN $3::date AND $4::date) GROUP BY tenant, line, currency";
        let (from, to) = months.unzip();
        let rows: Vec<(String, String, String, i64)> = sqlx::query_as(query)
            .bind(tenant)
            .bind(line)
            .bind(from.map(|day| day.to_string()))
            .bind(to.map(|day| day.to_string()))
            .fetch_all(&self.postgres)
            .await
            .context("reading billing lines")?;
        let spend = |(tenant, line, currency, micros)| ((tenant, line), currency, micros);
        Ok(rows.into_iter().map(spend).collect())
    }

    async fn earned(&self, which: &Returns, lines: &mut BTreeMap<Line, Sums>) -> Result<()> {
        // Names are never empty: that stands for any.
        let query = "SELECT tenant, line, model, currency, sum(credit_micros), sum(money_micros) \
            FROM serving.attribution_daily FINAL WHERE {tenant:String} IN ('', tenant) AND {line:String} IN ('', line) \
            GROUP BY tenant, line, model, currency";
        let params = [
            ("param_tenant", which.tenant.clone().unwrap_or_default()),
            ("param_line", which.line.clone().unwrap_or_default()),
            ("max_execution_time", SECS_MAX.to_owned()),
        ];
        for row in self.tables.rows_with(query, &params).await? {
            let sums = lines.entry((text(&row, 0), text(&row, 1))).or_default();
            let key = (text(&row, 2), text(&row, 3));
            sums.earned.insert(key, (int(&row, 4), int(&row, 5)));
        }
        Ok(())
    }
}

fn listing(lines: &BTreeMap<Line, Sums>, which: &Returns) -> Listing {
    let models = Model::ALL.into_iter();
    let models: Vec<Model> = models
        .filter(|model| which.model.is_none_or(|only| only == *model))
        .collect();
    let mut rows = Vec::new();
    for (line, sums) in lines {
        let earned = sums.earned.keys().map(|(_, currency)| currency);
        let currencies: BTreeSet<&String> = sums.spend.keys().chain(earned).collect();
        for currency in currencies {
            let of_model = |model: &Model| row(line, sums, currency, model.as_str());
            rows.extend(models.iter().map(of_model));
        }
    }
    let all = rows.len() as u64;
    rows.truncate(which.limit as usize);
    let columns = vec![
        Column::text("tenant"),
        Column::text("line"),
        Column::text("currency"),
        Column::text("model"),
        Column::micros("spend"),
        Column::micros("credit"),
        Column::micros("money"),
        Column::micros("roas"),
        Column::micros("cost per conversion"),
    ];
    Listing::of_all(columns, rows, all, "further")
}

fn row(line: &Line, sums: &Sums, currency: &str, model: &str) -> Vec<Value> {
    let spend = sums.spend.get(currency).copied().unwrap_or(0);
    let under_model = sums.earned.iter().filter(|((of, _), _)| of == model);
    let (mut credit, mut money, mut credit_of_all) = (0, 0, 0);
    for ((_, of), (credits, moneys)) in under_model {
        credit_of_all += credits;
        if of == currency {
            (credit, money) = (*credits, *moneys);
        }
    }
    vec![
        json!(line.0),
        json!(line.1),
        json!(currency),
        json!(model),
        json!(spend),
        json!(credit),
        json!(money),
        json!(rate(money, spend)),
        // What was spent in one currency also led to conversions that are worth something in another.
        json!(if spend == 0 {
            None
        } else {
            rate(spend, credit_of_all)
        }),
    ]
}

/// A quotient in millionths, rounded to the nearest, halves up; none of nothing.
pub(crate) fn rate(of: i64, by: i64) -> Option<i64> {
    if by <= 0 {
        return None;
    }
    let (of, by) = (i128::from(of) * 1_000_000, i128::from(by));
    i64::try_from((2 * of + by).div_euclid(2 * by)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> BTreeMap<Line, Sums> {
        let spend = [("EUR".to_owned(), 120_000_000)];
        let earned = [
            (("last", "EUR"), (2_000_000, 300_000_000)),
            (("last", "USD"), (1_000_000, 0)),
            (("first", "EUR"), (0, 0)),
        ];
        let earned = earned.map(|((model, currency), sums)| {
            let key = (model.to_owned(), currency.to_owned());
            (key, sums)
        });
        let sums = Sums {
            spend: spend.into(),
            earned: earned.into(),
        };
        BTreeMap::from([(("acme".to_owned(), "l1".to_owned()), sums)])
    }

    #[test]
    fn what_was_spent_and_what_came_of_it() {
        let which = Returns {
            model: Some(Model::Last),
            limit: 9,
            ..Returns::default()
        };
        let csv = listing(&lines(), &which).csv().expect("it fits");
        let ought = "tenant,line,currency,model,spend,credit,money,roas,cost per conversion\n\
            acme,l1,EUR,last,120,2,300,2.5,40\n\
            acme,l1,USD,last,0,1,0,,\n";
        assert_eq!(csv, ought);
    }

    #[test]
    fn nothing_is_divided_by_nothing() {
        let which = Returns {
            model: Some(Model::First),
            limit: 1,
            ..Returns::default()
        };
        let listing = listing(&lines(), &which);
        assert_eq!(listing.more(), 1);
        let rows = listing.objects();
        let row = rows.first().expect("a row");
        assert_eq!(row["roas_micros"], json!(0));
        assert_eq!(row["cost_per_conversion_micros"], Value::Null);
    }

    #[test]
    fn a_rate_is_rounded_once() {
        assert_eq!(rate(1, 3), Some(333_333));
        assert_eq!(rate(2, 3), Some(666_667));
        assert_eq!(rate(1, 2_000_000), Some(1));
        assert_eq!(rate(i64::MAX, 1), None);
        assert_eq!(rate(5, 0), None);
    }
}
