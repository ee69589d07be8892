//! `hostread compare`: why two counts of downloads differ.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Result, bail};

use super::count::catalog;
use super::logs::{
    Format, How, HowArgs, Source, WindowArg, open, warn_of_lines, warn_of_missing, zone,
};
use crate::compare::{By, Comparison, Counts, Requests, Side, Way, described};
use crate::count::{self, Addresses, Catalog, Log};
use crate::{rules, say};

/// Stands for no lists.
const NONE: &str = "none";

/// What `compare` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CompareArgs {
    /// Our delivery log; a second one is theirs. More than one of ours go with --theirs or --same
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// Their delivery logs; those before are all ours
    #[arg(long, value_name = "LOG", num_args = 1.., conflicts_with = "same")]
    theirs: Vec<PathBuf>,
    /// Their logs are ours too: what differs is how they are counted
    #[arg(long)]
    same: bool,
    /// Episodes with sizes, bit rates and ads, as JSON; without it each path is an episode and the
    /// byte rule is not applied
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
    #[command(flatten)]
    how: HowArgs,
    #[command(flatten)]
    their: TheirArgs,
    /// Whose count the contract goes by: gaps are in percent of it
    #[arg(long, value_enum, default_value_t = Controlling::Ours)]
    controlling: Controlling,
    /// A row for each of these, such as episode,day
    #[arg(long, value_enum, value_delimiter = ',', default_value = "episode")]
    by: Vec<ByArg>,
    /// How to print the numbers
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// A line that cannot be read is an error
    #[arg(long)]
    strict: bool,
}

