//! A compact map from event id to what the head must know about a live event: 32 bytes an entry, 36 to 41 with the gaps.
//!
//! ```text
//! shard = mixed hash's low 8 bits;  home = mixed hash x capacity / 2^64
//! a shard is one array, sorted by mixed hash, with gaps: an entry stands at its home or behind it, with no gap between
//! ```
//! Needs: nothing of the ids' distribution (they are mixed).    Promises: the full 128-bit id is compared.
//! Leaves out: iteration. The journal knows the facts, the head only their ids.
//! Invariant 1: entries of a shard are in the order of (mixed hash), so a search ends at the first larger one.

use hostread_schemas::fact::RetentionClass;
use hostread_schemas::{Day, EventId, Tick};

/// Growing one shard stops the tick for `entries / SHARDS`: more shards, shorter stops.
const SHARDS: usize = 256;
/// Entries per 1,000 places after growing, and when growing. Fuller: longer searches; emptier: more memory.
const LOAD_AFTER: usize = 790;
const LOAD_MAX: usize = 890;
/// Places behind the last home, for a cluster at the end.
const PAD: usize = 48;

/// Bits kept of the hash of an event's facts.
pub(crate) const HASH_BITS: u32 = 48;
const HASH_MASK: u64 = (1 << HASH_BITS) - 1;
const DAY_BITS: u32 = 26;
/// Days outside are refused by the head; 26 bits hold a little more.
pub(crate) const DAY_MAX: i32 = 3_000_000;
/// The first day the head takes.
pub(crate) const DAY_MIN: i32 = -1_000_000;
/// From here on revisions are kept beside the table.
pub(crate) const REVISION_INLINE_MAX: u32 = u16::MAX as u32 - 1;

/// What the head knows of a live event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    /// Hash of its facts, `HASH_BITS` wide.
    pub(crate) hash: u64,
    /// Its revision; `u16::MAX` = see beside the table.
    pub(crate) revision: u16,
    /// Day of its time.
    pub(crate) day: Day,
    /// Retention class.
    pub(crate) class: RetentionClass,
    /// The tick that wrote it, where that tick is still in the log.
    pub(crate) tick: Tick,
}

/// An entry as it is stored; `day_class` 0 = a gap.
#[derive(Clone, Copy, Default)]
struct Slot {
    hi: u64,
    lo: u64,
    hash_revision: u64,
    day_class: u32,
    tick: u32,
}

const _: () = assert!(size_of::<Slot>() == 32, "the bound per live event");
const _: () = assert!(DAY_MAX < 1 << (DAY_BITS - 1), "a day fits its bits");

impl Slot {
    fn new(id: EventId, entry: Entry) -> Self {
        let class = match entry.class {
            RetentionClass::Exposure => 1,
            RetentionClass::Conversion => 2,
            RetentionClass::Reference => 3,
        };
        Self {
            hi: id.hi,
            lo: id.lo,
            hash_revision: (entry.hash & HASH_MASK) << 16 | u64::from(entry.revision),
            day_class: (entry.day.0 << (32 - DAY_BITS)) as u32 | class,
            tick: entry.tick.0 as u32,
        }
    }

    fn entry(self) -> Entry {
        Entry {
            hash: self.hash_revision >> 16,
            revision: self.hash_revision as u16,
            day: Day(self.day_class as i32 >> (32 - DAY_BITS)),
            class: match self.day_class & 3 {
                1 => RetentionClass::Exposure,
                2 => RetentionClass::Conversion,
                _ => RetentionClass::Reference,
            },
            tick: Tick(u64::from(self.tick)),
        }
    }

    const fn is_gap(&self) -> bool {
        self.day_class == 0
    }

    fn mixed(&self) -> u64 {
        mix(self.hi, self.lo)
    }
}

