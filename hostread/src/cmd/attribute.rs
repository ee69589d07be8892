//! `hostread attribute`: credit of channels from a file of paths on this machine, without a server.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hostread_connectors::unpack::unpack;
use hostread_rules::custom::CustomModel;

use super::Format;
use crate::attribute::{Asked, Counted, ModelName, Report, attribute};
use crate::say;

/// More are no channels.
pub(super) const CHANNELS_MAX: usize = 1 << 20;
/// Of a custom model; more is another file.
const DOCUMENT_BYTES_MAX: usize = 1 << 16;
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
        value_name = "all|first,last,linear,position,time_decay,markov,shapley,custom"
    )]
    models: Vec<ModelName>,
    /// A model of one's own as JSON: shares of the `first` touch, those `between` and the `last`; and by `ages`, if they matter
    /// (see the guide). It is the model custom
    #[arg(long, value_name = "FILE")]
    custom: Option<PathBuf>,
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
    let custom = args.custom.as_deref().map(custom).transpose()?;
    let mut models = ModelName::chosen(&args.models);
    match (&custom, models.contains(&ModelName::Custom)) {
        (Some(_), false) => models.push(ModelName::Custom),
        (None, true) => bail!("the model custom needs its document: --custom FILE"),
        _ => {}
    }
    let asked = Asked {
        models,
        custom,
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
        let models: Vec<&str> = asked.models.iter().map(|model| model.as_str()).collect();
        let need = if models.len() == 1 { "needs" } else { "need" };
        bail!(
            "{name} has no column \"ages\", which {} {need}",
            models.join(" and ")
        );
    }
    if args.strict && counted.totals.malformed > 0 {
        warn(&args.paths, &counted.told, &[]);
        bail!("not every line could be read, and --strict was given");
    }
    Ok((counted, report))
}

/// Reads the document of a model.
fn custom(file: &Path) -> Result<CustomModel> {
    let name = file.display();
    let opened = File::open(file).with_context(|| format!("opening {name}"))?;
    let mut document = Vec::new();
    let mut opened = opened.take(DOCUMENT_BYTES_MAX as u64 + 1);
    let read = opened.read_to_end(&mut document);
    read.with_context(|| format!("reading {name}"))?;
    if document.len() > DOCUMENT_BYTES_MAX {
        bail!("{name} has over {DOCUMENT_BYTES_MAX} bytes: that is no document of a model");
    }
    CustomModel::read(&document).map_err(|why| anyhow::anyhow!("{name}: {why}"))
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
