//! The journal of one cell: the tick log, the files of live facts, and what is read from both.
//!
//! ```text
//! append --> unsynced records --sync--> tick log (since, last]      one fsync for all that was appended
//!                                           | compact
//! load(P) = fact files (as of since) + ticks (since, P]             since <= P <= last
//! ```
//! Needs: one process a folder (a lock holds others off); `since` at most every sink's upper (the job's duty).
//! Promises: what `sync` returned survives a crash; reopening gives a prefix of the appended ticks with every synced one.
//! Leaves out: which ticks exist and what is in them (`head`, job).
//! Invariant 1: appended ticks follow each other.    Invariant 2: nothing that a reader still uses is removed.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hostread_disk::{Disk, DiskLock};
use hostread_schemas::fact::Fact;
use hostread_schemas::{EventId, EventTimeMs, Tick};

use crate::codec;
use crate::error::{JournalError, Result};
use crate::fact_file::{Bucket, FactReader};
use crate::going::Days;
use crate::manifest::Manifest;
use crate::merge::{Changes, merge};
use crate::record::TickRecord;
use crate::table::Entry;
use crate::tick_log::{Encoded, LogReader, LogWriter, Place, RawRecord};

/// Most facts in one slice of a load. Larger: more memory at once; smaller: more, smaller ticks of the dataflow.
pub const LOAD_SLICE_FACTS_MAX: usize = 65_536;
/// Appended ticks that wait for a sync; one more and `append` syncs by itself.
pub const UNSYNCED_TICKS_MAX: usize = 64;

const MISSING: JournalError = JournalError::Broken("a tick that is named is not in the log");

/// The journal; `append`, `sync` and `compact` may run on threads of their own.
#[derive(Debug)]
pub struct Journal {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) id: u128,
    pub(crate) core: Mutex<Core>,
    pub(crate) writer: Mutex<LogWriter>,
    /// Held by the one compaction that runs; says whether one failed.
    pub(crate) compacting: Mutex<bool>,
    _lock: DiskLock,
}

/// What readers need to know; locked for moments only.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) segments: Vec<Tick>,
    pub(crate) newest_len: u64,
    pub(crate) index: BTreeMap<Tick, Indexed>,
    pub(crate) unsynced: VecDeque<Arc<Encoded>>,
    pub(crate) appended: Tick,
    pub(crate) synced: Tick,
    /// Held by readers of the files that the manifest names now.
    pub(crate) pin: Arc<()>,
    /// Files that may go when their readers are done.
    pub(crate) garbage: Vec<(Arc<()>, Vec<PathBuf>)>,
}

/// A durable tick.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Indexed {
    pub(crate) place: Place,
    pub(crate) days: Days,
}

/// A reader's view: what was there at one moment, kept from removal.
pub(crate) struct View {
    pub(crate) manifest: Arc<Manifest>,
    segments: Vec<Tick>,
    newest_len: u64,
    start: Option<(Tick, Place)>,
    unsynced: Vec<Arc<Encoded>>,
    pub(crate) appended: Tick,
    pub(crate) synced: Tick,
    _pin: Arc<()>,
}

impl Journal {
    pub(crate) fn assemble(
        disk: Arc<dyn Disk>,
        dir: &Path,
        lock: DiskLock,
        writer: LogWriter,
        core: Core,
    ) -> Self {
        Self {
            disk,
            dir: dir.to_path_buf(),
            id: core.manifest.journal,
            core: Mutex::new(core),
            writer: Mutex::new(writer),
            compacting: Mutex::new(false),
            _lock: lock,
        }
    }

    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn writer(&self) -> MutexGuard<'_, LogWriter> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Identity of this journal.
    pub fn id(&self) -> u128 {
        self.id
    }

    /// The oldest state that can be loaded.
    pub fn since(&self) -> Tick {
        self.core().manifest.since
    }

    /// The clock of that state.
    pub fn since_clock(&self) -> EventTimeMs {
        self.core().manifest.clock
    }

    /// The newest tick that a crash cannot take away.
    pub fn synced(&self) -> Tick {
        self.core().synced
    }

    /// The newest tick given to `append`.
    pub fn appended(&self) -> Tick {
        self.core().appended
    }

    /// Takes the next tick. Durable only after `sync`.
    pub fn append(&self, record: &TickRecord) -> Result<()> {
        let encoded = Arc::new(Encoded {
            tick: record.tick,
            parts: record.encode()?,
            days: Days::of(record),
        });
        let full = {
            let mut core = self.core();
            let expected = core.appended.next();
            if record.tick != expected {
                let got = record.tick;
                return Err(JournalError::OutOfOrder { expected, got });
            }
            core.appended = record.tick;
            core.unsynced.push_back(encoded);
            core.unsynced.len() > UNSYNCED_TICKS_MAX
        };
        if full {
            self.sync()?;
        }
        Ok(())
    }

