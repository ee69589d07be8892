//! Which names are known, with a small cache in front: almost every fact stands on names seen a moment ago.

use std::sync::Arc;

use hostread_schemas::{NameKind, Names};

/// Places of the cache; a power of two. More: fewer look-ups under the lock; each costs 24 bytes.
const RECENT: usize = 1 << 13;

type Recent = Option<(NameKind, u64, Arc<str>)>;

pub(crate) struct Learner {
    names: Names,
    recent: Vec<Recent>,
    pub(crate) scratch: Vec<(NameKind, u64, String)>,
}

fn place(kind: NameKind, id: u64) -> usize {
    let mixed = (id ^ (kind as u64) << 56).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 40) as usize % RECENT
}

impl Learner {
    pub(crate) fn new(names: Names) -> Self {
        Self {
            names,
            recent: vec![None; RECENT],
            scratch: Vec::new(),
        }
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    /// Certainly known with this text; `false` says nothing.
    pub(crate) fn is_recent(&self, kind: NameKind, id: u64, text: &str) -> bool {
        matches!(&self.recent[place(kind, id)],
            Some((k, i, t)) if *k == kind && *i == id && **t == *text)
    }

    /// Whether the id stands for another text already.
    pub(crate) fn collides(&self, kind: NameKind, id: u64, text: &str) -> bool {
        !self.is_recent(kind, id, text)
            && self.names.contains(kind, id)
            && *self.names.text(kind, id) != *text
    }

    /// Remembers a name that does not collide; whether it is new.
    pub(crate) fn learn(&mut self, kind: NameKind, id: u64, text: &str) -> bool {
        if self.is_recent(kind, id, text) {
            return false;
        }
        let new = !self.names.contains(kind, id);
        if new {
            self.names.insert(kind, id, text);
        }
        let text = self.names.text(kind, id);
        self.recent[place(kind, id)] = Some((kind, id, text));
        new
    }
}
