//! A reader who does not own the journal sees one tick's live facts, whatever the owner does meanwhile, and writes nothing.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hostread_disk::Disk;
use hostread_journal::Snapshot;
use hostread_schemas::Day;
use hostread_schemas::fact::{Fact, RetentionClass};
use hostread_schemas::intern::IdHasher;
use proptest::prelude::*;

use crate::support::{DIR, Rig, drawn, hasher, record};

fn read(rig_disk: &hostread_disk::SimDisk) -> Snapshot {
    let disk: Arc<dyn Disk> = Arc::new(rig_disk.clone());
    Snapshot::read(&disk, Path::new(DIR), hasher())
        .unwrap()
        .unwrap()
}

fn live(snapshot: &Snapshot) -> BTreeSet<Fact> {
    let mut live = BTreeSet::new();
    let mut add = |class, day| {
        let each = &mut |fact: Fact| assert!(live.insert(fact), "a fact comes twice");
        snapshot.facts(class, day, each).unwrap();
    };
    add(RetentionClass::Reference, Day(0));
    for class in [RetentionClass::Exposure, RetentionClass::Conversion] {
        for day in snapshot.days(class) {
            add(class, day);
        }
    }
    live
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_snapshot_is_the_live_facts_of_its_tick(
        records in prop::collection::vec((record(15), 0..10u8), 1..60),
    ) {
        let mut rig = Rig::new(1);
        for (record, what) in &records {
            rig.offer(record);
            if what % 3 == 0 {
                rig.cut().unwrap();
            }
            if *what == 1 {
                rig.journal.sync().unwrap();
            }
            if *what == 2 {
                rig.journal.compact(rig.journal.synced()).unwrap();
            }
            if what % 4 == 0 {
                let snapshot = read(&rig.disk);
                prop_assert_eq!(snapshot.last, rig.journal.synced());
                let ought = &rig.folds[&snapshot.last];
                prop_assert_eq!(&live(&snapshot), ought);
                for (record, _) in &records {
                    let found = snapshot.find(record.fact.id).unwrap();
                    let there = ought.iter().find(|fact| fact.id == record.fact.id);
                    prop_assert_eq!(found.as_ref(), there);
                }
            }
        }
    }
}

/// Ends the other thread, also when the test fails.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn compactions_take_nothing_away_from_a_reader() {
    let mut rig = Rig::new(1);
    let disk = rig.disk.clone();
    let done = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let snapshot = read(&disk);
                // Slow enough for what it reads to be replaced.
                std::thread::yield_now();
                seen.push((snapshot.last, live(&snapshot)));
            }
            seen
        });
        let done = Done(&done);
        for records in drawn(40, 900).chunks(3) {
            for record in records {
                rig.offer(record);
            }
            rig.cut().unwrap();
            rig.journal.sync().unwrap();
            rig.journal.compact(rig.journal.synced()).unwrap();
        }
        drop(done);
        reader.join().unwrap()
    });
    assert!(seen.len() > 3, "{} snapshots", seen.len());
    for (tick, live) in seen {
        assert_eq!(rig.folds.get(&tick), Some(&live), "{tick}");
    }
}

#[test]
fn no_journal_and_a_journal_of_another_key() {
    let rig = Rig::new(1);
    let disk: Arc<dyn Disk> = Arc::new(rig.disk.clone());
    let none = Snapshot::read(&disk, Path::new("elsewhere"), hasher());
    assert!(none.unwrap().is_none());
    assert!(!disk.exists(Path::new("elsewhere")).unwrap());
    let other = Snapshot::read(&disk, Path::new(DIR), IdHasher::new([8; 16]));
    assert!(other.unwrap_err().to_string().contains("another key"));
}
