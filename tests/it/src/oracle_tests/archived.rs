//! What readers see comes out of two things: the rows of the dataflow, and what was archived of those that left it or moved
//! behind the seal. Here the dataflow's rows are the sum of its changes; that a load makes the same ones is for the end-to-end
//! tests.

use std::collections::BTreeMap;

use hostread_job::step::Stepped;
use hostread_schemas::view::{ViewClass, ViewKey, ViewValue};

use crate::oracle::Rows;

/// The dataflow's own rows, and the archive.
#[derive(Default)]
pub(super) struct Archived {
    raw: Rows,
    archive: BTreeMap<ViewKey, Option<ViewValue>>,
}

impl Archived {
    /// A tick is done.
    pub(super) fn apply(&mut self, stepped: &Stepped) -> Result<(), String> {
        for change in &stepped.withheld {
            let old = change.old.clone();
            match change.key.view().class() {
                ViewClass::Daily => drop(self.archive.entry(change.key).or_insert(old)),
                ViewClass::Running => drop(self.archive.insert(change.key, old)),
                ViewClass::AppendOnly => return Err(format!("{:?} is withheld", change.key)),
            }
        }
        for change in stepped.changes.iter().chain(&stepped.withheld) {
            if self.raw.get(&change.key) != change.old.as_ref() {
                return Err(format!("{:?} went from {:?}", change.key, change.old));
            }
            match &change.new {
                Some(new) => self.raw.insert(change.key, new.clone()),
                None => self.raw.remove(&change.key),
            };
        }
        Ok(())
    }

    /// Both together are what readers see.
    pub(super) fn same(&self, visible: &Rows) -> Result<(), String> {
        let archived = |key: &ViewKey| self.archive.get(key);
        let known = |key: &ViewKey| match key.view().class() {
            ViewClass::Daily => match archived(key) {
                Some(known) => known.as_ref(),
                None => self.raw.get(key),
            },
            _ => self
                .raw
                .get(key)
                .or_else(|| archived(key).and_then(Option::as_ref)),
        };
        let keys = visible
            .keys()
            .chain(self.raw.keys())
            .chain(self.archive.keys());
        for key in keys {
            if known(key) != visible.get(key) {
                return Err(format!(
                    "{key:?}: dataflow and archive say {:?}, readers see {:?}",
                    known(key),
                    visible.get(key)
                ));
            }
        }
        Ok(())
    }
}
