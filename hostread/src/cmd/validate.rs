//! `hostread validate`: how near each model comes to a known truth, from files on this machine.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::Format;
use super::attribute::{AttributeArgs, CHANNELS_MAX, STDIN, solved, warn};
use crate::attribute::{Truth, Validation};
use crate::say;

/// What `validate` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ValidateArgs {
    /// CSV with the columns `channel` and `conversions`: how many each channel has really caused; - is standard input
    #[arg(long, value_name = "FILE")]
    truth: PathBuf,
    #[command(flatten)]
    of: AttributeArgs,
}

/// Reads, solves, compares and prints.
pub(crate) fn run(args: &ValidateArgs) -> Result<bool> {
    let name = args.truth.display();
    let stdin = Path::new(STDIN);
    if args.truth == stdin && args.of.paths == stdin {
        bail!("standard input is one of the two: --paths or --truth");
    }
    let truth: Box<dyn Read> = if args.truth == stdin {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(&args.truth).with_context(|| format!("opening {name}"))?)
    };
    let truth = Truth::read(truth, CHANNELS_MAX).with_context(|| format!("reading {name}"))?;
    let (counted, report) = solved(&args.of)?;
    let found = Validation::new(&report, &truth);
    match args.of.format {
        Format::Json => say!("{}", found.json()),
        Format::Table => say!("{}", found.text()),
    }
    warn(&args.of.paths, &counted.told, &report.notes);
    Ok(true)
}
