//! Rows of a chunk as text of COPY, columns in the order of the staging tables.

use hostread_schemas::view::{
    BillingLineRow, Cause, DeliveryDailyRow, LateOf, LateRow, PacingRow, RestatementRow, ViewKey,
    ViewValue,
};
use hostread_schemas::{NameKind, Names};
use hostread_sink_kit::{Chunk, NameCache, Upsert, version_of, words};

use crate::copy::CopyText;

/// The chunk's rows, and whether any of them is gone.
pub(crate) fn encode(chunk: &Chunk<'_>, epoch: u64, names: &Names) -> (Vec<u8>, bool) {
    let mut cache = NameCache::new(names);
    let mut copy = CopyText::default();
    let mut any_gone = false;
    for upsert in &chunk.rows {
        let Some(values) = write_key(&mut copy, upsert, names, &mut cache) else {
            continue;
        };
        match &upsert.value {
            Some(value) => write_value(&mut copy, value, names),
            None => (0..values).for_each(|_| copy.null()),
        }
        any_gone |= upsert.value.is_none();
        copy.number(version_of(epoch, upsert.tick));
        copy.flag(upsert.value.is_none());
        copy.end_row();
    }
    (copy.into_bytes(), any_gone)
}

/// Writes the key and says how many value columns follow; `None`, and nothing written, for a view that is not kept here.
fn write_key(
    copy: &mut CopyText,
    upsert: &Upsert,
    names: &Names,
    cache: &mut NameCache,
) -> Option<usize> {
    let mut start = |copy: &mut CopyText, line: Option<u64>| {
        let tenant = upsert.key.tenant().0;
        cache.need(NameKind::Tenant, tenant);
        copy.name(cache, NameKind::Tenant, tenant);
        if let Some(line) = line {
            cache.need(NameKind::Line, line);
            copy.name(cache, NameKind::Line, line);
        }
    };
    match &upsert.key {
        ViewKey::DeliveryDaily(key) => {
            start(copy, Some(key.line.0));
            copy.day(key.day);
            Some(2)
        }
        ViewKey::Pacing(key) => {
            start(copy, Some(key.line.0));
            Some(7)
        }
        ViewKey::BillingLines(key) => {
            start(copy, Some(key.line.0));
            copy.day(key.period.start());
            Some(4)
        }
        ViewKey::Restatements(key) => {
            start(copy, None);
            copy.number(key.tick);
            copy.text(words::number_view(&key.of).name());
            copy.text(&words::number_key(&key.of, names));
            copy.text(key.metric.as_str());
            Some(7)
        }
        ViewKey::LateAfterSeal(key) => {
            start(copy, None);
            copy.number(key.tick);
            copy.day(key.day);
            copy.text(words::late_kind(&key.of));
            copy.text(words::late_view(&key.of));
            match &key.of {
                LateOf::Number(number, metric) => {
                    copy.text(&words::number_key(number, names));
                    copy.text(metric.as_str());
                }
                LateOf::Rows(_) | LateOf::Events => {
                    copy.text("");
                    copy.text("");
                }
            }
            Some(3)
        }
        _ => None,
    }
}

fn write_value(copy: &mut CopyText, value: &ViewValue, names: &Names) {
    match value {
        ViewValue::DeliveryDaily(DeliveryDailyRow {
            delivered,
            billable,
        }) => {
            copy.number(delivered);
            copy.number(billable);
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
            copy.text(words::ad_kind(*kind));
            copy.number(goal);
            copy.number(delivered);
            copy.number(expected);
            copy.number(index_permille);
            copy.text(state.as_str());
            copy.hour(*as_of);
        }
        ViewValue::BillingLines(BillingLineRow {
            price_kind,
            quantity,
            amount,
            currency,
        }) => {
            copy.text(words::price_kind(*price_kind));
            copy.number(quantity);
            copy.number(amount.0);
            copy.text(currency.as_str());
        }
        ViewValue::Restatements(row) => write_restatement(copy, row, names),
        ViewValue::LateAfterSeal(LateRow { count, old, new }) => {
            copy.number(count);
            copy.number(old);
            copy.number(new);
        }
        _ => {}
    }
}

fn write_restatement(copy: &mut CopyText, row: &RestatementRow, names: &Names) {
    let RestatementRow {
        period_end,
        old,
        new,
        cause,
    } = row;
    copy.day(*period_end);
    copy.number(old);
    copy.number(new);
    copy.text(words::cause(cause));
    match cause {
        Cause::Event(event) => copy.text(&event.to_hex()),
        Cause::Batches(..) | Cause::Clock => copy.text(""),
    }
    let (batches, more): (&[_], u32) = match cause {
        Cause::Batches(batches, more) => (batches, *more),
        Cause::Event(_) | Cause::Clock => (&[], 0),
    };
    let batches: Vec<_> = batches
        .iter()
        .map(|batch| names.text(NameKind::Batch, batch.0))
        .collect();
    copy.texts(batches.iter().map(|batch| &**batch));
    copy.number(more);
}
