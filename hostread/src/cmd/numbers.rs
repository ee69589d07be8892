//! Numbers of conversions for `hostread report`: what is asked, of which conversions.

use anyhow::Result;
use hostread_schemas::event::Model;

use super::SheetFormat as Format;
use crate::credits::{By, Question, Spot, Which};

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
    Touchpoints(PathsArgs),
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
    /// The first so many rows
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// What is asked.
pub(super) struct Asked {
    pub(super) question: Question,
    pub(super) which: Which,
    /// What to say when there is nothing.
    pub(super) nothing: &'static str,
    pub(super) format: Format,
}

const NO_CONVERSION: &str = "There is no conversion.";
const NO_TOUCH: &str = "No conversion has a touch on its path.";

impl NumbersCommand {
    /// # Errors
    /// When what is asked does not add up.
    pub(super) fn asked(self) -> Result<Asked> {
        let mut campaign = None;
        let (question, conversions, nothing) = match self {
            Self::Attribution(args) => {
                let question =
                    Question::credits(args.by, args.model).map_err(anyhow::Error::msg)?;
                campaign = args.campaign;
                (question, args.conversions, "No conversion is credited.")
            }
            Self::Codes(args) => (Question::Codes, args, "No conversion has a code."),
            Self::Paths(args) => (Question::Paths(args.by), args.conversions, NO_TOUCH),
            Self::PathLengths(args) => (Question::PathLengths, args, NO_CONVERSION),
            Self::Touchpoints(args) => (Question::Touchpoints(args.by), args.conversions, NO_TOUCH),
            Self::TimeLags(args) => (Question::TimeLags, args, NO_TOUCH),
            Self::Lookbacks(args) => (Question::Lookbacks, args, NO_TOUCH),
            Self::Overlaps(args) => {
                let nothing = "No conversion has two campaigns on its path.";
                (Question::Overlaps, args, nothing)
            }
        };
        let which = Which {
            tenant: conversions.tenant,
            campaign,
            from: conversions.from,
            to: conversions.to,
            limit: conversions.limit,
            after: None,
        };
        Ok(Asked {
            question,
            which,
            nothing,
            format: conversions.format,
        })
    }
}