/// Spreads ids that are not random (tests, derived ids) over all bits.
fn mix(hi: u64, lo: u64) -> u64 {
    let a = lo ^ hi.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
    let wide = u128::from(a ^ 0x2545_F491_4F6C_DD1D) * 0xD6E8_FEB8_6659_FD93;
    let folded = (wide >> 64) as u64 ^ wide as u64;
    folded ^ folded.wrapping_mul(0xA5A3_5625_8B1D_0B2B).rotate_left(32)
}

#[derive(Clone, Default)]
struct Shard {
    slots: Vec<Slot>,
    homes: usize,
    count: usize,
}

/// The map.
#[derive(Clone)]
pub(crate) struct Table {
    shards: Vec<Shard>,
    count: usize,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self {
            shards: vec![Shard::default(); SHARDS],
            count: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Bytes of all places, gaps included.
    pub(crate) fn bytes(&self) -> usize {
        let places: usize = self.shards.iter().map(|s| s.slots.capacity()).sum();
        places * size_of::<Slot>()
    }

    pub(crate) fn get(&self, id: EventId) -> Option<Entry> {
        let mixed = mix(id.hi, id.lo);
        let shard = &self.shards[mixed as usize % SHARDS];
        let at = shard.find(id, mixed).ok()?;
        Some(shard.slots[at].entry())
    }

    /// Brings the places of these ids near: one after the other each would wait for memory, together they wait once.
    pub(crate) fn fetch(&self, ids: &[EventId]) {
        let near = ids.iter().fold(0, |near, id| {
            let mixed = mix(id.hi, id.lo);
            let shard = &self.shards[mixed as usize % SHARDS];
            let slot = shard.slots.get(shard.home(mixed));
            near ^ slot.map_or(0, |slot| slot.lo)
        });
        std::hint::black_box(near);
    }

    /// Makes room for this many entries in all, so that loading does not spread them again and again.
    pub(crate) fn reserve(&mut self, entries: usize) {
        for shard in &mut self.shards {
            let expected = entries / SHARDS;
            if expected > shard.count {
                shard.rebuild(expected);
            }
        }
    }

    /// Puts or replaces; returns what was there.
    pub(crate) fn insert(&mut self, id: EventId, entry: Entry) -> Option<Entry> {
        let mixed = mix(id.hi, id.lo);
        let old = self.shards[mixed as usize % SHARDS].insert(Slot::new(id, entry), mixed);
        self.count += usize::from(old.is_none());
        old.map(Slot::entry)
    }

    pub(crate) fn remove(&mut self, id: EventId) -> Option<Entry> {
        let mixed = mix(id.hi, id.lo);
        let old = self.shards[mixed as usize % SHARDS].remove(id, mixed);
        self.count -= usize::from(old.is_some());
        old.map(Slot::entry)
    }
}

impl Shard {
    fn home(&self, mixed: u64) -> usize {
        ((u128::from(mixed) * self.homes as u128) >> 64) as usize
    }

    /// Where the entry stands, or would stand.
    fn find(&self, id: EventId, mixed: u64) -> Result<usize, usize> {
        let mut at = self.home(mixed);
        while let Some(slot) = self.slots.get(at) {
            if slot.is_gap() {
                break;
            }
            if slot.lo == id.lo && slot.hi == id.hi {
                return Ok(at);
            }
            if slot.mixed() > mixed {
                break;
            }
            at += 1;
        }
        Err(at)
    }

    fn insert(&mut self, new: Slot, mixed: u64) -> Option<Slot> {
        let id = EventId {
            hi: new.hi,
            lo: new.lo,
        };
        if let Ok(at) = self.find(id, mixed) {
            return Some(std::mem::replace(&mut self.slots[at], new));
        }
        if (self.count + 1) * 1000 > self.homes * LOAD_MAX {
            self.rebuild(self.count + 1);
        }
        loop {
            let Err(at) = self.find(id, mixed) else {
                return None;
            };
            let rest = self.slots.get(at..).unwrap_or_default();
            if let Some(gap) = rest.iter().position(Slot::is_gap) {
                self.slots.copy_within(at..at + gap, at + 1);
                self.slots[at] = new;
                self.count += 1;
                return None;
            }
            // The cluster at the end is longer than the pad: more homes pull it apart.
            self.rebuild(self.count + self.count / 8 + 1);
        }
    }

