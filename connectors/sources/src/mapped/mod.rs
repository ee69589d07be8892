//! Logs of JSON objects or CSV lines, as a mapping file says. See this folder's README.
//! Promises: what is wrong with a line or a mapping is said with the log's own name of the field.

mod csv;
mod json;
mod map;
mod mapping;
mod time;

use std::borrow::Cow;
use std::sync::Arc;

use hostread_connectors_kit::{Connector, Mapped, Origin, Raw, Rejected};

pub use mapping::{MAPPING_BYTES_MAX, Mapping, MappingError, Part};

use crate::log::{Delivered, LogSettings, malformed, text_of};
use csv::Columns;

/// What the named fields of a line hold, in the mapping's order.
type Values<'a> = Vec<Option<Cow<'a, str>>>;

/// Some programs begin a text file with it.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads the lines of one file.
#[derive(Clone, Debug)]
pub struct MappedLog {
    mapping: Arc<Mapping>,
    settings: LogSettings,
    /// The line of column names, as it came.
    head: Vec<u8>,
    /// Of CSV, once they are known.
    columns: Option<Columns>,
    /// A column that every line needs and the file does not have.
    lacks: Option<String>,
}

impl MappedLog {
    /// At the beginning of a file.
    #[must_use]
    pub fn new(mapping: Arc<Mapping>, settings: LogSettings) -> Self {
        let columns = mapping
            .columns
            .as_ref()
            .map(|names| Columns::new(names, &mapping.named));
        Self {
            mapping,
            settings,
            head: Vec::new(),
            columns,
            lacks: None,
        }
    }

    /// The next line of the file; the first of CSV is that of the columns' names.
    pub fn line(&mut self, origin: &Origin<'_>, line: &[u8]) -> Mapped {
        self.hear_next(line, |delivered| Box::new(delivered.event(origin)))
    }

    /// What `then` makes of the next line of the file.
    pub fn hear_next<T>(
        &mut self,
        line: &[u8],
        then: impl FnOnce(&Delivered<'_>) -> T,
    ) -> Mapped<T> {
        if self.mapping.has_head() && self.columns.is_none() {
            self.learn(line);
            return Mapped::Nothing;
        }
        self.hear(line, then)
    }

    /// Takes the columns' names from the file's first line; an empty one has none.
    pub fn learn(&mut self, head: &[u8]) {
        let known = self.columns.is_some() || !self.mapping.has_head();
        if known || head.trim_ascii().is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(bare(head));
        let names = csv::split(self.mapping.separator, text.trim_end()).unwrap_or_default();
        let columns = Columns::new(&names, &self.mapping.named);
        self.lacks = self.lacking(&columns).map(str::to_owned);
        self.columns = Some(columns);
        self.head = head.to_vec();
    }

    /// Whether it is the line of column names.
    #[must_use]
    pub fn is_head(&self, line: &[u8]) -> bool {
        !self.head.is_empty() && self.head == line
    }

    /// Reads one line.
    #[must_use]
    pub fn read(&self, origin: &Origin<'_>, line: &[u8]) -> Mapped {
        self.hear(line, |delivered| Box::new(delivered.event(origin)))
    }

    /// What `then` makes of one line.
    pub fn hear<T>(&self, line: &[u8], then: impl FnOnce(&Delivered<'_>) -> T) -> Mapped<T> {
        if line.iter().all(u8::is_ascii_whitespace) || self.is_head(line) {
            return Mapped::Nothing;
        }
        match self.values(bare(line)) {
            Err(rejected) => Mapped::Rejected(rejected),
            Ok(values) if self.skips(&values) => Mapped::Nothing,
            Ok(values) => map::delivery(&self.mapping, line, values, self.settings, then).into(),
        }
    }

    fn values<'a>(&self, line: &'a [u8]) -> Result<Values<'a>, Rejected> {
        let text = text_of(line)?;
        let mapping = &self.mapping;
        if mapping.is_json() {
            return json::read(&mapping.named, text).map_err(|why| malformed("fields", why));
        }
        let columns = self.columns.as_ref();
        let columns = columns.ok_or_else(|| malformed("fields", "the file names no columns"))?;
        if let Some(name) = &self.lacks {
            let message = format!("the file has no column \"{name}\"");
            return Err(malformed("fields", message));
        }
        let values = columns.read(mapping.separator, text);
        values.map_err(|why| malformed("fields", why))
    }

    fn lacking(&self, columns: &Columns) -> Option<&str> {
        let named = &self.mapping.named;
        let has = |part| {
            let mut of_part = (0..named.len()).filter(|at| named[*at].part == Some(part));
            of_part.any(|at| columns.has(at))
        };
        let mut wanted = named.iter().filter_map(|named| Some((named.part?, named)));
        wanted
            .find(|(part, _)| {
                part.is_needed() && self.mapping.fixed[*part as usize].is_none() && !has(*part)
            })
            .map(|(_, named)| named.name.as_str())
    }

    /// A line that is none of a listener, by the mapping's `skip`.
    fn skips(&self, values: &Values<'_>) -> bool {
        let mut named = self.mapping.named.iter().zip(values);
        named.any(|(named, value)| {
            named.part.is_none()
                && value.as_deref() == self.mapping.skip.get(&named.name).map(String::as_str)
        })
    }
}

impl Mapping {
    /// Whether a file that begins with this line is of this mapping.
    #[must_use]
    pub fn fits(&self, line: &[u8]) -> bool {
        let line = bare(line);
        if self.is_json() {
            return line.first() == Some(&b'{');
        }
        let text = String::from_utf8_lossy(line);
        let Ok(columns) = csv::split(self.separator, text.trim_end()) else {
            return false;
        };
        match &self.columns {
            Some(names) => columns.len() == names.len(),
            None => {
                (self.named.iter()).any(|named| columns.iter().any(|column| *column == named.name))
            }
        }
    }
}

/// Without a byte order mark.
fn bare(line: &[u8]) -> &[u8] {
    line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
}

impl Connector for MappedLog {
    fn name(&self) -> &'static str {
        crate::log::MAPPED
    }

    fn map(&self, origin: &Origin<'_>, raw: &Raw<'_>) -> Mapped {
        self.read(origin, raw.body)
    }
}

#[cfg(test)]
mod tests;
