//! 25 kills at random moments, then every table is compared.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hostread_schemas::event::Event;
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{DAY_MS, EventTimeMs, Tick};
use hostread_simulate::rng::Rng;
use hostread_simulate::{Mix1, Mix1Config};
use hostread_sink_kit::{Columns, RangeBatch, Sink, Upsert};
use tempfile::TempDir;

use super::archive::Archive;
use super::checks::{
    LEDGER, assert_equal, assert_filled, assert_invariants, written, written_upper,
};
use super::databases::Databases;
use super::feed::Feed;
use super::process::Pipeline;
use super::reader::Reader;
use super::sealed::{assert_archived, files};
use super::uninterrupted::{Changes, Run};
use super::{HORIZONS, ID_KEY, settings};

const KILLS: usize = 25;
const DAYS: u32 = 14;
const EVENTS: u64 = 40_000;
/// Pieces of the workload; at the beginning of each the pipeline is started if it was killed in the one before.
const PIECES_A_DAY: usize = 2;
const PIECES: usize = DAYS as usize * PIECES_A_DAY;
const _: () = assert!(PIECES > KILLS);

/// A log and what is particular to it.
pub(super) struct Kind {
    pub(super) feed: Feed,
    settings: String,
    /// Topics are read each at its own pace: the next day is sent when the one before was read, or else how many of its
    /// events come before the clock seals or publishes something would be a matter of luck.
    day_by_day: bool,
    /// So long nothing new: everything was read.
    pub(super) quiet: Duration,
    /// Or ClickHouse alone, before it is to be filled again.
    both_are_emptied: bool,
    /// Not the pipeline alone.
    pub(super) databases_fail: bool,
}

/// What a kill must keep within.
pub(super) struct Start {
    uppers: [Tick; 2],
    written: [u64; 2],
}

pub(super) struct Killed {
    start: Start,
    /// What can have been written by then.
    until: [Tick; 2],
    written: [u64; 2],
}

pub(super) fn workload(seed: u64) -> Vec<Event> {
    workload_of(seed, DAYS)
}

/// So many days, each with as many events.
pub(super) fn workload_of(seed: u64, days: u32) -> Vec<Event> {
    let mix = Mix1::new(Mix1Config {
        seed,
        events: EVENTS * u64::from(days) / u64::from(DAYS),
        days,
        // 2026-02-20: a month ends and is published within the run.
        start: EventTimeMs(20_504 * DAY_MS),
        ..Mix1Config::default()
    });
    mix.events().collect()
}

pub(super) fn seed() -> u64 {
    let given = std::env::var("HOSTREAD_TEST_SEED").ok();
    let given = given.filter(|text| !text.is_empty());
    let seed = given.map_or_else(
        || {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.unwrap().subsec_nanos().into()
        },
        |text| text.parse().unwrap(),
    );
    println!("HOSTREAD_TEST_SEED={seed}");
    seed
}

async fn uppers(databases: &Databases) -> [Tick; 2] {
    let progress = databases.progress().await;
    progress.map(|progress| progress.map_or(Tick(0), |p| p.upper))
}

pub(super) async fn begin(databases: &Databases) -> Start {
    Start {
        uppers: uppers(databases).await,
        written: written(databases).await,
    }
}

pub(super) async fn after_kill(databases: &Databases, start: Start) -> Killed {
    no_insert_runs(databases).await;
    let written = written(databases).await;
    let [_, postgres] = uppers(databases).await;
    Killed {
        start,
        until: [written_upper(databases).await, postgres],
        written,
    }
}

