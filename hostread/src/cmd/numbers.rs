//! Numbers of conversions for `hostread report`: what is asked, of which conversions.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use hostread_schemas::event::Model;

use super::SheetFormat as Format;
use crate::credits::{By, Question, Spot, Which};
use crate::listing::{Listing, exact};

/// What to report of conversions.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum NumbersCommand {
    /// Credits and money by campaign, line item, show, day or month, under each model
    Attribution(AttributionArgs),
    /// Promo codes: their redemptions, how many were matched, what they were worth
    Codes(ConversionsArgs),
    /// Conversions by the path that led to them, the most frequent first
    Paths(PathsArgs),
    /// Conversions by the number of touches on their path
    PathLengths(ConversionsArgs),
    /// How often each campaign, line item or show is on a path: at all, first, last, alone
    Touchpoints(TouchesArgs),
    /// Conversions by whole days since their first touch, and since their last
    TimeLags(ConversionsArgs),
    /// Conversions that shorter lookbacks would match
    Lookbacks(ConversionsArgs),
    /// Conversions that two campaigns have touched
    Overlaps(ConversionsArgs),
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct AttributionArgs {
    /// What to sum by, joined by commas
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "campaign,model",
        hide_possible_values = true,
        value_name = "campaign,line,show,day,month,model"
    )]
    by: Vec<By>,
    /// Only under this model
    #[arg(long, value_name = "MODEL", value_parser = crate::credits::model)]
    model: Option<Model>,
    /// Only of this campaign
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    #[command(flatten)]
    conversions: ConversionsArgs,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct PathsArgs {
    /// Print a file for `hostread attribute --paths`: path, conversions, value; of one tenant and one currency
    #[arg(long, conflicts_with = "format")]
    journeys: bool,
    #[command(flatten)]
    touches: TouchesArgs,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct TouchesArgs {
    /// What a touch is called by
    #[arg(long, value_enum, default_value_t = Spot::Campaign)]
    by: Spot,
    #[command(flatten)]
    conversions: ConversionsArgs,
}

/// Which conversions, and how to print them.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ConversionsArgs {
    /// Only of this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Only conversions of this UTC day or later
    #[arg(long, value_name = "DAY")]
    from: Option<jiff::civil::Date>,
    /// Only conversions of this UTC day or earlier
    #[arg(long, value_name = "DAY")]
    to: Option<jiff::civil::Date>,
    /// Only in this currency
    #[arg(long, value_name = "ISO 4217")]
    currency: Option<String>,
    /// The first so many rows
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
}

impl ConversionsArgs {
    pub(super) fn which(self) -> Which {
        Which {
            tenant: self.tenant,
            currency: self.currency,
            from: self.from,
            to: self.to,
            limit: self.limit,
            ..Which::default()
        }
    }
}

/// What is asked.
pub(super) struct Asked {
    pub(super) question: Question,
    pub(super) which: Which,
    /// What to say when there is nothing.
    pub(super) nothing: &'static str,
    pub(super) format: Format,
    /// Not in that format, but as `journeys` writes it.
    pub(super) journeys: bool,
}

const NO_CONVERSION: &str = "There is no conversion.";
const NO_TOUCH: &str = "No conversion has a touch on its path.";

impl NumbersCommand {
    /// # Errors
    /// When what is asked does not add up.
    pub(super) fn asked(self) -> Result<Asked> {
        let (mut campaign, mut as_journeys) = (None, false);
        let (question, conversions, nothing) = match self {
            Self::Attribution(args) => {
                let question =
                    Question::credits(args.by, args.model).map_err(anyhow::Error::msg)?;
                campaign = args.campaign;
                (question, args.conversions, "No conversion is credited.")
            }
            Self::Codes(args) => (Question::Codes, args, "No conversion has a code."),
            Self::Paths(args) => {
                as_journeys = args.journeys;
                let touches = args.touches;
                (Question::Paths(touches.by), touches.conversions, NO_TOUCH)
            }
            Self::PathLengths(args) => (Question::PathLengths, args, NO_CONVERSION),
            Self::Touchpoints(args) => (Question::Touchpoints(args.by), args.conversions, NO_TOUCH),
            Self::TimeLags(args) => (Question::TimeLags, args, NO_TOUCH),
            Self::Lookbacks(args) => (Question::Lookbacks, args, NO_TOUCH),
            Self::Overlaps(args) => {
                let nothing = "No conversion has two campaigns on its path.";
                (Question::Overlaps, args, nothing)
            }
        };
        let format = conversions.format;
        let which = Which {
            campaign,
            ..conversions.which()
        };
        Ok(Asked {
            question,
            which,
            nothing,
            format,
            journeys: as_journeys,
        })
    }
}

/// Paths as `hostread attribute` reads them.
///
/// # Errors
/// When they do not add up, or are not all.
pub(super) fn journeys(paths: &Listing) -> Result<String> {
    if paths.more() > 0 {
        bail!("there are {} paths more: raise --limit", paths.more());
    }
    let rows = paths.objects();
    for (column, option) in [("tenant", "--tenant"), ("currency", "--currency")] {
        let all: BTreeSet<&str> = rows.iter().filter_map(|row| row[column].as_str()).collect();
        if all.len() > 1 {
            let all: Vec<&str> = all.into_iter().collect();
            bail!(
                "these do not add up: name one with {option}, of {}",
                all.join(", ")
            );
        }
    }
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(["path", "conversions", "value"])?;
    for row in &rows {
        let value = exact(row["value_micros"].as_i64().unwrap_or(0));
        let path = row["path"].as_str().unwrap_or_default();
        csv.write_record([path, &row["conversions"].to_string(), &value])?;
    }
    Ok(String::from_utf8(csv.into_inner()?)?)
}
