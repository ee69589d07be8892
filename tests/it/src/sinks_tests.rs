//! The sinks' conformance suite on a real ClickHouse and a real PostgreSQL.
#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::time::Instant;

use hostread_engines::ClickHouseAccess;
use hostread_eventlog::async_trait;
use hostread_schemas::{EventTimeMs, Tick};
use hostread_sink_clickhouse::{ClickHouseConfig, ClickHouseSink};
use hostread_sink_kit::conformance::{self, Target};
use hostread_sink_kit::{Progress, RestatingRow, Sink};
use hostread_sink_postgres::{PostgresConfig, PostgresSink};
use sqlx::{Connection, PgConnection};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::engines_tests::{
    ask, clickhouse_config, clickhouse_sink, eventually, postgres_config, run, start_for_sinks,
    start_for_sinks_and,
};

struct OnClickHouse(ClickHouseAccess);

#[async_trait]
impl Target for OnClickHouse {
    type Sink = ClickHouseSink;

    async fn connect(&self) -> ClickHouseSink {
        clickhouse_sink(&self.0)
    }

    async fn lose_progress(&self, to: Progress) {
        run(&self.0, "TRUNCATE TABLE internal.sink_progress").await;
        let row = format!(
            "INSERT INTO internal.sink_progress (sink, epoch, owner, journal_id, upper) VALUES ('clickhouse', {}, 1, {}, {})",
            to.epoch, to.journal_id, to.upper.0
        );
        run(&self.0, &row).await;
    }
}

struct OnPostgres(PostgresConfig);

#[async_trait]
impl Target for OnPostgres {
    type Sink = PostgresSink;

    async fn connect(&self) -> PostgresSink {
        PostgresSink::new(self.0.clone()).unwrap()
    }

