//! `hostread report lift`: how many more of those who heard a campaign converted than of those like them who did not.

use std::io::Write as _;
use std::sync::Arc;

use anyhow::Result;
use hostread_explain::{LiftAsked, Lifted, Lifts};
use hostread_models::bootstrap::UNITS_MIN;
use hostread_models::lift::CONVERTED_MIN;
use hostread_schemas::Day;
use jiff::civil::Date;

use super::SheetFormat as Format;
use super::explain::no_answer;
use crate::config::Config;
use crate::explain::Explainer;
use crate::lift::listing;
use crate::say;

/// Whose lift, and of when.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LiftArgs {
    /// Only of this campaign
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    /// Only of this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// First day on which a first ad counts, in UTC [default: the first whose requests are there]
    #[arg(long, value_name = "DAY")]
    from: Option<Date>,
    /// Last such day [default: today]
    #[arg(long, value_name = "DAY")]
    to: Option<Date>,
    /// Days within which a conversion may follow [default: the tenant's lookback]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=90))]
    within: Option<u16>,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Reads, compares and prints.
pub(super) async fn run(config: &Config, args: LiftArgs) -> Result<bool> {
    let explainer = Arc::new(Explainer::new(config, None)?);
    let asked = LiftAsked {
        from: args.from.map(Day::from_date),
        to: args.to.map(Day::from_date),
        window_days: args.within,
        campaign: args.campaign,
    };
    let tenant = args.tenant;
    let compared = tokio::task::spawn_blocking(move || explainer.lifts(&asked, tenant.as_deref()));
    let lifts = compared.await?.map_err(|why| no_answer(why, config))?;
    let mut listing = listing(&lifts);
    match args.format {
        Format::Table => {
            listing.leave_out(&["from", "to", "exposed"]);
            let from_to = format!("from {} to {} in UTC", lifts.from, lifts.to);
            say!("Households that heard a campaign first {from_to}, and households like them that");
            say!("had not: how many converted. Observational: what nobody recorded may differ.");
            say!("{}", listing.render("Nobody heard a campaign first then."));
            say_untold(&lifts);
        }
        Format::Json => listing.objects().iter().for_each(|line| say!("{line}")),
        Format::Csv => write!(std::io::stdout(), "{}", listing.csv()?).unwrap_or_default(),
    }
    Ok(true)
}

/// Why some have none.
fn say_untold(lifts: &Lifts) {
    let untold = |row: &Lifted| row.lift.after.is_none() || row.lift.before.is_none();
    if lifts.rows.iter().any(untold) {
        say!(
            "No lift is told of fewer than {UNITS_MIN} households, or {CONVERTED_MIN} that converted, on either side."
        );
    }
}
