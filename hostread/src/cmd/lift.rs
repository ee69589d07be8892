//! `hostread report lift`: how many more of those who heard a campaign converted than of those like them who did not.

use anyhow::Result;
use hostread_explain::{LiftAsked, Lifted, Lifts};
use hostread_models::bootstrap::UNITS_MIN;
use hostread_models::lift::CONVERTED_MIN;

use super::period::{People, PeriodArgs};
use crate::config::Config;
use crate::lift::listing;

/// Whose lift, and of when.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LiftArgs {
    /// Only of this campaign
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    /// Days within which a conversion may follow [default: the tenant's lookback]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=90))]
    within: Option<u16>,
    #[command(flatten)]
    period: PeriodArgs,
}

/// Reads, compares and prints.
pub(super) async fn run(config: &Config, args: LiftArgs) -> Result<bool> {
    let period = args.period;
    let asked = LiftAsked {
        from: period.from(),
        to: period.to(),
        window_days: args.within,
        campaign: args.campaign,
    };
    let compared = period.ask(config, move |journal, tenant| journal.lifts(&asked, tenant));
    let lifts = compared.await?;
    let for_people = People {
        before: vec![
            format!(
                "Households that heard a campaign first from {} to {} in UTC, and households like them that",
                lifts.from, lifts.to
            ),
            "had not: how many converted. Observational: what nobody recorded may differ."
                .to_owned(),
        ],
        left_out: &["from", "to", "exposed"],
        nothing: "Nobody heard a campaign first then.",
        behind: untold(&lifts).into_iter().collect(),
    };
    period.print(listing(&lifts), &for_people)?;
    Ok(true)
}

/// Why some have none.
fn untold(lifts: &Lifts) -> Option<String> {
    let untold = |row: &Lifted| row.lift.after.is_none() || row.lift.before.is_none();
    lifts.rows.iter().any(untold).then(|| {
        format!(
            "No lift is told of fewer than {UNITS_MIN} households, or {CONVERTED_MIN} that converted, on either side."
        )
    })
}
