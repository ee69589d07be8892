#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::collections::{BTreeMap, BTreeSet};

use hostread_schemas::event::Body;

use super::*;

fn config(seed: u64, events: u64) -> Mix1Config {
    Mix1Config {
        seed,
        events,
        ..Mix1Config::default()
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let bytes = |seed| {
        let mut out = Vec::new();
        Mix1::new(config(seed, 3_000))
            .write_ndjson(&mut out)
            .unwrap();
        out
    };
    assert_eq!(bytes(5), bytes(5));
    assert_ne!(bytes(5), bytes(6));
}

#[test]
fn lines_read_back_as_the_same_events() {
    let mut out = Vec::new();
    let lines = Mix1::new(config(3, 2_000)).write_ndjson(&mut out).unwrap();
    assert_eq!(lines, 2_000);
    let text = String::from_utf8(out).unwrap();
    for (line, event) in text.lines().zip(Mix1::new(config(3, 2_000)).events()) {
        assert_eq!(serde_json::from_str::<Event>(line).unwrap(), event);
    }
}

/// Parts per 10,000.
fn share(count: u64, of: u64) -> u64 {
    count * 10_000 / of
}

#[test]
fn composition_is_that_of_the_workload() {
    const EVENTS: u64 = 200_000;
    let mut parts: BTreeMap<Part, u64> = BTreeMap::new();
    let (mut late, mut hot) = (0, 0);
    for arrival in Mix1::new(config(11, EVENTS)) {
        *parts.entry(arrival.part).or_default() += 1;
        late += u64::from(arrival.late);
        hot += u64::from(arrival.hot);
    }
    let part = |part: Part| share(parts.get(&part).copied().unwrap_or(0), EVENTS);
    assert!((6_400..=6_600).contains(&part(Part::Request)), "{parts:?}");
    assert!(
        (1_930..=2_070).contains(&part(Part::Impression)),
        "{parts:?}"
    );
    assert!((950..=1_050).contains(&part(Part::Pixel)), "{parts:?}");
    assert!((270..=330).contains(&part(Part::Shop)), "{parts:?}");
    assert!((42..=58).contains(&part(Part::Refund)), "{parts:?}");
    assert!((42..=58).contains(&part(Part::Repeat)), "{parts:?}");
    let rest = [
        Part::Refund,
        Part::Cancel,
        Part::Repeat,
        Part::Correction,
        Part::Reference,
    ];
    let rest: u64 = rest.into_iter().map(part).sum();
    assert!((180..=220).contains(&rest), "{parts:?}");
    assert!((180..=220).contains(&share(late, EVENTS)), "late {late}");
    assert!((85..=125).contains(&share(hot, EVENTS)), "hot {hot}");
}

#[test]
fn time_runs_forward_and_events_are_at_most_a_day_late() {
    let mix = Mix1::new(config(2, 50_000));
    let end = mix.clock_end().0;
    let start = mix.config.start.0;
    let mut clock = 0;
    let mut days = BTreeSet::new();
    for arrival in mix {
        let meta = &arrival.event.meta;
        assert!(meta.received_at.0 >= clock);
        clock = meta.received_at.0;
        let age = clock - meta.time.0;
        match arrival.part {
            Part::Reference => {}
            Part::Repeat | Part::Correction => assert!(age <= 36 * HOUR_MS, "{age}"),
            _ if arrival.late => assert!((0..24 * HOUR_MS).contains(&age), "{age}"),
            _ => assert!((0..=2 * 60_000).contains(&age), "{age} {:?}", arrival.part),
        }
        days.insert(EventTimeMs(clock).day());
    }
    assert_eq!(days.len(), 14);
    assert!(clock < end);
    // Sealed 5 days after its end, released 7 days after it (horizon and lookback of 2 days).
    assert!(end - start >= (3 + 7) * DAY_MS);
}

#[test]
fn both_tenants_use_the_same_outside_ids() {
    let mut orders: [BTreeSet<String>; 2] = Default::default();
    let mut shows: [BTreeSet<String>; 2] = Default::default();
    let mut ids = BTreeMap::new();
    for event in Mix1::new(config(4, 40_000)).events() {
        let tenant = usize::from(event.meta.tenant == TENANTS[1]);
        match &event.body {
            Body::Order(order) => orders[tenant].extend(order.order_id.clone()),
            Body::Show(show) => _ = shows[tenant].insert(show.show.clone()),
            _ => {}
        }
        assert_eq!(*ids.entry(event.meta.id).or_insert(tenant), tenant);
    }
    assert!(orders[0].intersection(&orders[1]).count() > 100);
    assert_eq!(shows[0], shows[1]);
}

#[test]
fn one_air_date_moves_and_one_byte_map_is_corrected() {
    let corrected: Vec<_> = Mix1::new(config(9, 20_000))
        .filter(|a| a.part == Part::Reference && a.event.meta.revision > 0)
        .map(|a| a.event.body.event_type().topic())
        .collect();
    let twice = |topic| [topic; 2];
    let wanted = [twice("catalog.episode.v1"), twice("deal.aired.v1")].concat();
    assert_eq!(corrected, wanted);
}

#[test]
fn a_repeat_is_an_earlier_event() {
    let mut sent: BTreeMap<_, Vec<Event>> = BTreeMap::new();
    let mut repeats = 0;
    for arrival in Mix1::new(config(8, 20_000)) {
        let mut event = arrival.event;
        event.meta.received_at = ReceivedAtMs(0);
        event.meta.batch_id.clear();
        let known = sent.entry(event.meta.id).or_default();
        if arrival.part == Part::Repeat {
            assert!(known.contains(&event));
            repeats += 1;
        }
        known.push(event);
    }
    assert!(repeats > 50, "{repeats}");
}