    /// Makes all appended ticks durable; returns the newest of them. May run beside `append`.
    pub fn sync(&self) -> Result<Tick> {
        let mut writer = self.writer();
        let records: Vec<Arc<Encoded>> = self.core().unsynced.iter().map(Arc::clone).collect();
        if records.is_empty() {
            return Ok(self.core().synced);
        }
        let places = writer.write(&records)?;
        let mut core = self.core();
        for (record, place) in records.iter().zip(places) {
            let days = record.days;
            core.index.insert(record.tick, Indexed { place, days });
            core.synced = record.tick;
            core.unsynced.pop_front();
        }
        core.note_segment(&writer);
        Ok(core.synced)
    }

    /// Makes all durable and marks the log as closed in good order.
    pub fn close(&self) -> Result<()> {
        self.sync()?;
        let mut writer = self.writer();
        writer.close()?;
        self.core().note_segment(&writer);
        Ok(())
    }

    /// A view whose ticks start behind `after`.
    pub(crate) fn view(&self, after: Tick) -> View {
        self.core().view(after)
    }

    /// Shows the durable ticks of a view, then those not yet durable, through `last`.
    pub(crate) fn visit_ticks(
        &self,
        view: &View,
        last: Tick,
        each: &mut dyn FnMut(&RawRecord) -> Result<()>,
    ) -> Result<()> {
        let mut log = self.log(view)?;
        while let Some(reader) = &mut log
            && reader.end().next <= last.min(view.synced)
            && let Some(record) = reader.next_record()?
        {
            each(&record)?;
        }
        for encoded in &view.unsynced {
            if encoded.tick <= last {
                each(&RawRecord::unsynced(encoded))?;
            }
        }
        Ok(())
    }

    pub(crate) fn log(&self, view: &View) -> Result<Option<LogReader>> {
        let Some((tick, place)) = view.start else {
            return Ok(None);
        };
        self.log_at(view, tick, place).map(Some)
    }

    fn log_at(&self, view: &View, tick: Tick, place: Place) -> Result<LogReader> {
        let mut reader = LogReader::open(
            Arc::clone(&self.disk),
            &self.dir,
            self.id,
            view.segments.clone(),
            Some(view.newest_len),
        );
        reader.seek(tick, place)?;
        Ok(reader)
    }

    /// A durable tick's record; `log` goes on where it stands if that is the one before.
    pub(crate) fn record_at(
        &self,
        view: &View,
        log: &mut Option<LogReader>,
        tick: Tick,
        place: Place,
    ) -> Result<RawRecord> {
        let here = log.take().filter(|log| log.end().next == tick);
        let reader = match here {
            Some(reader) => log.insert(reader),
            None => log.insert(self.log_at(view, tick, place)?),
        };
        reader.next_record()?.ok_or(MISSING)
    }

    pub(crate) fn base(&self, manifest: &Manifest, bucket: Bucket) -> Result<Option<FactReader>> {
        manifest
            .file(bucket)
            .map(|file| FactReader::open(&self.disk, &self.dir, self.id, file))
            .transpose()
    }

    /// Shows the live facts as of a tick: reference facts first, then by day, exposures before conversions; within these by
    /// tenant, time and id. Slices hold at most [`LOAD_SLICE_FACTS_MAX`] and never mix two days.
    pub fn load(&self, as_of: Tick, visit: &mut dyn FnMut(Vec<Fact>)) -> Result<()> {
        let view = self.view(Tick(0));
        view.check(as_of)?;
        let mut changes = Changes::default();
        self.visit_ticks(&view, as_of, &mut |raw| {
            changes.add(raw, &|_| true).map(drop)
        })?;
        self.visit_live(&view.manifest, changes, &|_| true, visit)
    }

    /// Shows live facts of the wanted buckets: the manifest's files with these changes.
    pub(crate) fn visit_live(
        &self,
        manifest: &Manifest,
        mut changes: Changes,
        wanted: &dyn Fn(Bucket) -> bool,
        visit: &mut dyn FnMut(Vec<Fact>),
    ) -> Result<()> {
        let mut buckets: Vec<Bucket> = changes.buckets.keys().copied().collect();
        buckets.extend(manifest.facts.iter().map(|file| file.bucket));
        buckets.retain(|bucket| wanted(*bucket));
        buckets.sort_unstable();
        buckets.dedup();
        for bucket in buckets {
            let changed = changes.buckets.remove(&bucket).unwrap_or_default();
            let mut slice = Vec::new();
            merge(self.base(manifest, bucket)?, changed, &mut |fact, _| {
                slice.push(fact);
                if slice.len() == LOAD_SLICE_FACTS_MAX {
                    visit(std::mem::take(&mut slice));
                }
                Ok(())
            })?;
            if !slice.is_empty() {
                visit(slice);
            }
        }
        Ok(())
    }

