//! The one binary: reads configuration, builds the parts, runs them, maps errors to exit codes.

mod apart;
mod attribute;
mod catalog;
mod cmd;
mod compare;
mod config;
mod count;
mod crash_point;
mod credits;
mod deal;
mod demo;
mod explain;
mod leaks;
mod ledgers;
mod lift;
mod listing;
mod method;
mod parts;
mod reach;
#[cfg(test)]
mod reference;
mod report;
mod returns;
mod revenue;
mod rules;
mod serve;
mod sold;
mod tables;
mod telemetry;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use metrics_exporter_prometheus::PrometheusBuilder;
use tracing_subscriber::EnvFilter;

pub(crate) use telemetry::Metrics;

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
#[command(name = "hostread", version, about, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// Settings (TOML); without it the defaults hold
    #[arg(
        long,
        global = true,
        env = "HOSTREAD_CONFIG_PATH",
        hide_env_values = true,
        value_name = "FILE"
    )]
    config: Option<PathBuf>,
    /// Where everything is kept, instead of `data_dir`
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in one process tree: log, databases, pipeline, doors
    Up(cmd::up::UpArgs),
    /// Run the doors only: what comes in becomes durable in the log
    Gateway,
    /// Run the pipeline only: what is in the log becomes numbers in the databases
    Pipeline(cmd::pipeline::PipelineArgs),
    /// Run the embedded ClickHouse and PostgreSQL only
    Engines,
    /// Send delivery logs through the import door; goes on where it stopped
    Import(cmd::import::ImportArgs),
    /// Bring the tables of both databases up to date
    Migrate,
    /// Check settings, packages, log, databases, ports, disk and clock; or how a line item is tracked
    Doctor(cmd::doctor::DoctorArgs),
    /// Print the numbers of a running system, or what its ledgers say
    Report(cmd::report::ReportArgs),
    /// Say why a number is what it is: events, rules, links, weights, restatements
    Explain(cmd::explain::ExplainArgs),
    /// See what could not be used, and why; send it again when it is repaired
    #[command(subcommand)]
    DeadLetters(cmd::dead_letters::DeadLettersCommand),
    /// Fill both databases again from the journal
    #[command(subcommand)]
    Sinks(cmd::sinks::SinksCommand),
    /// Copy the journal, or put a copy in its place
    #[command(subcommand)]
    Journal(cmd::journal::JournalCommand),
    /// Rule sets as documents: show, compare, check, publish
    #[command(subcommand)]
    Rules(cmd::rules::RulesCommand),
    /// Lists of agents: take a copy of the public ones, see what lists say
    #[command(subcommand)]
    Lists(cmd::lists::ListsCommand),
    /// Write the document of methodology: how downloads are counted
    Method(cmd::method::MethodArgs),
    /// Count the downloads of delivery logs, without a server
    Count(cmd::count::CountArgs),
    /// Say why two counts of downloads differ: two logs, two rule sets, or a log and totals
    Compare(cmd::compare::CompareArgs),
    /// Credit the channels of a file of paths by every model, without a server
    Attribute(cmd::attribute::AttributeArgs),
    /// How near each attribution model comes to a known truth
    Validate(cmd::validate::ValidateArgs),
    /// Read size, header, bit rate and length of audio files, as a catalog has them
    Probe(cmd::probe::ProbeArgs),
    /// Keep a catalog of episodes current from podcast feeds; see what is in it
    #[command(subcommand)]
    Catalog(cmd::catalog::CatalogCommand),
    /// Run events from a file through the same dataflow, without a server
    Replay(cmd::replay::ReplayArgs),
    /// Make up a world with its truth, or the workload of load tests
    Simulate(cmd::simulate::SimulateArgs),
}

fn main() -> ExitCode {
    // The engines' launcher starts this binary again as their child; before any thread.
    if let Some(code) = hostread_engines::run_child_if_asked() {
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    crash_point::arm();
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
    let recorder = PrometheusBuilder::new().install_recorder();
    let metrics = Metrics::new(recorder.context("installing the metrics recorder")?);
    let config = config::Config::load(cli.config.as_deref(), cli.data_dir);
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        metrics.keep_small();
        match cli.command {
            Command::Up(args) => cmd::up::run(config?, args, metrics).await,
            Command::Gateway => cmd::gateway::run(config?, metrics).await,
            Command::Pipeline(args) => cmd::pipeline::run(config?, args, metrics).await,
            Command::Engines => cmd::engines::run(config?).await,
            Command::Import(args) => cmd::import::run(config?, args).await,
            Command::Migrate => cmd::migrate::run(config?).await,
            Command::Doctor(args) => cmd::doctor::run(config, cli.config.as_deref(), args).await,
            Command::Report(args) => cmd::report::run(config?, args).await,
            Command::Explain(args) => cmd::explain::run(config?, args).await,
            Command::DeadLetters(command) => cmd::dead_letters::run(&config?, &command).await,
            Command::Sinks(command) => cmd::sinks::run(config?, command).await,
            Command::Journal(command) => cmd::journal::run(config?, command).await,
            Command::Rules(command) => cmd::rules::run(config, command).await,
            Command::Lists(command) => cmd::lists::run(&command),
            Command::Method(args) => cmd::method::run(config, &args),
            Command::Count(args) => cmd::count::run(&args),
            Command::Attribute(args) => cmd::attribute::run(&args),
            Command::Validate(args) => cmd::validate::run(&args),
            Command::Compare(args) => cmd::compare::run(&args),
            Command::Catalog(command) => cmd::catalog::run(config, command).await,
            Command::Probe(args) => cmd::probe::run(args).await,
            Command::Replay(args) => cmd::replay::run(&config?, &args),
            Command::Simulate(args) => cmd::simulate::run(&args),
        }
    })
}
