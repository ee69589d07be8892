//! The journal as a reader sees it who does not own it: the live facts as of one tick. Writes nothing, takes no lock.
//!
//! ```text
//! manifest ─► names, open files of facts, ticks behind `since` ─► live facts by class and day, as often as one asks
//! ```
//! Needs: a journal's folder, whether or not its owner runs. Promises: one tick's state, which no compaction takes away: files
//! are held open, and what vanished while they were opened is looked for again under the new manifest.
//! Leaves out: what is not written yet. Memory: names, and the events of the ticks behind `since`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostread_disk::{Disk, DiskFile};
use hostread_schemas::fact::{Fact, RetentionClass};
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{Day, EventId, EventTimeMs, Names, Tick};

use crate::codec;
use crate::error::{JournalError, Result};
use crate::fact_file::{Bucket, FactReader};
use crate::manifest::{FactFile, Manifest, read_names};
use crate::merge::{BucketChanges, Changes, merge};
use crate::open::check_key;
use crate::record::ReleaseRecord;
use crate::tick_log::{LogReader, segment_path, segments};

/// Compactions that may come between. Fewer: a small journal on a busy machine, compacted again and again, cannot be read. What
/// is damaged is told at once, because no compaction comes between.
const TRIES_MAX: u32 = 200;

/// See the module.
#[derive(Debug)]
pub struct Snapshot {
    dir: PathBuf,
    journal: u128,
    /// The newest tick in it.
    pub last: Tick,
    /// The clock of that tick.
    pub clock: EventTimeMs,
    /// How far events were released.
    pub released: Option<ReleaseRecord>,
    /// Names known by then.
    pub names: Names,
    files: BTreeMap<Bucket, (FactFile, Arc<dyn DiskFile>)>,
    changes: BTreeMap<Bucket, BucketChanges>,
}

impl Snapshot {
    /// Reads the journal in a folder; `None`: there is none.
    pub fn read(disk: &Arc<dyn Disk>, dir: &Path, hasher: IdHasher) -> Result<Option<Self>> {
        let mut tries = 1;
        loop {
            let Some(manifest) = Manifest::read(disk.as_ref(), dir)? else {
                return Ok(None);
            };
            check_key(&manifest, dir, hasher)?;
            match Self::of(disk, dir, &manifest) {
                Ok(snapshot) => return Ok(Some(snapshot)),
                // Files that it named may be gone, but only when there is a newer one.
                Err(error) => {
                    let now = Manifest::read(disk.as_ref(), dir)?;
                    if tries == TRIES_MAX || now.as_ref() == Some(&manifest) {
                        return Err(error);
                    }
                    tries += 1;
                }
            }
        }
    }

    fn of(disk: &Arc<dyn Disk>, dir: &Path, manifest: &Manifest) -> Result<Self> {
        let mut files = BTreeMap::new();
        for file in &manifest.facts {
            let open = disk.open_read(&dir.join(&file.name))?;
            files.insert(file.bucket, (file.clone(), open));
        }
        let mut snapshot = Self {
            dir: dir.to_path_buf(),
            journal: manifest.journal,
            last: manifest.since,
            clock: manifest.clock,
            released: manifest.released,
            names: Names::default(),
            files,
            changes: BTreeMap::new(),
        };
        for file in &manifest.names {
            read_names(disk, dir, file, |kind, id, text| {
                snapshot.names.insert(kind, id, &text);
            })?;
        }
        snapshot.read_ticks(disk, manifest)?;
        Ok(snapshot)
    }

    /// Adds what the ticks behind `since` say.
    fn read_ticks(&mut self, disk: &Arc<dyn Disk>, manifest: &Manifest) -> Result<()> {
        let mut found = segments(disk.as_ref(), &self.dir)?;
        let obsolete = found
            .iter()
            .skip(1)
            .take_while(|next| **next <= manifest.since.next())
            .count();
        found.drain(..obsolete);
        match found.first() {
            None if !manifest.log_begun => return Ok(()),
            Some(first) if *first <= manifest.since.next() => {}
            _ => {
                let path = segment_path(&self.dir, manifest.since.next());
                let reason = "the tick log's beginning is missing";
                return Err(JournalError::damaged(&path, 0, reason));
            }
        }
        let mut changes = Changes::default();
        let mut log = LogReader::open(Arc::clone(disk), &self.dir, self.journal, found, None);
        while let Some(raw) = log.next_record()? {
            if raw.tick == manifest.since && log.end().chain != manifest.chain {
                return Err(raw.damaged("the chain is not the one that the manifest names"));
            }
            if raw.tick <= manifest.since {
                continue;
            }
            let record = changes.add(&raw, &|_| true)?;
            (self.last, self.clock) = (record.tick, record.clock);
            self.released = record.release.or(self.released);
            for (kind, id, text) in &record.names {
                self.names.insert(*kind, *id, text);
            }
        }
        self.changes = changes.buckets;
        Ok(())
    }

    /// The days that have facts of a class, ascending.
    pub fn days(&self, class: RetentionClass) -> Vec<Day> {
        let of_class = |bucket: &&Bucket| bucket.class() == class;
        let mut days: Vec<Day> = self
            .files
            .keys()
            .chain(self.changes.keys())
            .filter(of_class)
            .map(|bucket| bucket.day())
            .collect();
        days.sort_unstable();
        days.dedup();
        days
    }

    /// Shows the live facts of a class and day (any day for reference facts), in order of tenant, time and id.
    pub fn facts(&self, class: RetentionClass, day: Day, each: &mut dyn FnMut(Fact)) -> Result<()> {
        let bucket = Bucket::new(class, day);
        let changes = self.changes.get(&bucket).cloned().unwrap_or_default();
        merge(self.reader(bucket)?, changes, &mut |fact, _| {
            each(fact);
            Ok(())
        })
    }

    /// The live fact of an event.
    pub fn find(&self, id: EventId) -> Result<Option<Fact>> {
        let mut found = None;
        for (bucket, changes) in &self.changes {
            if changes.names(id) {
                self.facts(bucket.class(), bucket.day(), &mut |fact| {
                    if fact.id == id {
                        found = Some(fact);
                    }
                })?;
            }
        }
        for bucket in self.files.keys().rev() {
            if found.is_some() {
                break;
            }
            // What the ticks since say of it was found above.
            let said = |bucket| self.changes.get(bucket).is_some_and(|c| c.names(id));
            if !said(bucket)
                && let Some(reader) = self.reader(*bucket)?
            {
                reader.visit(|raw, _| {
                    let (_, _, this) = codec::prefix(raw.bytes)?;
                    if this == id {
                        found = Some(raw.decode()?);
                    }
                    Some(())
                })?;
            }
        }
        Ok(found)
    }

    fn reader(&self, bucket: Bucket) -> Result<Option<FactReader>> {
        let open = |(entry, file): &(FactFile, Arc<dyn DiskFile>)| {
            let path = self.dir.join(&entry.name);
            FactReader::over(Arc::clone(file), path, self.journal, entry)
        };
        self.files.get(&bucket).map(open).transpose()
    }
}
