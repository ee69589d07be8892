//! `hostread up`: everything in one process tree on this machine, on loopback.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hostread_engines::Engines;
use hostread_engines::sql_door::{SqlDoorLimits, TenantOfKey, sql_door};
use hostread_gateway::{Gateway, GatewayParts};
use hostread_job::{Clock, Running, Status};
use hostread_schemas::Encoder;
use hostread_schemas::EventTimeMs;
use hostread_schemas::intern::IdHasher;
use hostread_simulate::WorldConfig;
use tokio::net::TcpListener;

use crate::config::Config;
use crate::demo::{SampleClock, Samples, Sender, sha256_hex};
use crate::parts::{self, GATEWAY_DIR, Log};
use crate::report::Reader;
use crate::say;

/// Seed of the checked-in samples.
pub(crate) const SAMPLES_SEED: u64 = 1;
/// Folder of the checked-in samples.
const SAMPLES_DIR: &str = "samples";
/// How long the demo waits for the last number.
const SETTLE_MAX: Duration = Duration::from_secs(120);

/// What `up` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct UpArgs {
    /// Send a made-up world through the doors and print the report.
    #[arg(long)]
    demo: bool,
    /// Which world.
    #[arg(long, default_value_t = SAMPLES_SEED)]
    seed: u64,
    /// Stop after the report; exit 1 when a number differs from the truth.
    #[arg(long)]
    once: bool,
}

/// Checks API keys by their hash.
#[derive(Clone)]
struct Keys(Vec<(String, String)>);

impl TenantOfKey for Keys {
    fn tenant(&self, api_key: &str) -> Option<String> {
        let hash = sha256_hex(api_key);
        // Hashes are compared, so timing says nothing about a key.
        self.0
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(&hash))
            .map(|(_, t)| t.clone())
    }
}

/// Everything that runs.
struct Tree {
    engines: Option<Engines>,
    job: Running,
    addresses: Addresses,
    stop: tokio::sync::watch::Sender<bool>,
    servers: Vec<tokio::task::JoinHandle<Result<()>>>,
}

struct Addresses {
    gateway: String,
    sql: Option<String>,
}

/// Runs until Ctrl-C, or once.
pub(crate) async fn run(mut config: Config, args: UpArgs, metrics: crate::Metrics) -> Result<bool> {
    parts::check_engines(&config)?;
    let samples = if args.demo {
        Some(demo_samples(&mut config, args.seed)?)
    } else {
        None
    };
    let clock = samples
        .as_ref()
        .map(|samples| SampleClock::new(samples.start(i32::from(DEMO_DAYS))));
    let began = Instant::now();
    let tree = start(&config, clock.clone(), metrics).await?;
    say!(
        "  started in {:.1} s: log, ClickHouse, PostgreSQL, gateway, pipeline",
        began.elapsed().as_secs_f64()
    );
    let mut right = true;
    if let (Some(samples), Some(clock)) = (&samples, &clock) {
        clock.set(tree.job.status.clock());
        right = demo(&config, &tree, samples, clock).await?;
        clock.run();
    }
    if !args.once {
        print_addresses(&config, &tree, samples.as_ref());
        wait_for_end(&tree.job.status).await;
        say!("\n  stopping");
    }
    stop(tree).await?;
    Ok(right)
}

/// Days of the demo's world.
const DEMO_DAYS: u16 = 14;

fn demo_samples(config: &mut Config, seed: u64) -> Result<Samples> {
    config.data_dir = config.data_dir.join(format!("demo-{seed}"));
    let checked_in = PathBuf::from(SAMPLES_DIR);
    let dir = if seed == SAMPLES_SEED && checked_in.join("truth.json").exists() {
        checked_in
    } else {
        let dir = config.data_dir.join("samples");
        hostread_simulate::run(&dir, WorldConfig::demo(seed)).context("making the world")?;
        dir
    };
    let samples = Samples::read(&dir)?;
    samples.configure(config);
    say!(
        "  world {seed}: {} tenants, samples in {}",
        samples.tenants.tenants.len(),
        dir.display()
    );
    Ok(samples)
}

