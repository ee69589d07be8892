//! The event log and its schema ids, for whoever writes it and for whoever reads beside the writer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hostread_disk::{DiskError, read_all};
use hostread_eventlog::{
    ConfluentRegistry, EmbeddedLog, EmbeddedSettings, EventLog, InProcessRegistry, KafkaLog,
    KafkaSettings, LogError, Registry, TopicSpec,
};
use hostread_schemas::event::EventType;

use super::disk;
use crate::config::Config;

/// How long a reader waits for the process that is just making the log.
const MADE_MAX: Duration = Duration::from_secs(30);

/// The embedded log's schemas, in its folder.
const SCHEMAS_FILE: &str = "schemas.json";

/// The log and the schema ids of its registry.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) schema_ids: BTreeMap<EventType, u32>,
    schemas: Schemas,
}

/// Where a schema that is not ours is asked for.
#[derive(Clone)]
enum Schemas {
    Confluent(Arc<ConfluentRegistry>),
    /// A folder, read anew for every unknown id: another process may have added it.
    Folder(PathBuf),
}

impl Log {
    /// The schema with this id. Blocks: not for an async task.
    pub(crate) fn ask(&self) -> impl FnMut(u32) -> Option<String> + Send + 'static {
        let (schemas, runtime) = (self.schemas.clone(), tokio::runtime::Handle::current());
        move |id| match &schemas {
            Schemas::Confluent(registry) => runtime.block_on(registry.by_id(id)).ok(),
            Schemas::Folder(dir) => {
                let registry = InProcessRegistry::open(disk(), dir).ok()?;
                runtime.block_on(registry.by_id(id)).ok()
            }
        }
    }
}

/// Opens the log to write and read it, and registers the schemas.
pub(crate) async fn open_log(config: &Config) -> Result<Log> {
    let log: Arc<dyn EventLog> = if config.log.is_kafka() {
        kafka(config).await?
    } else {
        let (dir, topics) = (config.log_dir(), topics(config));
        let opened = tokio::task::spawn_blocking(move || {
            EmbeddedLog::open(disk(), &dir, &topics, EmbeddedSettings::default())
        });
        match opened.await? {
            Err(LogError::Disk(DiskError::Locked { .. })) => bail!(
                "the log in {} is in use: another hostread runs on it; stop that one first, or choose another folder with HOSTREAD_DATA_DIR",
                config.log_dir().display()
            ),
            opened => Arc::new(opened.context("opening the embedded log")?),
        }
    };
    registered(config, log).await
}

/// Opens the log to read it, while another process may write it.
pub(crate) async fn read_log(config: &Config) -> Result<Log> {
    if config.log.is_kafka() {
        return open_log(config).await;
    }
    let dir = config.log_dir();
    let (make, topics) = (dir.clone(), topics(config));
    // Nobody writes it: make what is missing, then let go of it.
    let made = tokio::task::spawn_blocking(move || {
        EmbeddedLog::open(disk(), &make, &topics, EmbeddedSettings::default()).map(drop)
    });
    match made.await? {
        Ok(()) => {}
        Err(LogError::Disk(DiskError::Locked { .. })) => made_by_other(&dir).await?,
        Err(error) => return Err(error).context("opening the embedded log"),
    }
    let opened = tokio::task::spawn_blocking(move || EmbeddedLog::open_reader(disk(), &dir));
    registered(
        config,
        Arc::new(opened.await?.context("reading the embedded log")?),
    )
    .await
}

/// The log as it is, to look something up; writes nothing. `None`: there is none.
pub(crate) async fn look_at_log(config: &Config) -> Result<Option<Log>> {
    if config.log.is_kafka() {
        return open_log(config).await.map(Some);
    }
    let dir = config.log_dir();
    if !disk().exists(&dir.join(SCHEMAS_FILE))? {
        return Ok(None);
    }
    let at = dir.clone();
    let opened = tokio::task::spawn_blocking(move || EmbeddedLog::open_reader(disk(), &at));
    Ok(Some(Log {
        log: Arc::new(opened.await?.context("reading the embedded log")?),
        // Every schema is asked for.
        schema_ids: BTreeMap::new(),
        schemas: Schemas::Folder(dir),
    }))
}

/// Waits until the process that has the lock has written down every schema.
async fn made_by_other(dir: &Path) -> Result<()> {
    let (file, began) = (dir.join(SCHEMAS_FILE), Instant::now());
    loop {
        let known = read_all(disk().as_ref(), &file)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok())
            .and_then(|kept| kept["schemas"].as_array().map(Vec::len));
        if known >= Some(EventType::ALL.len()) {
            return Ok(());
        }
        if began.elapsed() > MADE_MAX {
            bail!(
                "the log in {} is in use by a process that does not finish making it",
                dir.display()
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn topics(config: &Config) -> Vec<TopicSpec> {
    EventType::ALL
        .iter()
        .map(|event_type| TopicSpec::new(event_type.topic(), config.log.partitions))
        .collect()
}

async fn kafka(config: &Config) -> Result<Arc<dyn EventLog>> {
    let mut settings = KafkaSettings::new(&config.log.brokers);
    settings.replication = config.log.replication;
    settings.properties = config
        .log
        .properties
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let opened = KafkaLog::open(settings, &topics(config)).await;
    Ok(Arc::new(opened.with_context(|| {
        format!("opening Kafka at {} (log.brokers)", config.log.brokers)
    })?))
}

async fn registered(config: &Config, log: Arc<dyn EventLog>) -> Result<Log> {
    let (registry, schemas): (Arc<dyn Registry>, Schemas) = if config.log.registry_url.is_empty() {
        let dir = config.log_dir();
        let registry =
            InProcessRegistry::open(disk(), &dir).context("opening the schema registry")?;
        (Arc::new(registry), Schemas::Folder(dir))
    } else {
        let registry = Arc::new(ConfluentRegistry::new(&config.log.registry_url, None)?);
        (
            Arc::<ConfluentRegistry>::clone(&registry),
            Schemas::Confluent(registry),
        )
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
        schema_ids,
        schemas,
    })
}
