//! The whole pipeline on real parts: embedded log, journal, dataflow, ClickHouse and PostgreSQL.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hostread_disk::{Disk, RealDisk};
use hostread_engines::{Engines, EnginesConfig, ReaderConfig};
use hostread_eventlog::{
    EmbeddedLog, EmbeddedSettings, EventLog, InProcessRegistry, Record, Registry, TopicSpec,
};
use hostread_job::{Clock, Decode, JobConfig, Parts, Running, wall_ms};
use hostread_rules::Horizons;
use hostread_schemas::event::EventType;
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{Decoder, Encoder, partition};
use hostread_simulate::{MIX1_TENANTS, Mix1, Mix1Config, SAMPLE_KEY};
use hostread_sink_archive::ArchiveSink;
use hostread_sink_clickhouse::{ClickHouseConfig, ClickHouseSink, tenant_tables};
use hostread_sink_kit::Sink;
use hostread_sink_postgres::{PostgresConfig, PostgresSink};

use crate::cpu::{cpu, since};
use crate::dataflow::rss_mib;

const PARTITIONS: u32 = 1;
const APPEND_RECORDS: usize = 4_096;

/// What is asked of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) events: u64,
    pub(crate) workers: usize,
    pub(crate) tick_events: usize,
    /// Events a second, offered whether or not the pipeline keeps up; 0: all lie in the log at the start.
    pub(crate) rate: u64,
    /// Days of the horizon and of the lookback.
    pub(crate) horizon_days: i32,
    /// Days that the events' clock runs over.
    pub(crate) days: u32,
    /// Say every minute how fresh rows were, what memory is held and how many parts are active.
    pub(crate) minutes: bool,
    /// Start so often once more at the end and say how long each took.
    pub(crate) restarts: u64,
}

struct Bench {
    dir: PathBuf,
    log: Arc<dyn EventLog>,
    schema_ids: BTreeMap<EventType, u32>,
    engines: Engines,
}

impl Bench {
    async fn open(dir: &Path) -> Result<Self> {
        let topics: Vec<TopicSpec> = EventType::ALL
            .iter()
            .map(|kind| TopicSpec::new(kind.topic(), PARTITIONS))
            .collect();
        let log = EmbeddedLog::open(
            disk(),
            &dir.join("log"),
            &topics,
            EmbeddedSettings::default(),
        )?;
        let registry = InProcessRegistry::open(disk(), &dir.join("log"))?;
        let mut schema_ids = BTreeMap::new();
        for kind in EventType::ALL {
            let id = registry
                .register(&kind.subject(), kind.schema_json())
                .await?;
            schema_ids.insert(kind, id);
        }
        let engines = Engines::start(EnginesConfig {
            packages_dir: "engines".into(),
            data_dir: dir.join("engines"),
            launcher_exe: std::env::current_exe()?,
            readers: MIX1_TENANTS
                .iter()
                .map(|tenant| ReaderConfig {
                    tenant: (*tenant).to_owned(),
                })
                .collect(),
            filtered_tables: tenant_tables(),
            clickhouse_memory_bytes_max: 4 << 30,
        })
        .await?;
        Ok(Self {
            dir: dir.to_owned(),
            log: Arc::new(log),
            schema_ids,
            engines,
        })
    }

    fn clickhouse(&self) -> Result<ClickHouseSink> {
        let access = &self.engines.clickhouse;
        let (name, value) = &access.gate_header;
        let config = ClickHouseConfig {
            verdict_days_kept: None,
            ..ClickHouseConfig::new(&access.url, &access.user, &access.password).header(name, value)
        };
        Ok(ClickHouseSink::new(config)?)
    }

    async fn start(&self, asked: Asked) -> Result<Running> {
        let access = &self.engines.postgres;
        let postgres = PostgresConfig::new(&access.url_owner, &access.url_sink);
        let config = JobConfig {
            workers: asked.workers,
            tick_events_max: asked.tick_events,
            horizons: Horizons {
                horizon_days: asked.horizon_days,
                lookback_days: asked.horizon_days.min(30),
                ..Horizons::default()
            },
            clock: Clock::Samples,
            ..JobConfig::default()
        };
        let journal_dir = self.dir.join("journal");
        let archive = ArchiveSink::new(disk(), &journal_dir.join("archive"));
        let parts = Parts {
            disk: disk(),
            journal_dir,
            journal_id: 1,
            hasher: IdHasher::new(SAMPLE_KEY),
            log: Arc::clone(&self.log),
            decode: Decode::new(Decoder::current(&self.schema_ids), Box::new(|_| None)),
            sinks: vec![
                Box::new(self.clickhouse()?),
                Box::new(PostgresSink::new(postgres)?),
                Box::new(archive),
            ],
            dead_letters: Box::new(|undecodable| eprintln!("dead letter: {}", undecodable.reason)),
        };
        Ok(hostread_job::start(config, parts).await?)
    }

