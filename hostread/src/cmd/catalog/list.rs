//! `hostread catalog list`: the episodes of a catalog file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use comfy_table::Cell;
use hostread_connectors_kit::prefix::{Wrapper, wrappers};
use serde_json::json;

use super::super::{Format, table};
use crate::catalog::{CatalogFile, Episode};
use crate::say;

/// Which file, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// The catalog file
    #[arg(value_name = "FILE")]
    catalog: PathBuf,
    /// Columns for people, or a JSON object a line
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Prints it.
pub(super) fn list(args: &ListArgs) -> Result<bool> {
    let file = CatalogFile::read(&args.catalog)?;
    match args.format {
        Format::Json => {
            for episode in &file.episodes {
                let found = wrapped(episode);
                let of = |known: bool| -> Vec<&str> {
                    let some = found.iter().filter(|wrapper| wrapper.known == known);
                    some.map(|wrapper| wrapper.text).collect()
                };
                let line = json!({"show": episode.show, "id": episode.id, "path": episode.path,
                    "former_paths": episode.former_paths, "alternate_paths": episode.alternate_paths,
                    "published_at": episode.published_at, "size_bytes": episode.size_bytes, "header_bytes": episode.id3_bytes,
                    "bit_rate": episode.bit_rate, "vbr": episode.vbr, "seconds": episode.seconds, "probed": episode.probed,
                    "ads": episode.ads.len(), "prefixes": of(true), "unknown_prefixes": of(false)});
                say!("{line}");
            }
        }
        Format::Table => {
            say!("{}", columns(&file));
            let unknown = unknown(&file);
            if !unknown.is_empty() {
                say!(
                    "\nUnknown prefixes are kept as part of the path: their logs and those of the host name another episode."
                );
                for (prefix, count) in unknown {
                    say!("  {prefix} ({count} episodes)");
                }
            }
        }
    }
    Ok(true)
}

fn columns(file: &CatalogFile) -> String {
    let mut rows = table();
    rows.set_header([
        "show",
        "episode",
        "published",
        "size",
        "header",
        "bit rate",
        "length",
        "ads",
        "prefixes",
    ]);
    for episode in &file.episodes {
        let published = episode.published_at.as_deref().unwrap_or_default();
        let seconds = episode
            .seconds
            .map(|secs| format!("{}:{:02}:{:02}", secs / 3_600, secs / 60 % 60, secs % 60));
        let rate = match episode.bit_rate {
            Some(rate) => rate.to_string(),
            None if episode.vbr => "varies".to_owned(),
            None => "?".to_owned(),
        };
        let size = match (episode.size_bytes, episode.probed) {
            (0, _) => "?".to_owned(),
            (bytes, false) if episode.claimed_bytes.is_some() => format!("{bytes} (feed)"),
            (bytes, _) => bytes.to_string(),
        };
        rows.add_row([
            Cell::new(&episode.show),
            Cell::new(&episode.id),
            Cell::new(published.get(..10).unwrap_or(published)),
            Cell::new(size),
            Cell::new(episode.id3_bytes),
            Cell::new(rate),
            Cell::new(seconds.unwrap_or_else(|| "?".to_owned())),
            Cell::new(episode.ads.len()),
            Cell::new(said(&wrapped(episode))),
        ]);
    }
    rows.to_string()
}

/// A question mark stands behind those that the product does not know.
fn said(wrappers: &[Wrapper<'_>]) -> String {
    let host = |wrapper: &Wrapper<'_>| {
        let host = wrapper.text.split('/').next().unwrap_or_default();
        format!("{host}{}", if wrapper.known { "" } else { "?" })
    };
    let hosts: Vec<String> = wrappers.iter().map(host).collect();
    hosts.join(" ")
}

fn wrapped(episode: &Episode) -> Vec<Wrapper<'_>> {
    let address = match episode.enclosure.as_str() {
        "" => &episode.path,
        enclosure => enclosure,
    };
    wrappers(address)
}

/// How many episodes each unknown prefix is around.
fn unknown(file: &CatalogFile) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for episode in &file.episodes {
        for wrapper in wrapped(episode).iter().filter(|wrapper| !wrapper.known) {
            *counts.entry(wrapper.text.to_owned()).or_default() += 1;
        }
    }
    counts
}
