//! Opens a journal's folder: finds what is whole, removes what nothing names, rebuilds the head.
//!
//! ```text
//! lock -> manifest -> names, fact files -> head -> tick log: verify chain, apply ticks > since -> cut torn tail -> epoch + 1
//! ```
//! Promises: after `open` returns, folder and memory say the same, and a crash inside `open` leaves a folder that opens.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use hostread_disk::Disk;
use hostread_schemas::fact::{Fact, RetentionClass};
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{EventId, EventTimeMs, Names, Tick};

use crate::codec;
use crate::error::{JournalError, Result};
use crate::fact_file::FactReader;
use crate::going::Days;
use crate::head::Head;
use crate::journal::{Core, Indexed, Journal};
use crate::manifest::{FactFile, Manifest, read_names};
use crate::record::{Offsets, ReleaseRecord, visit_events};
use crate::table::Entry;
use crate::tick_log::{LogReader, LogWriter, RawRecord, segment_path, segments};

/// Blocks (about 1 MiB of facts each) that may be read ahead of the head.
const RESTORE_BLOCKS_AHEAD: usize = 4;
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

/// What applying the tick log adds up to.
struct Replay {
    clock: EventTimeMs,
    offsets: Offsets,
    released: Option<ReleaseRecord>,
    index: BTreeMap<Tick, Indexed>,
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
        head.reserve(manifest.facts.iter().map(|file| file.facts).sum());
        restore_facts(&disk, dir, &manifest, &mut head)?;
        fail::fail_point!("open.facts_read");
        let found = needed_segments(disk.as_ref(), dir, &manifest)?;
        let mut replay = Replay {
            clock: manifest.clock,
            offsets: manifest.offsets.clone(),
            released: manifest.released,
            index: BTreeMap::new(),
        };
        let (writer, cut_bytes) =
            replay_log(&disk, dir, &manifest, &found, &mut head, &mut replay)?;
        let last = head_last(&manifest, &replay);
        head.restore_done(last);
        fail::fail_point!("open.ticks_read");
        manifest.epoch += 1;
        manifest.log_begun = true;
        manifest.write(disk.as_ref(), dir)?;
        let mut core = Core {
            manifest: Arc::new(manifest.clone()),
            segments: found,
            newest_len: 0,
            index: replay.index,
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
            clock: replay.clock,
            offsets: replay.offsets,
            released: replay.released,
            names,
            created,
            cut_bytes,
        })
    }
}

