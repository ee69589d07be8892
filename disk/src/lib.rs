//! Files as the journal, the event log and the gateway's spill see them: a small trait, a real disk, a simulated one.
//! Needs: POSIX files whose `fdatasync` makes bytes and length durable, and directories that can be synced.
//! Promises: what a successful `sync` covered survives a crash; a torn tail is found and cut; damage anywhere else is an error
//! that names file and byte, never read around.
//! Leaves out: async (all calls block), caching, permissions, anything that deletes a folder.
//!
//! ```text
//! Disk       create open exists create_dir list rename remove sync_dir lock        RealDisk, SimDisk (object safe)
//! DiskFile   append write_at read_at len sync truncate                             Arc<dyn DiskFile>, shared by threads
//! FrameWriter create open append sync len synced_len                               one CRC frame a record
//! FrameReader open next_frame seek set_end position torn_at                        Tail::Whole (sealed) or Tail::MayBeTorn
//! Spill      open append peek release stats                                        synced, bounded, drained in order
//! read_all, replace_file                                                           whole small files, the latter atomic
//! ```
//!
//! Invariant 1: a new, renamed or removed name is durable only after `sync_dir` of its folder; bytes only after `sync`.
//! Invariant 2: after a failed `sync` a writer takes nothing more, and cuts off what it could not sync: what the kernel still
//! holds of it is unknown.
//! Invariant 3: a frame that was synced is either read back bit for bit or reported as damage, unless it is in the last synced
//! group of a file whose tail may be torn (nothing later in the file can vouch for that group).

mod error;
mod frame;
mod frame_read;
mod real;
mod sim;
mod sim_state;
mod spill;

use std::any::Any;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

pub use error::{DiskError, ErrorKind, Result};
pub use frame::{FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FrameWriter, Recovered};
pub use frame_read::{FrameReader, Tail};
pub use real::RealDisk;
pub use sim::SimDisk;
pub use spill::{Appended, Spill, SpillLimits, SpillStats};

/// Names and folders. All calls block.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Makes an empty file for reading and writing; an error when the name is taken. Durable after `sync` and `sync_dir`.
    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>>;
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>>;
    /// Opens an existing file for reading only: works beside another process that writes.
    fn open_read(&self, path: &Path) -> Result<Arc<dyn DiskFile>>;
    /// Whether a file or folder has this name.
    fn exists(&self, path: &Path) -> Result<bool>;
    /// Makes a folder and its parents, durably. No error when it is there.
    fn create_dir(&self, path: &Path) -> Result<()>;
    /// Names in a folder, sorted. Files and folders alike.
    fn list(&self, dir: &Path) -> Result<Vec<String>>;
    /// Gives a file another name in the same folder, replacing what had that name, in one step. Durable after `sync_dir`.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Takes a file's name away. Open handles go on working. Durable after `sync_dir`.
    fn remove(&self, path: &Path) -> Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Path) -> Result<()>;
    /// Takes a lock that ends with the returned value or the process; `DiskError::Locked` when another holds it.
    fn lock(&self, path: &Path) -> Result<DiskLock>;
}

/// An open file. Calls may come from several threads; appends do not overlap.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Writes at the end; returns where the bytes start. On an error the file has its old length again, or the error of the
    /// next call says why not.
    fn append(&self, bytes: &[u8]) -> Result<u64>;
    /// Writes at a place, growing the file when needed.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()>;
    /// Reads up to `buffer.len()` bytes; fewer only at the end of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize>;
    /// Length in bytes, unsynced writes included.
    fn len(&self) -> Result<u64>;
    /// Whether there is no byte in it.
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Makes bytes and length durable.
    fn sync(&self) -> Result<()>;
    /// Cuts (or grows with zeros) to this length.
    fn truncate(&self, len: u64) -> Result<()>;
}

/// A held lock; dropping it lets the next one in.
#[must_use = "dropping the lock releases it"]
pub struct DiskLock(#[expect(dead_code, reason = "held for its drop")] Box<dyn Any + Send + Sync>);

impl DiskLock {
    pub(crate) fn new(held: impl Any + Send + Sync) -> Self {
        Self(Box::new(held))
    }
}

impl fmt::Debug for DiskLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DiskLock")
    }
}

/// Reads a whole file. For small files: everything is held in memory.
pub fn read_all(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>> {
    let file = disk.open_read(path)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let read = file.read_at(filled as u64, rest)?;
        if read == 0 {
            break;
        }
        filled += read;
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Puts a file in place in one step: after a crash it has its old content or the new one, nothing between.
pub fn replace_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    if disk.exists(&temporary)? {
        disk.remove(&temporary)?;
    }
    let file = disk.create(&temporary)?;
    file.append(bytes)?;
    file.sync()?;
    fail::fail_point!("file.before_rename");
    disk.rename(&temporary, path)?;
    fail::fail_point!("file.renamed");
    disk.sync_dir(path.parent().unwrap_or(Path::new(".")))
}
