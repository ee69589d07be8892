//! Rebuilding the head from the journal, entry by entry. Promises: the same head as before the stop.

use hostread_schemas::fact::Fact;
use hostread_schemas::{EventId, NameKind, Tick};

use super::Head;
use crate::record::Revision;
use crate::table::Entry;

impl Head {
    pub(crate) fn reserve(&mut self, live: u64) {
        self.table.reserve(live as usize);
    }

    pub(crate) fn restore(&mut self, id: EventId, entry: Entry, revision: u32, fact: Option<Fact>) {
        let revision = self.keep_revision(id, revision);
        self.table.insert(id, Entry { revision, ..entry });
        match fact {
            Some(fact) => self.reference.insert(id, fact),
            None => self.reference.remove(&id),
        };
    }

    pub(crate) fn restore_gone(&mut self, id: EventId, hash: u64) {
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
