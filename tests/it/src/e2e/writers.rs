//! Three pipelines, one after the other, on the same databases: each begins with a copy of the journal of the one before, which
//! stands still in the middle of an insert. What that one still sends must not stay.
//!
//! ```text
//! A ─ half of an insert is sent, then the process stands still ─┐
//!     B takes over, writes; its insert is held by the network ──┤ all of it is let go: A and B end, nothing of them lands
//!         C takes over, writes on ──────────────────────────────┘ = an uninterrupted run over C's ticks
//! ```

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use hostread_schemas::event::Event;
use hostread_sink_kit::{Columns, Sink};
use nix::sys::signal::Signal;
use tokio::sync::watch;

use super::checks::{LEDGER, assert_equal, assert_filled, assert_invariants};
use super::crash::{seed, workload};
use super::databases::{Databases, Tables};
use super::feed::Feed;
use super::process::Pipeline;
use super::proxy::{Deed, Proxy, holds};
use super::settings;
use super::uninterrupted::Run;

const QUIET: Duration = Duration::from_millis(300);
const STUCK: Duration = Duration::from_mins(1);
/// Between two ranges: at once, or so much later that a range holds all that is in the log at a start.
const FAST_MS: u64 = 40;
const SLOW_MS: u64 = 6_000;
/// How much is sent, in events, before A is held, until B is, until C takes over.
const PARTS: [usize; 3] = [20_000, 24_000, 28_000];

/// Copies a journal, of one that rests.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let mut cp = Command::new("cp");
    let copied = cp.arg("-r").arg(from.join("journal")).arg(to).status();
    assert!(copied.unwrap().success());
}

/// A pipeline and its way to the databases.
struct Owner {
    dir: PathBuf,
    clickhouse: Proxy,
    postgres: Proxy,
    pipeline: Pipeline,
}

impl Owner {
    /// Its ticks are of another size than others'; an hour, which always begins one, has about 120 events.
    async fn start(dir: PathBuf, ticks: usize, range_ms: u64, databases: &Databases) -> Self {
        std::fs::create_dir_all(&dir).unwrap();
        let (clickhouse, postgres) = databases.proxies().await;
        let log = format!("kind = \"embedded\"\ndir = {:?}", dir.with_file_name("log"));
        let text = settings(&dir, &log, &databases.settings_via(&clickhouse, &postgres));
        // All ticks stay.
        let text = text
            .replace("compact_events = 1000", "compact_events = 1000000000")
            .replace(
                "tick_events_max = 300",
                &format!("tick_events_max = {ticks}"),
            )
            .replace("range_ms = 40", &format!("range_ms = {range_ms}"));
        let config = dir.join("hostread.toml");
        std::fs::write(&config, text).unwrap();
        let pipeline = Pipeline::start(&config, 2);
        Self {
            dir,
            clickhouse,
            postgres,
            pipeline,
        }
    }

    /// From now on its inserts come so far and no further, and its transactions not to the word.
    fn hold(&self, part: Part, word: &'static str) -> Held {
        let (free, is_free) = watch::channel(false);
        let (held, in_clickhouse) = watch::channel(false);
        let (theirs, in_postgres) = watch::channel(false);
        let also = is_free.clone();
        self.clickhouse.set(move |bytes| {
            if !holds(bytes, "INSERT+INTO+serving.") {
                return Deed::Pass;
            }
            // A range's ledger comes first: its rows have ticks in their keys, which nobody else writes.
            held.send_replace(true);
            let head = bytes.windows(4).position(|four| four == b"\r\n\r\n");
            let now = match part {
                Part::Nothing => 0,
                Part::Head => head.map_or(bytes.len(), |end| end + 4),
            };
            Deed::Hold(now, is_free.clone())
        });
        self.postgres.set(move |bytes| {
            if holds(bytes, word) {
                theirs.send_replace(true);
                return Deed::Hold(0, also.clone());
            }
            Deed::Pass
        });
        let seen = [in_clickhouse, in_postgres];
        Held { free, seen }
    }

