//! The embedded log: the conformance suite on both disks, crashes at every step, and what a failing disk does to it.
#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hostread_disk::{Disk, DiskError, RealDisk, SimDisk};

use super::{DAY_MS, EmbeddedLog, EmbeddedSettings};
use crate::conformance::{Subject, all_at, read_count, run_conformance, sample};
use crate::{ErrorKind, EventLog, LogError, LogReader, Offsets, ReadRecord, Record, TopicSpec};

const TOPIC: &str = "test.touch.v1";

struct Folder {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    settings: EmbeddedSettings,
    now_ms: Arc<AtomicI64>,
}

impl Folder {
    fn new(disk: Arc<dyn Disk>, dir: &Path, segment_bytes: u64, compress: bool) -> Self {
        let now_ms = Arc::new(AtomicI64::new(0));
        let clock = Arc::clone(&now_ms);
        let clock = Arc::new(move || clock.load(Ordering::Relaxed));
        let settings = EmbeddedSettings {
            segment_bytes,
            compress,
            now_ms: clock,
            ..EmbeddedSettings::default()
        };
        Self {
            disk,
            dir: dir.to_path_buf(),
            settings,
            now_ms,
        }
    }

    fn try_open(&self, topics: &[TopicSpec]) -> Result<EmbeddedLog, LogError> {
        EmbeddedLog::open(
            Arc::clone(&self.disk),
            &self.dir,
            topics,
            self.settings.clone(),
        )
    }

    fn expire_all(&self, topics: &[TopicSpec]) {
        // The first run closes the segment, the second removes it.
        for _ in 0..2 {
            self.now_ms.fetch_add(15 * DAY_MS, Ordering::Relaxed);
            drop(self.try_open(topics).unwrap());
        }
    }
}

#[async_trait]
impl Subject for Folder {
    async fn open(&self, topics: &[TopicSpec]) -> Arc<dyn EventLog> {
        Arc::new(self.try_open(topics).unwrap())
    }

    async fn open_error(&self, topics: &[TopicSpec]) -> LogError {
        self.try_open(topics).err().unwrap()
    }

