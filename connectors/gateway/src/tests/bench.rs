//! A gateway on a port of its own, over an embedded log whose writes can be made to fail.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hostread_connectors::shopify::ShopifyConnection;
use hostread_connectors_kit::signature::{hmac_sha256_base64, sha256_hex};
use hostread_connectors_kit::{StoredDeadLetter, TenantKey, dead_letters};
use hostread_disk::RealDisk;
use hostread_eventlog::{
    EmbeddedLog, EmbeddedSettings, EventLog, LogError, LogReader, Offsets, Record, TopicSpec,
};
use hostread_schemas::event::{Event, EventType};
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{Decoder, Encoder};
use tokio::sync::oneshot;

use crate::{DEAD_LETTERS_DIR, Gateway, GatewayConfig, GatewayParts, LimitsConfig, TenantConfig};

/// 2026-11-15T12:00:00Z
pub(super) const NOW_MS: i64 = 1_794_744_000_000;
pub(super) const SECRET: &str = "hush";
pub(super) const HASH_KEY: [u8; 32] = [0x0B; 32];

/// The real log, until it is told to be away.
pub(super) struct Moody {
    log: EmbeddedLog,
    away: AtomicBool,
    hangs: AtomicBool,
}

#[async_trait]
impl EventLog for Moody {
    async fn append(&self, batch: Vec<Record>) -> hostread_eventlog::Result<()> {
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if self.away.load(Ordering::Relaxed) {
            return Err(LogError::Closed);
        }
        self.log.append(batch).await
    }
    async fn start_offsets(&self) -> hostread_eventlog::Result<Offsets> {
        self.log.start_offsets().await
    }
    async fn end_offsets(&self) -> hostread_eventlog::Result<Offsets> {
        if self.away.load(Ordering::Relaxed) {
            return Err(LogError::Closed);
        }
        self.log.end_offsets().await
    }
    fn topics(&self) -> &[TopicSpec] {
        self.log.topics()
    }
    fn reader(&self, from: &Offsets) -> hostread_eventlog::Result<Box<dyn LogReader>> {
        self.log.reader(from)
    }
}

pub(super) struct Bench {
    pub(super) url: String,
    pub(super) client: reqwest::Client,
    pub(super) gateway: Gateway,
    pub(super) dir: tempfile::TempDir,
    log: Arc<Moody>,
    decoder: Decoder,
    stop: Option<oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<()>,
}

fn tenant(name: &str) -> TenantConfig {
    TenantConfig {
        name: name.to_owned(),
        api_key_sha256: vec![sha256_hex(format!("key-{name}").as_bytes())],
        public_key: format!("pk-{name}"),
        hash_key: hostread_connectors_kit::signature::hex(&HASH_KEY),
        connections: BTreeMap::from([(
            format!("{name}-shop"),
            ShopifyConnection {
                store: "northwind".to_owned(),
                secret: SECRET.to_owned(),
            },
        )]),
    }
}

impl Bench {
    pub(super) async fn new() -> Self {
        Self::with(LimitsConfig::default()).await
    }

    pub(super) async fn with(limits: LimitsConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ids: BTreeMap<EventType, u32> = EventType::ALL.into_iter().zip(1..).collect();
        let topics: Vec<TopicSpec> = EventType::ALL
            .iter()
            .map(|t| TopicSpec::new(t.topic(), 4))
            .collect();
        let log = EmbeddedLog::open(
            Arc::new(RealDisk),
            &dir.path().join("log"),
            &topics,
            EmbeddedSettings::default(),
        )
        .unwrap();
        let log = Arc::new(Moody {
            log,
            away: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
        });
        let gateway = Gateway::open(GatewayParts {
            config: GatewayConfig {
                trusted_proxies: vec!["127.0.0.0/8".to_owned()],
                ip_ranges: BTreeMap::from([(
                    "data_centre".to_owned(),
                    vec!["192.0.2.0/24".to_owned()],
                )]),
                limits,
                ..GatewayConfig::default()
            },
            tenants: vec![tenant("north"), tenant("south")],
            log: Arc::clone(&log) as Arc<dyn EventLog>,
            encoder: Encoder::new(ids.clone()),
            ids: IdHasher::new([3; 16]),
            disk: Arc::new(RealDisk),
            dir: dir.path().join("gateway"),
            clock: Arc::new(|| NOW_MS),
            metrics: Some(Arc::new(|| "metrics 1\n".to_owned())),
            pipeline_ready: Some(Arc::new(|| Err("loading".to_owned()))),
        })
        .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let serving = gateway.clone();
        let served = tokio::spawn(async move {
            serving
                .serve(listener, async { stopped.await.unwrap_or_default() })
                .await
                .unwrap();
        });
        Self {
            url,
            client: reqwest::Client::builder()
                .timeout(Duration::from_secs(20))
                .build()
                .unwrap(),
            gateway,
            dir,
            log,
            decoder: Decoder::current(&ids),
            stop: Some(stop),
            served,
        }
    }

    pub(super) fn log_away(&self, away: bool) {
        self.log.away.store(away, Ordering::Relaxed);
    }

    pub(super) fn log_hangs(&self, hangs: bool) {
        self.log.hangs.store(hangs, Ordering::Relaxed);
    }

    pub(super) async fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        (&mut self.served).await.unwrap();
    }

    /// Posts as tenant `north`.
    pub(super) async fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        self.post_as("key-north", path, body, &[]).await
    }

    pub(super) async fn post_as(
        &self,
        key: &str,
        path: &str,
        body: impl Into<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = self
            .client
            .post(format!("{}{path}", self.url))
            .body(body.into());
        if !key.is_empty() {
            request = request.bearer_auth(key);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request).await
    }

    pub(super) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.client.get(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request).await
    }

    /// A signed webhook for tenant `north`.
    pub(super) async fn webhook(&self, topic: &str, id: &str, body: &str) -> Answer {
        let signature = hmac_sha256_base64(SECRET.as_bytes(), body.as_bytes());
        let headers = [
            ("x-shopify-topic", topic),
            ("x-shopify-webhook-id", id),
            ("x-shopify-hmac-sha256", signature.as_str()),
        ];
        self.post_as("", "/hooks/shopify/north-shop", body, &headers)
            .await
    }

    /// Everything in the log, by topic and offset.
    pub(super) async fn events(&self) -> Vec<Event> {
        let from = self.log.log.start_offsets().await.unwrap();
        let end = self.log.log.end_offsets().await.unwrap();
        let count: u64 = end
            .iter()
            .map(|(at, end)| end - from.get(at).unwrap())
            .sum();
        let mut reader = self.log.reader(&from).unwrap();
        let decoder = &self.decoder;
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

    pub(super) fn letters(&self) -> Vec<StoredDeadLetter> {
        let dir = self.dir.path().join("gateway").join(DEAD_LETTERS_DIR);
        dead_letters(&RealDisk, Path::new(&dir))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    }

    pub(super) fn body_of(letter: &StoredDeadLetter) -> Vec<u8> {
        letter.body(&TenantKey::new(HASH_KEY)).unwrap()
    }
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: reqwest::header::HeaderMap,
    pub(super) bytes: Vec<u8>,
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

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}
