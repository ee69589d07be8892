//! Windows: the guideline's vectors, and a naive count that tries every request and every byte.

use std::collections::BTreeSet;

use hostread_schemas::Day;
use hostread_schemas::unit::{DAY_MS, HOUR_MS};
use proptest::prelude::*;

use super::properties::{any_exposure, small_request, small_world};
use super::*;
use crate::bytes;
use crate::counting::window::run::Run;
use crate::counting::window::{Window, Windows, count_household, count_listener};
use crate::delivery::civil_day;

const ALL: [Window; 3] = [Window::Calendar, Window::FirstTouch, Window::LastTouch];

fn utc(window: Window) -> Windows<'static> {
    Windows {
        window,
        zone: "UTC",
    }
}

/// Each at its time, whole files.
fn wholes(times: &[&str]) -> Vec<Given> {
    let at = |(number, time): (usize, &&str)| {
        let time = EventTimeMs::from_rfc3339(time).expect("a time");
        let whole = Exposure::Request(request(0, 999));
        (time, EventId::from(number as u128), whole)
    };
    times.iter().enumerate().map(at).collect()
}

fn one_episode() -> World {
    World {
        episodes: vec![episode(0, 8, 0, 1000)],
        ..World::default()
    }
}

/// t0 of every download.
fn t0s(given: &[Given], windows: Windows<'_>, world: &World) -> Vec<EventTimeMs> {
    let days = count_listener(given, windows, &BTreeSet::new(), world);
    let downloads = days.values().flat_map(|day| &day.downloads);
    downloads.map(|download| download.t0).collect()
}

/// Which requests begin a download.
fn begin(times: &[&str], windows: Windows<'_>) -> Vec<u32> {
    let given = wholes(times);
    let t0s = t0s(&given, windows, &one_episode());
    let begins = |time| u32::from(t0s.contains(&time));
    given.iter().map(|(time, ..)| begins(*time)).collect()
}

#[test]
fn monday_to_wednesday() {
    let times = [
        "2026-11-09T22:00:00Z",
        "2026-11-10T03:00:00Z",
        "2026-11-10T22:15:00Z",
        "2026-11-11T23:15:00Z",
    ];
    let counted = ALL.map(|window| begin(&times, utc(window)));
    assert_eq!(counted, [[1, 1, 0, 1], [1, 0, 1, 1], [1, 0, 0, 1]]);
}

#[test]
fn exactly_24_hours_later_is_another_window() {
    let second = |time| {
        let times = ["2026-11-09T10:00:00Z", time];
        ALL.map(|window| begin(&times, utc(window))[1])
    };
    assert_eq!(second("2026-11-10T09:59:59.999Z"), [1, 0, 0]);
    assert_eq!(second("2026-11-10T10:00:00Z"), [1, 1, 1]);
}

#[test]
fn midnight_is_that_of_the_zone() {
    let times = ["2026-11-09T22:30:00Z", "2026-11-09T23:30:00Z"];
    let of = |zone| {
        let window = Window::Calendar;
        begin(&times, Windows { window, zone })
    };
    assert_eq!(of("UTC"), [1, 0]);
    assert_eq!(of("Europe/Berlin"), [1, 1]);
    assert_eq!(of("Asia/Tokyo"), [1, 0]);
}

/// Half of the threshold, then the other half: 30 and 30 bytes of 60.
fn halves(hours: &[i64]) -> Vec<Given> {
    let at = |(number, hour): (usize, &i64)| {
        let first = 30 * (number as u64 % 2);
        let half = Exposure::Request(request(first, first + 29));
        (
            EventTimeMs(hour * HOUR_MS),
            EventId::from(number as u128),
            half,
        )
    };
    hours.iter().enumerate().map(at).collect()
}

#[test]
fn a_request_that_begins_no_download_is_skipped() {
    let world = one_episode();
    // 0 and 30 are too far apart, 30 and 50 are not; nothing is left for 60.
    let given = halves(&[0, 30, 50, 60]);
    let days = count_listener(&given, utc(Window::FirstTouch), &BTreeSet::new(), &world);
    let verdicts = days.values().flat_map(|day| &day.verdicts);
    let counted: Vec<bool> = verdicts
        .map(|verdict| verdict.verdict == Verdict::Counted)
        .collect();
    assert_eq!(counted, [false, true, true, false]);
    // Last touch: 0 is alone, the others are one chain.
    let chain = t0s(&given, utc(Window::LastTouch), &world);
    assert_eq!(chain, [EventTimeMs(30 * HOUR_MS)]);
    // A day that they share does not make one of 20 and 30.
    assert_eq!(t0s(&halves(&[20, 30]), utc(Window::Calendar), &world), []);
    assert_eq!(
        t0s(&halves(&[20, 30]), utc(Window::FirstTouch), &world).len(),
        1
    );
}

