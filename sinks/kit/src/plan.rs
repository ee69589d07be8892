//! Cuts a range into chunks: one table each, in key order, by row count. Pure.
//! Invariant: the cut depends on the rows alone, never on time, so a repeated range makes the same inserts.

use hostread_schemas::Tick;
use hostread_schemas::view::{View, ViewClass, ViewValue};

use crate::Upsert;

/// Rows in one insert at most. Too small: the cost of an insert dominates. Too large: one failed insert repeats seconds of
/// work and a chunk's encoded bytes stand in memory.
pub const CHUNK_ROWS_MAX: usize = 50_000;

/// Rows of one view for one insert.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chunk<'a> {
    /// Whose rows.
    pub view: View,
    /// In key order, at most [`CHUNK_ROWS_MAX`], never empty.
    pub rows: Vec<&'a Upsert>,
}

/// Chunks of the upserts (sorted by key) that belong to `views` and changed at `from` or later.
///
/// Append-only views come first: where tables are written one after the other, a restatement is there before the number
/// moves.
#[must_use]
pub fn plan_chunks<'a>(upserts: &'a [Upsert], from: Tick, views: &[View]) -> Vec<Chunk<'a>> {
    let mut chunks = Vec::new();
    for append_only in [true, false] {
        for group in upserts.chunk_by(|a, b| a.key.view() == b.key.view()) {
            let Some(view) = group.first().map(|upsert| upsert.key.view()) else {
                continue;
            };
            if (view.class() == ViewClass::AppendOnly) != append_only || !views.contains(&view) {
                continue;
            }
            let rows: Vec<&Upsert> = group.iter().filter(|row| row.tick >= from).collect();
            chunks.extend(rows.chunks(CHUNK_ROWS_MAX).map(|rows| Chunk {
                view,
                rows: rows.to_vec(),
            }));
        }
    }
    chunks
}

/// The view that a value belongs to.
pub(crate) const fn view_of(value: &ViewValue) -> View {
    match value {
        ViewValue::Verdicts(_) => View::Verdicts,
        ViewValue::Downloads(_) => View::Downloads,
        ViewValue::DownloadsDaily(_) => View::DownloadsDaily,
        ViewValue::Conversions(_) => View::Conversions,
        ViewValue::Credits(_) => View::Credits,
        ViewValue::AttributionDaily(_) => View::AttributionDaily,
        ViewValue::DeliveryDaily(_) => View::DeliveryDaily,
        ViewValue::Pacing(_) => View::Pacing,
        ViewValue::Anomalies(_) => View::Anomalies,
        ViewValue::BillingLines(_) => View::BillingLines,
        ViewValue::Restatements(_) => View::Restatements,
        ViewValue::LateAfterSeal(_) => View::LateAfterSeal,
    }
}

#[cfg(test)]
mod tests {
    use hostread_schemas::view::{DeliveryDailyKey, LateKey, LateOf, VerdictKey, ViewKey};
    use hostread_schemas::{Day, EventId, LineId, TenantId};

    use super::*;

    fn verdict(n: u64, tick: u64) -> Upsert {
        let key = VerdictKey {
            tenant: TenantId(1),
            day: Day(0),
            request: EventId { hi: 0, lo: n },
        };
        Upsert {
            tick: Tick(tick),
            key: ViewKey::Verdicts(key),
            value: None,
        }
    }

    fn sorted(mut upserts: Vec<Upsert>) -> Vec<Upsert> {
        upserts.sort_by_key(|upsert| upsert.key);
        upserts
    }

    #[test]
    fn cuts_by_view_and_count_and_skips_old_ticks() {
        let rows = CHUNK_ROWS_MAX as u64 + 3;
        let mut upserts: Vec<Upsert> = (0..rows).map(|n| verdict(n, 5)).collect();
        upserts.push(verdict(rows, 4));
        upserts.push(Upsert {
            tick: Tick(5),
            key: ViewKey::DeliveryDaily(DeliveryDailyKey {
                tenant: TenantId(1),
                line: LineId(1),
                day: Day(0),
            }),
            value: None,
        });
        upserts.push(Upsert {
            tick: Tick(5),
            key: ViewKey::LateAfterSeal(LateKey {
                tenant: TenantId(1),
                tick: Tick(5),
                day: Day(0),
                of: LateOf::Events,
            }),
            value: None,
        });
        let upserts = sorted(upserts);
        let shape = |views: &[View]| -> Vec<(View, usize)> {
            plan_chunks(&upserts, Tick(5), views)
                .iter()
                .map(|chunk| (chunk.view, chunk.rows.len()))
                .collect()
        };
        assert_eq!(
            shape(View::ALL),
            [
                (View::LateAfterSeal, 1),
                (View::Verdicts, CHUNK_ROWS_MAX),
                (View::Verdicts, 3),
                (View::DeliveryDaily, 1),
            ]
        );
        assert_eq!(shape(&[View::DeliveryDaily]), [(View::DeliveryDaily, 1)]);
    }
}
