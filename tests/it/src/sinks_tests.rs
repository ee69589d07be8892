//! The sinks' conformance suite on a real ClickHouse and a real PostgreSQL.
#![allow(clippy::unwrap_used, reason = "tests panic")]

use hostread_engines::{ClickHouseAccess, Engines, EnginesConfig};
use hostread_eventlog::async_trait;
use hostread_sink_clickhouse::{ClickHouseConfig, ClickHouseSink, tenant_tables};
use hostread_sink_kit::Progress;
use hostread_sink_kit::conformance::{self, Target};
use hostread_sink_postgres::{PostgresConfig, PostgresSink};
use sqlx::{Connection, PgConnection};

use crate::engines_tests::{launcher_exe, packages_dir, run};

struct OnClickHouse(ClickHouseAccess);

#[async_trait]
impl Target for OnClickHouse {
    type Sink = ClickHouseSink;

    async fn connect(&self) -> ClickHouseSink {
        let (name, value) = &self.0.gate_header;
        let mut config =
            ClickHouseConfig::new(&self.0.url, &self.0.user, &self.0.password).header(name, value);
        // The samples' days are long past by the server's clock.
        config.verdict_days_kept = None;
        ClickHouseSink::new(config).unwrap()
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
    let engines = Engines::start(EnginesConfig {
        packages_dir: packages_dir(),
        data_dir: dir.path().to_owned(),
        launcher_exe: launcher_exe(),
        readers: Vec::new(),
        filtered_tables: tenant_tables(),
        clickhouse_memory_bytes_max: 2 << 30,
    })
    .await
    .unwrap();
    let postgres = PostgresConfig::new(&engines.postgres.url_owner, &engines.postgres.url_sink);
    conformance::run(&OnClickHouse(engines.clickhouse.clone())).await;
    conformance::run(&OnPostgres(postgres)).await;
    engines.stop().await;
}
