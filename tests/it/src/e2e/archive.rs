//! Keeps every segment of a journal's tick log that compaction removes, so that all ticks can be run again.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Less than compaction takes from a segment's last tick to its removal.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const MANIFEST: &str = "manifest";

/// Watches a journal's folder.
pub(super) struct Archive {
    journal: PathBuf,
    kept: PathBuf,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Archive {
    /// Keeps segments of `journal` in `kept`, and the first manifest: the one before any compaction.
    pub(super) fn start(journal: &Path, kept: &Path) -> Self {
        fs::create_dir_all(kept).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (journal, kept, stop) = (journal.to_owned(), kept.to_owned(), Arc::clone(&stop));
            move || {
                while !stop.load(Ordering::Relaxed) {
                    look(&journal, &kept);
                    std::thread::sleep(LOOK_EVERY);
                }
            }
        });
        Self {
            journal: journal.to_owned(),
            kept: kept.to_owned(),
            stop,
            thread,
        }
    }

    /// A copy of the journal as it would be without compaction. Nobody writes the original any more. Says whether the
    /// original was compacted.
    pub(super) fn finish(self, copy: &Path) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        look(&self.journal, &self.kept);
        fs::create_dir_all(copy).unwrap();
        for file in files(&self.kept) {
            fs::copy(self.kept.join(&file), copy.join(&file)).unwrap();
        }
        files(&self.journal).iter().any(|f| f.starts_with("facts-"))
    }
}

fn files(dir: &Path) -> Vec<String> {
    let Ok(found) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let name = |file: std::io::Result<fs::DirEntry>| file.ok()?.file_name().into_string().ok();
    found.filter_map(name).collect()
}

/// Links keep what is removed and see what is appended. A segment that was begun anew has another inode.
fn look(journal: &Path, kept: &Path) {
    let inode = |path: &Path| fs::metadata(path).map(|data| data.ino()).ok();
    if !kept.join(MANIFEST).exists() {
        drop(fs::copy(journal.join(MANIFEST), kept.join("partial")));
        drop(fs::rename(kept.join("partial"), kept.join(MANIFEST)));
    }
    for file in files(journal).iter().filter(|f| f.starts_with("ticks-")) {
        let (from, to) = (journal.join(file), kept.join(file));
        let known = inode(&to);
        if known.is_none() || inode(&from).is_some_and(|there| Some(there) != known) {
            drop(fs::remove_file(&to));
            // It may be gone by now: then it was linked before.
            drop(fs::hard_link(&from, &to));
        }
    }
}
