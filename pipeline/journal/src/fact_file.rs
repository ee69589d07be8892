//! Files of live facts: one a day and class, one for all reference facts. Written once, then only read or removed.
//!
//! ```text
//! frame: header   1 | format, journal id, bucket, generation
//! frame: block    2 | block of (sized fact | revision), in the order of the facts, about 1 MiB raw
//! ```
//! Needs: the manifest's entry (length, count, hash).    Promises: a file read to its end is the one the manifest names.
//! Leaves out: which facts are live (`merge`), when files are replaced (`compact`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostread_disk::{Disk, DiskFile, FrameReader, FrameWriter, Tail};
use hostread_schemas::fact::{Fact, RetentionClass};
use hostread_schemas::{Day, Tick};
use serde::{Deserialize, Serialize};

use crate::codec::{self, RawFact};
use crate::error::{JournalError, Result};
use crate::manifest::FactFile;

const FORMAT: u32 = 1;
const HEADER: u8 = 1;
const BLOCK: u8 = 2;
/// Raw bytes of a block. Larger: more memory to read one; smaller: worse packing.
const BLOCK_BYTES: usize = 1 << 20;

/// Where a fact is kept: reference facts together, the others by day and class. The order is that of loading.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) struct Bucket {
    day: Day,
    class: RetentionClass,
}

impl Bucket {
    pub(crate) const REFERENCE: Self = Self {
        day: Day(i32::MIN),
        class: RetentionClass::Reference,
    };

    pub(crate) const fn new(class: RetentionClass, day: Day) -> Self {
        match class {
            RetentionClass::Reference => Self::REFERENCE,
            RetentionClass::Exposure | RetentionClass::Conversion => Self { day, class },
        }
    }

    pub(crate) const fn of(fact: &Fact) -> Self {
        Self::new(fact.body.class(), fact.time.day())
    }

    pub(crate) fn of_raw(raw: &RawFact<'_>) -> Option<Self> {
        let (_, time, _) = codec::prefix(raw.bytes)?;
        Some(Self::new(raw.class, time.day()))
    }

    pub(crate) const fn class(self) -> RetentionClass {
        self.class
    }

    pub(crate) const fn day(self) -> Day {
        self.day
    }

    fn file_name(self, generation: Tick) -> String {
        let generation = generation.0;
        let class = match self.class {
            RetentionClass::Reference => return format!("facts-reference-{generation:020}"),
            RetentionClass::Exposure => "exposure",
            RetentionClass::Conversion => "conversion",
        };
        format!("facts-{}-{class}-{generation:020}", self.day)
    }
}

#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Header {
    format: u32,
    journal: u128,
    bucket: Bucket,
    generation: Tick,
}

/// Writes one file, facts in order.
pub(crate) struct FactWriter {
    frames: FrameWriter,
    hasher: blake3::Hasher,
    raw: Vec<u8>,
    frame: Vec<u8>,
    entry: FactFile,
}

impl FactWriter {
    pub(crate) fn create(
        disk: &dyn Disk,
        dir: &Path,
        journal: u128,
        bucket: Bucket,
        generation: Tick,
    ) -> Result<Self> {
        let name = bucket.file_name(generation);
        let path = dir.join(&name);
        if disk.exists(&path)? {
            // Left by a crash before the manifest named it.
            disk.remove(&path)?;
        }
        let mut writer = Self {
            frames: FrameWriter::create(disk, &path)?,
            hasher: blake3::Hasher::new(),
            raw: Vec::new(),
            frame: Vec::new(),
            entry: FactFile {
                bucket,
                generation,
                name,
                bytes: 0,
                facts: 0,
                hash: [0; 32],
            },
        };
        writer.frame.push(HEADER);
        let format = FORMAT;
        let header = Header {
            format,
            journal,
            bucket,
            generation,
        };
        codec::put(&header, &mut writer.frame)?;
        writer.write_frame()?;
        Ok(writer)
    }

    fn write_frame(&mut self) -> Result<()> {
        self.hasher.update(&self.frame);
        self.frames.append(&self.frame)?;
        self.frame.clear();
        Ok(())
    }

    pub(crate) fn push(&mut self, fact: &Fact, revision: u32) -> Result<()> {
        codec::put_fact(fact, false, &mut self.raw)?;
        codec::put(&revision, &mut self.raw)?;
        self.entry.facts += 1;
        if self.raw.len() >= BLOCK_BYTES {
            self.write_block()?;
        }
        Ok(())
    }

