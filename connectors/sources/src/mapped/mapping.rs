//! What a mapping file says: which field of a line is what.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::tz::TimeZone;
use serde::Deserialize;

use super::time::TimeFormat;

/// A longer mapping is none; it travels in a header with every piece of a log.
pub const MAPPING_BYTES_MAX: usize = 6 << 10;
/// Encodings of one field that are undone.
const ENCODED_MAX: u8 = 3;

/// What a field of a line can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// When it was asked for.
    Time,
    /// The listener's address.
    Ip,
    /// GET, HEAD, …
    Method,
    /// Host asked for.
    Host,
    /// Path or whole address asked for.
    Path,
    /// HTTP status of the answer.
    Status,
    /// User agent.
    Agent,
    /// Referer.
    Referrer,
    /// Bytes of the answer's body that were sent.
    Bytes,
    /// Bytes that were sent, the answer's headers included.
    BytesWithHeaders,
    /// Content-Length of the answer.
    Length,
    /// The request's Range.
    Range,
    /// The answer's Content-Range.
    ContentRange,
    /// First byte of the body that was sent.
    FirstByte,
    /// The request's own id.
    Id,
    /// The listener's session.
    Session,
}

impl Part {
    pub(super) const COUNT: usize = Self::Session as usize + 1;

    /// Without it a line is no request.
    const NEEDED: [(Self, &'static str); 6] = [
        (Self::Time, "time"),
        (Self::Ip, "ip"),
        (Self::Method, "method"),
        (Self::Path, "path"),
        (Self::Status, "status"),
        (Self::Agent, "agent"),
    ];

    pub(super) fn is_needed(self) -> bool {
        Self::NEEDED.iter().any(|(part, _)| *part == self)
    }
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Written {
    Json,
    Csv,
}

/// One name, or several of which the first that a line has counts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    lines: Written,
    fields: BTreeMap<Part, Names>,
    #[serde(default)]
    fixed: BTreeMap<Part, String>,
    #[serde(default)]
    skip: BTreeMap<String, String>,
    #[serde(default)]
    encoded: BTreeMap<Part, u8>,
    #[serde(default)]
    time_format: Option<String>,
    #[serde(default)]
    zone: Option<String>,
    #[serde(default)]
    separator: Option<char>,
    #[serde(default)]
    columns: Option<Vec<String>>,
}

/// Why a mapping cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// Not JSON, or not of this shape.
    #[error("the mapping cannot be read: {0}")]
    Shape(#[source] serde_json::Error),
    /// Longer than `MAPPING_BYTES_MAX`.
    #[error("the mapping is longer than {MAPPING_BYTES_MAX} bytes")]
    TooLong,
    /// A part that every line needs.
    #[error(
        "the mapping's \"fields\" do not say which field is \"{part}\"; name it, or give \"fixed\" a value for it"
    )]
    Missing {
        /// Which.
        part: &'static str,
    },
    /// Neither kind of bytes.
    #[error(
        "the mapping's \"fields\" name neither \"bytes\" nor \"bytes_with_headers\"; only the log of a prefix knows none"
    )]
    NoBytes,
    /// A value that cannot be used.
    #[error("the mapping's \"{field}\" {message}")]
    Value {
        /// Its place.
        field: &'static str,
        /// What is wrong.
        message: String,
    },
}

/// A field of a line that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// As the log calls it; in JSON, `a.b` is also `b` inside `a`.
    pub(super) name: String,
    /// What it is; nothing for one that only says whether a line is to be skipped.
    pub(super) part: Option<Part>,
}

/// Which field of a line is what. See the folder's README.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// As it came, on one line.
    text: String,
    written: Written,
    /// In order of preference within a part.
    pub(super) named: Vec<Named>,
    pub(super) fixed: [Option<String>; Part::COUNT],
    pub(super) skip: BTreeMap<String, String>,
    pub(super) encoded: [u8; Part::COUNT],
    pub(super) time: TimeFormat,
    pub(super) separator: u8,
    pub(super) columns: Option<Vec<String>>,
}

