//! Unions of byte ranges `[first, end)`.
//!
//! Needs: any ranges, in any order. Promises: O(n log n), in place, no overflow (ends saturate).
//! Leaves out: which ranges belong together. Invariant 1: the union does not depend on the order
//! of the ranges. Invariant 2: one range more never makes it smaller.

use std::collections::{BTreeMap, VecDeque};

/// A range `[first, end)`.
pub type ByteRange = (u64, u64);

/// The range of `bytes` from `first`; the end saturates.
#[must_use]
pub const fn range(first: u64, bytes: u64) -> ByteRange {
    (first, first.saturating_add(bytes))
}

/// Joins what overlaps or touches; afterwards the ranges are sorted, apart and not empty. Returns
/// how many bytes they hold.
pub fn unite(ranges: &mut Vec<ByteRange>) -> u64 {
    ranges.retain(|(first, end)| first < end);
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let joins = next.0 <= kept.1;
        if joins {
            kept.1 = kept.1.max(next.1);
        }
        joins
    });
    // Ranges apart inside 0..=u64::MAX: the sum fits.
    ranges.iter().map(|(first, end)| end - first).sum()
}

/// Are all bytes `first..=last` in one of the united ranges?
#[must_use]
pub fn covers(united: &[ByteRange], first: u64, last: u64) -> bool {
    let after = united.partition_point(|range| range.0 <= first);
    let holder = after.checked_sub(1).and_then(|at| united.get(at));
    first <= last && holder.is_some_and(|range| last < range.1)
}

/// The union of a sequence's last ranges: they come at one end and go at the other. O(log n) a range, amortised.
#[derive(Clone, Debug, Default)]
pub struct Sliding {
    /// Pieces apart by their first byte: end, and the number of the last range that brought them.
    pieces: BTreeMap<u64, (u64, usize)>,
    /// Bytes that each range, from the first that is still there, was the last to bring.
    brought: VecDeque<u64>,
    /// Ranges that are gone. What they brought last is in no other range that is there.
    gone: usize,
    bytes: u64,
}

impl Sliding {
    /// Bytes in the union.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A range comes.
    pub fn push(&mut self, (first, end): ByteRange) {
        let number = self.gone + self.brought.len();
        self.brought.push_back(0);
        if first >= end {
            return;
        }
        let before = self.pieces.range(..first).next_back();
        let from = before.map_or(first, |(start, _)| *start);
        let hit = self.pieces.range(from..end);
        let hit: Vec<_> = hit.map(|(start, piece)| (*start, *piece)).collect();
        for (start, (stop, of)) in hit.into_iter().filter(|(_, (stop, _))| *stop > first) {
            self.pieces.remove(&start);
            if start < first {
                self.pieces.insert(start, (first, of));
            }
            if stop > end {
                self.pieces.insert(end, (stop, of));
            }
            let there = of.checked_sub(self.gone);
            if let Some(brought) = there.and_then(|at| self.brought.get_mut(at)) {
                let taken = stop.min(end) - start.max(first);
                *brought -= taken;
                self.bytes -= taken;
            }
        }
        self.pieces.insert(first, (end, number));
        if let Some(brought) = self.brought.back_mut() {
            *brought = end - first;
        }
        self.bytes += end - first;
    }

    /// The oldest range goes.
    pub fn pop(&mut self) {
        if let Some(brought) = self.brought.pop_front() {
            self.gone += 1;
            self.bytes -= brought;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranges() -> impl Strategy<Value = Vec<ByteRange>> {
        let near = (0_u64..60, 0_u64..20);
        let any = (any::<u64>(), any::<u64>());
        let one = prop_oneof![8 => near, 1 => any].prop_map(|(first, bytes)| range(first, bytes));
        proptest::collection::vec(one, 0..12)
    }

    #[test]
    fn touching_ranges_join_and_holes_stay() {
        let mut united = vec![(10, 20), (0, 5), (5, 7), (12, 15), (30, 30), (40, 30)];
        assert_eq!(unite(&mut united), 17);
        assert_eq!(united, [(0, 7), (10, 20)]);
        assert!(covers(&united, 0, 6) && covers(&united, 10, 19));
        assert!(!covers(&united, 0, 7) && !covers(&united, 6, 10) && !covers(&united, 9, 9));
        assert!(
            !covers(&united, 4, 3),
            "a place without bytes is never delivered"
        );
        assert!(!covers(&[], 0, 0));
    }

    #[test]
    fn the_largest_numbers_saturate() {
        let mut united = vec![range(u64::MAX - 1, u64::MAX), range(0, u64::MAX)];
        assert_eq!(unite(&mut united), u64::MAX);
        assert!(!covers(&united, 0, u64::MAX));
    }

    proptest! {
        #[test]
        fn invariant_1_order_does_not_matter(given in ranges(), turn in 0_usize..12) {
            let (mut a, mut b) = (given.clone(), given);
            b.reverse();
            let turn = turn.min(b.len());
            b.rotate_left(turn);
            prop_assert_eq!(unite(&mut a), unite(&mut b));
            prop_assert_eq!(a, b);
        }

        #[test]
        fn invariant_2_more_is_never_less(given in ranges(), more in (0_u64..80, 0_u64..30)) {
            let (mut a, mut b) = (given.clone(), given);
            b.push(range(more.0, more.1));
            prop_assert!(unite(&mut a) <= unite(&mut b));
            for (first, end) in a {
                prop_assert!(covers(&b, first, end - 1));
            }
        }

        #[test]
        fn what_slides_is_the_union_of_what_is_there(given in ranges(), goes in proptest::collection::vec(any::<bool>(), 24)) {
            let (mut sliding, mut there, mut given) = (Sliding::default(), VecDeque::new(), given.into_iter());
            for goes in goes {
                if goes {
                    sliding.pop();
                    there.pop_front();
                } else if let Some(range) = given.next() {
                    sliding.push(range);
                    there.push_back(range);
                }
                let mut all: Vec<ByteRange> = there.iter().copied().collect();
                prop_assert_eq!(sliding.bytes(), unite(&mut all));
            }
        }

        #[test]
        fn a_bitmap_says_the_same(given in proptest::collection::vec((0_u64..60, 0_u64..20), 0..12)) {
            let mut seen = [false; 80];
            for (first, bytes) in &given {
                for at in *first..first + bytes {
                    seen[usize::try_from(at).unwrap_or(0)] = true;
                }
            }
            let mut united: Vec<_> = given.iter().map(|(first, bytes)| range(*first, *bytes)).collect();
            let count = seen.iter().filter(|byte| **byte).count();
            prop_assert_eq!(unite(&mut united), count as u64);
            for first in 0..80_usize {
                for last in first..80 {
                    let all = seen[first..=last].iter().all(|byte| *byte);
                    prop_assert_eq!(covers(&united, first as u64, last as u64), all);
                }
            }
        }
    }
}
