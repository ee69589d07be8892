//! `hostread rules`: rule sets as documents, and the way of one to the pipeline, through the events' door.

use std::path::PathBuf;

use anyhow::{Result, bail};
use hostread_job::wall_ms;
use hostread_rules::Document;
use hostread_rules::document::{Held, SHIPPED, shipped};
use hostread_schemas::EventTimeMs;
use serde_json::{Value, json};

use super::api_key::ApiKeyArgs;
use super::dead_letters::retry::owns;
use super::events_door::EventsDoor;
use super::{Format, table};
use crate::config::Config;
use crate::rules::{AgentFiles, Lists, keyed, load, said, today};
use crate::say;

/// What to do with rule sets.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum RulesCommand {
    /// Print a rule set with what each parameter rests on; without a name, which ones ship
    Show(ShowArgs),
    /// Print in what two rule sets differ
    Diff(DiffArgs),
    /// Check a rule set and name the field that is wrong
    Validate(ValidateArgs),
    /// Make a rule set a tenant's own: the past is counted anew, and published numbers that move leave a restatement
    Publish(PublishArgs),
}

/// Files with the contents of lists, which documents name by hash.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ListArgs {
    /// Folder with lists of agents in the OPAWG v2 format, as `hostread lists import` writes it; none: bots are not told from people [default: Hostread's own]
    #[arg(long, value_name = "DIR")]
    lists: Option<PathBuf>,
    /// Address ranges that no person listens from, as JSON
    #[arg(long, value_name = "FILE")]
    nonhuman_ranges: Option<PathBuf>,
}

impl ListArgs {
    /// Reads them; without a folder the shipped ones are taken.
    pub(crate) fn read(&self) -> Result<Lists> {
        let agents = AgentFiles::read_or_shipped(self.lists.as_deref())?;
        Lists::read(agents.as_ref(), self.nonhuman_ranges.as_deref())
    }

    /// Reads those that were given, and no others.
    fn given(&self) -> Result<Lists> {
        let agents = self.lists.as_deref();
        let agents = agents.map(|folder| AgentFiles::read_or_shipped(Some(folder)));
        let agents = agents.transpose()?.flatten();
        Lists::read(agents.as_ref(), self.nonhuman_ranges.as_deref())
    }
}

/// Which rule set, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// 2.1, 2.2 or 2.3 of IAB, or a file
    #[arg(value_name = "NAME|FILE")]
    name: Option<String>,
    /// How to print it; json is a document to edit, with the lists' hashes where they are given
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    lists: ListArgs,
}

