//! `hostread count`: downloads of delivery logs on this machine, without a server.

use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hostread_connectors::lines::{Blocks, LineAt};
use hostread_connectors::log::LogSettings;
use hostread_connectors::unpack::unpack;
use hostread_rules::Window;
use hostread_schemas::event::SourceKind;
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

use crate::count::{self, Catalog, Counter, Log, Reading, Said, Settings, Verdicts, Wrong};
use crate::rules::{self, Lists};
use crate::say;

/// Reads standard input.
const STDIN: &str = "-";

/// What `count` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CountArgs {
    /// Delivery logs, plain, gzip or zstd, of CloudFront, Cloudflare or combined in any mix; - is standard input
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// Which field of a line is what, as JSON; for logs of JSON or CSV lines
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// Episodes with sizes, bit rates and ads, as JSON; without it each path is an episode and the
    /// byte rule is not applied
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
    /// Folder with `bots.json` and `libraries.json` in the OPAWG v2 format; without it bots are
    /// not told from people
    #[arg(long, value_name = "DIR")]
    lists: Option<PathBuf>,
    /// Address ranges that no person listens from, as JSON
    #[arg(long, value_name = "FILE")]
    nonhuman_ranges: Option<PathBuf>,
    /// What wrote the logs
    #[arg(long, value_enum, default_value_t = Source::Cdn)]
    source: Source,
    /// Rule set: 2.1, 2.2 or 2.3 of IAB, or a file as `hostread rules show --format json` prints it
    #[arg(long, value_name = "NAME|FILE", default_value = "2.2")]
    rules: String,
    /// Which requests can be one download [default: what the rule set says]
    #[arg(long, value_enum)]
    window: Option<WindowArg>,
    /// Days begin at midnight there, such as Europe/Berlin [default: what the rule set says]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    tz: Option<String>,
    /// How to print the numbers
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Print the verdict of each line instead of the numbers
    #[arg(long)]
    explain: bool,
    /// A line that cannot be read is an error
    #[arg(long)]
    strict: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Source {
    /// A server or network that delivers the files
    Cdn,
    /// A redirect prefix, which sees no bytes
    Prefix,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum WindowArg {
    /// Those of a calendar day
    Calendar,
    /// Those of the 24 hours from the first that begins a valid download
    FirstTouch,
    /// Those that follow each other in less than 24 hours
    LastTouch,
}

impl WindowArg {
    const fn window(self) -> Window {
        match self {
            Self::Calendar => Window::Calendar,
            Self::FirstTouch => Window::FirstTouch,
            Self::LastTouch => Window::LastTouch,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Columns for people
    Table,
    /// One JSON object
    Json,
    /// Downloads by episode and day
    Csv,
}

fn zone(text: &str) -> Result<String, String> {
    match jiff::tz::TimeZone::get(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("is no time zone such as UTC or Europe/Berlin".to_owned()),
    }
}

/// Counts and prints.
pub(crate) fn run(args: &CountArgs) -> Result<bool> {
    if args.explain && args.logs.iter().any(|log| is_stdin(log)) {
        bail!("--explain reads each log twice, so it cannot be standard input");
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut counter = counter(args, threads)?;
    let opened: Vec<_> = args.logs.iter().map(|log| || open(log)).collect();
    let logs: Vec<Log<'_>> = opened.iter().map(|open| open as Log<'_>).collect();
    let (others, wrong) = count::count_logs(&mut counter, threads, &logs)?;
    let (report, verdicts) = counter.finish(others, args.explain);
    if args.explain {
        explain(args, &mut counter, &verdicts)?;
    } else {
        match args.format {
            Format::Table => say!("{}", report.text()),
            Format::Json => say!("{}", serde_json::to_string(&report)?),
            Format::Csv => write!(io::stdout(), "{}", report.csv()).unwrap_or_default(),
        }
    }
    warn(args, report.malformed, &wrong);
    if args.strict && (report.malformed > 0 || !wrong.damaged.is_empty()) {
        bail!("not every line could be read, and --strict was given");
    }
    Ok(true)
}

/// Prints what became of each line.
fn explain(args: &CountArgs, counter: &mut Counter, verdicts: &Verdicts) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    // A closed pipe is the reader's choice.
    writeln!(out, "file\tline\tverdict").ok();
    for log in &args.logs {
        let file = log.display();
        let mut reading = Reading::new();
        let mut blocks = Blocks::new(open(log)?, LineAt::FIRST);
        // Damage was told when the lines were counted.
        while let Ok(Some(block)) = blocks.next() {
            for (at, line) in block.lines() {
                let (said, time) = counter.say(&mut reading, line);
                let verdict = match said {
                    Said::Nothing => continue,
                    Said::Malformed(_) => "malformed",
                    Said::Dropped(verdict) => verdict.as_str(),
                    Said::Open(place) => {
                        let verdict = verdicts.of(place, time);
                        verdict.map_or("", |verdict| verdict.as_str())
                    }
                };
                writeln!(out, "{file}\t{}\t{verdict}", at.number).ok();
            }
        }
    }
    out.flush().ok();
    Ok(())
}

fn counter(args: &CountArgs, threads: usize) -> Result<Counter> {
    let read =
        |path: &Path| std::fs::read(path).with_context(|| format!("reading {}", path.display()));
    let document = rules::load(&args.rules)?;
    let lists = Lists::read(args.lists.as_deref(), args.nonhuman_ranges.as_deref())?;
    lists.check(&document)?;
    let today = rules::today();
    for entry in document
        .inclusion
        .iter()
        .filter(|entry| !entry.holds_on(today))
    {
        let (range, from, until) = (&entry.range, &entry.when, &entry.expires);
        writeln!(
            io::stderr(),
            "warning: {range} is let in from {from} to {until}, not today"
        )
        .ok();
    }
    let ranges = lists.ranges(&document, today)?;
    let rules = count::rules(&document, lists.bot_patterns);
    let catalog = match &args.catalog {
        Some(path) => Catalog::read(&read(path)?, rules)?,
        None => Catalog::of_paths(rules),
    };
    let source_kind = match args.source {
        Source::Cdn => SourceKind::Cdn,
        Source::Prefix => SourceKind::Prefix,
    };
    let prefix = args.source == Source::Prefix;
    let mapping = args.mapping.as_deref();
    let settings = Settings {
        rules: rules::said(&args.rules, &document),
        window: args.window.map_or(document.window, WindowArg::window),
        zone: args.tz.clone().unwrap_or(document.zone),
        mapping: mapping
            .map(|path| super::import::mapping(path, prefix))
            .transpose()?,
        log: LogSettings {
            source_kind,
            stitched: false,
        },
    };
    Ok(Counter::new(settings, catalog, ranges, threads))
}

fn is_stdin(log: &Path) -> bool {
    log == Path::new(STDIN)
}

/// A log's bytes, unpacked; on a terminal a bar shows how far they are read.
fn open(log: &Path) -> Result<Box<dyn BufRead + Send>> {
    let style =
        "{msg} {bar:30} {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {eta} left";
    let bar = ProgressBar::new(0)
        .with_style(ProgressStyle::with_template(style)?)
        .with_finish(ProgressFinish::AndClear);
    bar.set_message(log.display().to_string());
    bar.enable_steady_tick(Duration::from_millis(200));
    let input: Box<dyn Read + Send> = if is_stdin(log) {
        Box::new(io::stdin())
    } else {
        let file = File::open(log).with_context(|| format!("opening {}", log.display()))?;
        bar.set_length(file.metadata().map_or(0, |known| known.len()));
        Box::new(file)
    };
    unpack(bar.wrap_read(input)).with_context(|| format!("reading {}", log.display()))
}

/// Says what was wrong with the input.
fn warn(args: &CountArgs, malformed: u64, wrong: &Wrong) {
    let mut err = io::stderr();
    let name = |log: usize| args.logs.get(log).map(|log| log.display());
    let name = |log| name(log).map_or_else(String::new, |name| name.to_string());
    if malformed > 0 {
        writeln!(err, "warning: {malformed} lines could not be read").ok();
    }
    for (log, number, why) in &wrong.malformed {
        writeln!(err, "warning: {}:{number}: {why}", name(*log)).ok();
    }
    for (log, error) in &wrong.damaged {
        let log = name(*log);
        writeln!(err, "warning: {log}: damaged from here on: {error}").ok();
    }
    if args.catalog.is_none() {
        writeln!(
            err,
            "warning: without --catalog each path is an episode, and the byte rule was not applied"
        )
        .ok();
    }
    if args.lists.is_none() {
        writeln!(
            err,
            "warning: without --lists bots are not told from people"
        )
        .ok();
    }
}