    async fn lose_progress(&self, to: Progress) {
        let mut sink = PgConnection::connect(&self.0.url_sink).await.unwrap();
        sqlx::query("UPDATE serving.sink_progress SET epoch = $1, upper = $2")
            .bind(i64::try_from(to.epoch).unwrap())
            .bind(i64::try_from(to.upper.0).unwrap())
            .execute(&mut sink)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sinks_conform() {
    let dir = tempfile::tempdir().unwrap();
    let engines = start_for_sinks(dir.path()).await;
    conformance::run(&OnClickHouse(engines.clickhouse.clone())).await;
    conformance::run(&OnPostgres(postgres_config(&engines.postgres))).await;
    engines.stop().await;
}

const RUNNING: &str = "SELECT count() FROM system.processes WHERE query_kind = 'Insert'";

/// A table where a former owner's insert does no harm.
async fn make_slow_table(access: &ClickHouseAccess) {
    let table = "CREATE TABLE internal.slow (n UInt64, s UInt8) ENGINE = MergeTree ORDER BY n";
    run(access, table).await;
}

async fn until_it_runs(access: &ClickHouseAccess) {
    let runs = async || run(access, RUNNING).await.trim() != "0";
    eventually("an insert that runs", runs).await;
}

async fn assert_nothing_came(access: &ClickHouseAccess) {
    assert_eq!(run(access, RUNNING).await.trim(), "0");
    let rows = run(access, "SELECT count() FROM internal.slow").await;
    assert_eq!(rows.trim(), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_owner_of_clickhouse_ends_what_a_former_one_inserts() {
    let dir = tempfile::tempdir().unwrap();
    let engines = start_for_sinks(dir.path()).await;
    let access = engines.clickhouse.clone();
    let mut sink = clickhouse_sink(&access);
    sink.migrate().await.unwrap();
    sink.open(7).await.unwrap();
    make_slow_table(&access).await;
    // As a former owner's insert of rows, but slow.
    let insert = "INSERT INTO internal.slow SELECT number, sleepEachRow(0.2) FROM numbers(20) \
                  SETTINGS max_block_size = 1, log_comment = 'hostread sink, owner 1'";
    let slow = access.clone();
    let inserting =
        tokio::spawn(async move { ask(&slow, &slow.user, &slow.password, insert).await });
    until_it_runs(&access).await;
    clickhouse_sink(&access).open(7).await.unwrap();
    assert_nothing_came(&access).await;
    let (status, text) = inserting.await.unwrap();
    assert_ne!(status, 200, "{text}");
    engines.stop().await;
}

/// Its sender stands still in the middle, and ClickHouse waits a minute for more.
async fn insert_half(access: &ClickHouseAccess) -> TcpStream {
    let address = access.url.strip_prefix("http://").unwrap();
    let address = address.trim_end_matches('/');
    let (gate, secret) = &access.gate_header;
    // A query begins when more has come than it may be long.
    let rows = "1\t1\n".repeat(1_000);
    let half = format!(
        "POST /?query=INSERT%20INTO%20internal.slow%20FORMAT%20TSV&http_receive_timeout=60&max_query_size=1000\
         &log_comment=hostread%20sink%2C%20owner%201 HTTP/1.1\r\nHost: {address}\r\n{gate}: {secret}\r\n\
         X-ClickHouse-User: {}\r\nX-ClickHouse-Key: {}\r\nContent-Length: 10000\r\n\r\n{rows}",
        access.user, access.password
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(half.as_bytes()).await.unwrap();
    stream
}

/// The new owner waits as long as an insert may take, and no longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_insert_that_does_not_end_keeps_a_new_owner_of_clickhouse_out() {
    let dir = tempfile::tempdir().unwrap();
    let engines = start_for_sinks(dir.path()).await;
    let access = engines.clickhouse.clone();
    clickhouse_sink(&access).migrate().await.unwrap();
    make_slow_table(&access).await;
    let half = insert_half(&access).await;
    until_it_runs(&access).await;
    let hasty = ClickHouseConfig {
        insert_secs_max: 1,
        ..clickhouse_config(&access)
    };
    let (mut hasty, began) = (ClickHouseSink::new(hasty).unwrap(), Instant::now());
    let refused = hasty.open(7).await.unwrap_err();
    assert!(refused.may_retry(), "{refused}");
    let doing = "ending a former owner's inserts";
    assert!(refused.to_string().contains(doing), "{refused}");
    let waited = began.elapsed().as_secs();
    assert!((6..12).contains(&waited), "{waited} s");
    // Once it has ended the sink can be owned.
    drop(half);
    hasty.open(7).await.unwrap();
    assert_nothing_came(&access).await;
    engines.stop().await;
}

const UNDER_WAY: &str = "SELECT restating, done, total, delay_ms, toUnixTimestamp64Milli(visible_at) \
                         FROM hostread.freshness WHERE restating != '' FORMAT TabSeparated";

fn restating(stage: &'static str, done: u64) -> RestatingRow {
    RestatingRow {
        tick: Tick(3),
        clock: EventTimeMs(10),
        accepted_at_ms: 1_000,
        told_at_ms: 5_000,
        stage,
        done,
        total: 10,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_owner_of_clickhouse_tells_how_far_a_restatement_is() {
    let dir = tempfile::tempdir().unwrap();
    let engines = start_for_sinks_and(dir.path(), "ten_a").await;
    let access = engines.clickhouse.clone();
    let (reader, password) = access.reader("ten_a");
    let told = async || {
        let (status, text) = ask(&access, &reader, &password, UNDER_WAY).await;
        assert_eq!(status, 200, "{text}");
        text
    };
    let mut first = clickhouse_sink(&access);
    first.migrate().await.unwrap();
    assert!(first.teller().is_none(), "it owns nothing yet");
    first.open(7).await.unwrap();
    assert_eq!(told().await, "");
    let former = first.teller().unwrap();
    former.tell(&restating("computing", 4)).await.unwrap();
    assert_eq!(told().await, "computing\t4\t10\t4000\t5000\n");
    former.tell(&restating("writing", 6)).await.unwrap();
    assert_eq!(told().await, "writing\t6\t10\t4000\t5000\n");

    let mut second = clickhouse_sink(&access);
    second.open(7).await.unwrap();
    assert_eq!(told().await, "", "a former owner's word");
    let refused = former.tell(&restating("writing", 7)).await.unwrap_err();
    assert!(!refused.may_retry(), "{refused}");
    assert_eq!(told().await, "");
    let teller = second.teller().unwrap();
    teller.tell(&restating("computing", 1)).await.unwrap();
    assert_eq!(told().await, "computing\t1\t10\t4000\t5000\n");
    teller.tell(&restating("", 1)).await.unwrap();
    assert_eq!(told().await, "");

    teller.tell(&restating("computing", 2)).await.unwrap();
    second.clear().await.unwrap();
    second.open(8).await.unwrap();
    assert_eq!(told().await, "", "what was emptied");
    engines.stop().await;
}
