//! Figures of the journal on this machine: offer and append, memory of the head, open and load, compaction.
//!
//! `cargo run --release -p hostread-journal --example figures -- 5000000 [folder]`
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use hostread_disk::{Disk, RealDisk};
use hostread_journal::Journal;
use hostread_schemas::fact::{Fact, FactBody, RequestFact};
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{
    AgentId, Day, EnclosureId, EventTimeMs, HouseholdId, ListenerId, NameKind, NetId, TenantId,
    Tick,
};

const TICK_EVENTS: u64 = 10_000;

/// A request as a busy month has them: 200,000 listeners, 2,000 enclosures, 60 days.
fn request(hasher: IdHasher, number: u64, count: u64) -> Fact {
    let listener = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    let name = |kind, n: u64| hasher.derived(kind, &[n]).lo;
    Fact {
        tenant: TenantId(0x1234_5678_9ABC_DEF0),
        time: EventTimeMs(1_780_000_000_000 + (number * 60 * 86_400_000 / count) as i64),
        id: hasher.derived(1, &[number]),
        body: FactBody::Request(RequestFact {
            enclosure: EnclosureId(name(2, listener % 2000)),
            listener: ListenerId(name(3, listener % 200_000)),
            household: HouseholdId(name(4, listener % 150_000)),
            net: NetId(name(5, listener % 50_000)),
            agent: AgentId(name(6, listener % 500)),
            sent_first: 0,
            sent_bytes: 30_000_000 + number % 1_000_000,
            total_bytes: 48_000_000,
            status: 200,
            ..RequestFact::default()
        }),
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let count: u64 = args.next().map_or(5_000_000, |text| text.parse().unwrap());
    let dir = args
        .next()
        .map_or_else(|| PathBuf::from("figures.journal"), PathBuf::from);
    let hasher = IdHasher::new([1; 16]);
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let opened = Journal::open(Arc::clone(&disk), &dir, 7, hasher).unwrap();
    let (journal, mut head) = (opened.journal, opened.head);
    let none: [(NameKind, u64, &str); 0] = [];
    let (mut offering, mut cutting, mut appending, mut syncing) = (0.0, 0.0, 0.0, 0.0);
    for tick in 0..count / TICK_EVENTS {
        let facts: Vec<Fact> = (0..TICK_EVENTS)
            .map(|at| request(hasher, tick * TICK_EVENTS + at, count))
            .collect();
        let at = Instant::now();
        for fact in facts {
            let offered = head.offer(fact, 0, &none, Day(0));
            assert_eq!(offered, hostread_journal::Offered::Added);
        }
        offering += at.elapsed().as_secs_f64();
        let at = Instant::now();
        let record = head.cut(&journal).unwrap();
        cutting += at.elapsed().as_secs_f64();
        let at = Instant::now();
        journal.append(&record).unwrap();
        appending += at.elapsed().as_secs_f64();
        let at = Instant::now();
        journal.sync().unwrap();
        syncing += at.elapsed().as_secs_f64();
    }
    let per = |secs: f64| secs * 1e6 / count as f64;
    let main = offering + cutting + appending;
    println!(
        "offer {:.3} + cut {:.3} + append {:.3} = {:.3} us/event ({:.2} M/s); write and fsync {:.3} us/event beside it",
        per(offering),
        per(cutting),
        per(appending),
        per(main),
        count as f64 / main / 1e6,
        per(syncing),
    );
    println!(
        "head: {:.1} bytes a live event",
        head.bytes() as f64 / head.live_count() as f64
    );
    println!(
        "tick log: {:.1} bytes an event",
        folder_bytes(disk.as_ref(), &dir) as f64 / count as f64
    );
    drop(head);
    let last = journal.appended();
    drop(journal);
    open_and_load(&disk, &dir, hasher, "from the tick log");
    let opened = Journal::open(Arc::clone(&disk), &dir, 7, hasher).unwrap();
    let at = Instant::now();
    opened.journal.compact(Tick(last.0 * 9 / 10)).unwrap();
    println!("compact {:.2} s", at.elapsed().as_secs_f64());
    drop(opened);
    println!(
        "folder: {:.1} bytes an event",
        folder_bytes(disk.as_ref(), &dir) as f64 / count as f64
    );
    open_and_load(&disk, &dir, hasher, "9 of 10 compacted");
}

fn folder_bytes(disk: &dyn Disk, dir: &std::path::Path) -> u64 {
    let names = disk.list(dir).unwrap();
    names
        .iter()
        .map(|name| disk.open_read(&dir.join(name)).unwrap().len().unwrap())
        .sum()
}

fn open_and_load(disk: &Arc<dyn Disk>, dir: &std::path::Path, hasher: IdHasher, what: &str) {
    let at = Instant::now();
    let opened = Journal::open(Arc::clone(disk), dir, 7, hasher).unwrap();
    let open = at.elapsed().as_secs_f64();
    let at = Instant::now();
    let mut facts = 0;
    opened
        .journal
        .load(opened.last, &mut |slice| facts += slice.len())
        .unwrap();
    let load = at.elapsed().as_secs_f64();
    println!(
        "{what}: open {open:.2} s + load {load:.2} s = {:.2} s for {facts} live events",
        open + load
    );
}
