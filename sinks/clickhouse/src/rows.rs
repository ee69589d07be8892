//! Which columns each view has. The tables are in `migrations/`.

use clickhouse::native::Block;
use hostread_schemas::event::Model;
use hostread_schemas::view::{
    AnomalyKey, AnomalyRow, AttributionDailyKey, AttributionDailyRow, Cause, ConversionKey,
    ConversionRow, CreditKey, CreditRow, DeliveryDailyKey, DeliveryDailyRow, DownloadKey,
    DownloadRow, DownloadsDailyKey, DownloadsDailyRow, LateKey, LateOf, LateRow, PacingKey,
    PacingRow, RestatementKey, RestatementRow, VerdictKey, VerdictRow, View, ViewKey, ViewValue,
};
use hostread_schemas::{NameKind, Names};
use hostread_sink_kit::{Chunk, version_of, words};

use crate::encode::{Date, Encoded, Millis, Row, Table};

/// The block of a chunk; `None` for a view that ClickHouse does not keep.
pub(crate) fn encode(chunk: &Chunk<'_>, epoch: u64, names: &Names) -> Encoded<Option<Block>> {
    macro_rules! block {
        ($view:ident, $columns:ident) => {{
            let rows = chunk.rows.iter().filter_map(|upsert| {
                let ViewKey::$view(key) = &upsert.key else {
                    return None;
                };
                let value = match &upsert.value {
                    Some(ViewValue::$view(value)) => Some(value),
                    _ => None,
                };
                let version = version_of(epoch, upsert.tick);
                Some(Row {
                    key,
                    value,
                    version,
                })
            });
            let mut table = Table::new(rows.collect(), names);
            table.key_name("tenant", NameKind::Tenant, |k| k.tenant.0)?;
            $columns(&mut table, names)?;
            table.finish().map(Some)
        }};
    }
    match chunk.view {
        View::Verdicts => block!(Verdicts, verdicts),
        View::Downloads => block!(Downloads, downloads),
        View::DownloadsDaily => block!(DownloadsDaily, downloads_daily),
        View::Conversions => block!(Conversions, conversions),
        View::Credits => block!(Credits, credits),
        View::AttributionDaily => block!(AttributionDaily, attribution_daily),
        View::DeliveryDaily => block!(DeliveryDaily, delivery_daily),
        View::Pacing => block!(Pacing, pacing),
        View::Anomalies => block!(Anomalies, anomalies),
        View::Restatements => block!(Restatements, restatements),
        View::LateAfterSeal => block!(LateAfterSeal, late_after_seal),
        View::BillingLines => Ok(None),
    }
}

fn verdicts(t: &mut Table<'_, VerdictKey, VerdictRow>, _: &Names) -> Encoded<()> {
    t.key("day", |k| Date(k.day))?;
    t.key("request", |k| {
        (u128::from(k.request.hi) << 64) | u128::from(k.request.lo)
    })?;
    t.value("requested_at", |v| Millis(v.time))?;
    t.value("verdict", |v| v.verdict.as_str())?;
    t.value_name("enclosure", NameKind::Enclosure, |v| v.enclosure.0)?;
    t.value_name("episode", NameKind::Episode, |v| v.episode.0)?;
    t.value("listener", |v| v.listener.0)?;
    t.value("sent_bytes", |v| v.sent_bytes)
}

fn downloads(t: &mut Table<'_, DownloadKey, DownloadRow>, _: &Names) -> Encoded<()> {
    t.key("day", |k| Date(k.day))?;
    t.key("window_kind", |k| k.window.as_str())?;
    t.key_name("episode", NameKind::Episode, |k| k.episode.0)?;
    t.key("listener", |k| k.listener.0)?;
    t.key("started_at", |k| Millis(k.t0))?;
    t.value_name("show", NameKind::Show, |v| v.show.0)?;
    t.value("household", |v| v.household.0)?;
    t.value("source_kind", |v| words::source_kind(v.source_kind))?;
    t.value("union_bytes", |v| v.union_bytes)?;
    t.value("needed_bytes", |v| v.needed_bytes)?;
    t.value("requests", |v| v.requests)
}

fn downloads_daily(
    t: &mut Table<'_, DownloadsDailyKey, DownloadsDailyRow>,
    _: &Names,
) -> Encoded<()> {
    t.key("day", |k| Date(k.day))?;
    t.key("window_kind", |k| k.window.as_str())?;
    t.key_name("show", NameKind::Show, |k| k.show.0)?;
    t.key_name("episode", NameKind::Episode, |k| k.episode.0)?;
    t.key("source_kind", |k| words::source_kind(k.source_kind))?;
    t.value("downloads", |v| v.downloads)
}

fn conversions(t: &mut Table<'_, ConversionKey, ConversionRow>, _: &Names) -> Encoded<()> {
    t.key("conversion", |k| k.conversion.0)?;
    t.key_name("order_reference", NameKind::Conversion, |k| k.conversion.0)?;
    t.value_name("store", NameKind::Store, |v| v.store.0)?;
    t.value_name("brand", NameKind::Brand, |v| v.brand.0)?;
    t.value("kind", |v| words::signal_kind(v.kind))?;
    t.value("converted_at", |v| Millis(v.time))?;
    t.value("household", |v| v.household.0)?;
    t.value("value_micros", |v| v.value.0)?;
    t.value("refunded_micros", |v| v.refunded.0)?;
    t.value("currency", |v| v.currency.as_str())?;
    t.value_name("code", NameKind::Code, |v| v.code.0)?;
    t.value_name("code_line", NameKind::Line, |v| v.code_line.0)?;
    t.value("signals", |v| v.signals)?;
    t.value("touches", |v| v.touches)?;
    t.value("touches_cut", |v| v.touches_cut)?;
    t.value("matched_by", |v| words::matched_by(v.matched_by))
}

