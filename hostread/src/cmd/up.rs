//! `hostread up`: everything in one process tree on this machine, on loopback; with `--demo` a made-up world goes through it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hostread_job::Status;
use hostread_schemas::EventTimeMs;
use hostread_simulate::WorldConfig;

use super::tree::Tree;
use crate::config::Config;
use crate::demo::{SampleClock, Samples, Sender};
use crate::parts;
use crate::report::Reader;
use crate::say;
use crate::serve::{self, End};

/// Seed of the checked-in samples.
pub(crate) const SAMPLES_SEED: u64 = 1;
/// Folder of the checked-in samples.
const SAMPLES_DIR: &str = "samples";
/// Days of the demo's world.
const DEMO_DAYS: u16 = 14;
/// How long the demo waits for the last number.
const SETTLE_MAX: Duration = Duration::from_mins(2);

/// What `up` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct UpArgs {
    /// Send a made-up world through the doors and print the report
    #[arg(long)]
    demo: bool,
    /// Which world
    #[arg(long, value_name = "N", default_value_t = SAMPLES_SEED, requires = "demo")]
    seed: u64,
    /// Stop after the report; exit 1 when a number differs from the world's truth
    #[arg(long, requires = "demo")]
    once: bool,
}

/// Runs until Ctrl-C, or once.
pub(crate) async fn run(mut config: Config, args: UpArgs, metrics: crate::Metrics) -> Result<bool> {
    parts::check_engines(&config)?;
    let samples = if args.demo {
        Some(demo_samples(&mut config, args.seed)?)
    } else {
        ensure!(
            !config.tenants.is_empty(),
            "no tenant is configured, so nobody could call; add a [[tenants]] table to the file that --config names (docs/reference/configuration.md), or see `hostread up --demo`"
        );
        None
    };
    let clock = samples
        .as_ref()
        .map(|samples| SampleClock::new(samples.start(i32::from(DEMO_DAYS))));
    let began = Instant::now();
    let starting = Tree::start(&config, clock.clone(), metrics);
    let tree = tokio::select! {
        tree = starting => tree?,
        _ = serve::wait_for_end(None) => bail!("stopped while starting"),
    };
    say!(
        "  started in {:.1} s: log, ClickHouse, PostgreSQL, pipeline, gateway",
        began.elapsed().as_secs_f64()
    );
    let worked = work(&tree, &args, samples.as_ref(), clock).await;
    if !args.once {
        say!("\n  stopping");
    }
    let stopped = tree.stop().await;
    let right = worked?;
    stopped.map(|()| right)
}

/// What happens between start and stop.
async fn work(
    tree: &Tree,
    args: &UpArgs,
    samples: Option<&Samples>,
    clock: Option<Arc<SampleClock>>,
) -> Result<bool> {
    let mut right = true;
    if let (Some(samples), Some(clock)) = (samples, &clock) {
        clock.set(tree.status.clock());
        right = tokio::select! {
            right = demo(tree, samples, clock) => right?,
            _ = serve::wait_for_end(Some(&tree.status)) => return Ok(false),
        };
        clock.run();
    }
    if !args.once {
        let tenant = samples.and_then(|samples| samples.tenants.tenants.first());
        tree.print_addresses(tenant.map(|t| (t.name.as_str(), t.api_key.as_str())));
        if let End::Failed = serve::wait_for_end(Some(&tree.status)).await {
            bail!(
                "the pipeline stopped: {}",
                tree.status.failure().unwrap_or_default()
            );
        }
    }
    Ok(right)
}

fn demo_samples(config: &mut Config, seed: u64) -> Result<Samples> {
    config.data_dir = config.data_dir.join(format!("demo-{seed}"));
    // The samples' days may lie further back than verdicts are kept.
    config.clickhouse.verdict_days_kept = 0;
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

async fn demo(tree: &Tree, samples: &Samples, clock: &Arc<SampleClock>) -> Result<bool> {
    let began = Instant::now();
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()?;
    let sender = Sender {
        base: tree.gateway.clone(),
        client,
        clock: Arc::clone(clock),
    };
    sender.send(samples).await?;
    wait_until_settled(&tree.status, EventTimeMs(samples.truth.clock_end_ms)).await?;
    let took = began.elapsed().as_secs_f64();
    let reader = Reader::new(
        tree.targets.clickhouse.clone(),
        &tree.targets.postgres.url_sink,
    )
    .await?;
    let numbers = reader.numbers().await?;
    say!("{}", numbers.render());
    let freshness = tree.status.freshness();
    say!(
        "Freshness (accepted by a door -> readable in both databases): p50 {} ms, p99 {} ms over {} ranges",
        freshness.p50_ms,
        freshness.p99_ms,
        freshness.ranges
    );
    let status = &tree.status;
    say!(
        "{} events in {took:.1} s, {} of them repeats, {} dead letters, {} rows written",
        status.events(),
        status.duplicates(),
        status.dead_letters(),
        status.rows_written()
    );
    let mut differences = numbers.differences(&samples.truth);
    let end = EventTimeMs(samples.truth.clock_end_ms);
    if status.clock().hour() > end.hour() {
        // An earlier run was left running: what is judged by the clock's hour has moved on since.
        differences.retain(|difference| {
            !difference.starts_with("pacing") && !difference.starts_with("anomalies")
        });
        say!(
            "The clock has run on to {}: pacing and anomalies are not compared.",
            status.clock()
        );
    }
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
