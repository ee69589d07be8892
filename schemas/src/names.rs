//! The text behind interned ids. An id is a hash of its text, so a name never changes; titles do
//! and live in catalog facts.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use serde::{Deserialize, Serialize};

/// What a name is a name of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each variant is the id kind of the same name")]
pub enum NameKind {
    Tenant,
    Source,
    Show,
    Episode,
    Enclosure,
    Slot,
    Brand,
    Store,
    Campaign,
    Line,
    Code,
    Agent,
    /// Canonical order reference of a conversion.
    Conversion,
    Batch,
    RuleSet,
    Zone,
    Referrer,
    /// Title of a campaign, show or episode.
    Title,
    /// Pattern of agents.
    Pattern,
}

type NameMap = BTreeMap<(NameKind, u64), Arc<str>>;

/// Names by kind and id, shared between the head that learns them and the sinks that write them.
#[derive(Clone, Default, Debug)]
pub struct Names(Arc<RwLock<NameMap>>);

impl Names {
    /// Remembers a name; `false` when the id already stands for another text (a collision).
    pub fn insert(&self, kind: NameKind, id: u64, text: &str) -> bool {
        let mut names = self
            .0
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = names.entry((kind, id)).or_insert_with(|| Arc::from(text));
        &**known == text
    }

    /// Is the name known?
    #[must_use]
    pub fn contains(&self, kind: NameKind, id: u64) -> bool {
        self.0
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .contains_key(&(kind, id))
    }

    /// The text; empty for id 0, the hexadecimal id when the name is not known.
    #[must_use]
    pub fn text(&self, kind: NameKind, id: u64) -> Arc<str> {
        if id == 0 {
            return Arc::from("");
        }
        let names = self
            .0
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        names
            .get(&(kind, id))
            .map_or_else(|| Arc::from(format!("{id:016x}")), Arc::clone)
    }

    /// How many names are known.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .len()
    }
}
