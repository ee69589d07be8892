//! A gateway on a port of its own, over an embedded log on a disk that the test holds.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hostread_connectors::prefix::PrefixFeed;
use hostread_connectors::shopify::ShopifyConnection;
use hostread_connectors_kit::signature::{hex, hmac_sha256_base64, sha256_hex};
use hostread_connectors_kit::{StoredDeadLetter, TenantKey, dead_letters};
use hostread_disk::{Disk, SimDisk};
use hostread_eventlog::{EmbeddedLog, EmbeddedSettings, EventLog, TopicSpec};
use hostread_gateway::{
    Attribution, DEAD_LETTERS_DIR, Explain, Gateway, GatewayConfig, GatewayParts, LimitsConfig,
    Numbers, TenantConfig,
};
use hostread_schemas::event::{Event, EventType};
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{Decoder, Encoder};
use tokio::sync::oneshot;

/// 2026-11-15T12:00:00Z
pub(crate) const NOW_MS: i64 = 1_794_744_000_000;
pub(crate) const SECRET: &str = "hush";
pub(crate) const HASH_KEY: [u8; 32] = [0x0B; 32];
pub(crate) const IDS: IdHasher = IdHasher::new([3; 16]);
const LOG_DIR: &str = "/log";
pub(crate) const GATEWAY_DIR: &str = "/gateway";

/// The disks of one installation: they outlive its process.
#[derive(Clone)]
pub(crate) struct Disks {
    pub(crate) log: SimDisk,
    pub(crate) gateway: SimDisk,
}

impl Disks {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            log: SimDisk::new(seed),
            gateway: SimDisk::new(seed.wrapping_add(1)),
        }
    }
}

/// A running gateway.
pub(crate) struct Doors {
    pub(crate) url: String,
    pub(crate) gateway: Gateway,
    pub(crate) disks: Disks,
    client: reqwest::Client,
    log: Arc<dyn EventLog>,
    stop: Option<oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<()>,
}

fn schema_ids() -> BTreeMap<EventType, u32> {
    EventType::ALL.into_iter().zip(1..).collect()
}

pub(crate) fn tenant(name: &str, secret: &str) -> TenantConfig {
    TenantConfig {
        name: name.to_owned(),
        api_key_sha256: vec![sha256_hex(format!("key-{name}").as_bytes())],
        public_key: format!("pk-{name}"),
        hash_key: hex(&HASH_KEY),
        connections: BTreeMap::from([(
            format!("{name}-shop"),
            ShopifyConnection {
                store: "northwind".to_owned(),
                secret: secret.to_owned(),
            },
        )]),
        prefixes: BTreeMap::from([(
            format!("{name}-show"),
            PrefixFeed {
                hosts: vec!["media.example.com".to_owned(), "pdst.fm".to_owned()],
            },
        )]),
    }
}

/// Who a gateway serves unless a test says otherwise.
pub(crate) fn tenants() -> Vec<TenantConfig> {
    vec![tenant("north", SECRET), tenant("south", SECRET)]
}

/// The log on a simulated disk, as one process opens it.
pub(crate) fn open_log(disk: &SimDisk) -> hostread_eventlog::Result<EmbeddedLog> {
    open_log_in(Arc::new(disk.clone()), Path::new(LOG_DIR))
}

/// The log in a folder of a disk.
pub(crate) fn open_log_in(
    disk: Arc<dyn Disk>,
    dir: &Path,
) -> hostread_eventlog::Result<EmbeddedLog> {
    let topics: Vec<TopicSpec> = EventType::ALL
        .iter()
        .map(|event_type| TopicSpec::new(event_type.topic(), 2))
        .collect();
    EmbeddedLog::open(disk, dir, &topics, EmbeddedSettings::default())
}

/// Everything in a log, by topic and offset.
pub(crate) async fn events_of(log: &dyn EventLog) -> Vec<Event> {
    let from = log.start_offsets().await.unwrap();
    let end = log.end_offsets().await.unwrap();
    let count: u64 = end.iter().map(|(at, end)| end - from[at]).sum();
    let mut reader = log.reader(&from).unwrap();
    let decoder = Decoder::current(&schema_ids());
    tokio::task::block_in_place(|| {
        let mut events = Vec::new();
        while (events.len() as u64) < count {
            for record in reader.poll(10_000, Duration::from_secs(5)).unwrap() {
                events.push(decoder.decode(&record.value).unwrap());
            }
        }
        events
    })
}

/// Who is asked at the doors; without one its addresses are not there.
#[derive(Default)]
pub(crate) struct Answering {
    pub(crate) explain: Option<Explain>,
    pub(crate) attribution: Option<Attribution>,
    pub(crate) numbers: Option<Numbers>,
}

impl Doors {
    pub(crate) async fn open() -> Self {
        Self::on(Disks::new(0), LimitsConfig::default()).await
    }

    pub(crate) async fn with(limits: LimitsConfig) -> Self {
        Self::on(Disks::new(0), limits).await
    }

    /// On disks that may hold what an earlier process left.
    pub(crate) async fn on(disks: Disks, limits: LimitsConfig) -> Self {
        let config = GatewayConfig {
            limits,
            ..GatewayConfig::default()
        };
        Self::of(disks, config, tenants()).await
    }

    pub(crate) async fn of(
        disks: Disks,
        config: GatewayConfig,
        tenants: Vec<TenantConfig>,
    ) -> Self {
        let log = Arc::new(open_log(&disks.log).unwrap());
        Self::over(log, disks, config, tenants).await
    }

    /// Doors behind which somebody answers.
    pub(crate) async fn asked(disks: Disks, limits: LimitsConfig, who: Answering) -> Self {
        let config = GatewayConfig {
            limits,
            ..GatewayConfig::default()
        };
        let log = Arc::new(open_log(&disks.log).unwrap());
        Self::serve(log, disks, config, tenants(), who).await
    }

