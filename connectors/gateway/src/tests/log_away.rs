//! While the log is away: 503 for what has no other place, the spill for pixels and impressions, and nothing is lost.

use std::time::Duration;

use super::bench::Bench;
use crate::LimitsConfig;

const SHOW: &str = r#"{"type":"show","id":"s","show":"s","time":"2026-11-09T00:00:00Z"}"#;
const LINE: &str = "86.225.80.75 - - [09/Nov/2026:00:41:36 +0000] \"GET /a.mp3 HTTP/1.1\" 200 10 \"-\" \"Agent\"\n";

async fn until(mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..100 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it did not happen within 10 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_get_503_and_webhooks_too() {
    let bench = Bench::new().await;
    bench.log_away(true);
    let order = include_str!("../../../sources/src/shopify/fixtures/orders-create.json");
    let redemption = r#"{"store":"s","code":"X","time":"2026-11-10T00:00:00Z"}"#;
    let answers = [
        bench.post("/v1/events", SHOW).await,
        bench.post("/v1/redemptions", redemption).await,
        bench.post("/v1/import/combined", LINE).await,
        bench.webhook("orders/create", "w1", order).await,
    ];
    for answer in &answers {
        assert_eq!(answer.status, 503);
        assert_eq!(answer.json()["code"], "log_away");
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    }
    assert_eq!(bench.gateway.spilled().events, 0);
    bench.log_away(false);
    assert_eq!(
        bench.webhook("orders/create", "w1", order).await.status,
        200
    );
    assert_eq!(bench.post("/v1/import/combined", LINE).await.status, 200);
    assert_eq!(bench.events().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn pixels_are_spilled_and_reach_the_log_later() {
    let bench = Bench::new().await;
    bench.log_away(true);
    for n in 0..20 {
        let pixel = bench
            .get(&format!("/v1/pixel.gif?k=pk-north&store=s&id={n}"), &[])
            .await;
        let impression = bench
            .get(&format!("/v1/impression.gif?k=pk-north&line=l&id={n}"), &[])
            .await;
        assert_eq!((pixel.status, impression.status), (200, 200));
    }
    assert_eq!(bench.gateway.spilled().events, 40);
    assert!(bench.events().await.is_empty());
    bench.log_away(false);
    until(async || bench.gateway.spilled().events == 0).await;
    let events = bench.events().await;
    let mut ids: Vec<_> = events.iter().map(|event| event.meta.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 40, "each one is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spill_refuses_and_counts() {
    let limits = LimitsConfig {
        spill_bytes_max: 2_000,
        ..LimitsConfig::default()
    };
    let bench = Bench::with(limits).await;
    bench.log_away(true);
    let mut kept = 0;
    for n in 0..20 {
        let answer = bench
            .get(&format!("/v1/pixel.gif?k=pk-north&store=s&id={n}"), &[])
            .await;
        match answer.status {
            200 => kept += 1,
            503 => assert!(!answer.header("retry-after").is_empty()),
            other => panic!("{other}"),
        }
    }
    let spilled = bench.gateway.spilled();
    assert!(kept > 0 && kept < 20);
    assert_eq!((spilled.events, spilled.cut_total), (kept, 20 - kept));
    bench.log_away(false);
    until(async || bench.gateway.spilled().events == 0).await;
    assert_eq!(
        bench.events().await.len() as u64,
        kept,
        "what was answered with 200 is there, the rest is not"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_does_not_answer_is_away() {
    let limits = LimitsConfig {
        append_ms_max: 100,
        ..LimitsConfig::default()
    };
    let bench = Bench::with(limits).await;
    bench.log_hangs(true);
    assert_eq!(bench.post("/v1/events", SHOW).await.status, 503);
    assert_eq!(
        bench
            .get("/v1/pixel.gif?k=pk-north&store=s&id=1", &[])
            .await
            .status,
        200
    );
    assert_eq!(bench.gateway.spilled().events, 1);
    bench.log_hangs(false);
    until(async || bench.gateway.spilled().events == 0).await;
}
