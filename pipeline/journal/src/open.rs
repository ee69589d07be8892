//! Opens a journal's folder: finds what is whole, removes what nothing names, rebuilds the head.
//!
//! ```text
//! lock -> manifest -> names, fact files -> head -> tick log: verify chain, apply ticks > since -> cut torn tail -> epoch + 1
//! ```
//! Promises: after `open` returns, folder and memory say the same, and a crash inside `open` leaves a folder that opens.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use hostread_disk::Disk;
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{EventId, EventTimeMs, Names, Tick};

use crate::error::{JournalError, Result};
use crate::head::Head;
use crate::journal::{Core, Journal};
use crate::manifest::{Manifest, read_names};
use crate::record::{Offsets, ReleaseRecord};
use crate::restore::Files;
use crate::tick_log::{LogEnd, LogWriter, segment_path, segments};

/// Kind of the derived id that binds a journal to its key.
const KEY_CHECK: u8 = 0xB0;

/// An opened journal and where it stands.
#[derive(Debug)]
pub struct Opened {
    /// The journal.
    pub journal: Journal,
    /// The head as of `last`.
    pub head: Head,
    /// Identity, from the first opening.
    pub journal_id: u128,
    /// Grows with every opening.
    pub epoch: u64,
    /// The oldest state that can be loaded.
    pub since: Tick,
    /// The newest durable tick.
    pub last: Tick,
    /// The clock of `last`.
    pub clock: EventTimeMs,
    /// Next offsets to read from the log.
    pub offsets: Offsets,
    /// How far events were released.
    pub released: Option<ReleaseRecord>,
    /// Names known as of `last` (shared with the head).
    pub names: Names,
    /// The folder was empty before.
    pub created: bool,
    /// Bytes of a torn tail that were cut off.
    pub cut_bytes: u64,
}

impl Journal {
    /// Opens the journal in `dir`, or begins one with the identity `create_id`.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        create_id: u128,
        hasher: IdHasher,
    ) -> Result<Opened> {
        disk.create_dir(dir)?;
        let lock = disk.lock(&dir.join("LOCK"))?;
        fail::fail_point!("open.locked");
        let (mut manifest, created) = manifest(&disk, dir, create_id, hasher)?;
        remove_unnamed(disk.as_ref(), dir, &manifest)?;
        let names = Names::default();
        let mut head = Head::new(hasher, names.clone());
        load_names(&disk, dir, &manifest, &head)?;
        fail::fail_point!("open.names_read");
        let found = needed_segments(disk.as_ref(), dir, &manifest)?;
        let files = Files {
            disk: &disk,
            dir,
            manifest: &manifest,
            segments: &found,
        };
        let (replayed, end) = files.restore(&mut head)?;
        let (writer, cut_bytes) = files.writer(end)?;
        let last = replayed.index.last_key_value();
        let last = last.map_or(manifest.since, |(tick, _)| *tick);
        head.restore_done(last);
        fail::fail_point!("open.ticks_read");
        manifest.epoch += 1;
        manifest.log_begun = true;
        manifest.write(disk.as_ref(), dir)?;
        let mut core = Core {
            manifest: Arc::new(manifest.clone()),
            segments: found,
            newest_len: 0,
            index: replayed.index,
            unsynced: VecDeque::new(),
            appended: last,
            synced: last,
            pin: Arc::new(()),
            garbage: Vec::new(),
        };
        core.note_segment(&writer);
        Ok(Opened {
            journal: Self::assemble(disk, dir, lock, writer, core),
            head,
            journal_id: manifest.journal,
            epoch: manifest.epoch,
            since: manifest.since,
            last,
            clock: replayed.clock,
            offsets: replayed.offsets,
            released: replayed.released,
            names,
            created,
            cut_bytes,
        })
    }
}

fn manifest(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    create_id: u128,
    hasher: IdHasher,
) -> Result<(Manifest, bool)> {
    if let Some(manifest) = Manifest::read(disk.as_ref(), dir)? {
        check_key(&manifest, dir, hasher)?;
        return Ok((manifest, false));
    }
    if files(disk.as_ref(), dir)?.iter().any(|name| is_ours(name)) {
        let reason = "the journal's manifest is missing";
        return Err(JournalError::damaged(&Manifest::path(dir), 0, reason));
    }
    let manifest = Manifest {
        journal: create_id,
        key_check: key_check(create_id, hasher),
        epoch: 0,
        since: Tick(0),
        chain: [0; 32],
        clock: EventTimeMs(0),
        offsets: Offsets::new(),
        released: None,
        log_begun: false,
        facts: Vec::new(),
        names: Vec::new(),
    };
    manifest.write(disk.as_ref(), dir)?;
    Ok((manifest, true))
}