    /// Appends MIX-1; with a rate, in steps of 10 ms that are never made up for.
    async fn offer(&self, asked: Asked) -> Result<Duration> {
        let encoder = Encoder::new(self.schema_ids.clone());
        let mix = Mix1::new(Mix1Config {
            events: asked.events,
            days: asked.days,
            ..Mix1Config::default()
        });
        let batch = match asked.rate {
            0 => APPEND_RECORDS,
            rate => usize::try_from(rate / 100)?.max(1),
        };
        let (began, mut spent, mut due) = (Instant::now(), Duration::ZERO, Duration::ZERO);
        let mut records = Vec::with_capacity(batch);
        let mut events = mix.events().peekable();
        while let Some(event) = events.next() {
            let encoded = encoder.encode(&event);
            records.push(Record {
                partition: partition(&event.meta.tenant, PARTITIONS),
                topic: encoded.topic.to_owned(),
                key: encoded.key,
                headers: encoded.headers,
                value: encoded.value,
                timestamp_ms: 0,
            });
            if records.len() == batch || events.peek().is_none() {
                if asked.rate > 0 {
                    tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
                    due += Duration::from_millis(10);
                }
                let accepted = wall_ms();
                for record in &mut records {
                    record.timestamp_ms = accepted;
                }
                let append = Instant::now();
                self.log.append(std::mem::take(&mut records)).await?;
                spent += append.elapsed();
            }
        }
        Ok(spent)
    }
}

fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

async fn caught_up(job: &Running, events: u64) -> Result<()> {
    loop {
        if let Some(why) = job.status.failure() {
            bail!("the job stopped: {why}");
        }
        if job.status.caught_up() && job.status.events() >= events {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Prints a line a minute, for ever.
async fn each_minute(job: &Running, clickhouse: &mut ClickHouseSink) -> Result<()> {
    let mut events_before = 0;
    for minute in 1.. {
        tokio::time::sleep(Duration::from_mins(1)).await;
        let fresh = job.status.take_freshness();
        let events = job.status.events();
        println!(
            "  minute {minute}: {} events/s, freshness p50 {} ms, p99 {} ms over {} ranges; {} live events, rss {} MiB, {} active parts",
            (events - events_before) / 60,
            fresh.p50_ms,
            fresh.p99_ms,
            fresh.ranges,
            job.status.head().0,
            rss_mib(),
            clickhouse.parts_count().await?,
        );
        events_before = events;
    }
    Ok(())
}

/// Runs and prints.
pub(crate) async fn run(asked: Asked) -> Result<()> {
    let dir = tempfile::Builder::new()
        .prefix("hostread-bench")
        .tempdir()?;
    let bench = Bench::open(dir.path()).await?;
    if asked.rate == 0 {
        let took = bench.offer(asked).await?;
        println!(
            "log: {} events appended in {:.2} s of appends",
            asked.events,
            took.as_secs_f64()
        );
    }
    let job = bench.start(asked).await?;
    let (clickhouse, postgres) = bench.engines.pids();
    let children = [
        (
            "ClickHouse",
            u32::try_from(clickhouse.context("ClickHouse runs")?)?,
        ),
        (
            "PostgreSQL",
            u32::try_from(postgres.context("PostgreSQL runs")?)?,
        ),
    ];
    let before = cpu(&children);
    let began = Instant::now();
    let work = async {
        if asked.rate > 0 {
            bench.offer(asked).await?;
        }
        caught_up(&job, asked.events).await
    };
    if asked.minutes {
        let mut parts = bench.clickhouse()?;
        tokio::select! {
            done = work => done?,
            failed = each_minute(&job, &mut parts) => failed?,
        }
    } else {
        work.await?;
    }
    let took = began.elapsed();
    let used = since(&before, &cpu(&children));
    let status = &job.status;
    let per_second = asked.events as f64 / took.as_secs_f64();
    println!(
        "pipeline: {} events, {} workers, {:.2} s: {per_second:.0} events/s; {} rows written, {} ticks, {} duplicates, {} late",
        asked.events,
        asked.workers,
        took.as_secs_f64(),
        status.rows_written(),
        status.fed().0,
        status.duplicates(),
        status.late(),
    );
    println!("  {:<28} {:>9} {:>10}", "stage", "CPU s", "us/event");
    for (stage, ms) in &used {
        let micros = *ms as f64 * 1_000.0 / asked.events as f64;
        println!("  {stage:<28} {:>9.2} {micros:>10.2}", *ms as f64 / 1_000.0);
    }
    let (live, head_bytes) = status.head();
    let freshness = status.freshness();
    println!(
        "  {live} live events, head {head_bytes} bytes ({:.1} each), rss {} MiB; freshness p50 {} ms, p99 {} ms over {} ranges",
        head_bytes as f64 / live.max(1) as f64,
        rss_mib(),
        freshness.p50_ms,
        freshness.p99_ms,
        freshness.ranges,
    );
    job.stop().await.map_err(anyhow::Error::msg)?;
    for _ in 0..asked.restarts {
        let began = Instant::now();
        let job = bench.start(asked).await?;
        caught_up(&job, 0).await?;
        println!(
            "restart: {live} live events in {:.2} s",
            began.elapsed().as_secs_f64()
        );
        job.stop().await.map_err(anyhow::Error::msg)?;
    }
    bench.engines.stop().await;
    Ok(())
}
