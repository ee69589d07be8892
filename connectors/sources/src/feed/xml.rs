//! The XML of a feed, element by element.

use std::collections::HashSet;

use hostread_connectors_kit::text::{cut, enclosure_path};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::chapters::{CHAPTERS_MAX, chapter};
use super::space::{Space, Spaces};
use super::text::{attributes, decoded, referred};
use super::time::{length_ms, published_at};
use super::{Feed, FeedError, ITEMS_MAX, Item, Refused};

/// Elements inside elements. Feeds have six, notes as markup some more.
const DEPTH_MAX: usize = 64;
/// Of a text so much is kept: what the doors take of an address or a title.
const TEXT_BYTES_MAX: usize = 2_048;
/// What the doors take of a name.
const GUID_BYTES_MAX: usize = 512;

/// A text that is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Title,
    Guid,
    Published,
    Duration,
    ShowTitle,
    ShowGuid,
    MovedTo,
}

#[derive(Default)]
struct State {
    feed: Feed,
    spaces: Spaces,
    depth: usize,
    has_root: bool,
    in_channel: bool,
    item: Option<Item>,
    /// The text that is being read, and the depth of its element.
    field: Option<(Field, usize)>,
    text: String,
    /// Items so far, whatever they were.
    number: usize,
    guids: HashSet<String>,
    paths: HashSet<String>,
}

/// Reads a feed.
pub fn read(bytes: &[u8]) -> Result<Feed, FeedError> {
    let text = decoded(bytes)?;
    let mut reader = Reader::from_str(&text);
    let config = reader.config_mut();
    config.expand_empty_elements = true;
    config.allow_dangling_amp = true;
    let mut state = State::default();
    loop {
        let event = reader.read_event().map_err(|error| FeedError::Xml {
            at: reader.error_position(),
            message: error.to_string(),
        })?;
        match event {
            Event::Start(element) => state.open(&element)?,
            Event::End(_) => state.close(),
            Event::Text(part) => state.say(&String::from_utf8_lossy(&part)),
            Event::CData(part) => state.say(&String::from_utf8_lossy(&part)),
            Event::GeneralRef(name) => state.say(&referred(&name)),
            Event::Eof if state.depth > 0 || !state.has_root => return Err(FeedError::Cut),
            Event::Eof => return Ok(state.feed),
            // Entities that a document type declares are not looked at, so none can grow.
            _ => {}
        }
    }
}

