//! A disk in memory that loses what was not synced.
//! Promises: with one seed and one order of calls, every crash leaves the same bytes; a crash keeps all that was synced (names
//! after `sync_dir`) and drops, tears or keeps every other write, name and truncation on its own.
//! Leaves out: damage to what was synced; ask for that with `damage`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sim_state::{FileStep, Inode, State, apply};
use crate::{Disk, DiskError, DiskFile, DiskLock, Result};

/// The simulated disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    path: PathBuf,
    inode: usize,
    epoch: u64,
}

struct SimLock {
    disk: SimDisk,
    path: PathBuf,
    epoch: u64,
}

impl SimDisk {
    /// An empty disk. The seed decides what each crash loses.
    pub fn new(seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new(seed))),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Power fails and comes back: unsynced data is dropped or torn, open handles and locks are void.
    pub fn crash(&self) {
        self.state().crash();
    }

    /// Power fails at the `step`-th changing call from the disk's beginning (see `steps`): that call and all later ones, reads
    /// too, are errors until `crash` brings power back.
    pub fn power_off_at(&self, step: u64) {
        self.state().power_off_at = Some(step);
    }

    /// How many changing calls (create, append, write, sync, truncate, rename, remove, sync_dir) there were.
    pub fn steps(&self) -> u64 {
        self.state().steps_done
    }

    /// From now on `sync` of files reports success and does nothing. A test that still passes proves nothing about its syncs.
    pub fn ignore_sync(&self, ignore: bool) {
        self.state().ignore_sync = ignore;
    }

    /// The next `sync` of a file fails, and as on a real kernel the unsynced bytes stay readable, count as clean from then on, and
    /// are gone after a crash.
    pub fn fail_next_sync(&self) {
        self.state().fail_next_sync = true;
    }

    /// As `ignore_sync`, for `sync_dir`.
    pub fn ignore_sync_dir(&self, ignore: bool) {
        self.state().ignore_sync_dir = ignore;
    }

    /// Room left for growing files, which removed ones give back; a write over it is cut there and fails with `is_no_space`. `None`: no limit.
    pub fn set_free_bytes(&self, free: Option<u64>) {
        self.state().free_bytes = free;
    }

    /// Flips all bits of one byte, visible and durable, as a failing disk would. Returns whether there was such a byte.
    pub fn damage(&self, path: &Path, offset: u64) -> bool {
        let mut state = self.state();
        let Some(&inode) = state.visible.get(path) else {
            return false;
        };
        let inode = &mut state.inodes[inode];
        let mut hit = false;
        for bytes in [&mut inode.visible, &mut inode.durable] {
            if let Some(byte) = bytes.get_mut(offset as usize) {
                *byte = !*byte;
                hit = true;
            }
        }
        hit
    }

    /// A changing call: checks power and counts. `Err` when power is off; `Ok(true)` when it goes off in this very call.
    fn step(state: &mut State, action: &'static str, path: &Path) -> Result<bool> {
        if !state.powered {
            return Err(no_power(action, path));
        }
        state.steps_done += 1;
        if state.power_off_at.is_some_and(|at| state.steps_done >= at) {
            state.powered = false;
            return Ok(true);
        }
        Ok(false)
    }

    fn find(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        let state = self.state();
        if !state.powered {
            return Err(no_power("open", path));
        }
        let inode = *state
            .visible
            .get(path)
            .ok_or_else(|| not_found("open", path))?;
        Ok(self.handle(path, inode, state.epoch))
    }

    fn handle(&self, path: &Path, inode: usize, epoch: u64) -> Arc<dyn DiskFile> {
        Arc::new(SimFile {
            disk: self.clone(),
            path: path.to_path_buf(),
            inode,
            epoch,
        })
    }

    fn change(
        &self,
        action: &'static str,
        path: &Path,
        names: impl FnOnce(&mut State) -> Result<Vec<(PathBuf, Option<usize>)>>,
    ) -> Result<()> {
        let mut state = self.state();
        let off = Self::step(&mut state, action, path)?;
        let names = names(&mut state)?;
        state.change_names(parent(path), names);
        if off {
            Err(no_power(action, path))
        } else {
            Ok(())
        }
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

fn no_power(action: &'static str, path: &Path) -> DiskError {
    DiskError::io(
        action,
        path,
        io::Error::other("simulated disk has no power"),
    )
}

fn not_found(action: &'static str, path: &Path) -> DiskError {
    DiskError::io(action, path, io::ErrorKind::NotFound.into())
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        let mut made = None;
        self.change("create", path, |state| {
            if state.visible.contains_key(path) {
                return Err(DiskError::io(
                    "create",
                    path,
                    io::ErrorKind::AlreadyExists.into(),
                ));
            }
            if !parent(path).as_os_str().is_empty() && !state.dirs.contains(parent(path)) {
                return Err(not_found("create", path));
            }
            state.inodes.push(Inode::default());
            let inode = state.inodes.len() - 1;
            made = Some((inode, state.epoch));
            Ok(vec![(path.to_path_buf(), Some(inode))])
        })?;
        let (inode, epoch) = made.expect("set by the closure, which ran without an error");
        Ok(self.handle(path, inode, epoch))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        self.find(path)
    }

    fn open_read(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        self.find(path)
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        let state = self.state();
        if !state.powered {
            return Err(no_power("look for", path));
        }
        Ok(state.visible.contains_key(path) || state.dirs.contains(path))
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        let mut state = self.state();
        if !state.powered {
            return Err(no_power("create folder", path));
        }
        for dir in path.ancestors().filter(|d| !d.as_os_str().is_empty()) {
            state.dirs.insert(dir.to_path_buf());
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        let state = self.state();
        if !state.powered {
            return Err(no_power("list", dir));
        }
        if !state.dirs.contains(dir) {
            return Err(not_found("list", dir));
        }
        let all = state.visible.keys().chain(state.dirs.iter());
        let mut names: Vec<String> = all
            .filter(|path| parent(path) == dir && !path.as_os_str().is_empty())
            .filter_map(|path| path.file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        if parent(from) != parent(to) {
            let other = io::Error::new(
                io::ErrorKind::CrossesDevices,
                "a rename stays in its folder",
            );
            return Err(DiskError::io("rename", from, other));
        }
        self.change("rename", from, |state| {
            let inode = *state
                .visible
                .get(from)
                .ok_or_else(|| not_found("rename", from))?;
            Ok(vec![
                (from.to_path_buf(), None),
                (to.to_path_buf(), Some(inode)),
            ])
        })
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.change("remove", path, |state| {
            let Some(&inode) = state.visible.get(path) else {
                return Err(not_found("remove", path));
            };
            let freed = state
                .inodes
                .get(inode)
                .map_or(0, |inode| inode.visible.len());
            if let Some(free) = state.free_bytes.as_mut() {
                *free += freed as u64;
            }
            Ok(vec![(path.to_path_buf(), None)])
        })
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        let mut state = self.state();
        if Self::step(&mut state, "sync folder", dir)? {
            return Err(no_power("sync folder", dir));
        }
        if !state.ignore_sync_dir {
            state.sync_names(dir);
        }
        Ok(())
    }

    fn lock(&self, path: &Path) -> Result<DiskLock> {
        let mut state = self.state();
        if !state.powered {
            return Err(no_power("lock", path));
        }
        if !state.locks.insert(path.to_path_buf()) {
            return Err(DiskError::Locked {
                path: path.to_path_buf(),
            });
        }
        let epoch = state.epoch;
        drop(state);
        Ok(DiskLock::new(SimLock {
            disk: self.clone(),
            path: path.to_path_buf(),
            epoch,
        }))
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.epoch == self.epoch {
            state.locks.remove(&self.path);
        }
    }
}

impl SimFile {
    fn write(&self, action: &'static str, offset: Option<u64>, bytes: &[u8]) -> Result<u64> {
        let mut state = self.disk.state();
        self.check(&state, action)?;
        let off = SimDisk::step(&mut state, action, &self.path)?;
        let len = state.inodes[self.inode].visible.len() as u64;
        let offset = offset.unwrap_or(len);
        let growth = (offset + bytes.len() as u64).saturating_sub(len);
        let full = state.free_bytes.is_some_and(|free| growth > free);
        if full && !off {
            return Err(DiskError::io(
                action,
                &self.path,
                io::ErrorKind::StorageFull.into(),
            ));
        }
        if let Some(free) = state.free_bytes.as_mut() {
            *free = free.saturating_sub(growth);
        }
        let step = FileStep::Write {
            offset,
            bytes: bytes.to_vec(),
        };
        let inode = &mut state.inodes[self.inode];
        apply(&mut inode.visible, &step);
        inode.steps.push(step);
        if off {
            Err(no_power(action, &self.path))
        } else {
            Ok(offset)
        }
    }

    fn check(&self, state: &State, action: &'static str) -> Result<()> {
        if !state.powered || state.epoch != self.epoch {
            return Err(no_power(action, &self.path));
        }
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn append(&self, bytes: &[u8]) -> Result<u64> {
        self.write("append to", None, bytes)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.write("write to", Some(offset), bytes).map(drop)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let state = self.disk.state();
        self.check(&state, "read")?;
        let bytes = &state.inodes[self.inode].visible;
        let from = bytes
            .get((offset as usize).min(bytes.len())..)
            .unwrap_or_default();
        let read = from.len().min(buffer.len());
        buffer[..read].copy_from_slice(&from[..read]);
        Ok(read)
    }

    fn len(&self) -> Result<u64> {
        let state = self.disk.state();
        self.check(&state, "read the length of")?;
        Ok(state.inodes[self.inode].visible.len() as u64)
    }

    fn sync(&self) -> Result<()> {
        let mut state = self.disk.state();
        self.check(&state, "sync")?;
        if SimDisk::step(&mut state, "sync", &self.path)? {
            return Err(no_power("sync", &self.path));
        }
        if std::mem::take(&mut state.fail_next_sync) {
            state.inodes[self.inode].steps.clear();
            let reason = io::Error::other("simulated disk could not write back");
            return Err(DiskError::io("sync", &self.path, reason));
        }
        if !state.ignore_sync {
            let inode = &mut state.inodes[self.inode];
            for step in std::mem::take(&mut inode.steps) {
                apply(&mut inode.durable, &step);
            }
        }
        Ok(())
    }

    fn truncate(&self, len: u64) -> Result<()> {
        let mut state = self.disk.state();
        self.check(&state, "truncate")?;
        let off = SimDisk::step(&mut state, "truncate", &self.path)?;
        let inode = &mut state.inodes[self.inode];
        let step = FileStep::Truncate { len };
        let freed = (inode.visible.len() as u64).saturating_sub(len);
        apply(&mut inode.visible, &step);
        inode.steps.push(step);
        if let Some(free) = state.free_bytes.as_mut() {
            *free += freed;
        }
        if off {
            Err(no_power("truncate", &self.path))
        } else {
            Ok(())
        }
    }
}
