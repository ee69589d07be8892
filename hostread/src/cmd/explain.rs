//! `hostread explain`: why a number is what it is.

use anyhow::{Result, anyhow, bail};
use hostread_explain::{Asked, Kind, NotExplained};

use crate::config::Config;
use crate::explain::{Explainer, NoAnswer, Question, page};
use crate::parts;
use crate::say;

/// What to explain.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ExplainArgs {
    /// What kind of number: request, download, conversion, pacing or billing-line
    #[arg(value_name = "KIND", value_parser = kind)]
    kind: Kind,
    /// Which one, as views and reports show it: the request; DAY/LISTENER/EPISODE of a download; the
    /// conversion or its order's reference; the line item; LINE/YEAR-MONTH of a billing line
    #[arg(value_name = "ID")]
    id: String,
    /// Also say what it would be without this: an event's id, or a batch as restatements name it
    #[arg(long, value_name = "CAUSE")]
    without: Option<String>,
    /// Whose, where several tenants have the id
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = PageFormat::Text)]
    format: PageFormat,
}

/// How an explanation is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum PageFormat {
    /// A page for people
    Text,
    /// One JSON object
    Json,
}

fn kind(text: &str) -> Result<Kind, String> {
    text.parse().map_err(|()| {
        let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("the kinds are {}", kinds.join(", "))
    })
}

/// Explains and prints.
pub(crate) async fn run(config: Config, args: ExplainArgs) -> Result<bool> {
    let Some(asked) = Asked::parse(args.kind, &args.id) else {
        bail!(
            "\"{}\" is no {}; its id is {}",
            args.id,
            args.kind.as_str(),
            args.kind.form()
        );
    };
    let log = match &args.without {
        Some(_) => parts::look_at_log(&config).await?,
        None => None,
    };
    let explainer = Explainer::new(&config, log)?;
    let (format, tenant, without) = (args.format, args.tenant, args.without);
    let answered = tokio::task::spawn_blocking(move || {
        explainer.answer(&Question {
            tenant: tenant.as_deref(),
            asked: &asked,
            without: without.as_deref(),
        })
    });
    match answered.await? {
        Ok(explanation) => {
            match format {
                PageFormat::Text => say!("{}", page::page(&explanation)),
                PageFormat::Json => say!("{}", serde_json::to_string(&explanation)?),
            }
            Ok(true)
        }
        Err(why) => Err(no_answer(why, &config)),
    }
}

/// What a person reads when there is no answer.
pub(super) fn no_answer(why: NoAnswer, config: &Config) -> anyhow::Error {
    match why {
        NoAnswer::Row(error @ NotExplained::Several { .. }) => {
            anyhow!("{error}; --tenant says whose")
        }
        NoAnswer::Row(error) => anyhow!("{error}"),
        NoAnswer::Cause(text) => anyhow!(text),
        NoAnswer::NoJournal => anyhow!(
            "there is no journal in {}; --data-dir names the folder that `hostread up` or `hostread pipeline` runs on",
            config.data_dir.display()
        ),
        NoAnswer::Failed(error) => error.context("the journal cannot be asked now"),
    }
}
