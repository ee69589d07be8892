//! Rows of a chunk as JSON; the fields have the names of the columns.

use hostread_schemas::view::{
    BillingLineRow, Cause, DeliveryDailyRow, LateOf, LateRow, PacingRow, RestatementRow, ViewKey,
    ViewValue,
};
use hostread_schemas::{NameKind, Names};
use hostread_sink_kit::{Chunk, Upsert, version_of, words};

use crate::json::JsonRows;

/// What a chunk asks for.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// Rows that stand, if any.
    pub(crate) upserts: Option<String>,
    /// Keys that are gone, if any.
    pub(crate) deletes: Option<String>,
}

pub(crate) fn encode(chunk: &Chunk<'_>, epoch: u64, names: &Names) -> Encoded {
    let rows = |gone: bool| {
        let mut rows = JsonRows::new();
        let mut any = false;
        for upsert in chunk.rows.iter().filter(|row| row.value.is_none() == gone) {
            any = true;
            rows.begin_row();
            rows.plain("version", version_of(epoch, upsert.tick));
            write_key(&mut rows, upsert, names);
            if let Some(value) = &upsert.value {
                write_value(&mut rows, value, names);
            }
            rows.end_row();
        }
        any.then(|| rows.finish())
    };
    Encoded {
        upserts: rows(false),
        deletes: rows(true),
    }
}

fn write_key(row: &mut JsonRows, upsert: &Upsert, names: &Names) {
    row.name("tenant", names, NameKind::Tenant, upsert.key.tenant().0);
    match &upsert.key {
        ViewKey::DeliveryDaily(key) => {
            row.name("line", names, NameKind::Line, key.line.0);
            row.day("day", key.day);
        }
        ViewKey::Pacing(key) => row.name("line", names, NameKind::Line, key.line.0),
        ViewKey::BillingLines(key) => {
            row.name("line", names, NameKind::Line, key.line.0);
            row.day("period", key.period.start());
        }
        ViewKey::Restatements(key) => {
            row.plain("tick", key.tick);
            row.text("of_view", words::number_view(&key.of).name());
            row.text("of_key", &words::number_key(&key.of, names));
            row.text("metric", key.metric.as_str());
        }
        ViewKey::LateAfterSeal(key) => {
            row.plain("tick", key.tick);
            row.day("day", key.day);
            row.text("kind", words::late_kind(&key.of));
            row.text("of_view", words::late_view(&key.of));
            let (number, metric) = match &key.of {
                LateOf::Number(number, metric) => {
                    (words::number_key(number, names), metric.as_str())
                }
                LateOf::Rows(_) | LateOf::Events => (String::new(), ""),
            };
            row.text("of_key", &number);
            row.text("metric", metric);
        }
        // Chunks are planned for `crate::VIEWS`.
        _ => {}
    }
}

fn write_value(row: &mut JsonRows, value: &ViewValue, names: &Names) {
    match value {
        ViewValue::DeliveryDaily(DeliveryDailyRow {
            delivered,
            billable,
        }) => {
            row.plain("delivered", delivered);
            row.plain("billable", billable);
        }
        ViewValue::Pacing(PacingRow {
            kind,
            goal,
            delivered,
            expected,
            index_permille,
            state,
            as_of,
        }) => {
            row.text("kind", words::ad_kind(*kind));
            row.plain("goal", goal);
            row.plain("delivered", delivered);
            row.plain("expected", expected);
            row.plain("index_permille", index_permille);
            row.text("state", state.as_str());
            row.hour("as_of", *as_of);
        }
        ViewValue::BillingLines(BillingLineRow {
            price_kind,
            quantity,
            amount,
            currency,
        }) => {
            row.text("price_kind", words::price_kind(*price_kind));
            row.plain("quantity", quantity);
            row.plain("amount_micros", amount.0);
            row.text("currency", currency.as_str());
        }
        ViewValue::Restatements(restatement) => write_restatement(row, restatement, names),
        ViewValue::LateAfterSeal(LateRow { count, old, new }) => {
            row.plain("count", count);
            row.plain("old_value", old);
            row.plain("new_value", new);
        }
        // Chunks are planned for `crate::VIEWS`.
        _ => {}
    }
}

fn write_restatement(row: &mut JsonRows, restatement: &RestatementRow, names: &Names) {
    let RestatementRow {
        period_end,
        old,
        new,
        cause,
    } = restatement;
    row.day("period_end", *period_end);
    row.plain("old_value", old);
    row.plain("new_value", new);
    row.text("cause", words::cause(cause));
    let event = match cause {
        Cause::Event(event) => event.to_hex(),
        Cause::Batches(..) | Cause::Clock => String::new(),
    };
    row.text("cause_event", &event);
    let (batches, more): (&[_], u32) = match cause {
        Cause::Batches(batches, more) => (batches, *more),
        Cause::Event(_) | Cause::Clock => (&[], 0),
    };
    let batches: Vec<_> = batches
        .iter()
        .map(|batch| names.text(NameKind::Batch, batch.0))
        .collect();
    row.texts("batches", batches.iter().map(|batch| &**batch));
    row.plain("batches_more", more);
}
