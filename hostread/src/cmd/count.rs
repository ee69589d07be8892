//! `hostread count`: downloads of delivery logs on this machine, without a server.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hostread_connectors::lines::{Line, LineAt, Lines, unpack};
use hostread_connectors::log::LogSettings;
use hostread_connectors_kit::IpRanges;
use hostread_schemas::event::SourceKind;
use hostread_schemas::view::Verdict;
use indicatif::{ProgressBar, ProgressStyle};

use crate::count::{self, Catalog, Counter, Place, Reading, Said, Settings};
use crate::say;

/// Lines that could not be read are named so often.
const NAMED_MAX: u64 = 5;
/// Reads standard input.
const STDIN: &str = "-";

/// What `count` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CountArgs {
    /// Delivery logs, plain or gzip, CloudFront or combined in any mix; - is standard input
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
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
    /// Days begin at midnight there, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = zone)]
    tz: String,
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
    let mut counter = counter(args)?;
    let mut troubles = Troubles::default();
    for log in &args.logs {
        each_line(log, &mut troubles, &mut |reading, at, line| {
            counter.count(reading, at, line)
        })?;
    }
    let (report, verdicts) = counter.finish(args.explain);
    if args.explain {
        explain(args, &mut counter, &verdicts)?;
    } else {
        match args.format {
            Format::Table => say!("{}", report.text()),
            Format::Json => say!("{}", serde_json::to_string(&report)?),
            Format::Csv => write!(io::stdout(), "{}", report.csv()).unwrap_or_default(),
        }
    }
    troubles.tell(args, report.malformed);
    if args.strict && (report.malformed > 0 || troubles.damaged > 0) {
        bail!("not every line could be read, and --strict was given");
    }
    Ok(true)
}

/// Prints what became of each line.
fn explain(
    args: &CountArgs,
    counter: &mut Counter,
    verdicts: &BTreeMap<Place, Verdict>,
) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    // A closed pipe is the reader's choice.
    writeln!(out, "file\tline\tverdict").ok();
    for log in &args.logs {
        let file = log.display();
        each_line(log, &mut Troubles::default(), &mut |reading, at, line| {
            let said = counter.say(reading, at, line);
            let verdict = match &said {
                Said::Nothing => return said,
                Said::Malformed(_) => "malformed",
                Said::Dropped(verdict) => verdict.as_str(),
                Said::Open(place) => verdicts.get(place).map_or("", |verdict| verdict.as_str()),
            };
            writeln!(out, "{file}\t{}\t{verdict}", at.number).ok();
            said
        })?;
    }
    out.flush().ok();
    Ok(())
}

fn counter(args: &CountArgs) -> Result<Counter> {
    let read =
        |path: &Path| std::fs::read(path).with_context(|| format!("reading {}", path.display()));
    let bots = args.lists.as_deref().map(count::bot_patterns).transpose()?;
    let rules = count::rules(bots.unwrap_or_default());
    let catalog = match &args.catalog {
        Some(path) => Catalog::read(&read(path)?, rules)?,
        None => Catalog::of_paths(rules),
    };
    let ranges = match &args.nonhuman_ranges {
        Some(path) => count::ranges(&read(path)?)?,
        None => IpRanges::default(),
    };
    let source_kind = match args.source {
        Source::Cdn => SourceKind::Cdn,
        Source::Prefix => SourceKind::Prefix,
    };
    let settings = Settings {
        zone: args.tz.clone(),
        log: LogSettings {
            source_kind,
            stitched: false,
        },
    };
    Ok(Counter::new(settings, catalog, ranges))
}

fn is_stdin(log: &Path) -> bool {
    log == Path::new(STDIN)
}

/// Shows every line of a log.
fn each_line(
    log: &Path,
    troubles: &mut Troubles,
    each: &mut dyn FnMut(&mut Reading, LineAt, Line<'_>) -> Said,
) -> Result<()> {
    let style =
        "{msg} {bar:30} {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {eta} left";
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(style)?);
    bar.set_message(log.display().to_string());
    bar.enable_steady_tick(Duration::from_millis(200));
    let input: Box<dyn Read + Send> = if is_stdin(log) {
        Box::new(io::stdin())
    } else {
        let file = File::open(log).with_context(|| format!("opening {}", log.display()))?;
        bar.set_length(file.metadata().map_or(0, |known| known.len()));
        Box::new(file)
    };
    let input = unpack(bar.wrap_read(input));
    let mut lines = Lines::new(input.with_context(|| format!("reading {}", log.display()))?);
    let mut reading = Reading::new();
    loop {
        match lines.next() {
            Ok(Some((at, line))) => {
                if let Said::Malformed(why) = each(&mut reading, at, line) {
                    troubles.malformed(log, at, &why);
                }
            }
            Ok(None) => break,
            // The lines before the damage count.
            Err(error) => {
                troubles.damaged(log, &error);
                break;
            }
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// What was wrong with the input.
#[derive(Default)]
struct Troubles {
    named: Vec<String>,
    damaged: u64,
}

impl Troubles {
    fn malformed(&mut self, log: &Path, at: LineAt, why: &str) {
        if (self.named.len() as u64) < NAMED_MAX {
            let number = at.number;
            self.named
                .push(format!("{}:{number}: {why}", log.display()));
        }
    }

    fn damaged(&mut self, log: &Path, error: &io::Error) {
        self.damaged += 1;
        let text = format!("{}: damaged from here on: {error}", log.display());
        self.named.push(text);
    }

    fn tell(&self, args: &CountArgs, malformed: u64) {
        let mut err = io::stderr();
        if malformed > 0 {
            writeln!(err, "warning: {malformed} lines could not be read").ok();
        }
        for text in &self.named {
            writeln!(err, "warning: {text}").ok();
        }
        if args.catalog.is_none() {
            writeln!(err, "warning: without --catalog each path is an episode, and the byte rule was not applied").ok();
        }
        if args.lists.is_none() {
            writeln!(
                err,
                "warning: without --lists bots are not told from people"
            )
            .ok();
        }
    }
}
