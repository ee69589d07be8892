//! The redirect prefix: a hit is a `request` without bytes. See this folder's README.

mod target;

use hostread_connectors_kit::{Connector, Mapped, Origin, Raw, Rejected};
use hostread_schemas::event::{Event, RequestText, SourceKind};
use hostread_schemas::unit::EventTimeMs;

pub use target::{PrefixFeed, TargetRefused};

use crate::log::{Delivery, LogSettings, method, text_of};
use crate::range::range_asked;

/// What the prefix answers.
const REDIRECT: u16 = 302;

/// Maps a hit: the address that it was led to, with the fields `time` (milliseconds), `peer`, `method`, `request-id`, `user-agent`,
/// `referer` and `range`.
#[derive(Clone, Copy, Debug, Default)]
pub struct PrefixDoor;

impl Connector for PrefixDoor {
    fn name(&self) -> &'static str {
        "prefix"
    }

    fn map(&self, origin: &Origin<'_>, raw: &Raw<'_>) -> Mapped {
        event(origin, raw).into()
    }
}

/// The same event that a line of the prefix's own log would be.
fn event(origin: &Origin<'_>, raw: &Raw<'_>) -> Result<Event, Rejected> {
    let field = |name| raw.field(name).unwrap_or_default();
    let own_id = field("request-id");
    if own_id.is_empty() {
        return Err(Rejected::field("missing", "request-id", "is missing"));
    }
    let time = field("time").parse();
    let time = time.map_err(|_| Rejected::field("date", "time", "is no number"))?;
    let asked = range_asked(field("range"));
    let settings = LogSettings {
        source_kind: SourceKind::Prefix,
        stitched: false,
    };
    Delivery {
        own_id: own_id.as_bytes(),
        time: EventTimeMs(time),
        ip: field("peer"),
        target: text_of(raw.body)?,
        referrer: field("referer"),
        request: RequestText {
            method: method(field("method")),
            status: REDIRECT,
            range_first: asked.map(|(first, _)| first),
            range_last: asked.and_then(|(_, last)| last),
            agent: field("user-agent"),
            ..RequestText::default()
        },
    }
    .hear(settings, |delivered| delivered.event(origin))
}

#[cfg(test)]
mod tests;
