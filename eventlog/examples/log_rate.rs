//! How many records a second a log takes and gives: `log_rate embedded DIR` or `log_rate kafka HOST:PORT`.
//! 120-byte records in batches of 500 from 8 tasks; then one reader from the start.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring tool: it prints, and stops at any error"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hostread_disk::RealDisk;
use hostread_eventlog::{
    EmbeddedLog, EmbeddedSettings, EventLog, KafkaLog, KafkaSettings, Offsets, Record, TopicSpec,
};

const TASKS: u64 = 8;
const BATCH: u64 = 500;
const RECORDS: u64 = 2_000_000;

fn record(topic: &str, partitions: u32, number: u64) -> Record {
    // Half of the bytes repeat, as in an Avro body beside its attributes.
    let noise = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut value = vec![0; 72];
    for (index, byte) in value.iter_mut().enumerate().step_by(2) {
        *byte = (noise >> (index % 57)) as u8;
    }
    Record {
        topic: topic.to_owned(),
        partition: number as u32 % partitions,
        key: noise.to_le_bytes().to_vec(),
        headers: vec![("ce_id".to_owned(), format!("{noise:032x}").into_bytes())],
        value,
        timestamp_ms: number as i64,
    }
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [back_end, place] = arguments.as_slice() else {
        panic!("log_rate embedded DIR | kafka HOST:PORT")
    };
    let name = format!("bench.touch{}.v1", std::process::id());
    let topics = [TopicSpec::new(&name, 6)];
    let log: Arc<dyn EventLog> = match back_end.as_str() {
        "embedded" => {
            let settings = EmbeddedSettings::default();
            Arc::new(
                EmbeddedLog::open(Arc::new(RealDisk), Path::new(place), &topics, settings).unwrap(),
            )
        }
        _ => Arc::new(
            KafkaLog::open(KafkaSettings::new(place), &topics)
                .await
                .unwrap(),
        ),
    };
    let started = Instant::now();
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let (log, name) = (Arc::clone(&log), name.clone());
        tasks.push(tokio::spawn(async move {
            let mut slowest = Duration::ZERO;
            for start in
                (task * RECORDS / TASKS..(task + 1) * RECORDS / TASKS).step_by(BATCH as usize)
            {
                let batch = (start..start + BATCH)
                    .map(|number| record(&name, 6, number))
                    .collect();
                let sent = Instant::now();
                log.append(batch).await.unwrap();
                slowest = slowest.max(sent.elapsed());
            }
            slowest
        }));
    }
    let mut slowest = Duration::ZERO;
    for task in tasks {
        slowest = slowest.max(task.await.unwrap());
    }
    let secs = started.elapsed().as_secs_f64();
    println!(
        "append {:.0} records/s, slowest batch {slowest:?}",
        RECORDS as f64 / secs
    );

    let from: Offsets = (0..6)
        .map(|partition| ((name.clone(), partition), 0))
        .collect();
    let mut reader = log.reader(&from).unwrap();
    let read = move || {
        let (started, mut count, mut bytes) = (Instant::now(), 0, 0);
        while count < RECORDS {
            let records = reader.poll(10_000, Duration::from_secs(1)).unwrap();
            count += records.len() as u64;
            bytes += records
                .iter()
                .map(|record| record.value.len())
                .sum::<usize>();
        }
        let secs = started.elapsed().as_secs_f64();
        println!(
            "read {:.0} records/s, {bytes} bytes of values",
            count as f64 / secs
        );
    };
    tokio::task::spawn_blocking(read).await.unwrap();
}
