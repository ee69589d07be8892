//! Rebuilding the head from the journal, step by step. Promises: the same head as before the stop.

use hostread_schemas::fact::{Fact, RetentionClass};
use hostread_schemas::{EventId, NameKind, Tick};

use super::Head;
use crate::record::Revision;
use crate::restore::Step;
use crate::table::Entry;

/// Steps whose places are fetched together. More: the first are gone from the cache again; fewer: more waiting for memory.
const FETCHED: usize = 32;

impl Head {
    pub(crate) fn reserve(&mut self, live: u64) {
        self.table.reserve(live as usize);
    }

    pub(crate) fn restore(&mut self, steps: Vec<Step>) {
        let ids: Vec<EventId> = steps.iter().map(Step::id).collect();
        let mut next = ids.chunks(FETCHED);
        for (index, step) in steps.into_iter().enumerate() {
            if index % FETCHED == 0 {
                self.table.fetch(next.next().unwrap_or_default());
            }
            match step {
                Step::Live {
                    id,
                    entry,
                    revision,
                    fact,
                } => self.restore_live(id, entry, revision, fact.map(|fact| *fact)),
                Step::Gone { id, hash } => self.restore_gone(id, hash),
            }
        }
    }

    fn restore_live(&mut self, id: EventId, entry: Entry, revision: u32, fact: Option<Fact>) {
        let revision = self.keep_revision(id, revision);
        let before = self.table.insert(id, Entry { revision, ..entry });
        if let Some(fact) = fact {
            self.reference.insert(id, fact);
        } else if before.is_some_and(|before| before.class == RetentionClass::Reference) {
            self.reference.remove(&id);
        }
    }

    fn restore_gone(&mut self, id: EventId, hash: u64) {
        if self.table.get(id).is_some_and(|entry| entry.hash == hash) {
            self.forget(id);
        }
    }

    pub(crate) fn restore_revision(&mut self, stated: &Revision) {
        if let Some(entry) = self.table.get(stated.id) {
            let revision = self.keep_revision(stated.id, stated.revision);
            self.table.insert(stated.id, Entry { revision, ..entry });
        }
    }

    pub(crate) fn restore_name(&self, kind: NameKind, id: u64, text: &str) -> bool {
        self.learner.names().insert(kind, id, text)
    }

    pub(crate) fn restore_done(&mut self, last: Tick) {
        self.next = last.next();
    }
}
