//! What `count` and `compare` have in common: logs, how they are counted, what was wrong with them.

use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use hostread_connectors::log::LogSettings;
use hostread_connectors::unpack::unpack;
use hostread_rules::agents::SHIPPED_DATE;
use hostread_rules::{Document, Window};
use hostread_schemas::event::SourceKind;
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

use crate::count::{Reader, Wrong};
use crate::rules::{self, AgentFiles, Lists};

/// Reads standard input.
const STDIN: &str = "-";

/// How logs are counted.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct HowArgs {
    /// Which field of a line is what, as JSON; for logs of JSON or CSV lines
    #[arg(long, value_name = "FILE")]
    pub(super) mapping: Option<PathBuf>,
    /// Folder with lists of agents in the OPAWG v2 format, as `hostread lists import` writes it; none: bots are not told from people [default: Hostread's own]
    #[arg(long, value_name = "DIR")]
    pub(super) lists: Option<PathBuf>,
    /// Address ranges that no person listens from, as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) nonhuman_ranges: Option<PathBuf>,
    /// What wrote the logs
    #[arg(long, value_enum, default_value_t = Source::Cdn)]
    pub(super) source: Source,
    /// Rule set: 2.1, 2.2 or 2.3 of IAB, or a file as `hostread rules show --format json` prints it
    #[arg(long, value_name = "NAME|FILE", default_value = "2.2")]
    pub(super) rules: String,
    /// Which requests can be one download [default: what the rule set says]
    #[arg(long, value_enum)]
    pub(super) window: Option<WindowArg>,
    /// Days begin at midnight there, such as Europe/Berlin [default: what the rule set says]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    pub(super) tz: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Source {
    /// A server or network that delivers the files
    Cdn,
    /// A redirect prefix, which sees no bytes
    Prefix,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum WindowArg {
    /// Those of a calendar day
    Calendar,
    /// Those of the 24 hours from the first that begins a valid download
    FirstTouch,
    /// Those that follow each other in less than 24 hours
    LastTouch,
}

impl WindowArg {
    pub(super) const fn window(self) -> Window {
        match self {
            Self::Calendar => Window::Calendar,
            Self::FirstTouch => Window::FirstTouch,
            Self::LastTouch => Window::LastTouch,
        }
    }
}

pub(super) fn zone(text: &str) -> Result<String, String> {
    match jiff::tz::TimeZone::get(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("is no time zone such as UTC or Europe/Berlin".to_owned()),
    }
}

/// What the arguments come to, files read.
pub(super) struct How {
    /// What reports call the rule set.
    pub(super) rules: String,
    pub(super) document: Document,
    pub(super) lists: Lists,
    pub(super) window: Window,
    pub(super) zone: String,
    pub(super) log: LogSettings,
    pub(super) mapping: Option<std::sync::Arc<hostread_connectors::mapped::Mapping>>,
}

impl HowArgs {
    /// Reads rule set, lists and mapping.
    pub(super) fn read(&self) -> Result<How> {
        let document = rules::load(&self.rules)?;
        let agents = AgentFiles::read_or_shipped(self.lists.as_deref())?;
        let lists = Lists::read(agents.as_ref(), self.nonhuman_ranges.as_deref())?;
        lists.check(&document)?;
        let source_kind = match self.source {
            Source::Cdn => SourceKind::Cdn,
            Source::Prefix => SourceKind::Prefix,
        };
        let prefix = self.source == Source::Prefix;
        let mapping = self.mapping.as_deref();
        Ok(How {
            rules: rules::said(&self.rules, &document),
            window: self.window.map_or(document.window, WindowArg::window),
            zone: self.tz.clone().unwrap_or_else(|| document.zone.clone()),
            lists,
            document,
            mapping: mapping
                .map(|path| super::import::mapping(path, prefix))
                .transpose()?,
            log: LogSettings {
                source_kind,
                stitched: false,
            },
        })
    }
}

impl How {
    /// Reads lines of its logs.
    pub(super) fn reader(&self) -> Reader {
        Reader::new(self.log, self.mapping.clone())
    }
}

pub(super) fn is_stdin(log: &Path) -> bool {
    log == Path::new(STDIN)
}

/// A log's bytes, unpacked; on a terminal a bar shows how far they are read.
pub(super) fn open(log: &Path) -> Result<Box<dyn BufRead + Send>> {
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

/// Says what was wrong with logs.
pub(super) fn warn_of_lines(logs: &[PathBuf], wrong: &Wrong) {
    let mut err = io::stderr();
    let name = |log: usize| logs.get(log).map(|log| log.display());
    let name = |log| name(log).map_or_else(String::new, |name| name.to_string());
    if wrong.malformed > 0 {
        writeln!(err, "warning: {} lines could not be read", wrong.malformed).ok();
    }
    for (log, number, why) in &wrong.told {
        writeln!(err, "warning: {}:{number}: {why}", name(*log)).ok();
    }
    for (log, error) in &wrong.damaged {
        let log = name(*log);
        writeln!(err, "warning: {log}: damaged from here on: {error}").ok();
    }
}

/// Says what numbers are without.
pub(super) fn warn_of_missing(catalog: bool, lists: bool) {
    let mut err = io::stderr();
    if !catalog {
        writeln!(
            err,
            "warning: without --catalog each path is an episode, and the byte rule was not applied"
        )
        .ok();
    }
    if !lists {
        writeln!(
            err,
            "note: bots are told by Hostread's own lists of {SHIPPED_DATE}; --lists takes others"
        )
        .ok();
    }
}
