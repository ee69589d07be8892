//! From a journal's files into the head: the live facts, then the ticks since.
//!
//! ```text
//! [ reading: fact files, tick log; verified, unpacked ] ---- steps, ticks ----> [ filing: head, index of ticks ]
//! ```
//! Two threads: at five million facts each side has seconds of work, and nothing else can begin before both are done.
//! Promises: what is filed is filed in the order of the files; an error of either side ends both.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use hostread_disk::Disk;
use hostread_schemas::fact::{Fact, RetentionClass};
use hostread_schemas::{EventId, EventTimeMs, Tick};

use crate::codec::{self, RawFact};
use crate::error::{JournalError, Result};
use crate::fact_file::FactReader;
use crate::going::Days;
use crate::head::Head;
use crate::journal::Indexed;
use crate::manifest::Manifest;
use crate::record::{Offsets, ReleaseRecord, TickRecord, visit_events};
use crate::table::Entry;
use crate::tick_log::{LogEnd, LogReader, RawRecord, segment_path};

/// Lists of steps (about 1 MiB of facts each) that may be read ahead of the head.
const READ_AHEAD: usize = 4;

/// What one event of the files does to the head.
pub(crate) enum Step {
    /// A fact lives.
    Live {
        id: EventId,
        entry: Entry,
        revision: u32,
        /// Of reference facts the fact itself.
        fact: Option<Box<Fact>>,
    },
    /// The fact of this hash lives no more.
    Gone { id: EventId, hash: u64 },
}

impl Step {
    fn live(raw: &RawFact<'_>, revision: u32, tick: Tick) -> Option<Self> {
        let (_, time, id) = codec::prefix(raw.bytes)?;
        let entry = Entry {
            hash: codec::hash(raw.bytes),
            revision: 0,
            day: time.day(),
            class: raw.class,
            tick,
        };
        let fact = match raw.class {
            RetentionClass::Reference => Some(Box::new(raw.decode()?)),
            RetentionClass::Exposure | RetentionClass::Conversion => None,
        };
        Some(Self::Live {
            id,
            entry,
            revision,
            fact,
        })
    }

    pub(crate) const fn id(&self) -> EventId {
        match self {
            Self::Live { id, .. } | Self::Gone { id, .. } => *id,
        }
    }
}

/// What the tick log adds up to.
pub(crate) struct Replayed {
    pub(crate) clock: EventTimeMs,
    pub(crate) offsets: Offsets,
    pub(crate) released: Option<ReleaseRecord>,
    pub(crate) index: BTreeMap<Tick, Indexed>,
}

/// What is read, in order.
enum Read {
    Steps(Vec<Step>),
    /// The end of a tick: its record without events, the days of these, where it stands.
    Tick(Box<(TickRecord, Days, RawRecord)>),
}

/// Where everything is read from.
pub(crate) struct Files<'a> {
    pub(crate) disk: &'a Arc<dyn Disk>,
    pub(crate) dir: &'a Path,
    pub(crate) manifest: &'a Manifest,
    /// Segments of the tick log, in order.
    pub(crate) segments: &'a [Tick],
}

