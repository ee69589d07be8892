//! Opens what the commands run on: log, registry, sinks, engines, dead letters.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use hostread_connectors_kit::{DeadLetter, DeadLetterLimits, DeadLetters, TenantKey};
use hostread_disk::{Disk, RealDisk};
use hostread_engines::{Engines, EnginesConfig, ReaderConfig};
use hostread_eventlog::{
    ConfluentRegistry, EmbeddedLog, EmbeddedSettings, EventLog, InProcessRegistry, KafkaLog,
    KafkaSettings, Registry, TopicSpec,
};
use hostread_job::{Clock, Decode, JobConfig, Parts, Undecodable, wall_ms};
use hostread_schemas::event::EventType;
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{Decoder, ReceivedAtMs};
use hostread_sink_clickhouse::{ClickHouseConfig, ClickHouseSink, tenant_tables};
use hostread_sink_kit::Sink;
use hostread_sink_postgres::{PostgresConfig, PostgresSink};

use crate::config::Config;

/// Memory that the embedded ClickHouse may use.
const CLICKHOUSE_BYTES_MAX: u64 = 4 << 30;
/// Folder of the dead letters of the pipeline.
pub(crate) const PIPELINE_DEAD_LETTERS: &str = "pipeline/dead-letters";
/// Folder of the gateway's spill and dead letters.
pub(crate) const GATEWAY_DIR: &str = "gateway";
/// Tenant that records belong to that cannot be read at all.
const NO_TENANT: &str = "unknown";

/// The disk.
pub(crate) fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

/// The log and the schema ids of its registry.
pub(crate) struct Log {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) schema_ids: BTreeMap<EventType, u32>,
}

/// Opens the log and registers the schemas.
pub(crate) async fn open_log(config: &Config) -> Result<Log> {
    let topics: Vec<TopicSpec> = EventType::ALL
        .iter()
        .map(|event_type| TopicSpec::new(event_type.topic(), config.log.partitions))
        .collect();
    let dir = config.data_dir.join("log");
    let log: Arc<dyn EventLog> = if config.log.kind == "kafka" {
        let mut settings = KafkaSettings::new(&config.log.brokers);
        settings.replication = config.log.replication;
        Arc::new(
            KafkaLog::open(settings, &topics)
                .await
                .context("opening Kafka")?,
        )
    } else {
        let dir = dir.clone();
        let opened = tokio::task::spawn_blocking(move || {
            EmbeddedLog::open(disk(), &dir, &topics, EmbeddedSettings::default())
        });
        Arc::new(opened.await?.context("opening the embedded log")?)
    };
    let registry: Arc<dyn Registry> = if config.log.registry_url.is_empty() {
        Arc::new(InProcessRegistry::open(disk(), &dir).context("opening the schema registry")?)
    } else {
        Arc::new(ConfluentRegistry::new(&config.log.registry_url, None)?)
    };
    let mut schema_ids = BTreeMap::new();
    for event_type in EventType::ALL {
        let id = registry
            .register(&event_type.subject(), event_type.schema_json())
            .await
            .with_context(|| format!("registering the schema of {}", event_type.topic()))?;
        schema_ids.insert(event_type, id);
    }
    Ok(Log {
        log,
        registry,
        schema_ids,
    })
}

/// Starts the embedded engines where the configuration names none of its own.
pub(crate) async fn start_engines(config: &Config) -> Result<Option<Engines>> {
    if !config.clickhouse.url.is_empty() && !config.postgres.url_owner.is_empty() {
        return Ok(None);
    }
    let readers = config
        .tenants
        .iter()
        .map(|tenant| ReaderConfig {
            tenant: tenant.name.clone(),
        })
        .collect();
    let engines = Engines::start(EnginesConfig {
        packages_dir: config.engines_dir.clone(),
        data_dir: absolute(&config.data_dir)?.join("engines"),
        launcher_exe: std::env::current_exe()?,
        readers,
        filtered_tables: tenant_tables(),
        clickhouse_memory_bytes_max: CLICKHOUSE_BYTES_MAX,
    })
    .await
    .context("starting the embedded engines")?;
    Ok(Some(engines))
}

fn absolute(path: &Path) -> Result<std::path::PathBuf> {
    std::path::absolute(path).context("making the data folder's path absolute")
}

/// Where ClickHouse is.
pub(crate) fn clickhouse_config(config: &Config, engines: Option<&Engines>) -> ClickHouseConfig {
    match engines {
        Some(engines) if config.clickhouse.url.is_empty() => {
            let access = &engines.clickhouse;
            let (name, value) = &access.gate_header;
            ClickHouseConfig::new(&access.url, &access.user, &access.password).header(name, value)
        }
        _ => {
            let target = &config.clickhouse;
            let mut clickhouse = ClickHouseConfig::new(&target.url, &target.user, &target.password);
            for (name, value) in &target.headers {
                clickhouse = clickhouse.header(name, value);
            }
            clickhouse
        }
    }
}