impl Mapping {
    /// Reads a mapping file.
    pub fn read(json: &[u8]) -> Result<Self, MappingError> {
        let file: File = serde_json::from_slice(json).map_err(MappingError::Shape)?;
        let whole: serde_json::Value = serde_json::from_slice(json).map_err(MappingError::Shape)?;
        let text = ascii(&whole.to_string());
        if text.len() > MAPPING_BYTES_MAX {
            return Err(MappingError::TooLong);
        }
        let zone = match &file.zone {
            None => TimeZone::UTC,
            Some(zone) => TimeZone::get(zone).map_err(|_| {
                value(
                    "zone",
                    format!("\"{zone}\" is no time zone such as Europe/Berlin"),
                )
            })?,
        };
        let time = TimeFormat::new(file.time_format.as_deref(), zone)
            .map_err(|message| value("time_format", message))?;
        let separator = u8::try_from(file.separator.unwrap_or(','))
            .ok()
            .filter(|separator| separator.is_ascii() && !b"\"\r\n".contains(separator))
            .ok_or_else(|| value("separator", "is no character that parts columns".to_owned()))?;
        let mut fixed = [const { None }; Part::COUNT];
        for (part, text) in &file.fixed {
            fixed[*part as usize] = Some(text.clone());
        }
        let mut encoded = [0; Part::COUNT];
        for (part, times) in &file.encoded {
            if *times > ENCODED_MAX {
                return Err(value(
                    "encoded",
                    format!("undoes at most {ENCODED_MAX} encodings"),
                ));
            }
            encoded[*part as usize] = *times;
        }
        let missing = Part::NEEDED
            .iter()
            .find(|(part, _)| !file.fields.contains_key(part) && !file.fixed.contains_key(part));
        if let Some((_, part)) = missing {
            return Err(MappingError::Missing { part });
        }
        Ok(Self {
            text,
            written: file.lines,
            named: named(file.fields, &file.skip)?,
            fixed,
            skip: file.skip,
            encoded,
            time,
            separator,
            columns: file.columns,
        })
    }

    /// The same mapping on one line of ASCII, as a header takes it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether files begin with a line of column names.
    #[must_use]
    pub fn has_head(&self) -> bool {
        self.written == Written::Csv && self.columns.is_none()
    }

    pub(super) fn is_json(&self) -> bool {
        self.written == Written::Json
    }

    /// Whether a log without bytes would not be noticed.
    pub fn check_bytes(&self) -> Result<(), MappingError> {
        let bytes = [Part::Bytes, Part::BytesWithHeaders];
        let there = |part: &Part| {
            self.fixed[*part as usize].is_some() || self.named.iter().any(|n| n.part == Some(*part))
        };
        if bytes.iter().any(there) {
            Ok(())
        } else {
            Err(MappingError::NoBytes)
        }
    }

    /// The name of a part, for whoever wrote the log.
    pub(super) fn name_of(&self, part: Part) -> &str {
        let named = self.named.iter().find(|named| named.part == Some(part));
        named.map_or("fixed", |named| &named.name)
    }
}

fn value(field: &'static str, message: String) -> MappingError {
    MappingError::Value { field, message }
}

fn named(
    fields: BTreeMap<Part, Names>,
    skip: &BTreeMap<String, String>,
) -> Result<Vec<Named>, MappingError> {
    let mut all: Vec<Named> = Vec::new();
    for (part, names) in fields {
        let names = match names {
            Names::One(name) => vec![name],
            Names::Several(names) => names,
        };
        if names.is_empty() || names.iter().any(String::is_empty) {
            return Err(value("fields", "hold an empty name".to_owned()));
        }
        all.extend(names.into_iter().map(|name| Named {
            name,
            part: Some(part),
        }));
    }
    all.extend(skip.keys().map(|name| Named {
        name: name.clone(),
        part: None,
    }));
    let twice = all
        .iter()
        .enumerate()
        .find(|(at, one)| all.iter().take(*at).any(|there| there.name == one.name));
    match twice {
        Some((_, one)) => Err(value("fields", format!("name \"{}\" twice", one.name))),
        None => Ok(all),
    }
}

/// JSON with what is not ASCII as `\u`.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut units = [0_u16; 2];
    for c in json.chars() {
        if c.is_ascii() {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                // Writing to a text cannot fail.
                write!(text, "\\u{unit:04x}").ok();
            }
        }
    }
    text
}
