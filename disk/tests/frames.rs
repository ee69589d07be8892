//! Frames: what was synced is read back or reported, whatever a crash or a failing disk does to the file.
#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::path::Path;

use hostread_disk::{
    Disk, DiskError, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FrameReader, FrameWriter, RealDisk,
    SimDisk, Tail,
};
use proptest::prelude::*;

const FILE: &str = "log";

fn path() -> &'static Path {
    Path::new(FILE)
}

fn payload(number: u64, len: usize) -> Vec<u8> {
    number
        .to_le_bytes()
        .into_iter()
        .cycle()
        .take(len.max(8))
        .collect()
}

fn read(disk: &dyn Disk, path: &Path, tail: Tail) -> Result<Vec<Vec<u8>>, DiskError> {
    let mut reader = FrameReader::open(disk, path, tail)?;
    let mut found = Vec::new();
    while let Some((_, payload)) = reader.next_frame()? {
        found.push(payload.to_vec());
    }
    Ok(found)
}

#[test]
fn frames_come_back_in_order_on_a_real_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("frames");
    let sizes = [0, 1, 511, 4096, 300_000, 2_000_000, 7];
    let wanted: Vec<Vec<u8>> = (0..)
        .zip(sizes)
        .map(|(number, len)| payload(number, len))
        .collect();
    let mut writer = FrameWriter::create(&RealDisk, &path).unwrap();
    for (number, record) in wanted.iter().enumerate() {
        writer.append(record).unwrap();
        if number % 2 == 0 {
            writer.sync().unwrap();
        }
    }
    assert!(writer.synced_len() <= writer.len());
    drop(writer);
    // The last frame but one was written out by size or not at all; open it as a killed process would have left it.
    let (mut writer, found) = FrameWriter::open(&RealDisk, &path).unwrap();
    assert_eq!(found.cut_bytes, 0);
    writer.append(b"more").unwrap();
    writer.sync().unwrap();
    let mut all = wanted;
    all.push(b"more".to_vec());
    assert_eq!(read(&RealDisk, &path, Tail::Whole).unwrap(), all);
}

#[test]
fn a_torn_tail_is_cut_and_writing_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("frames");
    let mut writer = FrameWriter::create(&RealDisk, &path).unwrap();
    for number in 0..3 {
        writer.append(&payload(number, 100)).unwrap();
        writer.sync().unwrap();
    }
    let whole = writer.len();
    drop(writer);
    for cut in 1..100 + FRAME_HEADER_BYTES {
        let file = RealDisk.open(&path).unwrap();
        file.truncate(whole - cut).unwrap();
        assert!(matches!(
            read(&RealDisk, &path, Tail::Whole),
            Err(DiskError::Damaged { .. })
        ));
        let (mut writer, found) = FrameWriter::open(&RealDisk, &path).unwrap();
        assert_eq!(
            (found.frames, found.cut_bytes),
            (2, 100 + FRAME_HEADER_BYTES - cut)
        );
        writer.append(&payload(2, 100)).unwrap();
        assert_eq!(writer.sync().unwrap(), whole);
    }
    assert_eq!(read(&RealDisk, &path, Tail::Whole).unwrap().len(), 3);
}

#[test]
fn damage_in_the_middle_names_file_and_byte() {
    let disk = SimDisk::new(1);
    let mut writer = FrameWriter::create(&disk, path()).unwrap();
    let mut starts = Vec::new();
    for number in 0..4 {
        starts.push(writer.append(&payload(number, 60)).unwrap());
        writer.sync().unwrap();
    }
    let len = writer.len();
    for offset in 0..len {
        assert!(disk.damage(path(), offset));
        let frame = starts.iter().rev().find(|start| **start <= offset).unwrap();
        if offset < starts[3] {
            for tail in [Tail::Whole, Tail::MayBeTorn] {
                match read(&disk, path(), tail) {
                    Err(DiskError::Damaged { path, offset, .. }) => {
                        assert_eq!((&path, offset), (&FILE.into(), *frame));
                    }
                    other => panic!("byte {offset} {tail:?}: {other:?}"),
                }
            }
            assert!(FrameWriter::open(&disk, path()).is_err(), "byte {offset}");
        } else {
            // Nothing behind the last group vouches for it: sealed it is damage, otherwise a torn tail.
            assert!(read(&disk, path(), Tail::Whole).is_err());
            assert_eq!(read(&disk, path(), Tail::MayBeTorn).unwrap().len(), 3);
        }
        disk.damage(path(), offset);
    }
    assert_eq!(read(&disk, path(), Tail::Whole).unwrap().len(), 4);
}

