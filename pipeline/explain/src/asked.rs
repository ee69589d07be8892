//! What can be asked for, by ids that views and reports show.

use hostread_schemas::intern::civil_day;
use hostread_schemas::view::Period;
use hostread_schemas::{Day, EventId, ListenerId};
use serde::Serialize;

/// Kind of a number that can be explained.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A row of `verdicts`.
    Request,
    /// A row of `downloads`.
    Download,
    /// A row of `conversions` and its rows of `credits`.
    Conversion,
    /// A row of `pacing`.
    Pacing,
    /// A row of `billing_lines`.
    BillingLine,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Request,
        Self::Download,
        Self::Conversion,
        Self::Pacing,
        Self::BillingLine,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Download => "download",
            Self::Conversion => "conversion",
            Self::Pacing => "pacing",
            Self::BillingLine => "billing-line",
        }
    }

    /// What its ids look like.
    #[must_use]
    pub const fn form(self) -> &'static str {
        match self {
            Self::Request => "`request` in verdicts, 32 hexadecimal digits; or DAY/REQUEST",
            Self::Download => "DAY/LISTENER/EPISODE: `day`, `listener` and `episode` in downloads",
            Self::Conversion => "`conversion` or `order_reference` in conversions",
            Self::Pacing => "`line` in pacing",
            Self::BillingLine => "LINE/YEAR-MONTH: `line` and `period` in billing_lines",
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.as_str() == text).ok_or(())
    }
}

/// A download: its day, its listener and the name of its episode.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DownloadId {
    pub(crate) day: Day,
    pub(crate) listener: ListenerId,
    pub(crate) episode: String,
}

impl std::fmt::Display for DownloadId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.day, self.listener, self.episode)
    }
}

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asked {
    /// A request, by the event's id; the day tells it from another that has the id of one that was released.
    Request(Option<Day>, EventId),
    /// A download.
    Download(DownloadId),
    /// A conversion, by its number or its order's reference.
    Conversion(String),
    /// How a line stands.
    Pacing(String),
    /// What a line costs in a month.
    BillingLine(String, Period),
}

impl Asked {
    /// Reads an id; `None` when no id of the kind looks so.
    #[must_use]
    pub fn parse(kind: Kind, id: &str) -> Option<Self> {
        let id = id.trim();
        if id.is_empty() {
            return None;
        }
        Some(match kind {
            Kind::Request => {
                let (day, id) = match id.split_once('/') {
                    Some((day, id)) => (Some(civil_day(day)?), id),
                    None => (None, id),
                };
                Self::Request(day, EventId::from_hex(&id.to_ascii_lowercase())?)
            }
            Kind::Download => {
                let mut parts = id.splitn(3, '/');
                let (day, listener) = (civil_day(parts.next()?)?, number(parts.next()?, "lsn_")?);
                let episode = parts.next().filter(|episode| !episode.is_empty())?;
                Self::Download(DownloadId {
                    day,
                    listener: ListenerId(listener),
                    episode: episode.to_owned(),
                })
            }
            Kind::Conversion => Self::Conversion(id.to_owned()),
            Kind::Pacing => Self::Pacing(id.to_owned()),
            Kind::BillingLine => {
                let (line, month) = id.rsplit_once('/').filter(|(line, _)| !line.is_empty())?;
                // A day of the month, as the table has it, will do.
                let month = month.get(..7)?;
                let first = civil_day(&format!("{month}-01"))?;
                Self::BillingLine(line.to_owned(), Period::of(first))
            }
        })
    }

    /// Kind of what is asked for.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Request(..) => Kind::Request,
            Self::Download(_) => Kind::Download,
            Self::Conversion(_) => Kind::Conversion,
            Self::Pacing(_) => Kind::Pacing,
            Self::BillingLine(..) => Kind::BillingLine,
        }
    }
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Request(Some(day), id) => write!(f, "{day}/{id}"),
            Self::Request(None, id) => id.fmt(f),
            Self::Download(id) => id.fmt(f),
            Self::Conversion(id) | Self::Pacing(id) => f.write_str(id),
            Self::BillingLine(line, period) => write!(f, "{line}/{period}"),
        }
    }
}

/// An id in hexadecimal with its prefix, as views show it, or as a number.
pub(crate) fn number(text: &str, prefix: &str) -> Option<u64> {
    match text.strip_prefix(prefix) {
        Some(hex) if hex.len() == 16 => u64::from_str_radix(hex, 16).ok(),
        Some(_) => None,
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;

    #[test]
    fn ids_as_the_tables_show_them() {
        let read = |kind, id: &str| Asked::parse(kind, id).map(|asked| asked.to_string());
        let event = "00ff00ff00ff00ff00ff00ff00ff00ff";
        assert_eq!(read(Kind::Request, event).as_deref(), Some(event));
        let on_day = format!("2026-03-14/{event}");
        assert_eq!(read(Kind::Request, &on_day), Some(on_day));
        assert_eq!(read(Kind::Request, "00ff"), None);
        let download = "2026-03-14/lsn_000000000000000c/https://a/b?c=d";
        assert_eq!(read(Kind::Download, download).as_deref(), Some(download));
        let number = "2026-03-14/12/https://a/b?c=d";
        assert_eq!(read(Kind::Download, number).as_deref(), Some(download));
        assert_eq!(read(Kind::Download, "2026-03-14/x/ep"), None);
        assert_eq!(read(Kind::Download, "2026-03-14/12/"), None);
        let line = "a/b/2026-03";
        assert_eq!(read(Kind::BillingLine, line).as_deref(), Some(line));
        assert_eq!(
            read(Kind::BillingLine, "a/2026-03-01").as_deref(),
            Some("a/2026-03")
        );
        assert_eq!(read(Kind::BillingLine, "a/2026-13"), None);
        assert_eq!(read(Kind::BillingLine, "/2026-03"), None);
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(read(kind, " "), None);
            assert_eq!(
                read(kind, "ä/ä/ä").is_none(),
                !matches!(kind, Kind::Conversion | Kind::Pacing)
            );
        }
    }
}
