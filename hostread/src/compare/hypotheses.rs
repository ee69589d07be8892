//! Which hypotheses explain totals that another party counted.
//!
//! ```text
//!   our requests ─► counted as each hypothesis says ─► what it leaves of the totals, row by row ─► those that fit
//! ```
//! Needs: totals, and our log. Promises: a hypothesis *fits* when it leaves no more than a tenth of what differs row by row; two
//! together are told only when they leave less than half of what the better one leaves alone; those that leave equally little
//! are all told. Leaves out: hypotheses that nobody stated; what none explains stays unexplained.

use std::collections::{BTreeMap, BTreeSet};

use hostread_rules::Window;

use super::average::Average;
use super::gap::{By, Gap, Group, Row};
use super::totals::Totals;
use super::{Component, Counts, Downloads, Side};

/// What fits leaves no more than one part in so many.
const FIT_PARTS: i64 = 10;
/// Two hypotheses together fit almost anything of fewer rows.
const ROWS_OF_PAIRS_MIN: usize = 10;
/// So many of those that leave least are tested together with others.
const LEADERS_MAX: usize = 3;
/// A run of days fits almost anything of fewer episodes.
const EPISODES_OF_DAYS_MIN: usize = 5;
/// Runs of days times episodes that are tried.
const RUNS_MAX: usize = 20_000_000;

/// One way in which they may count otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Another window.
    Window(Window),
    /// Another zone.
    Zone(String),
    /// Neither bots nor networks, referrers or busy addresses are left out.
    NoLists,
    /// One byte makes a download.
    NoByteRule,
    /// Days that they lack: of a day each when totals have days, else a run.
    MissingDays(BTreeSet<String>),
}

impl Change {
    /// The column of its parts, in JSON and for people.
    const fn head(&self) -> (&'static str, &'static str) {
        let component = match self {
            Self::Window(_) => Component::Window,
            Self::Zone(_) => Component::Zone,
            Self::NoLists => Component::Lists,
            Self::NoByteRule => Component::Bytes,
            Self::MissingDays(_) => return ("missing_days", "missing days"),
        };
        (component.key(), component.name())
    }

    /// As it is told.
    pub(crate) fn said(&self) -> String {
        match self {
            Self::Window(window) => format!("window {}", window.as_str()),
            Self::Zone(zone) => format!("zone {zone}"),
            Self::NoLists => "no bot filter".to_owned(),
            Self::NoByteRule => "no byte rule".to_owned(),
            Self::MissingDays(days) => {
                let days: Vec<&str> = days.iter().map(String::as_str).collect();
                match days.as_slice() {
                    [first, .., last] if days.len() > 3 => {
                        format!("{} missing days, {first} to {last}", days.len())
                    }
                    few => format!("missing {}", few.join(", ")),
                }
            }
        }
    }
}

/// One or two changes together, and what they come to.
#[derive(Clone, Debug)]
pub(crate) struct Tested {
    pub(crate) changes: Vec<Change>,
    /// Downloads under them.
    pub(crate) downloads: i64,
    /// Downloads that differ nevertheless, summed row by row.
    pub(crate) left: i64,
    pub(crate) fits: bool,
}

impl Tested {
    /// As it is told.
    pub(crate) fn said(&self) -> String {
        let said: Vec<String> = self.changes.iter().map(Change::said).collect();
        said.join(" and ")
    }
}

/// What became of the hypotheses.
pub(crate) struct Outcome {
    /// Of what differs row by row when they count as we do.
    pub(crate) differs: i64,
    /// All that were tested alone, and pairs that fit; those that leave least first.
    pub(crate) tested: Vec<Tested>,
    /// How many of the first fit best, equally well.
    pub(crate) best: usize,
    /// Those do not agree on what the gap is made of.
    pub(crate) undecided: bool,
    pub(crate) gap: Gap,
    /// Of theirs on days of which our log has no download.
    pub(crate) outside: i64,
}

/// Totals and the log that may explain them.
pub(crate) struct Hypotheses<'a> {
    pub(crate) counts: &'a Counts,
    pub(crate) totals: &'a Totals,
    pub(crate) window: Window,
    pub(crate) zone: &'a str,
}

type Rows = BTreeMap<Group, i64>;