/// Where PostgreSQL is.
pub(crate) fn postgres_config(config: &Config, engines: Option<&Engines>) -> PostgresConfig {
    match engines {
        Some(engines) if config.postgres.url_owner.is_empty() => {
            PostgresConfig::new(&engines.postgres.url_owner, &engines.postgres.url_sink)
        }
        _ => PostgresConfig::new(&config.postgres.url_owner, &config.postgres.url_sink),
    }
}

/// The job's settings.
pub(crate) fn job_config(config: &Config, clock: Option<Clock>) -> JobConfig {
    let pipeline = &config.pipeline;
    JobConfig {
        workers: pipeline.workers,
        horizons: pipeline.horizons(),
        tick_events_max: pipeline.tick_events_max,
        tick_open_max: std::time::Duration::from_millis(pipeline.tick_open_ms_max),
        range_every: std::time::Duration::from_millis(pipeline.range_ms),
        compact_events: pipeline.compact_events,
        clock: clock.unwrap_or(if pipeline.clock == "samples" {
            Clock::Samples
        } else {
            Clock::wall()
        }),
        ..JobConfig::default()
    }
}

/// What the job runs on.
pub(crate) fn job_parts(config: &Config, log: &Log, engines: Option<&Engines>) -> Result<Parts> {
    let clickhouse = ClickHouseSink::new(clickhouse_config(config, engines))?;
    let postgres = PostgresSink::new(postgres_config(config, engines))?;
    let sinks: Vec<Box<dyn Sink>> = vec![Box::new(clickhouse), Box::new(postgres)];
    let registry = Arc::clone(&log.registry);
    let runtime = tokio::runtime::Handle::current();
    let ask = move |id| runtime.block_on(registry.by_id(id)).ok();
    Ok(Parts {
        disk: disk(),
        journal_dir: config.data_dir.join("journal"),
        journal_id: new_journal_id()?,
        hasher: IdHasher::new(config.id_key_bytes()?),
        log: Arc::clone(&log.log),
        decode: Decode::new(Decoder::current(&log.schema_ids), Box::new(ask)),
        sinks,
        dead_letters: dead_letters(config)?,
    })
}

/// Random, so that a sink can tell journals apart. Used only when a journal is created.
fn new_journal_id() -> Result<u128> {
    let mut bytes = [0; 16];
    let mut random = std::fs::File::open("/dev/urandom").context("opening the random source")?;
    std::io::Read::read_exact(&mut random, &mut bytes)?;
    Ok(u128::from_be_bytes(bytes))
}

/// Writes what the pipeline cannot use beside its reason and position, encrypted.
fn dead_letters(config: &Config) -> Result<hostread_job::DeadLetters> {
    let letters = DeadLetters::open(
        disk(),
        &config.data_dir.join(PIPELINE_DEAD_LETTERS),
        DeadLetterLimits::default(),
    )
    .context("opening the pipeline's dead letters")?;
    let mut keys = BTreeMap::new();
    for tenant in &config.tenants {
        keys.insert(tenant.name.clone(), TenantKey::from_hex(&tenant.hash_key)?);
    }
    // Of a record that names no known tenant only reason and position are kept.
    let no_key = TenantKey::from_hex(&"00".repeat(32))?;
    Ok(Box::new(move |undecodable: Undecodable<'_>| {
        let record = undecodable.record;
        let tenant = record
            .headers
            .text("ce_tenantid")
            .unwrap_or(NO_TENANT)
            .to_owned();
        let key = keys.get(&tenant);
        let body: &[u8] = if key.is_some() { &record.value } else { &[] };
        let position = format!("{}/{}@{}", record.topic, record.partition, record.offset);
        let letter = DeadLetter {
            tenant: &tenant,
            source: record.headers.text("ce_source").unwrap_or(""),
            connector: "pipeline",
            reason: &undecodable.reason,
            position: &position,
            received_at: ReceivedAtMs(wall_ms()),
            body,
        };
        if let Err(error) = letters.append(key.unwrap_or(&no_key), &[letter]) {
            tracing::error!(%error, %position, "dead letter not written");
        }
    }))
}

/// A prerequisite that is missing, with the line that installs it.
pub(crate) fn check_engines(config: &Config) -> Result<()> {
    if config.clickhouse.url.is_empty() || config.postgres.url_owner.is_empty() {
        if let Err(error) = hostread_engines::check_packages(&config.engines_dir) {
            bail!("{error}");
        }
    }
    Ok(())
}
