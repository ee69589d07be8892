//! The live set depends on which records there were, not on their order, the cuts between them, or restarts.

use std::collections::BTreeSet;

use hostread_journal::{Offered, Refusal, precedence};
use hostread_schemas::fact::{Fact, FactBody, RequestFact};
use hostread_schemas::{Day, EventId, EventTimeMs, NameKind, TenantId, Tick};
use proptest::prelude::*;

use crate::support::{Model, NEVER, Record, Rig, record};

/// What happens after a record.
#[derive(Clone, Copy, Debug)]
enum Then {
    Go,
    Cut,
    Sync,
    Compact,
    Reopen,
}

fn then() -> impl Strategy<Value = Then> {
    prop_oneof![
        12 => Just(Then::Go),
        4 => Just(Then::Cut),
        2 => Just(Then::Sync),
        1 => Just(Then::Compact),
        1 => Just(Then::Reopen),
    ]
}

fn run(records: &[Record], steps: &[Then]) -> BTreeSet<Fact> {
    let mut rig = Rig::new(1);
    for (at, record) in records.iter().enumerate() {
        rig.offer(record);
        match steps[at % steps.len()] {
            Then::Go => {}
            Then::Cut => drop(rig.cut().unwrap()),
            Then::Sync => {
                rig.cut().unwrap();
                rig.journal.sync().unwrap();
            }
            Then::Compact => {
                let since = rig.journal.synced();
                rig.journal.compact(since).unwrap();
            }
            Then::Reopen => {
                rig.cut().unwrap();
                rig.journal.sync().unwrap();
                rig = rig.reopen();
            }
        }
    }
    rig.cut().unwrap();
    rig.journal.sync().unwrap();
    rig.check_loads();
    let rig = rig.reopen();
    assert_eq!(rig.head.live_count(), rig.live().len());
    rig.live().clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn the_live_set_is_a_function_of_the_set_of_records(
        (records, shuffled) in prop::collection::vec(record(12), 1..60)
            .prop_flat_map(|records| (Just(records.clone()), Just(records).prop_shuffle())),
        steps in prop::collection::vec(then(), 1..40),
        other_steps in prop::collection::vec(then(), 1..40),
    ) {
        let live = run(&records, &steps);
        Model::of(&records).check(&live);
        // The same records in another order, some of them twice.
        let again: Vec<Record> = shuffled.iter().chain(&records).cloned().collect();
        let other = run(&again, &other_steps);
        prop_assert_eq!(strip_agents(live), strip_agents(other));
    }
}

proptest! {
    #[test]
    fn of_two_facts_of_an_event_the_one_of_higher_precedence_is_live(
        (one, mut other) in (record(1), record(1)),
    ) {
        other.fact.tenant = one.fact.tenant;
        let of = |record: &Record| precedence(&record.fact, record.revision).unwrap();
        let best = if of(&one) < of(&other) { &other } else { &one };
        for order in [[&one, &other], [&other, &one]] {
            let mut rig = Rig::new(1);
            for record in order {
                rig.offer(record);
            }
            rig.cut().unwrap();
            let live = rig.live().iter().find(|fact| fact.id == one.fact.id);
            prop_assert_eq!(live, Some(&best.fact));
        }
    }
}

/// An agent's tenant is that of its first sight: in these records one agent id serves several tenants, which real ids cannot.
fn strip_agents(live: BTreeSet<Fact>) -> BTreeSet<Fact> {
    live.into_iter()
        .filter(|fact| !matches!(fact.body, FactBody::Agent(..)))
        .collect()
}

fn request(number: u64, day: i32, bytes: u64) -> Fact {
    Fact {
        tenant: TenantId(1),
        time: Day(day).start(),
        id: EventId { hi: 9, lo: number },
        body: FactBody::Request(RequestFact {
            sent_bytes: bytes,
            ..RequestFact::default()
        }),
    }
}

fn offer(rig: &mut Rig, fact: &Fact, revision: u32, sealed: i32) -> Offered {
    let none: [(NameKind, u64, &str); 0] = [];
    rig.head.offer(fact.clone(), revision, &none, Day(sealed))
}

#[test]
fn a_correction_becomes_minus_old_plus_new_wherever_the_old_one_is() {
    let mut rig = Rig::new(1);
    let old = request(1, 5, 10);
    assert_eq!(offer(&mut rig, &old, 0, 0), Offered::Added);
    assert_eq!(offer(&mut rig, &old, 0, 0), Offered::Duplicate);
    assert_eq!(rig.cut().unwrap().events, vec![(old.clone(), 1)]);
    for (round, compacted) in [(1, false), (2, true), (3, false)] {
        let before = rig.live().first().unwrap().clone();
        let new = request(1, 5 - round, 10 + round as u64);
        assert_eq!(offer(&mut rig, &new, round as u32, 0), Offered::Corrected);
        if compacted {
            rig.journal.sync().unwrap();
            rig.journal.compact(rig.last()).unwrap();
        }
        let record = rig.cut().unwrap();
        assert_eq!(record.events, vec![(new, 1), (before, -1)]);
    }
    assert_eq!(offer(&mut rig, &old, 2, 0), Offered::Duplicate, "overtaken");
    // There and back inside one tick: nothing happened but the revision.
    let now = rig.live().first().unwrap().clone();
    assert_eq!(
        offer(&mut rig, &request(1, 3, 99), 8, 0),
        Offered::Corrected
    );
    assert_eq!(offer(&mut rig, &now, 9, 0), Offered::Corrected);
    let record = rig.cut().unwrap();
    assert_eq!((record.events.len(), record.revisions.len()), (0, 1));
    rig.journal.sync().unwrap();
    let mut rig = rig.reopen();
    assert_eq!(
        offer(&mut rig, &request(1, 3, 99), 8, 0),
        Offered::Duplicate
    );
}

