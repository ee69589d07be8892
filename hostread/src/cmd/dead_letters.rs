//! `hostread dead-letters list`: what the doors and the pipeline could not use, with reason and place.

use std::collections::{BTreeMap, VecDeque};

use anyhow::{Context, Result};
use hostread_connectors_kit::{StoredDeadLetter, TenantKey, dead_letters};
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

/// Lists.
pub(crate) fn run(config: &Config, command: &DeadLettersCommand) -> Result<bool> {
    let DeadLettersCommand::List(args) = command;
    let disk = parts::disk();
    let mut letters: VecDeque<StoredDeadLetter> = VecDeque::new();
    let mut counted = 0_u64;
    let folders = [
        config.data_dir.join(GATEWAY_DIR).join(DEAD_LETTERS_DIR),
        config.data_dir.join(PIPELINE_DEAD_LETTERS),
    ];
    for folder in &folders {
        let found = dead_letters(disk.as_ref(), folder)
            .with_context(|| format!("reading {}", folder.display()))?;
        let mut of_folder = VecDeque::new();
        for letter in found {
            let letter = letter?;
            if args
                .tenant
                .as_ref()
                .is_some_and(|tenant| *tenant != letter.tenant)
            {
                continue;
            }
            counted += 1;
            // Each folder is in order of time; no more than asked for is held.
            if of_folder.len() == args.limit {
                of_folder.pop_front();
            }
            if args.limit > 0 {
                of_folder.push_back(letter);
            }
        }
        letters.extend(of_folder);
    }
    letters
        .make_contiguous()
        .sort_by_key(|letter| letter.received_at);
    while letters.len() > args.limit {
        letters.pop_front();
    }
    match args.format {
        Format::Json => print_json(config, args, &letters),
        Format::Table => {
            print_table(&letters, counted);
            Ok(true)
        }
    }
}

fn time(letter: &StoredDeadLetter) -> String {
    EventTimeMs(letter.received_at.0).to_string()
}

fn print_table(letters: &VecDeque<StoredDeadLetter>, counted: u64) {
    if letters.is_empty() {
        say!("{counted} dead letters");
        return;
    }
    let mut table = super::table();
    table.set_header([
        "received", "tenant", "source", "by", "where", "why", "bytes",
    ]);
    for letter in letters {
        table.add_row([
            time(letter),
            letter.tenant.clone(),
            letter.source.clone(),
            letter.connector.clone(),
            letter.position.clone(),
            letter.reason.clone(),
            letter.body_bytes.to_string(),
        ]);
    }
    say!("{table}");
    say!(
        "{} of {counted} dead letters; they are kept for 14 days",
        letters.len()
    );
}

fn print_json(
    config: &Config,
    args: &ListArgs,
    letters: &VecDeque<StoredDeadLetter>,
) -> Result<bool> {
    let mut keys = BTreeMap::new();
    for tenant in &config.tenants {
        keys.insert(tenant.name.as_str(), TenantKey::from_hex(&tenant.hash_key)?);
    }
    for letter in letters {
        let mut line = json!({
            "received_at": time(letter),
            "tenant": letter.tenant,
            "source": letter.source,
            "connector": letter.connector,
            "position": letter.position,
            "reason": letter.reason,
            "body_bytes": letter.body_bytes,
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
