//! `hostread report`: the demo's report, of a system that runs, and the ledgers as people read them.

use std::io::Write as _;

use anyhow::{Context, Result};
use hostread_schemas::event::Model;

use super::SheetFormat as Format;
use super::customers::{self, CustomersArgs};
use super::episodes::{self, EpisodesArgs};
use super::lift::{self, LiftArgs};
use super::numbers::{ConversionsArgs, NumbersCommand, journeys};
use super::reach::{self, ReachArgs};
use super::revenue::{self, RevenueArgs};
use crate::config::Config;
use crate::ledgers::Wanted;
use crate::parts::Targets;
use crate::reach::Shown;
use crate::report::{Reader, grouped};
use crate::returns::Returns;
use crate::say;
use crate::tables::{int, text};

/// What to report.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ReportArgs {
    #[command(subcommand)]
    command: Option<ReportCommand>,
}

/// Without one of these: all numbers.
#[derive(Debug, Clone, clap::Subcommand)]
enum ReportCommand {
    #[command(flatten)]
    Stored(StoredCommand),
    /// Whom ads reached in a period: listeners, households, how often, and how many of those bought
    Reach(ReachArgs),
    /// How far the households went that ads of a period reached: to the shop, to a cart, to a conversion
    Funnel(ReachArgs),
    /// How many more of those who heard a campaign converted than of those like them who did not
    Lift(LiftArgs),
    /// What was sold to new and to returning customers, by line item
    Customers(CustomersArgs),
    /// Which episodes sold: what the touches in them are credited with, by campaign
    Episodes(EpisodesArgs),
    /// What campaigns brought day by day, with refunds on their own day or on that of the sale
    Revenue(RevenueArgs),
}

/// What the databases know.
#[derive(Debug, Clone, clap::Subcommand)]
enum StoredCommand {
    /// Published numbers that moved: what, from where to where, and why
    Restatements(RestatementsArgs),
    /// What came after its day was sealed, and was not applied
    Late(ListArgs),
    /// The numbers of a day, as they are or beside what was published
    Day(DayArgs),
    /// What line items cost, what they brought under each model, and one by the other
    Returns(ReturnsArgs),
    /// Hours in which a promo code was used by far more people whom no ad reached than before
    Leaks(ConversionsArgs),
    /// How far two models differ in what they give to each campaign, and how much of it may be chance
    Models(ModelsArgs),
    #[command(flatten)]
    Numbers(NumbersCommand),
}

