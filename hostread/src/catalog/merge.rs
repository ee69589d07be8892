//! What a reading of a feed changes in a catalog.
//! Invariant 1: the time of first publication is never changed.    Invariant 2: an episode that a feed no longer has stays: its
//! audio is still fetched.    Invariant 3: what a file said of an episode holds until the feed names another file or size.

use std::collections::BTreeMap;

use hostread_connectors::feed::{Ad, Chapter, Feed, Item, ads};

use super::{CatalogFile, Episode, FeedState, Mark};

/// What a feed has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Merged {
    /// Places of new episodes.
    pub(crate) new: Vec<usize>,
    /// Places of those that the feed says something else of.
    pub(crate) changed: Vec<usize>,
    pub(crate) same: usize,
    /// Episodes that the catalog cannot hold, by GUID.
    pub(crate) refused: Vec<(String, String)>,
}

/// Takes a feed into a catalog.
pub(crate) fn merge(file: &mut CatalogFile, address: &str, state: FeedState, feed: Feed) -> Merged {
    let mut merged = Merged::default();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut paths: BTreeMap<String, usize> = BTreeMap::new();
    for (place, episode) in file.episodes.iter().enumerate() {
        // An episode that a person wrote has no show yet: the first feed with its id has it.
        if episode.show == state.show || episode.show.is_empty() {
            places.insert(episode.id.clone(), place);
        }
        let own = std::iter::once(&episode.path).chain(&episode.former_paths);
        paths.extend(own.map(|path| (path.clone(), place)));
    }
    for item in feed.items {
        let place = places.get(&item.guid).copied();
        if let Some(other) = paths.get(&item.path).filter(|other| Some(**other) != place) {
            let other = file.episodes.get(*other).map_or("", |other| &other.id);
            merged.refused.push((
                item.guid,
                format!("has the path of {other}: logs cannot tell them apart"),
            ));
            continue;
        }
        let at = place.unwrap_or(file.episodes.len());
        paths.insert(item.path.clone(), at);
        match place.and_then(|place| file.episodes.get_mut(place)) {
            None => {
                file.episodes.push(new(&state.show, item));
                merged.new.push(at);
            }
            Some(episode) => {
                if update(episode, &state.show, item) {
                    merged.changed.push(at);
                } else {
                    merged.same += 1;
                }
            }
        }
    }
    file.feeds.insert(address.to_owned(), state);
    merged
}

fn new(show: &str, item: Item) -> Episode {
    let mut episode = Episode {
        id: item.guid.clone(),
        path: item.path.clone(),
        ..Episode::default()
    };
    update(&mut episode, show, item);
    episode
}

/// Whether anything is new.
fn update(episode: &mut Episode, show: &str, item: Item) -> bool {
    let mut changed = false;
    let mut set = |to: &mut String, from: String| {
        changed |= *to != from;
        *to = from;
    };
    set(&mut episode.show, show.to_owned());
    set(&mut episode.title, item.title);
    let other_file = episode.path != item.path || episode.claimed_bytes != item.length;
    set(&mut episode.enclosure, item.enclosure);
    if episode.path != item.path {
        let former = std::mem::replace(&mut episode.path, item.path);
        episode.former_paths.retain(|path| *path != episode.path);
        episode.former_paths.push(former);
    }
    if episode.published_at.is_none() && item.published_at.is_some() {
        episode.published_at = item.published_at.map(|time| time.to_string());
        changed = true;
    }
    let by_hand = episode.claimed_bytes.is_none() && episode.size_bytes != 0;
    if other_file {
        episode.claimed_bytes = item.length;
        changed = true;
        // Of an episode that a person wrote, the feed's first claim changes nothing.
        if !by_hand {
            episode.size_bytes = item.length.unwrap_or(0);
            (episode.id3_bytes, episode.bit_rate, episode.vbr) = (0, None, false);
            (episode.probed, episode.sampled) = (false, false);
        }
    }
    if !episode.probed && !by_hand && episode.seconds != item.seconds {
        episode.seconds = item.seconds;
        changed = true;
    }
    if episode.chapters != item.chapters_url {
        episode.chapters = item.chapters_url;
        episode.chapters_read = false;
        changed = true;
    }
    if episode.chapters.is_none() {
        let marks = marks(&item.chapters);
        changed |= episode.marks != marks;
        episode.marks = marks;
    }
    changed
}

/// The ads among chapters. How long the episode is says its file, later.
fn marks(chapters: &[Chapter]) -> Vec<Mark> {
    let ads = ads(chapters, u64::MAX).into_iter();
    let mark = |ad: Ad| Mark {
        title: ad.title,
        start_ms: ad.start_ms,
        end_ms: (ad.end_ms < u64::MAX).then_some(ad.end_ms),
    };
    ads.map(mark).collect()
}

impl Episode {
    /// Takes the chapters that its feed points to.
    pub(crate) fn read_chapters(&mut self, chapters: &[Chapter]) {
        self.marks = marks(chapters);
        self.chapters_read = true;
    }
}
