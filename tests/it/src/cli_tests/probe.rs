//! `hostread probe`: files of this machine and behind an address, as a table and as a catalog has them.

use std::path::Path;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{run, text};

/// A tag of 300 bytes and 5,000 frames of 128 kbit/s: 130.6 s.
fn mp3() -> Vec<u8> {
    let mut file = b"ID3\x04\0\0\0\0\x02\x22".to_vec();
    file.resize(300, 0);
    for _ in 0..5_000 {
        let start = file.len();
        file.extend([0xFF, 0xFB, 0x90, 0]);
        file.resize(start + 417, 0x55);
    }
    file
}

fn expected(path: &str) -> Value {
    json!({"id": "ep 1", "path": path, "bit_rate": 128_000, "id3_bytes": 300, "seconds": 130, "size_bytes": 2_085_300,
        "download_threshold_bytes": 960_300, "ads": []})
}

fn probed(dir: &Path, file: &str) -> Value {
    let output = run(dir, &["probe", "--format", "json", file]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_file_is_an_episode_that_a_catalog_takes() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("ep 1.mp3"), mp3()).unwrap();
    let episode = probed(dir, "ep 1.mp3");
    assert_eq!(episode, expected("/ep 1.mp3"));
    let table = run(dir, &["probe", "ep 1.mp3"]);
    for said in ["/ep 1.mp3", "128000", "0:02:10", "960300"] {
        assert!(text(&table).contains(said), "{said}: {}", text(&table));
    }
    std::fs::write(
        dir.join("catalog.json"),
        json!({"episodes": [episode]}).to_string(),
    )
    .unwrap();
    let log = "203.0.113.1 - - [09/Nov/2026:10:00:02 +0000] \"GET /ep%201.mp3 HTTP/1.1\" 200 960300 \"-\" \"A/1\"\n";
    std::fs::write(dir.join("a.log"), log).unwrap();
    let counted = run(
        dir,
        &[
            "count",
            "--catalog",
            "catalog.json",
            "--format",
            "csv",
            "a.log",
        ],
    );
    assert!(
        text(&counted).contains("ep 1,2026-11-09,1"),
        "{}",
        text(&counted)
    );
    std::fs::write(dir.join("text.mp3"), "no sound").unwrap();
    for (wrong, said) in [
        ("text.mp3", "no MP3 or M4A"),
        ("none.mp3", "none.mp3"),
        ("https://a.example/b", "http"),
    ] {
        let output = run(dir, &["probe", wrong]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output).contains(said), "{}", text(&output));
    }
}

/// Serves the file, in parts if it may.
async fn serve(listener: TcpListener, parts: bool) {
    let file = mp3();
    while let Ok((mut stream, _)) = listener.accept().await {
        let file = file.clone();
        tokio::spawn(async move {
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut asked).await.unwrap() == 0 {
                    return;
                }
            }
            let asked = String::from_utf8(asked).unwrap().to_lowercase();
            let range = asked
                .lines()
                .find_map(|line| line.strip_prefix("range: bytes="));
            let (first, last) = range.unwrap().split_once('-').unwrap();
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
            let (head, body) = if parts {
                let last = last.min(file.len() - 1);
                let body = &file[first..=last];
                (
                    format!(
                        "206 Partial Content\r\ncontent-range: bytes {first}-{last}/{}",
                        file.len()
                    ),
                    body,
                )
            } else {
                ("200 OK".to_owned(), &file[..])
            };
            let head = format!(
                "HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(body).await.ok();
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_read_in_parts_or_whole() {
    let dir = tempfile::tempdir().unwrap();
    for parts in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve(listener, parts));
        let url = format!("http://{address}/show/ep%201.mp3?x=1");
        let episode = tokio::task::block_in_place(|| probed(dir.path(), &url));
        assert_eq!(episode, expected("/show/ep 1.mp3"), "{parts}");
        server.abort();
    }
}