#[test]
fn an_ad_counts_inside_the_window_of_a_valid_download() {
    let mut world = one_episode();
    world.lines = [1, 2].map(|id| line(id, ControllingSource::Bytes)).to_vec();
    world.lines.push(line(3, ControllingSource::Impressions));
    world.slots = BTreeMap::from([(EPISODE, vec![slot(1, 0, 59), slot(2, 0, 60)])]);
    let ad_at = |hour: i64| {
        let (time, id) = (EventTimeMs(hour * HOUR_MS), EventId::from(90_u128));
        (time, id, Exposure::Impression(ad(3)))
    };
    let lines = |window, ad_hour| {
        let mut given = halves(&[20, 30]);
        given.push(ad_at(ad_hour));
        given.sort_unstable();
        let days = count_listener(&given, utc(window), &BTreeSet::new(), &world);
        let ads = days.values().flat_map(|day| &day.deliveries);
        ads.map(|ad| (ad.line.0, ad.time.0 / HOUR_MS))
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(Window::Calendar, 21), [], "no download, no ad");
    assert_eq!(lines(Window::FirstTouch, 43), [(1, 20), (3, 20)]);
    assert_eq!(lines(Window::FirstTouch, 44), [(1, 20)]);
    assert_eq!(lines(Window::FirstTouch, 19), [(1, 20)]);
    assert_eq!(lines(Window::LastTouch, 53), [(1, 20), (3, 20)]);
    assert_eq!(lines(Window::LastTouch, 54), [(1, 20)]);
}

#[test]
fn an_ad_of_an_episode_without_audio_counts_once_a_window() {
    let world = World {
        lines: vec![line(3, ControllingSource::Impressions)],
        ..World::default()
    };
    let at = |hour: i64| {
        let (time, id) = (EventTimeMs(hour * HOUR_MS), EventId::from(hour as u128));
        (time, id, Exposure::Impression(ad(3)))
    };
    let given = [1, 20, 26, 49].map(at);
    let hours = ALL.map(|window| {
        let days = count_listener(&given, utc(window), &BTreeSet::new(), &world);
        let ads = days.values().flat_map(|day| &day.deliveries);
        ads.map(|ad| ad.time.0 / HOUR_MS).collect::<Vec<_>>()
    });
    assert_eq!(hours, [vec![1, 26, 49], vec![1, 26], vec![1]]);
}

#[test]
fn an_address_loses_the_days_on_which_it_has_too_many() {
    let mut world = one_episode();
    world.rules = CompiledRules::compile(&hostread_schemas::fact::RuleSetFact {
        threshold_secs: 60,
        ip_volume_downloads_max: 1,
        ..Default::default()
    });
    let one = wholes(&[
        "2026-11-09T22:00:00Z",
        "2026-11-10T21:00:00Z",
        "2026-11-11T12:00:00Z",
    ]);
    let other = wholes(&["2026-11-09T10:00:00Z", "2026-11-10T11:00:00Z"]);
    let listeners = || [one.as_slice(), other.as_slice()].into_iter();
    let downloads = |household, window| {
        let all = count_household(household, listeners(), utc(window), &world);
        let of = |days: &BTreeMap<Day, ListenerDay>| {
            days.values().map(|day| day.downloads.len()).sum::<usize>()
        };
        all.iter().map(of).collect::<Vec<_>>()
    };
    let none = HouseholdId::NONE;
    assert_eq!(
        downloads(none, Window::FirstTouch),
        [2, 2],
        "no address in common"
    );
    // First touch: the 9th has two, and the window of the first listener ends on the 10th.
    assert_eq!(downloads(HouseholdId(5), Window::FirstTouch), [1, 1]);
    assert_eq!(downloads(HouseholdId(5), Window::LastTouch), [0, 1]);
    assert_eq!(downloads(HouseholdId(5), Window::Calendar), [1, 0]);
}

