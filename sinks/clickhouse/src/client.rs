//! Talks to ClickHouse: statements, reads and inserts, each with a time limit, retried for a bounded time.

use std::time::{Duration, Instant};

use clickhouse::error::Error;
use clickhouse::native::Block;
use clickhouse::{Client, RowOwned, RowRead};
use hostread_sink_kit::{Result, telemetry};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::NAME;
use crate::config::ClickHouseConfig;
use crate::error::{classed, code};

const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MOST: Duration = Duration::from_secs(1);
/// ClickHouse closes an idle connection after 3 s by default; a request on one that it is closing would fail.
const IDLE_MOST: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub(crate) struct Connection {
    client: Client,
    /// A statement that takes longer has lost its answer.
    answer_most: Duration,
    retry_most: Duration,
}

impl Connection {
    pub(crate) fn new(config: &ClickHouseConfig) -> Result<Self> {
        config.validate()?;
        let mut connector = HttpConnector::new();
        // Without it a 1,000-row insert takes 48 ms instead of 8: Nagle waits for the delayed acknowledgement.
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(Duration::from_secs(5)));
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_MOST)
            .build(connector);
        let seconds = config.insert_secs_max.to_string();
        let mut client = Client::with_http_client(http)
            .with_url(&config.url)
            .with_user(&config.user)
            .with_password(&config.password)
            .with_setting("max_execution_time", seconds.clone())
            // A sender that stands still in the middle of an insert ends it, too.
            .with_setting("http_receive_timeout", seconds)
            .with_setting("async_insert", "0")
            .with_setting("wait_end_of_query", "1");
        for (name, value) in &config.headers {
            client = client.with_header(name, value);
        }
        Ok(Self {
            client,
            answer_most: Duration::from_secs(u64::from(config.insert_secs_max) + 5),
            retry_most: Duration::from_secs(u64::from(config.retry_secs_max)),
        })
    }

    /// The longest that a statement takes.
    pub(crate) const fn answer_most(&self) -> Duration {
        self.answer_most
    }

    /// When a range that begins now is given up.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.retry_most
    }

    /// Runs a statement that may be repeated.
    pub(crate) async fn execute(&self, doing: &str, sql: &str) -> Result<()> {
        let mut retry = Retry::until(self.deadline());
        loop {
            match self.limited(self.client.query_raw(sql).execute()).await {
                Ok(()) => return Ok(()),
                Err(error) => retry.after(doing, error).await?,
            }
        }
    }

    /// Reads rows.
    pub(crate) async fn rows<T>(&self, doing: &str, sql: &str) -> Result<Vec<T>>
    where
        T: RowOwned + RowRead,
    {
        let mut retry = Retry::until(self.deadline());
        loop {
            match self
                .limited(self.client.query_raw(sql).fetch_all::<T>())
                .await
            {
                Ok(rows) => return Ok(rows),
                Err(error) => retry.after(doing, error).await?,
            }
        }
    }

    /// Reads a result as lines of text in a format of ClickHouse.
    pub(crate) async fn lines(&self, doing: &str, sql: &str, format: &str) -> Result<Vec<String>> {
        let mut retry = Retry::until(self.deadline());
        loop {
            let read = async {
                self.client
                    .query_raw(sql)
                    .fetch_bytes(format)?
                    .collect()
                    .await
            };
            match self.limited(read).await {
                Ok(bytes) => {
                    let text = String::from_utf8_lossy(&bytes);
                    return Ok(text.lines().map(str::to_owned).collect());
                }
                Err(error) => retry.after(doing, error).await?,
            }
        }
    }

    /// Inserts a block. May be repeated: a row's version makes the copies one.
    pub(crate) async fn insert(&self, table: &str, block: &Block, deadline: Instant) -> Result<()> {
        self.insert_as(table, table, "", block, deadline).await
    }

    /// As `insert`, with what stands between INSERT INTO and FORMAT, and a comment that others can find it by while it runs.
    pub(crate) async fn insert_as(
        &self,
        table: &str,
        into: &str,
        comment: &str,
        block: &Block,
        deadline: Instant,
    ) -> Result<()> {
        let mut retry = Retry::until(deadline);
        loop {
            match self.insert_once(into, comment, block).await {
                Ok(()) => return Ok(()),
                Err(error) => retry.after(table, error).await?,
            }
        }
    }

    async fn insert_once(
        &self,
        into: &str,
        comment: &str,
        block: &Block,
    ) -> std::result::Result<(), Error> {
        let mut insert = self
            .client
            .insert_native_unescaped(into)
            .with_setting("log_comment", comment)
            .with_timeouts(Some(self.answer_most), Some(self.answer_most));
        insert.write(block).await?;
        insert.end().await
    }

    async fn limited<T>(
        &self,
        work: impl Future<Output = std::result::Result<T, Error>>,
    ) -> std::result::Result<T, Error> {
        tokio::time::timeout(self.answer_most, work)
            .await
            .unwrap_or(Err(Error::TimedOut))
    }
}

/// Attempts at one thing, further and further apart.
struct Retry {
    deadline: Instant,
    pause: Duration,
}

impl Retry {
    const fn until(deadline: Instant) -> Self {
        Self {
            deadline,
            pause: RETRY_FIRST,
        }
    }

    /// Waits before the next attempt, or gives up.
    async fn after(&mut self, doing: &str, error: Error) -> Result<()> {
        let code = code(&error);
        let error = classed(doing, error);
        if !error.may_retry() || Instant::now() + self.pause > self.deadline {
            return Err(error);
        }
        telemetry::retried(NAME, &error, code);
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(RETRY_MOST);
        Ok(())
    }
}
