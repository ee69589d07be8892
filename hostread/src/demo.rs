//! The demo: a made-up world's logs, pixels, impressions, redemptions and webhooks go through the
//! public doors, day by day, and the report must equal what the world knows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use futures::StreamExt;
use hostread_connectors::shopify::ShopifyConnection;
use hostread_gateway::TenantConfig;
use hostread_schemas::{DAY_MS, Day, EventTimeMs};
use hostread_simulate::{TenantSample, TenantsFile, Truth};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::config::Config;

/// Requests under way at the same time.
const IN_FLIGHT: usize = 48;
/// Logs of a day arrive so long after its end.
const LOG_DELAY_MS: i64 = 2 * 3_600_000;

/// The samples' clock: it stands where the demo put it, then runs on at wall speed.
#[derive(Debug)]
pub(crate) struct SampleClock {
    at_ms: AtomicI64,
    /// When it began to run, by the monotonic clock; negative: it stands.
    running_since_ms: AtomicI64,
    origin: Instant,
}

impl SampleClock {
    pub(crate) fn new(start: EventTimeMs) -> Arc<Self> {
        Arc::new(Self {
            at_ms: AtomicI64::new(start.0),
            running_since_ms: AtomicI64::new(-1),
            origin: Instant::now(),
        })
    }

