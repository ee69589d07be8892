//! `hostread compare`: why two counts of downloads differ.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hostread_rules::Window;
use hostread_rules::agents::AgentPatterns;

use super::SheetFormat as Format;
use super::count::catalog;
use super::logs::{How, HowArgs, Source, WindowArg, open, warn_of_lines, warn_of_missing, zone};
use crate::compare::{
    By, Comparison, Counts, Hypotheses, Requests, Side, TOTALS_BYTES_MAX, Totals, Way, described,
};
use crate::count::{self, AddressClasses, Catalog, Log};
use crate::{rules, say};

/// Where days begin for most who count downloads: hypotheses when no zone is stated.
const ZONES: [&str; 10] = [
    "UTC",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "Europe/London",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Asia/Tokyo",
    "Australia/Sydney",
];
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
    /// Their downloads by episode, day or both, as CSV with a head; says which hypotheses fit
    #[arg(long, value_name = "FILE", conflicts_with_all = ["theirs", "same"])]
    their_totals: Option<PathBuf>,
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
    /// A row for each of these, such as episode,day [default: episode, or what totals are of]
    #[arg(long, value_enum, value_delimiter = ',')]
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

    /// Does it say more than what can be stated of totals?
    const fn unstated(&self) -> bool {
        self.their_rules.is_some()
            || self.their_lists.is_some()
            || self.their_nonhuman_ranges.is_some()
            || self.their_mapping.is_some()
            || self.their_source.is_some()
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
            // The word `none` is theirs to say: without it the shipped lists hold.
            lists: self.their_lists.clone().or_else(|| ours.lists.clone()),
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

    /// The groups that were asked for.
    fn by(&self, default: By) -> By {
        let asked = By {
            episode: self.by.contains(&ByArg::Episode),
            day: self.by.contains(&ByArg::Day),
        };
        if self.by.is_empty() { default } else { asked }
    }

    /// What both ways of comparing say.
    fn print(&self, comparison: &Comparison<'_>, unread: u64) -> Result<bool> {
        match self.format {
            Format::Table => say!("{}", comparison.text()),
            Format::Json => say!("{}", comparison.json()),
            Format::Csv => write!(io::stdout(), "{}", comparison.csv()?).unwrap_or_default(),
        }
        warn_of_missing(self.catalog.is_some(), self.how.lists.is_some());
        if self.strict && unread > 0 {
            bail!("not every line could be read, and --strict was given");
        }
        Ok(true)
    }

    const fn controlling(&self) -> Side {
        match self.controlling {
            Controlling::Ours => Side::Ours,
            Controlling::Theirs => Side::Theirs,
        }
    }
}

/// Compares and prints.
pub(crate) fn run(args: &CompareArgs) -> Result<bool> {
    if let Some(totals) = &args.their_totals {
        return with_totals(args, totals);
    }
    let (ours, theirs) = args.sides()?;
    let threads = threads();
    let hows = [args.how.read()?, args.their.over(&args.how).read()?];
    let ways = hows.each_ref().map(way);
    let [our_how, their_how] = &hows;
    let catalog = known(args, our_how)?;
    let addresses = addresses(&ways)?;
    let (our_log, mut unread) = read(threads, ours, our_how, &addresses, &catalog)?;
    let mut their_log = None;
    if let Some(theirs) = theirs {
        let (log, wrong) = read(threads, theirs, their_how, &addresses, &catalog)?;
        their_log = Some(log);
        unread += wrong;
    }
    let counts = Counts::new(threads, ways.clone(), &catalog, our_log, their_log);
    let gap = counts.gap(args.by(By {
        episode: true,
        day: false,
    }));
    let [ours, theirs] = ways.each_ref().map(described);
    let comparison = Comparison {
        gap: &gap,
        episodes: &counts.episodes,
        sides: [ours.0, theirs.0],
        said: [ours.1, theirs.1],
        controlling: args.controlling(),
        outcome: None,
    };
    args.print(&comparison, unread)
}

