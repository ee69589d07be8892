//! A naive count by single bytes says the same; what must hold for any input.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Counts byte by byte, request by request: definition 5 as it reads.
fn naively(given: &[Given], world: &World) -> Vec<CountedDownload> {
    let mut downloads = Vec::new();
    for fact in &world.episodes {
        let mut seen: BTreeMap<(EnclosureId, u64), BTreeSet<u64>> = BTreeMap::new();
        let (mut made, mut first, mut count) = (None, None, 0);
        let needed = needed_bytes(fact, 60);
        for (time, _, exposure) in given {
            let Exposure::Request(r) = exposure else {
                continue;
            };
            let inside = fact.enclosures.contains(&r.enclosure) && !r.range_0_1;
            if !inside || r.agent == BOT {
                continue;
            }
            count += 1;
            first.get_or_insert((*time, r));
            let version = (r.enclosure, r.total_bytes);
            let bytes = seen.entry(version).or_default();
            match r.source_kind {
                SourceKind::Cdn => bytes.extend(r.sent_first..r.sent_first + r.sent_bytes),
                SourceKind::Prefix => {
                    let whole = if r.total_bytes == 0 {
                        fact.size_bytes
                    } else {
                        r.total_bytes
                    };
                    bytes.extend(0..whole.max(needed));
                }
            }
            if made.is_none() && bytes.len() as u64 >= needed {
                made = Some(version);
            }
        }
        if let (Some(version), Some((t0, r))) = (made, first) {
            downloads.push(CountedDownload {
                episode: fact.episode,
                show: fact.show,
                t0,
                household: r.household,
                ip_class: r.ip_class,
                source_kind: r.source_kind,
                union_bytes: seen[&version].len() as u64,
                needed_bytes: needed,
                requests: count,
            });
        }
    }
    downloads
}

pub(super) fn small_world() -> World {
    let fact = |id: u64, enclosures: [u64; 2]| EpisodeFact {
        show: ShowId(id + 10),
        episode: EpisodeId(id),
        enclosures: enclosures.map(EnclosureId).to_vec(),
        ..episode(5, 2, 300, 80)
    };
    World {
        episodes: vec![fact(1, [70, 71]), fact(2, [72, 73])],
        ..World::default()
    }
}

pub(super) fn small_request() -> impl Strategy<Value = RequestFact> {
    let what = (
        70_u64..75,
        prop_oneof![4 => Just(0_u64), 1 => 50_u64..52],
        0_u64..60,
        0_u64..25,
    );
    (what, 0_u32..12, 0_u64..3).prop_map(
        |((enclosure, total_bytes, first, bytes), odd, household)| RequestFact {
            enclosure: EnclosureId(enclosure),
            total_bytes,
            sent_first: first,
            sent_bytes: bytes,
            household: HouseholdId(household),
            agent: if odd == 1 { BOT } else { AgentId(1) },
            range_0_1: odd == 2,
            source_kind: if odd == 3 {
                SourceKind::Prefix
            } else {
                SourceKind::Cdn
            },
            ..request(0, 0)
        },
    )
}

pub(super) fn any_exposure() -> impl Strategy<Value = Exposure> {
    let big = || prop_oneof![Just(0), Just(u64::MAX), any::<u64>(), 0_u64..100];
    let ids = (70_u64..75, 0_u64..4, 0_u64..4);
    (ids, big(), big(), big(), 0_u32..8).prop_map(|((enclosure, agent, line), a, b, c, odd)| {
        match odd {
            0 | 1 => Exposure::Impression(ImpressionFact {
                agent: AgentId(agent),
                ..ad(line)
            }),
            _ => Exposure::Request(RequestFact {
                enclosure: EnclosureId(enclosure),
                agent: AgentId(agent),
                sent_first: a,
                sent_bytes: b,
                total_bytes: c,
                source_kind: if odd == 2 {
                    SourceKind::Prefix
                } else {
                    SourceKind::Cdn
                },
                ..request(0, 0)
            }),
        }
    })
}

