//! CloudFront standard access logs, version 1. See this folder's README for the fields and the rules.

mod map;

use hostread_connectors_kit::{Connector, Mapped, Origin, Raw};

use crate::log::{Delivered, LogSettings};
use map::Columns;

/// Reads CloudFront lines. Column places come from the file's `#Fields:` line; without one, the 33 fields of today.
#[derive(Clone, Debug)]
pub struct Cloudfront {
    settings: LogSettings,
    columns: Columns,
}

impl Cloudfront {
    /// With the fields of today.
    #[must_use]
    pub fn new(settings: LogSettings) -> Self {
        Self {
            settings,
            columns: Columns::default(),
        }
    }

    /// Takes the column places from a `#Fields:` line; any other line changes nothing.
    pub fn learn(&mut self, line: &[u8]) {
        let names = line
            .strip_prefix(b"#Fields:")
            .and_then(|names| std::str::from_utf8(names).ok());
        if let Some(columns) = names.map(Columns::from_names) {
            self.columns = columns;
        }
    }

    /// Reads one line.
    #[must_use]
    pub fn read(&self, origin: &Origin<'_>, line: &[u8]) -> Mapped {
        self.hear(line, |delivered| Box::new(delivered.event(origin)))
    }

    /// What `then` makes of one line.
    pub fn hear<T>(&self, line: &[u8], then: impl FnOnce(&Delivered<'_>) -> T) -> Mapped<T> {
        if line.starts_with(b"#") || line.iter().all(u8::is_ascii_whitespace) {
            return Mapped::Nothing;
        }
        map::delivery(&self.columns, line, self.settings, then).into()
    }
}

impl Connector for Cloudfront {
    fn name(&self) -> &'static str {
        "cloudfront"
    }

    fn map(&self, origin: &Origin<'_>, raw: &Raw<'_>) -> Mapped {
        self.read(origin, raw.body)
    }
}

#[cfg(test)]
mod tests;
