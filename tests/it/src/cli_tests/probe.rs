//! `hostread probe`: files of this machine and behind an address, as a table and as a catalog has them.

use std::path::Path;

use serde_json::{Value, json};

use super::site::{Answer, Asked, Site};
use super::{hostread, run, text};

/// A tag of 300 bytes and 5,000 frames of 128 kbit/s: 130.6 s.
pub(super) fn mp3() -> Vec<u8> {
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
        ("ftp://a.example/b.mp3", "no http or https address"),
    ] {
        let output = run(dir, &["probe", wrong]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output).contains(said), "{}", text(&output));
    }
}

/// A host: the file in parts and whole, and what goes wrong with hosts.
fn pages(asked: &Asked) -> Answer {
    let file = mp3();
    let moved = |to: &str| Answer::of("302 Found").with(&format!("location: {to}"));
    let (path, _) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    match path {
        "/show/ep%201.mp3" => Answer::part(asked, &file).with("etag: \"1\""),
        "/whole.mp3" => Answer::ok(file),
        "/prefix/whole.mp3" => moved("/show/ep%201.mp3"),
        "/page.mp3" => {
            Answer::ok("<html>gone</html>").with("content-type: text/html; charset=utf-8")
        }
        "/loop.mp3" => moved("/loop.mp3"),
        "/mail.mp3" => moved("mailto:a@example.com"),
        "/sizeless.mp3" => Answer::of("206 Partial Content").with("content-range: bytes 0-1/*"),
        // Another stitched version for every request.
        "/stitched.mp3" => {
            let (first, _) = asked.range().unwrap();
            let ads = usize::from(first > 0) * 417;
            Answer::part(asked, &[file, vec![0x55; ads]].concat())
        }
        _ => Answer::of("404 Not Found"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_read_in_parts_or_whole() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(pages).await;
    for path in ["/show/ep%201.mp3?x=1", "/whole.mp3", "/prefix/whole.mp3"] {
        let url = format!("{}{path}", site.address);
        let episode = tokio::task::block_in_place(|| probed(dir.path(), &url));
        let mut wanted = match path {
            "/show/ep%201.mp3?x=1" => expected("/show/ep 1.mp3"),
            _ => expected(path),
        };
        if path != "/show/ep%201.mp3?x=1" {
            wanted["id"] = json!("whole");
        }
        if path != "/whole.mp3" {
            wanted["sampled"] = json!(true);
        }
        assert_eq!(episode, wanted, "{path}");
        let asked = site.asked();
        if path == "/prefix/whole.mp3" {
            let prefix = asked.iter().filter(|asked| asked.path == path).count();
            assert_eq!(prefix, 1, "a tracker is asked once");
        }
        let sent = |asked: &Asked| asked.range().map(|(first, last)| last - first + 1);
        let bytes: usize = asked.iter().filter_map(sent).sum();
        assert!(bytes < 1_000_000, "{path}: {bytes} bytes were asked for");
        let agent = asked[0].header("user-agent").unwrap_or_default();
        assert!(agent.contains("bot"), "{agent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_does_wrong_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(pages).await;
    for (path, said) in [
        ("/gone.mp3", "the server answered 404 Not Found"),
        (
            "/page.mp3",
            "the server sent a page (text/html), not a file",
        ),
        ("/loop.mp3", "the server leads on more than 20 times"),
        ("/mail.mp3", "leads on to \"mailto\""),
        ("/sizeless.mp3", "does not say how large the file is"),
        ("/stitched.mp3", "the file changed while it was read"),
    ] {
        let url = format!("{}{path}", site.address);
        let output = tokio::task::block_in_place(|| run(dir.path(), &["probe", &url]));
        assert_eq!(output.status.code(), Some(2), "{path}");
        assert!(text(&output).contains(said), "{said}: {}", text(&output));
        assert!(site.asked().len() <= 21, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn https_is_believed_by_the_machines_own_roots() {
    let dir = tempfile::tempdir().unwrap();
    let (site, pem) = Site::start_tls(pages).await;
    let root = dir.path().join("root.pem");
    std::fs::write(&root, pem).unwrap();
    let url = format!("{}/show/ep%201.mp3", site.address);
    let probe = |roots: &Path| {
        let mut command = hostread(dir.path(), &["probe", "--format", "json", &url]);
        command
            .env("SSL_CERT_FILE", roots)
            .env_remove("SSL_CERT_DIR");
        tokio::task::block_in_place(|| command.output().unwrap())
    };
    let output = probe(&root);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let episode: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(episode["path"], "/show/ep 1.mp3");
    // A server that nobody vouches for is not asked.
    let other = dir.path().join("other.pem");
    let made = Site::start_tls(pages).await;
    std::fs::write(&other, made.1).unwrap();
    site.asked();
    let output = probe(&other);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("certificate"), "{}", text(&output));
    assert!(site.asked().is_empty());
}

#[test]
fn plain_http_needs_no_roots() {
    let dir = tempfile::tempdir().unwrap();
    super::write_settings(dir.path());
    let args = [
        "--config",
        "hostread.toml",
        "rules",
        "publish",
        "2.3",
        "--tenant",
        "acme",
    ];
    let mut command = hostread(dir.path(), &args);
    command.args([
        "--gateway",
        "http://127.0.0.1:9",
        "--api-key",
        super::API_KEY,
    ]);
    command
        .env("SSL_CERT_FILE", "none.pem")
        .env("SSL_CERT_DIR", "none");
    let said = text(&command.output().unwrap());
    assert!(said.contains("127.0.0.1:9/ does not answer"), "{said}");
}