    fn write_block(&mut self) -> Result<()> {
        self.frame.push(BLOCK);
        codec::put_block(&self.raw, &mut self.frame);
        self.raw.clear();
        self.write_frame()
    }

    /// Makes the file durable (its name is not yet).
    pub(crate) fn finish(mut self) -> Result<FactFile> {
        if !self.raw.is_empty() {
            self.write_block()?;
        }
        self.entry.bytes = self.frames.sync()?;
        self.entry.hash = *self.hasher.finalize().as_bytes();
        Ok(self.entry)
    }
}

/// Reads one file and holds it to the manifest's entry.
pub(crate) struct FactReader {
    frames: FrameReader,
    path: PathBuf,
    hasher: blake3::Hasher,
    entry: FactFile,
    facts: u64,
    buffer: Vec<u8>,
}

impl FactReader {
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        journal: u128,
        entry: &FactFile,
    ) -> Result<Self> {
        let path = dir.join(&entry.name);
        let file = disk.open_read(&path)?;
        Self::over(file, path, journal, entry)
    }

    /// Reads a file that is open already: it may have lost its name since.
    pub(crate) fn over(
        file: Arc<dyn DiskFile>,
        path: PathBuf,
        journal: u128,
        entry: &FactFile,
    ) -> Result<Self> {
        if file.len()? != entry.bytes {
            let at = file.len()?.min(entry.bytes);
            return Err(JournalError::damaged(
                &path,
                at,
                "the file's length is not the manifest's",
            ));
        }
        let mut reader = Self {
            frames: FrameReader::over(file, &path, Tail::Whole)?,
            path,
            hasher: blake3::Hasher::new(),
            entry: entry.clone(),
            facts: 0,
            buffer: Vec::new(),
        };
        let header = Header {
            format: FORMAT,
            journal,
            bucket: entry.bucket,
            generation: entry.generation,
        };
        let Some((_, payload)) = reader.frames.next_frame()? else {
            return Err(JournalError::damaged(
                &reader.path,
                0,
                "the file has no header",
            ));
        };
        reader.hasher.update(payload);
        let found = payload
            .strip_prefix(&[HEADER])
            .and_then(|bytes| postcard::from_bytes::<Header>(bytes).ok());
        match found {
            Some(found) if found == header => Ok(reader),
            Some(found) if found.format > FORMAT => Err(JournalError::Format {
                path: reader.path,
                found: found.format,
                known: FORMAT,
            }),
            _ => Err(JournalError::damaged(
                &reader.path,
                0,
                "the file is not the one named",
            )),
        }
    }

    /// Shows each fact (not decoded) and its revision in the next block; `false` at the end, which is checked.
    pub(crate) fn next_block(
        &mut self,
        mut each: impl FnMut(RawFact<'_>, u32) -> Option<()>,
    ) -> Result<bool> {
        let Some((offset, payload)) = self.frames.next_frame()? else {
            return self.check_end().map(|()| false);
        };
        self.hasher.update(payload);
        let facts = &mut self.facts;
        let mut show = || {
            let block = payload.strip_prefix(&[BLOCK])?;
            let mut raw = codec::open_block(block, &mut self.buffer)?;
            while !raw.is_empty() {
                let fact = codec::take_fact(&mut raw)?;
                let (revision, rest) = postcard::take_from_bytes::<u32>(raw).ok()?;
                raw = rest;
                *facts += 1;
                each(fact, revision)?;
            }
            Some(())
        };
        match show() {
            Some(()) => Ok(true),
            None => Err(JournalError::damaged(
                &self.path,
                offset,
                "the block does not decode",
            )),
        }
    }

    fn check_end(&self) -> Result<()> {
        let same =
            *self.hasher.finalize().as_bytes() == self.entry.hash && self.facts == self.entry.facts;
        if same {
            Ok(())
        } else {
            Err(JournalError::damaged(
                &self.path,
                0,
                "the file's hash is not the manifest's",
            ))
        }
    }

    /// Shows every fact.
    pub(crate) fn visit(
        mut self,
        mut each: impl FnMut(RawFact<'_>, u32) -> Option<()>,
    ) -> Result<()> {
        while self.next_block(&mut each)? {}
        Ok(())
    }
}
