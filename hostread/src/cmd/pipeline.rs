//! `hostread pipeline`: log -> journal -> dataflow -> sinks, without doors and without engines of its own.
//! Needs: a log that a gateway fills (Kafka, or the folder of another process on this machine); a ClickHouse and a PostgreSQL.
//! Promises: killed at any moment, with any number of workers, the next start leaves the same rows.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use hostread_job::JobConfig;

use crate::config::Config;
use crate::parts::{self, Targets};
use crate::say;
use crate::serve::{self, End, Servers};

/// What `pipeline` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct PipelineArgs {
    /// Threads of the dataflow, instead of `pipeline.workers`
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Go on although the log lost records that were not read yet: from where it begins now
    #[arg(long)]
    skip_lost: bool,
}

/// Runs until asked to stop.
pub(crate) async fn run(
    mut config: Config,
    args: PipelineArgs,
    metrics: crate::Metrics,
) -> Result<bool> {
    if let Some(workers) = args.workers {
        config.pipeline.workers = workers;
        config.check()?;
    }
    let listener = serve::listen("pipeline.listen", &config.pipeline.listen).await?;
    let targets = Targets::find(&config)?;
    let log = parts::read_log(&config).await?;
    let began = Instant::now();
    let address = serve::address(&listener)?;
    let mut servers = Servers::new();
    let known = Arc::new(OnceLock::new());
    servers.serve(listener, serve::health(Arc::clone(&known), metrics));
    let job_config = JobConfig {
        skip_lost: args.skip_lost,
        ..parts::job_config(&config, None)
    };
    let starting = hostread_job::start(job_config, parts::job_parts(&config, &log, &targets)?);
    let job = tokio::select! {
        job = starting => job.context("starting the pipeline")?,
        // A database that is away is waited for; so is a person who gives up.
        _ = serve::wait_for_end(None) => {
            servers.stop().await;
            return Ok(true);
        }
    };
    let status = Arc::clone(&job.status);
    known.set(Arc::clone(&status)).ok();
    say!(
        "pipeline   {address}   /livez /readyz /metrics   ({} workers, journal open after {:.1} s)",
        config.pipeline.workers,
        began.elapsed().as_secs_f64()
    );
    let end = serve::wait_for_end(Some(&status)).await;
    servers.stop().await;
    let upper = job.status.upper();
    let stopped = job.stop().await;
    match (end, stopped) {
        (End::Asked, Ok(())) => {
            say!(
                "stopped; the sinks show every tick below {}",
                status.upper().max(upper)
            );
            Ok(true)
        }
        (_, Err(reason)) => bail!("the pipeline stopped: {reason}"),
        (End::Failed, Ok(())) => bail!("the pipeline stopped"),
    }
}
