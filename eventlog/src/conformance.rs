//! What every `EventLog` must do, as one suite. Test support: it panics at the first difference.
//! A back end implements `Subject` and calls `run_conformance`; each case uses topics of its own, so one broker serves all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::{
    ErrorKind, EventLog, LogError, LogReader, Offsets, RECORD_BYTES_MAX, ReadRecord, Record,
    TopicSpec,
};

/// Long enough for a broker on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A back end under test.
#[async_trait]
pub trait Subject: Send + Sync {
    /// Opens the one log of this subject with these topics. Called again after the value before it was dropped.
    async fn open(&self, topics: &[TopicSpec]) -> Arc<dyn EventLog>;
    /// Opens it and expects to fail.
    async fn open_error(&self, topics: &[TopicSpec]) -> LogError;
    /// Makes all records of these topics that are there now expire, as retention would. The log is not open.
    async fn expire(&self, topics: &[TopicSpec]);
}

/// Runs all cases. `run` makes topic names new when the back end outlives the test.
pub async fn run_conformance(subject: &dyn Subject, run: &str) {
    let topics = |case: &str, partitions: &[u32]| -> Vec<TopicSpec> {
        let spec = |(index, count): (usize, &u32)| {
            TopicSpec::new(format!("test.{run}-{case}-{index}.v1"), *count)
        };
        partitions.iter().enumerate().map(spec).collect()
    };
    round_trip(subject, &topics("trip", &[1, 3])).await;
    bad_input(subject, &topics("input", &[1])).await;
    waiting(subject, &topics("wait", &[2])).await;
    concurrent_appends(subject, &topics("many", &[1, 4])).await;
    positions(subject, &topics("places", &[2])).await;
    reopening(subject, &topics("reopen", &[1, 2])).await;
    expiry(subject, &topics("expiry", &[1, 1])).await;
}

/// A record whose content depends on its number only.
pub fn sample(topic: &str, partition: u32, number: u64) -> Record {
    let mut headers = vec![
        ("ce_id".to_owned(), format!("{number:032x}").into_bytes()),
        ("ce_type".to_owned(), topic.as_bytes().to_vec()),
    ];
    if number.is_multiple_of(3) {
        headers.push(("empty".to_owned(), Vec::new()));
        headers.push(("binary".to_owned(), vec![0, 255, 10, 13]));
        headers.push(("binary".to_owned(), vec![1]));
    }
    Record {
        topic: topic.to_owned(),
        partition,
        key: if number.is_multiple_of(5) {
            Vec::new()
        } else {
            number.to_le_bytes().to_vec()
        },
        headers,
        value: (0..number % 97).map(|byte| (byte * number) as u8).collect(),
        timestamp_ms: 1_700_000_000_000 + number as i64,
    }
}

/// All offsets of these topics set to `offset`.
pub fn all_at(topics: &[TopicSpec], offset: u64) -> Offsets {
    let partitions = |spec: &TopicSpec| {
        (0..spec.partitions)
            .map(|partition| (spec.name.clone(), partition))
            .collect()
    };
    topics
        .iter()
        .flat_map(|spec| -> Vec<_> { partitions(spec) })
        .map(|place| (place, offset))
        .collect()
}

/// Reads until `count` records came, or panics when they do not come.
pub async fn read_count(
    reader: Box<dyn LogReader>,
    count: usize,
) -> (Vec<ReadRecord>, Box<dyn LogReader>) {
    blocking(reader, move |reader| {
        let (mut records, deadline) = (Vec::new(), Instant::now() + PATIENCE);
        while records.len() < count {
            assert!(
                Instant::now() < deadline,
                "{} of {count} records came",
                records.len()
            );
            let some = reader.poll(100, Duration::from_millis(200)).expect("reads");
            assert!(
                some.len() <= 100,
                "poll gave {} records, 100 were asked for",
                some.len()
            );
            records.extend(some);
        }
        assert_eq!(records.len(), count, "more records than were appended");
        records
    })
    .await
}

