//! A folder that a real run left: a bit flipped, a file cut or taken away, in every file. The start names it, or what is gone
//! was never acknowledged.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, io};

use hostread_disk::{FRAME_HEADER_BYTES, RealDisk};
use hostread_job::{Clock, JobConfig, JobError, Running};
use hostread_simulate::rng::Rng;
use hostread_sink_archive::ArchiveSink;
use hostread_sink_kit::{MemorySink, MemoryStore, Sink};

use super::HORIZONS;
use super::crash::{seed, workload};
use super::feed::Feed;

const STUCK: Duration = Duration::from_mins(1);
/// The mark that a clean stop leaves: all that it says is that the rest is whole.
const MARK_BYTES: u64 = FRAME_HEADER_BYTES + 1;
/// Files that a run leaves.
const KINDS: [&str; 8] = [
    "manifest",
    "ticks-",
    "facts-",
    "names-",
    "ledger/rows",
    "ledger/files",
    "ledger/progress",
    ".parquet",
];
/// Nothing in the last bytes of a tick log vouches for them.
const LAST_BYTES: u64 = 2_000;
/// Flips in each file.
const FLIPS: usize = 1;

async fn start(journal: &Path, feed: &Feed, store: &MemoryStore) -> Result<Running, JobError> {
    let archive = ArchiveSink::new(Arc::new(RealDisk), &journal.join("archive"));
    let sinks: Vec<Box<dyn Sink>> =
        vec![Box::new(archive), Box::new(MemorySink::new(store.clone()))];
    let parts = feed.parts(RealDisk, journal, sinks);
    let config = JobConfig {
        horizons: HORIZONS,
        tick_events_max: 300,
        compact_events: 1_000,
        clock: Clock::Samples,
        ..JobConfig::default()
    };
    hostread_job::start(config, parts).await
}

/// Every file below a folder, by its name from there.
fn files(dir: &Path, below: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir.join(below)).unwrap() {
        let name = below.join(entry.unwrap().file_name());
        if dir.join(&name).is_dir() {
            files(dir, &name, found);
        } else if !name.ends_with("LOCK") {
            found.push(name);
        }
    }
}

fn names_in(dir: &Path) -> Vec<PathBuf> {
    let mut names = Vec::new();
    files(dir, Path::new(""), &mut names);
    names
}

/// A folder that a run left.
struct Folder {
    dir: PathBuf,
    names: Vec<PathBuf>,
}

