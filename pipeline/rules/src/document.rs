//! Rule sets as documents: what people read, sign and publish. JSON, `{name, version, title, parameters: {name: {value, source}}}`.
//!
//! Needs: the text. Promises: a document that is read can be applied; what the engine cannot do is refused by the parameter's
//! name, and so is a parameter that is unknown, missing, or without a source. Leaves out: contents of lists, which a document
//! names by hash. Invariant 1: a document that was written and read again is the same.

mod check;
mod shipped;

use std::collections::BTreeMap;

use hostread_schemas::event::{Hash64, Included, RuleSet};
use jiff::civil::Date;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use shipped::{ParameterRow, SHIPPED, Varies, parameters, shipped};

use crate::agents::AgentPatterns;
use crate::counting::window::Window;

/// What a parameter that the text does not settle is said to rest on.
pub const NOT_VERIFIED: &str = "not verified";

/// What is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct DocumentError {
    /// The field, such as `parameters.threshold_secs`.
    pub field: String,
    /// What is wrong with it.
    pub why: String,
}

impl DocumentError {
    fn new(field: impl Into<String>, why: impl Into<String>) -> Self {
        let (field, why) = (field.into(), why.into());
        Self { field, why }
    }

    /// About a parameter.
    #[must_use]
    pub fn of(parameter: &str, why: impl Into<String>) -> Self {
        Self::new(format!("parameters.{parameter}"), why)
    }
}

/// A rule set, versioned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Document {
    /// Its name, such as `iab-2.2`.
    pub name: String,
    /// Its version: another text is another version.
    pub version: String,
    /// For people.
    pub title: String,
    /// Seconds of audio that make a download.
    pub threshold_secs: u32,
    /// A request of a prefix source for bytes 0-1 does not count.
    pub prefix_drops_range_0_1: bool,
    /// Downloads of an address on a day above which it loses them all; 0 = off.
    pub ip_volume_downloads_max: u32,
    /// Referrer hosts whose requests do not count.
    pub referrers_denied: Vec<String>,
    /// Networks that are let in.
    pub inclusion: Vec<Inclusion>,
    /// Files with patterns of bots.
    pub bots: Vec<ListFile>,
    /// Files with networks that no person listens from.
    pub data_centres: Vec<ListFile>,
    /// Which requests can be one download.
    pub window: Window,
    /// Where days begin.
    pub zone: String,
    /// What each parameter rests on.
    pub sources: BTreeMap<String, String>,
}

/// A network of many people that is let in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inclusion {
    /// An address or a network.
    pub range: String,
    /// Who let it in.
    pub who: String,
    /// On which date.
    pub when: String,
    /// What speaks for it.
    pub evidence: String,
    /// From this date on it is not let in any more.
    pub expires: String,
}

impl Inclusion {
    /// Is it let in on a date? `when` and `expires` were checked.
    #[must_use]
    pub fn holds_on(&self, today: Date) -> bool {
        let date = |text: &str| text.parse::<Date>().ok();
        date(&self.when).is_some_and(|when| when <= today)
            && date(&self.expires).is_some_and(|expires| today < expires)
    }
}

/// A list, by what it holds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListFile {
    /// Its name; for people.
    pub file: String,
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
    /// How many entries it has.
    pub count: u64,
    /// Date of the file.
    pub date: String,
}

/// What an event brings of the lists, which a document names only.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Held {
    /// Patterns of agents.
    pub agents: AgentPatterns,
    /// Networks that no person listens from, under the tenant's key.
    pub nonhuman_nets: Vec<Hash64>,
    /// Networks that are let in, under the tenant's key.
    pub included: Vec<Included>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    name: String,
    version: String,
    #[serde(default)]
    title: String,
    parameters: BTreeMap<String, Row>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    value: Value,
    source: String,
}

/// Reads JSON; an error names the place.
fn read<'de, T: DeserializeOwned>(
    json: impl serde::Deserializer<'de, Error = serde_json::Error>,
    at: &str,
) -> Result<T, DocumentError> {
    serde_path_to_error::deserialize(json).map_err(|error| {
        let path = error.path().to_string();
        let field = match (at, path.as_str()) {
            ("", ".") => "the document".to_owned(),
            ("", path) => path.to_owned(),
            (at, ".") => at.to_owned(),
            (at, path) if path.starts_with('[') => format!("{at}{path}"),
            (at, path) => format!("{at}.{path}"),
        };
        DocumentError::new(field, error.into_inner().to_string())
    })
}

impl Document {
    /// Reads and checks a document.
    pub fn parse(json: &[u8]) -> Result<Self, DocumentError> {
        let mut text = serde_json::Deserializer::from_slice(json);
        let wire: Wire = read(&mut text, "")?;
        text.end()
            .map_err(|error| DocumentError::new("the document", error.to_string()))?;
        Self::of(wire)
    }