/// Which two.
#[derive(Debug, clap::Args)]
pub(crate) struct DiffArgs {
    /// 2.1, 2.2 or 2.3 of IAB, or a file
    #[arg(value_name = "NAME|FILE")]
    one: String,
    /// The other one
    #[arg(value_name = "NAME|FILE")]
    other: String,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Which file.
#[derive(Debug, clap::Args)]
pub(crate) struct ValidateArgs {
    /// A rule set
    #[arg(value_name = "NAME|FILE")]
    file: String,
    #[command(flatten)]
    lists: ListArgs,
}

/// Which file, and whose.
#[derive(Debug, clap::Args)]
pub(crate) struct PublishArgs {
    /// A rule set
    #[arg(value_name = "NAME|FILE")]
    file: String,
    /// Whose rules they become
    #[arg(long, value_name = "NAME")]
    tenant: String,
    #[command(flatten)]
    lists: ListArgs,
    /// Address of the gateway [default: gateway.listen of the settings]
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
    #[command(flatten)]
    api_key: ApiKeyArgs,
}

/// Does it.
pub(crate) async fn run(config: Result<Config>, command: RulesCommand) -> Result<bool> {
    match command {
        RulesCommand::Show(args) => show(&args),
        RulesCommand::Diff(args) => diff(&args),
        RulesCommand::Validate(args) => validate(&args),
        RulesCommand::Publish(args) => publish(&config?, &args).await,
    }
}

fn show(args: &ShowArgs) -> Result<bool> {
    let Some(name) = &args.name else {
        let mut all = table();
        all.set_header(["rule set", "name and version", "what"]);
        for (number, document) in SHIPPED
            .iter()
            .filter_map(|name| Some((name, shipped(name)?)))
        {
            all.add_row([(*number).to_owned(), document.full_name(), document.title]);
        }
        say!("{all}");
        return Ok(true);
    };
    let mut document = load(name)?;
    let lists = args.lists.given()?;
    document.bots.extend(lists.bots);
    document.data_centres.extend(lists.data_centres);
    match args.format {
        Format::Json => say!("{}", document.json()),
        Format::Table => {
            let mut rows = table();
            rows.set_header(["parameter", "value", "rests on"]);
            for (name, value) in document.values() {
                let source = document.sources.get(&name).cloned();
                rows.add_row([name, value.to_string(), source.unwrap_or_default()]);
            }
            say!("{}: {}\n\n{rows}", document.full_name(), document.title);
        }
    }
    Ok(true)
}

fn diff(args: &DiffArgs) -> Result<bool> {
    let (one, other) = (load(&args.one)?, load(&args.other)?);
    let differing = one.differing(&other);
    match args.format {
        Format::Json => {
            for (parameter, a, b) in differing {
                say!("{}", json!({"parameter": parameter, "one": a, "other": b}));
            }
        }
        Format::Table if differing.is_empty() => {
            say!(
                "{} and {} count the same",
                said(&args.one, &one),
                said(&args.other, &other)
            );
        }
        Format::Table => {
            let mut rows = table();
            rows.set_header(["parameter".to_owned(), one.full_name(), other.full_name()]);
            for (parameter, a, b) in differing {
                rows.add_row([parameter, a.to_string(), b.to_string()]);
            }
            say!("{rows}");
        }
    }
    Ok(true)
}

fn validate(args: &ValidateArgs) -> Result<bool> {
    let document = load(&args.file)?;
    let lists = args.lists.given()?;
    if !lists.bots.is_empty() || !lists.data_centres.is_empty() {
        lists.check(&document)?;
    }
    lists.ranges(&document)?;
    for entry in document
        .inclusion
        .iter()
        .filter(|entry| !entry.holds_on(today()))
    {
        let (from, until) = (&entry.when, &entry.expires);
        say!(
            "note: {} is let in from {from} to {until}, not today",
            entry.range
        );
    }
    say!("hostread count can apply {}", document.full_name());
    let checked = document.check_for_pipeline();
    match checked.and_then(|()| keyed::check_inclusion(&document)) {
        Ok(()) => say!("the pipeline can apply it"),
        Err(error) => say!("not by the pipeline: {error}"),
    }
    Ok(true)
}

async fn publish(config: &Config, args: &PublishArgs) -> Result<bool> {
    let document = load(&args.file)?;
    document.check_for_pipeline()?;
    let lists = args.lists.read()?;
    lists.check(&document)?;
    let api_key = args.api_key.read()?;
    let tenant = config
        .tenants
        .iter()
        .find(|tenant| tenant.name == args.tenant);
    if tenant.is_some_and(|tenant| !owns(tenant, &api_key)) {
        bail!("the API key is not one of {}", args.tenant);
    }
    let held = Held {
        nonhuman_nets: keyed::nonhuman(&lists.nonhuman, tenant)?,
        included: keyed::included(&document, tenant)?,
        agents: lists.agents,
    };
    let event = event(&document, held)?;
    let door = EventsDoor::new(config, args.gateway.as_deref(), api_key)?;
    door.send_one(event).await?;
    let (name, tenant) = (document.full_name(), &args.tenant);
    say!(
        "{name} is published for {tenant}; /readyz says how far the past is counted anew, hostread report restatements what moved"
    );
    Ok(true)
}

/// The event, as the door takes it. Published again it is a later one: the latest is in force.
fn event(document: &Document, held: Held) -> Result<Value> {
    let time = EventTimeMs(wall_ms());
    let mut event = serde_json::to_value(document.event(held))?;
    event["type"] = json!("rule_set");
    event["id"] = json!(format!("rule-set/{}/{}", document.full_name(), time.0));
    event["time"] = json!(time);
    Ok(event)
}

/// The page `docs/reference/rules.md`.
#[cfg(test)]
pub(crate) fn page() -> String {
    use hostread_rules::document::{Varies, parameters};
    use std::fmt::Write;
    let mut page = PAGE_HEAD.to_owned();
    page.push_str("\n| rule set | name and version | what |\n|---|---|---|\n");
    let documents: Vec<(&str, Document)> = SHIPPED
        .iter()
        .filter_map(|name| Some((*name, shipped(name)?)))
        .collect();
    for (number, document) in &documents {
        let (name, title) = (document.full_name(), &document.title);
        writeln!(page, "| {number} | `{name}` | {title} |").ok();
    }
    for row in parameters() {
        let name = &row.parameter;
        let who = match row.varies {
            Varies::Yes => "A document may say otherwise.",
            Varies::No => "The engine does it this way only.",
            Varies::Count => {
                "A document may say otherwise for `hostread count`; the pipeline does it this way only."
            }
        };
        write!(
            page,
            "\n## {name}\n{} {who}\n\n| rule set | value | rests on |\n|---|---|---|\n",
            row.what
        )
        .ok();
        for (number, document) in &documents {
            let values = document.values();
            let value = values
                .iter()
                .find(|(of, _)| of == name)
                .map(|(_, value)| value);
            let value = value.map(ToString::to_string).unwrap_or_default();
            let source = document.sources.get(name).cloned().unwrap_or_default();
            writeln!(page, "| {number} | `{value}` | {source} |").ok();
        }
    }
    page
}

#[cfg(test)]
const PAGE_HEAD: &str = "# Rule sets

What counts as a download, as versioned documents. These ship with the product, as one table with a source per row; `hostread rules
show 2.3 --format json` prints one to edit, `hostread rules validate FILE` checks it, `hostread count --rules FILE` counts by it,
`hostread rules publish FILE --tenant NAME` makes it a tenant's own. What a parameter does exactly: [definitions](definitions.md).

\"Not verified\" says that the text of that version was not at hand: the value is that of 2.3. Section numbers are those of the
guidelines. We write \"implements\", never \"certified\".
";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;

    #[test]
    fn an_event_is_one_that_the_door_takes() {
        let document = shipped("2.3").unwrap();
        let held = Held {
            nonhuman_nets: vec![hostread_schemas::event::Hash64(255)],
            ..Held::default()
        };
        let made = event(&document, held).unwrap();
        assert_eq!(made["rule_set"], "iab-2.3+1");
        assert_eq!(made["nonhuman_nets"], json!(["00000000000000ff"]));
        assert!(
            made["id"]
                .as_str()
                .unwrap()
                .starts_with("rule-set/iab-2.3+1/")
        );
    }
}
