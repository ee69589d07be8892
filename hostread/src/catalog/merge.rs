//! What a reading of a feed changes in a catalog.
//! Invariant 1: the time of first publication is never changed.    Invariant 2: an episode that a feed no longer has stays: its
//! audio is still fetched.    Invariant 3: what a file said of an episode holds until the feed names another file or size.
//! Invariant 4: a path is of one episode; the alternate paths of an episode lead to the file whose bytes it has.

use std::collections::{BTreeMap, BTreeSet};

use hostread_connectors::feed::{ALTERNATES_MAX, Ad, Chapter, Feed, Item, LeftOut, ads};

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
    /// New other paths of the same files.
    pub(crate) alternates: usize,
    /// Audio beside an enclosure that is not taken: the GUID, and which and why.
    pub(crate) left_out: Vec<(String, String)>,
}

/// Takes a feed into a catalog.
pub(crate) fn merge(file: &mut CatalogFile, address: &str, state: FeedState, feed: Feed) -> Merged {
    let mut merged = Merged::default();
    let released = release(file, &state.show, &feed.items);
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut paths: BTreeMap<String, usize> = BTreeMap::new();
    for (place, episode) in file.episodes.iter().enumerate() {
        // An episode that a person wrote has no show yet: the first feed with its id has it.
        if episode.show == state.show || episode.show.is_empty() {
            places.insert(episode.id.clone(), place);
        }
        paths.extend(episode.paths().map(|path| (path.clone(), place)));
    }
    for mut item in feed.items {
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
        let guid = item.guid.clone();
        let alternates = std::mem::take(&mut item.alternate_paths);
        merged.leave_out(&guid, std::mem::take(&mut item.left_out));
        if place.is_none() {
            file.episodes.push(Episode {
                id: guid.clone(),
                path: item.path.clone(),
                ..Episode::default()
            });
        }
        let Some(episode) = file.episodes.get_mut(at) else {
            continue;
        };
        let updated = update(episode, &state.show, item);
        let (count, left_out) = take_alternates(episode, at, alternates, &mut paths);
        merged.alternates += count;
        merged.leave_out(&guid, left_out);
        if place.is_none() {
            merged.new.push(at);
        } else if updated || count > 0 || released.contains(&at) {
            merged.changed.push(at);
        } else {
            merged.same += 1;
        }
    }
    file.feeds.insert(address.to_owned(), state);
    merged
}

impl Merged {
    fn leave_out(&mut self, guid: &str, left_out: Vec<LeftOut>) {
        let all = left_out.into_iter();
        let named = all.map(|out| (guid.to_owned(), format!("{} {}", out.address, out.why)));
        self.left_out.extend(named);
    }
}

/// Takes away the alternate paths that the feed has for something else now: an enclosure, or another file. Returns whose.
fn release(file: &mut CatalogFile, show: &str, items: &[Item]) -> BTreeSet<usize> {
    let enclosures: BTreeSet<&str> = items.iter().map(|item| item.path.as_str()).collect();
    let mut left_out: BTreeSet<(&str, &str)> = BTreeSet::new();
    for item in items {
        let of_item = item.left_out.iter();
        left_out.extend(of_item.map(|out| (item.guid.as_str(), out.path.as_str())));
    }
    let mut places = BTreeSet::new();
    for (place, episode) in file.episodes.iter_mut().enumerate() {
        if episode.show != show {
            continue;
        }
        let (id, paths) = (&episode.id, &mut episode.alternate_paths);
        let before = paths.len();
        paths.retain(|path| {
            let out = left_out.contains(&(id.as_str(), path.as_str()));
            !out && !enclosures.contains(path.as_str())
        });
        if paths.len() < before {
            places.insert(place);
        }
    }
    places
}

/// Takes other paths of an episode's file; how many are new, and which are not to be had.
fn take_alternates(
    episode: &mut Episode,
    at: usize,
    alternates: Vec<String>,
    paths: &mut BTreeMap<String, usize>,
) -> (usize, Vec<LeftOut>) {
    let (mut count, mut left_out) = (0, Vec::new());
    for path in alternates {
        let why = match paths.get(&path) {
            Some(place) if *place == at => continue,
            Some(_) => "has the path of another episode: logs cannot tell them apart",
            None if episode.alternate_paths.len() >= ALTERNATES_MAX => {
                "has no room beside the alternate paths of its episode"
            }
            None => {
                paths.insert(path.clone(), at);
                episode.alternate_paths.push(path);
                count += 1;
                continue;
            }
        };
        let address = path.clone();
        left_out.push(LeftOut { address, path, why });
    }
    (count, left_out)
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
