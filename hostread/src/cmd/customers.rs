//! `hostread report customers`: what was sold to customers who are new to a store and to those who are not, and what the new ones
//! cost.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use hostread_explain::{Bought, CustomersAsked, SoldTo};
use hostread_schemas::event::Model;
use jiff::civil::Date;
use serde_json::json;

use super::period::{People, PeriodArgs};
use super::report::databases_away;
use crate::config::Config;
use crate::listing::{Column, Listing};
use crate::parts::Targets;
use crate::report::Reader;
use crate::returns::{Line, Spend, rate};
use crate::sold;

/// Who divides, of when, and how long a customer is remembered.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CustomersArgs {
    /// Who divides a conversion
    #[arg(long, value_name = "MODEL", default_value = "linear", value_parser = crate::credits::model)]
    model: Model,
    /// A customer whose last conversion is longer ago than so many days is new again
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3650))]
    prior_days: u16,
    /// Also what line items cost in these months, and that by the new customers they brought
    #[arg(long, requires_all = ["from", "to"])]
    costs: bool,
    #[command(flatten)]
    period: PeriodArgs,
}

/// Reads, sums and prints.
pub(super) async fn run(config: &Config, args: CustomersArgs) -> Result<bool> {
    let period = args.period;
    let spend = if args.costs {
        Some(spend(config, &period).await?)
    } else {
        None
    };
    let asked = CustomersAsked {
        model: args.model,
        from: period.from(),
        to: period.to(),
        prior_days: args.prior_days,
    };
    let sold = period.ask(config, move |journal, tenant| {
        journal.customers(asked, tenant)
    });
    let sold = sold.await?;
    let held = sold.held_from.map(|day| {
        format!("Orders are held since {day}: who bought before that only is called new.")
    });
    let for_people = People {
        nothing: "No conversion is credited.",
        behind: held.into_iter().collect(),
        ..People::default()
    };
    let listing = match spend {
        Some(spend) => with_costs(&sold.rows, spend),
        None => sold::customers(&sold),
    };
    period.print(listing, &for_people)?;
    Ok(true)
}

/// The bills of the months of a period.
async fn spend(config: &Config, period: &PeriodArgs) -> Result<Vec<Spend>> {
    let (Some(from), Some(to)) = (period.from, period.to) else {
        anyhow::bail!("costs are of a period: say --from and --to");
    };
    whole_months(from, to)?;
    let targets = Targets::find(config)?;
    let reader = Reader::new(targets.clickhouse, &targets.postgres.url_sink);
    let spend = async {
        reader
            .await?
            .spend(period.tenant.as_deref(), None, Some((from, to)))
            .await
    };
    spend.await.with_context(|| databases_away(config))
}

/// Bills are of months.
fn whole_months(from: Date, to: Date) -> Result<()> {
    ensure!(
        from == from.first_of_month() && to == to.last_of_month(),
        "line items are billed by the month: ask for costs from the first day of a month to the last of one, not {from} to {to}"
    );
    Ok(())
}

/// What a line item cost and brought in a currency, in millionths.
#[derive(Debug, Default)]
struct Sums {
    spend: i64,
    credit: BTreeMap<Bought, i64>,
}

/// A row for each line item and currency.
fn with_costs(sold: &[SoldTo], spend: Vec<Spend>) -> Listing {
    let mut lines: BTreeMap<Line, BTreeMap<String, Sums>> = BTreeMap::new();
    for (line, currency, micros) in spend {
        let sums = lines.entry(line).or_default().entry(currency).or_default();
        sums.spend += micros;
    }
    for it in sold {
        let line = lines.entry((it.tenant.clone(), it.line.clone()));
        let sums = line.or_default().entry(it.currency.as_str().to_owned());
        *sums.or_default().credit.entry(it.customers).or_default() += it.credit;
    }
    let mut rows = Vec::new();
    for (line, currencies) in &lines {
        // What was spent in one currency also won customers who paid in another.
        let won: i64 = currencies.values().map(|sums| sums.of(Bought::New)).sum();
        rows.extend(currencies.iter().map(|(currency, sums)| {
            let cost = (sums.spend != 0).then(|| rate(sums.spend, won)).flatten();
            vec![
                json!(line.0),
                json!(line.1),
                json!(currency),
                json!(sums.spend),
                json!(sums.of(Bought::New)),
                json!(sums.of(Bought::Returning)),
                json!(sums.of(Bought::NotKnown)),
                json!(cost),
            ]
        }));
    }
    let columns = vec![
        Column::text("tenant"),
        Column::text("line"),
        Column::text("currency"),
        Column::micros("spend"),
        Column::micros("new"),
        Column::micros("returning"),
        Column::micros("not known"),
        Column::micros("cost per new customer"),
    ];
    Listing::whole(columns, rows)
}

impl Sums {
    fn of(&self, customers: Bought) -> i64 {
        self.credit.get(&customers).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use hostread_schemas::Currency;

    use super::*;

    fn sold(currency: &str, customers: Bought, credit: i64) -> SoldTo {
        SoldTo {
            tenant: "acme".to_owned(),
            campaign: "c1".to_owned(),
            line: "l1".to_owned(),
            currency: Currency::parse(currency).expect("a currency"),
            customers,
            conversions: 3,
            credit,
            money: 0,
        }
    }

    #[test]
    fn a_new_customer_costs_what_was_spent_by_how_many_are_new() {
        let sold = [
            sold("EUR", Bought::New, 1_500_000),
            sold("EUR", Bought::Returning, 700_000),
            sold("EUR", Bought::NotKnown, 100_000),
            sold("USD", Bought::New, 500_000),
        ];
        let spend = |line: &str| {
            let line = ("acme".to_owned(), line.to_owned());
            (line, "EUR".to_owned(), 120_000_000)
        };
        let csv = with_costs(&sold, vec![spend("l1"), spend("l2")]).csv();
        let ought = "tenant,line,currency,spend,new,returning,not known,cost per new customer\n\
            acme,l1,EUR,120,1.5,0.7,0.1,60\n\
            acme,l1,USD,0,0.5,0,0,\n\
            acme,l2,EUR,120,0,0,0,\n";
        assert_eq!(csv.expect("it fits"), ought);
    }

    #[test]
    fn costs_are_of_whole_months() {
        let day = |text: &str| text.parse::<Date>().expect("a day");
        assert!(whole_months(day("2026-02-01"), day("2026-03-31")).is_ok());
        for (from, to) in [("2026-02-02", "2026-03-31"), ("2026-02-01", "2026-03-30")] {
            let why = whole_months(day(from), day(to)).expect_err("half a month");
            assert!(why.to_string().contains(to), "{why}");
        }
    }
}