    /// Over a log that was opened on these disks.
    pub(crate) async fn over(
        log: Arc<dyn EventLog>,
        disks: Disks,
        config: GatewayConfig,
        tenants: Vec<TenantConfig>,
    ) -> Self {
        Self::serve(log, disks, config, tenants, Answering::default()).await
    }

    async fn serve(
        log: Arc<dyn EventLog>,
        disks: Disks,
        config: GatewayConfig,
        tenants: Vec<TenantConfig>,
        who: Answering,
    ) -> Self {
        let gateway = Gateway::open(GatewayParts {
            config,
            tenants,
            log: Arc::clone(&log),
            encoder: Encoder::new(schema_ids()),
            ids: IDS,
            disk: Arc::new(disks.gateway.clone()),
            dir: GATEWAY_DIR.into(),
            clock: Arc::new(|| NOW_MS),
            metrics: Some(Arc::new(|| "up 1\n".to_owned())),
            explain: who.explain,
            numbers: who.numbers,
            attribution: who.attribution,
            pipeline_ready: Some(Arc::new(|| Err("loading".to_owned()))),
        })
        .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let serving = gateway.clone();
        let served = tokio::spawn(async move {
            let end = async { stopped.await.unwrap_or_default() };
            serving.serve(listener, end).await.unwrap();
        });
        let client = reqwest::Client::builder().timeout(Duration::from_secs(20));
        Self {
            url,
            gateway,
            disks,
            client: client.build().unwrap(),
            log,
            stop: Some(stop),
            served,
        }
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// Stops serving; the disks stay.
    pub(crate) async fn stop(mut self) -> Disks {
        self.stop.take().unwrap().send(()).unwrap();
        // Idle connections would hold the server open.
        self.client = reqwest::Client::new();
        (&mut self.served).await.unwrap();
        self.disks.clone()
    }

    /// From now on the log's disk has no room, as on a full partition.
    pub(crate) fn log_is_full(&self, full: bool) {
        self.disks.log.set_free_bytes(full.then_some(0));
    }

    /// Posts as tenant `north`.
    pub(crate) async fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        self.post_as("key-north", path, body, &[]).await
    }

    pub(crate) async fn post_as(
        &self,
        key: &str,
        path: &str,
        body: impl Into<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let request = self.client.post(format!("{}{path}", self.url));
        let mut request = request.body(body.into());
        if !key.is_empty() {
            request = request.bearer_auth(key);
        }
        Answer::of(with_headers(request, headers)).await
    }

    /// A table of catalog and deal facts.
    pub(crate) async fn table(&self, path: &str, table: &str) -> Answer {
        self.post_as("key-north", path, table, &[("content-type", "text/csv")])
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = self.client.get(format!("{}{path}", self.url));
        Answer::of(with_headers(request, headers)).await
    }

    pub(crate) async fn head(&self, path: &str) -> Answer {
        Answer::of(self.client.head(format!("{}{path}", self.url))).await
    }

    /// A rightly signed webhook for tenant `north`.
    pub(crate) async fn webhook(&self, topic: &str, id: &str, body: impl Into<Vec<u8>>) -> Answer {
        let body = body.into();
        let signature = hmac_sha256_base64(SECRET.as_bytes(), &body);
        self.delivery(topic, id, body, &signature).await
    }

    pub(crate) async fn delivery(
        &self,
        topic: &str,
        id: &str,
        body: impl Into<Vec<u8>>,
        signature: &str,
    ) -> Answer {
        let headers = [
            ("x-shopify-topic", topic),
            ("x-shopify-webhook-id", id),
            ("x-shopify-hmac-sha256", signature),
        ];
        self.post_as("", "/hooks/shopify/north-shop", body, &headers)
            .await
    }

    pub(crate) async fn events(&self) -> Vec<Event> {
        events_of(&*self.log).await
    }

    pub(crate) fn letters(&self) -> Vec<StoredDeadLetter> {
        letters_on(&self.disks.gateway)
    }

    /// Waits until the spill is empty.
    pub(crate) async fn drained(&self) {
        for _ in 0..200 {
            if self.gateway.spilled().events == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!(
            "the spill was not drained in 10 s: {:?}",
            self.gateway.spilled()
        );
    }
}

fn with_headers(
    mut request: reqwest::RequestBuilder,
    headers: &[(&str, &str)],
) -> reqwest::RequestBuilder {
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
}

pub(crate) fn letters_on(disk: &SimDisk) -> Vec<StoredDeadLetter> {
    let dir = Path::new(GATEWAY_DIR).join(DEAD_LETTERS_DIR);
    dead_letters(disk, &dir)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

pub(crate) fn body_of(letter: &StoredDeadLetter) -> Vec<u8> {
    letter.body(&TenantKey::new(HASH_KEY)).unwrap()
}

/// As a log lies in an archive.
pub(crate) fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text).unwrap();
    packed.finish().unwrap()
}

/// What a door said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            bytes: response.bytes().await.unwrap().to_vec(),
        }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The answer is a problem document with this status and code; gives the field that it names.
    pub(crate) fn problem(&self, status: u16, code: &str) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        assert_eq!(self.status, status, "{text}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        let document = self.json();
        assert_eq!(document["code"], code, "{text}");
        assert_eq!(document["status"], status, "{text}");
        let retry = self.header("retry-after");
        if matches!(status, 429 | 503) {
            assert!(retry.parse::<u64>().unwrap() >= 1, "{retry}");
        } else {
            assert_eq!(retry, "", "only what passes names a time");
        }
        document["field"].as_str().unwrap_or_default().to_owned()
    }
}
