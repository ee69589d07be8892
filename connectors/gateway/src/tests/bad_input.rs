//! Every status of the issue's section "Bad input": what it takes to get it, and that nothing is stored.

use hostread_connectors_kit::signature::hmac_sha256_base64;

use super::bench::{Answer, Bench, SECRET};
use crate::LimitsConfig;

const SHOW: &str = r#"{"type":"show","id":"s","show":"s","time":"2026-11-09T00:00:00Z"}"#;

fn is_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(
        answer.status,
        status,
        "{}",
        String::from_utf8_lossy(&answer.bytes)
    );
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let document = answer.json();
    assert_eq!(document["code"], code);
    assert_eq!(document["status"], status);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys() {
    let bench = Bench::new().await;
    for path in ["/v1/events", "/v1/redemptions", "/v1/import/combined"] {
        for key in ["", "key-nobody", "key-north2"] {
            is_problem(&bench.post_as(key, path, SHOW, &[]).await, 401, "key_wrong");
        }
        let basic = bench
            .post_as("", path, SHOW, &[("authorization", "Basic key-north")])
            .await;
        is_problem(&basic, 401, "key_wrong");
    }
    for query in ["", "?k=", "?k=nobody&store=s", "?store=s"] {
        is_problem(
            &bench.get(&format!("/v1/pixel.gif{query}"), &[]).await,
            401,
            "key_wrong",
        );
        is_problem(
            &bench.get(&format!("/v1/impression.gif{query}"), &[]).await,
            401,
            "key_wrong",
        );
        is_problem(
            &bench
                .post_as("", &format!("/v1/pixel{query}"), "{}", &[])
                .await,
            401,
            "key_wrong",
        );
    }
    assert!(bench.events().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures() {
    let bench = Bench::new().await;
    let good = hmac_sha256_base64(SECRET.as_bytes(), b"{}");
    let other = hmac_sha256_base64(b"other", b"{}");
    for (path, signature) in [
        ("/hooks/shopify/north-shop", ""),
        ("/hooks/shopify/north-shop", other.as_str()),
        ("/hooks/shopify/north-shop", "%%%"),
        ("/hooks/shopify/nobody", good.as_str()),
    ] {
        let headers = [
            ("x-shopify-hmac-sha256", signature),
            ("x-shopify-topic", "orders/create"),
        ];
        is_problem(
            &bench.post_as("", path, "{}", &headers).await,
            401,
            "signature_wrong",
        );
    }
    assert!(
        bench.events().await.is_empty() && bench.letters().is_empty(),
        "an unsigned delivery was stored"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes() {
    let bench = Bench::new().await;
    let over = vec![b' '; (1 << 20) + 1];
    let over_batch = vec![b' '; (8 << 20) + 1];
    is_problem(
        &bench.post("/v1/redemptions", over.clone()).await,
        413,
        "body_too_large",
    );
    is_problem(
        &bench
            .post_as("", "/v1/pixel?k=pk-north", over.clone(), &[])
            .await,
        413,
        "body_too_large",
    );
    is_problem(
        &bench
            .post_as("", "/hooks/shopify/north-shop", over.clone(), &[])
            .await,
        413,
        "body_too_large",
    );
    is_problem(
        &bench.post("/v1/events", over_batch.clone()).await,
        413,
        "body_too_large",
    );
    is_problem(
        &bench.post("/v1/import/combined", over_batch).await,
        413,
        "body_too_large",
    );
    // Between the two limits the batch doors still read.
    is_problem(&bench.post("/v1/events", over).await, 422, "all_rejected");
    let long = format!("/v1/pixel.gif?k=pk-north&store={}", "x".repeat(20_000));
    is_problem(&bench.get(&long, &[]).await, 413, "body_too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_events_cannot_say() {
    let bench = Bench::new().await;
    let order = |field: &str| {
        format!(
            r#"{{"type":"order","id":"o","store":"s","order_id":"1","currency":"USD","time":"2026-11-09T00:00:00Z",{field}}}"#
        )
    };
    let at = |time: &str| SHOW.replace("2026-11-09T00:00:00Z", time);
    let deep = format!(
        r#"{{"type":"show","show":{}{}}}"#,
        "[".repeat(60_000),
        "]".repeat(60_000)
    );
    for (body, field) in [
        (
            SHOW.replace("\"s\",\"time\"", "\"a\\u0000b\",\"time\""),
            "show",
        ),
        (deep, "show"),
        (SHOW.replace("\"id\"", "\"show\":\"t\",\"id\""), "show"),
        (order(r#""value":-1"#), "value"),
        (order(r#""value":"34.40""#), "value"),
        (order(r#""valeu":1"#), "valeu"),
        (at("2026-11-16T12:00:01Z"), "time"),
        (at("2025-10-11T11:59:59Z"), "time"),
        (at("yesterday"), "time"),
        (
            SHOW.replace("\"type\":\"show\"", "\"type\":\"visit\""),
            "type",
        ),
        (
            SHOW.replace("\"id\"", "\"tenant\":\"south\",\"id\""),
            "tenant",
        ),
        (
            r#"{"type":"pixel","store":"s","ip":"300.1.1.1","time":"2026-11-09T00:00:00Z"}"#
                .to_owned(),
            "ip",
        ),
    ] {
        let answer = bench.post("/v1/events", body.clone()).await;
        is_problem(&answer, 422, "all_rejected");
        let named = answer.json()["field"].as_str().unwrap().to_owned();
        assert!(
            named == field || named.starts_with(&format!("{field}[")),
            "{named}: {}",
            body.get(..200).unwrap_or(&body)
        );
        assert_eq!(answer.json()["rejected"][0]["index"], 0);
    }
    for body in [
        &b"[{\"type\":"[..],
        b"",
        b"not json",
        b"[\"\xFF\"]",
        b"[{\"type\":\"show\"}]garbage",
        b"\0",
        b"[]",
    ] {
        let answer = bench.post("/v1/events", body).await;
        assert_eq!(answer.status, 422, "{body:?}");
    }
    let many = format!("[{}]", vec![SHOW; 5_001].join(","));
    is_problem(&bench.post("/v1/events", many).await, 422, "invalid");
    assert!(bench.events().await.is_empty());
    assert_eq!(
        bench
            .post("/v1/events", at("2026-11-16T11:59:59Z"))
            .await
            .status,
        200,
        "just under a day ahead is taken"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn good_entries_go_in_and_bad_ones_come_back_by_index() {
    let bench = Bench::new().await;
    let bad = r#"{"type":"show","show":"s","show":"t","time":"2026-11-09T00:00:00Z"}"#;
    let answer = bench
        .post("/v1/events", format!("[{bad},{SHOW},{bad},\"x\"]"))
        .await;
    assert_eq!(answer.status, 200);
    let document = answer.json();
    assert_eq!(document["accepted"], 1);
    let indexes: Vec<u64> = document["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["index"].as_u64().unwrap())
        .collect();
    assert_eq!(indexes, [0, 2, 3]);
    assert_eq!(document["rejected"][0]["field"], "show");
    let redemption = r#"{"store":"s","code":"X","time":"2026-11-10T00:00:00Z"}"#;
    let answer = bench
        .post(
            "/v1/redemptions",
            format!("[{redemption},{}]", redemption.replace("\"X\"", "\"\"")),
        )
        .await;
    assert_eq!(answer.json()["rejected"][0]["index"], 1);
    assert_eq!(bench.events().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn pixels_that_say_nothing_usable() {
    let bench = Bench::new().await;
    for (query, field) in [
        ("store=s&kind=sale", "kind"),
        ("kind=page", "store"),
        ("store=s&value=-5&currency=USD", "value"),
        ("store=s&store=t", "store"),
        ("store=s&time=2027-11-09T00:00:00Z", "time"),
        ("store=s&code=%00", "code"),
        ("store=%FF", "store"),
    ] {
        let answer = bench
            .get(&format!("/v1/pixel.gif?k=pk-north&{query}"), &[])
            .await;
        is_problem(&answer, 422, "invalid");
        assert_eq!(answer.json()["field"], field);
    }
    let answer = bench
        .post_as("", "/v1/pixel?k=pk-north", "{\"store\":", &[])
        .await;
    is_problem(&answer, 422, "invalid");
    assert!(bench.events().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn rates() {
    let limits = LimitsConfig {
        batch_requests_per_sec: 2,
        single_requests_per_sec: 2,
        ..LimitsConfig::default()
    };
    let bench = Bench::with(limits).await;
    let mut refused = 0;
    for _ in 0..6 {
        let answer = bench.post("/v1/events", SHOW).await;
        if answer.status == 429 {
            is_problem(&answer, 429, "too_fast");
            assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
            refused += 1;
        }
    }
    assert!(refused >= 2, "{refused}");
    assert_eq!(
        bench
            .post_as("key-south", "/v1/events", SHOW, &[])
            .await
            .status,
        200,
        "another tenant has its own rate"
    );
    assert_eq!(
        bench
            .get("/v1/pixel.gif?k=pk-north&store=s", &[])
            .await
            .status,
        200,
        "another door has its own rate"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_and_methods_that_are_not_there() {
    let bench = Bench::new().await;
    is_problem(&bench.get("/nothing", &[]).await, 404, "not_found");
    is_problem(
        &bench.get("/v1/events", &[]).await,
        405,
        "method_not_allowed",
    );
    is_problem(
        &bench.post("/v1/import/apache", "x").await,
        404,
        "not_found",
    );
}