    /// Waits until it has ended by itself, and why.
    async fn ended(&mut self) -> String {
        let began = Instant::now();
        loop {
            if let Some(said) = self.pipeline.ended() {
                return said.lines().last().unwrap_or_default().to_owned();
            }
            assert!(began.elapsed() < STUCK, "a former owner goes on");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What of an insert reaches ClickHouse.
#[derive(Clone, Copy)]
enum Part {
    Nothing,
    Head,
}

struct Held {
    free: watch::Sender<bool>,
    /// By ClickHouse's proxy and by PostgreSQL's.
    seen: [watch::Receiver<bool>; 2],
}

impl Held {
    async fn wait(&mut self) {
        for seen in &mut self.seen {
            let seen = seen.wait_for(|seen| *seen);
            tokio::time::timeout(STUCK, seen).await.unwrap().unwrap();
        }
    }
}

async fn drained(owner: &mut Owner, events: &[Event]) {
    let clock_ms = events.last().unwrap().meta.received_at.0;
    owner.pipeline.wait_drained(clock_ms, QUIET).await;
}

/// What an uninterrupted run writes over these ticks, or over ticks of its own.
async fn uninterrupted(
    databases: &Databases,
    feed: &Feed,
    journal: &Path,
    clock_ms: i64,
    columns: Columns,
) -> Tables {
    databases.clear().await;
    let run = Run {
        journal,
        feed,
        workers: 1,
        tick_events_max: 700,
        range_rows_max: 50_000,
        clock_ms,
        quiet: QUIET,
    };
    let sinks: Vec<Box<dyn Sink>> = vec![
        Box::new(databases.clickhouse()),
        Box::new(databases.postgres()),
    ];
    run.into_sinks(sinks).await;
    databases.tables(columns).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_former_owner_stays() {
    let (seed, dir) = (seed(), tempfile::tempdir().unwrap());
    let databases = Databases::start().await;
    let events = workload(seed);
    let feed = Feed::embedded(&dir.path().join("log")).await;
    let place = |name: &str| dir.path().join(name);

    let (part, next) = (&events[..PARTS[0]], &events[..PARTS[1]]);
    feed.append(part).await;
    let mut a = Owner::start(place("a"), 300, FAST_MS, &databases).await;
    drained(&mut a, part).await;
    assert!(a.pipeline.stop().success());
    copy(&place("a"), &place("b"));
    feed.append(&events[part.len()..next.len()]).await;
    let mut a = Owner::start(place("a"), 300, SLOW_MS, &databases).await;
    a.pipeline.wait_ready().await;
    // ClickHouse gets the beginning of an insert, PostgreSQL nothing.
    let mut a_held = a.hold(Part::Head, "BEGIN");
    a_held.wait().await;
    a.pipeline.signal(Signal::SIGSTOP);

    let began = Instant::now();
    let mut b = Owner::start(place("b"), 40, FAST_MS, &databases).await;
    drained(&mut b, next).await;
    println!("B took over in {:?}", began.elapsed());
    a_held.free.send_replace(true);
    // What the network has arrives before its sender knows better.
    tokio::time::sleep(Duration::from_millis(500)).await;
    a.pipeline.signal(Signal::SIGCONT);
    let said = a.ended().await;
    println!("{said}");
    assert!(
        said.contains("belongs to epoch 3 now, this is epoch 2"),
        "{said}"
    );

    assert!(b.pipeline.stop().success());
    copy(&place("b"), &place("c"));
    let (part, next) = (next, &events[..PARTS[2]]);
    feed.append(&events[part.len()..next.len()]).await;
    let mut b = Owner::start(place("b"), 40, SLOW_MS, &databases).await;
    b.pipeline.wait_ready().await;
    // The network keeps an insert, and a transaction that has written all but its progress.
    let mut b_held = b.hold(Part::Nothing, "SET upper");
    b_held.wait().await;
    let mut c = Owner::start(place("c"), 70, FAST_MS, &databases).await;
    drained(&mut c, next).await;
    b_held.free.send_replace(true);
    let said = b.ended().await;
    println!("{said}");
    assert!(
        said.contains("belongs to epoch 5 now, this is epoch 4"),
        "{said}"
    );
    feed.append(&events[PARTS[2]..]).await;
    drained(&mut c, &events).await;
    assert!(c.pipeline.stop().success());

    let found = databases.tables(Columns::RowAndVersion).await;
    assert_filled(&found);
    assert_invariants(&databases).await;
    let numbers = databases.tables(Columns::Row).await;
    let clock_ms = events.last().unwrap().meta.received_at.0;
    std::fs::remove_dir_all(c.dir.join("journal/archive")).unwrap();
    let ticks = c.dir.join("journal");
    let expected = uninterrupted(&databases, &feed, &ticks, clock_ms, Columns::RowAndVersion).await;
    assert_equal("the last owner's ticks", &found, &expected, &[]);
    let own = place("own");
    let expected = uninterrupted(&databases, &feed, &own, clock_ms, Columns::Row).await;
    assert_equal("a run of its own", &numbers, &expected, &LEDGER);
    databases.stop().await;
}
