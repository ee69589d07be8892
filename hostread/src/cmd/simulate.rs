//! `hostread simulate`: a made-up world with its truth, or the workload MIX-1.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use hostread_simulate::{Mix1, Mix1Config, WorldConfig};

use crate::say;

/// What `simulate` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SimulateArgs {
    /// Decides everything; the same seed gives the same bytes
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Households that listen, in the larger tenant
    #[arg(long, value_name = "N", default_value_t = 900, conflicts_with = "mix")]
    listeners: u32,
    /// Days of the world, 1 to 60 [default: 14]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=60))]
    days: Option<u16>,
    /// Shows of each tenant, 1 to 8
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=8), conflicts_with = "mix")]
    shows: u32,
    /// Write workload MIX-1 as NDJSON instead of a world
    #[arg(long, value_name = "1", value_parser = clap::value_parser!(u8).range(1..=1))]
    mix: Option<u8>,
    /// Events of MIX-1
    #[arg(long, value_name = "N", default_value_t = 100_000, requires = "mix")]
    events: u64,
    /// Folder to write to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Writes it.
pub(crate) fn run(args: &SimulateArgs) -> Result<bool> {
    let days = args.days.unwrap_or(14);
    if args.mix.is_some() {
        return mix1(args, days);
    }
    let summary = hostread_simulate::run(
        &args.out,
        WorldConfig {
            listeners: args.listeners,
            days: u32::from(days),
            shows: args.shows,
            ..WorldConfig::demo(args.seed)
        },
    )
    .with_context(|| format!("writing the world to {}", args.out.display()))?;
    say!("world {} in {}", args.seed, args.out.display());
    say!(
        "  {} log lines, {} impressions, {} pixels, {} redemptions, {} webhooks, {} deals",
        summary.log_lines,
        summary.impressions,
        summary.pixels,
        summary.redemptions,
        summary.webhooks,
        summary.deals
    );
    say!(
        "  truth.json: {} downloads, {} conversions, when the clock stands at {}",
        summary.downloads,
        summary.conversions,
        summary.clock_end
    );
    Ok(true)
}

fn mix1(args: &SimulateArgs, days: u16) -> Result<bool> {
    std::fs::create_dir_all(&args.out).with_context(|| format!("making {}", args.out.display()))?;
    let path = args.out.join("events.ndjson");
    let file =
        std::fs::File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    let mix = Mix1::new(Mix1Config {
        seed: args.seed,
        events: args.events,
        days: u32::from(days),
        ..Mix1Config::default()
    });
    let clock_end = mix.clock_end();
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let written = mix.write_ndjson(&mut out);
    let events = written
        .and_then(|events| out.flush().map(|()| events))
        .with_context(|| format!("writing {}", path.display()))?;
    say!(
        "{}: {events} events of MIX-1, clock ends at {clock_end}",
        path.display()
    );
    Ok(true)
}
