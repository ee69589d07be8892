//! When all has arrived: every record is in one tick, and the numbers are those of a run of its own.

use std::collections::BTreeSet;

use hostread_eventlog::{Offsets, ReadRecord};
use hostread_job::step::Stepper;
use hostread_schemas::{Decoder, EventTimeMs, HOUR_MS};
use hostread_simulate::rng::Rng;

use crate::net::{Place, SimLog, schema_ids};
use crate::run::{HASHER, HORIZONS};
use crate::shown::{Shown, numbers, same};
use crate::tape::Tape;

/// Checks a run that is over.
pub(crate) fn check(
    tape: &Tape,
    log: &SimLog,
    dead: &BTreeSet<(Place, u64)>,
    shown: &Shown,
    rng: &mut Rng,
) {
    assert_eq!(shown.upper(), tape.last().next(), "a sink lacks ticks");
    let hours = by_hour(tape, log);
    let decoder = Decoder::current(&schema_ids());
    let mut stepper = Stepper::new(1 + rng.index(2), HORIZONS, HASHER).unwrap();
    let mut rows = std::collections::BTreeMap::new();
    for (clock, mut records) in hours {
        // Within an hour the order says nothing.
        rng.shuffle(&mut records);
        stepper.go_to(clock).unwrap();
        for record in records {
            let Ok(event) = decoder.decode(&record.value) else {
                let place = (record.topic.to_string(), record.partition);
                let known = dead.contains(&(place, record.offset));
                assert!(known, "invariant 10: {record:?} is in no dead letter");
                continue;
            };
            stepper.offer(&event).unwrap();
            if rng.chance(1, 50) {
                stepper.close().unwrap();
            }
        }
        stepper.close().unwrap();
        for change in stepper
            .take_done()
            .into_iter()
            .flat_map(|tick| tick.changes)
        {
            match change.new {
                Some(new) => rows.insert(change.key, new),
                None => rows.remove(&change.key),
            };
        }
    }
    same(&numbers(shown.rows()), &numbers(&rows));
}

/// The records of the ticks of every hour, with the last clock of that hour.
fn by_hour(tape: &Tape, log: &SimLog) -> Vec<(EventTimeMs, Vec<ReadRecord>)> {
    let mut read = Offsets::new();
    let mut hours: Vec<(EventTimeMs, Vec<ReadRecord>)> = Vec::new();
    for tick in tape.ticks() {
        let mut records = Vec::new();
        for (place, to) in &tick.offsets {
            let from = read.insert(place.clone(), *to).unwrap_or(0);
            assert!(from <= *to, "invariant 10: {place:?} goes back to {to}");
            records.extend(log.records(place, from, *to));
        }
        let hour = |clock: EventTimeMs| clock.0.div_euclid(HOUR_MS);
        match hours.last_mut() {
            Some((clock, of_hour)) if hour(*clock) == hour(tick.clock) => {
                *clock = tick.clock;
                of_hour.append(&mut records);
            }
            _ => hours.push((tick.clock, records)),
        }
    }
    let ends = log.ends();
    for (place, end) in &ends {
        // What follows the last tick changed nothing: repeats and what cannot be read.
        assert!(read.get(place).is_none_or(|read| read <= end));
    }
    hours
}
