//! The disk of the machine.
//! Promises: `sync` is `fdatasync` (bytes and length), `sync_dir` is `fsync` of the folder; appends go to the end this handle
//! tracks, so a write that stopped half-way is overwritten by the next one.
//! Leaves out: two writing handles on one file (a lock file at a higher level keeps them apart).

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Disk, DiskError, DiskFile, DiskLock, Result};

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

#[derive(Debug)]
struct RealFile {
    file: File,
    path: PathBuf,
    /// Where the next append goes. Not `O_APPEND`: on Linux that would also move `write_at` to the end.
    end: Mutex<u64>,
}

impl RealFile {
    fn shared(file: File, path: &Path) -> Result<Arc<dyn DiskFile>> {
        let len = file
            .metadata()
            .map_err(|e| DiskError::io("read the length of", path, e))?
            .len();
        Ok(Arc::new(Self {
            file,
            path: path.to_path_buf(),
            end: Mutex::new(len),
        }))
    }

    fn err(&self, action: &'static str) -> impl Fn(io::Error) -> DiskError {
        let path = self.path.clone();
        move |source| DiskError::Io {
            action,
            path: path.clone(),
            source,
        }
    }
}

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|e| DiskError::io("create", path, e))?;
        RealFile::shared(file, path)
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|e| DiskError::io("open", path, e))?;
        RealFile::shared(file, path)
    }

    fn open_read(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        let file = File::open(path).map_err(|e| DiskError::io("open", path, e))?;
        RealFile::shared(file, path)
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        fs::exists(path).map_err(|e| DiskError::io("look for", path, e))
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        // Parents first: a folder is durable only once the folder above it was synced.
        let mut missing = Vec::new();
        let mut at = Some(path);
        while let Some(dir) = at.filter(|d| !d.as_os_str().is_empty()) {
            if self.exists(dir)? {
                break;
            }
            missing.push(dir);
            at = dir.parent();
        }
        for dir in missing.into_iter().rev() {
            match fs::create_dir(dir) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(DiskError::io("create folder", dir, e));
                }
                _ => {}
            }
            let parent = dir
                .parent()
                .filter(|p| !p.as_os_str().is_empty())
                .unwrap_or(Path::new("."));
            self.sync_dir(parent)?;
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir).map_err(|e| DiskError::io("list", dir, e))? {
            let entry = entry.map_err(|e| DiskError::io("list", dir, e))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        if from.parent() != to.parent() {
            let other = io::Error::new(
                io::ErrorKind::CrossesDevices,
                "a rename stays in its folder",
            );
            return Err(DiskError::io("rename", from, other));
        }
        fs::rename(from, to).map_err(|e| DiskError::io("rename", from, e))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        fs::remove_file(path).map_err(|e| DiskError::io("remove", path, e))
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        let dir = if dir.as_os_str().is_empty() {
            Path::new(".")
        } else {
            dir
        };
        File::open(dir)
            .and_then(|file| file.sync_all())
            .map_err(|e| DiskError::io("sync folder", dir, e))
    }

    fn lock(&self, path: &Path) -> Result<DiskLock> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(|e| DiskError::io("open lock file", path, e))?;
        match file.try_lock() {
            Ok(()) => Ok(DiskLock::new(file)),
            Err(TryLockError::WouldBlock) => Err(DiskError::Locked {
                path: path.to_path_buf(),
            }),
            Err(TryLockError::Error(e)) => Err(DiskError::io("lock", path, e)),
        }
    }
}

impl DiskFile for RealFile {
    fn append(&self, bytes: &[u8]) -> Result<u64> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let start = *end;
        if let Err(e) = self.file.write_all_at(bytes, start) {
            // What was written of it must not stay behind the end; if even this fails, the next append overwrites it.
            self.file.set_len(start).map_err(self.err("cut back"))?;
            return Err(self.err("append to")(e));
        }
        *end = start + bytes.len() as u64;
        Ok(start)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        self.file
            .write_all_at(bytes, offset)
            .map_err(self.err("write to"))?;
        *end = (*end).max(offset + bytes.len() as u64);
        Ok(())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self
                .file
                .read_at(&mut buffer[filled..], offset + filled as u64)
            {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.err("read")(e)),
            }
        }
        Ok(filled)
    }

    fn len(&self) -> Result<u64> {
        Ok(self
            .file
            .metadata()
            .map_err(self.err("read the length of"))?
            .len())
    }

    fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(self.err("sync"))
    }

    fn truncate(&self, len: u64) -> Result<()> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        self.file.set_len(len).map_err(self.err("truncate"))?;
        *end = len;
        Ok(())
    }
}
