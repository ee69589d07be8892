//! A reader that asks all the time, while the pipeline is killed.
//! Promises: it panics when a published number moved without a restatement that says so, or when an upper went back.
//!
//! In ClickHouse a range becomes visible table by table, in the order ledger, numbers, pacing. The clock is read from pacing
//! before the numbers: what it shows as published was so when any later change was made.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hostread_schemas::DAY_MS;
use hostread_simulate::mix1::TENANTS;
use hostread_sink_kit::Progress;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;

use super::HORIZONS;
use super::databases::Databases;

/// Leaves most of a small machine to what is read.
const PAUSE: Duration = Duration::from_millis(50);

/// The numbers of ClickHouse as (view, tenant, key, metric, end of the period in ms, value).
const CLICKHOUSE_NUMBERS: &str = "
SELECT 'downloads_daily', tenant, concat('{\"day\":\"', toString(day), '\",\"show\":\"', show, '\",\"episode\":\"', episode,
    '\",\"source_kind\":\"', source_kind, '\",\"window_kind\":\"', window_kind, '\"}'),
    if(window_kind = 'calendar_day', 'downloads', concat('downloads_', window_kind)), (toInt64(toInt32(day)) + 1) * 86400000, downloads
FROM serving.downloads_daily FINAL
UNION ALL
SELECT 'attribution_daily', tenant, concat('{\"day\":\"', toString(day), '\",\"campaign\":\"', campaign, '\",\"line\":\"', line,
    '\",\"show\":\"', show, '\",\"model\":\"', model, '\",\"currency\":\"', currency, '\"}'), metric.1,
    (toInt64(toInt32(day)) + 1) * 86400000, metric.2
FROM hostread.attribution_daily
ARRAY JOIN [('credit_micros', credit_micros), ('money_micros', toInt64(money * 1000000))] AS metric
UNION ALL
SELECT 'delivery_daily', tenant, concat('{\"line\":\"', line, '\",\"day\":\"', toString(day), '\"}'), metric.1,
    (toInt64(toInt32(day)) + 1) * 86400000, metric.2
FROM hostread.delivery_daily
ARRAY JOIN [('delivered', delivered), ('billable', billable)] AS metric
FORMAT TabSeparatedRaw";

const CLICKHOUSE_RESTATEMENTS: &str = "
SELECT of_view, tenant, of_key, metric, tick, old_value, new_value FROM hostread.restatements ORDER BY tick
FORMAT TabSeparatedRaw";

const POSTGRES_NUMBERS: &str = "
SELECT 'delivery_daily', tenant, '{\"line\":\"' || line || '\",\"day\":\"' || day || '\"}', 'delivered',
    (extract(epoch FROM day) * 1000)::bigint + 86400000, delivered
FROM hostread.delivery_daily
UNION ALL
SELECT 'delivery_daily', tenant, '{\"line\":\"' || line || '\",\"day\":\"' || day || '\"}', 'billable',
    (extract(epoch FROM day) * 1000)::bigint + 86400000, billable
FROM hostread.delivery_daily
UNION ALL
SELECT 'billing_lines', tenant, '{\"line\":\"' || line || '\",\"period\":\"' || to_char(period, 'YYYY-MM') || '\"}', 'quantity',
    (extract(epoch FROM period + interval '1 month') * 1000)::bigint, quantity
FROM serving.billing_lines
UNION ALL
SELECT 'billing_lines', tenant, '{\"line\":\"' || line || '\",\"period\":\"' || to_char(period, 'YYYY-MM') || '\"}', 'amount_micros',
    (extract(epoch FROM period + interval '1 month') * 1000)::bigint, amount_micros
FROM serving.billing_lines";

const POSTGRES_RESTATEMENTS: &str = "SELECT of_view, tenant, of_key, metric, tick, old_value, new_value FROM hostread.restatements ORDER BY tick";
const POSTGRES_CLOCK: &str =
    "SELECT coalesce((extract(epoch FROM max(as_of)) * 1000)::bigint, 0) FROM hostread.pacing";