/// As the rulebook has it, one request after the other, with unions anew each time. t0 of each download, and of its requests.
fn naively(given: &[Given], windows: Windows<'_>, world: &World) -> Vec<(EpisodeId, Vec<usize>)> {
    let mut found = Vec::new();
    for fact in &world.episodes {
        let mine: Vec<(usize, EventTimeMs, RequestFact)> = given
            .iter()
            .enumerate()
            .filter_map(|(at, (time, _, exposure))| match exposure {
                Exposure::Request(r) => Some((at, *time, *r)),
                Exposure::Impression(_) => None,
            })
            .filter(|(_, _, r)| {
                fact.enclosures.contains(&r.enclosure) && !r.range_0_1 && r.agent != BOT
            })
            .collect();
        let needed = needed_bytes(fact, 60);
        let suffices = |some: &[(usize, EventTimeMs, RequestFact)]| {
            some.iter().any(|(_, _, version)| {
                let same = |r: &RequestFact| {
                    (r.enclosure, r.total_bytes) == (version.enclosure, version.total_bytes)
                };
                let of = some.iter().filter(|(_, _, r)| same(r));
                let mut ranges = of.map(|(_, _, r)| sent(r, fact, needed)).collect();
                bytes::unite(&mut ranges) >= needed
            })
        };
        let mut at = 0;
        while let Some((_, t0, _)) = mine.get(at) {
            let mut end = at + 1;
            while let Some((_, time, _)) = mine.get(end) {
                let together = match windows.window {
                    Window::Calendar => {
                        civil_day(*t0, windows.zone) == civil_day(*time, windows.zone)
                    }
                    Window::FirstTouch => time.0 - t0.0 < DAY_MS,
                    Window::LastTouch => time.0 - mine[end - 1].1.0 < DAY_MS,
                };
                if !together {
                    break;
                }
                end += 1;
            }
            if suffices(&mine[at..end]) {
                let requests = mine[at..end].iter().map(|(at, ..)| *at).collect();
                found.push((fact.episode, requests));
            } else if windows.window == Window::FirstTouch {
                end = at + 1;
            }
            at = end;
        }
    }
    found
}

/// Requests over some days, often at one time.
fn some_days() -> impl Strategy<Value = Vec<Given>> {
    let one = (0_i64..80, small_request());
    proptest::collection::vec(one, 0..16).prop_map(|facts| {
        let at = |(number, (hour, fact)): (usize, (i64, RequestFact))| {
            let id = EventId::from(number as u128);
            (EventTimeMs(hour * HOUR_MS), id, Exposure::Request(fact))
        };
        let mut given: Vec<Given> = facts.into_iter().enumerate().map(at).collect();
        given.sort_unstable();
        given
    })
}

fn any_window() -> impl Strategy<Value = Windows<'static>> {
    let zone = prop_oneof![Just("UTC"), Just("Asia/Tokyo"), Just("America/New_York")];
    (prop::sample::select(ALL.to_vec()), zone).prop_map(|(window, zone)| Windows { window, zone })
}

