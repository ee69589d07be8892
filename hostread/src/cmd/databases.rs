//! Small questions to both databases.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hostread_sink_clickhouse::ClickHouseConfig;
use sqlx::{Connection, PgConnection};

use crate::parts::Targets;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// Asks both databases.
pub(crate) struct Databases {
    client: reqwest::Client,
    clickhouse: ClickHouseConfig,
    postgres_url: String,
}

impl Databases {
    pub(crate) fn new(targets: &Targets) -> Result<Self> {
        Ok(Self {
            client: reqwest::Client::builder()
                .no_proxy()
                // Plain http: a machine without root certificates does as well.
                .tls_certs_only([])
                .timeout(ANSWER)
                .build()?,
            clickhouse: targets.clickhouse.clone(),
            postgres_url: targets.postgres.url_owner.clone(),
        })
    }

    /// Lines of ClickHouse's answer.
    pub(crate) async fn clickhouse(&self, query: &'static str) -> Result<Vec<String>> {
        let config = &self.clickhouse;
        let mut request = self
            .client
            .post(&config.url)
            .header("X-ClickHouse-User", &config.user)
            .header("X-ClickHouse-Key", &config.password)
            .body(query);
        for (name, value) in &config.headers {
            request = request.header(name, value);
        }
        let response = request.send().await.context("ClickHouse does not answer")?;
        let (status, text) = (response.status(), response.text().await?);
        ensure!(
            status.is_success(),
            "ClickHouse answered {status}: {}",
            text.lines().next().unwrap_or_default()
        );
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// The first column of PostgreSQL's answer.
    pub(crate) async fn postgres(&self, query: &'static str) -> Result<Vec<String>> {
        let ask = async {
            let mut connection = PgConnection::connect(&self.postgres_url).await?;
            let rows = sqlx::query_scalar(query).fetch_all(&mut connection).await?;
            connection.close().await?;
            Ok::<_, sqlx::Error>(rows)
        };
        tokio::time::timeout(ANSWER, ask)
            .await
            .context("PostgreSQL does not answer")?
            .context("asking PostgreSQL")
    }

    /// Names of the migrations that a sink's database has seen.
    pub(crate) async fn migrations(&self, sink: &str) -> Result<Vec<String>> {
        if sink == "clickhouse" {
            self.clickhouse("SELECT DISTINCT name FROM internal.migrations ORDER BY name")
                .await
        } else {
            self.postgres(
                "SELECT lpad(version::text, 4, '0') || ' ' || description FROM serving.migrations WHERE success ORDER BY version",
            )
            .await
        }
    }
}
