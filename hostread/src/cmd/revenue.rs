//! `hostread report revenue`: what campaigns brought, with refunds on their own day or on that of the sale.

use std::io::Write as _;
use std::sync::Arc;

use anyhow::Result;
use hostread_explain::{Refunds, RevenueAsked};
use hostread_schemas::Day;
use hostread_schemas::event::Model;
use jiff::civil::Date;

use super::SheetFormat as Format;
use super::explain::no_answer;
use crate::config::Config;
use crate::explain::Explainer;
use crate::revenue::{Span, listing};
use crate::say;

/// On which day a refund is booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum On {
    /// Its own
    Refund,
    /// That of the sale
    Sale,
}

/// What to book, and where.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RevenueArgs {
    /// The day on which refunds are booked
    #[arg(long, value_enum, default_value_t = On::Refund)]
    refunds_on: On,
    /// Sum by
    #[arg(long, value_enum, default_value_t = Span::Day)]
    by: Span,
    /// Who divides a conversion
    #[arg(long, value_name = "MODEL", default_value = "linear", value_parser = crate::credits::model)]
    model: Model,
    /// Only of this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Only of this UTC day or later [default: the first whose conversions are there]
    #[arg(long, value_name = "DAY")]
    from: Option<Date>,
    /// Only of this UTC day or earlier [default: today]
    #[arg(long, value_name = "DAY")]
    to: Option<Date>,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Reads, books and prints.
pub(super) async fn run(config: &Config, args: RevenueArgs) -> Result<bool> {
    let explainer = Arc::new(Explainer::new(config, None)?);
    let asked = RevenueAsked {
        model: args.model,
        refunds: match args.refunds_on {
            On::Refund => Refunds::OfRefund,
            On::Sale => Refunds::OfSale,
        },
        from: args.from.map(Day::from_date),
        to: args.to.map(Day::from_date),
    };
    let tenant = args.tenant;
    let booked = tokio::task::spawn_blocking(move || explainer.revenue(asked, tenant.as_deref()));
    let revenue = booked.await?.map_err(|why| no_answer(why, config))?;
    let listing = listing(&revenue, args.by);
    match args.format {
        Format::Table => say!("{}", listing.render("No conversion is credited.")),
        Format::Json => listing.objects().iter().for_each(|line| say!("{line}")),
        Format::Csv => write!(std::io::stdout(), "{}", listing.csv()?).unwrap_or_default(),
    }
    Ok(true)
}