    async fn expire(&self, topics: &[TopicSpec]) {
        self.expire_all(topics);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_on_a_real_disk() {
    let dir = tempfile::tempdir().unwrap();
    run_conformance(
        &Folder::new(Arc::new(RealDisk), &dir.path().join("log"), 64 << 20, true),
        "real",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_on_a_simulated_disk_with_small_segments() {
    let disk = Arc::new(SimDisk::new(1));
    run_conformance(&Folder::new(disk, Path::new("log"), 4 << 10, false), "sim").await;
}

fn topics() -> Vec<TopicSpec> {
    vec![TopicSpec::new(TOPIC, 2), TopicSpec::new("test.order.v1", 1)]
}

fn batch(number: u64) -> Vec<Record> {
    let mut records: Vec<_> = (0..4)
        .map(|i| sample(TOPIC, (i % 2) as u32, number * 10 + i))
        .collect();
    records.push(sample("test.order.v1", 0, number * 10 + 4));
    records
}

fn numbers(records: &[ReadRecord]) -> Vec<i64> {
    records
        .iter()
        .map(|record| record.timestamp_ms - 1_700_000_000_000)
        .collect()
}

fn read_now(reader: &mut dyn LogReader) -> Result<Vec<ReadRecord>, LogError> {
    let mut all = Vec::new();
    loop {
        let some = reader.poll(1000, Duration::ZERO)?;
        if some.is_empty() {
            return Ok(all);
        }
        all.extend(some);
    }
}

fn read_all(log: &dyn EventLog) -> Vec<i64> {
    numbers(&read_now(log.reader(&all_at(&topics(), 0)).unwrap().as_mut()).unwrap())
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(work)
}

/// Two lives of a log, each ended by power going off. Says what was lost, if anything.
fn crash_twice(seed: u64, steps: u64, honest: bool) -> Result<(), String> {
    let disk = SimDisk::new(seed);
    let folder = Folder::new(
        Arc::new(disk.clone()),
        Path::new("log"),
        700,
        seed.is_multiple_of(2),
    );
    let (mut sent, mut kept) = (0_u64, Vec::new());
    for life in 0..2 {
        disk.ignore_sync(!honest);
        disk.power_off_at(disk.steps() + steps);
        if let Ok(log) = folder.try_open(&topics()) {
            let mut reader = log.reader(&all_at(&topics(), 0)).ok();
            let mut seen = Vec::new();
            while block_on(log.append(batch(sent))).is_ok() {
                kept.extend(
                    batch(sent)
                        .iter()
                        .map(|record| record.timestamp_ms - 1_700_000_000_000),
                );
                sent += 1;
                if let Some(Ok(records)) = reader.as_mut().map(|reader| read_now(reader.as_mut())) {
                    seen.extend(numbers(&records));
                }
            }
            sent += 1;
            kept.extend(seen);
        }
        disk.ignore_sync(false);
        disk.crash();
        let log = folder
            .try_open(&topics())
            .map_err(|error| format!("life {life}: does not open: {error:?}"))?;
        let found = read_all(&log);
        kept.sort_unstable();
        kept.dedup();
        if let Some(lost) = kept.iter().find(|number| !found.contains(number)) {
            return Err(format!(
                "life {life}: record {lost} was acknowledged or read, and is lost"
            ));
        }
        let mut sorted = found.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() != found.len()
            || sorted.last().is_some_and(|last| *last >= sent as i64 * 10)
        {
            return Err(format!("life {life}: records doubled or made up"));
        }
        kept = found;
    }
    Ok(())
}

#[test]
fn a_crash_at_any_step_loses_nothing_acknowledged_or_read() {
    for steps in 1..60 {
        for seed in 0..8 {
            let seed = steps * 100 + seed;
            crash_twice(seed, steps, true)
                .unwrap_or_else(|lost| panic!("seed {seed}, step {steps}: {lost}"));
        }
    }
}

#[test]
fn without_fsync_the_crash_test_fails() {
    let lost = (0..20)
        .filter(|seed| crash_twice(*seed, 40, false).is_err())
        .count();
    assert!(
        lost > 0,
        "20 crashes without any fsync and nothing was missed"
    );
}

#[test]
fn a_full_disk_is_a_dependency_error_and_the_log_goes_on() {
    let disk = SimDisk::new(1);
    let folder = Folder::new(Arc::new(disk.clone()), Path::new("log"), 1 << 20, false);
    let log = folder.try_open(&topics()).unwrap();
    block_on(log.append(batch(0))).unwrap();
    disk.set_free_bytes(Some(100));
    for _ in 0..3 {
        let error = block_on(log.append(batch(1))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Dependency, "{error:?}");
    }
    disk.set_free_bytes(None);
    block_on(log.append(batch(2))).unwrap();
    assert_eq!(read_all(&log), [0, 2, 1, 3, 4, 20, 22, 21, 23, 24]);
    disk.crash();
    drop(log);
    assert_eq!(read_all(&folder.try_open(&topics()).unwrap()).len(), 10);
}

#[test]
fn after_a_failed_sync_the_log_goes_on_in_a_new_segment() {
    let disk = SimDisk::new(1);
    let folder = Folder::new(Arc::new(disk.clone()), Path::new("log"), 1 << 20, false);
    let log = folder.try_open(&topics()).unwrap();
    let mut reader = log.reader(&all_at(&topics(), 0)).unwrap();
    block_on(log.append(batch(0))).unwrap();
    disk.fail_next_sync();
    assert_eq!(
        block_on(log.append(batch(1))).unwrap_err().kind(),
        ErrorKind::Dependency
    );
    let seen = numbers(&read_now(reader.as_mut()).unwrap());
    assert_eq!(seen, [0, 2, 1, 3, 4], "what was not synced is not read");
    block_on(log.append(batch(2))).unwrap();
    let wanted = [0, 2, 1, 3, 4, 20, 22, 21, 23, 24];
    assert_eq!(numbers(&read_now(reader.as_mut()).unwrap()), wanted[5..]);
    assert_eq!(read_all(&log), wanted);
    drop(log);
    // A new process first sees what the kernel still holds, later only what the disk does.
    assert_eq!(read_all(&folder.try_open(&topics()).unwrap()), wanted);
    disk.crash();
    assert_eq!(read_all(&folder.try_open(&topics()).unwrap()), wanted);
    assert_eq!(
        disk.list(Path::new("log")).unwrap(),
        ["000000000000.log", "000000000001.log"]
    );
}

#[test]
fn damage_is_an_error_that_names_the_segment() {
    let disk = SimDisk::new(1);
    let folder = Folder::new(Arc::new(disk.clone()), Path::new("log"), 700, false);
    let log = folder.try_open(&topics()).unwrap();
    for number in 0..10 {
        block_on(log.append(batch(number))).unwrap();
    }
    drop(log);
    assert!(disk.damage(Path::new("log/000000000001.log"), 400));
    let log = folder.try_open(&topics()).unwrap();
    let mut reader = log.reader(&all_at(&topics(), 0)).unwrap();
    match read_now(reader.as_mut()) {
        Err(LogError::Disk(DiskError::Damaged { path, .. })) => {
            assert!(path.ends_with("000000000001.log"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reader_that_retention_overtakes_gets_an_error() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let mut folder = Folder::new(Arc::clone(&disk), Path::new("log"), 700, false);
    folder.settings.housekeeping_every = Duration::from_millis(2);
    let log = folder.try_open(&topics()).unwrap();
    let follower = EmbeddedLog::open_reader(disk, Path::new("log")).unwrap();
    let at_start = all_at(&topics(), 0);
    let mut behind = [
        log.reader(&at_start).unwrap(),
        follower.reader(&at_start).unwrap(),
    ];
    for number in 0..10 {
        block_on(log.append(batch(number))).unwrap();
    }
    for reader in &mut behind {
        assert_eq!(reader.poll(1, Duration::from_secs(5)).unwrap().len(), 1);
    }
    // The first jump closes the last segment, the second removes all but the one that then is the last.
    for _ in 0..2 {
        folder.now_ms.fetch_add(15 * DAY_MS, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(200));
    }
    block_on(log.append(batch(10))).unwrap();
    assert!(
        block_on(log.start_offsets())
            .unwrap()
            .values()
            .all(|start| *start >= 10)
    );
    for reader in &mut behind {
        match read_now(reader.as_mut()).and_then(|_| read_now(reader.as_mut())) {
            Err(error) => assert!(error.is_truncated(), "{error:?}"),
            Ok(records) => panic!("a gap went unnoticed: {:?}", numbers(&records)),
        }
    }
    assert!(
        log.reader(&all_at(&topics(), 1))
            .err()
            .unwrap()
            .is_truncated()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_in_another_process_follows() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::new(Arc::new(RealDisk), dir.path(), 2000, true);
    let log = folder.try_open(&topics()).unwrap();
    log.append(batch(0)).await.unwrap();
    let other = EmbeddedLog::open_reader(Arc::new(RealDisk), dir.path()).unwrap();
    assert_eq!(other.topics(), topics());
    assert!(matches!(
        other.append(batch(1)).await,
        Err(LogError::Closed)
    ));
    let reader = other.reader(&all_at(&topics(), 0)).unwrap();
    let (_, reader) = read_count(reader, 5).await;
    let read = tokio::spawn(read_count(reader, 200));
    for number in 1..41 {
        log.append(batch(number)).await.unwrap();
    }
    let (records, _) = read.await.unwrap();
    assert_eq!(numbers(&records).last(), Some(&404));
    assert_eq!(
        other.end_offsets().await.unwrap(),
        log.end_offsets().await.unwrap()
    );
    assert!(
        std::fs::read_dir(dir.path()).unwrap().count() > 3,
        "it went through several segments"
    );
    // A later release adds a topic; the reader goes on with those it knows.
    let from = other.end_offsets().await.unwrap();
    let reader = other.reader(&from).unwrap();
    let mut topics = topics();
    topics.push(TopicSpec::new("test.late.v1", 1));
    drop(log);
    let log = folder.try_open(&topics).unwrap();
    let batch = vec![sample("test.late.v1", 0, 7), sample(TOPIC, 0, 5000)];
    log.append(batch).await.unwrap();
    let (records, _) = read_count(reader, 1).await;
    assert_eq!(numbers(&records), [5000]);
}

#[test]
fn one_writer_at_a_time() {
    let folder = Folder::new(Arc::new(SimDisk::new(1)), Path::new("log"), 700, false);
    let log = folder.try_open(&topics()).unwrap();
    assert!(matches!(
        folder.try_open(&topics()),
        Err(LogError::Disk(DiskError::Locked { .. }))
    ));
    drop(log);
    folder.try_open(&topics()).unwrap();
}

#[test]
fn topics_that_cannot_be_used_are_refused() {
    let folder = Folder::new(Arc::new(SimDisk::new(1)), Path::new("log"), 700, false);
    for (name, partitions) in [("", 1), ("test.a.v1", 0)] {
        let error = folder
            .try_open(&[TopicSpec::new(name, partitions)])
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::Input);
    }
    assert!(
        folder
            .try_open(&[TopicSpec::new(TOPIC, 1), TopicSpec::new(TOPIC, 1)])
            .is_ok(),
        "named twice is one topic"
    );
}

#[test]
fn offsets_named_by_place() {
    let folder = Folder::new(Arc::new(SimDisk::new(1)), Path::new("log"), 700, false);
    let log = folder.try_open(&topics()).unwrap();
    block_on(log.append(batch(0))).unwrap();
    let wanted: Offsets = [
        (("test.order.v1".into(), 0), 1),
        ((TOPIC.into(), 0), 2),
        ((TOPIC.into(), 1), 2),
    ]
    .into();
    assert_eq!(block_on(log.end_offsets()).unwrap(), wanted);
}
