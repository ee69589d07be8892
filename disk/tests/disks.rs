//! Both disks behave alike as long as nothing crashes; at a crash the simulated one loses what it may lose, and nothing else.
#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostread_disk::{Disk, DiskError, RealDisk, SimDisk, read_all, replace_file};

fn on_both(check: impl Fn(Arc<dyn Disk>, &Path)) {
    let dir = tempfile::tempdir().unwrap();
    check(Arc::new(RealDisk), &dir.path().join("a/b"));
    check(Arc::new(SimDisk::new(0)), Path::new("a/b"));
}

#[test]
fn names_and_bytes() {
    on_both(|disk, dir| {
        assert!(disk.list(dir).unwrap_err().is_not_found());
        disk.create_dir(dir).unwrap();
        disk.create_dir(dir).unwrap();
        let (one, two) = (dir.join("one"), dir.join("two"));
        assert!(disk.open(&one).unwrap_err().is_not_found());
        let file = disk.create(&one).unwrap();
        assert!(disk.create(&one).is_err(), "the name is taken");
        assert_eq!(file.append(b"hello ").unwrap(), 0);
        assert_eq!(file.append(b"world").unwrap(), 6);
        file.write_at(0, b"J").unwrap();
        file.write_at(12, b"!").unwrap();
        file.sync().unwrap();
        assert_eq!(file.len().unwrap(), 13);
        assert_eq!(read_all(disk.as_ref(), &one).unwrap(), b"Jello world\0!");
        file.truncate(5).unwrap();
        assert_eq!(file.append(b"s").unwrap(), 5);
        let mut buffer = [0; 10];
        assert_eq!(file.read_at(1, &mut buffer).unwrap(), 5);
        assert_eq!(&buffer[..5], b"ellos");
        assert_eq!(file.read_at(100, &mut buffer).unwrap(), 0);

        disk.create(&two).unwrap();
        assert_eq!(disk.list(dir).unwrap(), ["one", "two"]);
        assert_eq!(disk.list(dir.parent().unwrap()).unwrap(), ["b"]);
        disk.rename(&one, &two).unwrap();
        assert!(
            disk.rename(&two, &dir.parent().unwrap().join("two"))
                .is_err(),
            "a rename stays in its folder"
        );
        disk.sync_dir(dir).unwrap();
        assert_eq!(read_all(disk.as_ref(), &two).unwrap(), b"Jellos");
        disk.remove(&two).unwrap();
        assert!(!disk.exists(&two).unwrap());
        assert_eq!(file.len().unwrap(), 6, "an open handle goes on working");
    });
}

#[test]
fn locks_exclude() {
    on_both(|disk, dir| {
        disk.create_dir(dir).unwrap();
        let held = disk.lock(&dir.join("lock")).unwrap();
        assert!(matches!(
            disk.lock(&dir.join("lock")),
            Err(DiskError::Locked { .. })
        ));
        drop(held);
        drop(disk.lock(&dir.join("lock")).unwrap());
    });
}

#[test]
fn a_replaced_file_has_its_old_content_or_the_new() {
    let path = PathBuf::from("d/settings");
    let mut seen = [false; 2];
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        disk.create_dir(Path::new("d")).unwrap();
        replace_file(&disk, &path, b"old").unwrap();
        disk.power_off_at(disk.steps() + 1 + seed % 7);
        let replaced = replace_file(&disk, &path, b"new content").is_ok();
        disk.crash();
        let there = read_all(&disk, &path).unwrap();
        assert!(
            there == b"new content" || (!replaced && there == b"old"),
            "seed {seed}: {there:?}"
        );
        seen[usize::from(there == b"old")] = true;
    }
    assert_eq!(seen, [true, true], "both outcomes occur");
}

#[test]
fn a_crash_loses_unsynced_names_and_bytes_and_keeps_synced_ones() {
    let (mut lost_bytes, mut lost_name, mut kept, mut torn) = (0, 0, 0, 0);
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        let file = disk.create(Path::new("f")).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        file.append(&[1; 2000]).unwrap();
        file.sync().unwrap();
        file.append(&[2; 5000]).unwrap();
        disk.create(Path::new("g")).unwrap();
        disk.crash();
        assert!(
            file.append(b"x").is_err(),
            "a handle from before the crash is void"
        );
        let there = read_all(&disk, Path::new("f")).unwrap();
        assert_eq!(there[..2000], [1; 2000]);
        let arrived = there[2000..]
            .iter()
            .map(|byte| usize::from(*byte == 2))
            .sum::<usize>();
        lost_bytes += u32::from(arrived == 0);
        kept += u32::from(arrived == 5000);
        torn += u32::from(arrived > 0 && arrived < 5000);
        lost_name += u32::from(!disk.exists(Path::new("g")).unwrap());
    }
    for (what, count) in [
        ("lost", lost_bytes),
        ("kept", kept),
        ("torn", torn),
        ("names lost", lost_name),
    ] {
        assert!((10..190).contains(&count), "{what}: {count} of 200");
    }
}

#[test]
fn one_seed_is_one_crash() {
    let run = |seed| {
        let disk = SimDisk::new(seed);
        let file = disk.create(Path::new("f")).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        for byte in 0..20 {
            file.append(&[byte; 700]).unwrap();
        }
        disk.crash();
        read_all(&disk, Path::new("f")).unwrap()
    };
    assert_eq!(run(7), run(7));
    assert!((0..20).any(|seed| run(seed) != run(7)));
}