async fn start(
    config: &Config,
    clock: Option<Arc<SampleClock>>,
    metrics: crate::Metrics,
) -> Result<Tree> {
    let log = parts::open_log(config).await?;
    let engines = parts::start_engines(config).await?;
    let job_clock = clock
        .clone()
        .map(|clock| Clock::Running(Arc::new(move || clock.now_ms())));
    let job = hostread_job::start(
        parts::job_config(config, job_clock),
        parts::job_parts(config, &log, engines.as_ref())?,
    )
    .await
    .context("starting the pipeline")?;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut servers = Vec::new();
    let door_clock = clock.map_or_else(wall_clock, |clock| {
        Arc::new(move || clock.now_ms()) as hostread_gateway::Clock
    });
    let gateway = open_gateway(
        config,
        &log,
        door_clock,
        metrics,
        Some(Arc::clone(&job.status)),
    )
    .await?;
    let listener = bind(&config.gateway.listen).await?;
    let gateway_address = format!("http://{}", listener.local_addr()?);
    servers.push(tokio::spawn(serve_gateway(
        gateway,
        listener,
        stopped.clone(),
    )));
    let mut sql = None;
    if let Some(engines) = &engines {
        let keys = config
            .tenants
            .iter()
            .flat_map(|t| {
                t.api_key_sha256
                    .iter()
                    .map(|hash| (hash.clone(), t.name.clone()))
            })
            .collect();
        let router = sql_door(
            engines.clickhouse.clone(),
            Arc::new(Keys(keys)),
            SqlDoorLimits::default(),
        )?;
        let listener = bind("127.0.0.1:8123").await?;
        sql = Some(format!("http://{}/sql", listener.local_addr()?));
        let mut stopped = stopped.clone();
        servers.push(tokio::spawn(async move {
            let ended = async move { drop(stopped.wait_for(|stop| *stop).await) };
            Ok(axum::serve(listener, router)
                .with_graceful_shutdown(ended)
                .await?)
        }));
    }
    Ok(Tree {
        engines,
        job,
        addresses: Addresses {
            gateway: gateway_address,
            sql,
        },
        stop,
        servers,
    })
}

/// The machine's clock for the doors.
pub(crate) fn wall_clock() -> hostread_gateway::Clock {
    Arc::new(hostread_job::wall_ms)
}

/// Opens the doors.
pub(crate) async fn open_gateway(
    config: &Config,
    log: &Log,
    clock: hostread_gateway::Clock,
    metrics: crate::Metrics,
    job: Option<Arc<Status>>,
) -> Result<Gateway> {
    let parts = GatewayParts {
        config: config.gateway.clone(),
        tenants: config.tenants.clone(),
        log: Arc::clone(&log.log),
        encoder: Encoder::new(log.schema_ids.clone()),
        ids: IdHasher::new(config.id_key_bytes()?),
        disk: parts::disk(),
        dir: config.data_dir.join(GATEWAY_DIR),
        clock,
        metrics: Some(Arc::new(move || metrics.render())),
        pipeline_ready: job.map(|status| {
            Arc::new(move || status.trouble().map_or(Ok(()), Err))
                as hostread_gateway::PipelineReady
        }),
    };
    Ok(tokio::task::spawn_blocking(move || Gateway::open(parts)).await??)
}

/// Serves the doors until told to stop.
pub(crate) async fn serve_gateway(
    gateway: Gateway,
    listener: TcpListener,
    mut stopped: tokio::sync::watch::Receiver<bool>,
) -> Result<()> {
    gateway
        .serve(listener, async move {
            drop(stopped.wait_for(|stop| *stop).await)
        })
        .await?;
    Ok(())
}

/// The address asked for, or a free port when it is taken.
pub(crate) async fn bind(address: &str) -> Result<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let host = address
                .rsplit_once(':')
                .map_or("127.0.0.1", |(host, _)| host);
            Ok(TcpListener::bind(format!("{host}:0")).await?)
        }
        Err(error) => Err(error).with_context(|| format!("listening on {address}")),
    }
}

