//! A podcast's feed, RSS 2.0 or Atom with the namespaces of iTunes, Podcasting 2.0 and Podlove: its episodes. See this folder's README.
//! Promises: `read` is linear in its input and holds at most `ITEMS_MAX` items, each of bounded texts; entities are not expanded,
//! nothing is fetched. What is wrong with one item never hides another.
//! Leaves out: fetching, what was known before, the bytes of the sound (the header of the file says them).

mod chapters;
mod enclosure;
mod event;
mod space;
mod text;
mod time;
mod xml;

use hostread_schemas::unit::EventTimeMs;

pub use chapters::{Ad, Chapter, ads, read_chapters};
pub use event::{FeedConnector, episode};
pub use xml::read;

/// A feed of so many bytes is read. The longest known ones, with notes of thousands of episodes, have 20 MB.
pub const FEED_BYTES_MAX: u64 = 64 << 20;
/// Episodes of a feed; what is behind is counted. Daily shows of twenty years have 7,000.
pub const ITEMS_MAX: usize = 20_000;
/// Addresses of an item beside its enclosure; what is behind is counted. Five files by four ways each are 20. With the former paths they
/// are the addresses of one event, which has room for 64.
pub const ALTERNATES_MAX: usize = 32;
/// An address: what the doors take.
const ENCLOSURE_BYTES_MAX: usize = 2_048;
/// The chapters of an episode as a file.
pub const CHAPTERS_BYTES_MAX: u64 = 1 << 20;

/// What a feed says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Feed {
    /// Of the show.
    pub title: String,
    /// `podcast:guid`.
    pub guid: Option<String>,
    /// `itunes:new-feed-url`: where the show asks to be read from now on.
    pub moved_to: Option<String>,
    /// Its episodes, in the feed's order.
    pub items: Vec<Item>,
    /// Items that are none.
    pub refused: Vec<Refused>,
    /// Items behind `ITEMS_MAX`, which were not read.
    pub items_beyond: u64,
    /// Addresses beside the enclosures of its episodes that name no audio file to be fetched.
    pub others: Others,
}

/// How many addresses beside the enclosures were passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// Not said to be audio: films, playlists, torrents.
    pub not_audio: u64,
    /// Audio that is not fetched by http or https, as by IPFS.
    pub not_http: u64,
    /// Behind `ALTERNATES_MAX` of their item.
    pub beyond: u64,
}

/// An episode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// As given; without one the address of its sound, as players do.
    pub guid: String,
    /// Title.
    pub title: String,
    /// When it was published, as the feed says now; an Atom entry that does not say so was when it was last updated.
    pub published_at: Option<EventTimeMs>,
    /// Address of its sound, as given.
    pub enclosure: String,
    /// The feed says that it is sound, and not a film.
    pub is_sound: bool,
    /// Its path, behind all known prefixes: what requests are known by.
    pub path: String,
    /// Other paths of the same file: of `podcast:alternateEnclosure`, and of further enclosures.
    pub alternate_paths: Vec<String>,
    /// Audio that the feed offers beside the enclosure, and that is another file.
    pub left_out: Vec<LeftOut>,
    /// Size that the feed claims.
    pub length: Option<u64>,
    /// `itunes:duration`.
    pub seconds: Option<u32>,
    /// Address of `podcast:chapters` in JSON.
    pub chapters_url: Option<String>,
    /// `psc:chapters`, which stand in the feed itself.
    pub chapters: Vec<Chapter>,
}

/// Audio of an episode whose requests do not count, for nobody knows how many of its bytes make a download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its address, as given, or its path.
    pub address: String,
    /// Its path; empty when it has none.
    pub path: String,
    /// Why.
    pub why: &'static str,
}

/// An item that is no episode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its place in the feed, from 1.
    pub number: usize,
    /// Its GUID or title.
    pub name: String,
    /// Why.
    pub why: &'static str,
}

/// Why a feed cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// Its bytes are no text.
    #[error("the feed is neither UTF-8 nor ISO-8859-1")]
    Text,
    /// Its text is no XML.
    #[error("the feed is no XML at byte {at}: {message}")]
    Xml {
        /// Where.
        at: u64,
        /// What.
        message: String,
    },
    /// It ends too early.
    #[error("the feed breaks off")]
    Cut,
    /// It is XML of another kind.
    #[error("the feed is no RSS 2.0 and no Atom 1.0: it begins with <{0}>")]
    Root(String),
    /// Its elements lie too deep in each other.
    #[error("the feed has elements inside elements over {0} deep")]
    Deep(usize),
}

#[cfg(test)]
mod tests;
