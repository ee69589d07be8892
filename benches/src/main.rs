//! Benches: what each stage of the pipeline costs on workload MIX-1.
//!
//! `cargo run --release -p hostread-benches -- dataflow --events 2000000 --workers 2`
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench measures and prints"
)]

mod dataflow;

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
    match std::env::args().nth(1).as_deref() {
        Some("dataflow") => dataflow::run(
            option("--events", 1_000_000)?,
            usize::try_from(option("--workers", 2)?)?,
            usize::try_from(option("--tick", 20_000)?)?,
        ),
        _ => bail!("benches: dataflow [--events N] [--workers W] [--tick N]"),
    }
}
