//! `hostread method`: the document of methodology that IAB asks publishers to keep, of a tenant as its pipeline counts, or of a
//! rule set and its lists.

use std::path::PathBuf;

use anyhow::{Result, bail};
use jiff::civil::Date;

use super::rules::ListArgs;
use crate::config::Config;
use crate::method::{self, Method};
use crate::rules::{load, today};
use crate::say;

/// Of what, and when it is audited.
#[derive(Debug, clap::Args)]
pub(crate) struct MethodArgs {
    /// Of this tenant, as the pipeline of the data folder counts
    #[arg(long, value_name = "NAME", conflicts_with_all = ["rules", "lists", "nonhuman_ranges", "catalog"])]
    tenant: Option<String>,
    /// Of this rule set, as `hostread count` counts: 2.1, 2.2 or 2.3 of IAB, or a file
    #[arg(long, value_name = "NAME|FILE")]
    rules: Option<String>,
    #[command(flatten)]
    lists: ListArgs,
    /// Episodes with sizes and bit rates, as JSON
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
    /// Days of the two self-audits a year, month and day
    #[arg(long, value_name = "MM-DD", num_args = 2, default_values = ["01-31", "07-31"])]
    audits: Vec<String>,
}

/// Prints the document.
pub(crate) fn run(config: Result<Config>, args: &MethodArgs) -> Result<bool> {
    let today = today();
    let audits = audits(&args.audits, today)?;
    let method = match (&args.tenant, &args.rules) {
        (Some(tenant), _) => method::tenant::read(&config?, tenant)?,
        (None, Some(rules)) => {
            let document = load(rules)?;
            let lists = args.lists.read()?;
            lists.check(&document)?;
            Method::of_document(&document, lists, args.catalog.as_deref(), today)?
        }
        (None, None) => bail!("--tenant NAME or --rules NAME|FILE says of what"),
    };
    say!("{}", method.page(today, &audits));
    Ok(true)
}

/// The next day of each, this year or the next.
fn audits(days: &[String], today: Date) -> Result<Vec<Date>> {
    let next = |day: &String| {
        // A leap year has every day.
        let valid = format!("2024-{day}").parse::<Date>().is_ok() && day.len() == 5;
        let years = today.year()..today.year().saturating_add(9);
        let mut dates = years.filter_map(|year| format!("{year:04}-{day}").parse::<Date>().ok());
        match dates.find(|date| *date >= today).filter(|_| valid) {
            Some(date) => Ok(date),
            None => bail!("--audits: \"{day}\" is no day such as 01-31"),
        }
    };
    let mut dates = days.iter().map(next).collect::<Result<Vec<Date>>>()?;
    dates.sort_unstable();
    Ok(dates)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;
    use jiff::civil::date;

    #[test]
    fn the_next_two_audits() {
        let of = |days: [&str; 2], today| audits(&days.map(str::to_owned), today);
        let today = date(2026, 11, 22);
        let next = of(["01-31", "07-31"], today).unwrap();
        assert_eq!(next, [date(2027, 1, 31), date(2027, 7, 31)]);
        let next = of(["11-22", "02-29"], today).unwrap();
        assert_eq!(next, [today, date(2028, 2, 29)]);
        assert!(of(["13-01", "01-31"], today).is_err());
        assert!(of(["1-1", "01-31"], today).is_err());
    }
}
