//! 2xx means durable: in the log, or for pixels and impressions in the spill. Power fails in the middle, on a disk that forgets or
//! tears every unsynced write; what was answered with 2xx is there after the next start.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hostread_disk::{Spill, SpillLimits};
use hostread_gateway::{LimitsConfig, SPILL_DIR};
use hostread_schemas::event::{Body, Event};
use hostread_schemas::id::EventId;

use super::bench::{Disks, Doors, GATEWAY_DIR, IDS, letters_on, open_log};

const ORDER: &str = r##"{"id":77,"name":"#1041","created_at":"2026-11-10T00:00:00Z","currency":"USD","subtotal_price":"34.40"}"##;
const SENDERS: usize = 6;

/// The way in and the source under which a door knows the `number`th event of a sender.
async fn send(doors: &Doors, sender: usize, number: usize) -> (u16, EventId) {
    let own = format!("{sender}-{number}");
    let id = |source: &str| IDS.event_id("north", source, own.as_bytes());
    match sender {
        0 | 1 => {
            let path = format!("/v1/pixel.gif?k=pk-north&store=s&id={own}");
            (doors.get(&path).await.status, id("pixel"))
        }
        2 => {
            let path = format!("/v1/impression.gif?k=pk-north&line=l&id={own}");
            (doors.get(&path).await.status, id("impression"))
        }
        3 => (
            doors.webhook("orders/create", &own, ORDER).await.status,
            id("north-shop"),
        ),
        4 => {
            let body =
                format!(r#"{{"id":"{own}","store":"s","code":"X","time":"2026-11-10T00:00:00Z"}}"#);
            (
                doors.post("/v1/redemptions", body).await.status,
                id("redemptions"),
            )
        }
        _ => {
            let body = format!(
                r#"{{"type":"show","id":"{own}","show":"s","time":"2026-11-10T00:00:00Z"}}"#
            );
            (doors.post("/v1/events", body).await.status, id("api"))
        }
    }
}

/// Sends from all sides until power has failed; gives what was answered with 2xx, and how often a door said 503.
async fn send_until_dark(doors: Arc<Doors>) -> (BTreeSet<EventId>, usize) {
    let promised = Arc::new(Mutex::new((BTreeSet::new(), 0)));
    let senders = (0..SENDERS).map(|sender| {
        let (doors, promised) = (Arc::clone(&doors), Arc::clone(&promised));
        tokio::spawn(async move {
            for number in 0..25 {
                let (status, id) = send(&doors, sender, number).await;
                let mut promised = promised.lock().unwrap();
                match status {
                    200 => drop(promised.0.insert(id)),
                    503 => promised.1 += 1,
                    other => panic!("sender {sender}: {other}"),
                }
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    let promised = promised.lock().unwrap();
    promised.clone()
}

/// Ids of events; there is one kind of id for all.
fn ids(events: &[Event]) -> BTreeSet<EventId> {
    events.iter().map(|event| event.meta.id).collect()
}

struct Outcome {
    promised: usize,
    refused: usize,
    lost: usize,
}

/// Power of the log's disk and of the gateway's disk fails at a step each.
async fn crash(seed: u64, log_step: u64, gateway_step: u64, syncs: bool) -> Outcome {
    let disks = Disks::new(seed);
    let doors = Arc::new(Doors::on(disks.clone(), LimitsConfig::default()).await);
    disks.log.ignore_sync(!syncs);
    disks.log.power_off_at(disks.log.steps() + log_step);
    disks
        .gateway
        .power_off_at(disks.gateway.steps() + gateway_step);
    let (promised, refused) = send_until_dark(Arc::clone(&doors)).await;
    let disks = Arc::into_inner(doors).unwrap().stop().await;
    disks.log.crash();
    disks.gateway.crash();
    disks.log.ignore_sync(false);
    // A file whose beginning was lost cannot be opened: that too is a loss.
    let found = match open_log(&disks.log) {
        Ok(log) => {
            drop(log);
            let doors = Doors::on(disks, LimitsConfig::default()).await;
            doors.drained().await;
            ids(&doors.events().await)
        }
        Err(error) if syncs => panic!("seed {seed}: {error}"),
        Err(_) => BTreeSet::new(),
    };
    Outcome {
        promised: promised.len(),
        refused,
        lost: promised.difference(&found).count(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_answered_with_2xx_is_lost_when_power_fails() {
    let (mut promised, mut refused) = (0, 0);
    for seed in 0..24 {
        // Mostly the log's disk first, so that the spill has something to keep; sometimes both at once.
        let (log_step, gateway_step) = (5 + seed * 7, 20 + (seed * 29) % 90);
        let outcome = crash(seed, log_step, gateway_step, true).await;
        assert_eq!(
            outcome.lost, 0,
            "seed {seed}: of {} promised",
            outcome.promised
        );
        promised += outcome.promised;
        refused += outcome.refused;
    }
    assert!(
        promised > 200 && refused > 200,
        "{promised} promised, {refused} refused: neither side was tried"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_syncs_the_test_above_would_fail() {
    let mut lost = 0;
    for seed in 0..4 {
        lost += crash(seed, 60, 60, false).await.lost;
    }
    assert!(
        lost > 0,
        "a log that never syncs passes: the crashes prove nothing"
    );

    let mut kept_all = true;
    for seed in 0..4 {
        let doors = Doors::on(Disks::new(seed), LimitsConfig::default()).await;
        doors.log_is_full(true);
        doors.disks.gateway.ignore_sync(true);
        for number in 0..10 {
            assert_eq!(send(&doors, 0, number).await.0, 200);
        }
        let disks = doors.stop().await;
        disks.gateway.crash();
        let dir = Path::new(GATEWAY_DIR).join(SPILL_DIR);
        let spill = Spill::open(Arc::new(disks.gateway), &dir, SpillLimits::default());
        kept_all &= spill.map_or(0, |spill| spill.stats().records) == 10;
    }
    assert!(
        !kept_all,
        "a spill that never syncs passes: the crashes prove nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_log_is_away_only_single_hits_are_taken() {
    let doors = Doors::open().await;
    doors.log_is_full(true);
    let line = "203.0.113.9 - - [09/Nov/2026:10:00:00 +0000] \"GET /a.mp3 HTTP/1.1\" 200 10 \"-\" \"Podcasts/1\"\n";
    for number in 0..3 {
        for sender in 0..SENDERS {
            let (status, _) = send(&doors, sender, number).await;
            assert_eq!(
                status,
                if sender < 3 { 200 } else { 503 },
                "sender {sender}"
            );
        }
        doors
            .post("/v1/import/combined", line)
            .await
            .problem(503, "log_away");
        doors
            .post(
                "/v1/events",
                r#"{"type":"show","id":"x","show":"s","time":"2026-11-09T00:00:00Z"}"#,
            )
            .await
            .problem(503, "log_away");
    }
    assert_eq!(doors.gateway.spilled().events, 9);
    // What cannot be used needs no log: its sender could do nothing about a 503.
    assert_eq!(doors.webhook("orders/create", "w", "{").await.status, 200);
    assert!(doors.events().await.is_empty());
    // The process ends with the log still away: the next one finds the spill and drains it.
    let disks = doors.stop().await;
    disks.log.crash();
    disks.gateway.crash();
    assert_eq!(letters_on(&disks.gateway).len(), 1);
    disks.log.set_free_bytes(None);
    let doors = Doors::on(disks, LimitsConfig::default()).await;
    doors.drained().await;
    let events = doors.events().await;
    assert_eq!(ids(&events).len(), 9);
    let hit = |event: &Event| matches!(event.body, Body::Pixel(_) | Body::Impression(_));
    assert!(events.iter().all(hit));
    assert_eq!(doors.get("/readyz").await.json()["spilled_events"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spill_refuses_counts_and_keeps_the_oldest() {
    let limits = LimitsConfig {
        spill_bytes_max: 4_000,
        ..LimitsConfig::default()
    };
    let doors = Doors::with(limits).await;
    doors.log_is_full(true);
    let mut kept = BTreeSet::new();
    let mut cut = 0;
    for number in 0..40 {
        let answer = doors
            .get(&format!("/v1/pixel.gif?k=pk-north&store=s&id={number}"))
            .await;
        if answer.status == 200 {
            kept.insert(IDS.event_id("north", "pixel", number.to_string().as_bytes()));
        } else {
            answer.problem(503, "log_away");
            cut += 1;
        }
    }
    let spilled = doors.gateway.spilled();
    assert!(
        kept.len() >= 5 && cut >= 5,
        "{} kept, {cut} cut",
        kept.len()
    );
    assert_eq!(
        (spilled.events, spilled.cut_total),
        (kept.len() as u64, cut)
    );
    assert!(spilled.bytes <= 4_400, "{spilled:?}");
    assert_eq!(doors.get("/readyz").await.json()["spill_cut_events"], cut);
    doors.log_is_full(false);
    doors.drained().await;
    assert_eq!(
        ids(&doors.events().await),
        kept,
        "all that was answered with 200, and no more"
    );
    // There is room again.
    assert_eq!(
        doors
            .get("/v1/pixel.gif?k=pk-north&store=s&id=later")
            .await
            .status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_disk_that_fails_one_sync_is_not_believed() {
    let doors = Doors::open().await;
    doors.disks.log.fail_next_sync();
    let show = r#"{"type":"show","id":"a","show":"s","time":"2026-11-09T00:00:00Z"}"#;
    doors
        .post("/v1/events", show)
        .await
        .problem(503, "log_away");
    assert_eq!(
        doors
            .post("/v1/events", show.replace("\"a\"", "\"b\""))
            .await
            .status,
        200
    );
    tokio::time::sleep(Duration::from_millis(10)).await;
    let disks = doors.stop().await;
    disks.log.crash();
    let doors = Doors::on(disks, LimitsConfig::default()).await;
    let found = ids(&doors.events().await);
    assert!(found.contains(&IDS.event_id("north", "api", b"b")));
}
