//! What reports that are counted from the journal have in common: whose, of which days, and how they are printed.

use std::io::Write as _;
use std::sync::Arc;

use anyhow::Result;
use hostread_schemas::Day;
use jiff::civil::Date;

use super::SheetFormat as Format;
use super::explain::no_answer;
use crate::config::Config;
use crate::explain::{Explainer, NoAnswer};
use crate::listing::Listing;
use crate::say;

/// Whose, and of which days.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct PeriodArgs {
    /// Only of this tenant
    #[arg(long, value_name = "NAME")]
    pub(super) tenant: Option<String>,
    /// First day of the period, in UTC [default: the first that is still there]
    #[arg(long, value_name = "DAY")]
    pub(super) from: Option<Date>,
    /// Last day of the period [default: today]
    #[arg(long, value_name = "DAY")]
    pub(super) to: Option<Date>,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

impl PeriodArgs {
    pub(super) fn from(&self) -> Option<Day> {
        self.from.map(Day::from_date)
    }

    pub(super) fn to(&self) -> Option<Day> {
        self.to.map(Day::from_date)
    }

    /// Asks the journal, off the threads that others wait on.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        config: &Config,
        ask: impl FnOnce(&Explainer, Option<&str>) -> Result<T, NoAnswer> + Send + 'static,
    ) -> Result<T> {
        let explainer = Arc::new(Explainer::new(config, None)?);
        let tenant = self.tenant.clone();
        let asked = tokio::task::spawn_blocking(move || ask(&explainer, tenant.as_deref()));
        asked.await?.map_err(|why| no_answer(why, config))
    }

    /// Prints the rows; people get what is before and behind them, and not the columns that are left out for them.
    pub(super) fn print(&self, mut listing: Listing, for_people: &People<'_>) -> Result<()> {
        match self.format {
            Format::Table => {
                for_people.before.iter().for_each(|line| say!("{line}"));
                listing.leave_out(for_people.left_out);
                say!("{}", listing.render(for_people.nothing));
                for_people.behind.iter().for_each(|line| say!("{line}"));
            }
            Format::Json => listing.objects().iter().for_each(|line| say!("{line}")),
            Format::Csv => write!(std::io::stdout(), "{}", listing.csv()?).unwrap_or_default(),
        }
        Ok(())
    }
}

/// What a table for people has besides its rows.
#[derive(Default)]
pub(super) struct People<'a> {
    pub(super) before: Vec<String>,
    pub(super) left_out: &'a [&'a str],
    /// Instead of no rows.
    pub(super) nothing: &'a str,
    pub(super) behind: Vec<String>,
}
