//! A flipped byte anywhere is found, and named by file.

use std::path::Path;

use hostread_disk::{Disk, SimDisk};
use hostread_journal::JournalError;
use hostread_schemas::Tick;

use crate::support::{DIR, Rig, drawn, open};

const MARK_BYTES: u64 = hostread_disk::FRAME_HEADER_BYTES + 1;

fn journal() -> Rig {
    let mut rig = Rig::new(1);
    for (at, record) in drawn(30, 40).iter().enumerate() {
        rig.offer(record);
        if at % 4 == 3 {
            rig.cut().unwrap();
            rig.journal.sync().unwrap();
        }
        if at == 20 {
            rig.journal.compact(Tick(4)).unwrap();
        }
    }
    rig.journal.close().unwrap();
    rig
}

fn named(error: &JournalError) -> Option<&Path> {
    match error {
        JournalError::Damaged { path, .. }
        | JournalError::Format { path, .. }
        | JournalError::Disk(hostread_disk::DiskError::Damaged { path, .. }) => Some(path),
        _ => None,
    }
}

#[test]
fn a_flipped_byte_is_found_and_named() {
    let rig = journal();
    let folds = rig.folds.clone();
    let names = rig.disk_files("");
    drop(rig);
    let dir = Path::new(DIR);
    let mut bytes = 0;
    for name in names.iter().filter(|name| *name != "LOCK") {
        let path = dir.join(name);
        for offset in 0.. {
            let rig = journal();
            let Rig { disk, journal, .. } = rig;
            drop(journal);
            if !disk.damage(&path, offset) {
                break;
            }
            bytes += 1;
            match open(&disk) {
                Err(error) => {
                    assert_eq!(
                        named(&error),
                        Some(path.as_path()),
                        "byte {offset}: {error:?}"
                    );
                }
                Ok(opened) => {
                    // Only the mark at a segment's end may go unnoticed: all that it says is that the rest is whole.
                    let last = *folds.last_key_value().unwrap().0;
                    assert_eq!(opened.last, last, "{name} at {offset} went unnoticed");
                    let len = disk
                        .open(&path)
                        .unwrap()
                        .len()
                        .unwrap()
                        .max(offset + opened.cut_bytes);
                    assert!(
                        name.starts_with("ticks-") && offset + MARK_BYTES >= len,
                        "{name} {offset}"
                    );
                }
            }
        }
    }
    assert!(bytes > 2000, "{bytes} bytes tried");
}

#[test]
fn a_missing_file_is_named() {
    let names = journal().disk_files("");
    for name in names.iter().filter(|name| *name != "LOCK") {
        let Rig { disk, journal, .. } = journal();
        drop(journal);
        disk.remove(&Path::new(DIR).join(name)).unwrap();
        let path = Path::new(DIR).join(name);
        let error = open(&disk).unwrap_err();
        let said = named(&error).map(Path::to_owned);
        // A segment is named by its first tick, which nothing else knows: what is missing is named by the tick that is needed.
        let segment = |path: &Path| path.to_string_lossy().contains("/ticks-");
        let is_segment = segment(&path) && said.as_deref().is_some_and(segment);
        assert!(
            is_segment || said == Some(path) || error.to_string().contains("disk failed"),
            "{name} is missing: {error:?}"
        );
    }
}

#[test]
fn another_key_and_a_second_process_are_refused() {
    let rig = journal();
    assert!(matches!(
        open(&rig.disk),
        Err(JournalError::Disk(hostread_disk::DiskError::Locked { .. }))
    ));
    let Rig { disk, journal, .. } = rig;
    drop(journal);
    let other = hostread_schemas::intern::IdHasher::new([8; 16]);
    let disk: std::sync::Arc<dyn Disk> = std::sync::Arc::new(SimDisk::clone(&disk));
    let opened = hostread_journal::Journal::open(disk, Path::new(DIR), 42, other);
    assert!(matches!(opened, Err(JournalError::OtherKey { .. })));
}
