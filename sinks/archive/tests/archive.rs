//! Rows of every view go in and come out again, on a simulated disk.
#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use hostread_disk::{Disk, SimDisk, read_all};
use hostread_schemas::view::{Change, View, ViewKey, ViewValue};
use hostread_schemas::{Names, Tick};
use hostread_sink_archive::ArchiveSink;
use hostread_sink_kit::conformance::samples::{key, names, value};
use hostread_sink_kit::conformance::{self, Target, range};
use hostread_sink_kit::{CHUNK_ROWS_MAX, Known, Progress, RangeBatch, Sink};

const DIR: &str = "/journal/archive";

fn archive(disk: &SimDisk) -> ArchiveSink {
    ArchiveSink::new(Arc::new(disk.clone()), Path::new(DIR))
}

/// What a tick took away.
fn left(
    view: View,
    numbers: std::ops::Range<u64>,
    old: impl Fn(u64) -> Option<ViewValue>,
) -> Vec<Change> {
    let change = |n| Change {
        tick: Tick(0),
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

/// Everything up to a tick, which left this.
fn through(tick: u64, changes: Vec<Change>) -> RangeBatch {
    RangeBatch {
        withheld: vec![(Tick(tick), Arc::new(changes))],
        ..range(0, tick + 1, &[])
    }
}

async fn keep(disk: &SimDisk, tick: u64, changes: Vec<Change>) {
    let mut archive = archive(disk);
    archive.open(1).await.unwrap();
    archive
        .apply(&through(tick, changes), &names())
        .await
        .unwrap();
}

#[tokio::test]
async fn rows_of_every_view_come_back_after_a_crash() {
    let disk = SimDisk::new(3);
    let mut changes = Vec::new();
    for view in View::ALL {
        let some = |n| (n % 5 != 0).then(|| value(*view, n));
        changes.extend(left(*view, 1..40, some));
    }
    keep(&disk, 9, changes.clone()).await;
    disk.crash();
    for view in View::ALL {
        let of_view = changes.iter().filter(|c| c.key.view() == *view);
        let ought: Vec<Change> = of_view.cloned().collect();
        assert_eq!(archive(&disk).ticks(*view).unwrap(), [Tick(9)]);
        assert_eq!(archive(&disk).rows(*view, Tick(9)).unwrap(), rows(&ought));
    }
}

#[tokio::test]
async fn a_tick_that_comes_again_changes_nothing() {
    let disk = SimDisk::new(3);
    let changes = left(View::Downloads, 1..100, |n| Some(value(View::Downloads, n)));
    let file = Path::new(DIR).join("downloads/00000000000000000009.parquet");
    let read = || read_all(&disk, &file).unwrap();
    keep(&disk, 9, changes.clone()).await;
    let once = read();
    // The rows were there when the machine went down, the progress was not.
    disk.remove(&Path::new(DIR).join("ledger/progress"))
        .unwrap();
    keep(&disk, 9, changes).await;
    assert_eq!(once, read());
}

#[tokio::test]
async fn more_rows_than_a_group_holds() {
    let disk = SimDisk::new(3);
    let many = CHUNK_ROWS_MAX as u64 + 7;
    let changes = left(View::DownloadsDaily, 1..many, |n| {
        Some(value(View::DownloadsDaily, n))
    });
    keep(&disk, 2, changes.clone()).await;
    let back = archive(&disk).rows(View::DownloadsDaily, Tick(2)).unwrap();
    assert_eq!(back.len(), changes.len());
    assert!(back == rows(&changes));
}

#[tokio::test]
async fn a_sealed_day_is_what_was_published_and_a_conversion_what_it_became() {
    for view in [View::AttributionDaily, View::Conversions] {
        let disk = SimDisk::new(3);
        let (first, last) = (1, 2);
        for (tick, n) in [(5, first), (12, last)] {
            keep(&disk, tick, left(view, 1..2, |_| Some(value(view, n)))).await;
        }
        let known = async |tick| -> Option<ViewValue> {
            let known: Known = archive(&disk).known(Tick(tick)).await.unwrap();
            known.get(&key(view, 1)).cloned().flatten()
        };
        let ought = if view == View::Conversions {
            last
        } else {
            first
        };
        assert_eq!(known(12).await, Some(value(view, ought)));
        assert_eq!(known(11).await, Some(value(view, first)));
        assert_eq!(known(4).await, None);
    }
}

#[tokio::test]
async fn damage_is_said() {
    let disk = SimDisk::new(3);
    let changes = left(View::Credits, 1..9, |n| Some(value(View::Credits, n)));
    keep(&disk, 1, changes).await;
    let path = Path::new(DIR).join("credits/00000000000000000001.parquet");
    let file = disk.open(&path).unwrap();
    file.truncate(file.len().unwrap() / 2).unwrap();
    archive(&disk).rows(View::Credits, Tick(1)).unwrap_err();
    archive(&disk).rows(View::Credits, Tick(2)).unwrap_err();
    disk.damage(&Path::new(DIR).join("ledger/progress"), 2);
    let error = archive(&disk).open(1).await.unwrap_err();
    assert!(error.to_string().contains("progress"), "{error}");
}

#[tokio::test]
async fn whatever_progress_vouches_for_is_read_at_start() {
    let disk = SimDisk::new(3);
    let of = |view| left(view, 1..9, move |n| Some(value(view, n)));
    keep(&disk, 1, of(View::Credits)).await;
    let file = Path::new(DIR).join("credits/00000000000000000001.parquet");
    let whole = read_all(&disk, &file).unwrap();
    let said = async || {
        let error = archive(&disk).open(1).await.unwrap_err();
        let cause = std::error::Error::source(&error);
        format!(
            "{error}: {}",
            cause.map_or(String::new(), ToString::to_string)
        )
    };
    for (cut, why) in [(0, "ends here"), (whole.len() / 2, "ends here")] {
        hostread_disk::replace_file(&disk, &file, &whole[..cut]).unwrap();
        let said = said().await;
        assert!(said.contains("credits/0") && said.contains(why), "{said}");
    }
    for at in (0..whole.len()).step_by(7) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        hostread_disk::replace_file(&disk, &file, &flipped).unwrap();
        assert!(said().await.contains("credits/0"), "byte {at}");
    }
    disk.remove(&file).unwrap();
    assert!(said().await.contains("is missing"));
    hostread_disk::replace_file(&disk, &file, &whole).unwrap();
    let other = file.with_file_name("00000000000000000000.parquet");
    hostread_disk::replace_file(&disk, &other, &whole).unwrap();
    assert!(said().await.contains("does not list it"));
    disk.remove(&other).unwrap();
    archive(&disk).open(1).await.unwrap();
    for list in ["ledger/files", "ledger/rows"] {
        let path = Path::new(DIR).join(list);
        let bytes = read_all(&disk, &path).unwrap();
        if bytes.is_empty() {
            continue;
        }
        hostread_disk::replace_file(&disk, &path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(said().await.contains(list), "{list}");
        hostread_disk::replace_file(&disk, &path, &bytes).unwrap();
    }
}

#[tokio::test]
async fn a_copy_is_what_progress_vouches_for() {
    let disk = SimDisk::new(3);
    let of = |view| left(view, 1..9, move |n| Some(value(view, n)));
    let progress = Path::new(DIR).join("ledger/progress");
    keep(&disk, 1, of(View::Credits)).await;
    let then = read_all(&disk, &progress).unwrap();
    keep(&disk, 5, of(View::Downloads)).await;
    hostread_disk::replace_file(&disk, &progress, &then).unwrap();
    let other: Arc<dyn Disk> = Arc::new(SimDisk::new(4));
    let dir = Path::new("/copy");
    assert!(archive(&disk).copy(&other, dir).unwrap());
    let copied = ArchiveSink::new(Arc::clone(&other), dir);
    assert_eq!(copied.check().unwrap().unwrap().upper, Tick(2));
    assert_eq!(copied.ticks(View::Credits).unwrap(), [Tick(1)]);
    assert_eq!(copied.ticks(View::Downloads).unwrap(), []);
    let empty = SimDisk::new(5);
    assert!(!archive(&empty).copy(&other, Path::new("/none")).unwrap());
}

struct OnDisk(SimDisk);

#[async_trait]
impl Target for OnDisk {
    type Sink = ArchiveSink;

    async fn connect(&self) -> ArchiveSink {
        archive(&self.0)
    }

    /// As a copy of the file from before would.
    async fn lose_progress(&self, to: Progress) {
        let other = OnDisk(SimDisk::new(1));
        let mut sink = other.connect().await;
        sink.open(to.journal_id).await.unwrap();
        sink.apply(&range(0, to.upper.0, &[]), &Names::default())
            .await
            .unwrap();
        let path = Path::new(DIR).join("ledger/progress");
        let bytes = read_all(&other.0, &path).unwrap();
        hostread_disk::replace_file(&self.0, &path, &bytes).unwrap();
    }

    fn shows_names(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn the_ledgers_conform() {
    conformance::run(&OnDisk(SimDisk::new(5))).await;
}

#[tokio::test]
async fn a_crash_takes_nothing_below_the_progress() {
    let steps: Vec<_> = (0..10)
        .map(|tick| (tick, View::Restatements, tick + 1, Some(tick + 1)))
        .collect();
    for seed in 0..60 {
        let disk = SimDisk::new(seed);
        let mut sink = archive(&disk);
        sink.open(1).await.unwrap();
        disk.power_off_at(disk.steps() + 2 + seed);
        for tick in 0..10 {
            let gone = left(View::Downloads, tick + 1..tick + 2, |n| {
                Some(value(View::Downloads, n))
            });
            let batch = RangeBatch {
                withheld: vec![(Tick(tick), Arc::new(gone))],
                ..range(tick, tick + 1, &steps)
            };
            if sink.apply(&batch, &Names::default()).await.is_err() {
                break;
            }
        }
        disk.crash();
        let upper = archive(&disk).open(1).await.unwrap().upper;
        let known = archive(&disk).known(Tick(100)).await.unwrap();
        for tick in 0..upper.0 {
            for view in [View::Restatements, View::Downloads] {
                let row = known.get(&key(view, tick + 1));
                assert_eq!(row, Some(&Some(value(view, tick + 1))), "seed {seed}");
            }
        }
    }
}
