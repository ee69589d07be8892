//! The addresses of an item's sound: its enclosure, and what the feed offers beside it.
//! Promises: what is taken beside the enclosure is the same file, as far as the feed says; all else is named, or counted.
//! Leaves out: what the files say themselves.
//!
//! An episode has one byte map, that of its enclosure. By it another file can be judged neither for its first minute nor for its
//! ads, so a path of another file is no path of the episode.

use std::collections::HashSet;

use hostread_connectors_kit::text::{cut, enclosure_path};

use super::{ALTERNATES_MAX, ENCLOSURE_BYTES_MAX, Feed, Item, LeftOut, Others};

/// Other names of a media type.
const SAME_TYPES: [(&str, &str); 9] = [
    ("audio/mp3", "audio/mpeg"),
    ("audio/mpeg3", "audio/mpeg"),
    ("audio/mpg", "audio/mpeg"),
    ("audio/x-mp3", "audio/mpeg"),
    ("audio/x-mpeg", "audio/mpeg"),
    ("audio/m4a", "audio/mp4"),
    ("audio/x-m4a", "audio/mp4"),
    ("audio/x-aac", "audio/aac"),
    ("audio/x-ogg", "audio/ogg"),
];

/// An address, and what the feed says of the file behind it.
#[derive(Clone, Default)]
pub(super) struct Offer {
    address: String,
    /// Media type, under its first name.
    kind: String,
    length: Option<u64>,
    /// Bits a second.
    bit_rate: Option<u64>,
    /// `default`: it is the file of the enclosure.
    same: bool,
}

impl Offer {
    /// Of an enclosure's address, length and type.
    pub(super) fn new([address, length, kind]: [Option<String>; 3]) -> Self {
        let length = length.and_then(|length| length.trim().parse().ok());
        Self {
            address: address.unwrap_or_default().trim().to_owned(),
            kind: media_type(&kind.unwrap_or_default()),
            // Zero is what is written where nobody knows.
            length: length.filter(|length| (1..=1 << 40).contains(length)),
            ..Self::default()
        }
    }

    fn is_audio(&self) -> bool {
        self.kind.starts_with("audio/")
    }

    fn is_http(&self) -> bool {
        let scheme = self.address.split_once("://").map(|(scheme, _)| scheme);
        let known = |known: &str| scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(known));
        known("http") || known("https")
    }

    /// Why it is another file than the enclosure, or may be.
    fn difference(&self, enclosure: &Self, seconds: Option<u32>) -> Option<&'static str> {
        if self.kind != enclosure.kind {
            return Some("is of another type than the enclosure");
        }
        let same = match (self.length, enclosure.length) {
            (Some(own), Some(length)) if own != length => {
                return Some("has another length than the enclosure");
            }
            (Some(_), Some(_)) => true,
            _ => self.same,
        };
        if !same {
            return Some("does not say that it is the file of the enclosure");
        }
        let length = enclosure.length.or(self.length);
        let mean = length.zip(seconds).zip(self.bit_rate);
        // Length and rate may be copied one without the other. A tenth is for the header, and for rounding.
        let contradicts = mean.is_some_and(|((bytes, seconds), rate)| {
            let bits = u128::from(bytes) * 8;
            let stated = u128::from(rate) * u128::from(seconds);
            seconds != 0 && (stated * 10 < bits * 9 || stated * 10 > bits * 11)
        });
        contradicts.then_some("has another bit rate than the enclosure")
    }
}

/// What an item offers, while it is read.
#[derive(Default)]
pub(super) struct Sound {
    enclosure: Offer,
    beside: Vec<Offer>,
    beyond: u64,
    /// `podcast:alternateEnclosure` that is being read; its sources have the addresses.
    alternate: Option<Offer>,
}

impl Sound {
    /// An enclosure. The first one that is sound is the item's, else the first.
    pub(super) fn enclosure(&mut self, offer: Offer) {
        let own = &mut self.enclosure;
        if own.address.is_empty() {
            *own = offer;
        } else if offer.is_audio() && !own.is_audio() {
            let film = std::mem::replace(own, offer);
            self.offer(film);
        } else {
            self.offer(offer);
        }
    }

