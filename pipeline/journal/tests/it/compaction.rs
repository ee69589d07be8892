//! Compaction at any moment changes no answer, also beside readers and writers.

use std::sync::atomic::{AtomicBool, Ordering};

use hostread_schemas::Tick;
use proptest::prelude::*;

use crate::support::{Rig, drawn, fold, record};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn compaction_changes_no_answer(
        records in prop::collection::vec((record(15), 0..10u8, any::<u64>()), 1..80),
    ) {
        let mut rig = Rig::new(1);
        for (record, what, pick) in &records {
            rig.offer(record);
            if what % 3 == 0 {
                rig.cut().unwrap();
            }
            if *what == 1 {
                rig.journal.sync().unwrap();
            }
            if *what == 2 {
                let (since, synced) = (rig.journal.since().0, rig.journal.synced().0);
                rig.journal.compact(Tick(since + pick % (synced - since + 1))).unwrap();
                rig.check_loads();
            }
        }
        rig.cut().unwrap();
        rig.journal.sync().unwrap();
        rig.check_loads();
        let ticks = rig.journal.ticks(rig.journal.since().next()).unwrap();
        let mut live = rig.folds[&rig.journal.since()].clone();
        for record in ticks {
            let record = record.unwrap();
            fold(&mut live, &record);
            prop_assert_eq!(&live, &rig.folds[&record.tick]);
        }
        rig.reopen();
    }
}

#[test]
fn readers_go_on_while_files_are_replaced() {
    let mut rig = Rig::new(1);
    for record in drawn(1000, 30) {
        rig.offer(&record);
        rig.cut().unwrap();
        rig.journal.sync().unwrap();
    }
    let mut ticks = rig.journal.ticks(Tick(1)).unwrap();
    let mut live = std::collections::BTreeSet::new();
    for since in [10, 20, 30] {
        let record = ticks.next().unwrap().unwrap();
        fold(&mut live, &record);
        rig.journal.compact(Tick(since)).unwrap();
    }
    for record in ticks {
        fold(&mut live, &record.unwrap());
    }
    assert_eq!(
        &live,
        rig.live(),
        "all 30 ticks, although since moved past them"
    );
    rig.cut().unwrap();
    rig.journal.sync().unwrap();
    rig.journal.compact(rig.last()).unwrap();
    let segments = rig.disk_files("ticks-").len();
    assert_eq!(segments, 1, "what the reader held is gone now");
}

#[test]
fn a_disk_without_room_for_a_compaction_leaves_all_as_it_was() {
    let mut rig = Rig::new(1);
    let records = drawn(300, 90);
    for (number, record) in records.iter().enumerate() {
        rig.offer(record);
        if number % 10 == 9 {
            rig.cut().unwrap();
            rig.journal.sync().unwrap();
        }
        if number == 29 {
            rig.journal.compact(rig.last()).unwrap();
        }
    }
    let (before, since) = (rig.disk_files(""), rig.journal.since());
    let mut refused = 0;
    for free in (0..).step_by(97) {
        rig.disk.set_free_bytes(Some(free));
        let compacted = rig.journal.compact(rig.last());
        rig.disk.set_free_bytes(None);
        let Err(error) = compacted else {
            break;
        };
        assert!(error.is_no_space(), "{free}: {error:?}");
        refused += 1;
        assert_eq!(rig.journal.since(), since);
        let facts = |files: &[String]| -> Vec<String> {
            let is_ours = |name: &&String| name.starts_with("facts-") || name.starts_with("names-");
            files.iter().filter(is_ours).cloned().collect()
        };
        assert_eq!(facts(&rig.disk_files("")), facts(&before), "{free}");
        rig.check_loads();
    }
    assert!(refused > 20, "{refused}");
    assert_eq!(rig.journal.since(), rig.last());
    rig.cut().unwrap();
    rig.journal.sync().unwrap();
    rig.check_loads();
    rig.reopen();
}

/// Stops the other threads, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn append_sync_compact_and_find_on_their_own_threads() {
    let records = drawn(40, 3000);
    let mut rig = Rig::new(1);
    let done = AtomicBool::new(false);
    let Rig {
        journal,
        head,
        folds,
        ..
    } = &mut rig;
    let journal = &*journal;
    std::thread::scope(|scope| {
        let _stop = Stop(&done);
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                journal.sync().unwrap();
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                journal.compact(journal.synced()).unwrap();
            }
        });
        let mut live = std::collections::BTreeSet::new();
        for chunk in records.chunks(3) {
            for record in chunk {
                let offered = head.offer(
                    record.fact.clone(),
                    record.revision,
                    &record.names,
                    crate::support::NEVER,
                );
                assert!(!matches!(offered, hostread_journal::Offered::Refused(_)));
            }
            let cut = head.cut(journal).unwrap();
            journal.append(&cut).unwrap();
            fold(&mut live, &cut);
            folds.insert(cut.tick, live.clone());
        }
    });
    rig.journal.sync().unwrap();
    rig.check_loads();
    rig.reopen();
}
