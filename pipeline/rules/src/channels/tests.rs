//! Channels with answers written by hand; what must hold for any journeys.
#![allow(clippy::unwrap_used, reason = "tests panic")]

use proptest::prelude::*;

use super::*;

const WEEK: i64 = 7 * 86_400;
const ONE: u64 = 1_000_000;
const SETTINGS: Settings = Settings {
    half_life_secs: WEEK,
    custom: None,
};

fn journeys(path: &[u32], conversions: u64, value: u64) -> Journeys<'_> {
    Journeys {
        path,
        ages_secs: None,
        conversions_micros: conversions * ONE,
        value_micros: value * ONE,
    }
}

/// Whole millionths of conversions of a channel, by model.
fn micros(sums: &ChannelSums, channel: u32) -> [u64; PLACES] {
    sums.of(channel).map(|given| given.conversions.parts().0)
}

#[test]
fn a_channel_that_comes_twice_adds_up() {
    let mut sums = ChannelSums::default();
    sums.add(journeys(&[0, 0, 1], 6, 90), &SETTINGS);
    let fine = |sums: &ChannelSums, channel| {
        // The cut third of a millionth comes back with the first touch.
        micros(sums, channel).map(|micros| (micros + 1) / 10 * 10)
    };
    assert_eq!(
        fine(&sums, 0),
        [6 * ONE, 0, 4 * ONE, 0, 3_600_000, 3 * ONE, 0],
        "first, last, linear, no time-decay without ages, position, Shapley, no custom model"
    );
    assert_eq!(
        fine(&sums, 1),
        [0, 6 * ONE, 2 * ONE, 0, 2_400_000, 3 * ONE, 0]
    );
    assert_eq!(sums.of(0)[2].value.parts(), (60 * ONE, 0));
    assert_eq!(sums.of(9), [Given::default(); PLACES]);
}

#[test]
fn journeys_without_conversions_give_nothing() {
    let mut sums = ChannelSums::default();
    sums.add(journeys(&[0, 1], 0, 0), &SETTINGS);
    assert_eq!(sums.of(0), [Given::default(); PLACES]);
    sums.add(journeys(&[], 3, 0), &SETTINGS);
    assert_eq!(sums.of(0), [Given::default(); PLACES]);
}

#[test]
fn time_decay_halves_in_a_half_life() {
    let mut sums = ChannelSums::default();
    let ages = Some([WEEK, 0].as_slice());
    sums.add(
        Journeys {
            ages_secs: ages,
            ..journeys(&[0, 1], 3, 0)
        },
        &SETTINGS,
    );
    let got = |channel| micros(&sums, channel)[3];
    // The table cuts at every step: a little less than a half.
    assert!((999_998..=1_000_000).contains(&got(0)), "{}", got(0));
    assert!((2_000_000..=2_000_002).contains(&got(1)), "{}", got(1));
}

#[test]
fn a_custom_model_gives_what_its_document_says() {
    let by_age = |ages: &str| {
        let document = format!(r#"{{"first":50,"between":20,"last":30{ages}}}"#);
        let custom = CustomModel::read(document.as_bytes()).unwrap();
        let settings = Settings {
            custom: Some(custom),
            ..SETTINGS
        };
        let mut sums = ChannelSums::default();
        let path = journeys(&[0, 1, 1, 2], 10, 0);
        sums.add(path, &settings);
        let ages = Some([7_200, 7_200, 3_600, 0].as_slice());
        sums.add(
            Journeys {
                ages_secs: ages,
                ..path
            },
            &settings,
        );
        [0, 1, 2].map(|channel| micros(&sums, channel)[CUSTOM])
    };
    assert_eq!(by_age(""), [10 * ONE, 4 * ONE, 6 * ONE]);
    // 50 : 10 + 10 x 2 : 30 x 2; nothing without ages.
    let bands = r#","older":1,"ages":[{"up_to_hours":1,"weight":2}]"#;
    let given = by_age(bands);
    assert_eq!(
        given.map(|micros| (micros + 5) / 10),
        [357_143, 214_286, 428_571]
    );
}

#[test]
fn a_long_path_keeps_the_oldest_and_the_nearest() {
    let mut path: Vec<u32> = (0..300).collect();
    assert_eq!(cut(&mut path), 44);
    assert_eq!((path.len(), path[0], path[1], path[255]), (256, 0, 45, 299));
    assert_eq!(cut(&mut path), 0);
    assert_eq!(path.len(), 256);
    assert_eq!(cut(&mut Vec::<u32>::new()), 0);
}

#[test]
fn sums_stop_at_their_end() {
    let mut sums = ChannelSums::default();
    for _ in 0..3 {
        let all = Journeys {
            conversions_micros: u64::MAX,
            ..journeys(&[0], 1, 0)
        };
        sums.add(all, &SETTINGS);
    }
    assert_eq!(sums.of(0)[0].conversions.parts(), (u64::MAX, u64::MAX));
}

type Row = (Vec<(u32, i64)>, u64, u64);

fn add(sums: &mut ChannelSums, (touches, conversions, value): &Row) {
    let path: Vec<u32> = touches.iter().map(|(channel, _)| *channel).collect();
    let ages: Vec<i64> = touches.iter().map(|(_, age)| *age).collect();
    let journeys = Journeys {
        path: &path,
        ages_secs: Some(&ages),
        conversions_micros: *conversions,
        value_micros: *value,
    };
    sums.add(journeys, &SETTINGS);
}

proptest! {
    #[test]
    fn invariants_1_and_2(
        rows in proptest::collection::vec(
            (proptest::collection::vec((0_u32..5, 0_i64..90 * 86_400), 1..12), 0_u64..1 << 50, 0_u64..1 << 50),
            1..20,
        ),
        at in 0_usize..20,
    ) {
        let mut all = ChannelSums::default();
        for row in &rows {
            add(&mut all, row);
        }
        let conversions: u64 = rows.iter().map(|row| row.1).sum();
        let value: u64 = rows.iter().map(|row| row.2).sum();
        for place in 0..Model::ALL.len() {
            let sum = |of: fn(&Given) -> FineMicros| (0..5)
                .map(|channel| of(&all.of(channel)[place]))
                .fold(FineMicros::default(), FineMicros::plus);
            prop_assert_eq!(sum(|given| given.conversions), FineMicros::of_micros(conversions));
            prop_assert_eq!(sum(|given| given.value), FineMicros::of_micros(value));
        }
        // Shared out, backwards, with other numbers for the channels.
        let names: Vec<u32> = (0..5).map(|channel| 4 - channel).collect();
        let renamed = |row: &Row| {
            let touches = row.0.iter().map(|(channel, age)| (4 - channel, *age)).collect();
            (touches, row.1, row.2)
        };
        let (one, other) = rows.split_at(at.min(rows.len()));
        let mut joined = ChannelSums::default();
        for rows in [other, one] {
            let mut part = ChannelSums::default();
            rows.iter().rev().for_each(|row| add(&mut part, &renamed(row)));
            joined.join(&part, &names);
        }
        for channel in 0..5 {
            prop_assert_eq!(joined.of(channel), all.of(channel));
        }
    }
}
