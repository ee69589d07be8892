//! The one binary: reads configuration, builds the parts, runs them, maps errors to exit codes.

mod cmd;
mod config;
mod demo;
mod parts;
mod report;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// Renders `/metrics`.
pub(crate) type Metrics = PrometheusHandle;

/// Prints a line for a person.
macro_rules! say {
    ($($arg:tt)*) => {{
        use std::io::Write;
        // A closed pipe is the reader's choice.
        writeln!(std::io::stdout(), $($arg)*).ok();
    }};
}
pub(crate) use say;

/// Sponsorship measurement for podcasts that can be audited.
#[derive(Debug, Parser)]
#[command(name = "hostread", version, about)]
struct Cli {
    /// Settings; without it the defaults hold.
    #[arg(long, global = true, env = "HOSTREAD_CONFIG_PATH")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything in one process tree: log, engines, gateway, pipeline.
    Up(cmd::up::UpArgs),
    /// Doors and log only: what comes in becomes durable.
    Gateway,
    /// Journal, dataflow and sinks only: what is in the log becomes numbers.
    Pipeline(cmd::pipeline::PipelineArgs),
    /// The embedded ClickHouse and PostgreSQL only.
    Engines,
}

fn main() -> ExitCode {
    // The engines' launcher starts this binary again as their child; before any thread.
    if let Some(code) = hostread_engines::run_child_if_asked() {
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    match run(Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            use std::io::Write;
            writeln!(std::io::stderr(), "error: {error:#}").ok();
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> Result<bool> {
    let filter = EnvFilter::try_from_env("HOSTREAD_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let metrics = PrometheusBuilder::new()
        .install_recorder()
        .context("installing the metrics recorder")?;
    let config = config::Config::load(cli.config.as_deref())?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        match cli.command {
            Command::Up(args) => cmd::up::run(config, args, metrics).await,
            Command::Gateway => cmd::gateway::run(config, metrics).await,
            Command::Engines => cmd::engines::run(config).await,
            Command::Pipeline(args) => cmd::pipeline::run(config, args, metrics).await,
        }
    })
}
