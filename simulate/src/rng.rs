//! Randomness from a seed: splitmix64, integers only.
//!
//! Promises: the same seed gives the same numbers on every machine and in every release.

/// A stream of numbers that its seed decides.
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// One well-mixed number from another.
#[must_use]
pub const fn mix64(value: u64) -> u64 {
    let mut z = value.wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Rng {
    /// The stream of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: mix64(seed) }
    }

    /// A stream of its own for a part of the world: what one part draws never moves another.
    #[must_use]
    pub fn part(&self, label: &str) -> Self {
        let mut state = self.state;
        for byte in label.bytes() {
            state = mix64(state ^ u64::from(byte));
        }
        Self { state }
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        let value = mix64(self.state);
        self.state = self.state.wrapping_add(STEP);
        value
    }

    /// A number in `0..bound`; 0 for an empty range.
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.next_u64() as u128 * bound as u128) >> 64) as u64
    }

    /// An index in `0..bound`; 0 for an empty range.
    pub const fn index(&mut self, bound: usize) -> usize {
        self.below(bound as u64) as usize
    }

    /// A number in `lower..upper`; `lower` when the range is empty.
    pub const fn range(&mut self, lower: i64, upper: i64) -> i64 {
        let width = if upper > lower { upper - lower } else { 0 };
        lower + self.below(width as u64) as i64
    }

    /// True in `parts` of `whole` draws.
    pub const fn chance(&mut self, parts: u64, whole: u64) -> bool {
        self.below(whole) < parts
    }

    /// One of `items`.
    ///
    /// # Panics
    /// When there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let index = self.index(items.len());
        items.get(index).expect("there is something to pick from")
    }

    /// Puts `items` into another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_splitmix64() {
        // Published first outputs of splitmix64 for the state 1234567.
        let mut rng = Rng { state: 1_234_567 };
        assert_eq!(rng.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(rng.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn bounds_hold() {
        let mut rng = Rng::new(7);
        for bound in [1, 2, 3, 1000] {
            assert!((0..200).all(|_| rng.below(bound) < bound));
        }
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.range(5, 5), 5);
    }
}
