//! The doors alone, over real HTTP into the embedded log on a real disk: durable pixels, and lines of an import.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use hostread_connectors::prefix::PrefixFeed;
use hostread_connectors_kit::signature::{hex, sha256_hex};
use hostread_disk::RealDisk;
use hostread_eventlog::{EmbeddedLog, EmbeddedSettings, EventLog, TopicSpec};
use hostread_gateway::upload::Upload;
use hostread_gateway::{Gateway, GatewayConfig, GatewayParts, LimitsConfig, TenantConfig};
use hostread_schemas::Encoder;
use hostread_schemas::event::EventType;
use hostread_schemas::intern::IdHasher;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// What to run.
pub(crate) struct Asked {
    /// Pixels to send.
    pub(crate) pixels: u64,
    /// Keep-alive connections; each has one request under way.
    pub(crate) connections: u64,
    /// Lines of the log to import.
    pub(crate) lines: u64,
}

/// 2026-11-15T12:00:00Z
const NOW_MS: i64 = 1_794_744_000_000;
const KEY: &str = "bench-key";

/// Runs and prints.
pub(crate) async fn run(asked: Asked) -> Result<()> {
    ensure!(asked.connections > 0, "--connections is at least 1");
    let dir = tempfile::tempdir()?;
    let (gateway, log) = open(dir.path())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = gateway.clone();
    let served = tokio::spawn(async move {
        let end = async { drop(stopped.await) };
        serving.serve(listener, end).await
    });
    pixels(&address, &asked).await?;
    import(&address, dir.path(), asked.lines).await?;
    ensure!(
        gateway.spilled().events == 0,
        "the log was away: this measured the spill"
    );
    let ends = log.end_offsets().await?;
    let kept: u64 = ends.values().sum();
    ensure!(
        kept == asked.pixels / asked.connections * asked.connections + asked.lines,
        "{kept} events are in the log"
    );
    stop.send(()).ok();
    served.await??;
    Ok(())
}

/// Doors of one tenant over an empty log.
pub(crate) fn open(dir: &Path) -> Result<(Gateway, Arc<EmbeddedLog>)> {
    let topics: Vec<TopicSpec> = EventType::ALL
        .iter()
        .map(|event_type| TopicSpec::new(event_type.topic(), 1))
        .collect();
    let log = Arc::new(EmbeddedLog::open(
        Arc::new(RealDisk),
        &dir.join("log"),
        &topics,
        EmbeddedSettings::default(),
    )?);
    let ids: BTreeMap<EventType, u32> = EventType::ALL.into_iter().zip(1..).collect();
    let config = GatewayConfig {
        limits: LimitsConfig {
            single_requests_per_sec: 1_000_000,
            batch_requests_per_sec: 1_000_000,
            ..LimitsConfig::default()
        },
        ..GatewayConfig::default()
    };
    let tenant = TenantConfig {
        name: "bench".to_owned(),
        api_key_sha256: vec![sha256_hex(KEY.as_bytes())],
        public_key: "pk".to_owned(),
        hash_key: hex(&[7; 32]),
        connections: BTreeMap::new(),
        prefixes: BTreeMap::from([(
            "bench".to_owned(),
            PrefixFeed {
                hosts: vec!["media.example.com".to_owned()],
            },
        )]),
    };
    let gateway = Gateway::open(GatewayParts {
        config,
        tenants: vec![tenant],
        log: Arc::<EmbeddedLog>::clone(&log),
        encoder: Encoder::new(ids),
        ids: IdHasher::new([3; 16]),
        disk: Arc::new(RealDisk),
        dir: dir.join("gateway"),
        clock: Arc::new(|| NOW_MS),
        metrics: None,
        explain: None,
        attribution: None,
        numbers: None,
        pipeline_ready: None,
    })?;
    Ok((gateway, log))
}

/// Every 2xx is a pixel in the synced log; a connection sends the next one when it has the answer.
async fn pixels(address: &str, asked: &Asked) -> Result<()> {
    let each = asked.pixels / asked.connections;
    let began = Instant::now();
    let senders: Vec<_> = (0..asked.connections)
        .map(|connection| tokio::spawn(hits(address.to_owned(), connection, each)))
        .collect();
    let mut waits = Vec::new();
    for sender in senders {
        waits.extend(sender.await??);
    }
    let took = began.elapsed();
    waits.sort_unstable();
    let count = waits.len();
    let at = |share: usize| {
        let wait = waits.get((count * share / 1_000).min(count.saturating_sub(1)));
        wait.copied().unwrap_or_default().as_secs_f64() * 1_000.0
    };
    println!(
        "doors: {count} durable pixels over {} connections: {:.2} s, {:.0} events/s, p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms",
        asked.connections,
        took.as_secs_f64(),
        count as f64 / took.as_secs_f64(),
        at(500),
        at(990),
        at(999),
    );
    Ok(())
}