/// Uses a reader on a thread where it may block.
async fn blocking<T: Send + 'static>(
    mut reader: Box<dyn LogReader>,
    work: impl FnOnce(&mut dyn LogReader) -> T + Send + 'static,
) -> (T, Box<dyn LogReader>) {
    let work = move || {
        let result = work(reader.as_mut());
        (result, reader)
    };
    tokio::task::spawn_blocking(work)
        .await
        .expect("the reading thread does not panic")
}

fn own(record: &ReadRecord) -> Record {
    Record {
        topic: record.topic.to_string(),
        partition: record.partition,
        key: record.key.to_vec(),
        headers: record.headers.to_vec(),
        value: record.value.to_vec(),
        timestamp_ms: record.timestamp_ms,
    }
}

/// Checks contiguous offsets from `from` and returns what came, by partition.
fn by_partition(records: &[ReadRecord], from: &Offsets) -> BTreeMap<(String, u32), Vec<Record>> {
    let (mut next, mut found) = (from.clone(), BTreeMap::new());
    for record in records {
        let place = (record.topic.to_string(), record.partition);
        let offset = next
            .get_mut(&place)
            .unwrap_or_else(|| panic!("{place:?} was not asked for"));
        assert_eq!(
            record.offset, *offset,
            "offsets of {place:?} follow each other"
        );
        *offset += 1;
        found
            .entry(place)
            .or_insert_with(Vec::new)
            .push(own(record));
    }
    found
}

fn group(records: &[Record]) -> BTreeMap<(String, u32), Vec<Record>> {
    let mut groups = BTreeMap::new();
    for record in records {
        let place = (record.topic.clone(), record.partition);
        groups
            .entry(place)
            .or_insert_with(Vec::new)
            .push(record.clone());
    }
    groups
}

fn spread(topics: &[TopicSpec], numbers: std::ops::Range<u64>) -> Vec<Record> {
    let place = |number: u64| {
        let spec = &topics[number as usize % topics.len()];
        sample(&spec.name, (number / 7) as u32 % spec.partitions, number)
    };
    numbers.map(place).collect()
}

async fn round_trip(subject: &dyn Subject, topics: &[TopicSpec]) {
    let log = subject.open(topics).await;
    for spec in topics {
        assert_eq!(log.partitions(&spec.name), spec.partitions);
        assert!(log.topics().contains(spec));
    }
    assert_eq!(log.partitions("test.none.v1"), 0);
    assert_ends(log.as_ref(), &all_at(topics, 0)).await;
    log.append(Vec::new())
        .await
        .expect("an empty batch is fine");

    let mut records = spread(topics, 0..500);
    records[3].value = vec![7; 2 << 20];
    for batch in records.chunks(77) {
        log.append(batch.to_vec()).await.expect("appends");
    }
    let wanted = group(&records);
    let ends: Offsets = wanted
        .iter()
        .map(|(place, records)| (place.clone(), records.len() as u64))
        .collect();
    assert_ends(log.as_ref(), &ends).await;

    let from = all_at(topics, 0);
    let (found, _) = read_count(log.reader(&from).expect("opens"), records.len()).await;
    assert!(
        by_partition(&found, &from) == wanted,
        "records come back bit for bit"
    );
    // One partition alone, and nothing else.
    let place = (topics[1].name.clone(), 1);
    let from = Offsets::from([(place.clone(), 0)]);
    let (found, _) = read_count(log.reader(&from).expect("opens"), wanted[&place].len()).await;
    assert!(by_partition(&found, &from)[&place] == wanted[&place]);
}

async fn assert_ends(log: &dyn EventLog, wanted: &Offsets) {
    let ends = log.end_offsets().await.expect("tells its ends");
    for (place, end) in wanted {
        assert_eq!(ends.get(place), Some(end), "end of {place:?}");
    }
}

