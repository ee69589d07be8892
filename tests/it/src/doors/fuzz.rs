//! Any bytes at any door: an answer below 500, no panic, no hang, and the next caller is served.
//! Bytes go over a bare socket, because an HTTP client would refuse to send most of them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

use hostread_connectors_kit::conformance::damage;
use hostread_connectors_kit::signature::hmac_sha256_base64;
use hostread_gateway::LimitsConfig;
use proptest::prelude::*;

use super::bench::{Disks, Doors, SECRET};
use super::taken::{FACTS, table};

const CLOUDFRONT: &str = "#Version: 1.0\n#Fields: date time c-ip cs-method sc-status cs-uri-stem sc-bytes cs(User-Agent) sc-content-len sc-range-start\n2026-11-09\t00:43:05\t188.195.67.200\tGET\t206\t/a/ep-1.mp3\t101312551\tPod%20casts\t101312000\t0\n";
const COMBINED: &str = "188.195.67.200 - - [09/Nov/2026:00:31:41 +0000] \"GET /a/ep-1.mp3 HTTP/2.0\" 206 1000 \"https://x.example\" \"Pod \\xC3\\xBC\" \"bytes=0-999\" \"bytes 0-999/10000000\"\n";
const EVENTS: &str = r##"[{"type":"order","id":"o1","time":"2026-11-09T10:00:00Z","store":"n","order_id":"77","order_name":"#1041","value":34400000,"currency":"USD","codes":["A"],"ip":"203.0.113.9"},{"type":"rule_set","id":"r","time":"2026-11-09T10:00:00Z","rule_set":"x","bot_agents":["(?i)bot"]}]"##;
const PIXEL: &str = "store=northwind&kind=purchase&order=%231041&value=34.40&currency=USD&code=deep+dive&id=p1&ip=2001:db8::1&time=2026-11-09T10:00:00Z";
const IMPRESSION: &str = "line=l1&show=s&episode=e&kind=delivered&session=x&id=i&ip=203.0.113.9&agent=Podcasts%2F1&consent=1";
const REDEMPTION: &str = r#"[{"store":"s","code":"X","order":"1041","value":"34.40","currency":"USD","time":"2026-11-10T00:00:00Z","ip":"203.0.113.9"}]"#;
const ORDER: &str = r##"{"id":77,"name":"#1041","created_at":"2026-11-10T00:00:00Z","processed_at":"2026-11-10T00:00:00+02:00","currency":"USD","subtotal_price":"34.40","discount_codes":[{"code":"A"}],"client_details":{"browser_ip":"203.0.113.9"}}"##;
const REFUND: &str = r#"{"id":1,"order_id":77,"created_at":"2026-11-14T18:00:00Z","refund_line_items":[{"subtotal":"10.00","subtotal_set":{"shop_money":{"currency_code":"USD"}}}],"transactions":[{"currency":"USD","test":false}]}"#;

/// One gateway for all cases, in a runtime of its own.
fn address() -> &'static str {
    static DOORS: OnceLock<(tokio::runtime::Runtime, Doors)> = OnceLock::new();
    let (_, doors) = DOORS.get_or_init(|| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let limits = LimitsConfig {
            batch_requests_per_sec: 1_000_000,
            body_secs_max: 2,
            ..LimitsConfig::default()
        };
        let doors = runtime.block_on(Doors::on(Disks::new(0), limits));
        (runtime, doors)
    });
    doors.address()
}

