//! Rows of every view go in and come out again, on a simulated disk.
#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::path::Path;
use std::sync::Arc;

use hostread_disk::{Disk, SimDisk, read_all};
use hostread_schemas::Tick;
use hostread_schemas::view::{Change, View, ViewKey, ViewValue};
use hostread_sink_archive::ParquetArchive;
use hostread_sink_kit::Archive;
use hostread_sink_kit::conformance::samples::{key, names, value};

const DIR: &str = "/archive";

fn archive(disk: &SimDisk) -> ParquetArchive {
    ParquetArchive::new(Arc::new(disk.clone()), Path::new(DIR))
}

fn left(
    view: View,
    numbers: std::ops::Range<u64>,
    old: impl Fn(u64) -> Option<ViewValue>,
) -> Vec<Change> {
    let change = |n| Change {
        tick: Tick(9),
        key: key(view, n),
        old: old(n),
        new: None,
    };
    let mut changes: Vec<Change> = numbers.map(change).collect();
    changes.sort_by_key(|change| change.key);
    changes
}

fn rows(changes: &[Change]) -> Vec<(ViewKey, Option<ViewValue>)> {
    changes.iter().map(|c| (c.key, c.old.clone())).collect()
}

#[test]
fn rows_of_every_view_come_back_after_a_crash() {
    let disk = SimDisk::new(3);
    let mut changes = Vec::new();
    for view in View::ALL {
        let some = |n| (n % 5 != 0).then(|| value(*view, n));
        changes.extend(left(*view, 1..40, some));
    }
    archive(&disk).keep(Tick(9), &changes, &names()).unwrap();
    disk.crash();
    for view in View::ALL {
        let ought: Vec<Change> = changes
            .iter()
            .filter(|c| c.key.view() == *view)
            .cloned()
            .collect();
        assert_eq!(archive(&disk).ticks(*view).unwrap(), [Tick(9)]);
        assert_eq!(archive(&disk).rows(*view, Tick(9)).unwrap(), rows(&ought));
    }
}

#[test]
fn a_tick_that_comes_again_changes_nothing() {
    let disk = SimDisk::new(3);
    let changes = left(View::Downloads, 1..100, |n| Some(value(View::Downloads, n)));
    let file = Path::new(DIR).join("downloads/00000000000000000009.parquet");
    let read = || read_all(&disk, &file).unwrap();
    archive(&disk).keep(Tick(9), &changes, &names()).unwrap();
    let once = read();
    archive(&disk).keep(Tick(9), &changes, &names()).unwrap();
    assert_eq!(once, read());
}

#[test]
fn more_rows_than_a_group_holds() {
    let disk = SimDisk::new(3);
    let many = hostread_sink_kit::CHUNK_ROWS_MAX as u64 + 7;
    let changes = left(View::DownloadsDaily, 1..many, |n| {
        Some(value(View::DownloadsDaily, n))
    });
    archive(&disk).keep(Tick(2), &changes, &names()).unwrap();
    let back = archive(&disk).rows(View::DownloadsDaily, Tick(2)).unwrap();
    assert_eq!(back.len(), changes.len());
    assert!(back == rows(&changes));
}

#[test]
fn a_sealed_day_is_what_was_published_and_a_conversion_what_it_became() {
    let disk = SimDisk::new(3);
    let (first, last) = (1, 2);
    for view in [View::AttributionDaily, View::Conversions] {
        let keep = |tick: u64, n: u64| {
            let mut change = left(view, 1..2, |_| Some(value(view, n))).remove(0);
            change.tick = Tick(tick);
            archive(&disk)
                .keep(Tick(tick), &[change], &names())
                .unwrap();
        };
        keep(5, first);
        keep(12, last);
        let known = archive(&disk).known(Tick(12)).unwrap();
        let ought = if view == View::Conversions {
            last
        } else {
            first
        };
        assert_eq!(known.get(&key(view, 1)), Some(&Some(value(view, ought))));
        let before = archive(&disk).known(Tick(11)).unwrap();
        assert_eq!(before.get(&key(view, 1)), Some(&Some(value(view, first))));
    }
}

#[test]
fn damage_is_said() {
    let disk = SimDisk::new(3);
    let changes = left(View::Credits, 1..9, |n| Some(value(View::Credits, n)));
    archive(&disk).keep(Tick(1), &changes, &names()).unwrap();
    let path = Path::new(DIR).join("credits/00000000000000000001.parquet");
    let file = disk.open(&path).unwrap();
    file.truncate(file.len().unwrap() / 2).unwrap();
    archive(&disk).rows(View::Credits, Tick(1)).unwrap_err();
    assert!(archive(&disk).rows(View::Credits, Tick(2)).is_err());
}
