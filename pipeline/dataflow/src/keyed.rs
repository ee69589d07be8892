//! Hash maps whose keys are keyed hashes already. Their order is never seen: whoever iterates sorts.

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
