//! What it takes to send a dead letter again, once: a name that stays, the way to its door, a mark when it is in.
//! Promises: a mark is durable before `add` returns; marks are kept longer than letters.
//! Leaves out: sending (the binary).
//!
//! A letter that was sent again and turned down again comes back under its id, with one try more. So a letter is done when a mark
//! of its id has as many tries as its newest copy: a crash between door and mark sends it once more, and an event that comes twice
//! is one event.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hostread_disk::{Disk, DiskLock, FrameReader, FrameWriter, Tail};
use hostread_schemas::unit::{DAY_MS, ReceivedAtMs};
use serde::{Deserialize, Serialize};

use crate::deadletter::{DeadLetter, DeadLetterError};
use crate::pseudonym::TenantKey;
use crate::signature::{hex, hmac_sha256};

/// Header of a request that sends a letter again, and of its record in the log: `Retry` as text.
pub const RETRY_HEADER: &str = "hostread-retry";
const ID_DIGITS: usize = 16;
/// A way longer than this is not kept.
const DOOR_BYTES_MAX: usize = 8 << 10;
/// A day longer than letters: a mark must not go before its letter.
const MARK_AGE_MS_MAX: i64 = 16 * DAY_MS;

/// Where a door takes an input: what the letter's body alone does not say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resend {
    /// Path with query.
    pub path: String,
    /// Headers that the door reads; none that proves who is calling.
    pub headers: Vec<(String, String)>,
}

impl Resend {
    /// `None` when it is too long to be kept.
    #[must_use]
    pub fn new(path: &str, headers: &[(&str, &str)]) -> Option<Self> {
        let headers: Vec<(String, String)> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let bytes: usize = headers.iter().map(|(n, v)| n.len() + v.len()).sum();
        (path.len() + bytes <= DOOR_BYTES_MAX).then(|| Self {
            path: path.to_owned(),
            headers,
        })
    }
}

/// The letter that is sent again, and how often it was, this time included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The letter's id.
    pub id: String,
    /// Tries.
    pub tries: u32,
}

impl Retry {
    /// Reads what [`std::fmt::Display`] wrote; anything else is no retry.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (id, tries) = text.split_once('.')?;
        let is_id = id.len() == ID_DIGITS && id.bytes().all(|digit| digit.is_ascii_hexdigit());
        Some(Self {
            id: is_id.then(|| id.to_ascii_lowercase())?,
            tries: tries.parse().ok()?,
        })
    }
}

impl std::fmt::Display for Retry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.id, self.tries)
    }
}

/// Under the tenant's key: an id tells nothing about a body.
pub(crate) fn letter_id(key: &TenantKey, letter: &DeadLetter<'_>) -> String {
    let parts = [
        letter.connector.as_bytes(),
        letter.source.as_bytes(),
        letter.position.as_bytes(),
        letter.body,
    ];
    let lengths = parts.map(|part| (part.len() as u64).to_le_bytes());
    let mut all: Vec<&[u8]> = lengths.iter().map(<[u8; 8]>::as_slice).collect();
    all.extend(parts);
    let mut id = hex(&hmac_sha256(&key.derive("dead letter id"), &all));
    id.truncate(ID_DIGITS);
    id
}

/// A letter that is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Its tenant.
    pub tenant: String,
    /// Its id.
    pub id: String,
    /// How often it was sent.
    pub tries: u32,
    /// When it was in, by the machine.
    pub at: ReceivedAtMs,
}

/// Marks by tenant and id.
pub type Marked = BTreeMap<(String, String), Mark>;

/// Which letters are in; none when nothing was ever sent again. Works beside a process that writes.
pub fn read_marks(disk: &dyn Disk, path: &Path) -> Result<Marked, DeadLetterError> {
    let mut marked = Marked::new();
    if !disk.exists(path)? {
        return Ok(marked);
    }
    let mut frames = FrameReader::open(disk, path, Tail::MayBeTorn)?;
    while let Some((_, frame)) = frames.next_frame()? {
        let mark: Mark = serde_json::from_slice(frame).map_err(|_| DeadLetterError::Format {
            path: path.to_path_buf(),
            reason: "a mark is no JSON",
        })?;
        marked.insert((mark.tenant.clone(), mark.id.clone()), mark);
    }
    Ok(marked)
}

