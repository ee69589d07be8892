//! The manifest: what the journal's folder consists of. Replaced in one step; what it does not name is garbage.
//!
//! ```text
//! manifest = "HRJM" | format u32 LE | postcard | blake3 of all before it
//! ```
//! Invariant 1: a journal's folder without a manifest holds nothing else of a journal.
//! Invariant 2: `epoch` grows with every opening, `since` never falls.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostread_disk::{Disk, Tail, read_all, replace_file};
use hostread_schemas::{EventId, EventTimeMs, NameKind, Tick};
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::error::{JournalError, Result};
use crate::fact_file::Bucket;
use crate::record::{Offsets, ReleaseRecord};
use crate::tick_log::Chain;

const NAME: &str = "manifest";
const MAGIC: &[u8; 4] = b"HRJM";
const FORMAT: u32 = 1;
/// Names in one frame of a names file.
const NAMES_PER_FRAME: usize = 10_000;

/// One file of facts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct FactFile {
    pub(crate) bucket: Bucket,
    pub(crate) generation: Tick,
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) facts: u64,
    pub(crate) hash: [u8; 32],
}

/// One file of names.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct NamesFile {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) hash: [u8; 32],
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) journal: u128,
    /// A hash under the installation's key: another key is noticed.
    pub(crate) key_check: EventId,
    pub(crate) epoch: u64,
    /// The state that the fact files hold.
    pub(crate) since: Tick,
    /// The tick log's chain after `since`.
    pub(crate) chain: Chain,
    pub(crate) clock: EventTimeMs,
    pub(crate) offsets: Offsets,
    pub(crate) released: Option<ReleaseRecord>,
    /// The tick log's first segment was made.
    pub(crate) log_begun: bool,
    pub(crate) facts: Vec<FactFile>,
    pub(crate) names: Vec<NamesFile>,
}

impl Manifest {
    pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Self>> {
        let path = Self::path(dir);
        if !disk.exists(&path)? {
            return Ok(None);
        }
        let bytes = read_all(disk, &path)?;
        let damaged = |reason| JournalError::damaged(&path, 0, reason);
        let Some((body, hash)) = bytes.split_last_chunk::<32>() else {
            return Err(damaged("the manifest is cut short"));
        };
        if blake3::hash(body).as_bytes() != hash {
            return Err(damaged("the manifest does not match its checksum"));
        }
        let format = body
            .strip_prefix(MAGIC)
            .and_then(|rest| rest.split_first_chunk::<4>());
        let Some((format, rest)) = format else {
            return Err(damaged("the file is no manifest"));
        };
        let found = u32::from_le_bytes(*format);
        if found > FORMAT {
            let known = FORMAT;
            return Err(JournalError::Format { path, found, known });
        }
        postcard::from_bytes(rest)
            .map(Some)
            .map_err(|_| damaged("the manifest does not decode"))
    }

    pub(crate) fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<()> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        codec::put(self, &mut bytes)?;
        let hash = blake3::hash(&bytes);
        bytes.extend_from_slice(hash.as_bytes());
        replace_file(disk, &Self::path(dir), &bytes)?;
        Ok(())
    }

    pub(crate) fn path(dir: &Path) -> PathBuf {
        dir.join(NAME)
    }

    pub(crate) fn file(&self, bucket: Bucket) -> Option<&FactFile> {
        self.facts.iter().find(|file| file.bucket == bucket)
    }
}

pub(crate) type NameMap = BTreeMap<(NameKind, u64), String>;

/// Writes a file of names.
pub(crate) fn write_names(
    disk: &dyn Disk,
    dir: &Path,
    generation: Tick,
    names: &NameMap,
) -> Result<NamesFile> {
    let name = format!("names-{:020}", generation.0);
    let path = dir.join(&name);
    if disk.exists(&path)? {
        disk.remove(&path)?;
    }
    let mut frames = hostread_disk::FrameWriter::create(disk, &path)?;
    let mut hasher = blake3::Hasher::new();
    let all: Vec<(&(NameKind, u64), &String)> = names.iter().collect();
    let mut frame = Vec::new();
    for chunk in all.chunks(NAMES_PER_FRAME) {
        frame.clear();
        let mut raw = Vec::new();
        for name in chunk {
            codec::put(name, &mut raw)?;
        }
        codec::put_block(&raw, &mut frame);
        hasher.update(&frame);
        frames.append(&frame)?;
    }
    let bytes = frames.sync()?;
    let hash = *hasher.finalize().as_bytes();
    Ok(NamesFile { name, bytes, hash })
}

/// Reads a file of names.
pub(crate) fn read_names(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    entry: &NamesFile,
    mut each: impl FnMut(NameKind, u64, String),
) -> Result<()> {
    let path = dir.join(&entry.name);
    let mut frames = hostread_disk::FrameReader::open(disk.as_ref(), &path, Tail::Whole)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = Vec::new();
    while let Some((offset, payload)) = frames.next_frame()? {
        hasher.update(payload);
        let mut show = || {
            let mut raw = codec::open_block(payload, &mut buffer)?;
            while !raw.is_empty() {
                type Name = ((NameKind, u64), String);
                let (((kind, id), text), rest) = postcard::take_from_bytes::<Name>(raw).ok()?;
                raw = rest;
                each(kind, id, text);
            }
            Some(())
        };
        if show().is_none() {
            return Err(JournalError::damaged(
                &path,
                offset,
                "the names do not decode",
            ));
        }
    }
    if *hasher.finalize().as_bytes() != entry.hash || frames.position() != entry.bytes {
        return Err(JournalError::damaged(
            &path,
            0,
            "the file's hash is not the manifest's",
        ));
    }
    Ok(())
}
