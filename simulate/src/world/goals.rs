//! Goals that bring every line item to the state that its maker wants to see.

use super::calendar::{local_day, local_midnight};
use super::catalog::{Aim, Line};
use super::{DAY_SECS, Delivery, HOUR_SECS, REST_HOURS, TenantWorld};
use hostread_schemas::event::AdKind;
use hostread_schemas::{DAY_MS, Day};

/// Baked-in ads are due over this time.
pub(crate) const AIRED_MS: i64 = 30 * DAY_MS;

impl TenantWorld {
    /// First and last day of the flight, in the line's zone.
    pub(crate) fn flight(&self, line: &Line) -> (Day, Day) {
        let first = self.first_secs.div_euclid(DAY_SECS) as i32;
        (Day(first + line.start), Day(first + line.end))
    }

    /// Milliseconds of the flight, and how many of them have passed at `at_ms`.
    pub(crate) fn elapsed(&self, line: &Line, at_ms: i64) -> (i64, i64) {
        let (start, end) = self.flight(line);
        let start = local_midnight(start, line.zone).0;
        let end = local_midnight(Day(end.0 + 1), line.zone).0;
        (end - start, (at_ms - start).clamp(0, end - start))
    }

    /// Episodes that a read of the line was aired in, and when.
    pub(crate) fn aired(&self, line: usize) -> impl Iterator<Item = (usize, i64)> {
        let episodes = self.catalog.episodes.iter().enumerate();
        episodes.filter_map(move |(index, episode)| match episode.aired {
            Some((aired, at, _)) if aired == line => Some((index, at * 1_000)),
            _ => None,
        })
    }

    /// Definitions 15: in flight; baked-in also aired and before day 30.
    pub(crate) fn billable(&self, delivery: &Delivery) -> bool {
        let line = &self.catalog.lines[delivery.line];
        let (start, end) = self.flight(line);
        let day = local_day(delivery.secs, line.zone);
        let aired = || {
            let episode = delivery.episode.map(|index| &self.catalog.episodes[index]);
            match episode.and_then(|episode| episode.aired) {
                Some((aired, at, _)) if aired == delivery.line => {
                    delivery.secs * 1_000 < at * 1_000 + AIRED_MS
                }
                _ => false,
            }
        };
        (start..=end).contains(&day) && (line.kind == AdKind::Inserted || aired())
    }

    /// The final clock.
    pub(crate) const fn clock_end_ms(&self) -> i64 {
        (self.last_secs + REST_HOURS * HOUR_SECS) * 1_000
    }

    pub(super) fn set_goals(&mut self) {
        for index in 0..self.catalog.lines.len() {
            let billable = self.deliveries.iter();
            let billable = billable.filter(|d| d.line == index && self.billable(d));
            let delivered = billable.count() as i64;
            let (goal, episode_goal) = self.goal(index, delivered);
            let line = &mut self.catalog.lines[index];
            (line.goal, line.episode_goal) = (goal as u64, episode_goal as u64);
        }
    }

    fn goal(&self, index: usize, delivered: i64) -> (i64, i64) {
        let line = &self.catalog.lines[index];
        let at_ms = self.clock_end_ms();
        let (flight, elapsed) = self.elapsed(line, at_ms);
        let scaled =
            |expected: i64| (expected * (flight / 1_000) / (elapsed / 1_000).max(1)).max(1);
        match line.aim {
            Aim::Future => (5_000, 0),
            Aim::Stalled => (scaled(delivered * 2).max(40 * (flight / DAY_MS)), 0),
            Aim::Index(permille) => {
                let expected = delivered * 1_000 / permille;
                if line.kind == AdKind::Inserted {
                    return (scaled(expected), 0);
                }
                let ages = self
                    .aired(index)
                    .map(|(_, at)| (at_ms - at).clamp(0, AIRED_MS));
                let ages: Vec<i64> = ages.map(|ms| ms / 1_000).collect();
                let each = expected * (AIRED_MS / 1_000) / ages.iter().sum::<i64>().max(1);
                (each * ages.len() as i64, each)
            }
        }
    }
}