/// What differs in how they count; what is not given is as ours.
#[derive(Debug, Clone, clap::Args)]
struct TheirArgs {
    /// Their rule set; window and zone are then what it says
    #[arg(long, value_name = "NAME|FILE")]
    their_rules: Option<String>,
    /// Their window
    #[arg(long, value_enum)]
    their_window: Option<WindowArg>,
    /// Their zone
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    their_tz: Option<String>,
    /// Their folder of lists; none: they do not tell bots from people
    #[arg(long, value_name = "DIR|none")]
    their_lists: Option<PathBuf>,
    /// Their address ranges; none: they leave out none
    #[arg(long, value_name = "FILE|none")]
    their_nonhuman_ranges: Option<PathBuf>,
    /// Which field of a line of their logs is what
    #[arg(long, value_name = "FILE")]
    their_mapping: Option<PathBuf>,
    /// What wrote their logs
    #[arg(long, value_enum)]
    their_source: Option<Source>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Controlling {
    /// Our count rules
    Ours,
    /// Their count rules
    Theirs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ByArg {
    /// A row per episode
    Episode,
    /// A row per day, of each side's zone
    Day,
}

impl TheirArgs {
    fn any(&self) -> bool {
        self.their_rules.is_some()
            || self.their_window.is_some()
            || self.their_tz.is_some()
            || self.their_lists.is_some()
            || self.their_nonhuman_ranges.is_some()
    }

    fn over(&self, ours: &HowArgs) -> HowArgs {
        let list = |their: &Option<PathBuf>, ours: &Option<PathBuf>| match their {
            Some(none) if none.as_os_str() == NONE => None,
            Some(their) => Some(their.clone()),
            None => ours.clone(),
        };
        // A rule set that is named brings its own window and zone.
        let as_ours = self.their_rules.is_none();
        let window = self.their_window;
        let tz = self.their_tz.clone();
        HowArgs {
            mapping: self.their_mapping.clone().or_else(|| ours.mapping.clone()),
            lists: list(&self.their_lists, &ours.lists),
            nonhuman_ranges: list(&self.their_nonhuman_ranges, &ours.nonhuman_ranges),
            source: self.their_source.unwrap_or(ours.source),
            rules: self.their_rules.as_ref().unwrap_or(&ours.rules).clone(),
            window: window.or_else(|| ours.window.filter(|_| as_ours)),
            tz: tz.or_else(|| ours.tz.clone().filter(|_| as_ours)),
        }
    }
}

impl CompareArgs {
    /// Our logs, and theirs unless they are the same.
    fn sides(&self) -> Result<(&[PathBuf], Option<&[PathBuf]>)> {
        let logs = self.logs.as_slice();
        match logs {
            _ if !self.theirs.is_empty() => Ok((logs, Some(&self.theirs))),
            _ if self.same => Ok((logs, None)),
            [_] if self.their.any() => Ok((logs, None)),
            [_] => bail!(
                "there is nothing to compare: name their log, or how they count with --their-rules, --their-window, \
                 --their-tz or --their-lists"
            ),
            [ours, theirs] => Ok((
                std::slice::from_ref(ours),
                Some(std::slice::from_ref(theirs)),
            )),
            _ => bail!(
                "of more than two logs --theirs must say which are theirs, or --same that they are all of both"
            ),
        }
    }

    fn by(&self) -> By {
        By {
            episode: self.by.contains(&ByArg::Episode),
            day: self.by.contains(&ByArg::Day),
        }
    }
}

/// Compares and prints.
pub(crate) fn run(args: &CompareArgs) -> Result<bool> {
    let (ours, theirs) = args.sides()?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let hows = [args.how.read()?, args.their.over(&args.how).read()?];
    let ways = hows.each_ref().map(way);
    let [our_how, their_how] = &hows;
    let catalog = catalog(
        args.catalog.as_deref(),
        count::rules(&our_how.document, Vec::new()),
    )?;
    let addresses = addresses(&hows)?;
    let mut unread = 0;
    let mut read = |logs: &[PathBuf], how: &How| -> Result<Requests> {
        let (requests, wrong) = read(threads, logs, how, &addresses, &catalog)?;
        unread += wrong;
        Ok(requests)
    };
    let our_log = read(ours, our_how)?;
    let their_log = theirs.map(|theirs| read(theirs, their_how)).transpose()?;
    let counts = Counts::new(threads, ways.clone(), &catalog, our_log, their_log);
    let gap = counts.gap(args.by());
    let [ours, theirs] = ways.each_ref().map(described);
    let comparison = Comparison {
        gap: &gap,
        episodes: &counts.episodes,
        sides: [ours.0, theirs.0],
        said: [ours.1, theirs.1],
        controlling: match args.controlling {
            Controlling::Ours => Side::Ours,
            Controlling::Theirs => Side::Theirs,
        },
    };
    match args.format {
        Format::Table => say!("{}", comparison.text()),
        Format::Json => say!("{}", comparison.json()),
        Format::Csv => write!(io::stdout(), "{}", comparison.csv()).unwrap_or_default(),
    }
    warn_of_missing(args.catalog.is_some(), args.how.lists.is_some());
    if args.strict && unread > 0 {
        bail!("not every line could be read, and --strict was given");
    }
    Ok(true)
}

/// Reads logs and says what was wrong with them; how much that was comes back too.
fn read(
    threads: usize,
    logs: &[PathBuf],
    how: &How,
    addresses: &[Addresses],
    catalog: &Catalog,
) -> Result<(Requests, u64)> {
    let opened: Vec<_> = logs.iter().map(|log| || open(log)).collect();
    let opened: Vec<Log<'_>> = opened.iter().map(|open| open as Log<'_>).collect();
    let reader = how.reader();
    let (requests, wrong) = Requests::read(threads, &opened, &reader, addresses, catalog)?;
    warn_of_lines(logs, &wrong);
    Ok((requests, wrong.malformed + wrong.damaged.len() as u64))
}

/// The classes of addresses under our lists, and under theirs if they are others.
fn addresses(hows: &[How; 2]) -> Result<Vec<Addresses>> {
    let of = |how: &How| how.lists.ranges(&how.document, rules::today());
    let [ours, theirs] = hows;
    let mut all = vec![Addresses::new(of(ours)?)];
    let same = ours.lists.nonhuman == theirs.lists.nonhuman
        && ours.document.inclusion == theirs.document.inclusion;
    if !same {
        all.push(Addresses::new(of(theirs)?));
    }
    Ok(all)
}

fn way(how: &How) -> Way {
    Way {
        rules: how.rules.clone(),
        document: how.document.clone(),
        bot_patterns: how.lists.bot_patterns.clone(),
        nonhuman: how.lists.nonhuman.clone(),
        window: how.window,
        zone: how.zone.clone(),
        byte_rule: true,
    }
}
