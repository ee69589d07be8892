//! Writes a world as its makers would have it: logs, queries of the doors, signed webhooks, deals.
//!
//! Promises: the same world gives the same bytes.
//! Layout: `tenants.json` and `truth.json`, and for each tenant a folder with `cdn.log.gz` and
//! `cdn-late.log.gz` (CloudFront, version 1), `deals.ndjson` (items for `POST /v1/events`),
//! `impressions.ndjson`, `pixels.ndjson` and `redemptions.ndjson` (fields of the doors, one object
//! a line) and `shopify.ndjson` (connection, headers, and the signed body as text); for `hostread count` a
//! `catalog.json` of each tenant, and `lists` with patterns and networks.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use hostread_schemas::EventTimeMs;
use serde::Serialize;

use crate::truth::Truth;
use crate::world::catalog::BRANDS;
use crate::world::people::DATA_CENTRES;
use crate::world::{TENANTS, TenantWorld, World};

mod cloudfront;
mod count;
mod deals;
mod doors;
mod shopify;

pub(crate) use cloudfront::malformed;

/// Samples could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The disk said no.
    #[error("could not write \"{path}\"", path = path.display())]
    Io {
        /// What was being written.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A value could not be put as JSON.
    #[error("could not put {what} as JSON")]
    Json {
        /// What.
        what: &'static str,
        /// Why not.
        source: serde_json::Error,
    },
}

/// What was written.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Summary {
    /// Lines of delivery logs, broken and repeated ones included.
    pub log_lines: u64,
    /// Deals and catalog facts.
    pub deals: u64,
    /// Impressions.
    pub impressions: u64,
    /// Pixel hits.
    pub pixels: u64,
    /// Redemptions.
    pub redemptions: u64,
    /// Webhook deliveries, repeats included.
    pub webhooks: u64,
    /// Downloads that must come out.
    pub downloads: u64,
    /// Conversions that must come out.
    pub conversions: u64,
    /// The clock at which the truth holds.
    pub clock_end: EventTimeMs,
}

/// One tenant of the samples, as a demo configures it. All keys and secrets are sample values.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, serde::Deserialize)]
pub struct TenantSample {
    /// Name, also of its folder.
    pub name: String,
    /// Key for `POST /v1/events`, redemptions and reads.
    pub api_key: String,
    /// Public key `k` of the pixel doors.
    pub public_key: String,
    /// 32 bytes in hexadecimal digits: what addresses are hashed under.
    pub address_key: String,
    /// Webhook connections.
    pub connections: Vec<ConnectionSample>,
}

/// One shop's webhooks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, serde::Deserialize)]
pub struct ConnectionSample {
    /// Last part of the webhook's address.
    pub connection: String,
    /// Store that its orders belong to.
    pub store: String,
    /// Secret that its deliveries are signed with.
    pub secret: String,
}

/// Head of `tenants.json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, serde::Deserialize)]
pub struct TenantsFile {
    /// Says that nothing in it is secret.
    pub note: String,
    /// The clock at which the truth holds (Unix milliseconds).
    pub clock_end_ms: i64,
    /// Networks to be configured as data centres.
    pub data_centres: Vec<String>,
    /// Tenants.
    pub tenants: Vec<TenantSample>,
}

/// The tenants of every world; they do not hang on the seed.
#[must_use]
pub fn tenants() -> Vec<TenantSample> {
    TENANTS.iter().map(|name| tenant_sample(name)).collect()
}

fn tenant_sample(name: &str) -> TenantSample {
    let shops = BRANDS.iter().filter(|brand| brand.webhooks);
    let connections = shops.map(|brand| ConnectionSample {
        connection: format!("{name}-{}", brand.store),
        store: brand.store.to_owned(),
        secret: format!("sample-secret-{name}-{}", brand.store),
    });
    let letter = name.bytes().next().unwrap_or_default();
    TenantSample {
        name: name.to_owned(),
        api_key: format!("sample-api-key-{name}"),
        public_key: format!("sample-public-{name}"),
        address_key: format!("{letter:02x}").repeat(32),
        connections: connections.collect(),
    }
}

/// The folder being written.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new(path: PathBuf) -> Result<Self, WriteError> {
        fs::create_dir_all(&path).map_err(|source| WriteError::Io {
            path: path.clone(),
            source,
        })?;
        Ok(Self { path })
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), WriteError> {
        let path = self.path.join(name);
        fs::write(&path, bytes).map_err(|source| WriteError::Io { path, source })
    }

    /// No name and no time in the head, so the same lines are the same bytes.
    fn write_gz(&self, name: &str, bytes: &[u8]) -> Result<(), WriteError> {
        let pack = || {
            let mut packed = GzBuilder::new().write(Vec::new(), Compression::best());
            packed.write_all(bytes)?;
            packed.finish()
        };
        let packed = pack().map_err(|source| WriteError::Io {
            path: self.path.join(name),
            source,
        })?;
        self.write(name, &packed)
    }

    /// Says how many lines.
    fn write_lines<T: Serialize>(
        &self,
        name: &str,
        what: &'static str,
        items: &[T],
    ) -> Result<u64, WriteError> {
        let mut bytes = Vec::new();
        for item in items {
            serde_json::to_writer(&mut bytes, item)
                .map_err(|source| WriteError::Json { what, source })?;
            bytes.push(b'\n');
        }
        self.write(name, &bytes)?;
        Ok(items.len() as u64)
    }
}

