//! The XML of a feed, element by element.

use std::collections::HashSet;

use hostread_connectors_kit::text::{cut, enclosure_path};
use hostread_schemas::unit::EventTimeMs;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::chapters::{CHAPTERS_MAX, chapter};
use super::enclosure::{Offer, Sound, settle};
use super::space::{Format, Space, Spaces};
use super::text::{attributes, decoded, referred, unescaped};
use super::time::{length_ms, published_at};
use super::{ENCLOSURE_BYTES_MAX, Feed, FeedError, ITEMS_MAX, Item, Refused};

/// Elements inside elements. Feeds have six, notes as markup some more.
const DEPTH_MAX: usize = 64;
/// Of a text so much is kept: what the doors take of an address or a title.
const TEXT_BYTES_MAX: usize = ENCLOSURE_BYTES_MAX;
/// What the doors take of a name.
const GUID_BYTES_MAX: usize = 512;
/// What a link of Atom to a sound is; the registry's whole name means the same.
const ENCLOSURE: [&str; 2] = [
    "enclosure",
    "http://www.iana.org/assignments/relation/enclosure",
];

/// A text that is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Title,
    Guid,
    Published,
    Updated,
    Duration,
    ShowTitle,
    ShowGuid,
    MovedTo,
}

/// An item that is being read.
#[derive(Default)]
struct Draft {
    item: Item,
    sound: Sound,
    /// Of Atom: when its text was last changed, which every entry has to say.
    updated_at: Option<EventTimeMs>,
}

