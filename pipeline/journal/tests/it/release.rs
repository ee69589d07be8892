//! A release takes exactly the facts of its days, and with the next compaction their bytes are gone.

use std::collections::BTreeSet;
use std::path::Path;

use hostread_disk::read_all;
use hostread_journal::{Offered, ReleaseRecord};
use hostread_schemas::fact::{Carry, Fact, FactBody, RetentionClass};
use hostread_schemas::{Day, Hour, LineId, NameKind};
use proptest::prelude::*;

use crate::support::{DIR, NEVER, Rig, drawn, hasher, record};

const THROUGH: ReleaseRecord = ReleaseRecord {
    exposures_through: Day(3),
    conversions_through: Day(1),
};

fn goes(fact: &Fact) -> bool {
    match fact.body.class() {
        RetentionClass::Exposure => fact.time.day() <= THROUGH.exposures_through,
        RetentionClass::Conversion => fact.time.day() <= THROUGH.conversions_through,
        RetentionClass::Reference => false,
    }
}

/// A release before that one.
const EARLIER: ReleaseRecord = ReleaseRecord {
    exposures_through: Day(1),
    conversions_through: Day(0),
};

fn carry() -> Fact {
    Fact {
        tenant: hostread_schemas::TenantId(1),
        time: Day(2).start(),
        id: hasher().derived(9, &[1]),
        body: FactBody::Carry(Carry::Delivery {
            line: LineId(1),
            day: Day(2),
            delivered: 3,
            billable: 2,
            last_hour: Hour(50),
        }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_release_takes_its_days(
        records in prop::collection::vec((record(40), 0..6u8), 10..80),
        earlier in prop::option::of(0..80usize),
        synced: bool,
        reopened: (bool, bool),
    ) {
        let mut rig = Rig::new(1);
        for (at, (record, what)) in records.iter().enumerate() {
            if earlier == Some(at) {
                rig.cut().unwrap();
                rig.release(EARLIER).unwrap();
            }
            let sealed = rig.released.map_or(NEVER, |released| released.exposures_through);
            rig.offer_sealed(record, sealed);
            match what {
                0 => drop(rig.cut().unwrap()),
                1 => {
                    rig.journal.sync().unwrap();
                    rig.journal.compact(rig.journal.synced()).unwrap();
                }
                _ => {}
            }
        }
        rig.cut().unwrap();
        let before = rig.live().clone();
        if synced {
            rig.journal.sync().unwrap();
            if reopened.0 {
                rig = rig.reopen();
            }
        }
        prop_assert_eq!(rig.head.carry(carry()).unwrap(), Offered::Added);
        let record = rig.release(THROUGH).unwrap();
        let gone: BTreeSet<Fact> = record.events.iter().filter(|(_, d)| *d < 0).map(|(f, _)| f.clone()).collect();
        let expected: BTreeSet<Fact> = before.iter().filter(|fact| goes(fact)).cloned().collect();
        prop_assert_eq!(&gone, &expected);
        prop_assert_eq!(record.events.len(), gone.len() + 1, "and the carry");
        prop_assert_eq!(rig.head.live_count(), rig.live().len());
        rig.journal.sync().unwrap();
        if reopened.1 {
            rig = rig.reopen();
            prop_assert_eq!(rig.released, Some(THROUGH));
        }
        rig.check_loads();
        // A late delivery of a released event does not come back.
        for (record, _) in &records {
            if goes(&record.fact) && gone.contains(&record.fact) {
                let offered = rig.head.offer(record.fact.clone(), record.revision, &record.names, THROUGH.exposures_through);
                prop_assert_eq!(offered, Offered::Late(record.fact.time.day()));
            }
        }
        rig.cut().unwrap();
        rig.journal.sync().unwrap();
        rig.journal.compact(rig.last()).unwrap();
        for fact in &gone {
            prop_assert_eq!(rig.files_with(fact), Vec::<String>::new(), "{:?} is still there", fact);
        }
        // The search finds what is there, but for the few ids that packing splits.
        let found = rig.live().iter().filter(|fact| rig.files_with(fact).len() == 1).count();
        prop_assert!(found * 4 >= rig.live().len() * 3, "{} of {}", found, rig.live().len());
        rig.reopen();
    }
}

#[test]
fn a_carry_is_replaced_and_taken_away() {
    let mut rig = Rig::new(1);
    assert_eq!(rig.head.carry(carry()).unwrap(), Offered::Added);
    rig.cut().unwrap();
    assert_eq!(rig.head.carry(carry()).unwrap(), Offered::Duplicate);
    let mut other = carry();
    other.time = Day(7).start();
    assert_eq!(rig.head.carry(other.clone()).unwrap(), Offered::Corrected);
    assert_eq!(
        rig.cut().unwrap().events,
        vec![(carry(), -1), (other.clone(), 1)]
    );
    rig.journal.sync().unwrap();
    let mut rig = rig.reopen();
    assert!(rig.head.retract(other.id) && !rig.head.retract(other.id));
    assert_eq!(rig.cut().unwrap().events, vec![(other.clone(), -1)]);
    // Taken away and back in one tick is nothing.
    assert_eq!(rig.head.carry(other.clone()).unwrap(), Offered::Added);
    rig.cut().unwrap();
    assert!(rig.head.retract(other.id));
    assert_eq!(rig.head.carry(other.clone()).unwrap(), Offered::Added);
    assert_eq!(rig.cut().unwrap().events, vec![]);
    rig.journal.sync().unwrap();
    rig.check_loads();
    rig.reopen();
}

#[test]
fn a_release_is_of_the_state_that_it_read() {
    let mut rig = Rig::new(1);
    let going = rig.journal.going(None, THROUGH).unwrap();
    rig.offer(&drawn(4, 1).remove(0));
    rig.cut().unwrap();
    let refused = rig.head.release(&rig.journal, going).unwrap_err();
    assert!(
        refused.to_string().contains("came before its release"),
        "{refused}"
    );
}

#[test]
fn a_release_refuses_changes_to_what_it_releases() {
    let mut rig = Rig::new(1);
    let mut record = drawn(4, 1).remove(0);
    record.fact.body = FactBody::Request(hostread_schemas::fact::RequestFact::default());
    record.fact.time = Day(3).start();
    let none: [(NameKind, u64, &str); 0] = [];
    let offered = rig.head.offer(record.fact.clone(), 0, &none, Day(-9));
    assert_eq!(offered, Offered::Added);
    assert!(rig.release(THROUGH).is_err());
}

impl Rig {
    /// Names of files in the journal's folder that start like this.
    pub(crate) fn disk_files(&self, prefix: &str) -> Vec<String> {
        let names = hostread_disk::Disk::list(&self.disk, Path::new(DIR)).unwrap();
        names
            .into_iter()
            .filter(|name| name.starts_with(prefix))
            .collect()
    }

    /// Files whose bytes hold the fact's id (its second half: nothing else has these bytes).
    fn files_with(&self, fact: &Fact) -> Vec<String> {
        let mut needle = Vec::new();
        let mut rest = fact.id.lo;
        while rest >= 0x80 {
            needle.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        needle.push(rest as u8);
        let holds = |name: &String| {
            let bytes = read_all(&self.disk, &Path::new(DIR).join(name)).unwrap();
            bytes.windows(needle.len()).any(|window| window == needle)
        };
        self.disk_files("").into_iter().filter(holds).collect()
    }
}
