//! How far the log was read, in time: the clock must not pass what still waits there.

use std::collections::BTreeMap;
use std::sync::Arc;

use hostread_eventlog::Offsets;

/// When the newest event that was read of each partition had been received.
#[derive(Default)]
pub(crate) struct Backlog {
    newest: BTreeMap<Arc<str>, BTreeMap<u32, i64>>,
}

impl Backlog {
    /// An event was read.
    pub(crate) fn note(&mut self, topic: &Arc<str>, partition: u32, received_ms: i64) {
        let partitions = match self.newest.get_mut(topic) {
            Some(partitions) => partitions,
            None => self.newest.entry(Arc::clone(topic)).or_default(),
        };
        let newest = partitions.entry(partition).or_insert(received_ms);
        *newest = received_ms.max(*newest);
    }

    /// Until when nothing is missing; `None`: nothing waits. Each partition is read at its own pace, so the one that is
    /// furthest behind counts, and of one that gave nothing yet nobody knows.
    pub(crate) fn until(&self, behind: &Offsets) -> Option<i64> {
        let read = |(topic, partition): &(String, u32)| {
            let newest = self.newest.get(topic.as_str());
            newest
                .and_then(|of| of.get(partition))
                .copied()
                .unwrap_or(0)
        };
        behind.keys().map(read).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_furthest_behind_counts() {
        let mut backlog = Backlog::default();
        backlog.note(&"a".into(), 0, 50);
        backlog.note(&"a".into(), 0, 40);
        backlog.note(&"b".into(), 0, 70);
        let until = |topics: &[&str]| {
            let behind = topics.iter().map(|topic| (((*topic).to_owned(), 0), 1));
            backlog.until(&behind.collect())
        };
        assert_eq!(until(&[]), None);
        assert_eq!(until(&["b"]), Some(70));
        assert_eq!(until(&["a", "b"]), Some(50));
        assert_eq!(until(&["a", "c"]), Some(0), "nothing of it was read");
    }
}