/// Writes what the users of `world` have, and its truth, to `dir`.
pub fn write_samples(world: &World, dir: &Path) -> Result<Summary, WriteError> {
    let truth = Truth::of(world);
    let mut summary = Summary {
        clock_end: world.clock_end(),
        conversions: truth.orders.len() as u64,
        downloads: truth.downloads.values().sum::<i64>() as u64,
        ..Summary::default()
    };
    let root = Folder::new(dir.to_owned())?;
    for tenant in &world.tenants {
        let folder = Folder::new(dir.join(tenant.name))?;
        write_tenant(world, tenant, &folder, &mut summary)?;
    }
    let tenants = TenantsFile {
        note: "sample values for the demo; none of them is secret".to_owned(),
        clock_end_ms: world.clock_end().0,
        data_centres: DATA_CENTRES.map(str::to_owned).to_vec(),
        tenants: tenants(),
    };
    let mut bytes = pretty("tenants", &tenants)?;
    bytes.push(b'\n');
    root.write("tenants.json", &bytes)?;
    root.write("truth.json", &by_line(&truth)?)?;
    let lists = Folder::new(dir.join("lists"))?;
    lists.write("bots.json", count::bots().as_bytes())?;
    lists.write("libraries.json", b"{\"entries\": []}\n")?;
    lists.write("nonhuman-ranges.json", count::ranges().as_bytes())?;
    Ok(summary)
}

fn write_tenant(
    world: &World,
    tenant: &TenantWorld,
    folder: &Folder,
    summary: &mut Summary,
) -> Result<(), WriteError> {
    let log = cloudfront::log(tenant, world.config().seed);
    summary.log_lines += log.lines;
    folder.write_gz("cdn.log.gz", &log.main)?;
    folder.write_gz("cdn-late.log.gz", &log.late)?;
    folder.write("catalog.json", count::catalog(tenant).as_bytes())?;
    let deals = deals::items(tenant);
    summary.deals += folder.write_lines("deals.ndjson", "deals", &deals)?;
    let impressions = doors::impressions(tenant);
    summary.impressions += folder.write_lines("impressions.ndjson", "impressions", &impressions)?;
    let pixels = doors::pixels(tenant);
    summary.pixels += folder.write_lines("pixels.ndjson", "pixels", &pixels)?;
    let redemptions = doors::redemptions(tenant);
    summary.redemptions += folder.write_lines("redemptions.ndjson", "redemptions", &redemptions)?;
    let webhooks = shopify::deliveries(tenant)?;
    summary.webhooks += folder.write_lines("shopify.ndjson", "webhooks", &webhooks)?;
    Ok(())
}

fn pretty<T: Serialize>(what: &'static str, value: &T) -> Result<Vec<u8>, WriteError> {
    serde_json::to_vec_pretty(value).map_err(|source| WriteError::Json { what, source })
}

/// One field a line, and one row a line within it: changes of a sample can be read.
fn by_line(truth: &Truth) -> Result<Vec<u8>, WriteError> {
    let fields = [
        ("clock_end_ms", json(&truth.clock_end_ms)?),
        ("malformed_lines", json(&truth.malformed_lines)?),
        ("downloads", rows(&truth.downloads)?),
        ("verdicts", rows(&truth.verdicts)?),
        ("deliveries", rows(&truth.deliveries)?),
        ("attribution", rows(&truth.attribution)?),
        ("conversions", rows(&truth.conversions)?),
        ("pacing", rows(&truth.pacing)?),
        ("billing", rows(&truth.billing)?),
        ("anomalies", rows(&truth.anomalies)?),
        ("orders", rows(&truth.orders)?),
    ];
    let lines: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("\"{name}\": {value}"))
        .collect();
    Ok(format!("{{\n{}\n}}\n", lines.join(",\n")).into_bytes())
}

fn json<T: Serialize>(value: &T) -> Result<String, WriteError> {
    serde_json::to_string(value).map_err(|source| WriteError::Json {
        what: "the truth",
        source,
    })
}

fn rows<T: Serialize>(rows: impl IntoIterator<Item = T>) -> Result<String, WriteError> {
    let rows: Result<Vec<String>, WriteError> = rows.into_iter().map(|row| json(&row)).collect();
    Ok(format!("[\n{}\n]", rows?.join(",\n")))
}
