//! `hostread lists`: a copy of public lists of agents, checked, dated and hashed; what lists hold and say.

use std::path::PathBuf;

use anyhow::Result;
use hostread_rules::agents::{AgentEntry, AgentFile, AgentLists, Shadowed};
use jiff::civil::Date;
use serde_json::{Value, json};

use super::{Format, table};
use crate::rules::{AgentFiles, today};
use crate::say;

/// Shadowed examples that are told.
const TOLD_MAX: usize = 5;

/// What to do with lists.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ListsCommand {
    /// Take a copy of lists in the OPAWG v2 format: each pattern is checked, each file dated and hashed
    Import(ImportArgs),
    /// Print what lists hold, or what they say of an agent
    Show(ShowArgs),
}

/// What to copy, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// Folders with lists, or lists alone: bots.json, apps.json, libraries.json, browsers.json, devices.json, referrers.json
    #[arg(required = true, value_name = "DIR|FILE")]
    from: Vec<PathBuf>,
    /// Folder that `--lists` names afterwards; lists that are there are replaced
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Date of the lists [default: when each file was changed]
    #[arg(long, value_name = "DATE")]
    date: Option<Date>,
    /// How to print what was imported
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Which lists, and what to ask of them.
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// Folder with lists [default: Hostread's own]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Say what the lists know of this user agent
    #[arg(long, value_name = "TEXT")]
    agent: Option<String>,
    /// Address of the page that it plays from
    #[arg(long, value_name = "URL", requires = "agent")]
    referrer: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Does it.
pub(crate) fn run(command: &ListsCommand) -> Result<bool> {
    match command {
        ListsCommand::Import(args) => {
            let imported = AgentFiles::import(&args.from, &args.to, args.date, today())?;
            print_files(&imported, args.format);
        }
        ListsCommand::Show(args) => {
            let files = match &args.folder {
                Some(folder) => AgentFiles::read(folder)?,
                None => AgentFiles::shipped()?,
            };
            match &args.agent {
                Some(agent) => {
                    let referrer = args.referrer.as_deref().unwrap_or_default();
                    print_agent(&files.lists, agent, referrer, args.format);
                }
                None => print_files(&files, args.format),
            }
        }
    }
    Ok(true)
}

/// Entries of a list that make an agent a bot.
fn bots(lists: &AgentLists, file: AgentFile) -> usize {
    let entries = lists.entries(file).iter();
    entries.filter(|entry| file.is_bot(entry)).count()
}

fn print_files(files: &AgentFiles, format: Format) {
    let mut rows = table();
    let head = ["list", "entries", "bots", "examples", "date", "SHA-256"];
    rows.set_header(head);
    let mut all_shadowed = Vec::new();
    for (of, file) in &files.files {
        let (tried, shadowed) = files.lists.try_examples(*of);
        let known = tried - shadowed.len();
        let bots = bots(&files.lists, *of);
        match format {
            Format::Json => say!(
                "{}",
                json!({"file": file.file, "entries": file.count, "bots": bots, "examples": tried,
                    "examples_known": known, "date": file.date, "sha256": file.sha256})
            ),
            Format::Table => {
                rows.add_row([
                    file.file.clone(),
                    file.count.to_string(),
                    bots.to_string(),
                    format!("{known} of {tried}"),
                    file.date.clone(),
                    file.sha256.clone(),
                ]);
            }
        }
        all_shadowed.extend(shadowed);
    }
    if format == Format::Table {
        say!("{rows}");
        for it in all_shadowed.iter().take(TOLD_MAX) {
            say!("note: {}", told(it));
        }
        if all_shadowed.len() > TOLD_MAX {
            say!("note: and {} more", all_shadowed.len() - TOLD_MAX);
        }
    }
}

fn told(it: &Shadowed) -> String {
    let Shadowed {
        file,
        name,
        example,
        by,
    } = it;
    let (file, by) = (file.name(), by.as_deref());
    let by = by.map_or("as nothing".to_owned(), |by| format!("as {by}"));
    format!("{file}: an example of {name} is known {by}: {example}")
}

fn print_agent(lists: &AgentLists, agent: &str, referrer: &str, format: Format) {
    let said = lists.classify(agent);
    let page = lists.referrer(said.agent, referrer);
    let bot = said.agent.is_some_and(|known| known.is_bot());
    let known = said.agent.map(|known| (known.file, known.entry));
    let device = said.device.map(|entry| (AgentFile::Devices, entry));
    let page = page.map(|entry| (AgentFile::Referrers, entry));
    let all = [("agent", known), ("device", device), ("referrer", page)];
    match format {
        Format::Json => {
            let mut object = json!({ "bot": bot });
            for (what, known) in all {
                object[what] = known.map_or(Value::Null, |(file, entry)| as_json(file, entry));
            }
            say!("{object}");
        }
        Format::Table => {
            let mut rows = table();
            rows.set_header(["what", "known as", "category", "by pattern", "of"]);
            for (what, known) in all {
                let Some((file, entry)) = known else {
                    rows.add_row([what, "nothing"]);
                    continue;
                };
                let (name, category) = (&entry.name, &entry.category);
                rows.add_row([what, name, category, &entry.pattern, file.name()]);
            }
            let bot = if bot { "a bot" } else { "no bot" };
            say!("{bot}\n\n{rows}");
        }
    }
}

fn as_json(file: AgentFile, entry: &AgentEntry) -> Value {
    let (name, category, pattern) = (&entry.name, &entry.category, &entry.pattern);
    json!({"name": name, "category": category, "pattern": pattern, "file": file.name()})
}