    fn of(wire: Wire) -> Result<Self, DocumentError> {
        check::fixed(&wire.parameters)?;
        let rows = &wire.parameters;
        let range_0_1: check::Range01 = value(rows, "range_0_1")?;
        let sources = rows.iter().map(|(name, row)| {
            let source = row.source.trim().to_owned();
            (name.clone(), source)
        });
        let document = Self {
            threshold_secs: value(rows, "threshold_secs")?,
            prefix_drops_range_0_1: range_0_1.prefix_drops()?,
            ip_volume_downloads_max: value(rows, "ip_volume_downloads_max")?,
            referrers_denied: value(rows, "referrers_denied")?,
            inclusion: value(rows, "inclusion")?,
            bots: value(rows, "bots")?,
            data_centres: value(rows, "data_centres")?,
            window: value(rows, "window")?,
            zone: value(rows, "zone")?,
            sources: sources.collect(),
            name: wire.name,
            version: wire.version,
            title: wire.title,
        };
        check::document(&document)?;
        Ok(document)
    }

    /// Name and version, as events and reports have it.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}+{}", self.name, self.version)
    }

    /// The value of each parameter, in the order of the table.
    #[must_use]
    pub fn values(&self) -> Vec<(String, Value)> {
        let value = |name: &str| match name {
            "threshold_secs" => json!(self.threshold_secs),
            "range_0_1" => check::Range01::value(self.prefix_drops_range_0_1),
            "ip_volume_downloads_max" => json!(self.ip_volume_downloads_max),
            "referrers_denied" => json!(self.referrers_denied),
            "inclusion" => json!(self.inclusion),
            "bots" => json!(self.bots),
            "data_centres" => json!(self.data_centres),
            "window" => json!(self.window),
            "zone" => json!(self.zone),
            fixed => check::fixed_value(fixed),
        };
        let names = parameters().into_iter().map(|row| row.parameter);
        names.map(|name| (name.clone(), value(&name))).collect()
    }

    /// The document as JSON, a parameter a line.
    #[must_use]
    pub fn json(&self) -> String {
        let head = [
            ("name", &self.name),
            ("version", &self.version),
            ("title", &self.title),
        ];
        let head = head.map(|(field, text)| format!("  {}: {},\n", json!(field), json!(text)));
        let row = |(name, value): (String, Value)| {
            let source = json!(self.sources.get(&name));
            format!(
                "    {}: {{\"value\": {value}, \"source\": {source}}}",
                json!(name)
            )
        };
        let rows: Vec<String> = self.values().into_iter().map(row).collect();
        let rows = rows.join(",\n");
        format!(
            "{{\n{}  \"parameters\": {{\n{rows}\n  }}\n}}",
            head.concat()
        )
    }

    /// Can the pipeline apply it? `hostread count` can do more.
    pub fn check_for_pipeline(&self) -> Result<(), DocumentError> {
        if self.window != Window::Calendar {
            let why = "the pipeline bills and credits by calendar days only; downloads_daily has this window's downloads, too";
            return Err(DocumentError::of("window", why));
        }
        if self.zone != "UTC" {
            let why = "the pipeline's days begin in UTC only; hostread count has this zone";
            return Err(DocumentError::of("zone", why));
        }
        Ok(())
    }

    /// The event that brings it to the pipeline.
    #[must_use]
    pub fn event(&self, held: Held) -> RuleSet {
        RuleSet {
            rule_set: self.full_name(),
            threshold_secs: self.threshold_secs,
            bot_agents: held.agents.bots,
            other_agents: held.agents.others,
            nonhuman_nets: held.nonhuman_nets,
            included: held.included,
            referrers_denied: self.referrers_denied.clone(),
            prefix_drops_range_0_1: self.prefix_drops_range_0_1,
            ip_volume_downloads_max: self.ip_volume_downloads_max,
        }
    }

    /// Parameters whose values differ, with that of this one and that of the other.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<(String, Value, Value)> {
        let pairs = self.values().into_iter().zip(other.values());
        let pairs = pairs.map(|((name, one), (_, other))| (name, one, other));
        pairs.filter(|(_, one, other)| one != other).collect()
    }
}

/// The value of a parameter; that it is there was checked.
fn value<T: DeserializeOwned>(
    rows: &BTreeMap<String, Row>,
    name: &str,
) -> Result<T, DocumentError> {
    let row = rows.get(name);
    let value = row.map_or(Value::Null, |row| row.value.clone());
    read(value, &format!("parameters.{name}.value"))
}

#[cfg(test)]
mod tests;
