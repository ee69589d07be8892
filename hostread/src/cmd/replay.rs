//! `hostread replay`: the same dataflow without a server; events from a file, rows to standard output.
//! Promises: the same events give the same bytes, whatever their order in the file or the number of workers.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use hostread_connectors::unpack::unpack;
use hostread_schemas::EventTimeMs;
use hostread_schemas::event::Event;
use hostread_schemas::intern::IdHasher;
use hostread_schemas::view::View;
use serde_json::Value;

use super::Format;
use super::words::{Row, json, row};
use crate::config::Config;
use crate::say;

/// What `replay` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ReplayArgs {
    /// Events, one JSON object a line, as /v1/events takes them with id, tenant, source and
    /// received_at; plain or gzip
    #[arg(long, value_name = "FILE")]
    events: PathBuf,
    /// Only events received by then, with the clock at that time [default: the newest event]
    #[arg(long, value_name = "TIME", value_parser = time)]
    as_of: Option<EventTimeMs>,
    /// Which rows
    #[arg(long, value_parser = view, value_name = "NAME")]
    view: View,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// Threads of the dataflow; they change nothing but the time it takes
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
}

fn time(text: &str) -> Result<EventTimeMs, String> {
    EventTimeMs::from_rfc3339(text)
        .ok_or_else(|| "a time is written 2026-03-09T12:00:00Z".to_owned())
}

fn view(text: &str) -> Result<View, String> {
    View::ALL
        .iter()
        .copied()
        .find(|view| view.name() == text)
        .ok_or_else(|| {
            let names: Vec<&str> = View::ALL.iter().map(|view| view.name()).collect();
            format!("the views are {}", names.join(", "))
        })
}

/// Replays and prints.
pub(crate) fn run(config: &Config, args: &ReplayArgs) -> Result<bool> {
    let events = read(&args.events)?;
    let replayed = hostread_job::replay::replay(
        events,
        args.as_of,
        usize::from(args.workers),
        config.pipeline.horizons(),
        IdHasher::new(config.id_key_bytes()?),
    )
    .map_err(|error| anyhow!(error))
    .context("replaying")?;
    let mut rows: Vec<(String, Row)> = Vec::new();
    for (key, value) in &replayed.rows {
        if key.view() == args.view {
            let row = row(key, value, &replayed.names)?;
            rows.push((json(&row), row));
        }
    }
    // By what a person sees: ids are hashes.
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    match args.format {
        Format::Json => {
            for (line, _) in &rows {
                say!("{line}");
            }
        }
        Format::Table => print_table(args.view, &rows, replayed.clock),
    }
    if replayed.refused > 0 {
        tracing::warn!(events = replayed.refused, "events were refused");
    }
    Ok(true)
}

fn read(path: &Path) -> Result<Vec<Event>> {
    let file = std::fs::File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let reader = unpack(file).with_context(|| format!("reading {}", path.display()))?;
    let mut events = Vec::new();
    for (number, line) in (1..).zip(reader.split(b'\n')) {
        let place = || format!("{} line {number}", path.display());
        let line = line.with_context(place)?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let event = hostread_schemas::json::read(&line)
            .map_err(|error| anyhow!("{error}"))
            .with_context(place)?;
        events.push(event);
    }
    Ok(events)
}

fn print_table(view: View, rows: &[(String, Row)], clock: EventTimeMs) {
    let mut table = super::table();
    if let Some((_, first)) = rows.first() {
        table.set_header(first.iter().map(|(field, _)| field));
    }
    for (_, row) in rows {
        table.add_row(row.iter().map(|(_, value)| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }));
    }
    say!("{table}");
    say!("{}: {} rows at {clock}", view.name(), rows.len());
}
