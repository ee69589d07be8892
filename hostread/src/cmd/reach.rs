//! `hostread report reach` and `funnel`: whom ads reached in a period and how far they went, by the journal on this machine.

use std::io::Write as _;
use std::sync::Arc;

use anyhow::Result;
use hostread_explain::ReachAsked;
use hostread_schemas::Day;
use jiff::civil::Date;

use super::SheetFormat as Format;
use super::explain::no_answer;
use crate::config::Config;
use crate::credits::Spot;
use crate::explain::Explainer;
use crate::reach::{Shown, by, listing};
use crate::say;

/// Whose reach, and in which days.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ReachArgs {
    /// Of each of these
    #[arg(long, value_enum, default_value_t = Spot::Campaign)]
    by: Spot,
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

/// Reads, counts and prints.
pub(super) async fn run(config: &Config, args: ReachArgs, shown: Shown) -> Result<bool> {
    let explainer = Arc::new(Explainer::new(config, None)?);
    let asked = ReachAsked {
        by: by(args.by),
        from: args.from.map(Day::from_date),
        to: args.to.map(Day::from_date),
    };
    let tenant = args.tenant;
    let counted = tokio::task::spawn_blocking(move || explainer.reach(asked, tenant.as_deref()));
    let reach = counted.await?.map_err(|why| no_answer(why, config))?;
    let mut listing = listing(&reach, args.by, shown);
    match args.format {
        Format::Table => {
            say!("Ads from {} to {} in UTC.", reach.from, reach.to);
            listing.leave_out(&["from", "to", "by chance"]);
            say!("{}", listing.render("No ad was delivered."));
        }
        Format::Json => listing.objects().iter().for_each(|line| say!("{line}")),
        Format::Csv => write!(std::io::stdout(), "{}", listing.csv()?).unwrap_or_default(),
    }
    Ok(true)
}