fn credits(t: &mut Table<'_, CreditKey, CreditRow>, _: &Names) -> Encoded<()> {
    t.key("conversion", |k| k.conversion.0)?;
    t.key_name("line", NameKind::Line, |k| k.line.0)?;
    t.key_name("order_reference", NameKind::Conversion, |k| k.conversion.0)?;
    t.value_name("campaign", NameKind::Campaign, |v| v.campaign.0)?;
    t.value("day", |v| Date(v.day))?;
    t.value("touches", |v| v.touches)?;
    t.value("currency", |v| v.currency.as_str())?;
    for (index, model) in Model::ALL.into_iter().enumerate() {
        let of = |amounts: &[i64; 5]| amounts.get(index).copied().unwrap_or_default();
        t.value(&format!("credit_{}_micros", model.as_str()), |v| {
            of(&v.credit_micros)
        })?;
        t.value(&format!("money_{}_micros", model.as_str()), |v| {
            of(&v.money_micros)
        })?;
    }
    Ok(())
}

fn attribution_daily(
    t: &mut Table<'_, AttributionDailyKey, AttributionDailyRow>,
    _: &Names,
) -> Encoded<()> {
    t.key("day", |k| Date(k.day))?;
    t.key_name("campaign", NameKind::Campaign, |k| k.campaign.0)?;
    t.key_name("line", NameKind::Line, |k| k.line.0)?;
    t.key_name("show", NameKind::Show, |k| k.show.0)?;
    t.key("model", |k| k.model.as_str())?;
    t.key("currency", |k| k.currency.as_str())?;
    t.value("credit_micros", |v| v.credit_micros)?;
    t.value("money_micros", |v| v.money_micros)
}

fn delivery_daily(t: &mut Table<'_, DeliveryDailyKey, DeliveryDailyRow>, _: &Names) -> Encoded<()> {
    t.key_name("line", NameKind::Line, |k| k.line.0)?;
    t.key("day", |k| Date(k.day))?;
    t.value("delivered", |v| v.delivered)?;
    t.value("billable", |v| v.billable)
}

fn pacing(t: &mut Table<'_, PacingKey, PacingRow>, _: &Names) -> Encoded<()> {
    t.key_name("line", NameKind::Line, |k| k.line.0)?;
    t.value("kind", |v| words::ad_kind(v.kind))?;
    t.value("goal", |v| v.goal)?;
    t.value("delivered", |v| v.delivered)?;
    t.value("expected", |v| v.expected)?;
    t.value("index_permille", |v| v.index_permille)?;
    t.value("state", |v| v.state.as_str())?;
    t.value("as_of", |v| Millis::from(v.as_of))
}

fn anomalies(t: &mut Table<'_, AnomalyKey, AnomalyRow>, names: &Names) -> Encoded<()> {
    t.key("series", |k| words::series(k.series))?;
    t.key("subject", |k| {
        let (kind, id) = words::series_subject(k.series);
        names.text(kind, id).to_string()
    })?;
    t.key("hour", |k| Millis::from(k.hour))?;
    t.value("count", |v| v.count)?;
    t.value("median", |v| v.median)?;
    t.value("mad", |v| v.mad)?;
    t.value("score_milli", |v| v.score_milli)
}

fn restatements(t: &mut Table<'_, RestatementKey, RestatementRow>, names: &Names) -> Encoded<()> {
    t.key("tick", |k| k.tick.0)?;
    t.key("of_view", |k| words::number_view(&k.of).name())?;
    t.key("of_key", |k| words::number_key(&k.of, names))?;
    t.key("metric", |k| k.metric.as_str())?;
    t.value("period_end", |v| Date(v.period_end))?;
    t.value("old_value", |v| v.old)?;
    t.value("new_value", |v| v.new)?;
    t.value("cause", |v| words::cause(&v.cause))?;
    t.value("cause_event", |v| match &v.cause {
        Cause::Event(event) => event.to_hex(),
        _ => String::new(),
    })?;
    t.value("batches", |v| match &v.cause {
        Cause::Batches(batches, _) => batches
            .iter()
            .map(|batch| names.text(NameKind::Batch, batch.0).to_string())
            .collect::<Vec<String>>(),
        _ => Vec::new(),
    })?;
    t.value("batches_more", |v| match &v.cause {
        Cause::Batches(_, more) => *more,
        _ => 0,
    })
}

fn late_after_seal(t: &mut Table<'_, LateKey, LateRow>, names: &Names) -> Encoded<()> {
    t.key("tick", |k| k.tick.0)?;
    t.key("day", |k| Date(k.day))?;
    t.key("kind", |k| words::late_kind(&k.of))?;
    t.key("of_view", |k| words::late_view(&k.of))?;
    t.key("of_key", |k| match &k.of {
        LateOf::Number(key, _) => words::number_key(key, names),
        _ => String::new(),
    })?;
    t.key("metric", |k| match k.of {
        LateOf::Number(_, metric) => metric.as_str(),
        _ => "",
    })?;
    t.value("count", |v| v.count)?;
    t.value("old_value", |v| v.old)?;
    t.value("new_value", |v| v.new)
}
