//! A gap by group and component, and as a whole.
//!
//! Promises: in each group `ours` + all parts + `unexplained` = `theirs`, exactly; the whole is the sum of the groups.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Side;
use super::average::{Average, PARTS};

/// Beyond so many percent of the controlling party's count two counts of downloads are too far apart, by IAB.
pub(crate) const NEAR_PERCENT: i64 = 5;

/// By what counts are grouped: episodes by their place, days by their date.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct By {
    pub(crate) episode: bool,
    pub(crate) day: bool,
}

/// A group: an episode, a day, both, or everything.
pub(crate) type Group = (Option<usize>, Option<String>);

impl By {
    /// The group of an episode's day.
    pub(crate) fn group(self, episode: usize, day: String) -> Group {
        (self.episode.then_some(episode), self.day.then_some(day))
    }
}

/// What a group comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) ours: i64,
    pub(crate) theirs: i64,
    /// By component, in sixtieths of a download.
    pub(crate) parts: Vec<i64>,
    /// Requests that only ours has, and only theirs.
    pub(crate) only: [u64; 2],
}

impl Row {
    /// How much more they count.
    pub(crate) const fn gap(&self) -> i64 {
        self.theirs - self.ours
    }

    /// What no component explains.
    pub(crate) fn unexplained(&self) -> i64 {
        self.gap() - self.parts.iter().sum::<i64>() / PARTS
    }

    /// The count of the party whose count rules.
    pub(crate) const fn controlling(&self, side: Side) -> i64 {
        match side {
            Side::Ours => self.ours,
            Side::Theirs => self.theirs,
        }
    }

    /// The gap in tenths of a percent of the controlling party's count, rounded; none of nothing.
    pub(crate) fn permille(&self, side: Side) -> Option<i64> {
        let all = self.controlling(side);
        let gap = self.gap();
        (all != 0).then(|| (gap.abs() * 2000 + all) / (2 * all) * gap.signum())
    }

    /// Is the gap one that IAB takes for normal?
    pub(crate) const fn near(&self, side: Side) -> bool {
        self.gap().abs() * 100 <= self.controlling(side) * NEAR_PERCENT
    }

    fn add(&mut self, other: &Self) {
        self.ours += other.ours;
        self.theirs += other.theirs;
        self.parts.resize(other.parts.len(), 0);
        for (part, more) in self.parts.iter_mut().zip(&other.parts) {
            *part += more;
        }
        for (count, more) in self.only.iter_mut().zip(other.only) {
            *count += more;
        }
    }
}

/// A column of parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Head {
    /// In JSON and CSV.
    pub(crate) key: &'static str,
    /// For people.
    pub(crate) name: &'static str,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Gap {
    pub(crate) heads: Vec<Head>,
    pub(crate) rows: BTreeMap<Group, Row>,
    /// The logs are two.
    pub(crate) two_logs: bool,
}

impl Gap {
    pub(super) fn of(
        heads: impl Iterator<Item = (&'static str, &'static str)>,
        average: Average<Group>,
    ) -> Self {
        let row = |split: super::average::Split| Row {
            ours: split.ours,
            theirs: split.theirs,
            parts: split.parts,
            only: [0, 0],
        };
        let groups = average.groups.into_iter();
        Self {
            heads: heads.map(|(key, name)| Head { key, name }).collect(),
            rows: groups.map(|(group, split)| (group, row(split))).collect(),
            two_logs: false,
        }
    }

    /// Adds requests that only one log has.
    pub(super) fn add_requests(&mut self, only: impl Iterator<Item = (Group, [u64; 2])>) {
        self.two_logs = true;
        for (group, counts) in only {
            let row = self.rows.entry(group).or_insert_with(|| Row {
                parts: vec![0; self.heads.len()],
                ..Row::default()
            });
            for (count, more) in row.only.iter_mut().zip(counts) {
                *count += more;
            }
        }
    }

    /// All groups as one.
    pub(crate) fn whole(&self) -> Row {
        let mut whole = Row {
            parts: vec![0; self.heads.len()],
            ..Row::default()
        };
        self.rows.values().for_each(|row| whole.add(row));
        whole
    }
}
