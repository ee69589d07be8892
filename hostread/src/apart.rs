//! How two models differ, campaign by campaign, and how much of it may be chance; for `hostread report models`.
//!
//! Promises: shares are exact; the same credits give the same intervals. Leaves out: which of the two is right.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use hostread_models::bootstrap::{Unit, apart};
use hostread_schemas::event::Model;
use jiff::civil::Date;
use serde_json::{Value, json};

use crate::credits::{SECS_MAX, Which};
use crate::listing::{Column, Listing};
use crate::tables::{Tables, int, text};

/// Households and campaigns, at most: a draw visits them all. More: name days.
const ROWS_MAX: usize = 1_000_000;

impl Tables {
    /// A row for each campaign that either model credits.
    ///
    /// # Errors
    /// When the models are one, the database does not answer, or there is more than can be drawn from.
    pub(crate) async fn models(&self, models: [Model; 2], which: &Which) -> Result<Listing> {
        if models[0] == models[1] {
            bail!("a model does not differ from itself: name another one with --against");
        }
        let day =
            |date: Option<Date>, open: &str| date.map_or(open.to_owned(), |date| date.to_string());
        let params = [
            ("param_tenant", which.tenant.clone().unwrap_or_default()),
            ("param_currency", which.currency.clone().unwrap_or_default()),
            ("param_from", day(which.from, "1970-01-01")),
            ("param_to", day(which.to, "2299-12-31")),
            ("max_execution_time", SECS_MAX.to_owned()),
        ];
        let query = query(models);
        let rows = self.rows_with(&query, &params).await;
        let rows = rows.context("reading credits")?;
        if rows.len() > ROWS_MAX {
            bail!(
                "there are more than {ROWS_MAX} households and campaigns: name days with --from and --to"
            );
        }
        Ok(listing(&rows, models, which.limit))
    }
}

/// Credits by household and campaign under both models; a conversion without a household stands for itself.
fn query([one, other]: [Model; 2]) -> String {
    let (one, other, most) = (one.as_str(), other.as_str(), ROWS_MAX + 1);
    format!(
        "SELECT tenant, campaign, toString(if(household = 0, conversion, household)) AS unit, \
            sum(credit_{one}_micros), sum(credit_{other}_micros) \
        FROM (SELECT * FROM serving.credits FINAL WHERE {{tenant:String}} IN ('', tenant) \
            AND {{currency:String}} IN ('', currency) AND day BETWEEN {{from:Date32}} AND {{to:Date32}}) AS credits \
        INNER JOIN (SELECT tenant, conversion, household FROM serving.conversions FINAL \
            WHERE {{tenant:String}} IN ('', tenant)) AS sold USING (tenant, conversion) \
        GROUP BY tenant, campaign, unit LIMIT {most}"
    )
}

fn listing(rows: &[Vec<Value>], models: [Model; 2], limit: u32) -> Listing {
    let mut tenants: BTreeMap<String, BTreeMap<u64, Vec<(String, i64, i64)>>> = BTreeMap::new();
    for row in rows {
        let units = tenants.entry(text(row, 0)).or_default();
        let unit = units.entry(text(row, 2).parse().unwrap_or(0)).or_default();
        unit.push((text(row, 1), int(row, 3), int(row, 4)));
    }
    let mut found = Vec::new();
    for (tenant, units) in tenants {
        let units = units.into_iter();
        let units: Vec<_> = units.map(|(number, gave)| Unit { number, gave }).collect();
        for (campaign, shares) in apart(&units) {
            let (low, high) = shares.between.unzip();
            found.push(vec![
                json!(tenant),
                json!(campaign),
                json!(shares.one),
                json!(shares.other),
                json!(shares.difference),
                json!(low),
                json!(high),
                json!(units.len()),
            ]);
        }
    }
    let all = found.len() as u64;
    found.truncate(limit as usize);
    let [one, other] = models.map(Model::as_str);
    let columns = vec![
        Column::text("tenant"),
        Column::text("campaign"),
        Column::share(one),
        Column::share(other),
        Column::share("difference"),
        Column::share("low"),
        Column::share("high"),
        Column::count("households"),
    ];
    Listing::of_all(columns, found, all, "further")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_a_tenant_and_few_households_have_no_interval() {
        let row = |tenant: &str, campaign: &str, unit: u64, one: i64, other: i64| {
            vec![
                json!(tenant),
                json!(campaign),
                json!(unit.to_string()),
                json!(one),
                json!(other),
            ]
        };
        let mut rows = vec![
            row("acme", "a", 1, 1_000_000, 500_000),
            row("acme", "b", 1, 0, 500_000),
            row("acme", "b", u64::MAX, 1_000_000, 1_000_000),
        ];
        rows.extend((0..40).map(|unit| row("beta", "a", unit, 1_000_000, 1_000_000)));
        let csv = listing(&rows, [Model::Last, Model::Linear], 9)
            .csv()
            .expect("it fits");
        let ought = "tenant,campaign,last,linear,difference,low,high,households\n\
            acme,a,0.5,0.25,0.25,,,2\n\
            acme,b,0.5,0.75,-0.25,,,2\n\
            beta,a,1,1,0,0,0,40\n";
        assert_eq!(csv, ought);
    }
}
