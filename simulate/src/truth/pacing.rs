//! Pacing at the final clock (definitions 16).

use hostread_schemas::event::AdKind;
use hostread_schemas::view::PacingState;
use hostread_schemas::{DAY_MS, HOUR_MS};

use super::Truth;
use crate::world::TenantWorld;
use crate::world::calendar::local_midnight;
use crate::world::goals::AIRED_MS;

const JUDGED_FROM: i64 = 50;
const STALLED_FROM: i64 = 20;

fn expected(tenant: &TenantWorld, index: usize, at_ms: i64) -> i64 {
    let line = &tenant.catalog.lines[index];
    let share = |goal: u64, part: i64, whole: i64| {
        (i128::from(goal) * i128::from(part) / i128::from(whole)) as i64
    };
    if line.kind == AdKind::Inserted {
        let (flight, elapsed) = tenant.elapsed(line, at_ms);
        return share(line.goal, elapsed, flight);
    }
    let due = |(_, aired): (usize, i64)| {
        share(
            line.episode_goal,
            (at_ms - aired).clamp(0, AIRED_MS),
            AIRED_MS,
        )
    };
    tenant.aired(index).map(due).sum()
}

fn begins(tenant: &TenantWorld, index: usize) -> Option<i64> {
    let line = &tenant.catalog.lines[index];
    if line.kind == AdKind::Inserted {
        return Some(local_midnight(tenant.flight(line).0, line.zone).0);
    }
    tenant.aired(index).map(|(_, aired)| aired).min()
}

impl Truth {
    pub(super) fn pace(&mut self, tenant: &TenantWorld) {
        let at_ms = tenant.clock_end_ms();
        for (index, line) in tenant.catalog.lines.iter().enumerate() {
            let billable = tenant.deliveries.iter();
            let hours: Vec<i64> = billable
                .filter(|delivery| delivery.line == index && tenant.billable(delivery))
                .map(|delivery| (delivery.secs * 1_000).div_euclid(HOUR_MS))
                .collect();
            let (delivered, expected_now) = (hours.len() as i64, expected(tenant, index, at_ms));
            let hour = at_ms / HOUR_MS;
            let silent = !hours.iter().any(|h| (hour - 24..=hour).contains(h));
            let day_before = expected(tenant, index, at_ms - DAY_MS);
            let young = match begins(tenant, index) {
                Some(begin) => expected_now < JUDGED_FROM && at_ms - begin < DAY_MS,
                None => true,
            };
            let state = if young || expected_now == 0 {
                PacingState::None
            } else if expected_now - day_before >= STALLED_FROM && silent {
                PacingState::Stalled
            } else {
                match 1_000 * delivered / expected_now {
                    ..850 => PacingState::Under,
                    850..950 => PacingState::AtRisk,
                    950..=1_050 => PacingState::OnTrack,
                    _ => PacingState::Over,
                }
            };
            let row = (delivered, expected_now, state.as_str().to_owned());
            let key = (tenant.name.to_owned(), line.name.to_owned());
            self.pacing.insert(key, row);
        }
    }
}
