//! The rule sets that ship with the product: one table, a source per row and rule set (`rule_sets/iab.json`).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Document, Row, Wire};

const TABLE: &str = include_str!("../../rule_sets/iab.json");
/// Names of the shipped rule sets, oldest first.
pub const SHIPPED: [&str; 3] = ["2.1", "2.2", "2.3"];

/// May documents differ in a parameter?
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Varies {
    /// They may.
    Yes,
    /// The engine does it one way.
    No,
    /// `hostread count` can, the pipeline does it one way.
    Count,
}

/// A row of the table.
#[derive(Clone, Debug, Deserialize)]
pub struct ParameterRow {
    /// Its name.
    pub parameter: String,
    /// What it says.
    pub what: String,
    /// Who can apply another value.
    pub varies: Varies,
    #[serde(flatten)]
    rule_sets: BTreeMap<String, Row>,
}

#[derive(Deserialize)]
struct Table {
    rule_sets: BTreeMap<String, Head>,
    parameters: Vec<ParameterRow>,
}

#[derive(Deserialize)]
struct Head {
    name: String,
    version: String,
    title: String,
}

fn table() -> Table {
    // A test reads it.
    serde_json::from_str(TABLE).unwrap_or_else(|_| Table {
        rule_sets: BTreeMap::new(),
        parameters: Vec::new(),
    })
}

/// Every parameter, in the order in which they are shown.
#[must_use]
pub fn parameters() -> Vec<ParameterRow> {
    table().parameters
}

/// A shipped rule set by its number (`2.2`) or name (`iab-2.2`).
#[must_use]
pub fn shipped(name: &str) -> Option<Document> {
    let number = name.strip_prefix("iab-").unwrap_or(name);
    let Table {
        mut rule_sets,
        parameters,
    } = table();
    let head = rule_sets.remove(number)?;
    let rows = parameters.into_iter().filter_map(|mut row| {
        let of = row.rule_sets.remove(number)?;
        Some((row.parameter, of))
    });
    let wire = Wire {
        name: head.name,
        version: head.version,
        title: head.title,
        parameters: rows.collect(),
    };
    Document::of(wire).ok()
}
