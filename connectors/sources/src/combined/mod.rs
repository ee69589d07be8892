//! The "combined" access log of nginx, Apache and Fastly, with or without two more quoted fields (request Range and response
//! Content-Range). See this folder's README.

mod map;

use hostread_connectors_kit::{Connector, Mapped, Origin, Raw};

use crate::log::{Delivered, LogSettings};

/// Reads combined lines.
#[derive(Clone, Debug)]
pub struct Combined {
    settings: LogSettings,
}

impl Combined {
    /// For a feed.
    #[must_use]
    pub fn new(settings: LogSettings) -> Self {
        Self { settings }
    }

    /// Reads one line.
    #[must_use]
    pub fn read(&self, origin: &Origin<'_>, line: &[u8]) -> Mapped {
        self.hear(line, |delivered| Box::new(delivered.event(origin)))
    }

    /// What `then` makes of one line.
    pub fn hear<T>(&self, line: &[u8], then: impl FnOnce(&Delivered<'_>) -> T) -> Mapped<T> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Mapped::Nothing;
        }
        map::delivery(line, self.settings, then).into()
    }
}

impl Connector for Combined {
    fn name(&self) -> &'static str {
        "combined"
    }

    fn map(&self, origin: &Origin<'_>, raw: &Raw<'_>) -> Mapped {
        self.read(origin, raw.body)
    }
}

#[cfg(test)]
mod tests;