proptest! {
    #[test]
    fn the_naive_count_says_the_same(facts in proptest::collection::vec(small_request(), 0..14)) {
        let world = small_world();
        let given = requests(facts);
        let day = count_listener_day(&given, false, &world);
        prop_assert_eq!(&day.downloads, &naively(&given, &world));
        prop_assert_eq!(day.verdicts.len(), given.len(), "invariant 1");
        for verdict in &day.verdicts {
            let passed = matches!(verdict.verdict, Verdict::Counted | Verdict::BelowThreshold);
            let download = day.downloads.iter().any(|d| d.episode == verdict.episode);
            prop_assert_eq!(passed && download, verdict.verdict == Verdict::Counted, "invariant 2");
        }
    }

    #[test]
    fn a_request_in_two_pieces_is_the_same_download(
        facts in proptest::collection::vec(small_request(), 1..10),
        which in any::<prop::sample::Index>(),
        cut in 0_u64..25,
    ) {
        let world = small_world();
        let given = requests(facts);
        let at = which.index(given.len());
        let (time, id, exposure) = given[at];
        let Exposure::Request(whole) = exposure else { unreachable!() };
        let cut = cut.min(whole.sent_bytes);
        let head = RequestFact { sent_bytes: cut, ..whole };
        let tail = RequestFact {
            sent_first: whole.sent_first + cut,
            sent_bytes: whole.sent_bytes - cut,
            ..whole
        };
        let mut pieces = given.clone();
        pieces[at].2 = Exposure::Request(head);
        let tail_id = EventId { hi: id.hi + 1, lo: id.lo };
        pieces.insert(at + 1, (time, tail_id, Exposure::Request(tail)));
        let strip = |day: ListenerDay| -> Vec<CountedDownload> {
            day.downloads.into_iter().map(|d| CountedDownload { requests: 0, ..d }).collect()
        };
        let whole = strip(count_listener_day(&given, false, &world));
        prop_assert_eq!(strip(count_listener_day(&pieces, false, &world)), whole);
    }

    #[test]
    fn invariant_4_a_request_more_never_lowers_a_union(
        facts in proptest::collection::vec(small_request(), 1..10),
        more in small_request(),
        which in any::<prop::sample::Index>(),
    ) {
        let world = small_world();
        let one_version = |r: RequestFact| {
            RequestFact { enclosure: EnclosureId(70), total_bytes: 0, ..r }
        };
        let facts: Vec<_> = facts.into_iter().map(one_version).collect();
        let mut after = facts.clone();
        after.insert(which.index(facts.len() + 1), one_version(more));
        let before = count_listener_day(&requests(facts), false, &world).downloads;
        let after = count_listener_day(&requests(after), false, &world).downloads;
        let union = |downloads: &[CountedDownload]| downloads.first().map(|d| d.union_bytes);
        prop_assert!(union(&before) <= union(&after));
    }

    #[test]
    fn nothing_panics(exposures in proptest::collection::vec(any_exposure(), 0..12)) {
        let mut world = small_world();
        world.episodes.push(EpisodeFact {
            enclosures: vec![EnclosureId(74)],
            ..episode(u64::MAX, u32::MAX, 7, 0)
        });
        world.lines = [0, 1, 2].map(|id| line(id, ControllingSource::Impressions)).to_vec();
        world.lines.push(line(3, ControllingSource::Bytes));
        let slots = vec![slot(3, 0, 0), slot(3, u64::MAX, u64::MAX), slot(3, u64::MAX, 0)];
        world.slots = BTreeMap::from([(EpisodeId(1), slots.clone()), (EPISODE, slots)]);
        let mut given = in_order(exposures);
        if let Some(last) = given.last_mut() {
            last.0 = EventTimeMs(i64::MAX);
        }
        let day = count_listener_day(&given, false, &world);
        let keys: Vec<_> = day.deliveries.iter().map(|d| (d.line, d.episode)).collect();
        prop_assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "invariant 3");
        prop_assert!(day.downloads.iter().all(|d| d.union_bytes >= d.needed_bytes), "invariant 2");
    }
}