impl Files<'_> {
    /// Fills the head; `None` for the log's end: there is no segment yet.
    pub(crate) fn restore(&self, head: &mut Head) -> Result<(Replayed, Option<LogEnd>)> {
        head.reserve(self.manifest.facts.iter().map(|file| file.facts).sum());
        let mut replayed = Replayed {
            clock: self.manifest.clock,
            offsets: self.manifest.offsets.clone(),
            released: self.manifest.released,
            index: BTreeMap::new(),
        };
        let end = std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(READ_AHEAD);
            let reading = scope.spawn(move || self.read(&sender));
            for read in receiver {
                match read {
                    Read::Steps(steps) => head.restore(steps),
                    Read::Tick(tick) => file_tick(*tick, head, &mut replayed)?,
                }
            }
            reading
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        Ok((replayed, end))
    }

    fn read(&self, filing: &SyncSender<Read>) -> Result<Option<LogEnd>> {
        self.read_facts(filing)?;
        fail::fail_point!("open.facts_read");
        self.read_ticks(filing)
    }

    fn read_facts(&self, filing: &SyncSender<Read>) -> Result<()> {
        for file in &self.manifest.facts {
            let mut reader = FactReader::open(self.disk, self.dir, self.manifest.journal, file)?;
            loop {
                let mut steps = Vec::new();
                let more = reader.next_block(|raw, revision| {
                    steps.push(Step::live(&raw, revision, Tick(0))?);
                    Some(())
                })?;
                if !more {
                    break;
                }
                if filing.send(Read::Steps(steps)).is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Reads the log to its whole end, verifies that it joins the manifest's state, hands on the ticks behind that.
    fn read_ticks(&self, filing: &SyncSender<Read>) -> Result<Option<LogEnd>> {
        let manifest = self.manifest;
        let Some(first) = self.segments.first() else {
            return Ok(None);
        };
        let apart = || {
            let path = segment_path(self.dir, *first);
            JournalError::damaged(&path, 0, "the tick log does not join the manifest's state")
        };
        let (disk, segments) = (Arc::clone(self.disk), self.segments.to_vec());
        let mut reader = LogReader::open(disk, self.dir, manifest.journal, segments, None);
        let mut at_since = *first == manifest.since.next();
        let chain = if at_since { reader.peek_chain()? } else { None };
        if chain.is_some_and(|chain| chain != manifest.chain) {
            return Err(apart());
        }
        while let Some(raw) = reader.next_record()? {
            if raw.tick == manifest.since {
                at_since = true;
                if reader.end().chain != manifest.chain {
                    return Err(raw.damaged("the chain is not the one that the manifest names"));
                }
            }
            if raw.tick > manifest.since && !hand_on(raw, filing)? {
                return Ok(None);
            }
        }
        let end = reader.end().clone();
        if reader.misses_segment() {
            let path = segment_path(self.dir, end.next);
            return Err(JournalError::damaged(
                &path,
                0,
                "the newest segment is missing",
            ));
        }
        if at_since {
            Ok(Some(end))
        } else {
            Err(apart())
        }
    }
}

/// Unpacks a tick; `false` when nobody takes it any more.
fn hand_on(mut raw: RawRecord, filing: &SyncSender<Read>) -> Result<bool> {
    let parts = std::mem::take(&mut raw.parts);
    let broken = || raw.damaged("the record does not decode");
    let (first, parts) = parts.split_first().ok_or_else(broken)?;
    let record = TickRecord::decode_head(first).ok_or_else(broken)?;
    let mut days = Days::default();
    for part in parts {
        let mut steps = Vec::new();
        visit_events(part, |event| {
            let (_, time, id) = codec::prefix(event.bytes)?;
            days.note(event.class, time.day());
            steps.push(if event.taken_away {
                let hash = codec::hash(event.bytes);
                Step::Gone { id, hash }
            } else {
                Step::live(&event, 0, raw.tick)?
            });
            Some(())
        })
        .ok_or_else(broken)?;
        if filing.send(Read::Steps(steps)).is_err() {
            return Ok(false);
        }
    }
    for stated in &record.revisions {
        days.note(stated.class, stated.day);
    }
    let tick = Box::new((record, days, raw));
    Ok(filing.send(Read::Tick(tick)).is_ok())
}

/// A tick's events are filed: now what else it says.
fn file_tick(
    (record, days, raw): (TickRecord, Days, RawRecord),
    head: &mut Head,
    replayed: &mut Replayed,
) -> Result<()> {
    for stated in &record.revisions {
        head.restore_revision(stated);
    }
    for (kind, id, text) in &record.names {
        if !head.restore_name(*kind, *id, text) {
            return Err(raw.damaged("a name has two texts"));
        }
    }
    replayed.clock = record.clock;
    replayed.offsets.extend(record.offsets);
    replayed.released = record.release.or(replayed.released);
    let place = raw.place;
    replayed.index.insert(raw.tick, Indexed { place, days });
    Ok(())
}
