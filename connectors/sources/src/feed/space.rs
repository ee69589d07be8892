//! The namespaces of a feed, and which kind of feed its root makes it.

use quick_xml::events::BytesStart;

use super::text::{ATTRIBUTES_MAX, attributes};

/// A namespace.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Space {
    /// None: the elements of RSS.
    #[default]
    Rss,
    Atom,
    Itunes,
    Podcast,
    Psc,
    Other,
}

/// Part of an address that says which; they are written in several ways.
const SPACES: [(&str, Space); 5] = [
    ("www.w3.org/2005/atom", Space::Atom),
    ("itunes.com/dtds/podcast", Space::Itunes),
    ("podcastindex.org/namespace", Space::Podcast),
    ("podcast-namespace", Space::Podcast),
    ("podlove.org/simple-chapters", Space::Psc),
];

/// A kind of feed.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Format {
    #[default]
    Rss,
    Atom,
}

impl Format {
    /// How deep an item lies: behind `rss` and `channel`, or behind `feed`.
    pub(super) const fn item_depth(self) -> usize {
        match self {
            Self::Rss => 3,
            Self::Atom => 2,
        }
    }
}

/// Prefixes of the namespaces, as the first elements declare them.
#[derive(Default)]
pub(super) struct Spaces {
    declared: Vec<(String, Space)>,
    /// Of elements without a prefix.
    plain: Space,
    /// Elsewhere the elements of Atom say something else: RSS has `atom:link` for its own address.
    atom: bool,
}

impl Spaces {
    /// Takes what the root declares; none when it is that of no feed.
    pub(super) fn root(&mut self, element: &BytesStart<'_>) -> Option<Format> {
        self.learn(element);
        match element.local_name().as_ref() {
            b"rss" => Some(Format::Rss),
            b"feed" => {
                let [plain] = attributes(element, ["xmlns"]);
                self.plain = match plain {
                    Some(address) => named(address.as_bytes()),
                    // Without a word on it, it is what it looks like.
                    None if element.name().prefix().is_none() => Space::Atom,
                    None => Space::Other,
                };
                self.atom = self.named(element) == Space::Atom;
                self.atom.then_some(Format::Atom)
            }
            _ => None,
        }
    }

    /// Takes what an element declares.
    pub(super) fn learn(&mut self, element: &BytesStart<'_>) {
        for attribute in element.attributes().with_checks(false).take(ATTRIBUTES_MAX) {
            let Ok(attribute) = attribute else { continue };
            let Some(prefix) = attribute.key.as_ref().strip_prefix(b"xmlns:") else {
                continue;
            };
            // Each element looks through all of them.
            if self.declared.len() < ATTRIBUTES_MAX {
                let prefix = String::from_utf8_lossy(prefix).into_owned();
                self.declared.push((prefix, named(&attribute.value)));
            }
        }
    }

    /// Whose words the name of an element is.
    pub(super) fn of(&self, element: &BytesStart<'_>) -> Space {
        match self.named(element) {
            Space::Atom if !self.atom => Space::Other,
            space => space,
        }
    }

    /// As declared at the front; a prefix that is not stands for what it stands for everywhere.
    fn named(&self, element: &BytesStart<'_>) -> Space {
        let name = element.name();
        let Some(prefix) = name.prefix() else {
            return self.plain;
        };
        let prefix = prefix.as_ref();
        let mut declared = self.declared.iter();
        if let Some((_, space)) = declared.find(|(known, _)| known.as_bytes() == prefix) {
            return *space;
        }
        match prefix {
            b"atom" => Space::Atom,
            b"itunes" => Space::Itunes,
            b"podcast" => Space::Podcast,
            b"psc" => Space::Psc,
            _ => Space::Other,
        }
    }
}

/// What an address names.
fn named(address: &[u8]) -> Space {
    let address = String::from_utf8_lossy(address).to_ascii_lowercase();
    let known = SPACES.iter().find(|(part, _)| address.contains(part));
    known.map_or(Space::Other, |(_, space)| *space)
}
