//! `hostread dead-letters list`: what the doors and the pipeline could not use, with reason and place.
//! `hostread dead-letters retry` (in `retry`) sends repaired ones again.

pub(in crate::cmd) mod retry;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use anyhow::{Context, Result};
use hostread_connectors_kit::{Marked, StoredDeadLetter, TenantKey, dead_letters, read_marks};
use hostread_gateway::DEAD_LETTERS_DIR;
use hostread_schemas::EventTimeMs;
use serde_json::json;

use super::Format;
use crate::config::Config;
use crate::parts::{self, GATEWAY_DIR, PIPELINE_DEAD_LETTERS};
use crate::say;

/// What to do with dead letters.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// List them, newest last
    List(ListArgs),
    /// Send repaired ones to the doors that turned them down, each once
    Retry(retry::RetryArgs),
}

/// Marks of the letters that were sent again.
fn marks_file(config: &Config) -> PathBuf {
    config.data_dir.join("dead-letters").join("retried")
}

/// A tenant's letter.
type Name = (String, String);

fn name(letter: &StoredDeadLetter) -> Name {
    (letter.tenant.clone(), letter.id.clone())
}

/// Shows every letter in its newest form, those of the doors before those of the pipeline, each in order of time. A letter that
/// came several times is shown once.
fn visit(config: &Config, mut each: impl FnMut(StoredDeadLetter) -> Result<()>) -> Result<()> {
    let disk = parts::disk();
    let folders = [
        config.data_dir.join(GATEWAY_DIR).join(DEAD_LETTERS_DIR),
        config.data_dir.join(PIPELINE_DEAD_LETTERS),
    ];
    let mut newest: BTreeMap<Name, u32> = BTreeMap::new();
    for folder in &folders {
        let reading = || format!("reading {}", folder.display());
        for letter in dead_letters(disk.as_ref(), folder).with_context(reading)? {
            let letter = letter.with_context(reading)?;
            let tries = newest.entry(name(&letter)).or_default();
            *tries = letter.tries.max(*tries);
        }
    }
    let mut shown: BTreeSet<Name> = BTreeSet::new();
    for folder in &folders {
        for letter in dead_letters(disk.as_ref(), folder)? {
            let letter = letter?;
            let name = name(&letter);
            // A letter that came meanwhile has not been counted.
            let is_newest = newest.get(&name).is_none_or(|tries| *tries <= letter.tries);
            if is_newest && (letter.id.is_empty() || shown.insert(name)) {
                each(letter)?;
            }
        }
    }
    Ok(())
}

/// When the letter was sent again and taken, if it was.
fn retried_at(marked: &Marked, letter: &StoredDeadLetter) -> Option<EventTimeMs> {
    let mark = marked.get(&name(letter))?;
    (mark.tries > letter.tries).then_some(EventTimeMs(mark.at.0))
}

/// Which letters, and how.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ListArgs {
    /// Only of this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// The newest so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Decrypt what was sent (JSON only); it may hold personal data
    #[arg(long)]
    body: bool,
}

/// Lists, or sends again.
pub(crate) async fn run(config: &Config, command: &DeadLettersCommand) -> Result<bool> {
    match command {
        DeadLettersCommand::List(args) => list(config, args),
        DeadLettersCommand::Retry(args) => retry::run(config, args).await,
    }
}

fn list(config: &Config, args: &ListArgs) -> Result<bool> {
    let marked = read_marks(parts::disk().as_ref(), &marks_file(config))?;
    let mut letters: VecDeque<StoredDeadLetter> = VecDeque::new();
    let (mut counted, mut retried) = (0_u64, 0_u64);
    visit(config, |letter| {
        if args
            .tenant
            .as_ref()
            .is_some_and(|tenant| *tenant != letter.tenant)
        {
            return Ok(());
        }
        counted += 1;
        retried += u64::from(retried_at(&marked, &letter).is_some());
        // Two folders, each in order of time: no more than twice what is asked for is held.
        letters.push_back(letter);
        if letters.len() > 2 * args.limit {
            keep_newest(&mut letters, args.limit);
        }
        Ok(())
    })?;
    keep_newest(&mut letters, args.limit);
    match args.format {
        Format::Json => print_json(config, args, &letters, &marked),
        Format::Table => {
            print_table(&letters, &marked, counted, retried);
            Ok(true)
        }
    }
}

fn keep_newest(letters: &mut VecDeque<StoredDeadLetter>, limit: usize) {
    letters
        .make_contiguous()
        .sort_by_key(|letter| letter.received_at);
    let surplus = letters.len().saturating_sub(limit);
    letters.drain(..surplus);
}

/// What became of a letter, for people.
fn state(marked: &Marked, letter: &StoredDeadLetter) -> String {
    match (retried_at(marked, letter), letter.tries) {
        (Some(at), _) => format!("retried {at}"),
        (None, 0) => String::new(),
        (None, 1) => "turned down again".to_owned(),
        (None, tries) => format!("turned down again, {tries} times"),
    }
}

fn time(letter: &StoredDeadLetter) -> String {
    EventTimeMs(letter.received_at.0).to_string()
}

fn print_table(letters: &VecDeque<StoredDeadLetter>, marked: &Marked, counted: u64, retried: u64) {
    if letters.is_empty() {
        say!("{counted} dead letters");
        return;
    }
    let mut table = super::table();
    table.set_header([
        "id", "received", "tenant", "source", "by", "where", "why", "bytes", "state",
    ]);
    for letter in letters {
        table.add_row([
            letter.id.clone(),
            time(letter),
            letter.tenant.clone(),
            letter.source.clone(),
            letter.connector.clone(),
            letter.position.clone(),
            letter.reason.clone(),
            letter.body_bytes.to_string(),
            state(marked, letter),
        ]);
    }
    say!("{table}");
    say!(
        "{} of {counted} dead letters, {retried} of them retried; they are kept for 14 days",
        letters.len()
    );
}

fn print_json(
    config: &Config,
    args: &ListArgs,
    letters: &VecDeque<StoredDeadLetter>,
    marked: &Marked,
) -> Result<bool> {
    let mut keys = BTreeMap::new();
    for tenant in &config.tenants {
        keys.insert(tenant.name.as_str(), TenantKey::from_hex(&tenant.hash_key)?);
    }
    for letter in letters {
        let mut line = json!({
            "id": letter.id,
            "received_at": time(letter),
            "tenant": letter.tenant,
            "source": letter.source,
            "connector": letter.connector,
            "position": letter.position,
            "reason": letter.reason,
            "body_bytes": letter.body_bytes,
            "tries": letter.tries,
            "retried_at": retried_at(marked, letter).map(|at| at.to_string()),
        });
        if args.body {
            let body = keys.get(letter.tenant.as_str()).map(|key| letter.body(key));
            line["body"] = match body {
                Some(Ok(body)) => String::from_utf8_lossy(&body).into(),
                Some(Err(error)) => {
                    line["body_error"] = error.to_string().into();
                    serde_json::Value::Null
                }
                None => {
                    line["body_error"] = "the settings hold no key of this tenant".into();
                    serde_json::Value::Null
                }
            };
        }
        say!("{line}");
    }
    Ok(true)
}
