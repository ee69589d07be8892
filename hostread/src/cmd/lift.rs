//! `hostread report lift`: how many more of those who heard a campaign converted than of those like them who did not.

use std::io::{self, Write as _};

use anyhow::Result;
use hostread_explain::{Design, LiftAsked, Lifted, Lifts};
use hostread_models::bootstrap::UNITS_MIN;
use hostread_models::lift::{CONVERTED_MIN, drawn_as_said};

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
    /// Compare with those whom an ad server held out by a draw: impressions of the kind `control_exposure`
    #[arg(long)]
    randomised: bool,
    /// How many of a hundred were to be held out: a draw that was another is told, and ends with 1
    #[arg(long, value_name = "PERCENT", requires = "randomised", value_parser = clap::value_parser!(u8).range(1..=99))]
    held_out: Option<u8>,
    #[command(flatten)]
    period: PeriodArgs,
}

/// Reads, compares and prints; false: a draw is not as it was said to be.
pub(super) async fn run(config: &Config, args: LiftArgs) -> Result<bool> {
    let period = args.period;
    let design = if args.randomised {
        Design::Randomised
    } else {
        Design::Observational
    };
    let asked = LiftAsked {
        from: period.from(),
        to: period.to(),
        window_days: args.within,
        campaign: args.campaign,
        design,
    };
    let compared = period.ask(config, move |journal, tenant| journal.lifts(&asked, tenant));
    let lifts = compared.await?;
    let for_people = People {
        before: before(&lifts),
        left_out: &["from", "to", "design", "exposed"],
        nothing: match design {
            Design::Observational => "Nobody heard a campaign first then.",
            Design::Randomised => "Nobody was held out of a campaign then.",
        },
        behind: untold(&lifts).into_iter().collect(),
    };
    period.print(listing(&lifts), &for_people)?;
    let Some(percent) = args.held_out else {
        return Ok(true);
    };
    let doubtful: Vec<String> = lifts
        .rows
        .iter()
        .filter_map(|row| doubt(row, percent))
        .collect();
    for line in &doubtful {
        writeln!(io::stderr(), "{line}")?;
    }
    Ok(doubtful.is_empty())
}

/// Who is compared with whom.
fn before(lifts: &Lifts) -> Vec<String> {
    let (from, to) = (&lifts.from, &lifts.to);
    match lifts.design {
        Design::Observational => vec![
            format!(
                "Households that heard a campaign first from {from} to {to} in UTC, and households like them that"
            ),
            "had not: how many converted. Observational: what nobody recorded may differ."
                .to_owned(),
        ],
        Design::Randomised => vec![
            format!(
                "Households that could first hear a campaign from {from} to {to} in UTC: those that heard it, and those"
            ),
            "that a draw held out: how many converted. Randomised: what differs is the ad, or chance."
                .to_owned(),
        ],
    }
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

/// What is wrong with a draw.
fn doubt(row: &Lifted, percent: u8) -> Option<String> {
    let (held_out, all) = (row.lift.controls, row.lift.compared + row.lift.controls);
    (!drawn_as_said(held_out, all, percent)).then(|| {
        format!(
            "{}: {held_out} of {all} households were held out, and {percent} of 100 were to be: one draw of a thousand is as far off. \
             Do not trust its lift before you know why",
            row.campaign
        )
    })
}
