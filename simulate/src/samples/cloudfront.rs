//! Delivery logs in CloudFront's standard format, version 1: two header lines, 33 fields.
//!
//! Among the lines are some that stand there twice and some that cannot be read; six hours of one
//! day are missing and come in a file of their own.

use hostread_schemas::EventTimeMs;

use crate::rng::Rng;
use crate::world::{DAY_SECS, HOUR_SECS, Request, TenantWorld};

const HEAD: &str = "#Version: 1.0
#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status \
cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id \
x-host-header cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher \
x-edge-response-result-type cs-protocol-version fle-status fle-encrypted-fields c-port \
time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len sc-range-start \
sc-range-end
";

const EDGES: [&str; 4] = ["IAD89-C1", "FRA56-P4", "SFO5-C3", "LHR50-P2"];

/// A tenant's two log files, unpacked.
pub(super) struct Log {
    pub(super) main: Vec<u8>,
    pub(super) late: Vec<u8>,
    pub(super) lines: u64,
}

pub(super) fn log(tenant: &TenantWorld, seed: u64) -> Log {
    let mut rng = Rng::new(seed).part("log").part(tenant.name);
    let mut log = Log {
        main: HEAD.as_bytes().to_vec(),
        late: HEAD.as_bytes().to_vec(),
        lines: 0,
    };
    let days = (tenant.last_secs - tenant.first_secs) / DAY_SECS;
    let gap = tenant.first_secs + days / 3 * DAY_SECS + 12 * HOUR_SECS;
    let gap = gap..gap + 6 * HOUR_SECS;
    for (nth, request) in tenant.requests.iter().enumerate() {
        let line = line(request, nth, &mut rng);
        let file = if gap.contains(&request.secs) {
            &mut log.late
        } else {
            &mut log.main
        };
        // A log service that retries writes some lines twice.
        for _ in 0..if rng.chance(1, 500) { 2 } else { 1 } {
            file.extend_from_slice(line.as_bytes());
            file.push(b'\n');
            log.lines += 1;
        }
    }
    for line in malformed(tenant) {
        log.main.extend_from_slice(&line);
        log.main.push(b'\n');
        log.lines += 1;
    }
    log
}

/// Lines that cannot be read: too few fields, a date, a number, an address, bytes, a NUL.
pub(crate) fn malformed(tenant: &TenantWorld) -> Vec<Vec<u8>> {
    let Some(request) = tenant.requests.first() else {
        return Vec::new();
    };
    let line = line(request, 0, &mut Rng::new(0));
    let fields: Vec<&str> = line.split('\t').collect();
    let with = |place: usize, text: &[u8]| {
        let parts = fields.iter().enumerate();
        let parts: Vec<&[u8]> = parts
            .map(|(nth, field)| if nth == place { text } else { field.as_bytes() })
            .collect();
        parts.join(&b'\t')
    };
    vec![
        fields[..12].join("\t").into_bytes(),
        with(0, b"2026-02-30"),
        with(3, b"many"),
        with(4, b"71.204.33.999"),
        with(10, b"Player/\xff\xfe"),
        with(7, b"/audio/\0.mp3"),
    ]
}

/// CloudFront's encoding of a field: what is not plain ASCII, and a few signs, as `%XX`.
fn encoded(text: &str) -> String {
    if text.is_empty() {
        return "-".to_owned();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if (33..127).contains(&byte) && !b"%\"\\<>".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let digit = |half: u8| char::from(b"0123456789ABCDEF"[usize::from(half)]);
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}

fn line(request: &Request, nth: usize, rng: &mut Rng) -> String {
    let time = EventTimeMs(request.secs * 1_000).to_rfc3339();
    let has_body = request.method == "GET" && matches!(request.status, 200 | 206);
    let cut = has_body && request.sent < request.asked;
    let result = match request.status {
        200..400 if !cut => *rng.pick(&["Hit", "Hit", "Hit", "RefreshHit", "Miss"]),
        _ => "Error",
    };
    // A HEAD says the length of what it did not send.
    let length = match (request.method, request.status) {
        ("GET" | "HEAD", 200 | 206) => request.asked.to_string(),
        ("GET" | "HEAD", 400..) => "0".to_owned(),
        _ => "-".to_owned(),
    };
    let bound = |bound: Option<u64>| bound.map_or_else(|| "-".to_owned(), |b| b.to_string());
    let mut fields: Vec<String> = Vec::with_capacity(33);
    let mut add = |field: &str| fields.push(field.to_owned());
    add(time.get(..10).unwrap_or("-"));
    add(time.get(11..19).unwrap_or("-"));
    add(EDGES[rng.index(EDGES.len())]);
    add(&(request.sent + 400 + 20 * rng.below(12)).to_string());
    add(&request.ip);
    add(request.method);
    add("d111111abcdef8.cloudfront.net");
    add(&encoded(&request.path));
    add(&format!("{:03}", request.status));
    add(&encoded(request.referrer.unwrap_or_default()));
    add(&encoded(&request.agent));
    add(if rng.chance(1, 4) { "source=feed" } else { "-" });
    add("-");
    add(result);
    // Counted up, not drawn: it has to differ, and packs better.
    add(&format!("Sample{nth:026}=="));
    for field in ["media.example.com", "https", "333"] {
        add(field);
    }
    add(&format!("{}.{:03}", rng.below(9), 100 * rng.below(10)));
    for field in [
        "-",
        "TLSv1.3",
        "TLS_AES_128_GCM_SHA256",
        result,
        "HTTP/2.0",
        "-",
        "-",
    ] {
        add(field);
    }
    add(&(40_000 + rng.below(100)).to_string());
    add(&format!("0.{:03}", 10 * rng.below(30)));
    add(if cut { "ClientCommError" } else { result });
    add("audio/mpeg");
    add(&length);
    add(&bound(request.range.map(|range| range.0)));
    add(&bound(request.range.map(|range| range.1)));
    debug_assert_eq!(fields.len(), 33);
    fields.join("\t")
}