#[test]
fn frames_torn_before_a_whole_unsynced_frame_are_no_damage() {
    let disk = SimDisk::new(1);
    let mut writer = FrameWriter::create(&disk, path()).unwrap();
    writer.append(&payload(0, 600)).unwrap();
    let synced = writer.sync().unwrap();
    writer.append(&payload(1, 600)).unwrap();
    writer.append(&payload(2, 600)).unwrap();
    writer.sync().unwrap();
    // As a crash in that second sync may leave it: the later frame whole, the earlier one not.
    disk.damage(path(), synced + 40);
    let (writer, found) = FrameWriter::open(&disk, path()).unwrap();
    assert_eq!((found.frames, writer.len()), (1, synced));
}

#[test]
fn a_frame_inside_a_payload_proves_nothing() {
    let disk = SimDisk::new(1);
    let mut inner = FrameWriter::create(&disk, Path::new("inner")).unwrap();
    inner.append(b"synced").unwrap();
    inner.sync().unwrap();
    inner.append(b"behind").unwrap();
    inner.sync().unwrap();
    let copy = hostread_disk::read_all(&disk, Path::new("inner")).unwrap();

    let mut writer = FrameWriter::create(&disk, path()).unwrap();
    writer.append(&copy).unwrap();
    writer.sync().unwrap();
    disk.damage(path(), 3);
    assert_eq!(read(&disk, path(), Tail::MayBeTorn).unwrap().len(), 0);
}

#[test]
fn a_record_over_the_limit_is_refused_and_the_rest_stays() {
    let disk = SimDisk::new(1);
    let mut writer = FrameWriter::create(&disk, path()).unwrap();
    writer.append(b"before").unwrap();
    let large = vec![0; FRAME_BYTES_MAX as usize + 1];
    assert!(matches!(
        writer.append(&large),
        Err(DiskError::TooLarge { .. })
    ));
    writer.append(b"after").unwrap();
    writer.sync().unwrap();
    assert_eq!(
        read(&disk, path(), Tail::Whole).unwrap(),
        [b"before".to_vec(), b"after".to_vec()]
    );
}

#[test]
fn a_full_disk_takes_back_the_group_and_the_writer_goes_on() {
    let disk = SimDisk::new(1);
    let mut writer = FrameWriter::create(&disk, path()).unwrap();
    writer.append(b"kept").unwrap();
    let synced = writer.sync().unwrap();
    disk.set_free_bytes(Some(10));
    writer.append(b"lost").unwrap();
    let error = writer.sync().unwrap_err();
    assert!(error.is_no_space(), "{error:?}");
    assert_eq!((writer.len(), writer.synced_len()), (synced, synced));
    disk.set_free_bytes(None);
    writer.append(b"next").unwrap();
    writer.sync().unwrap();
    assert_eq!(
        read(&disk, path(), Tail::Whole).unwrap(),
        [b"kept".to_vec(), b"next".to_vec()]
    );
}

#[test]
fn who_opens_a_file_after_a_failed_sync_does_not_write_behind_a_hole() {
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        let mut writer = FrameWriter::create(&disk, path()).unwrap();
        writer.append(&payload(1, 700)).unwrap();
        writer.sync().unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        writer.append(&payload(2, 700)).unwrap();
        disk.fail_next_sync();
        writer.sync().unwrap_err();
        drop(writer);
        // The process ends, the machine goes on.
        let (mut writer, _) = FrameWriter::open(&disk, path()).unwrap();
        writer.append(&payload(3, 700)).unwrap();
        writer.sync().unwrap();
        disk.crash();
        let found = read(&disk, path(), Tail::MayBeTorn).unwrap();
        assert_eq!(found, [payload(1, 700), payload(3, 700)], "seed {seed}");
    }
}