    fn elapsed_ms(&self) -> i64 {
        i64::try_from(self.origin.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// Never goes back.
    pub(crate) fn set(&self, at: EventTimeMs) {
        self.at_ms.fetch_max(at.0, Ordering::AcqRel);
    }

    /// From now on it runs.
    pub(crate) fn run(&self) {
        self.running_since_ms
            .store(self.elapsed_ms(), Ordering::Release);
    }

    pub(crate) fn now_ms(&self) -> i64 {
        let since = self.running_since_ms.load(Ordering::Acquire);
        let run = if since < 0 {
            0
        } else {
            self.elapsed_ms() - since
        };
        self.at_ms.load(Ordering::Acquire) + run
    }
}

/// The samples of one world on disk.
pub(crate) struct Samples {
    pub(crate) dir: PathBuf,
    pub(crate) tenants: TenantsFile,
    pub(crate) truth: Truth,
}

impl Samples {
    /// Reads a folder that `hostread simulate` wrote.
    pub(crate) fn read(dir: &Path) -> Result<Self> {
        let file = |name: &str| {
            let path = dir.join(name);
            std::fs::read(&path).with_context(|| format!("reading {}", path.display()))
        };
        Ok(Self {
            dir: dir.to_owned(),
            tenants: serde_json::from_slice(&file("tenants.json")?)?,
            truth: serde_json::from_slice(&file("truth.json")?)?,
        })
    }

    /// First moment of the world: the start of its first day.
    pub(crate) fn start(&self, days: i32) -> EventTimeMs {
        let end = EventTimeMs(self.truth.clock_end_ms).day();
        Day(end.0 - days - 1).start()
    }

    /// Adds the samples' tenants and data centres to the configuration.
    pub(crate) fn configure(&self, config: &mut Config) {
        config.tenants = self.tenants.tenants.iter().map(tenant_config).collect();
        config
            .gateway
            .ip_ranges
            .insert("data_centre".to_owned(), self.tenants.data_centres.clone());
    }
}

fn tenant_config(sample: &TenantSample) -> TenantConfig {
    TenantConfig {
        name: sample.name.clone(),
        api_key_sha256: vec![sha256_hex(&sample.api_key)],
        public_key: sample.public_key.clone(),
        hash_key: sample.address_key.clone(),
        connections: sample
            .connections
            .iter()
            .map(|c| {
                let connection = ShopifyConnection {
                    store: c.store.clone(),
                    secret: c.secret.clone(),
                };
                (c.connection.clone(), connection)
            })
            .collect(),
        prefixes: std::collections::BTreeMap::new(),
    }
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn sha256_hex(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        // Writing to a string cannot fail.
        write!(hex, "{byte:02x}").ok();
    }
    hex
}

/// One request of the demo.
struct Sending {
    time_ms: i64,
    tenant: usize,
    what: What,
}

enum What {
    Deal(Vec<Value>),
    Pixel(Value),
    Impression(Value),
    Redemption(Value),
    Webhook(Value),
    Log { name: String, lines: Vec<u8> },
}

/// Sends a world through the doors.
pub(crate) struct Sender {
    pub(crate) base: String,
    pub(crate) client: reqwest::Client,
    pub(crate) clock: Arc<SampleClock>,
}

impl Sender {
    /// Sends everything in the order of time; the clock follows.
    pub(crate) async fn send(&self, samples: &Samples) -> Result<()> {
        let mut by_day: BTreeMap<Day, Vec<Sending>> = BTreeMap::new();
        let mut deals = Vec::new();
        let mut late = Vec::new();
        for (index, tenant) in samples.tenants.tenants.iter().enumerate() {
            let dir = samples.dir.join(&tenant.name);
            deals.push(Sending {
                time_ms: 0,
                tenant: index,
                what: What::Deal(ndjson(&dir.join("deals.ndjson"))?),
            });
            for sending in hits(&dir, index)? {
                by_day
                    .entry(EventTimeMs(sending.time_ms).day())
                    .or_default()
                    .push(sending);
            }
            for (day, lines) in log_days(&dir.join("cdn.log.gz"))? {
                let name = format!("cdn-{day}.log");
                let time_ms = day.end().0;
                by_day.entry(day).or_default().push(Sending {
                    time_ms,
                    tenant: index,
                    what: What::Log { name, lines },
                });
            }
            let lines = gunzip(&dir.join("cdn-late.log.gz"))?;
            late.push(Sending {
                time_ms: 0,
                tenant: index,
                what: What::Log {
                    name: "cdn-late.log".to_owned(),
                    lines,
                },
            });
        }
        let total: usize = by_day.values().map(Vec::len).sum::<usize>() + deals.len() + late.len();
        let bar = ProgressBar::new(total as u64).with_style(ProgressStyle::with_template(
            "  sending {bar:32} {pos}/{len} requests, {msg}",
        )?);
        self.send_all(&samples.tenants, deals, &bar).await?;
        for (day, sendings) in by_day {
            self.clock.set(EventTimeMs(
                (day.end().0 + LOG_DELAY_MS).min(samples.truth.clock_end_ms),
            ));
            bar.set_message(format!("{day}"));
            self.send_all(&samples.tenants, sendings, &bar).await?;
        }
        self.clock.set(EventTimeMs(samples.truth.clock_end_ms));
        bar.set_message("the late logs");
        self.send_all(&samples.tenants, late, &bar).await?;
        bar.finish_and_clear();
        Ok(())
    }

    async fn send_all(
        &self,
        tenants: &TenantsFile,
        sendings: Vec<Sending>,
        bar: &ProgressBar,
    ) -> Result<()> {
        let mut results = futures::stream::iter(sendings.into_iter().map(|sending| {
            let tenant = tenants.tenants.get(sending.tenant);
            async move {
                let tenant = tenant.context("a sample names a tenant that is not there")?;
                self.send_one(tenant, sending).await
            }
        }))
        .buffer_unordered(IN_FLIGHT);
        while let Some(result) = results.next().await {
            result?;
            bar.inc(1);
        }
        Ok(())
    }

    async fn send_one(&self, tenant: &TenantSample, sending: Sending) -> Result<()> {
        let post = |path: &str| {
            self.client
                .post(format!("{}{path}", self.base))
                .bearer_auth(&tenant.api_key)
        };
        let request = match sending.what {
            What::Deal(items) => post("/v1/events").json(&items),
            What::Redemption(item) => post("/v1/redemptions").json(&vec![item]),
            What::Pixel(item) => post("/v1/pixel")
                .query(&[("k", &tenant.public_key)])
                .json(&item),
            What::Impression(item) => {
                let mut query = vec![("k".to_owned(), tenant.public_key.clone())];
                for (name, value) in item.as_object().into_iter().flatten() {
                    let text = value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned);
                    query.push((name.clone(), text));
                }
                self.client
                    .get(format!("{}/v1/impression.gif", self.base))
                    .query(&query)
            }
            What::Webhook(item) => webhook(&self.client, &self.base, &item)?,
            What::Log { name, lines } => {
                return self.send_log(tenant, &name, lines).await;
            }
        };
        let response = request.send().await?;
        let (status, text) = (response.status(), response.text().await?);
        ensure!(status.is_success(), "a door answered {status}: {text}");
        if let Ok(answer) = serde_json::from_str::<Value>(&text)
            && let Some(rejected) = answer["rejected"].as_array().filter(|r| !r.is_empty())
        {
            bail!(
                "a door rejected samples: {}",
                rejected.first().cloned().unwrap_or_default()
            );
        }
        Ok(())
    }

    async fn send_log(&self, tenant: &TenantSample, name: &str, lines: Vec<u8>) -> Result<()> {
        let response = self
            .client
            .post(format!("{}/v1/import/cloudfront", self.base))
            .query(&[("source", "cdn"), ("batch", name), ("at", "0")])
            .bearer_auth(&tenant.api_key)
            .body(lines)
            .send()
            .await?;
        let (status, text) = (response.status(), response.text().await?);
        ensure!(
            status.is_success(),
            "the import door answered {status}: {text}"
        );
        Ok(())
    }
}

fn webhook(client: &reqwest::Client, base: &str, item: &Value) -> Result<reqwest::RequestBuilder> {
    let connection = item["connection"]
        .as_str()
        .context("a webhook names its connection")?;
    let mut request = client.post(format!("{base}/hooks/shopify/{connection}"));
    for (name, value) in item["headers"].as_object().into_iter().flatten() {
        request = request.header(name, value.as_str().unwrap_or_default());
    }
    Ok(request.body(item["body"].as_str().unwrap_or_default().to_owned()))
}

fn ndjson(path: &Path) -> Result<Vec<Value>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    text.lines()
        .map(|line| {
            serde_json::from_str(line).with_context(|| format!("a line of {}", path.display()))
        })
        .collect()
}

