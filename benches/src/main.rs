//! Benches: what each stage of the pipeline costs on workload MIX-1.
//!
//! `cargo run --release -p hostread-benches -- dataflow --events 2000000 --workers 2`
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a bench measures and prints"
)]

mod cpu;
mod dataflow;
mod doors;
mod paths;
mod pipeline;
mod prefix;
mod rules;

use anyhow::{Result, bail};

/// `--name value` of the command line, or a default.
fn option(name: &str, default: u64) -> Result<u64> {
    let mut args = std::env::args();
    while let Some(arg) = args.next() {
        if arg == name {
            return Ok(args.next().unwrap_or_default().parse()?);
        }
    }
    Ok(default)
}

fn main() -> Result<()> {
    if let Some(code) = hostread_engines::run_child_if_asked() {
        std::process::exit(code);
    }
    match std::env::args().nth(1).as_deref() {
        Some("dataflow") => dataflow::run(
            option("--events", 1_000_000)?,
            usize::try_from(option("--workers", 2)?)?,
            usize::try_from(option("--tick", 20_000)?)?,
        ),
        Some("pipeline") => {
            let asked = pipeline::Asked {
                events: option("--events", 1_000_000)?,
                workers: usize::try_from(option("--workers", 2)?)?,
                tick_events: usize::try_from(option("--tick", 20_000)?)?,
                rate: option("--rate", 0)?,
                horizon_days: i32::try_from(option("--horizon", 2)?)?,
                days: u32::try_from(option("--days", 14)?)?,
                minutes: option("--minutes", 0)? > 0,
                restarts: option("--restart", 0)?,
            };
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?;
            runtime.block_on(pipeline::run(asked))
        }
        Some("rules") => rules::run(
            option("--events", 1_000_000)?,
            usize::try_from(option("--workers", 2)?)?,
        ),
        Some("memory") => dataflow::memory(option("--events", 2_000_000)?),
        Some("held") => dataflow::held(
            option("--events", 2_000_000)?,
            option("--kind", 1)?,
            option("--feed", 1)? > 0,
        ),
        Some("doors") => {
            let asked = doors::Asked {
                pixels: option("--events", 200_000)?,
                connections: option("--connections", 64)?,
                lines: option("--lines", 500_000)?,
            };
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?;
            runtime.block_on(doors::run(asked))
        }
        Some("paths") => paths::run(option("--paths", 1_000_000)?, option("--channels", 20)?),
        Some("prefix") => prefix::run(prefix::Asked {
            rate: option("--rate", 5_000)?,
            secs: option("--secs", 20)?,
            connections: option("--connections", 64)?,
        }),
        _ => bail!(
            "benches: dataflow [--events N] [--workers W] [--tick N] | \
             pipeline [--events N] [--workers W] [--tick N] [--rate N] [--horizon DAYS] [--days N] [--minutes 1] [--restart TIMES] | \
             rules [--events N] [--workers W] | \
             memory [--events N] | \
             doors [--events N] [--connections N] [--lines N] | \
             paths [--paths N] [--channels N] | \
             prefix [--rate N] [--secs N] [--connections N]"
        ),
    }
}
