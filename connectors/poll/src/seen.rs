//! Which objects of a place were taken already: a file of frames, one an object, that survives a crash.
//! Promises: what `note` returned for is known after any crash; one process at a time.
//! Invariant 1: an object is the same as before when key and version are; what the place no longer has is forgotten.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostread_disk::{Disk, DiskError, DiskLock, FrameWriter};

use crate::store::Object;

/// See the module.
#[derive(Debug)]
pub struct Seen {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    writer: FrameWriter,
    versions: BTreeMap<String, String>,
    frames: u64,
    _lock: DiskLock,
}

impl Seen {
    /// Opens the file, or makes it.
    pub fn open(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, DiskError> {
        let dir = path.parent().unwrap_or(Path::new("."));
        disk.create_dir(dir)?;
        let lock = disk.lock(&path.with_extension("lock"))?;
        if !disk.exists(path)? {
            FrameWriter::create(&*disk, path)?.sync()?;
            disk.sync_dir(dir)?;
        }
        let mut versions = BTreeMap::new();
        let (writer, found) = FrameWriter::open_with::<DiskError>(&*disk, path, |_, frame| {
            let text = String::from_utf8_lossy(frame);
            if let Some((key, version)) = text.split_once('\0') {
                versions.insert(key.to_owned(), version.to_owned());
            }
            Ok(())
        })?;
        Ok(Self {
            disk,
            path: path.to_path_buf(),
            writer,
            versions,
            frames: found.frames,
            _lock: lock,
        })
    }

    /// Was this version of it taken?
    pub fn has(&self, object: &Object) -> bool {
        self.versions.get(&object.key) == Some(&object.version)
    }

    /// How many objects are known.
    pub fn count(&self) -> usize {
        self.versions.len()
    }

    /// It was taken; durable on return.
    pub fn note(&mut self, object: &Object) -> Result<(), DiskError> {
        let (key, version) = (object.key.clone(), object.version.clone());
        self.writer.append(format!("{key}\0{version}").as_bytes())?;
        self.writer.sync()?;
        self.frames += 1;
        self.versions.insert(key, version);
        Ok(())
    }

    /// Forgets what is gone, and makes the file small again when most of it is of the past.
    pub fn keep(&mut self, is_there: impl Fn(&str) -> bool) -> Result<(), DiskError> {
        self.versions.retain(|key, _| is_there(key));
        if self.frames < 1_000 || self.frames < 2 * self.versions.len() as u64 {
            return Ok(());
        }
        let temporary = self.path.with_extension("tmp");
        if self.disk.exists(&temporary)? {
            self.disk.remove(&temporary)?;
        }
        let mut writer = FrameWriter::create(&*self.disk, &temporary)?;
        for (key, version) in &self.versions {
            writer.append(format!("{key}\0{version}").as_bytes())?;
        }
        writer.sync()?;
        self.disk.rename(&temporary, &self.path)?;
        self.disk
            .sync_dir(self.path.parent().unwrap_or(Path::new(".")))?;
        self.frames = self.versions.len() as u64;
        self.writer = writer;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;
    use hostread_disk::SimDisk;

    fn object(key: &str, version: &str) -> Object {
        Object {
            key: key.to_owned(),
            version: version.to_owned(),
            bytes: 1,
            changed_ms: 0,
        }
    }

    #[test]
    fn what_was_noted_is_known_after_any_crash() {
        // Power fails at each step; what `note` returned for before is known, and the file goes on.
        for step in 0..60 {
            let disk = SimDisk::new(step);
            let (path, mut noted) = (Path::new("imports/a.seen"), Vec::new());
            disk.power_off_at(step);
            if let Ok(mut seen) = Seen::open(Arc::new(disk.clone()), path) {
                for n in 0..8 {
                    let object = object(&format!("logs/{n}"), "1");
                    if seen.note(&object).is_ok() {
                        noted.push(object);
                    }
                }
            }
            disk.crash();
            let mut seen = Seen::open(Arc::new(disk.clone()), path).unwrap();
            assert!(noted.iter().all(|object| seen.has(object)), "step {step}");
            seen.note(&object("more", "2")).unwrap();
            assert!(seen.has(&object("more", "2")) && !seen.has(&object("more", "3")));
        }
    }

    #[test]
    fn what_is_gone_takes_no_room() {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
        let path = Path::new("imports/a.seen");
        let mut seen = Seen::open(Arc::clone(&disk), path).unwrap();
        for n in 0..2_000 {
            seen.note(&object(&format!("logs/{n}"), "1")).unwrap();
        }
        let long = disk.open_read(path).unwrap().len().unwrap();
        seen.keep(|key| key == "logs/7" || key == "logs/8").unwrap();
        assert!(disk.open_read(path).unwrap().len().unwrap() * 100 < long);
        seen.note(&object("logs/9", "1")).unwrap();
        drop(seen);
        let seen = Seen::open(disk, path).unwrap();
        assert_eq!(seen.count(), 3);
        assert!(seen.has(&object("logs/7", "1")) && !seen.has(&object("logs/6", "1")));
    }
}
