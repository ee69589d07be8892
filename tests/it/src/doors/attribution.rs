//! `/v1/attribution`: who may ask, how much, and one at a time.

use std::sync::{Arc, Mutex};

use hostread_gateway::{Attribution, CalculateAsk, LimitsConfig};
use tokio::sync::oneshot;

use super::bench::{Answering, Disks, Doors};

const CALCULATE: &str = "/v1/attribution/calculate?order=2";

/// Says its paths back; the first one when it is told to.
fn says_back(go_on: oneshot::Receiver<()>, begun: oneshot::Sender<()>) -> Answering {
    let first = Mutex::new(Some((go_on, begun)));
    let attribution = Attribution {
        models: "{}".to_owned(),
        calculate: Arc::new(move |ask: &CalculateAsk| {
            let first = first.lock().unwrap().take();
            if let Some((go_on, begun)) = first {
                begun.send(()).unwrap();
                go_on.blocking_recv().unwrap();
            }
            assert_eq!(ask.order.as_deref(), Some("2"));
            Ok(String::from_utf8(ask.paths.to_vec()).unwrap())
        }),
        validate: Arc::new(|_| Ok("\"judged\"".to_owned())),
    };
    Answering {
        attribution: Some(attribution),
        ..Answering::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_calculation_at_a_time() {
    let (go_on, wait) = oneshot::channel();
    let (begin, begun) = oneshot::channel();
    let limits = LimitsConfig {
        batch_bytes_max: 100,
        ..LimitsConfig::default()
    };
    let doors = Doors::asked(Disks::new(0), limits, says_back(wait, begin)).await;
    let second = async {
        begun.await.unwrap();
        doors.post(CALCULATE, "{}").await.problem(503, "busy");
        go_on.send(()).unwrap();
    };
    let (first, ()) = tokio::join!(doors.post(CALCULATE, "{\"first\":1}"), second);
    assert_eq!(
        (first.status, first.json()["first"].as_u64()),
        (200, Some(1))
    );
    assert_eq!(
        doors.post(CALCULATE, "{}").await.status,
        200,
        "the place is free again"
    );
    let judged = doors.post("/v1/attribution/validate", "{}").await;
    assert_eq!((judged.status, judged.json()), (200, "judged".into()));
    doors
        .post(CALCULATE, "x".repeat(101))
        .await
        .problem(413, "body_too_large");
    doors
        .post("/v1/attribution/calculate?x=1", "{}")
        .await
        .problem(422, "invalid");
    doors
        .post_as("key-nobody", CALCULATE, "{}", &[])
        .await
        .problem(401, "key_wrong");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_models_the_address_is_not_there() {
    let doors = Doors::open().await;
    doors.post(CALCULATE, "{}").await.problem(404, "not_found");
}
