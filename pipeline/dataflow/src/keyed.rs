//! What the operators' states are made of: hash maps whose keys are keyed hashes already (their order is
//! never seen: whoever iterates sorts), and small sorted lists.

use std::hash::{BuildHasherDefault, Hasher};

/// A map for keys made of ids.
#[expect(
    clippy::disallowed_types,
    reason = "the hasher is fixed; iteration is sorted by whoever iterates"
)]
pub(crate) type KeyedMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<IdMixer>>;

/// Mixes the words of a key; ids are uniform already.
#[derive(Default, Clone, Copy)]
pub(crate) struct IdMixer(u64);

impl Hasher for IdMixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(26) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn write_i32(&mut self, word: i32) {
        self.write_u64(u64::from(word.cast_unsigned()));
    }
}

/// Inserts into one of very many lists, most of which hold one or two items: room grows by half, where
/// a `Vec` of its own would take four places at once.
pub(crate) fn insert_tight<T>(list: &mut Vec<T>, at: usize, item: T) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / 2).max(1));
    }
    list.insert(at, item);
}