/// Everything that one tenant's doors get one by one.
fn hits(dir: &Path, tenant: usize) -> Result<Vec<Sending>> {
    let mut hits = Vec::new();
    let files: [(&str, fn(Value) -> What); 3] = [
        ("pixels.ndjson", What::Pixel),
        ("impressions.ndjson", What::Impression),
        ("redemptions.ndjson", What::Redemption),
    ];
    for (name, what) in files {
        for item in ndjson(&dir.join(name))? {
            let time_ms = time_of(&item["time"])?;
            hits.push(Sending {
                time_ms,
                tenant,
                what: what(item),
            });
        }
    }
    for item in ndjson(&dir.join("shopify.ndjson"))? {
        let sent = &item["headers"]["X-Shopify-Triggered-At"];
        let time_ms = time_of(sent)?;
        hits.push(Sending {
            time_ms,
            tenant,
            what: What::Webhook(item),
        });
    }
    Ok(hits)
}

fn time_of(value: &Value) -> Result<i64> {
    let text = value.as_str().context("a sample has no time")?;
    EventTimeMs::from_rfc3339(text)
        .map(|t| t.0)
        .with_context(|| format!("\"{text}\" is no time"))
}

fn gunzip(path: &Path) -> Result<Vec<u8>> {
    let file = std::fs::File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut bytes = Vec::new();
    GzDecoder::new(file).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A log cut into one file a day, as a CDN delivers them; lines that begin with no day go with the
/// day before them.
fn log_days(path: &Path) -> Result<BTreeMap<Day, Vec<u8>>> {
    let bytes = gunzip(path)?;
    let mut days: BTreeMap<Day, Vec<u8>> = BTreeMap::new();
    let mut header = Vec::new();
    let mut day = None;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b"#") {
            header.extend_from_slice(line);
            continue;
        }
        let date = line
            .get(..10)
            .and_then(|date| std::str::from_utf8(date).ok());
        day = date.and_then(hostread_schemas::intern::civil_day).or(day);
        if let Some(day) = day {
            days.entry(day)
                .or_insert_with(|| header.clone())
                .extend_from_slice(line);
        }
    }
    Ok(days)
}

const _: () = assert!(
    LOG_DELAY_MS < DAY_MS,
    "a day's log comes before the next day's"
);
