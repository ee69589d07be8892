//! A job that is stopped cleanly and started again, in this process and on a sink in memory: quick, and every restart loads.

use std::path::Path;
use std::time::Duration;

use hostread_schemas::view::{ViewKey, ViewValue};
use hostread_sink_kit::{MemorySink, MemoryStore};

use super::checks::LEDGER;
use super::crash::{seed, workload};
use super::feed::Feed;
use super::uninterrupted::Run;

/// Runs the workload in so many pieces, each with a start of its own.
async fn rows_after(pieces: usize, dir: &Path, seed: u64) -> Vec<(ViewKey, ViewValue)> {
    let events = workload(seed);
    let feed = Feed::embedded(&dir.join(format!("log-{pieces}"))).await;
    let store = MemoryStore::default();
    for (number, piece) in events.chunks(events.len().div_ceil(pieces)).enumerate() {
        feed.append(piece).await;
        let run = Run {
            journal: &dir.join(format!("journal-{pieces}")),
            feed: &feed,
            workers: 1 + number % 2,
            tick_events_max: 700,
            range_rows_max: 50_000,
            clock_ms: piece.last().unwrap().meta.received_at.0,
            quiet: Duration::from_millis(100),
        };
        run.into_sinks(vec![Box::new(MemorySink::new(store.clone()))])
            .await;
    }
    let mut rows: Vec<_> = store.rows().into_iter().collect();
    rows.retain(|(key, _)| !LEDGER.contains(&key.view()));
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starts_between_seals_and_releases_change_no_number() {
    let (seed, dir) = (seed(), tempfile::tempdir().unwrap());
    let at_once = rows_after(1, dir.path(), seed).await;
    let in_pieces = rows_after(5, dir.path(), seed).await;
    assert!(at_once.len() > 1_000);
    let differ = at_once.iter().zip(&in_pieces).find(|(a, b)| a != b);
    assert_eq!(differ, None);
    assert_eq!(at_once.len(), in_pieces.len());
}
