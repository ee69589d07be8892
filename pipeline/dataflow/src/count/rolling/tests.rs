//! What was open at a release, whenever it comes beside what it is about.

use hostread_rules::publish::Horizons;
use hostread_schemas::fact::{EpisodeFact, RequestFact};
use hostread_schemas::unit::HOUR_MS;
use hostread_schemas::view::{ViewKey, ViewValue};
use hostread_schemas::{AgentId, EnclosureId, EventId, EventTimeMs, HouseholdId, TenantId, Tick};

use super::*;
use crate::{Dataflow, Output};

const HOUSEHOLD: HouseholdId = HouseholdId(7);
const LISTENER: ListenerId = ListenerId(8);
const EPISODE: EpisodeId = EpisodeId(9);
const RELEASED: Day = Day(20_000);

fn fact(id: u64, time: EventTimeMs, body: FactBody) -> Fact {
    Fact {
        tenant: TenantId(1),
        time,
        id: EventId { hi: 0, lo: id },
        body,
    }
}

fn episode() -> Fact {
    let episode = EpisodeFact {
        episode: EPISODE,
        enclosures: vec![EnclosureId(1)],
        size_bytes: 100,
        ..EpisodeFact::default()
    };
    fact(1, EventTimeMs(0), FactBody::Episode(episode))
}

/// A whole file, so many hours after the released day.
fn request(id: u64, hours: i64) -> Fact {
    let request = RequestFact {
        enclosure: EnclosureId(1),
        status: 200,
        sent_bytes: 100,
        agent: AgentId(1),
        household: HOUSEHOLD,
        listener: LISTENER,
        ..RequestFact::default()
    };
    let time = EventTimeMs(RELEASED.end().0 + hours * HOUR_MS);
    fact(id, time, FactBody::Request(request))
}

/// A window of a download was open until ten hours after the released day, whose last request came an hour before its end.
fn carried() -> Fact {
    let open = OpenWindows {
        first_until: Some(EventTimeMs(RELEASED.end().0 + 10 * HOUR_MS)),
        last: EventTimeMs(RELEASED.end().0 - HOUR_MS),
    };
    let carry = Carry::Windows {
        day: RELEASED,
        household: HOUSEHOLD,
        listener: LISTENER,
        episode: EPISODE,
        open,
    };
    fact(2, RELEASED.end(), FactBody::Carry(carry))
}

/// Downloads by window and day after the released one, in the end.
fn downloads(workers: usize, ticks: Vec<Vec<(Fact, i64)>>) -> Vec<(WindowKind, i32, i64)> {
    let dataflow = Dataflow::start(workers, Horizons::default()).expect("threads start");
    let upper = Tick(ticks.len() as u64);
    let mut updates = Vec::new();
    for (facts, tick) in ticks.into_iter().zip(0..) {
        dataflow.feed(Tick(tick), facts, None);
        dataflow.advance(Tick(tick + 1));
    }
    assert!(dataflow.wait(upper, &mut updates));
    let rows = updates.into_iter().filter_map(|(output, _, diff)| {
        let Output::Row(row) = output else {
            return None;
        };
        let (ViewKey::DownloadsDaily(key), ViewValue::DownloadsDaily(value)) = (row.key, row.value)
        else {
            return None;
        };
        let day = key.day.0 - RELEASED.0;
        Some(((key.window, day, value.downloads), diff))
    });
    let mut rows: Vec<_> = rows.collect();
    consolidate(&mut rows);
    assert!(rows.iter().all(|(_, count)| *count == 1), "{rows:?}");
    rows.into_iter().map(|(row, _)| row).collect()
}

#[test]
fn what_was_open_may_come_before_with_or_after_the_days_behind_it() {
    use WindowKind::{CalendarDay, FirstTouch, LastTouch};
    let of = |facts: &[Fact]| {
        facts
            .iter()
            .map(|fact| (fact.clone(), 1))
            .collect::<Vec<_>>()
    };
    // The first belongs to the open window, the second begins one, the third is of that and of one chain; a day later all is new.
    let requests = [
        request(3, 5),
        request(4, 11),
        request(5, 30),
        request(6, 80),
    ];
    let expected = vec![
        (CalendarDay, 1, 1),
        (CalendarDay, 2, 1),
        (CalendarDay, 4, 1),
        (FirstTouch, 1, 1),
        (FirstTouch, 4, 1),
        (LastTouch, 4, 1),
    ];
    // Without what was open the first begins a window and a chain.
    let without = vec![
        (CalendarDay, 1, 1),
        (CalendarDay, 2, 1),
        (CalendarDay, 4, 1),
        (FirstTouch, 1, 1),
        (FirstTouch, 2, 1),
        (FirstTouch, 4, 1),
        (LastTouch, 1, 1),
        (LastTouch, 4, 1),
    ];
    let (known, open) = ([episode()], [carried()]);
    let orders = [
        vec![of(&known), of(&open), of(&requests)],
        vec![of(&known), of(&requests), of(&open)],
        vec![of(&known), of(&[&open[..], &requests].concat())],
        vec![of(&requests), of(&open), of(&known)],
        vec![
            of(&open),
            of(&requests[1..]),
            of(&known),
            of(&requests[..1]),
        ],
    ];
    for ticks in orders {
        for workers in [1, 3] {
            assert_eq!(
                downloads(workers, ticks.clone()),
                expected,
                "{workers} workers"
            );
        }
        let mut gone = ticks;
        gone.push(vec![(carried(), -1)]);
        assert_eq!(downloads(2, gone), without);
    }
}