/// View, tenant, key, metric, end of the period, value.
type NumberRow = (String, String, String, String, i64, i64);
/// View, tenant, key, metric.
type NumberKey = (String, String, String, String);
/// End of the period and value.
type Numbers = BTreeMap<NumberKey, (i64, i64)>;
/// Old and new value, in order of ticks.
type Ledger = BTreeMap<NumberKey, Vec<(i64, i64)>>;

/// What was seen.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Seen {
    pub(super) polls: u64,
    /// Moves of published numbers, each with its restatement.
    pub(super) moves: u64,
    /// Published numbers at the last look.
    pub(super) published: usize,
    /// Looks that a database did not answer.
    pub(super) missed: u64,
}

/// A reader at work.
pub(super) struct Reader {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Seen>,
}

impl Reader {
    pub(super) fn start(databases: &Arc<Databases>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (databases, stopped) = (Arc::clone(databases), Arc::clone(&stop));
        let task = tokio::spawn(async move {
            let mut looks = Looks::default();
            while !stopped.load(Ordering::Relaxed) {
                if let Err(away) = looks.look(&databases).await {
                    println!("the reader: {away}");
                    looks.seen.missed += 1;
                    looks.postgres = None;
                }
                tokio::time::sleep(PAUSE).await;
            }
            looks.look(&databases).await.expect("both databases answer");
            looks.seen
        });
        Self { stop, task }
    }

    /// Has it found something wrong?
    pub(super) fn failed(&self) -> bool {
        self.task.is_finished()
    }

    pub(super) async fn finish(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("the reader saw nothing wrong")
    }
}

#[derive(Default)]
struct Look {
    clock_ms: i64,
    numbers: Numbers,
}

#[derive(Default)]
struct Looks {
    postgres: Option<PgConnection>,
    before: [Look; 2],
    uppers: [Option<Progress>; 2],
    seen: Seen,
}

/// Why a database did not answer.
type Away = String;

impl Looks {
    async fn look(&mut self, databases: &Databases) -> Result<(), Away> {
        self.seen.polls += 1;
        let uppers = databases.try_progress().await?;
        for (stored, now) in self.uppers.iter_mut().zip(uppers) {
            assert!(*stored <= now, "progress went back: {stored:?} to {now:?}");
            let upper = |progress: &Option<Progress>| progress.map(|p| p.upper);
            assert!(upper(stored) <= upper(&now), "{stored:?} to {now:?}");
            *stored = now;
        }
        let in_clickhouse = clickhouse(databases).await?;
        let mut restated = Ledger::new();
        if moves(&self.before[0], &in_clickhouse).next().is_some() {
            let text = databases.try_ask(CLICKHOUSE_RESTATEMENTS).await?;
            let rows = text.lines().map(|line| {
                let mut fields = line.split('\t').map(str::to_owned);
                let mut next = || fields.next().unwrap();
                let key = (next(), next(), next(), next());
                let numbers = [next(), next(), next()].map(|text| text.parse().unwrap());
                (key, numbers)
            });
            restated = ledger(rows);
        }
        self.judge(0, &in_clickhouse, &restated);
        let mut connection = match self.postgres.take() {
            Some(connection) => connection,
            None => databases.try_connect_as_reader().await?,
        };
        let answered = postgres(&mut connection).await;
        let (in_postgres, restated) = answered.map_err(|error| error.to_string())?;
        self.postgres = Some(connection);
        self.judge(1, &in_postgres, &restated);
        self.seen.published = published(&in_clickhouse) + published(&in_postgres);
        self.before = [in_clickhouse, in_postgres];
        Ok(())
    }

    fn judge(&mut self, sink: usize, now: &Look, ledger: &Ledger) {
        let name = ["ClickHouse", "PostgreSQL"][sink];
        let before = &self.before[sink];
        for (key, old, new) in moves(before, now) {
            let rows = ledger.get(key).map_or(&[][..], Vec::as_slice);
            let from = rows.iter().position(|(o, _)| *o == old);
            let to = rows.iter().rposition(|(_, n)| *n == new);
            assert!(
                matches!((from, to), (Some(from), Some(to)) if from <= to),
                "{name} at {}: {key:?} was published with {old} and now shows {new}; its restatements: {rows:?}",
                now.clock_ms
            );
            self.seen.moves += 1;
        }
    }
}

