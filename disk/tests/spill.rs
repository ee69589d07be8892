//! The spill: durable when `append` returns, in order, bounded, and honest about what it cut.
#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::path::Path;
use std::sync::Arc;

use hostread_disk::{Appended, Disk, RealDisk, SimDisk, Spill, SpillLimits};

const SMALL: SpillLimits = SpillLimits {
    bytes_max: 4000,
    segment_bytes: 500,
};

fn record(number: u32) -> Vec<u8> {
    format!("record {number:05} {}", "x".repeat(number as usize % 40)).into_bytes()
}

fn drain(spill: &Spill, at_once: usize) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let some = spill.peek(at_once, 1 << 20).unwrap();
        if some.is_empty() {
            return all;
        }
        spill.release(some.len()).unwrap();
        all.extend(some);
    }
}

#[test]
fn records_come_out_in_order_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let spill = Spill::open(Arc::clone(&disk), dir.path(), SMALL).unwrap();
    let records: Vec<_> = (0..60).map(record).collect();
    for some in records.chunks(7) {
        assert_eq!(spill.append(some).unwrap().cut, 0);
    }
    assert_eq!(spill.stats().records, 60);
    let first = spill.peek(10, 1 << 20).unwrap();
    assert_eq!(
        first,
        spill.peek(10, 1 << 20).unwrap(),
        "peek takes nothing out"
    );
    assert_eq!(first, records[..10]);
    spill.release(10).unwrap();
    assert_eq!(spill.stats().records, 50);
    drop(spill);
    let spill = Spill::open(disk, dir.path(), SMALL).unwrap();
    let rest = drain(&spill, 9);
    let repeated = rest.len() - 50;
    assert!(
        repeated < 500 / 28,
        "at most one segment comes again, not {repeated} records"
    );
    assert_eq!(rest, records[10 - repeated..]);
    assert_eq!((spill.stats().records, spill.stats().bytes), (0, 0));
    assert!(
        std::fs::read_dir(dir.path()).unwrap().next().is_none(),
        "space is given back"
    );
    spill.append(&[b"again"]).unwrap();
    assert_eq!(drain(&spill, 9), [b"again"]);
}

#[test]
fn the_bound_cuts_the_newest_and_counts_them() {
    let disk = Arc::new(SimDisk::new(1));
    let spill = Spill::open(disk, Path::new("spill"), SMALL).unwrap();
    let records: Vec<_> = (0..500).map(record).collect();
    let Appended { kept, cut } = spill.append(&records).unwrap();
    assert!(kept > 60 && cut > 0, "{kept} kept, {cut} cut");
    assert_eq!(kept + cut, 500);
    assert!(spill.stats().bytes <= SMALL.bytes_max);
    assert_eq!(spill.stats().cut_total, cut);
    let out = drain(&spill, 50);
    assert_eq!(out.len() as u64, kept);
    assert_eq!(out[..60], records[..60], "the oldest are kept");
    assert_eq!(
        spill.append(&records[..1]).unwrap(),
        Appended { kept: 1, cut: 0 }
    );
}

#[test]
fn a_full_disk_is_an_error_and_the_spill_goes_on() {
    let disk = Arc::new(SimDisk::new(1));
    let spill = Spill::open(
        Arc::clone(&disk) as Arc<dyn Disk>,
        Path::new("spill"),
        SMALL,
    )
    .unwrap();
    spill.append(&[b"one"]).unwrap();
    disk.set_free_bytes(Some(5));
    assert!(spill.append(&[b"two"]).unwrap_err().is_no_space());
    disk.set_free_bytes(None);
    spill.append(&[b"three"]).unwrap();
    assert_eq!(drain(&spill, 9), [b"one".to_vec(), b"three".to_vec()]);
}

/// Appends until power goes off; returns whether all that was promised is there afterwards, in order.
fn promises_kept(seed: u64, step: u64, honest: bool) -> bool {
    let disk = Arc::new(SimDisk::new(seed));
    disk.ignore_sync(!honest);
    disk.ignore_sync_dir(!honest);
    disk.power_off_at(step);
    let (mut sent, mut promised) = (0, 0);
    if let Ok(spill) = Spill::open(
        Arc::clone(&disk) as Arc<dyn Disk>,
        Path::new("spill"),
        SMALL,
    ) {
        while sent < 60 {
            let some: Vec<_> = (sent..sent + 3).map(record).collect();
            sent += 3;
            if spill.append(&some).is_err() {
                break;
            }
            promised = sent;
        }
    }
    disk.crash();
    let spill = Spill::open(disk, Path::new("spill"), SMALL).unwrap();
    let out = drain(&spill, 7);
    let sent: Vec<_> = (0..sent).map(record).collect();
    out.len() >= promised as usize && sent.starts_with(&out)
}

#[test]
fn a_crash_at_any_step_keeps_what_was_promised() {
    for seed in 0..20 {
        for step in 1..70 {
            assert!(promises_kept(seed, step, true), "seed {seed} step {step}");
        }
    }
}

#[test]
fn without_fsync_the_crash_test_fails() {
    assert!((0..20).any(|seed| !promises_kept(seed, 40, false)));
}
