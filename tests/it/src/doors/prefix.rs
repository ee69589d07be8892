//! The redirect prefix: where it leads, where it does not, and that it waits for nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hostread_gateway::{GatewayConfig, LimitsConfig};
use hostread_schemas::event::{Body, Event, IpClass, Method, Request, SourceKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::bench::{Disks, Doors, NOW_MS, events_of, open_log, tenants};
use super::silent::Silent;

/// Waiting for the log to answer, and then some.
const SPILLED_WITHIN: Duration = Duration::from_secs(20);
const EPISODE: &str = "/p/north-show/https://media.example.com/show/ep%201.mp3?a=1";

/// What is asked goes out as it stands here; what comes back is the status and the `Location`.
async fn ask(doors: &Doors, method: &str, path: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(doors.address()).await.unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: door\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.get(9..12).unwrap().parse().unwrap();
    let mut lines = answer.lines();
    let location = lines.find_map(|line| line.strip_prefix("location: "));
    (status, location.unwrap_or_default().to_owned())
}

/// Waits until so many hits are in the log.
async fn arrived(doors: &Doors, count: usize) -> Vec<Event> {
    for _ in 0..400 {
        let events = doors.events().await;
        if events.len() >= count {
            return events;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!(
        "{} of {count} hits arrived in 10 s",
        doors.events().await.len()
    );
}

fn request(event: &Event) -> &Request {
    match &event.body {
        Body::Request(request) => request,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_leads_on_and_a_hit_is_a_request() {
    let doors = Doors::open().await;
    let headers =
        "user-agent: Podcasts/1\r\nreferer: https://player.example/1\r\nrange: bytes=0-1\r\n";
    let led = ask(&doors, "GET", EPISODE, headers).await;
    assert_eq!(
        led,
        (
            302,
            "https://media.example.com/show/ep%201.mp3?a=1".to_owned()
        )
    );
    let wrapped = "/p/north-show/pdst.fm/e/media.example.com/show/ep%201.mp3";
    let led = ask(&doors, "HEAD", wrapped, headers).await;
    assert_eq!(
        led,
        (
            302,
            "https://pdst.fm/e/media.example.com/show/ep%201.mp3".to_owned()
        )
    );
    assert_eq!(ask(&doors, "POST", EPISODE, "").await.0, 405);

    let events = arrived(&doors, 2).await;
    let meta = &events[0].meta;
    assert_eq!(
        (meta.tenant.as_str(), meta.source.as_str(), meta.time.0),
        ("north", "north-show", NOW_MS)
    );
    assert_ne!(meta.id, events[1].meta.id);
    let (get, head) = (request(&events[0]), request(&events[1]));
    assert_eq!((get.method, head.method), (Method::Get, Method::Head));
    assert_eq!(get.enclosure, "/show/ep 1.mp3");
    assert_eq!(
        head.enclosure, get.enclosure,
        "wrapped or not, it is one episode"
    );
    assert_eq!(
        (get.source_kind, get.status, get.sent_bytes),
        (SourceKind::Prefix, 200, 0)
    );
    assert_eq!((get.range_first, get.range_last), (Some(0), Some(1)));
    assert_eq!(
        (get.agent.as_str(), get.referrer.as_deref()),
        ("Podcasts/1", Some("player.example"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_no_open_redirect() {
    let doors = Doors::open().await;
    for url in [
        "https://evil.example/a.mp3",
        "https://media.example.com@evil.example/a.mp3",
        "https://evil.example\\@media.example.com/a.mp3",
        "//evil.example/a.mp3",
        "https:///evil.example/a.mp3",
        "https%3A%2F%2Fevil.example%2Fa.mp3",
        "https%253A%252F%252Fevil.example/a.mp3",
        "https://media.example.com%2eevil.example/a.mp3",
        "https://media.example.com.evil.example/a.mp3",
        "https://media.example.com:8443/a.mp3",
        "ftp://media.example.com/a.mp3",
        "javascript:alert(1)",
        "https://pdst.fm/e/evil.example/a.mp3",
        "https://pdst.fm/e/https%3A%2F%2Fevil.example/a.mp3",
        "https://pdst.fm/x/../e/evil.example/a.mp3",
        "",
    ] {
        let (status, location) = ask(&doors, "GET", &format!("/p/north-show/{url}"), "").await;
        assert!(
            (400..500).contains(&status) && location.is_empty(),
            "{url}: {status} {location}"
        );
    }
    for path in [
        "/p/nobody/https://media.example.com/a.mp3",
        "/p/north-show",
        "/p/",
    ] {
        assert_eq!(ask(&doors, "GET", path, "").await.0, 404, "{path}");
    }
    // One that is led on comes behind whatever they left.
    assert_eq!(ask(&doors, "GET", EPISODE, "").await.0, 302);
    let hits = arrived(&doors, 1).await;
    assert_eq!(hits.len(), 1, "what is refused is no hit");
    assert_eq!(doors.gateway.prefix_hits().1, 0, "nor is it lost");
}

fn silent(disks: &Disks) -> Arc<Silent> {
    Arc::new(Silent {
        log: open_log(&disks.log).unwrap(),
        now: AtomicBool::new(true),
    })
}

async fn over(log: &Arc<Silent>, disks: Disks, limits: LimitsConfig) -> Doors {
    let config = GatewayConfig {
        limits,
        ..GatewayConfig::default()
    };
    Doors::over(Arc::<Silent>::clone(log), disks, config, tenants()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_away_delays_nobody_and_hits_arrive_afterwards() {
    let disks = Disks::new(0);
    let log = silent(&disks);
    let limits = LimitsConfig {
        append_ms_max: 2_000,
        ..LimitsConfig::default()
    };
    let doors = over(&log, disks, limits).await;
    let began = Instant::now();
    for _ in 0..40 {
        assert_eq!(ask(&doors, "GET", EPISODE, "").await.0, 302);
    }
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    let ready = doors.get("/readyz").await;
    assert_eq!(
        (ready.status, &ready.json()["prefix_hits_waiting"]),
        (503, &40.into())
    );
    while doors.gateway.spilled().events < 40 {
        assert!(began.elapsed() < SPILLED_WITHIN, "the hits went nowhere");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(doors.gateway.spilled().events, 40);
    log.now.store(false, Ordering::Relaxed);
    assert_eq!(ask(&doors, "GET", EPISODE, "").await.0, 302);
    doors.drained().await;
    let events = arrived(&doors, 41).await;
    assert_eq!(events.len(), 41);
    assert_eq!(doors.gateway.prefix_hits(), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_led_on_and_counted() {
    let disks = Disks::new(0);
    let log = silent(&disks);
    let limits = LimitsConfig {
        append_ms_max: 60_000,
        prefix_hits_max: 5,
        ..LimitsConfig::default()
    };
    let doors = over(&log, disks, limits).await;
    for _ in 0..20 {
        assert_eq!(ask(&doors, "GET", EPISODE, "").await.0, 302);
    }
    let ready = doors.get("/readyz").await.json();
    assert_eq!(
        (&ready["prefix_hits_waiting"], &ready["prefix_hits_lost"]),
        (&5.into(), &15.into())
    );

    let rate = LimitsConfig {
        single_requests_per_sec: 1,
        ..LimitsConfig::default()
    };
    let doors = Doors::with(rate).await;
    for _ in 0..10 {
        assert_eq!(ask(&doors, "GET", EPISODE, "").await.0, 302);
    }
    assert!(
        doors.gateway.prefix_hits().1 >= 5,
        "{:?}",
        doors.gateway.prefix_hits()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_takes_nothing_from_what_waits() {
    let doors = Doors::open().await;
    for _ in 0..30 {
        assert_eq!(ask(&doors, "GET", EPISODE, "").await.0, 302);
    }
    let disks = doors.stop().await;
    let log = open_log(&disks.log).unwrap();
    assert_eq!(events_of(&log).await.len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_listener_is_who_the_trusted_proxies_say() {
    let config = GatewayConfig {
        trusted_proxies: vec!["127.0.0.0/8".to_owned()],
        ip_ranges: BTreeMap::from([("data_centre".to_owned(), vec!["192.0.2.0/24".to_owned()])]),
        ..GatewayConfig::default()
    };
    let doors = Doors::of(Disks::new(0), config, tenants()).await;
    let claimed = "x-forwarded-for: 203.0.113.9, 192.0.2.7\r\n";
    assert_eq!(ask(&doors, "GET", EPISODE, claimed).await.0, 302);
    let events = arrived(&doors, 1).await;
    assert_eq!(request(&events[0]).ip.class, IpClass::DataCentre);
}
