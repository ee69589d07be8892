//! The namespaces of a feed.

use quick_xml::events::BytesStart;

use super::text::ATTRIBUTES_MAX;

/// A namespace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    Rss,
    Itunes,
    Podcast,
    Psc,
    Other,
}

/// Part of an address that says which; they are written in several ways.
const SPACES: [(&str, Space); 4] = [
    ("itunes.com/dtds/podcast", Space::Itunes),
    ("podcastindex.org/namespace", Space::Podcast),
    ("podcast-namespace", Space::Podcast),
    ("podlove.org/simple-chapters", Space::Psc),
];

/// Prefixes of the namespaces, as the first elements declare them.
#[derive(Default)]
pub(super) struct Spaces(Vec<(String, Space)>);

impl Spaces {
    /// Takes what an element declares.
    pub(super) fn learn(&mut self, element: &BytesStart<'_>) {
        for attribute in element.attributes().with_checks(false).take(ATTRIBUTES_MAX) {
            let Ok(attribute) = attribute else { continue };
            let Some(prefix) = attribute.key.as_ref().strip_prefix(b"xmlns:") else {
                continue;
            };
            // Each element looks through all of them.
            if self.0.len() < ATTRIBUTES_MAX {
                let prefix = String::from_utf8_lossy(prefix).into_owned();
                self.0.push((prefix, named(&attribute.value)));
            }
        }
    }

    /// As declared at the front; a prefix that is not stands for what it stands for everywhere.
    pub(super) fn of(&self, element: &BytesStart<'_>) -> Space {
        let name = element.name();
        let Some(prefix) = name.prefix() else {
            return Space::Rss;
        };
        let prefix = prefix.as_ref();
        let mut declared = self.0.iter();
        if let Some((_, space)) = declared.find(|(known, _)| known.as_bytes() == prefix) {
            return *space;
        }
        match prefix {
            b"itunes" => Space::Itunes,
            b"podcast" => Space::Podcast,
            b"psc" => Space::Psc,
            _ => Space::Other,
        }
    }
}

fn named(address: &[u8]) -> Space {
    let address = String::from_utf8_lossy(address).to_ascii_lowercase();
    let known = SPACES.iter().find(|(part, _)| address.contains(part));
    known.map_or(Space::Other, |(_, space)| *space)
}
