//! `hostread report reach` and `funnel`: whom ads reached in a period and how far they went, by the journal on this machine.

use anyhow::Result;
use hostread_explain::ReachAsked;

use super::period::{People, PeriodArgs};
use crate::config::Config;
use crate::credits::Spot;
use crate::reach::{Shown, by, listing};

/// Whose reach, and in which days.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ReachArgs {
    /// Of each of these
    #[arg(long, value_enum, default_value_t = Spot::Campaign)]
    by: Spot,
    #[command(flatten)]
    period: PeriodArgs,
}

/// Reads, counts and prints.
pub(super) async fn run(config: &Config, args: ReachArgs, shown: Shown) -> Result<bool> {
    let period = args.period;
    let asked = ReachAsked {
        by: by(args.by),
        from: period.from(),
        to: period.to(),
    };
    let counted = period.ask(config, move |journal, tenant| journal.reach(asked, tenant));
    let reach = counted.await?;
    let for_people = People {
        before: vec![format!("Ads from {} to {} in UTC.", reach.from, reach.to)],
        left_out: &["from", "to", "by chance"],
        nothing: "No ad was delivered.",
        ..People::default()
    };
    period.print(listing(&reach, args.by, shown), &for_people)?;
    Ok(true)
}
