//! The pipeline dies at every durable step, one after the other, and starts again with other workers.
//! Promises: [`POINTS`] is the whole list; a place in the sources that is not in it fails, and so does one that is never reached.

use std::time::Duration;

use hostread_simulate::rng::Rng;
use tokio::time::Instant;

use super::crash::{Killed, World, after_kill, begin, embedded, seed};
use super::process::Pipeline;

/// Every crash point, and how often a run comes there at least before it may die: once for what happens once a start.
/// In an order that leaves behind what the next one needs: what a start removes was left by the death before.
const POINTS: &[(&str, u64)] = &[
    // The journal's ticks: before the write, before the sync, after it.
    ("ticks.before_write", 9),
    ("ticks.written", 9),
    ("ticks.synced", 9),
    // Ranges of ClickHouse: chunks, then the progress.
    ("clickhouse.before_chunk", 9),
    ("clickhouse.chunk_written", 9),
    ("clickhouse.progress_written", 4),
    // Ranges of PostgreSQL: one transaction.
    ("postgres.chunk_sent", 9),
    ("postgres.before_commit", 4),
    ("postgres.committed", 4),
    // Compaction: days and names are written, a segment begins, the manifest is put in place, the rest is removed.
    ("compact.day_written", 4),
    ("open.unnamed_removed", 1),
    ("compact.names_written", 1),
    ("ticks.segment_made", 1),
    ("ticks.rolled", 1),
    ("compact.before_manifest", 1),
    ("compact.manifest_written", 1),
    ("open.segment_removed", 1),
    ("compact.before_remove", 2),
    ("compact.removed", 1),
    // A change of rules or catalog is counted.
    ("count.recounted", 1),
    // Every stage of a start.
    ("open.locked", 1),
    ("open.names_read", 1),
    ("open.facts_read", 1),
    ("open.ticks_read", 1),
    ("file.before_rename", 1),
    ("file.renamed", 1),
    ("clickhouse.claimed", 1),
    ("postgres.claimed", 1),
    ("start.sink_owned", 2),
    ("restore.loading", 3),
    ("restore.loaded", 1),
    // Only what a sink lacks is replayed: this death leaves a range that is in the journal alone.
    ("clickhouse.before_progress", 4),
    ("restore.replaying", 1),
    ("restore.replayed", 1),
    // Ranges of the archive: days that are sealed, ledger, progress.
    ("archive.before_progress", 4),
    ("archive.progress_written", 4),
    ("archive.day_kept", 1),
    // A release: before its tick is cut, and when it is on its way.
    ("release.before_cut", 1),
    ("release.handed_on", 1),
];
/// Those of the log are the gateway's: `doors/killed.rs` dies there.
pub(crate) const LOG_POINTS: &[&str] = &["log.before_write", "log.written", "log.synced"];

/// Said when a point is not reached, for that is what a binary without them looks like.
const WITH_POINTS: &str =
    "was the binary built with fail points, as `cargo build --workspace --bins --examples` does?";

/// Events sent at a time while the point is not reached.
const PIECE: usize = 300;
/// So long it then has nothing to do: compaction is looked for every half second.
const REST: Duration = Duration::from_millis(250);
/// A start, or a piece, may take so long on a busy machine.
const DONE_MAX: Duration = Duration::from_mins(1);

/// Waits until the pipeline has done what it was given, however slow the machine is; `true` when it died.
async fn is_dead_before_it_rests(pipeline: &mut Pipeline, point: &str) -> bool {
    let deadline = Instant::now() + DONE_MAX;
    let mut rests_since = None;
    loop {
        if pipeline.is_dead() {
            return true;
        }
        if pipeline.is_at_rest().await {
            if rests_since.get_or_insert_with(Instant::now).elapsed() >= REST {
                return false;
            }
        } else {
            rests_since = None;
        }
        assert!(Instant::now() < deadline, "{point}: neither done nor dead");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Feeds until the pipeline is dead. Says how many events were sent.
async fn feed_until_dead(
    world: &World,
    pipeline: &mut Pipeline,
    from: usize,
    point: &str,
) -> usize {
    let mut sent = 0;
    while !is_dead_before_it_rests(pipeline, point).await {
        let piece = world.events[from + sent..].chunks(PIECE).next();
        let piece = piece.unwrap_or_else(|| panic!("{point} was never reached; {WITH_POINTS}"));
        world.kind.feed.append(piece).await;
        sent += piece.len();
    }
    sent
}

/// Dies at every point.
async fn die_everywhere(world: &World, mut rng: Rng) -> Vec<Killed> {
    let (databases, mut sent) = (&world.databases, 0);
    let mut kills = Vec::new();
    for (number, (point, times_max)) in POINTS.iter().enumerate() {
        assert!(!world.reader.failed(), "the reader found something wrong");
        let piece = &world.events[sent..sent + PIECE];
        world.kind.feed.append(piece).await;
        sent += piece.len();
        let start = begin(databases).await;
        let at = format!("{point}:{}", 1 + rng.below(*times_max));
        let workers = 1 + number as u64 % 3;
        let mut pipeline = Pipeline::start_to_die(&world.config, workers, Some(&at));
        sent += feed_until_dead(world, &mut pipeline, sent, &at).await;
        kills.push(after_kill(databases, start).await);
    }
    println!("{sent} of {} events were sent by then", world.events.len());
    world.kind.feed.append(&world.events[sent..]).await;
    let mut pipeline = Pipeline::start(&world.config, 2);
    let clock_ms = world.events.last().unwrap().meta.received_at.0;
    pipeline.wait_drained(clock_ms, world.kind.quiet).await;
    assert!(pipeline.stop().success());
    kills
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_at_every_crash_point() {
    let seed = seed();
    let dir = tempfile::tempdir().unwrap();
    let kind = embedded(dir.path()).await;
    let world = World::start(kind, dir, super::crash::workload(seed)).await;
    let rng = Rng::new(seed).part("points");
    let kills = Box::pin(die_everywhere(&world, rng)).await;
    world.finish(&kills).await;
}

/// Every Rust source of the product.
fn sources(dir: &std::path::Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["target", "node_modules", ".git", "tests"].contains(&name.as_str()) {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn the_list_names_every_crash_point() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut texts = Vec::new();
    sources(&root, &mut texts);
    let mut there: Vec<&str> = texts
        .iter()
        .flat_map(|text| text.split("fail_point!(\"").skip(1))
        .filter_map(|rest| rest.split('"').next())
        .collect();
    there.sort_unstable();
    let mut listed: Vec<&str> = POINTS.iter().map(|(point, _)| *point).collect();
    listed.extend(LOG_POINTS);
    listed.sort_unstable();
    assert_eq!(there, listed);
}
