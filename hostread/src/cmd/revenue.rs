//! `hostread report revenue`: what campaigns brought, with refunds on their own day or on that of the sale.

use anyhow::Result;
use hostread_explain::{Refunds, RevenueAsked};
use hostread_schemas::event::Model;

use super::period::{People, PeriodArgs};
use crate::config::Config;
use crate::revenue::{Span, listing};

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
    #[command(flatten)]
    period: PeriodArgs,
}

/// Reads, books and prints.
pub(super) async fn run(config: &Config, args: RevenueArgs) -> Result<bool> {
    let period = args.period;
    let asked = RevenueAsked {
        model: args.model,
        refunds: match args.refunds_on {
            On::Refund => Refunds::OfRefund,
            On::Sale => Refunds::OfSale,
        },
        from: period.from(),
        to: period.to(),
    };
    let booked = period.ask(config, move |journal, tenant| {
        journal.revenue(asked, tenant)
    });
    let for_people = People {
        nothing: "No conversion is credited.",
        ..People::default()
    };
    period.print(listing(&booked.await?, args.by), &for_people)?;
    Ok(true)
}
