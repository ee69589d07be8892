//! `hostread count`: downloads of delivery logs on this machine, without a server.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hostread_connectors::lines::{Blocks, LineAt};
use hostread_rules::CompiledRules;

use super::SheetFormat as Format;
use super::logs::{HowArgs, is_stdin, open, warn_of_lines, warn_of_missing};
use crate::count::{self, Catalog, Counter, Log, Reading, Said, Settings, Verdicts};
use crate::say;

/// What `count` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CountArgs {
    /// Delivery logs, plain, gzip or zstd, of CloudFront, Cloudflare or combined in any mix; - is standard input
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// Episodes with sizes, bit rates and ads, as JSON; without it each path is an episode and the
    /// byte rule is not applied
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
    #[command(flatten)]
    how: HowArgs,
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
            Format::Csv => write!(io::stdout(), "{}", report.csv()?).unwrap_or_default(),
        }
    }
    warn_of_lines(&args.logs, &wrong);
    warn_of_missing(args.catalog.is_some(), args.how.lists.is_some());
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
    let how = args.how.read()?;
    let ranges = how.lists.ranges(&how.document)?;
    let rules = count::rules(&how.document, how.lists.agents);
    let catalog = catalog(args.catalog.as_deref(), rules)?;
    let settings = Settings {
        rules: how.rules,
        window: how.window,
        zone: how.zone,
        mapping: how.mapping,
        log: how.log,
    };
    Ok(Counter::new(settings, catalog, ranges, threads))
}

/// Of a file, if there is one.
pub(super) fn catalog(path: Option<&Path>, rules: CompiledRules) -> Result<Catalog> {
    let Some(path) = path else {
        return Ok(Catalog::of_paths(rules));
    };
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Catalog::read(&bytes, rules)
}