/// What a killed pipeline had sent may still be going in; its part is counted before its rows can be seen.
async fn no_insert_runs(databases: &Databases) {
    let running = "SELECT count() FROM system.processes WHERE query_kind = 'Insert'";
    for _ in 0..600 {
        if databases.ask(running).await.trim() == "0" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("an insert of a killed pipeline still runs after 30 s");
}

/// Sends a piece in a few batches, with pauses.
pub(super) async fn send(feed: &Feed, piece: &[Event], mut rng: Rng) {
    for batch in piece.chunks(piece.len().div_ceil(6).max(1)) {
        feed.append(batch).await;
        tokio::time::sleep(Duration::from_millis(rng.below(60))).await;
    }
}

/// Feeds, kills, starts again. Returns what each kill left.
async fn feed_and_kill(world: &World, mut rng: Rng) -> Vec<Killed> {
    let World {
        kind,
        events,
        config,
        databases,
        reader,
        ..
    } = world;
    let span = i64::from(DAYS) * DAY_MS / PIECES as i64;
    let first = events[0].meta.received_at.0;
    let mut pieces = events.chunk_by(|a, b| {
        let piece = |e: &Event| (e.meta.received_at.0 - first) / span;
        piece(a) == piece(b)
    });
    let mut kills = Vec::new();
    let mut running = None;
    let mut sent_until = 0;
    for number in 0..PIECES {
        assert!(!reader.failed(), "the reader found something wrong");
        let piece = pieces.next().unwrap();
        let workers = 1 + rng.below(2);
        // Before the start: what it writes while it drains a day is its own, too.
        let start = begin(databases).await;
        let mut pipeline: Pipeline = match running.take() {
            Some(pipeline) => pipeline,
            None => Pipeline::start(config, workers),
        };
        if kind.day_by_day && number > 0 && number % PIECES_A_DAY == 0 {
            pipeline.wait_drained(sent_until, kind.quiet).await;
        }
        sent_until = piece.last().unwrap().meta.received_at.0;
        if kills.len() == KILLS {
            kind.feed.append(piece).await;
            running = Some(pipeline);
            continue;
        }
        let sending = send(&kind.feed, piece, rng.part("pauses"));
        let early = rng.chance(1, 5);
        let moment = Duration::from_millis(rng.below(if early { 400 } else { 900 }));
        let killing = async {
            if !early {
                pipeline.wait_ready().await;
            }
            tokio::time::sleep(moment).await;
            pipeline.kill_9();
        };
        tokio::join!(sending, killing);
        kills.push(after_kill(databases, start).await);
    }
    let mut pipeline = running.unwrap_or_else(|| Pipeline::start(config, 2));
    pipeline.wait_drained(sent_until, kind.quiet).await;
    assert!(pipeline.stop().success());
    kills
}

/// A workload, the parts that it goes through, and who looks on.
pub(super) struct World {
    pub(super) kind: Kind,
    pub(super) events: Vec<Event>,
    pub(super) config: PathBuf,
    pub(super) databases: Arc<Databases>,
    pub(super) reader: Reader,
    archive: Archive,
    dir: TempDir,
    began: Instant,
}

impl World {
    pub(super) async fn start(kind: Kind, dir: TempDir, events: Vec<Event>) -> Self {
        let began = Instant::now();
        let databases = Arc::new(Databases::start().await);
        let config = dir.path().join("hostread.toml");
        std::fs::write(
            &config,
            settings(dir.path(), &kind.settings, &databases.settings()),
        )
        .unwrap();
        let world = Self {
            events,
            archive: Archive::start(&dir.path().join("journal"), &dir.path().join("kept")),
            reader: Reader::start(&databases),
            kind,
            config,
            databases,
            dir,
            began,
        };
        world.note("engines are up");
        world
    }

    pub(super) fn note(&self, what: &str) {
        println!("{:5.1} s  {what}", self.began.elapsed().as_secs_f64());
    }

    /// Everything was sent and read: compares what stands in the databases with uninterrupted runs.
    pub(super) async fn finish(self, kills: &[Killed]) {
        self.note(&format!("{} kills, all is read", kills.len()));
        let clock_ms = self.events.last().unwrap().meta.received_at.0;
        let Self {
            kind,
            events,
            databases,
            reader,
            archive,
            dir,
            began,
            config,
        } = self;
        let note = |what| println!("{:5.1} s  {what}", began.elapsed().as_secs_f64());
        let seen = reader.finish().await;
        println!("{seen:?}");
        assert!(seen.published > 0 && seen.polls > 50, "{seen:?}");
        assert!(seen.missed == 0 || kind.databases_fail, "{seen:?}");
        let journal = dir.path().join("same-ticks");
        assert!(archive.finish(&journal), "the journal was never compacted");
        let found = databases.tables(Columns::RowAndVersion).await;
        assert_filled(&found);
        assert_invariants(&databases).await;
        let numbers = databases.tables(Columns::Row).await;

        if kind.both_are_emptied {
            databases.clear().await;
        } else {
            databases.clickhouse().clear().await.unwrap();
        }
        let mut pipeline = Pipeline::start(&config, 2);
        pipeline.wait_drained(clock_ms, kind.quiet).await;
        assert!(pipeline.stop().success());
        let refilled = databases.tables(Columns::Row).await;
        assert_equal("emptied and filled again", &numbers, &refilled, &[]);
        note("what was emptied is filled again");

        let changes = Changes::default();
        let again = |journal, range_rows_max, workers| Run {
            journal,
            feed: &kind.feed,
            workers,
            tick_events_max: 300,
            range_rows_max,
            clock_ms,
            quiet: kind.quiet,
        };
        again(&journal, 1, 2).into_sinks(vec![changes.sink()]).await;
        assert_rewrites(kills, &changes);
        databases.clear().await;
        let sinks = || -> Vec<Box<dyn Sink>> {
            let (clickhouse, postgres) = (databases.clickhouse(), databases.postgres());
            vec![Box::new(clickhouse), Box::new(postgres)]
        };
        again(&journal, 50_000, 1).into_sinks(sinks()).await;
        let expected = databases.tables(Columns::RowAndVersion).await;
        assert_equal("the same ticks without a kill", &found, &expected, &[]);
        let kept = files(&dir.path().join("journal/archive"));
        assert!(
            kept == files(&journal.join("archive")),
            "the archive of sealed days is not that of an uninterrupted run"
        );
        assert_archived(&databases, &dir.path().join("journal/archive")).await;
        note("equals an uninterrupted run over the same ticks");

        databases.clear().await;
        let own = Feed::embedded(&dir.path().join("own-log")).await;
        let own_journal = dir.path().join("own-journal");
        own.append(&events).await;
        let own_run = Run {
            feed: &own,
            tick_events_max: 1_700,
            ..again(&own_journal, 50_000, 2)
        };
        let refused = own_run.into_sinks(sinks()).await;
        assert_eq!(refused, 0, "events of MIX-1 went to the dead letters");
        let expected = databases.tables(Columns::Row).await;
        assert_equal("a run of its own", &numbers, &expected, &LEDGER);
        note("numbers equal a run of its own");

        databases.clear().await;
        write_replay(events, sinks()).await;
        let expected = databases.tables(Columns::Row).await;
        assert_equal("a replay", &numbers, &expected, &LEDGER);
        note("numbers equal a replay");
        Arc::into_inner(databases).unwrap().stop().await;
    }
}

/// What `hostread replay` makes of the events, as one range.
async fn write_replay(events: Vec<Event>, sinks: Vec<Box<dyn Sink>>) {
    let replay = move || {
        hostread_job::replay::replay(events, None, 2, HORIZONS, IdHasher::new(ID_KEY)).unwrap()
    };
    let replayed = tokio::task::spawn_blocking(replay).await.unwrap();
    let tick = Tick(1);
    let upsert = |(key, value)| Upsert {
        tick,
        key,
        value: Some(value),
    };
    let batch = RangeBatch {
        lower: Tick(0),
        upper: tick.next(),
        upserts: replayed.rows.into_iter().map(upsert).collect(),
        withheld: Vec::new(),
        freshness: None,
        rows_done: Arc::default(),
    };
    for mut sink in sinks {
        sink.open(1).await.unwrap();
        sink.apply(&batch, &replayed.names).await.unwrap();
    }
}

async fn run(kind: Kind, dir: TempDir, seed: u64) {
    let world = World::start(kind, dir, workload(seed)).await;
    let rng = Rng::new(seed).part("kills");
    let kills = Box::pin(feed_and_kill(&world, rng)).await;
    world.finish(&kills).await;
}

/// What a start wrote, it wrote of the ticks since where its sinks stood: no row more than these ticks change. Both databases
/// count late, so what counts is the sum over all kills.
fn assert_rewrites(kills: &[Killed], changes: &Changes) {
    let (Some(first), Some(last)) = (kills.first(), kills.last()) else {
        return;
    };
    let mut most = [0; 2];
    for kill in kills {
        for (sink, most) in most.iter_mut().enumerate() {
            *most += changes.between(kill.start.uppers[sink], kill.until[sink])[sink];
        }
    }
    let written = [0, 1].map(|sink| last.written[sink] - first.start.written[sink]);
    println!(
        "rows written by the last kill: {written:?}, changes since each start's upper: {most:?}"
    );
    assert!(
        written[0] <= most[0] && written[1] <= most[1],
        "more rows were written than the ticks since each start's upper change"
    );
}

/// On the embedded log.
pub(super) async fn embedded(dir: &Path) -> Kind {
    Kind {
        feed: Feed::embedded(&dir.join("log")).await,
        settings: "kind = \"embedded\"".to_owned(),
        day_by_day: false,
        quiet: Duration::from_millis(300),
        both_are_emptied: true,
        databases_fail: false,
    }
}

/// On a Kafka that nobody else writes.
pub(super) async fn kafka(dir: &Path, brokers: &str) -> Kind {
    let partitions = 2;
    Kind {
        feed: Feed::kafka(brokers, partitions, &dir.join("log")).await,
        settings: format!("kind = \"kafka\"\nbrokers = {brokers:?}\npartitions = {partitions}"),
        day_by_day: true,
        quiet: Duration::from_secs(1),
        both_are_emptied: false,
        databases_fail: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_25_times_on_the_embedded_log() {
    let seed = seed();
    let dir = tempfile::tempdir().unwrap();
    let kind = embedded(dir.path()).await;
    run(kind, dir, seed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_25_times_on_kafka() {
    let seed = seed();
    let dir = tempfile::tempdir().unwrap();
    let brokers = tokio::task::spawn_blocking(crate::kafka::shared)
        .await
        .unwrap();
    let kind = kafka(dir.path(), &brokers).await;
    run(kind, dir, seed).await;
}