async fn bad_input(subject: &dyn Subject, topics: &[TopicSpec]) {
    let log = subject.open(topics).await;
    let good = sample(&topics[0].name, 0, 1);
    let bad = [
        Record {
            topic: "test.none.v1".to_owned(),
            ..good.clone()
        },
        Record {
            partition: 1,
            ..good.clone()
        },
        Record {
            value: vec![0; RECORD_BYTES_MAX + 1],
            ..good.clone()
        },
        Record {
            headers: vec![("a\0b".to_owned(), Vec::new())],
            ..good.clone()
        },
    ];
    for bad in bad {
        let error = log
            .append(vec![good.clone(), bad])
            .await
            .expect_err("is refused");
        assert_eq!(error.kind(), ErrorKind::Input, "{error}");
    }
    assert_ends(log.as_ref(), &all_at(topics, 0)).await;
    let none = Offsets::from([(("test.none.v1".to_owned(), 0), 0)]);
    assert!(matches!(
        log.reader(&none).err(),
        Some(LogError::NoSuchPartition { .. })
    ));
    drop(log);
    let error = subject
        .open_error(&[TopicSpec::new(&topics[0].name, 2)])
        .await;
    assert!(
        matches!(
            error,
            LogError::PartitionCount {
                there: 1,
                wanted: 2,
                ..
            }
        ),
        "{error}"
    );
}

async fn waiting(subject: &dyn Subject, topics: &[TopicSpec]) {
    let log = subject.open(topics).await;
    let reader = log.reader(&all_at(topics, 0)).expect("opens");
    let started = Instant::now();
    let (none, reader) = blocking(reader, |reader| {
        reader.poll(10, Duration::from_millis(300)).expect("reads")
    })
    .await;
    assert!(none.is_empty());
    assert!(
        started.elapsed() >= Duration::from_millis(250),
        "poll waits for the first record"
    );
    let read = tokio::spawn(read_count(reader, 3));
    tokio::time::sleep(Duration::from_millis(100)).await;
    log.append(spread(topics, 0..3)).await.expect("appends");
    let (records, reader) = read.await.expect("the reader is woken");
    assert_eq!(records.len(), 3);
    let (none, reader) = blocking(reader, |reader| {
        reader.poll(10, Duration::ZERO).expect("reads")
    })
    .await;
    assert!(none.is_empty());
    what_is_left(log.as_ref(), reader, topics).await;
}

/// A reader at its end knows by itself how much is behind it.
async fn what_is_left(log: &dyn EventLog, reader: Box<dyn LogReader>, topics: &[TopicSpec]) {
    async fn left(reader: Box<dyn LogReader>) -> (Offsets, Box<dyn LogReader>) {
        // An answer may be as old as this.
        tokio::time::sleep(Duration::from_millis(200)).await;
        blocking(reader, |reader| reader.behind().expect("the log answers")).await
    }
    let (behind, reader) = left(reader).await;
    assert_eq!(behind, Offsets::new(), "all was read");
    let batch = spread(topics, 3..10);
    let mut expected = Offsets::new();
    for record in &batch {
        let place = (record.topic.clone(), record.partition);
        *expected.entry(place).or_default() += 1;
    }
    log.append(batch).await.expect("appends");
    let (behind, reader) = left(reader).await;
    assert_eq!(behind, expected, "what was appended is behind");
    let (_, reader) = read_count(reader, 7).await;
    let (behind, _) = left(reader).await;
    assert_eq!(behind, Offsets::new(), "all was read");
}

async fn concurrent_appends(subject: &dyn Subject, topics: &[TopicSpec]) {
    const TASKS: u64 = 8;
    const EACH: u64 = 1000;
    let log = subject.open(topics).await;
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let (log, topics) = (Arc::clone(&log), topics.to_vec());
        tasks.push(tokio::spawn(async move {
            for start in (0..EACH).step_by(50) {
                let numbers = task * EACH + start..task * EACH + start + 50;
                log.append(spread(&topics, numbers)).await.expect("appends");
            }
        }));
    }
    let from = all_at(topics, 0);
    // Reads beside the writers.
    let (records, _) = read_count(log.reader(&from).expect("opens"), (TASKS * EACH) as usize).await;
    for task in tasks {
        task.await.expect("appends");
    }
    let mut numbers: Vec<i64> = records
        .iter()
        .map(|record| record.timestamp_ms - 1_700_000_000_000)
        .collect();
    let found = by_partition(&records, &from);
    for records in found.values() {
        let mut last = [-1; TASKS as usize];
        for record in records {
            let number = record.timestamp_ms - 1_700_000_000_000;
            let last = &mut last[number as usize / EACH as usize];
            assert!(*last < number, "the batches of one task stay in order");
            *last = number;
        }
    }
    numbers.sort_unstable();
    assert!(
        numbers.iter().copied().eq(0..(TASKS * EACH) as i64),
        "each record once"
    );
}

