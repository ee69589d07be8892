//! Which columns each view has, for every store that takes a view a column at a time. Names are looked up here.
//!
//! Invariant 1: a row that is gone has its key, and defaults for the rest.

use std::borrow::Cow;

use hostread_schemas::event::{ByModel, Model};
use hostread_schemas::view::{
    AnomalyKey, AnomalyRow, AttributionDailyKey, AttributionDailyRow, BillingLineKey,
    BillingLineRow, Cause, ConversionKey, ConversionRow, CreditKey, CreditRow, DeliveryDailyKey,
    DeliveryDailyRow, DownloadKey, DownloadRow, DownloadsDailyKey, DownloadsDailyRow, Evidence,
    LateKey, LateOf, LateRow, PacingKey, PacingRow, PathStep, RestatementKey, RestatementRow,
    VerdictKey, VerdictRow, View, ViewKey, ViewValue,
};
use hostread_schemas::{Day, EventId, EventTimeMs, NameKind, Names};

use crate::{NameCache, words};

/// Takes the columns of one view, one after the other; each has as many values as there are rows.
pub trait ColumnWriter {
    /// What can go wrong.
    type Error;
    /// Days.
    fn days(&mut self, name: &str, values: impl Iterator<Item = Day>) -> Result<(), Self::Error>;
    /// Moments in UTC.
    fn times(
        &mut self,
        name: &str,
        values: impl Iterator<Item = EventTimeMs>,
    ) -> Result<(), Self::Error>;
    /// Texts.
    fn texts<T: AsRef<str>>(
        &mut self,
        name: &str,
        values: impl Iterator<Item = T>,
    ) -> Result<(), Self::Error>;
    /// Lists of texts.
    fn text_lists<T: AsRef<str>>(
        &mut self,
        name: &str,
        values: impl Iterator<Item = Vec<T>>,
    ) -> Result<(), Self::Error>;
    /// Lists of small whole numbers from 0.
    fn small_lists(
        &mut self,
        name: &str,
        values: impl Iterator<Item = Vec<u32>>,
    ) -> Result<(), Self::Error>;
    /// Whole numbers.
    fn signed(&mut self, name: &str, values: impl Iterator<Item = i64>) -> Result<(), Self::Error>;
    /// Whole numbers from 0.
    fn unsigned(
        &mut self,
        name: &str,
        values: impl Iterator<Item = u64>,
    ) -> Result<(), Self::Error>;
    /// Small whole numbers from 0.
    fn small(&mut self, name: &str, values: impl Iterator<Item = u32>) -> Result<(), Self::Error>;
    /// Ids of events.
    fn ids(&mut self, name: &str, values: impl Iterator<Item = EventId>)
    -> Result<(), Self::Error>;
}

/// What a column can hold.
trait Cell: Default {
    fn column<W: ColumnWriter>(
        writer: &mut W,
        name: &str,
        values: impl Iterator<Item = Self>,
    ) -> Result<(), W::Error>;
}

macro_rules! cells {
    ($($type:ty => $column:ident;)+) => {$(
        impl Cell for $type {
            fn column<W: ColumnWriter>(
                writer: &mut W,
                name: &str,
                values: impl Iterator<Item = Self>,
            ) -> Result<(), W::Error> {
                writer.$column(name, values)
            }
        }
    )+};
}

cells! {
    Day => days;
    EventTimeMs => times;
    &str => texts;
    String => texts;
    Vec<String> => text_lists;
    Vec<u32> => small_lists;
    i64 => signed;
    u64 => unsigned;
    u32 => small;
    EventId => ids;
}

/// The key and, if it stands, the value of a row.
type Row<'a, K, V> = (&'a K, Option<&'a V>);

/// Columns of one view under way to a writer.
struct Table<'a, 'w, K, V, W> {
    rows: Vec<Row<'a, K, V>>,
    names: &'a Names,
    writer: &'w mut W,
}