impl Folder {
    fn read(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            names: names_in(dir),
        }
    }

    /// As power going off would leave a folder that a job works in, without the mark of a clean stop: a copy during which no
    /// file came, went or grew. Housekeeping may be at work, but nobody writes: all is acknowledged.
    async fn killed(whole: &Path, to: &Path) -> Self {
        let began = Instant::now();
        loop {
            let names = names_in(whole);
            let before = lengths(whole, &names);
            let copied = before.is_ok() && copy(whole, &names, to).is_ok();
            if copied && names_in(whole) == names && lengths(whole, &names).ok() == before.ok() {
                return Self::read(to);
            }
            assert!(began.elapsed() < STUCK, "{names:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The segment of the tick log that is written to.
    fn newest(&self) -> PathBuf {
        let is_ticks = |name: &&PathBuf| name.to_string_lossy().starts_with("ticks-");
        self.names.iter().filter(is_ticks).max().unwrap().clone()
    }

    fn len(&self, name: &Path) -> u64 {
        fs::metadata(self.dir.join(name)).unwrap().len()
    }
}

fn lengths(dir: &Path, names: &[PathBuf]) -> io::Result<Vec<u64>> {
    let len = |name| Ok(fs::metadata(dir.join(name))?.len());
    names.iter().map(len).collect()
}

/// Waits until all is in the sinks, up to this clock.
async fn drained(job: &Running, clock_ms: i64) {
    let began = Instant::now();
    while !(job.status.caught_up() && job.status.clock().0 >= clock_ms) {
        assert!(began.elapsed() < STUCK, "{:?}", job.status);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn copy(from: &Path, names: &[PathBuf], to: &Path) -> io::Result<()> {
    drop(fs::remove_dir_all(to));
    for name in names {
        fs::create_dir_all(to.join(name).parent().unwrap())?;
        fs::copy(from.join(name), to.join(name))?;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Harm {
    Flip(u64, u8),
    Cut(u64),
    Remove,
}

fn harm(path: &Path, harm: Harm) {
    let mut bytes = fs::read(path).unwrap();
    match harm {
        Harm::Flip(at, bit) => bytes[usize::try_from(at).unwrap()] ^= 1 << bit,
        Harm::Cut(len) => bytes.truncate(usize::try_from(len).unwrap()),
        Harm::Remove => return fs::remove_file(path).unwrap(),
    }
    fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_damaged_is_named_at_start() {
    let (mut rng, dir) = (
        Rng::new(seed()).part("damage"),
        tempfile::tempdir().unwrap(),
    );
    let events = workload(rng.below(1 << 30));
    let feed = Feed::embedded(&dir.path().join("log")).await;
    let (whole, store) = (dir.path().join("whole"), MemoryStore::default());
    let job = start(&whole, &feed, &store).await.unwrap();
    let (many, few) = events.split_at(events.len() - 6_000);
    for piece in many.chunks(many.len() / 5) {
        feed.append(piece).await;
        // Housekeeping looks every half second.
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    // A compaction begins a segment: until one holds ticks.
    let mut pieces = few.chunks(300);
    let killed = loop {
        let piece = pieces.next().expect("a segment that holds ticks");
        feed.append(piece).await;
        drained(&job, piece.last().unwrap().meta.received_at.0).await;
        let killed = Folder::killed(&whole, &dir.path().join("killed")).await;
        if killed.len(&killed.newest()) > 4 * LAST_BYTES {
            break killed;
        }
    };
    job.stop().await.unwrap();
    let stopped = Folder::read(&whole);
    for kind in KINDS {
        let is_there = |name: &PathBuf| name.to_string_lossy().contains(kind);
        assert!(
            stopped.names.iter().any(is_there),
            "the run left no {kind}: {:?}",
            stopped.names
        );
    }
    let mut trials = Trials {
        feed,
        store,
        hurt: dir.path().join("hurt"),
        tried: 0,
        unnoticed: 0,
    };
    for name in &stopped.names {
        for done in harms(&mut rng, stopped.len(name), FLIPS) {
            trials.start(&stopped, name, done, MARK_BYTES).await;
        }
    }
    let name = killed.newest();
    let len = killed.len(&name);
    for done in harms(&mut rng, len, 12) {
        trials.start(&killed, &name, done, 0).await;
    }
    for _ in 0..4 {
        // In the last ticks nothing vouches for what is whole but what was acknowledged of it.
        let cut = Harm::Cut(len - 1 - rng.below(LAST_BYTES));
        trials.start(&killed, &name, cut, 0).await;
    }
    let Trials {
        tried, unnoticed, ..
    } = trials;
    println!(
        "{tried} damages in {} files, {unnoticed} in the mark of a clean stop",
        stopped.names.len()
    );
    assert!(tried > 100, "{tried}");
}

/// What is done to a file of this length.
fn harms(rng: &mut Rng, len: u64, flips: usize) -> Vec<Harm> {
    let mut harms = vec![Harm::Remove];
    if len > 0 {
        harms.push(Harm::Cut(rng.below(len)));
        let flip = |rng: &mut Rng| Harm::Flip(rng.below(len), u8::try_from(rng.below(8)).unwrap());
        harms.extend((0..flips).map(|_| flip(rng)));
    }
    harms
}

struct Trials {
    feed: Feed,
    store: MemoryStore,
    hurt: PathBuf,
    tried: u64,
    unnoticed: u64,
}

impl Trials {
    /// Starts on a copy of a folder that was harmed; only the newest ticks' last bytes may go unnoticed.
    async fn start(&mut self, whole: &Folder, name: &Path, done: Harm, mark: u64) {
        copy(&whole.dir, &whole.names, &self.hurt).unwrap();
        let (path, newest) = (self.hurt.join(name), whole.newest());
        let len = whole.len(name);
        harm(&path, done);
        self.tried += 1;
        let what = format!("{} of {len} bytes, {done:?}", name.display());
        match start(&self.hurt, &self.feed, &self.store).await {
            Err(error) => {
                let said = error.in_full();
                // A tick log that ends early lacks what was acknowledged; without its progress the archive counts as
                // missing. Both are said as what they are.
                let is_apart = *name == newest || name.ends_with("ledger/progress");
                let is_apart = is_apart && said.contains("they are not of one time");
                let mut file = path.display().to_string();
                if matches!(done, Harm::Remove) && name.to_string_lossy().starts_with("ticks-") {
                    // A segment's name is its first tick: of a missing one the next is known, or the first tick that is needed.
                    file = self.hurt.join("ticks-").display().to_string();
                }
                assert!(said.contains(&file) || is_apart, "{what}: {said}");
            }
            Ok(job) => {
                job.stop().await.unwrap();
                self.unnoticed += 1;
                let from = match done {
                    Harm::Flip(at, _) | Harm::Cut(at) => at,
                    Harm::Remove => 0,
                };
                assert!(
                    *name == newest && from + mark >= len,
                    "{what} went unnoticed"
                );
            }
        }
    }
}