#[test]
fn after_a_failed_sync_the_writer_takes_nothing_more() {
    let disk = SimDisk::new(1);
    let mut writer = FrameWriter::create(&disk, path()).unwrap();
    disk.sync_dir(Path::new("")).unwrap();
    writer.append(b"kept").unwrap();
    let synced = writer.sync().unwrap();
    writer.append(b"unknown").unwrap();
    disk.fail_next_sync();
    writer.sync().unwrap_err();
    assert!(matches!(
        writer.append(b"next"),
        Err(DiskError::Stopped { .. })
    ));
    assert!(matches!(writer.sync(), Err(DiskError::Stopped { .. })));
    assert!(matches!(writer.roll_back(), Err(DiskError::Stopped { .. })));
    assert_eq!(writer.synced_len(), synced);
    disk.crash();
    assert_eq!(
        read(&disk, path(), Tail::Whole).unwrap(),
        [b"kept".to_vec()]
    );
}

#[test]
fn what_opening_showed_stays() {
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        let mut writer = FrameWriter::create(&disk, path()).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        // Large enough to be handed to the file at once; then the process is killed before its sync.
        writer.append(&payload(0, 2_000_000)).unwrap();
        drop(writer);
        let (writer, found) = FrameWriter::open(&disk, path()).unwrap();
        assert_eq!((found.frames, writer.synced_len()), (1, 2_000_016));
        disk.crash();
        let there = read(&disk, path(), Tail::Whole).unwrap();
        assert_eq!(there.len(), 1, "seed {seed}");
    }
}

/// Writes groups until power goes off at a random step, crashes, reads. Panics when something synced is not there.
fn crash_once(seed: u64, sizes: &[(u16, bool)], power_off_at: u64, honest: bool) {
    let disk = SimDisk::new(seed);
    disk.ignore_sync(!honest);
    disk.power_off_at(power_off_at);
    let (mut sent, mut synced) = (0, 0);
    let _stopped = (|| {
        let mut writer = FrameWriter::create(&disk, path())?;
        disk.sync_dir(Path::new(""))?;
        for (len, sync) in sizes {
            writer.append(&payload(sent, usize::from(*len)))?;
            sent += 1;
            if *sync {
                writer.sync()?;
                synced = sent;
            }
        }
        Ok::<_, DiskError>(())
    })();
    for _ in 0..2 {
        disk.crash();
        if !disk.exists(path()).unwrap() {
            assert_eq!(synced, 0, "the name of a synced file is gone");
            return;
        }
        let mut found = 0;
        let (mut writer, _) = FrameWriter::open_with(&disk, path(), |_, there| {
            let len = usize::from(sizes[found as usize].0);
            assert_eq!(there, payload(found, len), "record {found}");
            found += 1;
            Ok::<_, DiskError>(())
        })
        .unwrap();
        assert!(found >= synced, "{synced} records synced, {found} found");
        assert!(found <= sent);
        writer.append(b"unsynced at the second crash").unwrap();
        synced = found;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_crash_at_any_step_keeps_what_was_synced(
        seed: u64,
        sizes in prop::collection::vec((0_u16..3000, any::<bool>()), 1..30),
        step in 1_u64..80,
    ) {
        crash_once(seed, &sizes, step, true);
    }
}

#[test]
fn without_fsync_the_crash_test_fails() {
    let sizes: Vec<(u16, bool)> = (0..30).map(|i| (i * 50, true)).collect();
    let caught = (0..20)
        .any(|seed| std::panic::catch_unwind(|| crash_once(seed, &sizes, 50, false)).is_err());
    assert!(
        caught,
        "20 crashes without any fsync and nothing was missed"
    );
}