impl Hypotheses<'_> {
    /// Tests windows and zones that were stated, and the rest.
    pub(crate) fn test(&self, windows: &[Window], zones: &[String], by: By) -> Outcome {
        let ours = self.count(&[]);
        let differs = self.left(&self.rows(&ours));
        let windows = windows.iter().filter(|window| **window != self.window);
        let zones = zones.iter().filter(|zone| *zone != self.zone);
        let mut singles: Vec<Change> = windows.map(|window| Change::Window(*window)).collect();
        singles.extend(zones.map(|zone| Change::Zone(zone.clone())));
        singles.extend([Change::NoLists, Change::NoByteRule]);
        let mut tested: Vec<Tested> = Vec::new();
        for change in singles {
            let counted = self.count(std::slice::from_ref(&change));
            tested.push(self.tested(vec![change], &counted, differs));
        }
        let missing = self.missing_days(&ours);
        tested.extend(missing.map(|change| self.tested(vec![change], &ours, differs)));
        tested.extend(self.pairs(&tested, differs));
        tested.sort_by_key(|one| (one.left, one.changes.len()));
        let fit = |one: &&Tested| one.fits && Some(one.left) == tested.first().map(|one| one.left);
        let best = tested.iter().take_while(fit).count();
        let mut gaps = tested.iter().take(best).map(|one| self.gap(one, by));
        let first = gaps.next();
        let undecided = first.as_ref().is_some_and(|first| {
            gaps.any(|other| other.rows != first.rows || other.heads != first.heads)
        });
        let gap = first.filter(|_| !undecided);
        let gap = gap.unwrap_or_else(|| self.gap(&Tested::nothing(), by));
        let our_days: BTreeSet<&String> = ours.keys().map(|(_, day)| day).collect();
        let outside = |group: &Group| group.1.as_ref().is_some_and(|day| !our_days.contains(day));
        let rows = self.totals.rows.iter();
        let outside = rows
            .filter(|(group, _)| outside(group))
            .map(|row| row.1)
            .sum();
        Outcome {
            differs,
            tested,
            best,
            undecided,
            gap,
            outside,
        }
    }

    /// Our log as changes say; days that are missing stay.
    fn count(&self, changes: &[Change]) -> Downloads {
        let (mut lists, mut bytes) = (Side::Ours, Side::Ours);
        let (mut window, mut zone) = (self.window, self.zone.to_owned());
        for change in changes {
            match change {
                Change::Window(other) => window = *other,
                Change::Zone(other) => zone.clone_from(other),
                Change::NoLists => lists = Side::Theirs,
                Change::NoByteRule => bytes = Side::Theirs,
                Change::MissingDays(_) => {}
            }
        }
        self.counts
            .downloads(Side::Ours, lists, bytes, window, zone)
    }

    /// By the rows of the totals.
    fn rows(&self, counted: &Downloads) -> Rows {
        grouped(counted, self.totals.by)
    }

    /// What differs from the totals, summed row by row.
    fn left(&self, rows: &Rows) -> i64 {
        let theirs = &self.totals.rows;
        let only_ours = rows
            .iter()
            .filter(|(group, _)| !theirs.contains_key(*group));
        let only_ours: i64 = only_ours.map(|(_, count)| *count).sum();
        let differs =
            |(group, count): (&Group, &i64)| (count - rows.get(group).copied().unwrap_or(0)).abs();
        only_ours + theirs.iter().map(differs).sum::<i64>()
    }

    fn tested(&self, changes: Vec<Change>, counted: &Downloads, differs: i64) -> Tested {
        let rows = self.rows(&without_days(counted, &changes));
        let left = self.left(&rows);
        Tested {
            changes,
            downloads: rows.values().sum(),
            left,
            fits: differs > 0 && left.saturating_mul(FIT_PARTS) <= differs,
        }
    }

    /// The few that leave least, each with every other one, unless one leaves nothing.
    fn pairs(&self, singles: &[Tested], differs: i64) -> Vec<Tested> {
        let mut pairs = Vec::new();
        let mut order: Vec<&Tested> = singles.iter().collect();
        order.sort_by_key(|one| one.left);
        let enough = order.first().is_none_or(|best| best.left == 0);
        if enough || self.totals.rows.len() < ROWS_OF_PAIRS_MIN {
            return pairs;
        }
        let head = |one: &Tested| one.changes.first().map(Change::head);
        let leaders = order.iter().take(LEADERS_MAX);
        for (at, one) in leaders.enumerate().filter(|(_, one)| one.left < differs) {
            let others = order.iter().skip(at + 1);
            for other in others.filter(|other| head(one) != head(other)) {
                let (rest, days): (Vec<&Change>, Vec<&Change>) = one
                    .changes
                    .iter()
                    .chain(&other.changes)
                    .partition(|change| !matches!(change, Change::MissingDays(_)));
                let mut changes: Vec<Change> = rest.into_iter().cloned().collect();
                let counted = self.count(&changes);
                // Which days are missing is a matter of how the others are counted.
                if !days.is_empty() {
                    changes.extend(self.missing_days(&counted));
                }
                let pair = self.tested(changes, &counted, differs);
                let alone = one.left.min(other.left);
                pairs.extend(Some(pair).filter(|pair| pair.tells_more(alone)));
            }
        }
        pairs
    }

    /// Days without a download of theirs; when totals have no days, the run of days that leaves least when it is gone.
    fn missing_days(&self, counted: &Downloads) -> Option<Change> {
        let ours: BTreeSet<&String> = counted.keys().map(|(_, day)| day).collect();
        let missing: BTreeSet<String> = if self.totals.by.day {
            let theirs = self.totals.rows.iter().filter(|(_, count)| **count > 0);
            let theirs: BTreeSet<&String> =
                theirs.filter_map(|(group, _)| group.1.as_ref()).collect();
            ours.difference(&theirs).map(|day| (*day).clone()).collect()
        } else {
            self.missing_run(counted, &ours)?
        };
        let some = !missing.is_empty() && missing.len() < ours.len();
        some.then_some(Change::MissingDays(missing))
    }

    fn missing_run(
        &self,
        counted: &Downloads,
        days: &BTreeSet<&String>,
    ) -> Option<BTreeSet<String>> {
        let rows = self.totals.rows.len();
        let tries = days.len().saturating_mul(days.len()).saturating_mul(rows);
        if rows < EPISODES_OF_DAYS_MIN || tries > RUNS_MAX {
            return None;
        }
        let days: Vec<&String> = days.iter().copied().collect();
        let mut by_day: BTreeMap<&String, Vec<(usize, i64)>> = BTreeMap::new();
        for ((episode, day), downloads) in counted {
            let downloads = i64::try_from(*downloads).unwrap_or(i64::MAX);
            by_day.entry(day).or_default().push((*episode, downloads));
        }
        let all = self.rows(counted);
        let mut best: Option<(i64, usize, usize)> = None;
        for from in 0..days.len() {
            let mut rows = all.clone();
            for (to, day) in days.iter().enumerate().skip(from) {
                for (episode, downloads) in by_day.get(day).map_or(&[][..], Vec::as_slice) {
                    *rows.entry((Some(*episode), None)).or_default() -= downloads;
                }
                let left = self.left(&rows);
                let run = (left, to - from, from);
                if best.is_none_or(|best| run < best) {
                    best = Some(run);
                }
            }
        }
        let (_, more, from) = best?;
        let run = days.into_iter().skip(from).take(more + 1);
        Some(run.cloned().collect())
    }

    /// The gap by the changes; what they do not explain stays unexplained.
    fn gap(&self, tested: &Tested, by: By) -> Gap {
        let changes = &tested.changes;
        let mut average = Average::new(changes.len());
        for set in average.sets() {
            let set_changes = changes.iter().enumerate();
            let set_changes = set_changes.filter(|(at, _)| set >> at & 1 == 1);
            let set_changes: Vec<Change> = set_changes.map(|(_, one)| one.clone()).collect();
            let counted = without_days(&self.count(&set_changes), &set_changes);
            for (group, count) in grouped(&counted, by) {
                average.add(group, set, count);
            }
        }
        let mut gap = Gap::of(changes.iter().map(Change::head), average);
        for row in gap.rows.values_mut() {
            row.theirs = 0;
        }
        let parts = vec![0; changes.len()];
        for ((episode, day), count) in &self.totals.rows {
            let group = (
                episode.filter(|_| by.episode),
                day.clone().filter(|_| by.day),
            );
            let row = gap.rows.entry(group).or_insert_with(|| Row {
                parts: parts.clone(),
                ..Row::default()
            });
            row.theirs += count;
        }
        gap
    }
}

impl Tested {
    /// They count as we do.
    const fn nothing() -> Self {
        Self {
            changes: Vec::new(),
            downloads: 0,
            left: 0,
            fits: false,
        }
    }

    /// Is a pair worth telling, when the better of the two leaves so much alone?
    const fn tells_more(&self, alone: i64) -> bool {
        self.fits && self.left * 2 < alone
    }
}

fn grouped(counted: &Downloads, by: By) -> Rows {
    let mut rows = Rows::new();
    for ((episode, day), downloads) in counted {
        let downloads = i64::try_from(*downloads).unwrap_or(i64::MAX);
        *rows.entry(by.group(*episode, day.clone())).or_default() += downloads;
    }
    rows
}

fn without_days(counted: &Downloads, changes: &[Change]) -> Downloads {
    let missing = |day: &String| {
        changes
            .iter()
            .any(|change| matches!(change, Change::MissingDays(days) if days.contains(day)))
    };
    let rest = counted.iter().filter(|((_, day), _)| !missing(day));
    rest.map(|(key, count)| (key.clone(), *count)).collect()
}