/// Sends bytes and reads the answer's status; 0 when the connection is closed without one. `ends`: says that no more bytes come,
/// which the server takes for a caller who has left.
fn exchange(request: &[u8], ends: bool) -> u16 {
    let mut stream = TcpStream::connect(address()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // A door may answer and close before it has read everything.
    let mut sent = stream.write_all(request);
    if ends {
        sent = sent.and_then(|()| stream.shutdown(Shutdown::Write));
    }
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let closed = |error: &std::io::Error| {
        assert_ne!(
            error.kind(),
            std::io::ErrorKind::WouldBlock,
            "no answer within 20 s"
        );
    };
    sent.err().iter().chain(read.err().iter()).for_each(closed);
    let status = answer
        .strip_prefix(b"HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    let Some(status) = status else {
        assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
        return 0;
    };
    std::str::from_utf8(status).unwrap().parse().unwrap()
}

fn post(path: &str, headers: &[(&str, &[u8])], body: &[u8]) -> u16 {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    )
    .into_bytes();
    for (name, value) in headers {
        request.extend_from_slice(name.as_bytes());
        request.extend_from_slice(b": ");
        request.extend_from_slice(value);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(body);
    exchange(&request, false)
}

fn get(path: &str, query: &[u8]) -> u16 {
    let mut request = format!("GET {path}?k=pk-north&").into_bytes();
    request.extend_from_slice(query);
    request.extend_from_slice(b" HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
    exchange(&request, false)
}

/// Gzip of a single stored block.
fn stored_gzip(body: &[u8]) -> Vec<u8> {
    let part = body.get(..body.len().min(65_535)).unwrap();
    let length = u16::try_from(part.len()).unwrap();
    let mut packed = vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF, 1];
    packed.extend_from_slice(&length.to_le_bytes());
    packed.extend_from_slice(&(!length).to_le_bytes());
    packed.extend_from_slice(part);
    // The checksum is wrong on purpose.
    packed.extend_from_slice(&[0; 8]);
    packed
}

/// Bytes of no kind, or a good input with damage.
fn body() -> impl Strategy<Value = (Vec<u8>, u64)> {
    (prop::collection::vec(any::<u8>(), 0..400), any::<u64>())
}

fn one_of(random: &[u8], seed: u64, good: &str) -> Vec<u8> {
    if seed.is_multiple_of(4) {
        random.to_vec()
    } else {
        damage(good.as_bytes(), seed)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_at_any_door((random, seed) in body(), header in prop::collection::vec(0x20_u8..=0xFF, 0..40)) {
        let key: (&str, &[u8]) = ("authorization", b"Bearer key-north");
        let below_500 = |what: &str, status: u16| {
            assert!((200..500).contains(&status), "{what}: {status}");
        };
        let input = |good: &str| one_of(&random, seed, good);
        for kind in ["application/json", "application/x-ndjson", "text/csv"] {
            let good = if kind == "text/csv" { table(&FACTS) } else { EVENTS.to_owned() };
            below_500(kind, post("/v1/events", &[key, ("content-type", kind.as_bytes())], &input(&good)));
        }
        below_500("redemptions", post("/v1/redemptions", &[key], &input(REDEMPTION)));
        for (format, good) in [("cloudfront", CLOUDFRONT), ("combined", COMBINED)] {
            let path = format!("/v1/import/{format}?at={seed}&line={}&stitched=true", seed / 2);
            below_500(format, post(&path, &[key, ("x-log-fields", &header)], &input(good)));
            below_500("gzip", post(&path, &[key], &stored_gzip(&input(good))));
            below_500("damaged gzip", post(&path, &[key], &damage(&stored_gzip(good.as_bytes()), seed)));
        }
        let pixel: Vec<u8> = input(PIXEL).into_iter().filter(|byte| !byte.is_ascii_whitespace() && *byte != 0).collect();
        let impression: Vec<u8> = input(IMPRESSION).into_iter().filter(|byte| !byte.is_ascii_whitespace() && *byte != 0).collect();
        // Other control characters are no HTTP: the server may close the connection.
        for (path, query) in [("/v1/pixel.gif", &pixel), ("/v1/impression.gif", &impression)] {
            let status = get(path, query);
            assert!(status < 500, "{path}: {status}");
        }
        let json = format!("{{\"{}\"}}", PIXEL.replace('=', "\":\"").replace('&', "\",\""));
        below_500("pixel", post("/v1/pixel?k=pk-north", &[("user-agent", &header), ("x-forwarded-for", &header)], &input(&json)));
        for (topic, good) in [("orders/create", ORDER), ("orders/cancelled", ORDER), ("refunds/create", REFUND)] {
            let body = input(good);
            let signature = hmac_sha256_base64(SECRET.as_bytes(), &body);
            let headers: [(&str, &[u8]); 3] = [
                ("x-shopify-topic", topic.as_bytes()),
                ("x-shopify-webhook-id", &header),
                ("x-shopify-hmac-sha256", signature.as_bytes()),
            ];
            let status = post("/hooks/shopify/north-shop", &headers, &body);
            assert!(status == 200 || (status == 400 && !header_is_http(&header)), "{topic}: {status}");
        }
    }

    #[test]
    fn any_bytes_instead_of_http(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let status = exchange(&bytes, true);
        assert!(status < 500, "{status}");
        let status = exchange(&[b"POST /v1/events HTTP/1.1\r\nhost: h\r\nauthorization: Bearer key-north\r\ntransfer-encoding: chunked\r\n\r\n", &bytes[..]].concat(), true);
        assert!(status < 500, "{status}");
        let escaped: Vec<String> = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
        let status = post(&format!("/v1/events/{}", escaped.concat()), &[], b"");
        assert!((200..500).contains(&status), "{status}");
    }
}

/// Whether a value may stand in a header at all.
fn header_is_http(value: &[u8]) -> bool {
    !value.contains(&0x7F)
}

#[test]
fn a_body_that_never_ends_costs_its_sender_the_request_and_nobody_else() {
    let slow = b"POST /v1/events HTTP/1.1\r\nhost: h\r\nauthorization: Bearer key-north\r\ncontent-length: 1000\r\n\r\n[";
    let mut held: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = TcpStream::connect(address()).unwrap();
            stream.write_all(slow).unwrap();
            stream
        })
        .collect();
    let show = r#"{"type":"show","show":"s","time":"2026-11-09T00:00:00Z"}"#;
    let key: (&str, &[u8]) = ("authorization", b"Bearer key-north");
    assert_eq!(
        post("/v1/events", &[key], show.as_bytes()),
        200,
        "others are served"
    );
    let stream = held.last_mut().unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
}
