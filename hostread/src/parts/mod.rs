//! Opens what the commands run on: log, databases, doors, the job's parts, dead letters.

mod engines;
mod log;

pub(crate) mod doors;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use hostread_connectors_kit::{
    DeadLetter, DeadLetterLimits, DeadLetters, RETRY_HEADER, Retry, TenantKey,
};
use hostread_disk::{Disk, RealDisk};
use hostread_job::{Clock, Decode, JobConfig, Parts, Undecodable, wall_ms};
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{Decoder, ReceivedAtMs};
use hostread_sink_archive::ArchiveSink;
use hostread_sink_clickhouse::ClickHouseSink;
use hostread_sink_kit::Sink;
use hostread_sink_postgres::PostgresSink;

pub(crate) use engines::{Targets, check_engines, start_engines};
pub(crate) use log::{Log, look_at_log, open_log, read_log};

use crate::config::Config;

/// Folder of the dead letters of the pipeline.
pub(crate) const PIPELINE_DEAD_LETTERS: &str = "pipeline/dead-letters";
/// Folder of the journal.
pub(crate) const JOURNAL_DIR: &str = "journal";
/// Folder of its archive in it.
pub(crate) const ARCHIVE_DIR: &str = "archive";
/// Folder of the gateway's spill and dead letters.
pub(crate) const GATEWAY_DIR: &str = "gateway";
/// As dead letters name it.
pub(crate) const PIPELINE: &str = "pipeline";
/// Tenant that records belong to that cannot be read at all.
const NO_TENANT: &str = "unknown";

/// The disk.
pub(crate) fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
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
pub(crate) fn job_parts(config: &Config, log: &Log, targets: &Targets) -> Result<Parts> {
    let journal_dir = config.data_dir.join(JOURNAL_DIR);
    let archive = ArchiveSink::new(disk(), &journal_dir.join(ARCHIVE_DIR));
    // The archive first: when it is not of the journal's time, no database is at fault.
    let mut all: Vec<Box<dyn Sink>> = vec![Box::new(archive)];
    all.extend(sinks(targets)?);
    Ok(Parts {
        disk: disk(),
        journal_dir,
        journal_id: new_journal_id()?,
        hasher: IdHasher::new(config.id_key_bytes()?),
        log: Arc::clone(&log.log),
        decode: decode(config, log),
        sinks: all,
        dead_letters: dead_letters(config)?,
    })
}

/// Reads what is in the log.
pub(crate) fn decode(config: &Config, log: &Log) -> Decode {
    let refused = config.pipeline.refused_schema_ids.iter().copied();
    Decode::new(Decoder::current(&log.schema_ids), Box::new(log.ask())).refusing(refused)
}

/// Both databases.
pub(crate) fn sinks(targets: &Targets) -> Result<Vec<Box<dyn Sink>>> {
    Ok(vec![
        Box::new(ClickHouseSink::new(targets.clickhouse.clone())?),
        Box::new(PostgresSink::new(targets.postgres.clone())?),
    ])
}

/// Random, so that a sink can tell journals apart. Used only when a journal is created.
pub(crate) fn new_journal_id() -> Result<u128> {
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
        let retry = record.headers.text(RETRY_HEADER).and_then(Retry::read);
        let letter = DeadLetter {
            tenant: &tenant,
            source: record.headers.text("ce_source").unwrap_or(""),
            connector: PIPELINE,
            reason: &undecodable.reason,
            position: &position,
            received_at: ReceivedAtMs(wall_ms()),
            body,
            resend: None,
            retry: retry.as_ref(),
        };
        if let Err(error) = letters.append(key.unwrap_or(&no_key), &[letter]) {
            tracing::error!(%error, %position, "dead letter not written");
        }
    }))
}