#[test]
fn sealed_days_refuse_and_count() {
    let mut rig = Rig::new(1);
    assert_eq!(
        offer(&mut rig, &request(1, 10, 1), 0, 10),
        Offered::Late(Day(10))
    );
    assert_eq!(offer(&mut rig, &request(2, 11, 1), 0, 10), Offered::Added);
    assert_eq!(
        offer(&mut rig, &request(3, 4, 1), 0, 10),
        Offered::Late(Day(4))
    );
    assert_eq!(
        offer(&mut rig, &request(4, 4, 1), 0, 10),
        Offered::Late(Day(4))
    );
    let record = rig.cut().unwrap();
    let late = vec![(TenantId(1), Day(4), 2), (TenantId(1), Day(10), 1)];
    assert_eq!((record.late, record.events.len()), (late, 1));
    // What it would correct is sealed by now.
    assert_eq!(
        offer(&mut rig, &request(2, 30, 1), 1, 11),
        Offered::Late(Day(11))
    );
    assert_eq!(
        offer(&mut rig, &request(2, 11, 1), 0, 11),
        Offered::Duplicate
    );
    let mut store = request(5, 0, 0);
    store.body = FactBody::Show(hostread_schemas::ShowId(1));
    assert_eq!(
        offer(&mut rig, &store, 0, 11),
        Offered::Added,
        "reference facts are never late"
    );
}

#[test]
fn what_cannot_be_taken_is_said() {
    let mut rig = Rig::new(1);
    for time in [
        i64::MAX,
        i64::MIN,
        EventTimeMs(0).0 + 86_400_000 * 4_000_000,
    ] {
        let mut fact = request(1, 0, 0);
        fact.time = EventTimeMs(time);
        assert_eq!(
            offer(&mut rig, &fact, 0, i32::MIN),
            Offered::Refused(Refusal::Time)
        );
    }
    let mut huge = request(2, 0, 0);
    huge.body = FactBody::Agent(hostread_schemas::AgentId(1), "x".repeat(9 << 20));
    assert_eq!(
        offer(&mut rig, &huge, 0, i32::MIN),
        Offered::Refused(Refusal::TooLarge)
    );
    let named = |text: &str| [(NameKind::Show, 5, text.to_owned())];
    let fact = request(3, 0, 0);
    assert_eq!(
        rig.head.offer(fact.clone(), 0, &named("a"), NEVER),
        Offered::Added
    );
    let other = request(4, 0, 0);
    let (kind, id) = (NameKind::Show, 5);
    let refused = Offered::Refused(Refusal::NameCollision { kind, id });
    assert_eq!(
        rig.head.offer(other.clone(), 0, &named("b"), NEVER),
        refused
    );
    let record = rig.cut().unwrap();
    assert_eq!(record.names, vec![(NameKind::Show, 5, "a".to_owned())]);
    assert_eq!(record.events, vec![(fact, 1)]);
    rig.journal.sync().unwrap();
    let mut rig = rig.reopen();
    assert_eq!(
        rig.head.offer(other, 0, &named("b"), NEVER),
        refused,
        "names survive"
    );
}

#[test]
fn an_agent_becomes_a_fact_at_first_sight() {
    let mut rig = Rig::new(1);
    let names = [(NameKind::Agent, 77, "Overcast/3".to_owned())];
    assert_eq!(
        rig.head.offer(request(1, 3, 1), 0, &names, NEVER),
        Offered::Added
    );
    assert_eq!(
        rig.head.offer(request(2, 3, 1), 0, &names, NEVER),
        Offered::Added
    );
    let record = rig.cut().unwrap();
    let agents: Vec<&Fact> = record
        .events
        .iter()
        .map(|(fact, _)| fact)
        .filter(|fact| matches!(&fact.body, FactBody::Agent(id, text) if id.0 == 77 && text == "Overcast/3"))
        .collect();
    assert_eq!(agents.len(), 1);
    assert_eq!(record.events.len(), 3);
    assert_eq!(
        rig.head.offer(request(3, 3, 1), 0, &names, NEVER),
        Offered::Added
    );
    assert_eq!(rig.cut().unwrap().events.len(), 1);
}

#[test]
fn ticks_come_in_order() {
    let mut rig = Rig::new(1);
    let mut record = rig.head.cut(&rig.journal).unwrap();
    record.tick = Tick(2);
    assert!(rig.journal.append(&record).is_err());
    record.tick = Tick(1);
    rig.journal.append(&record).unwrap();
    assert!(rig.journal.append(&record).is_err());
    assert!(rig.journal.compact(Tick(1)).is_err(), "not durable yet");
    assert!(rig.journal.load(Tick(2), &mut |_| ()).is_err());
}