/// Adds marks; one process at a time.
#[derive(Debug)]
pub struct Marks {
    writer: FrameWriter,
    /// What is marked.
    pub marked: Marked,
    _lock: DiskLock,
}

impl Marks {
    /// Opens or makes the file; marks of letters that are gone are left out of it.
    pub fn open(
        disk: &Arc<dyn Disk>,
        path: &Path,
        now: ReceivedAtMs,
    ) -> Result<Self, DeadLetterError> {
        let dir = path.parent().unwrap_or(Path::new("."));
        disk.create_dir(dir)?;
        let lock = disk.lock(&path.with_extension("lock"))?;
        let mut marked = read_marks(disk.as_ref(), path)?;
        let all = marked.len();
        marked.retain(|_, mark| mark.at.0 > now.0.saturating_sub(MARK_AGE_MS_MAX));
        if marked.len() < all {
            rewrite(disk.as_ref(), path, &marked)?;
        }
        let writer = if disk.exists(path)? {
            FrameWriter::open(disk.as_ref(), path)?.0
        } else {
            FrameWriter::create(disk.as_ref(), path)?
        };
        disk.sync_dir(dir)?;
        Ok(Self {
            writer,
            marked,
            _lock: lock,
        })
    }

    /// Marks a letter, durably.
    pub fn add(&mut self, mark: Mark) -> Result<(), DeadLetterError> {
        self.writer.append(&encoded(&mark))?;
        self.writer.sync()?;
        self.marked
            .insert((mark.tenant.clone(), mark.id.clone()), mark);
        Ok(())
    }
}

/// Puts a file of these marks in the place of the old one, whole or not at all.
fn rewrite(disk: &dyn Disk, path: &Path, marked: &Marked) -> Result<(), DeadLetterError> {
    let beside = path.with_extension("tmp");
    if disk.exists(&beside)? {
        disk.remove(&beside)?;
    }
    let mut writer = FrameWriter::create(disk, &beside)?;
    for mark in marked.values() {
        writer.append(&encoded(mark))?;
    }
    writer.sync()?;
    Ok(disk.rename(&beside, path)?)
}

fn encoded(mark: &Mark) -> Vec<u8> {
    serde_json::to_vec(mark).expect("strings and integers are JSON")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;
    use hostread_disk::SimDisk;

    fn mark(id: &str, tries: u32, at: i64) -> Mark {
        Mark {
            tenant: "northwind".to_owned(),
            id: id.to_owned(),
            tries,
            at: ReceivedAtMs(at),
        }
    }

    #[test]
    fn marks_survive_a_crash_and_go_after_their_letters() {
        let sim = SimDisk::new(5);
        let disk: Arc<dyn Disk> = Arc::new(sim.clone());
        let path = Path::new("/dead/retried");
        assert!(read_marks(disk.as_ref(), path).unwrap().is_empty());
        let mut marks = Marks::open(&disk, path, ReceivedAtMs(0)).unwrap();
        marks.add(mark("aa", 1, 5)).unwrap();
        marks.add(mark("bb", 1, DAY_MS)).unwrap();
        marks.add(mark("aa", 2, 6)).unwrap();
        assert!(matches!(
            Marks::open(&disk, path, ReceivedAtMs(0)),
            Err(DeadLetterError::Disk(
                hostread_disk::DiskError::Locked { .. }
            ))
        ));
        drop(marks);
        sim.crash();
        let found = read_marks(disk.as_ref(), path).unwrap();
        let tries: Vec<u32> = found.values().map(|mark| mark.tries).collect();
        assert_eq!(tries, [2, 1], "the last mark of an id counts");
        let later = ReceivedAtMs(MARK_AGE_MS_MAX + 100);
        drop(Marks::open(&disk, path, later).unwrap());
        sim.crash();
        assert_eq!(read_marks(disk.as_ref(), path).unwrap().len(), 1);
    }

    #[test]
    fn a_retry_is_read_as_it_was_written_and_nothing_else() {
        let retry = Retry {
            id: "0123456789abcdef".to_owned(),
            tries: 7,
        };
        assert_eq!(Retry::read(&retry.to_string()), Some(retry));
        for wrong in ["", ".", "12.3", "0123456789abcdeg.1", "0123456789abcdef.x"] {
            assert_eq!(Retry::read(wrong), None, "{wrong}");
        }
    }
}
