//! Rule sets as the commands use them: shipped by name, or from a file.

mod agents;
pub(crate) mod keyed;
mod lists;

use std::path::Path;

use anyhow::{Context, Result};
use hostread_job::wall_ms;
use hostread_rules::Document;
use hostread_rules::document::{SHIPPED, shipped};
use hostread_schemas::EventTimeMs;
use jiff::civil::Date;

pub(crate) use agents::AgentFiles;
pub(crate) use lists::{Dated, Lists, ranges};

/// A shipped rule set by its name, else a file.
pub(crate) fn load(name: &str) -> Result<Document> {
    if let Some(document) = shipped(name) {
        return Ok(document);
    }
    let text = std::fs::read(Path::new(name)).with_context(|| {
        let all = SHIPPED.join(", ");
        format!("reading the rule set {name}, which is none of {all} and no file")
    })?;
    Document::parse(&text).with_context(|| name.to_owned())
}

/// What reports call it: the number of a shipped one, else name and version.
pub(crate) fn said(name: &str, document: &Document) -> String {
    match shipped(name) {
        Some(_) => name.trim_start_matches("iab-").to_owned(),
        None => document.full_name(),
    }
}

/// The date, by which inclusions expire.
pub(crate) fn today() -> Date {
    EventTimeMs(wall_ms()).day().date()
}