/// Compares our log with totals.
fn with_totals(args: &CompareArgs, path: &Path) -> Result<bool> {
    if args.their.unstated() {
        bail!(
            "of those who give totals nothing is known but what fits: with --their-totals only --their-window and --their-tz \
             can be stated"
        );
    }
    let threads = threads();
    let how = args.how.read()?;
    let ours = way(&how);
    let ways = [ours.clone(), ours.without_rules()];
    let catalog = known(args, &how)?;
    let addresses = addresses(&ways)?;
    let (log, mut unread) = read(threads, &args.logs, &how, &addresses, &catalog)?;
    let mut counts = Counts::new(threads, ways, &catalog, log, None);
    let totals = totals(path, &mut counts.episodes)?;
    unread += totals.bad;
    let by = args.by(totals.by);
    if by.episode && !totals.by.episode || by.day && !totals.by.day {
        bail!(
            "{} has no such column: --by cannot be finer than the totals",
            path.display()
        );
    }
    let window = args.their.their_window.map(WindowArg::window);
    let windows = window.map_or_else(
        || vec![Window::Calendar, Window::FirstTouch, Window::LastTouch],
        |window| vec![window],
    );
    let zone = args.their.their_tz.clone();
    let zones = zone.map_or_else(|| ZONES.map(str::to_owned).to_vec(), |zone| vec![zone]);
    let hypotheses = Hypotheses {
        counts: &counts,
        totals: &totals,
        window: ours.window,
        zone: &ours.zone,
    };
    let outcome = hypotheses.test(&windows, &zones, by);
    let said = format!("totals of {}", path.display());
    let (json, our_way) = described(&ours);
    let comparison = Comparison {
        gap: &outcome.gap,
        episodes: &counts.episodes,
        sides: [
            json,
            serde_json::json!({"totals": path.display().to_string()}),
        ],
        said: [our_way, said],
        controlling: args.controlling(),
        outcome: Some(&outcome),
    };
    args.print(&comparison, unread)
}

/// Reads totals and says what was wrong with them.
fn totals(path: &Path, episodes: &mut Vec<String>) -> Result<Totals> {
    let file = path.display();
    let reading = || format!("reading {file}");
    let size = std::fs::metadata(path).with_context(reading)?.len();
    if size > TOTALS_BYTES_MAX {
        bail!("{file} has more than {TOTALS_BYTES_MAX} bytes: it is no table of totals");
    }
    let text = std::fs::read(path).with_context(reading)?;
    let totals = Totals::read(&text, episodes).with_context(reading)?;
    let mut err = io::stderr();
    if totals.bad > 0 {
        writeln!(err, "warning: {} rows of {file} were left out", totals.bad).ok();
    }
    for (line, why) in &totals.told {
        writeln!(err, "warning: {file}:{line}: {why}").ok();
    }
    if let Some(first) = totals.unknown.first() {
        let count = totals.unknown.len();
        writeln!(
            err,
            "warning: {count} episodes of {file} are not known here, such as {first}"
        )
        .ok();
    }
    Ok(totals)
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The catalog, before it knows rules and names.
fn known(args: &CompareArgs, how: &How) -> Result<Catalog> {
    let rules = count::rules(&how.document, AgentPatterns::default());
    catalog(args.catalog.as_deref(), rules)
}

/// Reads logs and says what was wrong with them; how much that was comes back too.
fn read(
    threads: usize,
    logs: &[PathBuf],
    how: &How,
    addresses: &[AddressClasses],
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
fn addresses(ways: &[Way; 2]) -> Result<Vec<AddressClasses>> {
    let [ours, theirs] = ways;
    let of = |way: &Way| rules::ranges(&way.nonhuman, &way.document);
    let mut all = vec![AddressClasses::from(of(ours)?)];
    if ours.nonhuman != theirs.nonhuman || ours.document.inclusion != theirs.document.inclusion {
        all.push(AddressClasses::from(of(theirs)?));
    }
    Ok(all)
}

fn way(how: &How) -> Way {
    Way {
        rules: how.rules.clone(),
        document: how.document.clone(),
        agents: how.lists.agents.clone(),
        nonhuman: how.lists.nonhuman.clone(),
        window: how.window,
        zone: how.zone.clone(),
        byte_rule: true,
    }
}