/// Which rows, and how.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ListArgs {
    /// Only of this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Only of this view, such as downloads_daily
    #[arg(long, value_name = "NAME")]
    view: Option<String>,
    /// The newest so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RestatementsArgs {
    /// Only what this event or batch moved
    #[arg(long, value_name = "ID")]
    cause: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DayArgs {
    /// Which, such as 2026-03-14
    day: jiff::civil::Date,
    /// Also as they were published, what moved them since, and what came after the seal
    #[arg(long)]
    as_published: bool,
    /// Only of this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ReturnsArgs {
    /// Only of this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Only of this line item
    #[arg(long, value_name = "NAME")]
    line: Option<String>,
    /// Only under this model
    #[arg(long, value_name = "MODEL", value_parser = crate::credits::model)]
    model: Option<Model>,
    /// The first so many rows
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ModelsArgs {
    /// The one
    #[arg(long, value_name = "MODEL", default_value = "last", value_parser = crate::credits::model)]
    model: Model,
    /// The other
    #[arg(long, value_name = "MODEL", default_value = "linear", value_parser = crate::credits::model)]
    against: Model,
    #[command(flatten)]
    conversions: ConversionsArgs,
}

/// Reads the databases and prints what a person wants to see first.
pub(crate) async fn run(config: Config, args: ReportArgs) -> Result<bool> {
    let command = match args.command {
        // The databases do not know who heard what: the journal does.
        Some(ReportCommand::Reach(args)) => return reach::run(&config, args, Shown::Reach).await,
        Some(ReportCommand::Funnel(args)) => return reach::run(&config, args, Shown::Funnel).await,
        Some(ReportCommand::Lift(args)) => return lift::run(&config, args).await,
        Some(ReportCommand::Customers(args)) => return customers::run(&config, args).await,
        Some(ReportCommand::Episodes(args)) => return episodes::run(&config, args).await,
        Some(ReportCommand::Revenue(args)) => return revenue::run(&config, args).await,
        Some(ReportCommand::Stored(command)) => Some(command),
        None => None,
    };
    let targets = Targets::find(&config)?;
    let away = || databases_away(&config);
    let reader = Reader::new(targets.clickhouse, &targets.postgres.url_sink)
        .await
        .with_context(away)?;
    let Some(command) = command else {
        let numbers = reader.numbers().await.with_context(away)?;
        say_restating(&reader).await.with_context(away)?;
        say!("{}", numbers.render());
        return Ok(true);
    };
    let (listing, nothing, format) = match command {
        StoredCommand::Numbers(command) => {
            let asked = command.asked()?;
            let page = reader.tables.page(&asked.question, &asked.which).await;
            let listing = page.with_context(away)?.listing;
            if asked.journeys {
                write!(std::io::stdout(), "{}", journeys(&listing)?).unwrap_or_default();
                return Ok(true);
            }
            (listing, asked.nothing, asked.format)
        }
        StoredCommand::Returns(args) => {
            let which = Returns {
                tenant: args.tenant,
                line: args.line,
                model: args.model,
                limit: args.limit,
            };
            let listing = reader.returns(&which).await.with_context(away)?;
            let nothing = "No line item has a bill or a credit.";
            (listing, nothing, args.format)
        }
        StoredCommand::Models(args) => {
            let (models, format) = ([args.model, args.against], args.conversions.format);
            let which = args.conversions.which();
            // What it refuses is no failure of the databases.
            let listing = reader.tables.models(models, &which).await?;
            (listing, "No conversion is credited.", format)
        }
        StoredCommand::Leaks(args) => {
            let format = args.format;
            let which = args.which();
            let listing = reader.tables.leaks(&which).await?;
            (listing, "No hour of a promo code stands out.", format)
        }
        StoredCommand::Restatements(RestatementsArgs { cause, list }) => {
            let mut wanted = wanted(&list);
            wanted.cause = cause;
            let listing = reader.restatements(&wanted).await.with_context(away)?;
            (listing, "No published number has moved.", list.format)
        }
        StoredCommand::Late(list) => {
            let listing = reader.late(&wanted(&list)).await.with_context(away)?;
            (
                listing,
                "Nothing came after its day was sealed.",
                list.format,
            )
        }
        StoredCommand::Day(day) => {
            let wanted = Wanted {
                tenant: day.tenant,
                ..Wanted::default()
            };
            let date = day.day.to_string();
            let mut listing = reader.day(&date, &wanted).await.with_context(away)?;
            if !day.as_published {
                listing.only(&["tenant", "number", "of", "now"]);
            }
            (listing, "No number has this day.", day.format)
        }
    };
    match format {
        Format::Table => {
            say_restating(&reader).await.with_context(away)?;
            say!("{}", listing.render(nothing));
        }
        Format::Json => listing.objects().iter().for_each(|line| say!("{line}")),
        Format::Csv => write!(std::io::stdout(), "{}", listing.csv()?).unwrap_or_default(),
    }
    Ok(true)
}

/// What to say when the databases do not answer.
pub(super) fn databases_away(config: &Config) -> String {
    format!(
        "the databases of {} do not answer; is `hostread up` running there? `hostread doctor` says more",
        config.data_dir.display()
    )
}

/// That numbers do not all follow a change yet, if so.
async fn say_restating(reader: &Reader) -> Result<()> {
    let query = "SELECT restating, done, total FROM hostread.freshness WHERE restating != ''";
    for row in reader.tables.rows_with(query, &[]).await? {
        let stage = text(&row, 0);
        let what = if stage == "computing" {
            "listener-days"
        } else {
            "changes"
        };
        let (done, total) = (grouped(int(&row, 1)), grouped(int(&row, 2)));
        say!("Numbers are being restated: {stage}, {done} of {total} {what}.");
    }
    Ok(())
}

fn wanted(list: &ListArgs) -> Wanted {
    Wanted {
        tenant: list.tenant.clone(),
        view: list.view.clone(),
        limit: list.limit,
        cause: None,
    }
}
