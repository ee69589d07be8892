//! Moves `since` forward: rewrites the files of the days that changed, then drops the ticks that nobody needs.
//!
//! ```text
//! ticks (since, step] -> Changes -> per touched bucket: old file + changes -> new file
//!   -> new manifest (the commit point) -> old files and segments are garbage -> removed when their last reader is done
//! ```
//! Needs: `since` at most every sink's upper.    Promises: a crash anywhere leaves the old state or the new one.
//! Memory: the changes of one step, and one block of one file.    Leaves out: when to run (`job`).
//! Invariant 1: compaction changes no answer of `load` and `ticks` at or behind the new `since`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use hostread_disk::Disk;
use hostread_schemas::{EventTimeMs, Tick};

use crate::error::{JournalError, Result};
use crate::fact_file::{Bucket, FactWriter};
use crate::journal::Journal;
use crate::manifest::{FactFile, Manifest, NameMap, read_names, write_names};
use crate::merge::{BucketChanges, Changes, merge};
use crate::record::{Offsets, ReleaseRecord};
use crate::tick_log::{Chain, segment_path};

/// Events in one step. Larger: more memory; smaller: a long backlog rewrites the same day more often.
const STEP_EVENTS: usize = 1_000_000;
/// Files of names before they are written as one. More: slower opening; fewer: names are rewritten more often.
const NAMES_FILES_MAX: usize = 16;

/// What the ticks of a step add up to.
struct Step {
    since: Tick,
    chain: Chain,
    clock: EventTimeMs,
    offsets: Offsets,
    released: Option<ReleaseRecord>,
    names: NameMap,
    changes: Changes,
}

/// Files of facts and names that were written for a later `since` than the manifest's.
fn remove_written(disk: &dyn Disk, dir: &Path, since: Tick) -> Result<()> {
    for name in disk.list(dir)? {
        let generation = name.rsplit('-').next().and_then(|tail| tail.parse().ok());
        let is_ours = name.starts_with("facts-") || name.starts_with("names-");
        if is_ours && generation.is_some_and(|generation: u64| generation > since.0) {
            disk.remove(&dir.join(&name))?;
        }
    }
    disk.sync_dir(dir)?;
    Ok(())
}

impl Journal {
    /// Makes `since` the oldest state that can be loaded; ticks up to it leave the disk when no reader needs them. Runs beside
    /// `append` and `sync`. `since` must be durable; an earlier one than now is a no-op. After an error, a full disk's above all,
    /// everything is as it was and it may be tried again, unless it then says otherwise.
    pub fn compact(&self, since: Tick) -> Result<()> {
        let mut failed = self
            .compacting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *failed {
            // Which manifest the folder has is unknown; writing files that it may name would damage it.
            return Err(JournalError::Broken(
                "an earlier compaction failed; open the journal again",
            ));
        }
        if since > self.synced() {
            return Err(JournalError::OutOfRange {
                tick: since,
                since: self.since(),
                last: self.synced(),
            });
        }
        while self.since() < since {
            if let Err(error) = self.compact_step(since) {
                *failed = !self.step_back();
                return Err(error);
            }
        }
        self.collect_garbage()
    }

    fn compact_step(&self, target: Tick) -> Result<()> {
        let view = self.view(self.since());
        let step = self.gather(&view.manifest, target)?;
        let mut next = (*view.manifest).clone();
        let mut replaced = self.rewrite(&mut next, step.changes, step.since)?;
        replaced.extend(self.add_names(&mut next, step.names, step.since)?);
        next.since = step.since;
        next.chain = step.chain;
        next.clock = step.clock;
        next.offsets = step.offsets;
        next.released = step.released;
        self.disk.sync_dir(&self.dir)?;
        self.roll()?;
        fail::fail_point!("compact.before_manifest");
        next.write(self.disk.as_ref(), &self.dir)?;
        fail::fail_point!("compact.manifest_written");
        drop(view);
        self.publish(next, replaced);
        Ok(())
    }

    /// A step failed, for want of room perhaps: if the folder still has the manifest that we know, what the step wrote is removed
    /// and a later one may do better. Says whether that is so.
    fn step_back(&self) -> bool {
        let known = Arc::clone(&self.core().manifest);
        let disk = self.disk.as_ref();
        let found = Manifest::read(disk, &self.dir).ok().flatten();
        found.is_some_and(|found| found == *known)
            && remove_written(disk, &self.dir, known.since).is_ok()
    }

    /// A new segment, so that the one with the ticks just compacted can go at the latest with the next compaction.
    fn roll(&self) -> Result<()> {
        let mut writer = self.writer();
        writer.roll()?;
        self.core().note_segment(&writer);
        Ok(())
    }

