//! `hostread attribute`: credit of channels from a file of paths on this machine, without a server.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hostread_connectors::unpack::unpack;

use super::Format;
use crate::attribute::{Asked, Counted, ModelName, Report, attribute};
use crate::say;

/// More are no channels.
pub(super) const CHANNELS_MAX: usize = 1 << 20;
/// Reads standard input.
pub(super) const STDIN: &str = "-";

/// What `attribute` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct AttributeArgs {
    /// CSV with the columns `path` (a > b > c, a name with > in quotes), `conversions`, `value`, `nulls` and, for time_decay,
    /// `ages` (hours before the conversion, one a touch); plain, gzip or zstd; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(super) paths: PathBuf,
    /// Which models, joined by commas
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "all",
        hide_possible_values = true,
        value_name = "all|first,last,linear,position,time_decay,markov,shapley"
    )]
    models: Vec<ModelName>,
    /// Channels that a state of the Markov chain remembers
    #[arg(long, default_value_t = 1, value_name = "1..3", value_parser = clap::value_parser!(u8).range(1..=3))]
    order: u8,
    /// How to print the credits
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
    /// A line that cannot be read is an error
    #[arg(long)]
    strict: bool,
}

/// Reads, solves and prints.
pub(crate) fn run(args: &AttributeArgs) -> Result<bool> {
    let (counted, report) = solved(args)?;
    match args.format {
        Format::Json => say!("{}", serde_json::to_string(&report)?),
        Format::Table => say!("{}", report.text()),
    }
    warn(&args.paths, &counted.told, &report.notes);
    Ok(true)
}

/// What the file says, and what each channel gets of it.
pub(super) fn solved(args: &AttributeArgs) -> Result<(Counted, Report)> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let asked = Asked {
        models: ModelName::chosen(&args.models),
        order: usize::from(args.order),
        channels_max: CHANNELS_MAX,
        steps_max: u64::MAX,
    };
    let name = args.paths.display();
    let input: Box<dyn Read + Send> = if args.paths == Path::new(STDIN) {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(&args.paths).with_context(|| format!("opening {name}"))?)
    };
    let input = unpack(input).with_context(|| format!("reading {name}"))?;
    let counted = attribute(input, &asked, threads).with_context(|| format!("reading {name}"))?;
    let report = Report::new(&counted, &asked);
    if report.is_empty() {
        bail!("{name} has no column \"ages\", which time_decay needs");
    }
    if args.strict && counted.totals.malformed > 0 {
        warn(&args.paths, &counted.told, &[]);
        bail!("not every line could be read, and --strict was given");
    }
    Ok((counted, report))
}

pub(super) fn warn(paths: &Path, told: &[(u64, String)], notes: &[String]) {
    let mut err = io::stderr();
    for (line, why) in told {
        writeln!(err, "warning: {}:{line}: {why}", paths.display()).ok();
    }
    for note in notes {
        writeln!(err, "warning: {note}").ok();
    }
}