proptest! {
    #[test]
    fn the_naive_count_says_the_same(given in some_days(), windows in any_window()) {
        let world = small_world();
        let days = count_listener(&given, windows, &BTreeSet::new(), &world);
        let expected = naively(&given, windows, &world);
        let mut downloads: Vec<_> = days.values().flat_map(|day| &day.downloads).collect();
        downloads.sort_unstable_by_key(|d| (d.episode, d.t0));
        let t0s: Vec<_> = downloads.iter().map(|d| (d.episode, d.t0, d.requests as usize)).collect();
        let first = |(episode, of): &(EpisodeId, Vec<usize>)| (*episode, given[of[0]].0, of.len());
        prop_assert_eq!(t0s, expected.iter().map(first).collect::<Vec<_>>());
        let counted: BTreeSet<EventId> = expected.iter().flat_map(|(_, of)| of.iter().map(|at| given[*at].1)).collect();
        for verdict in days.values().flat_map(|day| &day.verdicts) {
            prop_assert_eq!(verdict.verdict == Verdict::Counted, counted.contains(&verdict.request), "invariant 2");
        }
        for (day, of) in &days {
            prop_assert!(of.downloads.iter().all(|d| civil_day(d.t0, windows.zone) == *day));
            prop_assert_eq!(of.volume as usize, of.downloads.len());
        }
        if windows.window != Window::Calendar {
            let apart = |a: &CountedDownload, b: &CountedDownload| a.episode != b.episode || b.t0.0 - a.t0.0 >= DAY_MS;
            prop_assert!(downloads.windows(2).all(|pair| apart(pair[0], pair[1])), "invariant 1");
        }
    }

    #[test]
    fn calendar_days_of_utc_are_listener_days(given in some_days(), ads in proptest::collection::vec(0_i64..80, 0..4)) {
        let mut world = small_world();
        world.lines = vec![line(1, ControllingSource::Bytes), line(3, ControllingSource::Impressions)];
        world.slots = BTreeMap::from([(EpisodeId(1), vec![SlotFact { episode: EpisodeId(1), ..slot(1, 2, 9) }])]);
        let mut given = given;
        for (number, hour) in ads.into_iter().enumerate() {
            let id = EventId::from(100 + number as u128);
            let ad = ImpressionFact { episode: EpisodeId(1 + number as u64 % 2), ..ad(3) };
            given.push((EventTimeMs(hour * HOUR_MS), id, Exposure::Impression(ad)));
        }
        given.sort_unstable();
        let days = count_listener(&given, utc(Window::Calendar), &BTreeSet::new(), &world);
        for of_day in given.chunk_by(|a, b| a.0.day() == b.0.day()) {
            let expected = count_listener_day(of_day, false, &world);
            let found = days.get(&of_day[0].0.day()).cloned().unwrap_or_default();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_run_goes_on_without_its_first_days(given in some_days()) {
        let world = small_world();
        let of_one = |(.., what): &&Given| matches!(what, Exposure::Request(it) if [70, 71].contains(&it.enclosure.0));
        let requests: Vec<Given> = given.iter().filter(of_one).copied().collect();
        let whole = Run { requests: &requests, open: None }.count(&world);
        for (window, downloads) in ALL.into_iter().zip(&whole.downloads) {
            let days = count_listener(&requests, utc(window), &BTreeSet::new(), &world);
            let of_days = days.iter().flat_map(|(day, it)| it.downloads.iter().map(|it| (*day, it.show, it.source_kind)));
            let found = downloads.iter().map(|it| (it.day, it.show, it.source_kind));
            prop_assert!(found.eq(of_days), "{:?}: {:?}", window, downloads);
            let limited = downloads.iter().filter(|it| it.limited).count();
            prop_assert_eq!(limited as u32, days.values().map(|it| it.volume).sum::<u32>());
        }
        let days: BTreeSet<Day> = requests.iter().map(|(time, ..)| time.day()).collect();
        for released in days {
            let rest = requests.partition_point(|(time, ..)| time.day() <= released);
            let open = whole.open.iter().find(|(day, _)| *day == released).map(|(_, open)| *open);
            let rest = Run { requests: &requests[rest..], open }.count(&world);
            for (window, (all, live)) in ALL.into_iter().zip(whole.downloads.iter().zip(&rest.downloads)) {
                let behind = all.iter().filter(|it| it.day > released);
                prop_assert!(behind.eq(live), "invariant 1: {:?} behind {:?}", window, released);
            }
            prop_assert!(rest.open.iter().eq(whole.open.iter().filter(|(day, _)| *day > released)), "what is open later");
        }
    }

    #[test]
    fn a_request_in_two_pieces_at_one_instant_changes_no_download(
        given in some_days(), which in any::<prop::sample::Index>(), cut in 0_u64..25, windows in any_window(),
    ) {
        prop_assume!(!given.is_empty());
        let world = small_world();
        let at = which.index(given.len());
        let (time, id, Exposure::Request(whole)) = given[at] else { unreachable!() };
        let cut = cut.min(whole.sent_bytes);
        let mut pieces = given.clone();
        pieces[at].2 = Exposure::Request(RequestFact { sent_bytes: cut, ..whole });
        let tail = RequestFact { sent_first: whole.sent_first + cut, sent_bytes: whole.sent_bytes - cut, ..whole };
        // Directly behind its head: of several versions at one instant the order says which got there first.
        pieces.insert(at + 1, (time, id, Exposure::Request(tail)));
        for (number, piece) in pieces.iter_mut().enumerate() {
            piece.1 = EventId::from(number as u128);
        }
        let strip = |given: &[Given]| -> Vec<CountedDownload> {
            let days = count_listener(given, windows, &BTreeSet::new(), &world);
            let downloads = days.values().flat_map(|day| &day.downloads);
            downloads.map(|d| CountedDownload { requests: 0, ..*d }).collect()
        };
        prop_assert_eq!(strip(&given), strip(&pieces));
    }

    #[test]
    fn nothing_panics(exposures in proptest::collection::vec(any_exposure(), 0..12), windows in any_window(), times in proptest::collection::vec(any::<i64>(), 12)) {
        let world = small_world();
        let mut given = in_order(exposures);
        for (one, time) in given.iter_mut().zip(times) {
            one.0 = EventTimeMs(time);
        }
        given.extend(given.last().copied().map(|(_, id, what)| (EventTimeMs(i64::MAX), id, what)));
        given.sort_unstable();
        let days = count_listener(&given, windows, &BTreeSet::new(), &world);
        let told: usize = days.values().map(|day| day.verdicts.len()).sum();
        let requests = given.iter().filter(|(.., what)| matches!(what, Exposure::Request(_)));
        prop_assert_eq!(told, requests.count());
    }
}