    /// An alternate enclosure begins, with its length, type, bit rate and `default`.
    pub(super) fn alternate(&mut self, attributes: [Option<String>; 4]) {
        let [length, kind, rate, default] = attributes;
        let rate = rate.unwrap_or_default();
        // A rate may have a fraction.
        let rate = rate.trim().split('.').next().unwrap_or_default();
        let same = default.is_some_and(|text| text.trim().eq_ignore_ascii_case("true"));
        self.alternate = Some(Offer {
            bit_rate: rate.parse().ok(),
            same,
            ..Offer::new([None, length, kind])
        });
    }

    /// Another element begins.
    pub(super) fn end_alternate(&mut self) {
        self.alternate = None;
    }

    /// An address of the alternate enclosure, and the type of what lies there when it is not the sound itself.
    pub(super) fn source(&mut self, [address, kind]: [Option<String>; 2]) {
        let Some(mut offer) = self.alternate.clone() else {
            return;
        };
        address
            .unwrap_or_default()
            .trim()
            .clone_into(&mut offer.address);
        if let Some(kind) = kind {
            offer.kind = media_type(&kind);
        }
        self.offer(offer);
    }

    fn offer(&mut self, offer: Offer) {
        if offer.address.is_empty() {
            return;
        }
        if self.beside.len() < ALTERNATES_MAX {
            self.beside.push(offer);
        } else {
            self.beyond += 1;
        }
    }

    /// Writes the enclosure into its item.
    pub(super) fn name(&self, item: &mut Item) {
        item.enclosure.clone_from(&self.enclosure.address);
        item.is_sound = self.enclosure.is_audio();
        item.length = self.enclosure.length;
    }

    /// Writes what is beside the enclosure into its item, whose path is known.
    pub(super) fn judge(&self, item: &mut Item, others: &mut Others) {
        others.beyond += self.beyond;
        for offer in &self.beside {
            if !offer.is_audio() {
                others.not_audio += 1;
            } else if !offer.is_http() {
                others.not_http += 1;
            } else {
                self.judge_one(offer, item);
            }
        }
        let of_others: HashSet<String> = item.left_out.iter().map(|out| out.path.clone()).collect();
        leave_out(
            item,
            |path| of_others.contains(path),
            "has the path of another file of the item: logs cannot tell them apart",
        );
    }

    fn judge_one(&self, offer: &Offer, item: &mut Item) {
        let mut path = None;
        let why = if offer.address.len() > ENCLOSURE_BYTES_MAX {
            Some("is an address over 2,048 bytes")
        } else {
            path = enclosure_path(&offer.address);
            match &path {
                None => Some("is not UTF-8 once it is decoded"),
                Some(_) => offer.difference(&self.enclosure, item.seconds),
            }
        };
        let path = path.unwrap_or_default().into_owned();
        let own = path == item.path;
        match why {
            None if own || item.alternate_paths.contains(&path) => {}
            None => item.alternate_paths.push(path),
            Some(why) => item.left_out.push(LeftOut {
                address: cut(&offer.address, ENCLOSURE_BYTES_MAX).to_owned(),
                path,
                why: if own { ONE_PATH } else { why },
            }),
        }
    }
}

/// Nothing can be done: its requests are taken for those of the enclosure.
const ONE_PATH: &str =
    "is another file with the path of the enclosure: logs cannot tell them apart";

/// Once all items are known: a path that another item has is nobody's second one.
pub(super) fn settle(feed: &mut Feed, paths: &HashSet<String>) {
    let mut once = HashSet::new();
    let all = feed.items.iter().flat_map(|item| &item.alternate_paths);
    let twice = all.filter(|path| !once.insert(path.as_str()));
    let twice: HashSet<String> = twice.cloned().collect();
    for item in &mut feed.items {
        let taken = |path: &str| paths.contains(path) || twice.contains(path);
        leave_out(
            item,
            taken,
            "has the path of another item: logs cannot tell them apart",
        );
    }
}

fn leave_out(item: &mut Item, taken: impl Fn(&str) -> bool, why: &'static str) {
    let paths = std::mem::take(&mut item.alternate_paths);
    for path in paths {
        if taken(&path) {
            let address = path.clone();
            item.left_out.push(LeftOut { address, path, why });
        } else {
            item.alternate_paths.push(path);
        }
    }
}

/// In small letters, without parameters, under its first name.
fn media_type(text: &str) -> String {
    let kind = text.split(';').next().unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    let known = SAME_TYPES.iter().find(|(other, _)| *other == kind);
    known.map_or(kind, |(_, first)| (*first).to_owned())
}
