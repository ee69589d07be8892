//! What is known of agents that were seen before.
//! Promises: at most twice `max` are held; what was asked for lately is still there. Leaves out: what is known of them.
#![expect(clippy::disallowed_types, reason = "asked by key only, never walked")]

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use hostread_schemas::AgentId;

/// For keys that are keyed hashes already.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsIs(u64);

impl Hasher for AsIs {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A table by id.
pub type ById<K, V> = HashMap<K, V, BuildHasherDefault<AsIs>>;

/// Answers by agent, in two generations: when the young one is full the old one is forgotten, and what is asked for again
/// becomes young.
#[derive(Clone, Debug)]
pub struct Seen<V> {
    young: ById<AgentId, V>,
    old: ById<AgentId, V>,
    max: usize,
}

impl<V: Copy> Seen<V> {
    /// Holds so many at least, twice as many at most.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            young: ById::default(),
            old: ById::default(),
            max: max.max(1),
        }
    }

    /// The same without a bound, for a use that holds the agents' names anyway.
    #[must_use]
    pub fn unbounded(self) -> Self {
        Self {
            max: usize::MAX,
            ..self
        }
    }

    /// What is known of an agent; `judge` says it the first time, and after it was forgotten.
    pub fn get_or(&mut self, agent: AgentId, judge: impl FnOnce() -> V) -> V {
        if let Some(known) = self.young.get(&agent) {
            return *known;
        }
        let known = self.old.get(&agent).copied();
        let known = known.unwrap_or_else(judge);
        if self.young.len() >= self.max {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(agent, known);
        known
    }

    /// What is known of an agent, unless it was forgotten.
    #[must_use]
    pub fn get(&self, agent: AgentId) -> Option<V> {
        let known = self.young.get(&agent).or_else(|| self.old.get(&agent));
        known.copied()
    }

    /// How many are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Is none held?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;

    #[test]
    fn an_agent_is_judged_once_while_it_is_asked_for() {
        let mut seen = Seen::new(10);
        let mut judged = 0;
        for other in 0..1_000_u64 {
            let often = seen.get_or(AgentId(u64::MAX), || {
                judged += 1;
                7
            });
            assert_eq!(often, 7);
            assert_eq!(seen.get_or(AgentId(other), || other), other);
            assert_eq!(seen.get(AgentId(other)), Some(other));
            assert!(seen.len() <= 20);
        }
        assert_eq!(judged, 1);
        assert_eq!(seen.get(AgentId(0)), None);
    }
}