    /// Reads ticks from `since` on, up to the target or a step's worth of events.
    fn gather(&self, manifest: &Manifest, target: Tick) -> Result<Step> {
        let view = self.view(manifest.since);
        let mut step = Step {
            since: manifest.since,
            chain: manifest.chain,
            clock: manifest.clock,
            offsets: manifest.offsets.clone(),
            released: manifest.released,
            names: NameMap::new(),
            changes: Changes::default(),
        };
        let mut log = self.log(&view)?;
        while let Some(reader) = &mut log
            && step.since < target
            && step.changes.count < STEP_EVENTS
            && let Some(raw) = reader.next_record()?
        {
            let record = step.changes.add(&raw, &|_| true)?;
            step.since = raw.tick;
            step.chain = reader.end().chain;
            step.clock = record.clock;
            step.offsets.extend(record.offsets);
            step.released = record.release.or(step.released);
            for (kind, id, text) in record.names {
                step.names.insert((kind, id), text);
            }
        }
        if step.since == manifest.since {
            return Err(JournalError::Broken("a durable tick is not in the log"));
        }
        Ok(step)
    }

    /// Writes new files for the buckets that changed; returns the files they replace.
    fn rewrite(
        &self,
        next: &mut Manifest,
        changes: Changes,
        generation: Tick,
    ) -> Result<Vec<PathBuf>> {
        let mut replaced = Vec::new();
        for (bucket, changed) in changes.buckets {
            let file = self.rewrite_bucket(next, bucket, changed, generation)?;
            fail::fail_point!("compact.day_written");
            if let Some(old) = next.file(bucket) {
                replaced.push(self.dir.join(&old.name));
            }
            next.facts.retain(|file| file.bucket != bucket);
            next.facts.extend(file);
        }
        next.facts.sort_by_key(|file| file.bucket);
        Ok(replaced)
    }

    fn rewrite_bucket(
        &self,
        manifest: &Manifest,
        bucket: Bucket,
        changed: BucketChanges,
        generation: Tick,
    ) -> Result<Option<FactFile>> {
        let disk = self.disk.as_ref();
        let mut writer = None;
        merge(
            self.base(manifest, bucket)?,
            changed,
            &mut |fact, revision| {
                let writer = match &mut writer {
                    Some(writer) => writer,
                    none => none.insert(FactWriter::create(
                        disk, &self.dir, self.id, bucket, generation,
                    )?),
                };
                writer.push(&fact, revision)
            },
        )?;
        writer.map(FactWriter::finish).transpose()
    }

    fn add_names(
        &self,
        next: &mut Manifest,
        mut names: NameMap,
        generation: Tick,
    ) -> Result<Vec<PathBuf>> {
        let mut replaced = Vec::new();
        if names.is_empty() {
            return Ok(replaced);
        }
        if next.names.len() >= NAMES_FILES_MAX {
            for file in std::mem::take(&mut next.names) {
                read_names(&self.disk, &self.dir, &file, |kind, id, text| {
                    names.insert((kind, id), text);
                })?;
                replaced.push(self.dir.join(&file.name));
            }
        }
        let file = write_names(self.disk.as_ref(), &self.dir, generation, &names)?;
        fail::fail_point!("compact.names_written");
        next.names.push(file);
        Ok(replaced)
    }

    /// Shows the new state to readers; what it does not name is garbage.
    fn publish(&self, next: Manifest, mut replaced: Vec<PathBuf>) {
        let since = next.since;
        let mut core = self.core();
        core.manifest = Arc::new(next);
        core.index = core.index.split_off(&since.next());
        let obsolete = core
            .segments
            .iter()
            .skip(1)
            .take_while(|next| **next <= since.next())
            .count();
        let segments: BTreeSet<Tick> = core.segments.drain(..obsolete).collect();
        replaced.extend(segments.iter().map(|first| segment_path(&self.dir, *first)));
        let pin = std::mem::replace(&mut core.pin, Arc::new(()));
        core.garbage.push((pin, replaced));
    }

    /// Removes files whose readers are done. An old reader may need what became garbage later, too: the oldest goes first.
    fn collect_garbage(&self) -> Result<()> {
        let garbage = std::mem::take(&mut self.core().garbage);
        let mut kept = Vec::new();
        let mut removed = false;
        for (pin, mut paths) in garbage {
            if !kept.is_empty() || Arc::strong_count(&pin) > 1 {
                kept.push((pin, paths));
                continue;
            }
            while let Some(path) = paths.pop() {
                fail::fail_point!("compact.before_remove");
                self.disk.remove(&path)?;
                fail::fail_point!("compact.removed");
                removed = true;
            }
        }
        self.core().garbage = kept;
        if removed {
            self.disk.sync_dir(&self.dir)?;
        }
        Ok(())
    }
}