fn head_last(manifest: &Manifest, replay: &Replay) -> Tick {
    let last = replay.index.last_key_value().map(|(tick, _)| *tick);
    last.unwrap_or(manifest.since)
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

/// Puts every fact of the manifest's files into the head. One thread reads and another files the facts: at five million facts
/// each has a second's work, and nothing else can begin before both are done.
fn restore_facts(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    manifest: &Manifest,
    head: &mut Head,
) -> Result<()> {
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(RESTORE_BLOCKS_AHEAD);
        let reading = scope.spawn(move || {
            for file in &manifest.facts {
                read_facts(disk, dir, manifest.journal, file, &sender)?;
            }
            Ok(())
        });
        for block in receiver {
            for (id, entry, revision, fact) in block {
                head.restore(id, entry, revision, fact);
            }
        }
        reading
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Facts of a block, as the head takes them.
type Restored = Vec<(EventId, Entry, u32, Option<Fact>)>;

fn read_facts(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    journal: u128,
    file: &FactFile,
    blocks: &SyncSender<Restored>,
) -> Result<()> {
    let mut reader = FactReader::open(disk, dir, journal, file)?;
    let class = file.bucket.class();
    loop {
        let mut block = Restored::new();
        let more = reader.next_block(|raw, revision| {
            let (_, time, id) = codec::prefix(raw.bytes)?;
            let entry = Entry {
                hash: codec::hash(raw.bytes),
                revision: 0,
                day: time.day(),
                class,
                tick: Tick(0),
            };
            let fact = match class {
                RetentionClass::Reference => Some(raw.decode()?),
                RetentionClass::Exposure | RetentionClass::Conversion => None,
            };
            block.push((id, entry, revision, fact));
            Some(())
        })?;
        if !more || blocks.send(block).is_err() {
            return Ok(());
        }
    }
}

fn replay_log(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    manifest: &Manifest,
    found: &[Tick],
    head: &mut Head,
    replay: &mut Replay,
) -> Result<(LogWriter, u64)> {
    let journal = manifest.journal;
    let Some(first) = found.first() else {
        let disk = Arc::clone(disk);
        let (first, chain) = (manifest.since.next(), manifest.chain);
        return Ok((LogWriter::create(disk, dir, journal, first, chain)?, 0));
    };
    let mut reader = LogReader::open(Arc::clone(disk), dir, journal, found.to_vec(), None);
    let mut at_since = *first == manifest.since.next();
    if at_since
        && reader
            .peek_chain()?
            .is_some_and(|chain| chain != manifest.chain)
    {
        return Err(damaged_log(dir, *first));
    }
    while let Some(raw) = reader.next_record()? {
        if raw.tick == manifest.since {
            at_since = true;
            if reader.end().chain != manifest.chain {
                return Err(raw.damaged("the chain is not the one that the manifest names"));
            }
        }
        if raw.tick > manifest.since {
            apply(&raw, head, replay)?;
        }
    }
    let end = reader.end().clone();
    if reader.misses_segment() {
        let path = segment_path(dir, end.next);
        return Err(JournalError::damaged(
            &path,
            0,
            "the newest segment is missing",
        ));
    }
    if !at_since {
        return Err(damaged_log(dir, *first));
    }
    let path = segment_path(dir, end.segment);
    let len = disk.open_read(&path)?.len()?;
    let cut = len.saturating_sub(end.offset);
    let disk = Arc::clone(disk);
    let writer = if end.offset == 0 {
        // A segment without a header was never written to. Its chain is that of the segment before, or the manifest's.
        let chain = if found.len() > 1 {
            end.chain
        } else {
            manifest.chain
        };
        LogWriter::create(disk, dir, journal, end.segment, chain)?
    } else {
        LogWriter::resume(disk, dir, journal, &end)?
    };
    Ok((writer, cut))
}

fn damaged_log(dir: &Path, first: Tick) -> JournalError {
    let path: PathBuf = segment_path(dir, first);
    JournalError::damaged(&path, 0, "the tick log does not join the manifest's state")
}

fn apply(raw: &RawRecord, head: &mut Head, replay: &mut Replay) -> Result<()> {
    let broken = || raw.damaged("the record does not decode");
    let (first, parts) = raw.parts.split_first().ok_or_else(broken)?;
    let record = crate::record::TickRecord::decode_head(first).ok_or_else(broken)?;
    let mut days = Days::default();
    for part in parts {
        visit_events(part, |event| {
            let (_, time, id) = codec::prefix(event.bytes)?;
            days.note(event.class, time.day());
            let hash = codec::hash(event.bytes);
            if event.taken_away {
                head.restore_gone(id, hash);
                return Some(());
            }
            let entry = Entry {
                hash,
                revision: 0,
                day: time.day(),
                class: event.class,
                tick: raw.tick,
            };
            let fact = match event.class {
                RetentionClass::Reference => Some(event.decode()?),
                RetentionClass::Exposure | RetentionClass::Conversion => None,
            };
            head.restore(id, entry, 0, fact);
            Some(())
        })
        .ok_or_else(broken)?;
    }
    for stated in &record.revisions {
        days.note(stated.class, stated.day);
        head.restore_revision(stated);
    }
    for (kind, id, text) in &record.names {
        if !head.restore_name(*kind, *id, text) {
            return Err(raw.damaged("a name has two texts"));
        }
    }
    replay.clock = record.clock;
    replay.offsets.extend(record.offsets);
    replay.released = record.release.or(replay.released);
    let place = raw.place;
    replay.index.insert(raw.tick, Indexed { place, days });
    Ok(())
}