fn is_published(end_ms: i64, clock_ms: i64) -> bool {
    clock_ms >= end_ms + HORIZONS.publish_after_ms
}

fn published(look: &Look) -> usize {
    let ends = look.numbers.values().map(|(end, _)| *end);
    ends.filter(|end| is_published(*end, look.clock_ms)).count()
}

/// Numbers that were published before and have another value now; a row that is not there counts as 0.
fn moves<'a>(before: &'a Look, now: &'a Look) -> impl Iterator<Item = (&'a NumberKey, i64, i64)> {
    let keys = before.numbers.iter().chain(
        now.numbers
            .iter()
            .filter(|(key, _)| !before.numbers.contains_key(*key)),
    );
    let value = |look: &Look, key| look.numbers.get(key).map_or(0, |(_, value)| *value);
    keys.filter(|(_, (end, _))| is_published(*end, before.clock_ms))
        .map(move |(key, _)| (key, value(before, key), value(now, key)))
        .filter(|(_, old, new)| old != new)
}

fn ledger(rows: impl Iterator<Item = (NumberKey, [i64; 3])>) -> Ledger {
    let mut ledger = Ledger::new();
    for (key, [_, old, new]) in rows {
        ledger.entry(key).or_default().push((old, new));
    }
    ledger
}

async fn clickhouse(databases: &Databases) -> Result<Look, Away> {
    let clock = "SELECT toUnixTimestamp64Milli(max(as_of)) FROM hostread.pacing";
    let clock_ms = databases.try_ask(clock).await?.trim().parse().unwrap();
    let text = databases.try_ask(CLICKHOUSE_NUMBERS).await?;
    let numbers = text.lines().map(|line| {
        let mut fields = line.split('\t').map(str::to_owned);
        let mut next = || fields.next().unwrap();
        let key = (next(), next(), next(), next());
        (key, (next().parse().unwrap(), next().parse().unwrap()))
    });
    Ok(Look {
        clock_ms,
        numbers: numbers.collect(),
    })
}

async fn postgres(connection: &mut PgConnection) -> sqlx::Result<(Look, Ledger)> {
    let mut snapshot = connection.begin().await?;
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        .execute(&mut *snapshot)
        .await?;
    let (mut look, mut rows) = (Look::default(), Vec::new());
    for tenant in TENANTS {
        // What a reader sees depends on the tenant that its session names.
        sqlx::query("SELECT set_config('hostread.tenant', $1, true)")
            .bind(tenant)
            .execute(&mut *snapshot)
            .await?;
        let clock_ms: i64 = sqlx::query_scalar(POSTGRES_CLOCK)
            .fetch_one(&mut *snapshot)
            .await?;
        look.clock_ms = look.clock_ms.max(clock_ms);
        let numbers: Vec<NumberRow> = sqlx::query_as(POSTGRES_NUMBERS)
            .fetch_all(&mut *snapshot)
            .await?;
        let numbers = numbers
            .into_iter()
            .map(|(view, tenant, key, metric, end, value)| {
                ((view, tenant, key, metric), (end, value))
            });
        look.numbers.extend(numbers);
        let found: Vec<(String, String, String, String, i64, i64, i64)> =
            sqlx::query_as(POSTGRES_RESTATEMENTS)
                .fetch_all(&mut *snapshot)
                .await?;
        rows.extend(found);
    }
    let rows = rows
        .into_iter()
        .map(|(view, tenant, key, metric, tick, old, new)| {
            ((view, tenant, key, metric), [tick, old, new])
        });
    let ledger = ledger(rows);
    snapshot.commit().await?;
    Ok((look, ledger))
}

/// A day is a day: what the queries take for granted.
const _: () = assert!(DAY_MS == 86_400_000);
