//! Listeners who come again and again, over weeks in which days are sealed and released: what goes over midnight.

use hostread_schemas::DAY_MS;
use hostread_schemas::unit::HOUR_MS;
use proptest::prelude::*;
use serde_json::json;

use super::drive::Drive;
use super::regressions::{episode, fact, home, said_at};
use super::world::{Given, START, near_horizons};

/// A request: hours since the one before, how late it comes, and what it is.
#[derive(Clone, Copy, Debug)]
struct Visit {
    hours: u8,
    late_hours: u8,
    household: u8,
    agent: u8,
    file: u8,
    part: u8,
}

fn visits() -> impl Strategy<Value = Vec<Visit>> {
    let hours = prop_oneof![3 => 1..12_u8, 3 => 18..26_u8, 1 => 23..25_u8, 1 => 40..60_u8];
    let late_hours = prop_oneof![3 => Just(0_u8), 2 => 1..24_u8, 1 => 24..70_u8];
    let what = (0..2_u8, 0..3_u8, 0..3_u8, 0..4_u8);
    let visit = (hours, late_hours, what).prop_map(|(hours, late_hours, what)| Visit {
        hours,
        late_hours,
        household: what.0,
        agent: what.1,
        file: what.2,
        part: what.3,
    });
    proptest::collection::vec(visit, 1..24)
}

/// What is known at the beginning, and what the visits ask for. `volume_max`: downloads of an address on a day; 0: any number.
fn given(visits: &[Visit], volume_max: u8) -> Vec<Given> {
    let rules = json!({"type": "rule_set", "rule_set": "r", "bot_agents": ["^bot"], "ip_volume_downloads_max": volume_max});
    let mut given = vec![
        fact("rules", rules),
        fact("one", episode("one", &["/a.mp3", "/b.mp3"])),
        fact("two", episode("two", &["/c.mp3"])),
    ];
    let mut clock = START.0;
    for (number, visit) in visits.iter().enumerate() {
        clock += i64::from(visit.hours) * HOUR_MS;
        given.push(Given::Hours(visit.hours));
        // Half of an hour each: few times are the same.
        let time = clock - i64::from(visit.late_hours) * HOUR_MS / 2;
        let (first, bytes) = [(0, 1_000), (0, 600), (600, 400), (0, 999)][usize::from(visit.part)];
        let enclosure = ["/a.mp3", "/b.mp3", "/c.mp3"][usize::from(visit.file)];
        let agent = ["player", "radio", "bot"][usize::from(visit.agent)];
        let request = json!({"type": "request", "status": 200, "sent_first": first, "sent_bytes": bytes,
            "enclosure": enclosure, "agent": agent, "ip": home(u32::from(visit.household))});
        given.push(said_at(&format!("visit {number}"), time, request));
    }
    // Until all is released.
    given.extend((0..8).map(|_| Given::Hours(30)));
    given
}

#[test]
fn windows_that_go_over_midnight_equal_the_oracle_over_seal_and_release() {
    let worlds = (1..=2_usize, 0..3_u8, visits());
    super::for_worlds(40, worlds, |(workers, volume_max, visits)| {
        Drive::play(*workers, &given(visits, *volume_max), near_horizons())
    });
}

#[test]
fn a_listener_of_every_day_over_weeks() {
    // Each a little earlier than the day before: every second one is a first-touch download, all are one last-touch download.
    let visit = |day: i64| Visit {
        hours: if day == 0 { 22 } else { 23 },
        late_hours: 0,
        household: 1,
        agent: 0,
        file: 0,
        part: 0,
    };
    let visits: Vec<Visit> = (0..20).map(visit).collect();
    assert_eq!(20 * 23 * HOUR_MS / DAY_MS, 19, "days without a gap");
    for workers in 1..=2 {
        let said = Drive::play(workers, &given(&visits, 0), near_horizons());
        assert_eq!(said, Ok(()), "{workers} workers");
    }
}

#[test]
fn an_address_over_its_limit_under_one_window_takes_no_listener_along() {
    // Two downloads of the address on the second day, of one listener each, but one of them began the day before: its run did
    // not change when the other listener came, and it is lost to the calendar's limit alone.
    let request = |agent: &str, enclosure: &str| {
        json!({"type": "request", "status": 200, "sent_bytes": 1_000, "enclosure": enclosure,
            "agent": agent, "ip": home(1)})
    };
    let at = |hour: i64| START.0 + hour * HOUR_MS;
    let rules = json!({"type": "rule_set", "rule_set": "r", "ip_volume_downloads_max": 1});
    let world = vec![
        fact("rules", rules),
        fact("one", episode("one", &["/a.mp3"])),
        fact("two", episode("two", &["/c.mp3"])),
        Given::Hours(22),
        said_at("first", at(22), request("player", "/a.mp3")),
        Given::Hours(23),
        said_at("second", at(45), request("player", "/a.mp3")),
        Given::Hours(1),
        said_at("beside", at(46), request("radio", "/c.mp3")),
        Given::Hours(1),
    ];
    for workers in 1..=2 {
        let said = Drive::play(workers, &world, near_horizons());
        assert_eq!(said, Ok(()), "{workers} workers");
    }
}