async fn positions(subject: &dyn Subject, topics: &[TopicSpec]) {
    let log = subject.open(topics).await;
    let records = spread(topics, 0..300);
    for batch in records.chunks(40) {
        log.append(batch.to_vec()).await.expect("appends");
    }
    let wanted = group(&records);
    let mut from = all_at(topics, 0);
    for (skip, offset) in (17..).zip(from.values_mut()) {
        *offset = skip;
    }
    let left: usize = wanted
        .iter()
        .map(|(place, all)| all.len() - from[place] as usize)
        .sum();
    let (found, _) = read_count(log.reader(&from).expect("opens"), left).await;
    for (place, found) in by_partition(&found, &from) {
        assert!(
            found == wanted[&place][from[&place] as usize..],
            "{place:?} from {}",
            from[&place]
        );
    }
    let ends = log.end_offsets().await.expect("tells its ends");
    let reader = log.reader(&ends).expect("opens at the end");
    log.append(records[..2].to_vec()).await.expect("appends");
    let (found, _) = read_count(reader, 2).await;
    assert_eq!(
        by_partition(&found, &ends)
            .values()
            .map(Vec::len)
            .sum::<usize>(),
        2
    );

    let beyond = Offsets::from([((topics[0].name.clone(), 0), 1_000_000)]);
    let error = read_error(log.as_ref(), &beyond).await;
    assert!(
        matches!(
            error,
            LogError::Beyond {
                wanted: 1_000_000,
                ..
            }
        ),
        "{error:?}"
    );
}

/// The error of a position that is not there, at open or at the first polls.
async fn read_error(log: &dyn EventLog, from: &Offsets) -> LogError {
    let reader = match log.reader(from) {
        Ok(reader) => reader,
        Err(error) => return error,
    };
    let (error, _) = blocking(reader, |reader| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(
                Instant::now() < deadline,
                "a position that is not there was no error"
            );
            match reader.poll(10, Duration::from_millis(200)) {
                Ok(records) => assert!(
                    records.is_empty(),
                    "records from another place than asked for"
                ),
                Err(error) => return error,
            }
        }
    })
    .await;
    error
}

async fn reopening(subject: &dyn Subject, topics: &[TopicSpec]) {
    let first = &topics[..1];
    let log = subject.open(first).await;
    log.append(spread(first, 0..100)).await.expect("appends");
    drop(log);
    // A second topic comes in a later release.
    let log = subject.open(topics).await;
    let mut ends = all_at(topics, 0);
    ends.insert((topics[0].name.clone(), 0), 100);
    assert_ends(log.as_ref(), &ends).await;
    log.append(spread(topics, 100..200)).await.expect("appends");
    drop(log);
    let log = subject.open(topics).await;
    let from = all_at(topics, 0);
    let (found, _) = read_count(log.reader(&from).expect("opens"), 200).await;
    let mut all = spread(first, 0..100);
    all.extend(spread(topics, 100..200));
    assert!(
        by_partition(&found, &from) == group(&all),
        "all records are there in order after two restarts"
    );
}

async fn expiry(subject: &dyn Subject, topics: &[TopicSpec]) {
    let log = subject.open(topics).await;
    log.append(spread(topics, 0..100)).await.expect("appends");
    drop(log);
    subject.expire(topics).await;
    let log = subject.open(topics).await;
    let all = all_at(topics, 50);
    let starts = log.start_offsets().await.expect("tells its starts");
    assert!(
        all.iter()
            .all(|(place, offset)| starts.get(place) == Some(offset)),
        "{starts:?}"
    );
    assert_ends(log.as_ref(), &all).await;
    let error = read_error(log.as_ref(), &all_at(topics, 49)).await;
    assert!(
        matches!(
            error,
            LogError::Truncated {
                wanted: 49,
                start: 50,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.is_truncated());
    log.append(spread(topics, 100..110)).await.expect("appends");
    let (found, _) = read_count(log.reader(&all).expect("opens"), 10).await;
    assert!(
        by_partition(&found, &all) == group(&spread(topics, 100..110)),
        "offsets go on after retention"
    );
}