    fn remove(&mut self, id: EventId, mixed: u64) -> Option<Slot> {
        let at = self.find(id, mixed).ok()?;
        let old = self.slots[at];
        let mut end = at + 1;
        while let Some(slot) = self.slots.get(end) {
            if slot.is_gap() || self.home(slot.mixed()) == end {
                break;
            }
            end += 1;
        }
        self.slots.copy_within(at + 1..end, at);
        self.slots[end - 1] = Slot::default();
        self.count -= 1;
        if self.count * 2000 < self.homes * LOAD_AFTER && self.homes > 64 {
            self.rebuild(self.count);
        }
        Some(old)
    }

    /// Spreads the entries over places for `entries` of them.
    fn rebuild(&mut self, entries: usize) {
        let mut homes = entries * 1000 / LOAD_AFTER + 8;
        'again: loop {
            let mut slots = vec![Slot::default(); homes + PAD];
            let mut next = 0;
            for slot in self.slots.iter().filter(|slot| !slot.is_gap()) {
                let home = ((u128::from(slot.mixed()) * homes as u128) >> 64) as usize;
                let at = home.max(next);
                let Some(place) = slots.get_mut(at) else {
                    homes += homes / 8 + 8;
                    continue 'again;
                };
                *place = *slot;
                next = at + 1;
            }
            self.slots = slots;
            self.homes = homes;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn entry(hash: u64, day: i32) -> Entry {
        Entry {
            hash: hash & HASH_MASK,
            revision: hash as u16,
            day: Day(day),
            class: RetentionClass::Conversion,
            tick: Tick(hash % 1000),
        }
    }

    proptest! {
        #[test]
        fn equals_a_map(steps in prop::collection::vec((any::<bool>(), 0u64..400, any::<u64>(), DAY_MIN..DAY_MAX), 0..1500), high in any::<bool>()) {
            let mut table = Table::new();
            let mut map = BTreeMap::new();
            for (put, id, hash, day) in steps {
                // Ids of one shard too: high bits only, so that long clusters occur.
                let id = if high { EventId { hi: id, lo: 0 } } else { EventId { hi: 0, lo: id } };
                if put {
                    prop_assert_eq!(table.insert(id, entry(hash, day)), map.insert(id, entry(hash, day)));
                } else {
                    prop_assert_eq!(table.remove(id), map.remove(&id));
                }
                prop_assert_eq!(table.len(), map.len());
            }
            for id in 0..400 {
                let id = if high { EventId { hi: id, lo: 0 } } else { EventId { hi: 0, lo: id } };
                prop_assert_eq!(table.get(id), map.get(&id).copied());
            }
        }
    }

    #[test]
    fn many_entries_come_and_go_within_the_memory_bound() {
        let mut table = Table::new();
        let id = |i: u64| EventId { hi: i / 7, lo: i };
        for i in 0..300_000 {
            assert_eq!(table.insert(id(i), entry(i, 7)), None);
            if i > 100_000 && i % 10_000 == 0 {
                let per_entry = table.bytes() as f64 / table.len() as f64;
                assert!(per_entry < 43.0, "{per_entry} at {i}");
            }
        }
        for i in 0..300_000 {
            assert_eq!(table.get(id(i)), Some(entry(i, 7)));
            if i % 3 != 0 {
                assert_eq!(table.remove(id(i)), Some(entry(i, 7)));
            }
        }
        for i in 0..300_000 {
            assert_eq!(table.get(id(i)).is_some(), i % 3 == 0);
        }
        for i in 0..300_000 {
            table.remove(id(i));
        }
        assert_eq!(table.len(), 0);
        assert!(
            table.bytes() < 1 << 20,
            "memory is given back: {}",
            table.bytes()
        );
    }
}