async fn hits(address: String, connection: u64, count: u64) -> Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let mut waits = Vec::new();
    let mut answer = Vec::new();
    for number in 0..count {
        let request = format!(
            "GET /v1/pixel.gif?k=pk&store=northwind&kind=purchase&order={connection}-{number}&value=34.40&currency=USD&id={connection}-{number}&ip=86.{}.{}.{} HTTP/1.1\r\nhost: bench\r\nuser-agent: Mozilla/5.0 (bench)\r\n\r\n",
            connection % 256,
            number / 256 % 256,
            number % 256,
        );
        let began = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        answer.clear();
        // The answer ends with the image's last byte.
        while answer.last() != Some(&b'\x3b') {
            let read = stream.read_buf(&mut answer).await?;
            ensure!(
                read > 0,
                "the connection closed: {}",
                String::from_utf8_lossy(&answer)
            );
            ensure!(
                answer.starts_with(b"HTTP/1.1 200"),
                "{}",
                String::from_utf8_lossy(&answer)
            );
        }
        waits.push(began.elapsed());
    }
    Ok(waits)
}

/// What `hostread import` does with a packed log.
async fn import(address: &str, dir: &Path, lines: u64) -> Result<()> {
    let path = dir.join("access.log.gz");
    let unpacked = write_log(&path, lines)?;
    let packed = std::fs::metadata(&path)?.len();
    let upload = Upload {
        gateway: format!("http://{address}"),
        api_key: KEY.to_owned(),
        format: "cloudfront".to_owned(),
        mapping: None,
        source: None,
        prefix: false,
        stitched: false,
        notes_dir: None,
    };
    let began = Instant::now();
    let done = upload.file(&path, |_| {}).await.context("importing")?;
    let took = began.elapsed().as_secs_f64();
    ensure!(
        done.accepted == lines,
        "{} of {lines} lines were taken",
        done.accepted
    );
    println!(
        "import: {lines} cloudfront lines ({} MiB, gz {} MiB): {took:.2} s, {:.0} lines/s, {:.1} MiB/s",
        unpacked >> 20,
        packed >> 20,
        lines as f64 / took,
        unpacked as f64 / took / f64::from(1 << 20),
    );
    Ok(())
}

fn write_log(path: &Path, lines: u64) -> Result<u64> {
    let mut packed = GzEncoder::new(File::create(path)?, Compression::fast());
    let mut text = String::from(
        "#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len sc-range-start sc-range-end\n",
    );
    let mut bytes = 0;
    for number in 0..lines {
        let (second, address) = (number % 86_400, number * 2_654_435_761 % (1 << 24));
        writeln!(
            text,
            "2026-11-09\t{:02}:{:02}:{:02}\tFRA56-P4\t43508760\t86.{}.{}.{}\tGET\td1.cloudfront.net\t/audio/s1/ep-{}.mp3\t206\t-\tAppleCoreMedia/1.0.0.21F90%20(iPhone;%20U;%20CPU%20OS%2017_{}_1%20like%20Mac%20OS%20X;%20en_us)\t-\t-\tHit\t{number:032x}==\tmedia.example.com\thttps\t333\t13.378\t-\tTLSv1.3\tTLS_AES_128_GCM_SHA256\tHit\tHTTP/2.0\t-\t-\t20664\t0.625\tHit\taudio/mpeg\t43508213\t0\t43508212",
            second / 3_600,
            second / 60 % 60,
            second % 60,
            address >> 16,
            address >> 8 & 255,
            address & 255,
            number % 40,
            number % 9,
        )?;
        if text.len() > 1 << 20 || number + 1 == lines {
            bytes += text.len() as u64;
            std::io::Write::write_all(&mut packed, text.as_bytes())?;
            text.clear();
        }
    }
    packed.finish()?.sync_all()?;
    Ok(bytes)
}