fn key_check(journal: u128, hasher: IdHasher) -> EventId {
    let id = EventId::from(journal);
    hasher.derived(KEY_CHECK, &[id.hi, id.lo])
}

/// Was it written under this key?
pub(crate) fn check_key(manifest: &Manifest, dir: &Path, hasher: IdHasher) -> Result<()> {
    if manifest.key_check == key_check(manifest.journal, hasher) {
        return Ok(());
    }
    let dir = dir.to_path_buf();
    Err(JournalError::OtherKey { dir })
}

fn files(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>> {
    Ok(disk.list(dir)?)
}

fn is_ours(name: &str) -> bool {
    ["facts-", "names-", "ticks-"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Files that a compaction wrote, or failed to remove, around a crash.
fn remove_unnamed(disk: &dyn Disk, dir: &Path, manifest: &Manifest) -> Result<()> {
    let mut removed = false;
    for name in files(disk, dir)? {
        let ours = name.starts_with("facts-") || name.starts_with("names-");
        let named = manifest.facts.iter().any(|file| file.name == name)
            || manifest.names.iter().any(|file| file.name == name);
        if ours && !named {
            disk.remove(&dir.join(&name))?;
            fail::fail_point!("open.unnamed_removed");
            removed = true;
        }
    }
    if removed {
        disk.sync_dir(dir)?;
    }
    Ok(())
}

/// Segments that hold ticks behind `since`, or the newest; removes the others.
fn needed_segments(disk: &dyn Disk, dir: &Path, manifest: &Manifest) -> Result<Vec<Tick>> {
    let mut found = segments(disk, dir)?;
    let obsolete = found
        .iter()
        .skip(1)
        .take_while(|next| **next <= manifest.since.next())
        .count();
    for first in found.drain(..obsolete) {
        disk.remove(&segment_path(dir, first))?;
        fail::fail_point!("open.segment_removed");
    }
    if obsolete > 0 {
        disk.sync_dir(dir)?;
    }
    if found.is_empty() && manifest.log_begun {
        let path = segment_path(dir, manifest.since.next());
        return Err(JournalError::damaged(&path, 0, "the tick log is missing"));
    }
    if found
        .first()
        .is_some_and(|first| *first > manifest.since.next())
    {
        let path = segment_path(dir, manifest.since.next());
        return Err(JournalError::damaged(
            &path,
            0,
            "the tick log's beginning is missing",
        ));
    }
    Ok(found)
}

fn load_names(disk: &Arc<dyn Disk>, dir: &Path, manifest: &Manifest, head: &Head) -> Result<()> {
    for file in &manifest.names {
        let mut same = true;
        read_names(disk, dir, file, |kind, id, text| {
            same &= head.restore_name(kind, id, &text);
        })?;
        if !same {
            let path = dir.join(&file.name);
            return Err(JournalError::damaged(&path, 0, "a name has two texts"));
        }
    }
    Ok(())
}

impl Files<'_> {
    /// Goes on where the log ends; says how many bytes of a torn tail were cut off.
    fn writer(&self, end: Option<LogEnd>) -> Result<(LogWriter, u64)> {
        let (dir, manifest) = (self.dir, self.manifest);
        let disk = Arc::clone(self.disk);
        let Some(end) = end else {
            let (first, chain) = (manifest.since.next(), manifest.chain);
            let writer = LogWriter::create(disk, dir, manifest.journal, first, chain)?;
            return Ok((writer, 0));
        };
        let len = disk.open_read(&segment_path(dir, end.segment))?.len()?;
        let cut = len.saturating_sub(end.offset);
        let writer = if end.offset == 0 {
            // A segment without a header was never written to. Its chain is that of the segment before, or the manifest's.
            let chain = if self.segments.len() > 1 {
                end.chain
            } else {
                manifest.chain
            };
            LogWriter::create(disk, dir, manifest.journal, end.segment, chain)?
        } else {
            LogWriter::resume(disk, dir, manifest.journal, &end)?
        };
        Ok((writer, cut))
    }
}