impl<'a, K, V, W: ColumnWriter> Table<'a, '_, K, V, W> {
    fn key<T: Cell>(&mut self, name: &str, of: impl Fn(&'a K) -> T) -> Result<(), W::Error> {
        T::column(self.writer, name, self.rows.iter().map(|(key, _)| of(key)))
    }

    fn value<T: Cell>(&mut self, name: &str, of: impl Fn(&'a V) -> T) -> Result<(), W::Error> {
        let values = self
            .rows
            .iter()
            .map(|(_, value)| value.map(&of).unwrap_or_default());
        T::column(self.writer, name, values)
    }

    fn key_name(
        &mut self,
        name: &str,
        kind: NameKind,
        of: impl Fn(&'a K) -> u64,
    ) -> Result<(), W::Error> {
        self.named(name, kind, |(key, _)| of(key))
    }

    fn value_name(
        &mut self,
        name: &str,
        kind: NameKind,
        of: impl Fn(&'a V) -> u64,
    ) -> Result<(), W::Error> {
        self.named(name, kind, |(_, value)| value.map_or(0, &of))
    }

    fn named(
        &mut self,
        name: &str,
        kind: NameKind,
        id: impl Fn(&Row<'a, K, V>) -> u64,
    ) -> Result<(), W::Error> {
        let mut names = NameCache::new(self.names);
        for row in &self.rows {
            names.need(kind, id(row));
        }
        let values = self.rows.iter().map(|row| names.get(kind, id(row)));
        self.writer.texts(name, values)
    }
}

/// The path of a conversion; none of one that is gone.
fn steps<'a>(row: &Row<'a, ConversionKey, Box<ConversionRow>>) -> &'a [PathStep] {
    row.1.map_or(&[][..], |value| &value.path)
}

impl<W: ColumnWriter> Table<'_, '_, ConversionKey, Box<ConversionRow>, W> {
    /// Names along each path.
    fn path(
        &mut self,
        name: &str,
        kind: NameKind,
        id: impl Fn(&PathStep) -> u64,
    ) -> Result<(), W::Error> {
        let mut names = NameCache::new(self.names);
        for step in self.rows.iter().flat_map(steps) {
            names.need(kind, id(step));
        }
        let texts = |row| {
            let steps = steps(row).iter();
            steps.map(|step| names.get(kind, id(step))).collect()
        };
        self.writer.text_lists(name, self.rows.iter().map(texts))
    }
}

impl<W: ColumnWriter> Table<'_, '_, VerdictKey, VerdictRow, W> {
    fn evidence(&mut self) -> Result<(), W::Error> {
        let of = |row: &Row<'_, _, VerdictRow>| row.1.map_or(Evidence::None, |v| v.evidence);
        let mut names = NameCache::new(self.names);
        for row in &self.rows {
            match of(row) {
                Evidence::Pattern(pattern) => names.need(NameKind::Pattern, pattern.0),
                Evidence::Referrer(host) => names.need(NameKind::Referrer, host),
                _ => {}
            }
        }
        let values = self.rows.iter().map(|row| match of(row) {
            Evidence::None | Evidence::Bytes { .. } => Cow::Borrowed(""),
            Evidence::Method(method) => Cow::Borrowed(words::method(method)),
            Evidence::Status(status) => Cow::Owned(status.to_string()),
            Evidence::Pattern(pattern) => Cow::Borrowed(names.get(NameKind::Pattern, pattern.0)),
            Evidence::IpClass(class) => Cow::Borrowed(words::ip_class(class)),
            Evidence::Net(net) => Cow::Owned(net.to_string()),
            Evidence::Referrer(host) => Cow::Borrowed(names.get(NameKind::Referrer, host)),
            Evidence::DownloadsMax(max) => Cow::Owned(max.to_string()),
        });
        self.writer.texts("evidence", values)
    }
}

/// Gives a writer the columns of a view, the tenant first.
///
/// # Errors
/// The writer's.
pub fn write_columns<'a, W: ColumnWriter>(
    view: View,
    rows: impl Iterator<Item = (&'a ViewKey, Option<&'a ViewValue>)>,
    names: &'a Names,
    writer: &mut W,
) -> Result<(), W::Error> {
    macro_rules! table {
        ($view:ident, $columns:ident) => {{
            let rows = rows.filter_map(|(key, value)| {
                let ViewKey::$view(key) = key else {
                    return None;
                };
                let value = match value {
                    Some(ViewValue::$view(value)) => Some(value),
                    _ => None,
                };
                Some((key, value))
            });
            let mut table = Table {
                rows: rows.collect(),
                names,
                writer,
            };
            table.key_name("tenant", NameKind::Tenant, |k| k.tenant.0)?;
            $columns(&mut table)
        }};
    }
    match view {
        View::Verdicts => table!(Verdicts, verdicts),
        View::Downloads => table!(Downloads, downloads),
        View::DownloadsDaily => table!(DownloadsDaily, downloads_daily),
        View::Conversions => table!(Conversions, conversions),
        View::Credits => table!(Credits, credits),
        View::AttributionDaily => table!(AttributionDaily, attribution_daily),
        View::DeliveryDaily => table!(DeliveryDaily, delivery_daily),
        View::Pacing => table!(Pacing, pacing),
        View::Anomalies => table!(Anomalies, anomalies),
        View::BillingLines => table!(BillingLines, billing_lines),
        View::Restatements => table!(Restatements, restatements),
        View::LateAfterSeal => table!(LateAfterSeal, late_after_seal),
    }
}

fn verdicts<W: ColumnWriter>(
    t: &mut Table<'_, '_, VerdictKey, VerdictRow, W>,
) -> Result<(), W::Error> {
    t.key("day", |k| k.day)?;
    t.key("request", |k| k.request)?;
    t.value("requested_at", |v| v.time)?;
    t.value("verdict", |v| v.verdict.as_str())?;
    t.value_name("enclosure", NameKind::Enclosure, |v| v.enclosure.0)?;
    t.value_name("episode", NameKind::Episode, |v| v.episode.0)?;
    t.value("listener", |v| v.listener.0)?;
    t.value("sent_bytes", |v| v.sent_bytes)?;
    t.evidence()?;
    let bytes = |v: &VerdictRow| match v.evidence {
        Evidence::Bytes { seen, needed } => (seen, needed),
        _ => (0, 0),
    };
    t.value("seen_bytes", |v| bytes(v).0)?;
    t.value("needed_bytes", |v| bytes(v).1)
}

fn downloads<W: ColumnWriter>(
    t: &mut Table<'_, '_, DownloadKey, DownloadRow, W>,
) -> Result<(), W::Error> {
    t.key("day", |k| k.day)?;
    t.key("window_kind", |k| k.window.as_str())?;
    t.key_name("episode", NameKind::Episode, |k| k.episode.0)?;
    t.key("listener", |k| k.listener.0)?;
    t.key("started_at", |k| k.t0)?;
    t.value_name("show", NameKind::Show, |v| v.show.0)?;
    t.value("household", |v| v.household.0)?;
    t.value("source_kind", |v| words::source_kind(v.source_kind))?;
    t.value("union_bytes", |v| v.union_bytes)?;
    t.value("needed_bytes", |v| v.needed_bytes)?;
    t.value("requests", |v| v.requests)
}

fn downloads_daily<W: ColumnWriter>(
    t: &mut Table<'_, '_, DownloadsDailyKey, DownloadsDailyRow, W>,
) -> Result<(), W::Error> {
    t.key("day", |k| k.day)?;
    t.key("window_kind", |k| k.window.as_str())?;
    t.key_name("show", NameKind::Show, |k| k.show.0)?;
    t.key_name("episode", NameKind::Episode, |k| k.episode.0)?;
    t.key("source_kind", |k| words::source_kind(k.source_kind))?;
    t.value("downloads", |v| v.downloads)
}

fn conversions<W: ColumnWriter>(
    t: &mut Table<'_, '_, ConversionKey, Box<ConversionRow>, W>,
) -> Result<(), W::Error> {
    t.key("conversion", |k| k.conversion.0)?;
    t.key_name("order_reference", NameKind::Conversion, |k| k.conversion.0)?;
    t.value_name("store", NameKind::Store, |v| v.store.0)?;
    t.value_name("brand", NameKind::Brand, |v| v.brand.0)?;
    t.value("kind", |v| words::signal_kind(v.kind))?;
    t.value("converted_at", |v| v.time)?;
    t.value("household", |v| v.household.0)?;
    t.value("value_micros", |v| v.value.0)?;
    t.value("refunded_micros", |v| v.refunded.0)?;
    t.value("currency", |v| v.currency.as_str())?;
    t.value_name("code", NameKind::Code, |v| v.code.0)?;
    t.value_name("code_line", NameKind::Line, |v| v.code_line.0)?;
    t.value("signals", |v| v.signals)?;
    t.value("touches", |v| v.touches)?;
    t.value("touches_cut", |v| v.touches_cut)?;
    t.value("matched_by", |v| words::matched_by(v.matched_by))?;
    t.path("path_lines", NameKind::Line, |step| step.line.0)?;
    t.path("path_campaigns", NameKind::Campaign, |step| step.campaign.0)?;
    t.path("path_shows", NameKind::Show, |step| step.show.0)?;
    t.value("path_ages", |v| {
        v.path.iter().map(|step| step.age_secs).collect::<Vec<_>>()
    })
}

fn credits<W: ColumnWriter>(
    t: &mut Table<'_, '_, CreditKey, Box<CreditRow>, W>,
) -> Result<(), W::Error> {
    t.key("conversion", |k| k.conversion.0)?;
    t.key_name("line", NameKind::Line, |k| k.line.0)?;
    t.key_name("order_reference", NameKind::Conversion, |k| k.conversion.0)?;
    t.value_name("campaign", NameKind::Campaign, |v| v.campaign.0)?;
    t.value("day", |v| v.day)?;
    t.value("touches", |v| v.touches)?;
    t.value("currency", |v| v.currency.as_str())?;
    for (index, model) in Model::ALL.into_iter().enumerate() {
        let of = |amounts: &ByModel| amounts.get(index).copied().unwrap_or_default();
        t.value(&format!("credit_{}_micros", model.as_str()), |v| {
            of(&v.credit_micros)
        })?;
        t.value(&format!("money_{}_micros", model.as_str()), |v| {
            of(&v.money_micros)
        })?;
    }
    Ok(())
}

fn attribution_daily<W: ColumnWriter>(
    t: &mut Table<'_, '_, AttributionDailyKey, AttributionDailyRow, W>,
) -> Result<(), W::Error> {
    t.key("day", |k| k.day)?;
    t.key_name("campaign", NameKind::Campaign, |k| k.campaign.0)?;
    t.key_name("line", NameKind::Line, |k| k.line.0)?;
    t.key_name("show", NameKind::Show, |k| k.show.0)?;
    t.key("model", |k| k.model.as_str())?;
    t.key("currency", |k| k.currency.as_str())?;
    t.value("credit_micros", |v| v.credit_micros)?;
    t.value("money_micros", |v| v.money_micros)
}

fn delivery_daily<W: ColumnWriter>(
    t: &mut Table<'_, '_, DeliveryDailyKey, DeliveryDailyRow, W>,
) -> Result<(), W::Error> {
    t.key_name("line", NameKind::Line, |k| k.line.0)?;
    t.key("day", |k| k.day)?;
    t.value("delivered", |v| v.delivered)?;
    t.value("billable", |v| v.billable)
}

fn pacing<W: ColumnWriter>(t: &mut Table<'_, '_, PacingKey, PacingRow, W>) -> Result<(), W::Error> {
    t.key_name("line", NameKind::Line, |k| k.line.0)?;
    t.value("kind", |v| words::ad_kind(v.kind))?;
    t.value("goal", |v| v.goal)?;
    t.value("delivered", |v| v.delivered)?;
    t.value("expected", |v| v.expected)?;
    t.value("index_permille", |v| v.index_permille)?;
    t.value("state", |v| v.state.as_str())?;
    t.value("as_of", |v| v.as_of.start())
}

fn billing_lines<W: ColumnWriter>(
    t: &mut Table<'_, '_, BillingLineKey, BillingLineRow, W>,
) -> Result<(), W::Error> {
    t.key_name("line", NameKind::Line, |k| k.line.0)?;
    t.key("period", |k| k.period.start())?;
    t.value("price_kind", |v| words::price_kind(v.price_kind))?;
    t.value("quantity", |v| v.quantity)?;
    t.value("amount_micros", |v| v.amount.0)?;
    t.value("currency", |v| v.currency.as_str())
}

fn anomalies<W: ColumnWriter>(
    t: &mut Table<'_, '_, AnomalyKey, AnomalyRow, W>,
) -> Result<(), W::Error> {
    let names = t.names;
    t.key("series", |k| words::series(k.series))?;
    t.key("subject", |k| {
        let (kind, id) = words::series_subject(k.series);
        names.text(kind, id).to_string()
    })?;
    t.key("hour", |k| k.hour.start())?;
    t.value("count", |v| v.count)?;
    t.value("median", |v| v.median)?;
    t.value("mad", |v| v.mad)?;
    t.value("score_milli", |v| v.score_milli)
}

fn restatements<W: ColumnWriter>(
    t: &mut Table<'_, '_, RestatementKey, RestatementRow, W>,
) -> Result<(), W::Error> {
    let names = t.names;
    t.key("tick", |k| k.tick.0)?;
    t.key("of_view", |k| words::number_view(&k.of).name())?;
    t.key("of_key", |k| words::number_key(&k.of, names))?;
    t.key("metric", |k| k.metric.as_str())?;
    t.value("period_end", |v| v.period_end)?;
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

fn late_after_seal<W: ColumnWriter>(
    t: &mut Table<'_, '_, LateKey, LateRow, W>,
) -> Result<(), W::Error> {
    let names = t.names;
    t.key("tick", |k| k.tick.0)?;
    t.key("day", |k| k.day)?;
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
