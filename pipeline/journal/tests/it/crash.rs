//! Power fails at any call: what was synced is there, and nothing else than a prefix of what was appended.

use std::collections::{BTreeMap, BTreeSet};

use hostread_disk::SimDisk;
use hostread_schemas::Tick;
use hostread_schemas::fact::Fact;
use proptest::prelude::*;

use crate::support::{Record, Rig, drawn, record};

/// A small life of a journal; returns what `sync` acknowledged and all folds, when power fails or at the end.
struct Lived {
    acknowledged: Tick,
    since: Tick,
    folds: BTreeMap<Tick, BTreeSet<Fact>>,
}

fn live(disk: &SimDisk, records: &[Record]) -> Lived {
    let mut lived = Lived {
        acknowledged: Tick(0),
        since: Tick(0),
        folds: BTreeMap::from([(Tick(0), BTreeSet::new())]),
    };
    let Ok(mut rig) = Rig::over(disk.clone()) else {
        return lived;
    };
    for (at, record) in records.iter().enumerate() {
        rig.offer(record);
        if at % 3 == 2 {
            let cut = rig.cut();
            lived.folds.clone_from(&rig.folds);
            if cut.is_err() {
                return lived;
            }
        }
        if at % 7 == 6 {
            match rig.journal.sync() {
                Ok(synced) => lived.acknowledged = synced,
                Err(_) => return lived,
            }
        }
        if at % 11 == 10 {
            let since = Tick(rig.journal.synced().0.saturating_sub(1));
            if since > lived.since {
                // From here on either state may be found.
                if rig.journal.compact(since).is_err() {
                    return lived;
                }
                lived.since = since;
            }
        }
    }
    lived
}

/// After a crash: opens, and is a prefix that holds all that was acknowledged. Says whether it held.
fn survives(disk: &SimDisk, lived: &Lived) -> Result<(), String> {
    disk.crash();
    let rig = Rig::over(disk.clone()).map_err(|error| format!("does not open: {error:?}"))?;
    let last = rig.last();
    if last < lived.acknowledged {
        return Err(format!("{} acknowledged, {last} there", lived.acknowledged));
    }
    for (tick, fold) in &rig.folds {
        if lived.folds.get(tick) != Some(fold) {
            return Err(format!("tick {tick} is not what was appended"));
        }
    }
    if rig.journal.since() < lived.since {
        return Err("since went back".to_owned());
    }
    rig.check_loads();
    // It goes on: one more tick, compacted, reopened.
    let mut rig = rig;
    rig.cut().map_err(|error| error.to_string())?;
    rig.journal.sync().map_err(|error| error.to_string())?;
    rig.journal
        .compact(rig.last())
        .map_err(|error| error.to_string())?;
    rig.check_loads();
    rig.reopen();
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn power_fails_at_any_call(records in prop::collection::vec(record(10), 44), seed: u64) {
        let whole = SimDisk::new(seed);
        live(&whole, &records);
        for step in 1..=whole.steps() {
            let disk = SimDisk::new(seed ^ step);
            disk.power_off_at(step);
            let lived = live(&disk, &records);
            if let Err(why) = survives(&disk, &lived) {
                panic!("power off at step {step} of {}: {why}", whole.steps());
            }
        }
    }
}

/// Whether some crash shows that syncs of files (or of folders) do nothing.
fn noticed(ignore: impl Fn(&SimDisk)) -> bool {
    let records = drawn(10, 44);
    let whole = SimDisk::new(5);
    live(&whole, &records);
    (1..=whole.steps()).any(|step| {
        let disk = SimDisk::new(step);
        ignore(&disk);
        disk.power_off_at(step);
        let lived = live(&disk, &records);
        survives(&disk, &lived).is_err()
    })
}

#[test]
fn a_lost_fsync_is_noticed() {
    assert!(!noticed(|_| ()), "control");
    assert!(noticed(|disk| disk.ignore_sync(true)));
}

#[test]
fn a_lost_fsync_of_the_folder_is_noticed() {
    assert!(noticed(|disk| disk.ignore_sync_dir(true)));
}

#[test]
fn a_full_disk_loses_nothing_and_goes_on() {
    let mut rig = Rig::new(3);
    rig.cut().unwrap();
    rig.journal.sync().unwrap();
    rig.disk.set_free_bytes(Some(0));
    rig.cut().unwrap();
    assert!(rig.journal.sync().is_err());
    rig.cut().unwrap();
    assert!(rig.journal.sync().is_err());
    rig.disk.set_free_bytes(None);
    assert_eq!(rig.journal.sync().unwrap(), Tick(3));
    rig.check_loads();
    rig.reopen();
}