    /// Durable ticks from this one on (`since` + 1 at the earliest), as of now.
    pub fn ticks(&self, from: Tick) -> Result<Ticks> {
        let view = self.view(Tick(from.0.saturating_sub(1)));
        if from <= view.manifest.since || from > view.synced.next() {
            return Err(view.out_of_range(from));
        }
        let reader = self.log(&view)?;
        Ok(Ticks {
            reader,
            last: view.synced,
            _view: view,
        })
    }

    /// Live facts, by the head's entries: from the ticks that wrote them, or from the fact files.
    pub(crate) fn find(&self, wanted: &BTreeMap<EventId, Entry>) -> Result<Vec<Fact>> {
        let mut by_tick: BTreeMap<Tick, Vec<EventId>> = BTreeMap::new();
        let mut by_bucket: BTreeMap<Bucket, Vec<EventId>> = BTreeMap::new();
        let mut places = BTreeMap::new();
        let core = self.core();
        let view = core.view(Tick(0));
        for (id, entry) in wanted {
            if entry.tick > view.manifest.since {
                by_tick.entry(entry.tick).or_default().push(*id);
                places.insert(entry.tick, core.index.get(&entry.tick).map(|at| at.place));
            } else {
                let bucket = Bucket::new(entry.class, entry.day);
                by_bucket.entry(bucket).or_default().push(*id);
            }
        }
        drop(core);
        let mut found = Vec::with_capacity(wanted.len());
        let mut take = |raw: codec::RawFact<'_>| {
            let (_, _, id) = codec::prefix(raw.bytes)?;
            let entry = wanted.get(&id)?;
            if !raw.taken_away && codec::hash(raw.bytes) == entry.hash {
                found.push(raw.decode()?);
            }
            Some(())
        };
        for (tick, ids) in by_tick {
            let place = places.get(&tick).copied().flatten();
            let raw = self.record(&view, tick, place)?;
            for part in raw.parts.iter().skip(1) {
                crate::record::visit_events(part, |event| {
                    let (_, _, id) = codec::prefix(event.bytes)?;
                    match ids.binary_search(&id) {
                        Ok(_) => take(event),
                        Err(_) => Some(()),
                    }
                })
                .ok_or_else(|| raw.damaged("the record does not decode"))?;
            }
        }
        for (bucket, ids) in by_bucket {
            let Some(reader) = self.base(&view.manifest, bucket)? else {
                continue;
            };
            reader.visit(|raw, _| {
                let (_, _, id) = codec::prefix(raw.bytes)?;
                match ids.binary_search(&id) {
                    Ok(_) => take(raw),
                    Err(_) => Some(()),
                }
            })?;
        }
        if found.len() == wanted.len() {
            Ok(found)
        } else {
            Err(JournalError::Broken(
                "a live fact of the head is not in the journal",
            ))
        }
    }

    fn record(&self, view: &View, tick: Tick, place: Option<Place>) -> Result<RawRecord> {
        if let Some(encoded) = view.unsynced.iter().find(|encoded| encoded.tick == tick) {
            return Ok(RawRecord::unsynced(encoded));
        }
        let place = place.ok_or(MISSING)?;
        self.record_at(view, &mut None, tick, place)
    }
}

impl Core {
    pub(crate) fn view(&self, after: Tick) -> View {
        let start = self.index.range(after.next()..).next();
        View {
            manifest: Arc::clone(&self.manifest),
            segments: self.segments.clone(),
            newest_len: self.newest_len,
            start: start.map(|(tick, indexed)| (*tick, indexed.place)),
            unsynced: self.unsynced.iter().map(Arc::clone).collect(),
            appended: self.appended,
            synced: self.synced,
            _pin: Arc::clone(&self.pin),
        }
    }

    /// After a write: the newest segment may have grown or be a new one.
    pub(crate) fn note_segment(&mut self, writer: &LogWriter) {
        if self.segments.last() != Some(&writer.segment()) {
            self.segments.push(writer.segment());
        }
        self.newest_len = writer.synced_len();
    }
}

impl View {
    /// Ticks that are not yet durable.
    pub(crate) fn unsynced(&self) -> impl Iterator<Item = &Encoded> {
        self.unsynced.iter().map(AsRef::as_ref)
    }

    fn out_of_range(&self, tick: Tick) -> JournalError {
        JournalError::OutOfRange {
            tick,
            since: self.manifest.since,
            last: self.synced,
        }
    }

    fn check(&self, as_of: Tick) -> Result<()> {
        if as_of < self.manifest.since || as_of > self.appended {
            return Err(self.out_of_range(as_of));
        }
        Ok(())
    }
}

/// Durable ticks in order; see [`Journal::ticks`]. Files stay in place while this lives.
pub struct Ticks {
    reader: Option<LogReader>,
    last: Tick,
    _view: View,
}

impl std::fmt::Debug for Ticks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticks")
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

impl Iterator for Ticks {
    type Item = Result<TickRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = self.reader.as_mut()?;
        if reader.end().next > self.last {
            return None;
        }
        let record = reader.next_record().transpose()?;
        Some(record.and_then(|raw| raw.decode()))
    }
}
