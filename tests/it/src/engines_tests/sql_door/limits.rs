//! The SQL door under too much: large answers, heavy and slow queries, a crowd, HTTP that is none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::{eventually, run};
use super::{KEY_A, KEY_B, World};

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold() {
    let world = Arc::new(World::new().await);
    for (query, code) in [
        ("SELECT * FROM numbers(200000)", "result_too_large"),
        (
            "SELECT repeat('x', 1000000) FROM numbers(100)",
            "result_too_large",
        ),
        (
            "SELECT groupArray(repeat('x', 1000)) FROM numbers(1000000)",
            "query_too_heavy",
        ),
        (
            "SELECT sum(number) FROM numbers(200000000000)",
            "query_too_heavy",
        ),
    ] {
        let (status, text) = world.ask(KEY_A, query).await;
        assert!(status == 422 && text.contains(code), "{query} -> {text}");
    }
    let (status, _) = world
        .ask(KEY_A, &format!("SELECT '{}'", "x".repeat(64 << 10)))
        .await;
    assert_eq!(status, 413);
    let (status, _) = world
        .ask(KEY_A, &format!("SELECT '{}'", "x".repeat(60 << 10)))
        .await;
    assert_eq!(status, 200);
    let deep = format!("SELECT {}1{}", "(".repeat(20_000), ")".repeat(20_000));
    let (status, text) = world.ask(KEY_A, &deep).await;
    assert!((400..500).contains(&status), "{status} {text}");
    slow_queries_end_and_crowds_are_turned_away(&world).await;
    malformed_http_stays_at_the_door(&world).await;
    assert_eq!(world.engines.status().clickhouse.restarts, 0);
    Arc::into_inner(world).unwrap().engines.stop().await;
}

async fn slow_queries_end_and_crowds_are_turned_away(world: &Arc<World>) {
    let slow = "SELECT count() FROM numbers(900000000) WHERE sipHash64(toString(number)) = 1";
    let started = Instant::now();
    let crowd: Vec<_> = (0..30)
        .map(|at| {
            let world = Arc::clone(world);
            let key = if at % 2 == 0 { KEY_A } else { KEY_B };
            tokio::spawn(async move { world.ask(key, slow).await })
        })
        .collect();
    let (mut turned_away, mut too_slow) = (0, 0);
    for one in crowd {
        let (status, text) = one.await.unwrap();
        match status {
            429 => turned_away += 1,
            422 if text.contains("query_too_slow") => too_slow += 1,
            _ => panic!("{status} {text}"),
        }
    }
    assert_eq!((turned_away, too_slow), (24, 6));
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(
        world.ask(KEY_A, "SELECT 1 FORMAT CSV").await,
        (200, "1\n".to_owned())
    );
    let abandoned = world
        .post(KEY_A, slow)
        .timeout(Duration::from_millis(300))
        .send()
        .await;
    assert!(abandoned.is_err());
    eventually("the abandoned query is ended", async || {
        let query = "SELECT count() FROM system.processes WHERE user LIKE 'reader%'";
        run(&world.engines.clickhouse, query).await == "0\n"
    })
    .await;
}

async fn malformed_http_stays_at_the_door(world: &World) {
    let key = format!("X-Api-Key: {KEY_A}\r\n");
    let long = "x".repeat(2 << 20);
    for bytes in [
        "\0\u{1}\u{2}\r\n\r\n".to_owned(),
        "GET\r\n\r\n".to_owned(),
        "GET /sql HTTP/9.9\r\n\r\n".to_owned(),
        format!("POST /sql HTTP/1.1\r\nHost: x\r\n{key}Content-Length: x\r\n\r\n"),
        format!(
            "POST /sql HTTP/1.1\r\nHost: x\r\n{key}Content-Length: 8\r\nContent-Length: 9\r\n\r\nSELECT 1"
        ),
        format!("POST /sql HTTP/1.1\r\nHost: x\r\n{key}Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
        format!("GET /sql?query={long} HTTP/1.1\r\nHost: x\r\n{key}\r\n"),
        format!("GET /sql?query=SELECT%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{key}\r\n"),
        format!(
            "POST /sql HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{key}Content-Length: 4\r\n\r\n\u{7ff}\u{7ff}"
        ),
        format!("GET /sql HTTP/1.1\r\nHost: x\r\n{key}A: {long}\r\n\r\n"),
    ] {
        let mut stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
        // The door may hang up while the rest is on its way.
        let sent = stream.write_all(bytes.as_bytes()).await;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let read = tokio::time::timeout(Duration::from_secs(15), read).await;
        let answer = String::from_utf8_lossy(&answer);
        let start: String = bytes.chars().take(60).collect();
        assert!(
            !answer.starts_with("HTTP/1.1 200"),
            "{start:?} ({sent:?}, {read:?}) -> {answer}"
        );
        world.assert_nothing_leaks(&start, &answer);
    }
    assert_eq!(
        world.ask(KEY_A, "SELECT 1 FORMAT CSV").await,
        (200, "1\n".to_owned())
    );
}
