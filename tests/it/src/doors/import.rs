//! The import door and its client.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use hostread_connectors::mapped::Mapping;
use hostread_gateway::upload::{Progress, Upload};
use hostread_schemas::event::Body;
use tempfile::TempDir;

use super::bench::{Doors, body_of, gzip};

fn line(n: usize) -> String {
    format!(
        "86.225.{}.{} - - [09/Nov/2026:00:41:36 +0000] \"GET /a.mp3 HTTP/1.1\" 200 {n} \"-\" \"Agent\"\n",
        n / 250 % 250,
        n % 250
    )
}

/// A gateway, and a folder of whoever sends it logs.
struct Sender {
    doors: Doors,
    dir: TempDir,
}

impl Sender {
    async fn new() -> Self {
        Self {
            doors: Doors::open().await,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn upload(&self, format: &str) -> Upload {
        Upload {
            gateway: self.doors.url.clone(),
            api_key: "key-north".to_owned(),
            format: format.to_owned(),
            mapping: None,
            source: Some("host".to_owned()),
            prefix: false,
            stitched: false,
            notes_dir: Some(self.dir.path().join("notes")),
        }
    }

    /// What is new of a file goes in.
    async fn send(&self, format: &str, path: &Path) -> Progress {
        self.upload(format).file(path, |_| ()).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_line_stops_nothing() {
    let doors = Doors::open().await;
    let body = [
        line(1).as_bytes(),
        b"garbage\n\n",
        line(2).as_bytes(),
        b"bad \xFF line\n",
        line(3).replace("2026", "2028").as_bytes(),
    ]
    .concat();
    for body in [body.clone(), gzip(&body)] {
        let path = "/v1/import/combined?source=host&batch=a.log&at=100&line=11";
        let answer = doors.post(path, body).await;
        assert_eq!(answer.status, 200);
        let counts = answer.json();
        assert_eq!(
            (
                counts["lines"].as_u64(),
                counts["accepted"].as_u64(),
                counts["malformed_count"].as_u64()
            ),
            (Some(6), Some(2), Some(3))
        );
        let first = &counts["malformed"][0];
        assert_eq!(
            (
                first["line"].as_u64(),
                first["at"].as_u64(),
                first["reason"].as_str()
            ),
            (Some(12), Some(100 + line(1).len() as u64), Some("fields"))
        );
        assert_eq!(counts["malformed_by_reason"]["utf8"], 1);
        assert_eq!(counts["malformed_by_reason"]["time"], 1);
    }
    let events = doors.events().await;
    assert_eq!(events.len(), 4);
    assert_eq!(
        (
            events[0].meta.source.as_str(),
            events[0].meta.batch_id.as_str()
        ),
        ("host", "a.log")
    );
    let letters = doors.letters();
    assert_eq!(letters.len(), 6);
    assert!(letters[0].position.starts_with("a.log line 12 byte "));
    assert_eq!(body_of(&letters[1]), b"bad \xFF line");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_archives_and_bombs() {
    let doors = Doors::open().await;
    let many: String = (0..1_000).map(line).collect();
    let packed = gzip(many.as_bytes());
    let half = &packed[..packed.len() / 2];
    let answer = doors.post("/v1/import/combined", half).await;
    assert_eq!(answer.status, 200);
    let counts = answer.json();
    assert_eq!(counts["malformed_by_reason"]["damaged"], 1);
    assert_eq!(
        counts["accepted"].as_u64().unwrap(),
        doors.events().await.len() as u64
    );
    let packed = zstd::encode_all(many.as_bytes(), 1).unwrap();
    let counts = doors.post("/v1/import/combined", packed).await.json();
    assert_eq!(counts["accepted"], 1_000);
    // Lines, and one line without an end.
    for byte in [b'\n', b'x'] {
        let much = vec![byte; 100 << 20];
        for bomb in [gzip(&much), zstd::encode_all(&much[..], 1).unwrap()] {
            let answer = doors.post("/v1/import/combined", bomb).await;
            answer.problem(413, "body_too_large");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_in_pieces_and_goes_on_where_it_was() {
    let sender = Sender::new().await;
    let path = sender.dir.path().join("access.log");
    let many: String = (0..60_000).map(line).collect();
    std::fs::write(&path, &many).unwrap();
    let mut steps = 0;
    let done = sender
        .upload("combined")
        .file(&path, |_| steps += 1)
        .await
        .unwrap();
    assert!(steps > 1 && many.len() > 5 << 20, "several pieces");
    assert_eq!(
        (
            done.lines,
            done.accepted,
            done.malformed_count(),
            done.offset
        ),
        (60_000, 60_000, 0, many.len() as u64)
    );
    // The log grows; only what is new is sent.
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap();
    file.write_all(format!("garbage\n{}", line(70_000)).as_bytes())
        .unwrap();
    let again = sender.send("combined", &path).await;
    assert_eq!(
        (again.resumed_lines, again.lines, again.accepted),
        (60_000, 60_002, 60_001)
    );
    assert_eq!(again.malformed[0].line, 60_001);
    assert_eq!(sender.doors.events().await.len(), 60_001);
    // Without notes everything is sent again, and is the same events.
    let fresh = Upload {
        notes_dir: None,
        ..sender.upload("combined")
    };
    fresh.file(&path, |_| ()).await.unwrap();
    let mut ids: Vec<_> = sender
        .doors
        .events()
        .await
        .iter()
        .map(|event| event.meta.id)
        .collect();
    assert_eq!(ids.len(), 2 * 60_001);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 60_001);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_known_to_every_piece() {
    let sender = Sender::new().await;
    let mut text = "#Version: 1.0\n#Fields: time date c-ip cs-method sc-status cs-uri-stem sc-bytes cs(User-Agent)\n".to_owned();
    for n in 0..90_000 {
        writeln!(
            text,
            "00:00:01\t2026-11-09\t86.225.{}.{}\tGET\t200\t/e.mp3\t{}\tAgent",
            n / 250 % 250,
            n % 250,
            n + 1_000
        )
        .unwrap();
    }
    let path = sender.dir.path().join("cf.log.gz");
    std::fs::write(&path, gzip(text.as_bytes())).unwrap();
    let done = sender.send("cloudfront", &path).await;
    assert_eq!(
        (done.lines, done.accepted, done.malformed_count()),
        (90_002, 90_000, 0)
    );
    assert_eq!(done.file_bytes_read, done.file_bytes);
    let events = sender.doors.events().await;
    let Body::Request(request) = &events[0].body else {
        panic!()
    };
    assert_eq!(request.enclosure, "/e.mp3");
}

/// Two deliveries with one name and the same header lines are two files, whichever folder they come from.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_log_of_the_same_name_is_another_file() {
    let sender = Sender::new().await;
    let header = "#Version: 1.0\n#Fields: date time c-ip cs-method cs-uri-stem sc-status sc-bytes cs(User-Agent)\n";
    let of_day = |day: u32| {
        format!("{header}2026-11-0{day}\t00:00:01\t86.225.1.1\tGET\t/e.mp3\t200\t9\tA\n")
    };
    for (day, packed) in [(1, false), (2, false), (3, true), (4, true)] {
        let dir = sender.dir.path().join(format!("0{day}"));
        std::fs::create_dir(&dir).unwrap();
        let text = of_day(day).into_bytes();
        let bytes = if packed { gzip(&text) } else { text };
        std::fs::write(dir.join("access.log"), bytes).unwrap();
        let done = sender.send("cloudfront", &dir.join("access.log")).await;
        assert_eq!((done.resumed_lines, done.accepted), (0, 1), "day {day}");
    }
    assert_eq!(sender.doors.events().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_cut_is_read_from_its_start() {
    let sender = Sender::new().await;
    let path = sender.dir.path().join("a.log");
    std::fs::write(&path, [line(1), line(2), line(3)].concat()).unwrap();
    sender.send("combined", &path).await;
    std::fs::write(&path, [line(1), line(4)].concat()).unwrap();
    let done = sender.send("combined", &path).await;
    assert_eq!((done.resumed_lines, done.lines), (0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_line_is_read_again_when_it_is_whole() {
    let sender = Sender::new().await;
    let path = sender.dir.path().join("a.log");
    let whole = [line(1), line(2)].concat();
    for cut in [line(1).len() + 40, whole.len()] {
        std::fs::write(&path, whole.get(..cut).unwrap()).unwrap();
        sender.send("combined", &path).await;
    }
    assert_eq!(sender.doors.events().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_before_the_damage_of_an_archive_is_in() {
    let sender = Sender::new().await;
    let path = sender.dir.path().join("a.log.gz");
    let many: String = (0..1_000).map(line).collect();
    let packed = gzip(many.as_bytes());
    std::fs::write(&path, packed.get(..packed.len() / 2).unwrap()).unwrap();
    let error = sender
        .upload("combined")
        .file(&path, |_| ())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("a.log.gz"), "{error}");
    assert!(sender.doors.events().await.len() > 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_reach_the_caller() {
    let sender = Sender::new().await;
    let path = sender.dir.path().join("a.log");
    std::fs::write(&path, line(1)).unwrap();
    let wrong = Upload {
        api_key: "nobody".to_owned(),
        ..sender.upload("combined")
    };
    let error = wrong.file(&path, |_| ()).await.unwrap_err().to_string();
    assert!(error.contains("401"), "{error}");
    let nowhere = sender
        .upload("combined")
        .file(&sender.dir.path().join("none"), |_| ())
        .await;
    assert!(nowhere.is_err());
}

const MAPPING: &str = r#"{"lines": "csv", "fields": {"time": "when", "ip": "from", "method": "verb", "path": "url",
    "status": "status", "agent": "ua", "bytes": "sent"}}"#;

/// As many lines of CSV behind their head as make two pieces, the last of them no line.
fn csv_log() -> String {
    let mut log = String::from("from,when,verb,url,status,ua,sent\r\n");
    for n in 0..60_000 {
        let time = 1_794_184_985 + n / 100;
        let agent = "Agent/1.0 (a long name that fills the file)";
        writeln!(
            log,
            "86.225.{}.{},{time},GET,/a.mp3,200,{agent},{n}\r",
            n / 250 % 250,
            n % 250
        )
        .unwrap();
    }
    log + "86.225.1.1,yesterday,GET,/a.mp3,200,A,9\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_csv_is_read_by_its_mapping_and_its_first_line() {
    let sender = Sender::new().await;
    let path = sender.dir.path().join("a.csv");
    std::fs::write(&path, csv_log()).unwrap();
    let mut upload = sender.upload("mapped");
    upload.mapping = Some(Arc::new(Mapping::read(MAPPING.as_bytes()).unwrap()));
    let done = upload.file(&path, |_| ()).await.unwrap();
    assert_eq!(
        (done.lines, done.accepted, done.malformed_count()),
        (60_002, 60_000, 1)
    );
    assert_eq!(done.malformed[0].message, "when: is not a date and time");
    let events = sender.doors.events().await;
    assert_eq!(events.len(), 60_000);
    let again = upload.file(&path, |_| ()).await.unwrap();
    assert_eq!(again.resumed_lines, 60_002);

    // The letter comes again with its columns and its mapping.
    let letter = sender.doors.letters().pop().unwrap();
    let resend = letter.resend.unwrap();
    let headers: Vec<(&str, &str)> = (resend.headers.iter())
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let repaired = "86.225.1.1,2026-11-09T10:00:00Z,GET,/a.mp3,200,A,9";
    let answer = sender
        .doors
        .post_as("key-north", &resend.path, repaired, &headers)
        .await;
    assert_eq!(
        (answer.status, &answer.json()["accepted"]),
        (200, &1.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_cannot_be_used_is_refused_by_name() {
    let doors = Doors::open().await;
    for (mapping, said) in [
        (None, "is missing"),
        (Some("{"), "cannot be read"),
        (
            Some(
                &*MAPPING
                    .replace("\"status\":", "\"range\":")
                    .replace('\n', " "),
            ),
            "\\\"status\\\"",
        ),
        (
            Some(
                &*MAPPING
                    .replace("\"bytes\":", "\"length\":")
                    .replace('\n', " "),
            ),
            "bytes_with_headers",
        ),
    ] {
        let headers: Vec<(&str, &str)> =
            mapping.map(|m| ("x-log-mapping", m)).into_iter().collect();
        let answer = doors
            .post_as("key-north", "/v1/import/mapped", "a,b\n", &headers)
            .await;
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!(
            answer.status == 422 && text.contains(said),
            "{said}: {text}"
        );
        assert!(text.contains("x-log-mapping"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cloudflare_comes_in_as_it_is_pushed() {
    let doors = Doors::open().await;
    let line = |ray: u32, bytes: &str| {
        format!(
            "{{\"ClientIP\":\"86.225.1.1\",\"ClientRequestHost\":\"m.example\",\"ClientRequestMethod\":\"GET\",\"ClientRequestURI\":\"/a.mp3?x\",\"ClientRequestUserAgent\":\"A\",\"EdgeStartTimestamp\":1794184985000000000,\"EdgeResponseStatus\":200,\"EdgeResponseBytes\":{bytes},\"RayID\":\"{ray}\"}}\n"
        )
    };
    let body = [line(1, "1500"), line(1, "1500"), line(2, "-1")].concat();
    let answer = doors
        .post("/v1/import/cloudflare", gzip(body.as_bytes()))
        .await;
    let counts = answer.json();
    assert_eq!(
        (&counts["accepted"], &counts["malformed_count"]),
        (&2.into(), &1.into())
    );
    assert_eq!(
        counts["malformed"][0]["message"],
        "EdgeResponseBytes: is not a number"
    );
    let events = doors.events().await;
    assert_eq!(events[0].meta.id, events[1].meta.id);
    let Body::Request(request) = &events[0].body else {
        panic!("{:?}", events[0])
    };
    assert_eq!(
        (request.enclosure.as_str(), request.sent_bytes),
        ("/a.mp3", 1_000)
    );
}
