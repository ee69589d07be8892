//! An item as an `episode` event.

use hostread_connectors_kit::{Connector, Mapped, Origin, Raw, Rejected};
use hostread_schemas::EventTimeMs;
use hostread_schemas::event::{Body, Episode, Event};
use hostread_schemas::json::FieldError;
use hostread_schemas::json::validate;

use super::{Item, read};

/// Maps a feed of one item; the field `show` names the show, and `time` (milliseconds) is when the feed was read.
#[derive(Clone, Copy, Debug, Default)]
pub struct FeedConnector;

impl Connector for FeedConnector {
    fn name(&self) -> &'static str {
        "feed"
    }

    fn map(&self, origin: &Origin<'_>, raw: &Raw<'_>) -> Mapped {
        let feed = match read(raw.body) {
            Ok(feed) => feed,
            Err(error) => return Mapped::Rejected(Rejected::whole("feed", error.to_string())),
        };
        if let Some(refused) = feed.refused.first() {
            return Mapped::Rejected(Rejected::whole("item", refused.why));
        }
        let Some(item) = feed.items.first() else {
            return Mapped::Nothing;
        };
        event(origin, raw, item).into()
    }
}

fn event(origin: &Origin<'_>, raw: &Raw<'_>, item: &Item) -> Result<Event, Rejected> {
    let field = |name| raw.field(name).unwrap_or_default();
    let time = field("time").parse();
    let time = time.map_err(|_| Rejected::field("date", "time", "is no number"))?;
    let show = field("show");
    let own_id = format!("{show}\0{}\0{time}", item.guid);
    let body = Body::Episode(episode(show, item));
    let event = origin.event(own_id.as_bytes(), EventTimeMs(time), body);
    let bounds = |error: FieldError| Rejected::field("item", error.field, error.message);
    validate(&event, event.meta.time).map_err(bounds)?;
    Ok(event)
}

/// What the feed alone says of an episode. The size is a claim, and so is the length.
#[must_use]
pub fn episode(show: &str, item: &Item) -> Episode {
    let other = item.alternate_paths.iter().cloned();
    Episode {
        show: show.to_owned(),
        episode: item.guid.clone(),
        title: item.title.clone(),
        enclosures: std::iter::once(item.path.clone()).chain(other).collect(),
        published_at: item.published_at,
        size_bytes: item.length.unwrap_or(0),
        duration_secs: item.seconds,
        ..Episode::default()
    }
}
