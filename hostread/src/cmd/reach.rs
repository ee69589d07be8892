//! `hostread report reach` and `funnel`: whom ads reached in a period and how far they went, by the journal on this machine.

use std::io::Write as _;
use std::sync::Arc;

use anyhow::Result;
use hostread_explain::{Reach, ReachAsked, ReachBy, Reached};
use hostread_schemas::Day;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::SheetFormat as Format;
use super::explain::no_answer;
use crate::config::Config;
use crate::explain::Explainer;
use crate::listing::{Column, Listing};
use crate::say;

/// Whose reach, and in which days.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ReachArgs {
    /// Of each of these
    #[arg(long, value_enum, default_value_t = By::Campaign)]
    by: By,
    /// Only of this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// First day of the period, in UTC [default: the first whose requests are there]
    #[arg(long, value_name = "DAY")]
    from: Option<Date>,
    /// Last day of the period [default: today]
    #[arg(long, value_name = "DAY")]
    to: Option<Date>,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum By {
    Campaign,
    Line,
    Show,
}

impl By {
    const fn parts(self) -> (ReachBy, &'static str) {
        match self {
            Self::Campaign => (ReachBy::Campaign, "campaign"),
            Self::Line => (ReachBy::Line, "line"),
            Self::Show => (ReachBy::Show, "show"),
        }
    }
}

/// What is printed of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shown {
    /// A row for each campaign, line item or show.
    Reach,
    /// A row for each step of it.
    Funnel,
}

/// Reads, counts and prints.
pub(super) async fn run(config: &Config, args: ReachArgs, shown: Shown) -> Result<bool> {
    let explainer = Arc::new(Explainer::new(config, None)?);
    let (by, name) = args.by.parts();
    let asked = ReachAsked {
        by,
        from: args.from.map(Day::from_date),
        to: args.to.map(Day::from_date),
    };
    let tenant = args.tenant;
    let counted = tokio::task::spawn_blocking(move || explainer.reach(asked, tenant.as_deref()));
    let reach = counted.await?.map_err(|why| no_answer(why, config))?;
    let mut listing = match shown {
        Shown::Reach => listing(&reach, name),
        Shown::Funnel => funnel(&reach, name),
    };
    match args.format {
        Format::Table => {
            say!("Ads from {} to {} in UTC.", reach.from, reach.to);
            listing.leave_out(&["from", "to"]);
            say!("{}", listing.render("No ad was delivered."));
        }
        Format::Json => listing.objects().iter().for_each(|line| say!("{line}")),
        Format::Csv => write!(std::io::stdout(), "{}", listing.csv()?).unwrap_or_default(),
    }
    Ok(true)
}

fn listing(reach: &Reach, by: &'static str) -> Listing {
    let columns = vec![
        Column::text("tenant"),
        Column::text(by),
        Column::text("from"),
        Column::text("to"),
        Column::count("ads"),
        Column::count("listeners"),
        Column::micros("frequency"),
        Column::share("usable"),
        Column::count("households"),
        Column::count("responses"),
        Column::share("response rate"),
    ];
    let row = |it: &Reached| -> Vec<Value> {
        vec![
            json!(it.tenant),
            json!(it.of),
            json!(reach.from),
            json!(reach.to),
            json!(it.ads),
            json!(it.listeners),
            per(it.ads, it.listeners),
            per(it.usable_ads, it.ads),
            json!(it.households),
            json!(it.responses),
            per(it.responses, it.households),
        ]
    };
    Listing::whole(columns, reach.rows.iter().map(row).collect())
}

/// From the households that usable ads reached to those that bought.
fn funnel(reach: &Reach, by: &'static str) -> Listing {
    let columns = vec![
        Column::text("tenant"),
        Column::text(by),
        Column::text("from"),
        Column::text("to"),
        Column::text("step"),
        Column::count("households"),
        Column::count("lost"),
        Column::share("of the step before"),
        Column::share("of reached"),
    ];
    let mut rows = Vec::new();
    for it in &reach.rows {
        let steps = [
            ("reached", it.households),
            ("visited", it.visitors),
            ("cart", it.carts),
            ("converted", it.responses),
        ];
        let before = std::iter::once(it.households).chain(steps.map(|(_, count)| count));
        for ((step, count), before) in steps.into_iter().zip(before) {
            rows.push(vec![
                json!(it.tenant),
                json!(it.of),
                json!(reach.from),
                json!(reach.to),
                json!(step),
                json!(count),
                json!(before.saturating_sub(count)),
                per(count, before),
                per(count, it.households),
            ]);
        }
    }
    Listing::whole(columns, rows)
}

/// Millionths, rounded once, halves up; nothing of nothing.
fn per(part: u64, whole: u64) -> Value {
    let twice = u128::from(whole) * 2;
    let part = u128::from(part) * 2_000_000 + u128::from(whole);
    part.checked_div(twice).map_or(Value::Null, |micros| {
        json!(u64::try_from(micros).unwrap_or(u64::MAX))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_rounded_once() {
        assert_eq!(per(1, 3), json!(333_333));
        assert_eq!(per(2, 3), json!(666_667));
        assert_eq!(per(7, 2), json!(3_500_000));
        assert_eq!(per(0, 5), json!(0));
        assert_eq!(per(0, 0), Value::Null);
    }
}