#[derive(Default)]
struct State {
    feed: Feed,
    format: Format,
    spaces: Spaces,
    depth: usize,
    has_root: bool,
    in_channel: bool,
    draft: Option<Draft>,
    /// The text that is being read, and the depth of its element.
    field: Option<(Field, usize)>,
    text: String,
    /// It is HTML inside XML: its references stand for letters once more.
    text_is_html: bool,
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
            Event::Eof => {
                settle(&mut state.feed, &state.paths);
                return Ok(state.feed);
            }
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
        if self.depth == 1 {
            return self.root(element);
        }
        let item_depth = self.format.item_depth();
        if self.depth < item_depth {
            self.spaces.learn(element);
        }
        let space = self.spaces.of(element);
        let name = element.local_name();
        let name = name.as_ref();
        match (self.depth.checked_sub(item_depth), &mut self.draft) {
            (None, _) => self.in_channel = name == b"channel",
            (Some(0), _) if !self.in_channel => {}
            (Some(0), _) => match (space, name) {
                (Space::Rss, b"item") | (Space::Atom, b"entry") => self.begin(),
                _ => self.want(show_field(space, name), element),
            },
            (Some(1), Some(draft)) => {
                let field = part(draft, space, name, element);
                self.want(field, element);
            }
            (Some(2), Some(draft)) => inner_part(draft, space, name, element),
            _ => {}
        }
        Ok(())
    }

    fn root(&mut self, element: &BytesStart<'_>) -> Result<(), FeedError> {
        let Some(format) = self.spaces.root(element) else {
            let mut name = String::from_utf8_lossy(element.local_name().as_ref()).into_owned();
            if let [Some(space)] = attributes(element, ["xmlns"]) {
                name = format!("{name} xmlns=\"{space}\"");
            }
            return Err(FeedError::Root(cut(&name, 100).to_owned()));
        };
        self.format = format;
        self.has_root = true;
        self.in_channel = format == Format::Atom;
        Ok(())
    }

    fn begin(&mut self) {
        self.number += 1;
        if self.feed.items.len() < ITEMS_MAX {
            self.draft = Some(Draft::default());
        } else {
            self.feed.items_beyond += 1;
        }
    }

    fn close(&mut self) {
        if let Some((field, _)) = self.field.filter(|(_, depth)| *depth == self.depth) {
            self.field = None;
            self.keep(field);
        }
        if self.depth == self.format.item_depth()
            && let Some(draft) = self.draft.take()
        {
            self.add(draft);
        }
        self.depth = self.depth.saturating_sub(1);
    }

    fn want(&mut self, field: Option<Field>, element: &BytesStart<'_>) {
        self.text.clear();
        let [kind] = match field {
            Some(Field::Title | Field::ShowTitle) if self.format == Format::Atom => {
                attributes(element, ["type"])
            }
            _ => [None],
        };
        self.text_is_html = kind.is_some_and(|kind| kind == "html");
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
        let text = if self.text_is_html {
            &unescaped(&self.text)
        } else {
            &self.text
        };
        let text = text.trim();
        let feed = &mut self.feed;
        let short = |bytes_max| cut(text, bytes_max).trim_end().to_owned();
        match (field, &mut self.draft) {
            (Field::ShowTitle, _) => feed.title = short(GUID_BYTES_MAX),
            (Field::ShowGuid, _) => feed.guid = Some(short(GUID_BYTES_MAX)),
            (Field::MovedTo, _) => feed.moved_to = Some(short(TEXT_BYTES_MAX)),
            (Field::Title, Some(draft)) => draft.item.title = short(GUID_BYTES_MAX),
            // Too long a name is refused, not cut to another.
            (Field::Guid, Some(draft)) => text.clone_into(&mut draft.item.guid),
            (Field::Published, Some(draft)) => draft.item.published_at = published_at(text),
            (Field::Updated, Some(draft)) => draft.updated_at = published_at(text),
            (Field::Duration, Some(draft)) => {
                let seconds = length_ms(text).map(|ms| ms / 1_000);
                draft.item.seconds = seconds.and_then(|seconds| u32::try_from(seconds).ok());
            }
            _ => {}
        }
    }

    fn add(&mut self, draft: Draft) {
        let mut item = draft.item;
        draft.sound.name(&mut item);
        item.published_at = item.published_at.or(draft.updated_at);
        if item.guid.is_empty() {
            item.guid.clone_from(&item.enclosure);
        }
        let why = self.fault(&mut item);
        match why {
            None => {
                draft.sound.judge(&mut item, &mut self.feed.others);
                self.feed.items.push(item);
            }
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
        if item.enclosure.len() > ENCLOSURE_BYTES_MAX {
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
        (Space::Rss | Space::Atom, b"title") => Some(Field::ShowTitle),
        (Space::Podcast, b"guid") => Some(Field::ShowGuid),
        (Space::Itunes, b"new-feed-url") => Some(Field::MovedTo),
        _ => None,
    }
}

fn item_field(space: Space, name: &[u8]) -> Option<Field> {
    match (space, name) {
        (Space::Rss | Space::Atom, b"title") => Some(Field::Title),
        (Space::Rss, b"guid") | (Space::Atom, b"id") => Some(Field::Guid),
        (Space::Rss, b"pubDate") | (Space::Atom, b"published") => Some(Field::Published),
        (Space::Atom, b"updated") => Some(Field::Updated),
        (Space::Itunes, b"duration") => Some(Field::Duration),
        _ => None,
    }
}

/// Takes an element of an item that says it in attributes; of another, which text it has.
fn part(draft: &mut Draft, space: Space, name: &[u8], element: &BytesStart<'_>) -> Option<Field> {
    let Draft { item, sound, .. } = draft;
    sound.end_alternate();
    match (space, name) {
        (Space::Rss, b"enclosure") => {
            sound.enclosure(Offer::new(attributes(element, ["url", "length", "type"])));
        }
        (Space::Atom, b"link") => {
            let [rel, href, length, kind] = attributes(element, ["rel", "href", "length", "type"]);
            let rel = rel.unwrap_or_default();
            let is = |known: &&str| rel.trim().eq_ignore_ascii_case(known);
            if ENCLOSURE.iter().any(is) {
                sound.enclosure(Offer::new([href, length, kind]));
            }
        }
        (Space::Podcast, b"alternateEnclosure") => {
            let names = ["length", "type", "bitrate", "default"];
            sound.alternate(attributes(element, names));
        }
        (Space::Podcast, b"chapters") => {
            let [url, kind] = attributes(element, ["url", "type"]);
            if kind.is_some_and(|kind| kind.contains("json")) {
                item.chapters_url = url;
            }
        }
        _ => return item_field(space, name),
    }
    None
}

/// What lies inside a part.
fn inner_part(draft: &mut Draft, space: Space, name: &[u8], element: &BytesStart<'_>) {
    match (space, name) {
        (Space::Podcast, b"source") => {
            let source = attributes(element, ["uri", "contentType"]);
            draft.sound.source(source);
        }
        (Space::Psc, b"chapter") => {
            let [start, title] = attributes(element, ["start", "title"]);
            let found = chapter(&start.unwrap_or_default(), &title.unwrap_or_default());
            if draft.item.chapters.len() < CHAPTERS_MAX {
                draft.item.chapters.extend(found);
            }
        }
        _ => {}
    }
}
