//! Every refusal of the issue's section "Bad input": status, document, named field, and that nothing is stored.

use hostread_connectors_kit::signature::hmac_sha256_base64;
use hostread_gateway::LimitsConfig;

use super::bench::{Doors, SECRET};

const SHOW: &str = r#"{"type":"show","id":"s","show":"s","time":"2026-11-09T00:00:00Z"}"#;

async fn stored_nothing(doors: &Doors) {
    let events = doors.events().await;
    assert!(events.is_empty(), "{events:?}");
    assert!(doors.letters().is_empty());
    assert_eq!(doors.gateway.spilled().events, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_or_missing_key_is_401() {
    let doors = Doors::open().await;
    let batch_doors = [
        "/v1/events",
        "/v1/events?type=a&type=b",
        "/v1/redemptions",
        "/v1/import/combined",
    ];
    for path in batch_doors {
        for key in ["", "key-nobody", "key-nort", "key-north2", "pk-north"] {
            doors
                .post_as(key, path, SHOW, &[])
                .await
                .problem(401, "key_wrong");
        }
        for value in ["Basic key-north", "key-north", "Bearer", "Bearer  "] {
            let headers = [("authorization", value)];
            let answer = doors.post_as("", path, SHOW, &headers).await;
            answer.problem(401, "key_wrong");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
    for query in [
        "",
        "?k=",
        "?k=nobody&store=s&line=l",
        "?store=s&line=l",
        "?k=key-north&store=s&line=l",
    ] {
        for path in ["/v1/pixel.gif", "/v1/impression.gif"] {
            doors
                .get(&format!("{path}{query}"))
                .await
                .problem(401, "key_wrong");
        }
        let answer = doors
            .post_as("", &format!("/v1/pixel{query}"), "{}", &[])
            .await;
        answer.problem(401, "key_wrong");
    }
    let body = r#"{"k":"nobody","store":"s"}"#;
    doors
        .post_as("", "/v1/pixel", body, &[])
        .await
        .problem(401, "key_wrong");
    stored_nothing(&doors).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_signature_is_401_and_stores_nothing() {
    let doors = Doors::open().await;
    let body = r##"{"id":1,"name":"#1041","created_at":"2026-11-10T00:00:00Z","currency":"USD","subtotal_price":"1.00"}"##;
    let good = hmac_sha256_base64(SECRET.as_bytes(), body.as_bytes());
    let other = hmac_sha256_base64(b"other", body.as_bytes());
    let empty = hmac_sha256_base64(b"", body.as_bytes());
    for signature in ["", "%%%", &other, &empty, &good[1..], &format!("{good} ,")] {
        let answer = doors.delivery("orders/create", "w1", body, signature).await;
        answer.problem(401, "signature_wrong");
    }
    // One byte more, or one changed.
    for body in [format!("{body} "), body.replace("1.00", "9.00")] {
        doors
            .delivery("orders/create", "w1", body, &good)
            .await
            .problem(401, "signature_wrong");
    }
    for path in ["/hooks/shopify/nobody", "/hooks/shopify/%FF"] {
        let headers = [("x-shopify-hmac-sha256", good.as_str())];
        doors
            .post_as("", path, body, &headers)
            .await
            .problem(401, "signature_wrong");
    }
    stored_nothing(&doors).await;
    assert_eq!(
        doors
            .delivery("orders/create", "w1", body, &good)
            .await
            .status,
        200
    );
    assert_eq!(doors.events().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_its_limit_is_413() {
    let doors = Doors::open().await;
    let (mib, batch) = (1 << 20, 8 << 20);
    // With the status of blanks that just fit.
    for (path, limit, read) in [
        ("/v1/redemptions", mib, 422),
        ("/v1/pixel?k=pk-north", mib, 422),
        ("/hooks/shopify/north-shop", mib, 401),
        ("/v1/events", batch, 422),
        ("/v1/import/combined", batch, 200),
    ] {
        let over = doors.post(path, vec![b' '; limit + 1]).await;
        over.problem(413, "body_too_large");
        assert!(
            over.json()["detail"]
                .as_str()
                .unwrap()
                .contains(&limit.to_string())
        );
        let just_fits = doors.post(path, vec![b' '; limit]).await;
        assert_eq!(just_fits.status, read, "{path}");
    }
    let long = format!("/v1/pixel.gif?k=pk-north&store={}", "x".repeat(20_000));
    doors.get(&long).await.problem(413, "body_too_large");
    assert!(doors.events().await.is_empty());
}

/// An order with one more field.
fn order(field: &str) -> String {
    format!(
        r#"{{"type":"order","id":"o","store":"s","order_id":"1","currency":"USD","time":"2026-11-09T00:00:00Z",{field}}}"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_cannot_be_are_422_and_name_the_field() {
    let doors = Doors::open().await;
    let at = |time: &str| SHOW.replace("2026-11-09T00:00:00Z", time);
    let deep = |open: &str, close: &str| {
        format!(
            r#"{{"type":"show","show":{}1{}}}"#,
            open.repeat(50_000),
            close.repeat(50_000)
        )
    };
    let cases = [
        (SHOW.replace("\"s\",\"time\"", "\"a\\u0000b\",\"time\""), "show"),
        (deep("[", "]"), "show"),
        (deep("{\"a\":", "}"), "show"),
        (SHOW.replace("\"id\"", "\"show\":\"t\",\"id\""), "show"),
        (order(r#""value":-1"#), "value"),
        (order(r#""value":-9223372036854775809"#), "value"),
        (order(r#""value":1e300"#), "value"),
        (order(r#""value":"34.40""#), "value"),
        (order(r#""codes":["A",7]"#), "codes"),
        (order(r#""valeu":1"#), "valeu"),
        (at("2026-11-16T12:00:00.001Z"), "time"),
        (at("2025-10-11T11:59:59.999Z"), "time"),
        (at("9999-12-31T23:59:59Z"), "time"),
        (at("0000-00-00T00:00:00Z"), "time"),
        (at("yesterday"), "time"),
        (SHOW.replace(",\"time\":\"2026-11-09T00:00:00Z\"", ""), "time"),
        (SHOW.replace("\"type\":\"show\"", "\"type\":\"visit\""), "type"),
        (SHOW.replace("\"type\":\"show\",", ""), "type"),
        (SHOW.replace("\"id\"", "\"tenant\":\"south\",\"id\""), "tenant"),
        (
            r#"{"type":"line_item","line":"l","campaign":"c","price":-5,"start":"2026-11-01","end":"2026-11-30","time":"2026-11-09T00:00:00Z"}"#.to_owned(),
            "price",
        ),
        (
            r#"{"type":"pixel","store":"s","ip":"300.1.1.1","time":"2026-11-09T00:00:00Z"}"#.to_owned(),
            "ip",
        ),
    ];
    for (body, field) in cases {
        let shown = body.get(..160).unwrap_or(&body).to_owned();
        for batch in [
            body.clone(),
            format!("[{body}]"),
            format!("{{\"events\":[{body}]}}"),
        ] {
            let answer = doors.post("/v1/events", batch).await;
            let named = answer.problem(422, "all_rejected");
            let below = [format!("{field}["), format!("{field}.")];
            let fits = named == field || below.iter().any(|start| named.starts_with(start));
            assert!(fits, "\"{named}\" is named, not \"{field}\": {shown}");
            let rejected = &answer.json()["rejected"][0];
            assert_eq!(rejected["index"], 0);
            assert!(!rejected["message"].as_str().unwrap().is_empty());
        }
    }
    stored_nothing(&doors).await;
    // A day ahead and 400 days back are just right.
    for time in ["2026-11-16T12:00:00Z", "2025-10-11T12:00:00Z"] {
        assert_eq!(doors.post("/v1/events", at(time)).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_events_are_422() {
    let doors = Doors::open().await;
    let bodies: [&[u8]; 12] = [
        b"",
        b" ",
        b"\0",
        b"not json",
        b"[{\"type\":",
        b"[\"\xFF\"]",
        b"{\"type\":\"show\",\"show\":\"\xC3\x28\"}",
        b"[{\"type\":\"show\"}]garbage",
        b"[]",
        b"{\"events\":[]}",
        b"null",
        b"[[[]]]",
    ];
    for body in bodies {
        let answer = doors.post("/v1/events", body).await;
        assert_eq!(answer.status, 422, "{body:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    let many = format!("[{}]", vec![SHOW; 5_001].join(","));
    doors.post("/v1/events", many).await.problem(422, "invalid");
    for table in [
        "",
        "type,type\nshow,show\n",
        "type,show\nrequest,s\n",
        "type,show\n\"show",
    ] {
        assert_eq!(
            doors.table("/v1/events", table).await.status,
            422,
            "{table:?}"
        );
    }
    for query in [
        "type=show&type=show",
        "at=-1",
        "line=x",
        "source=",
        "batch=%00",
    ] {
        let path = if query.starts_with("type") {
            "/v1/events"
        } else {
            "/v1/import/combined"
        };
        let answer = doors.post(&format!("{path}?{query}"), SHOW).await;
        assert_eq!(answer.status, 422, "{query}");
        assert_eq!(
            answer.header("content-type"),
            "application/problem+json",
            "{query}"
        );
    }
    stored_nothing(&doors).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn single_hits_that_cannot_be_are_422_and_name_the_field() {
    let doors = Doors::open().await;
    for (query, field) in [
        ("store=s&kind=sale", "kind"),
        ("kind=page", "store"),
        ("store=s&value=-5&currency=USD", "value"),
        ("store=s&value=5", "currency"),
        ("store=s&value=5e3&currency=USD", "value"),
        ("store=s&store=t", "store"),
        ("store=s&stroe=t", "stroe"),
        ("store=s&time=2026-11-16T12:00:01Z", "time"),
        ("store=s&time=2025-10-11T11:59:59Z", "time"),
        ("store=s&code=%00", "code"),
        ("store=%FF", "store"),
        ("store=s&ip=1.2.3", "ip"),
    ] {
        let answer = doors
            .get(&format!("/v1/pixel.gif?k=pk-north&{query}"))
            .await;
        assert_eq!(answer.problem(422, "invalid"), field, "{query}");
    }
    let answer = doors.get("/v1/impression.gif?k=pk-north&show=s").await;
    assert_eq!(answer.problem(422, "invalid"), "line");
    for body in [
        "{\"store\":",
        "{\"store\":{\"a\":1}}",
        "{\"store\":\"s\",\"store\":\"t\"}",
        "[]",
        "",
    ] {
        let answer = doors.post_as("", "/v1/pixel?k=pk-north", body, &[]).await;
        answer.problem(422, "invalid");
    }
    for body in [
        r#"{"store":"s","code":"X","time":"2026-11-10T00:00:00Z","value":"-1","currency":"USD"}"#,
        r#"{"store":"s","code":"X"}"#,
        r#"[{"store":"s","code":"","time":"2026-11-10T00:00:00Z"}]"#,
    ] {
        doors
            .post("/v1/redemptions", body)
            .await
            .problem(422, "all_rejected");
    }
    stored_nothing(&doors).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_fast_is_429_for_this_tenant_and_door_alone() {
    let limits = LimitsConfig {
        batch_requests_per_sec: 2,
        single_requests_per_sec: 2,
        ..LimitsConfig::default()
    };
    let doors = Doors::with(limits).await;
    let body = "{}";
    let signature = hmac_sha256_base64(SECRET.as_bytes(), body.as_bytes());
    for door in 0..6 {
        let mut refused = 0;
        for attempt in 0..8 {
            let answer = match door {
                0 => doors.post("/v1/events", SHOW).await,
                1 => doors.post("/v1/redemptions", body).await,
                2 => doors.post("/v1/import/combined", "").await,
                3 => doors.get("/v1/pixel.gif?k=pk-north&store=s").await,
                4 => doors.get("/v1/impression.gif?k=pk-north&line=s").await,
                _ => doors.delivery("orders/create", "w", body, &signature).await,
            };
            if answer.status == 429 {
                answer.problem(429, "too_fast");
                assert!(attempt > 0, "door {door} has its own rate");
                refused += 1;
            }
        }
        assert!(refused >= 2, "door {door}: {refused}");
    }
    let other = doors.post_as("key-south", "/v1/events", SHOW, &[]).await;
    assert_eq!(other.status, 200, "another tenant has its own rate");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_and_methods_that_are_not_there() {
    let doors = Doors::open().await;
    for path in [
        "/",
        "/nothing",
        "/v1",
        "/v1/import",
        "/hooks/shopify/",
        "/v1/pixel.gif/x",
    ] {
        doors.get(path).await.problem(404, "not_found");
    }
    for path in ["/v1/import/apache", "/v1/import/%FF"] {
        doors.post(path, "x").await.problem(404, "not_found");
    }
    doors
        .get("/v1/events")
        .await
        .problem(405, "method_not_allowed");
    let answer = doors.post("/v1/pixel.gif?k=pk-north&store=s", "").await;
    answer.problem(405, "method_not_allowed");
    for path in [
        "/v1/pixel.gif?k=pk-north&store=s",
        "/v1/impression.gif?k=pk-north&line=l",
    ] {
        assert_eq!(
            doors.head(path).await.status,
            405,
            "who only looks has seen nothing"
        );
    }
    stored_nothing(&doors).await;
}