async fn demo(
    config: &Config,
    tree: &Tree,
    samples: &Samples,
    clock: &Arc<SampleClock>,
) -> Result<bool> {
    let began = Instant::now();
    let client = reqwest::Client::builder().no_proxy().build()?;
    let sender = Sender {
        base: tree.addresses.gateway.clone(),
        client,
        clock: Arc::clone(clock),
    };
    sender.send(samples).await?;
    wait_until_settled(&tree.job.status, EventTimeMs(samples.truth.clock_end_ms)).await?;
    let took = began.elapsed().as_secs_f64();
    let engines = tree.engines.as_ref();
    let reader = Reader::new(
        parts::clickhouse_config(config, engines),
        &parts::postgres_config(config, engines).url_sink,
    )
    .await?;
    let numbers = reader.numbers().await?;
    say!("{}", numbers.render());
    let freshness = tree.job.status.freshness();
    say!(
        "Freshness (accepted by a door -> readable in both databases): p50 {} ms, p99 {} ms over {} ranges",
        freshness.p50_ms,
        freshness.p99_ms,
        freshness.ranges
    );
    let status = &tree.job.status;
    say!(
        "{} events in {took:.1} s, {} of them repeats, {} dead letters, {} rows written",
        status.events(),
        status.duplicates(),
        status.dead_letters(),
        status.rows_written()
    );
    let differences = numbers.differences(&samples.truth);
    if differences.is_empty() {
        say!(
            "All {} numbers equal the world's own truth.",
            numbers.count()
        );
        return Ok(true);
    }
    say!(
        "{} numbers DIFFER from the world's own truth:",
        differences.len()
    );
    for difference in differences.iter().take(20) {
        say!("  {difference}");
    }
    Ok(false)
}

/// Waits until everything that was sent is in both databases and the clock has come to its end.
async fn wait_until_settled(status: &Status, clock: EventTimeMs) -> Result<()> {
    let began = Instant::now();
    let mut quiet = 0;
    while quiet < 4 {
        if let Some(failure) = status.failure() {
            bail!("the pipeline stopped: {failure}");
        }
        ensure!(
            began.elapsed() < SETTLE_MAX,
            "the numbers did not settle: {:?}",
            status.trouble()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
        quiet = if status.caught_up() && status.clock() >= clock {
            quiet + 1
        } else {
            0
        };
    }
    Ok(())
}

fn print_addresses(config: &Config, tree: &Tree, samples: Option<&Samples>) {
    let key = samples
        .and_then(|s| s.tenants.tenants.first())
        .map_or("YOUR_API_KEY", |t| &t.api_key);
    say!(
        "\nStill running. Ctrl-C stops everything and loses nothing; data is in {}",
        config.data_dir.display()
    );
    say!("  gateway      {}", tree.addresses.gateway);
    say!("  metrics      {}/metrics", tree.addresses.gateway);
    if let Some(sql) = &tree.addresses.sql {
        say!("  SQL door     {sql}");
        say!(
            "    curl -H 'Authorization: Bearer {key}' {sql} -d 'SELECT show, sum(downloads) FROM hostread.downloads_daily GROUP BY show'"
        );
    }
    if let Some(engines) = &tree.engines {
        let access = &engines.postgres;
        say!(
            "  PostgreSQL   {}:{}, address with password: {}",
            access.host,
            access.port,
            config.data_dir.join("engines").display()
        );
    }
}

/// Waits for Ctrl-C, SIGTERM, or the pipeline's end.
pub(crate) async fn wait_for_end(status: &Status) {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    let failed = async {
        while status.failure().is_none() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
        () = failed => {}
    }
}

async fn stop(tree: Tree) -> Result<()> {
    let _ = tree.stop.send(true);
    for server in tree.servers {
        // A kept-alive connection may outlive the doors; it is not waited for.
        drop(tokio::time::timeout(Duration::from_secs(5), server).await);
    }
    let stopped = tree.job.stop().await;
    if let Some(engines) = tree.engines {
        engines.stop().await;
    }
    stopped.map_err(anyhow::Error::msg)
}