impl State {
    fn open(&mut self, element: &BytesStart<'_>) -> Result<(), FeedError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(FeedError::Deep(DEPTH_MAX));
        }
        let name = element.local_name();
        let name = name.as_ref();
        if self.depth == 1 {
            if name != b"rss" {
                let name = String::from_utf8_lossy(name);
                return Err(FeedError::Root(cut(&name, 100).to_owned()));
            }
            self.has_root = true;
        }
        if self.depth <= 2 {
            self.spaces.learn(element);
        }
        let space = self.spaces.of(element);
        match (self.depth, &mut self.item) {
            (2, _) => self.in_channel = name == b"channel",
            (3, _) if self.in_channel && space == Space::Rss && name == b"item" => {
                self.number += 1;
                if self.feed.items.len() < ITEMS_MAX {
                    self.item = Some(Item::default());
                } else {
                    self.feed.items_beyond += 1;
                }
            }
            (3, _) if self.in_channel => self.want(show_field(space, name)),
            (4, Some(item)) => match (space, name) {
                (Space::Rss, b"enclosure") => enclosure(item, element),
                (Space::Podcast, b"chapters") => {
                    let [url, kind] = attributes(element, ["url", "type"]);
                    if kind.is_some_and(|kind| kind.contains("json")) {
                        item.chapters_url = url;
                    }
                }
                _ => self.want(item_field(space, name)),
            },
            (5, Some(item)) if space == Space::Psc && name == b"chapter" => {
                let [start, title] = attributes(element, ["start", "title"]);
                let found = chapter(&start.unwrap_or_default(), &title.unwrap_or_default());
                if item.chapters.len() < CHAPTERS_MAX {
                    item.chapters.extend(found);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self) {
        if let Some((field, _)) = self.field.filter(|(_, depth)| *depth == self.depth) {
            self.field = None;
            self.keep(field);
        }
        if self.depth == 3
            && let Some(item) = self.item.take()
        {
            self.add(item);
        }
        self.depth = self.depth.saturating_sub(1);
    }

    fn want(&mut self, field: Option<Field>) {
        self.text.clear();
        self.field = field.map(|field| (field, self.depth));
    }

    fn say(&mut self, part: &str) {
        if self.field.is_some() {
            // One byte more than is kept says that it was longer.
            let room = (TEXT_BYTES_MAX + 4).saturating_sub(self.text.len());
            self.text.push_str(cut(part, room));
        }
    }

    fn keep(&mut self, field: Field) {
        let text = self.text.trim();
        let feed = &mut self.feed;
        let short = |bytes_max| cut(text, bytes_max).trim_end().to_owned();
        match (field, &mut self.item) {
            (Field::ShowTitle, _) => feed.title = short(GUID_BYTES_MAX),
            (Field::ShowGuid, _) => feed.guid = Some(short(GUID_BYTES_MAX)),
            (Field::MovedTo, _) => feed.moved_to = Some(short(TEXT_BYTES_MAX)),
            (Field::Title, Some(item)) => item.title = short(GUID_BYTES_MAX),
            // Too long a name is refused, not cut to another.
            (Field::Guid, Some(item)) => text.clone_into(&mut item.guid),
            (Field::Published, Some(item)) => item.published_at = published_at(text),
            (Field::Duration, Some(item)) => {
                let seconds = length_ms(text).map(|ms| ms / 1_000);
                item.seconds = seconds.and_then(|seconds| u32::try_from(seconds).ok());
            }
            _ => {}
        }
    }

    fn add(&mut self, mut item: Item) {
        if item.guid.is_empty() {
            item.guid.clone_from(&item.enclosure);
        }
        let why = self.fault(&mut item);
        match why {
            None => self.feed.items.push(item),
            Some(why) if self.feed.refused.len() < ITEMS_MAX => {
                let name = if item.guid.is_empty() {
                    &item.title
                } else {
                    &item.guid
                };
                self.feed.refused.push(Refused {
                    number: self.number,
                    name: cut(name, GUID_BYTES_MAX).to_owned(),
                    why,
                });
            }
            Some(_) => {}
        }
    }

    fn fault(&mut self, item: &mut Item) -> Option<&'static str> {
        if item.enclosure.is_empty() {
            return Some("has no enclosure");
        }
        if item.guid.len() > GUID_BYTES_MAX {
            return Some("has a GUID over 512 bytes");
        }
        if item.enclosure.len() > TEXT_BYTES_MAX {
            return Some("has an enclosure over 2,048 bytes");
        }
        if !item.enclosure.contains("://") {
            return Some("has an enclosure that is no address");
        }
        let Some(path) = enclosure_path(&item.enclosure) else {
            return Some("has an enclosure that is not UTF-8 once it is decoded");
        };
        item.path = path.into_owned();
        if !self.guids.insert(item.guid.clone()) {
            return Some("has the GUID of another item");
        }
        if !self.paths.insert(item.path.clone()) {
            return Some("has the path of another item: logs cannot tell them apart");
        }
        None
    }
}

fn show_field(space: Space, name: &[u8]) -> Option<Field> {
    match (space, name) {
        (Space::Rss, b"title") => Some(Field::ShowTitle),
        (Space::Podcast, b"guid") => Some(Field::ShowGuid),
        (Space::Itunes, b"new-feed-url") => Some(Field::MovedTo),
        _ => None,
    }
}

fn item_field(space: Space, name: &[u8]) -> Option<Field> {
    match (space, name) {
        (Space::Rss, b"title") => Some(Field::Title),
        (Space::Rss, b"guid") => Some(Field::Guid),
        (Space::Rss, b"pubDate") => Some(Field::Published),
        (Space::Itunes, b"duration") => Some(Field::Duration),
        _ => None,
    }
}

/// The first one that is sound, else the first.
fn enclosure(item: &mut Item, element: &BytesStart<'_>) {
    let [url, length, kind] = attributes(element, ["url", "length", "type"]);
    let sound = kind.is_some_and(|kind| kind.trim().to_ascii_lowercase().starts_with("audio/"));
    if !item.enclosure.is_empty() && (item.is_sound || !sound) {
        return;
    }
    item.is_sound = sound;
    url.unwrap_or_default()
        .trim()
        .clone_into(&mut item.enclosure);
    // Zero is what is written where nobody knows.
    let length = length.and_then(|length| length.trim().parse().ok());
    item.length = length.filter(|length| (1..=1 << 40).contains(length));
}
