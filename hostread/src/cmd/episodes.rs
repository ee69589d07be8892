//! `hostread report episodes`: which episodes sold, by what the touches in them are credited with.

use anyhow::Result;
use hostread_explain::EpisodesAsked;
use hostread_schemas::event::Model;

use super::period::{People, PeriodArgs};
use crate::config::Config;
use crate::sold;

/// Whose episodes, of when, and who divides.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct EpisodesArgs {
    /// Who divides a conversion
    #[arg(long, value_name = "MODEL", default_value = "linear", value_parser = crate::credits::model)]
    model: Model,
    /// Only of this campaign
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    #[command(flatten)]
    period: PeriodArgs,
}

/// Reads, sums and prints.
pub(super) async fn run(config: &Config, args: EpisodesArgs) -> Result<bool> {
    let period = args.period;
    let asked = EpisodesAsked {
        model: args.model,
        from: period.from(),
        to: period.to(),
        campaign: args.campaign,
    };
    let sold = period.ask(config, move |journal, tenant| {
        journal.episodes(&asked, tenant)
    });
    let for_people = People {
        nothing: "No conversion is credited.",
        ..People::default()
    };
    period.print(sold::episodes(&sold.await?), &for_people)?;
    Ok(true)
}
