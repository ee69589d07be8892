//! The names that one chunk needs, looked up once per distinct id.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use hostread_schemas::{NameKind, Names};

/// Ids are keyed hashes, which nobody outside can aim; one multiplication spreads those that are not (tests).
#[derive(Default)]
struct IdHash(u64);

impl IdHash {
    fn mix(&mut self, word: u64) {
        let mixed = u128::from(self.0.rotate_left(5) ^ word) * 0x9E37_79B9_7F4A_7C15;
        self.0 = (mixed as u64) ^ ((mixed >> 64) as u64);
    }
}

impl Hasher for IdHash {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.mix(u64::from(*byte));
        }
    }
    fn write_isize(&mut self, kind: isize) {
        self.mix(kind as u64);
    }
    fn write_u64(&mut self, id: u64) {
        self.mix(id);
    }
}

/// Names of one chunk. Not kept longer: a name that is not known yet may be known in the next.
#[derive(Debug)]
pub struct NameCache {
    known: HashMap<(NameKind, u64), Arc<str>, BuildHasherDefault<IdHash>>,
    names: Names,
}

impl NameCache {
    /// Nothing looked up yet.
    #[must_use]
    pub fn new(names: &Names) -> Self {
        Self {
            known: HashMap::default(),
            names: names.clone(),
        }
    }

    /// Looks a name up, so that [`NameCache::get`] finds it.
    pub fn need(&mut self, kind: NameKind, id: u64) {
        if id != 0 {
            self.known
                .entry((kind, id))
                .or_insert_with(|| self.names.text(kind, id));
        }
    }

    /// The name; empty for id 0 and for one that was not needed.
    #[must_use]
    pub fn get(&self, kind: NameKind, id: u64) -> &str {
        self.known.get(&(kind, id)).map_or("", |name| &**name)
    }
}
