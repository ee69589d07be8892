//! Stores from the past: each database, then the journal, is put back to where it stood some days before. It is noticed; what
//! cannot catch up is made right by the command that the program names. Also a journal that is damaged, and restored.

use std::path::Path;
use std::process::Command;

use hostread_schemas::event::Event;
use hostread_sink_kit::{Columns, Sink};

use super::checks::{LEDGER, assert_equal, assert_filled, assert_invariants};
use super::crash::{embedded, seed, workload};
use super::databases::{Databases, Tables};
use super::feed::Feed;
use super::process::{Pipeline, run_command};
use super::sealed::assert_archived;
use super::settings;
use super::uninterrupted::Run;

const LOG: &str = "kind = \"embedded\"";
const CLICKHOUSE: &str = "clickhouse";
const POSTGRES: &str = "postgres";
/// Nothing is compacted: whatever stands behind can catch up.
const NEVER: &str = "compact_events = 1000000000";
const SOON: &str = "compact_events = 1000";

struct World<'a> {
    dir: &'a Path,
    feed: Feed,
    /// The clock of what was sent so far.
    clock_ms: i64,
}

impl World<'_> {
    /// The settings, with the databases where they are now.
    fn config(&self, databases: &Databases, compacts: &str) -> std::path::PathBuf {
        let path = self.dir.join("hostread.toml");
        let text = settings(self.dir, LOG, &databases.settings()).replace(SOON, compacts);
        assert!(text.contains(compacts));
        std::fs::write(&path, text).unwrap();
        path
    }

    async fn send(&mut self, events: &[Event]) {
        self.feed.append(events).await;
        self.clock_ms = events.last().unwrap().meta.received_at.0;
    }

    /// Starts, reads all that was sent, stops.
    async fn catch_up(&self, config: &Path) {
        let mut pipeline = Pipeline::start(config, 2);
        let quiet = std::time::Duration::from_millis(500);
        pipeline.wait_drained(self.clock_ms, quiet).await;
        assert!(pipeline.stop().success());
    }

    fn copied(&self, name: &str) -> std::path::PathBuf {
        self.dir.join(name)
    }
}

/// Both databases' folders, one engine each.
fn copy(from: &Path, to: &Path) {
    drop(std::fs::remove_dir_all(to));
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.unwrap().success());
}

/// Puts one engine's folder back to what `past` holds.
async fn put_back(databases: Databases, past: &Path, engine: &str) -> Databases {
    let resting = databases.rest().await;
    copy(&past.join(engine), &resting.folder().join(engine));
    resting.wake().await
}

/// What the pipeline says instead of starting.
async fn refusal(config: &Path) -> String {
    Pipeline::start(config, 1).wait_refused().await
}

fn same(what: &str, databases: &Tables, expected: &Tables) {
    assert_equal(what, databases, expected, &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_from_the_past_is_noticed_and_made_right() {
    let (seed, folder) = (seed(), tempfile::tempdir().unwrap());
    let dir = folder.path();
    let events = workload(seed);
    let (early, late) = events.split_at(events.len() / 2);
    let (late, last) = late.split_at(late.len() / 2);
    let mut world = World {
        dir,
        feed: embedded(dir).await.feed,
        clock_ms: 0,
    };
    let databases = Databases::start().await;
    let config = world.config(&databases, SOON);

    // An hour ago: copies of everything, the journal's beside a running pipeline.
    world.send(early).await;
    let mut pipeline = Pipeline::start(&config, 2);
    pipeline.wait_ready().await;
    let backup = world.copied("backup");
    let said = run_command(&config, &["journal", "copy", &backup.display().to_string()]);
    assert!(said.contains("the journal as of tick"), "{said}");
    let quiet = std::time::Duration::from_millis(500);
    pipeline.wait_drained(world.clock_ms, quiet).await;
    assert!(pipeline.stop().success());
    let resting = databases.rest().await;
    let past = world.copied("past");
    copy(&resting.folder(), &past);
    let databases = resting.wake().await;

    // Now.
    let config = world.config(&databases, NEVER);
    world.send(late).await;
    world.catch_up(&config).await;
    let now = databases.tables(Columns::Row).await;
    assert_filled(&now);

    // What the journal still replays, catches up by itself.
    let mut databases = databases;
    for engine in [CLICKHOUSE, POSTGRES] {
        databases = put_back(databases, &past, engine).await;
        let config = world.config(&databases, NEVER);
        assert!(
            databases.tables(Columns::Row).await != now,
            "{engine} is not of the past"
        );
        world.catch_up(&config).await;
        same("caught up", &databases.tables(Columns::Row).await, &now);
    }

    // What it does not, is named with the command.
    let config = world.config(&databases, SOON);
    world.send(last).await;
    world.catch_up(&config).await;
    let now = databases.tables(Columns::Row).await;
    for engine in [CLICKHOUSE, POSTGRES] {
        databases = put_back(databases, &past, engine).await;
        let config = world.config(&databases, SOON);
        let said = refusal(&config).await;
        let named = format!("sink \"{engine}\" stands at tick");
        assert!(
            said.contains(&named) && said.contains("hostread sinks resync --yes"),
            "{said}"
        );
        run_command(&config, &["sinks", "resync", "--yes"]);
        world.catch_up(&config).await;
        same("resynced", &databases.tables(Columns::Row).await, &now);
    }

    // A damaged journal is named by file; the copy takes its place, and both databases are ahead of it.
    let config = world.config(&databases, SOON);
    let journal = dir.join("journal");
    let manifest = journal.join("manifest");
    let mut bytes = std::fs::read(&manifest).unwrap();
    bytes[40] ^= 4;
    std::fs::write(&manifest, bytes).unwrap();
    let said = refusal(&config).await;
    assert!(
        said.contains("journal/manifest") && said.contains("is damaged at byte"),
        "{said}"
    );
    let said = run_command(
        &config,
        &["journal", "restore", &backup.display().to_string()],
    );
    assert!(said.contains("the one before is kept in"), "{said}");
    let said = refusal(&config).await;
    assert!(
        said.contains("the journal is from the past")
            && said.contains("hostread sinks resync --yes"),
        "{said}"
    );
    run_command(&config, &["sinks", "resync", "--yes"]);
    world.catch_up(&config).await;
    let restored = databases.tables(Columns::Row).await;
    assert_equal("the journal restored", &restored, &now, &LEDGER);
    assert_invariants(&databases).await;
    assert_archived(&databases, &journal.join("archive")).await;
    let kept = std::fs::read_dir(dir).unwrap();
    let kept = kept.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("journal.before-")
    });
    assert_eq!(kept.count(), 1, "nothing is removed");

    // And all of it is what a run without any of this leaves.
    databases.clear().await;
    let sinks: Vec<Box<dyn Sink>> = vec![
        Box::new(databases.clickhouse()),
        Box::new(databases.postgres()),
    ];
    let run = Run {
        journal: &dir.join("own-journal"),
        feed: &world.feed,
        workers: 2,
        tick_events_max: 1_700,
        range_rows_max: 50_000,
        clock_ms: world.clock_ms,
        quiet: std::time::Duration::from_millis(300),
    };
    run.into_sinks(sinks).await;
    let own = databases.tables(Columns::Row).await;
    assert_equal("an uninterrupted run", &restored, &own, &LEDGER);
    databases.stop().await;
}
