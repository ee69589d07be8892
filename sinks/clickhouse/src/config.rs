//! How to reach ClickHouse, and what to keep there.

use hostread_sink_kit::{Result, SinkError};

use crate::NAME;

/// How to reach ClickHouse, and what to keep there. The same for the embedded one and for a cluster's HTTP interface.
#[derive(Clone)]
pub struct ClickHouseConfig {
    /// Base URL of the HTTP interface.
    pub url: String,
    /// User with full rights on `serving`, `hostread` and `internal`.
    pub user: String,
    /// Its password.
    pub password: String,
    /// Headers of every request: the embedded ClickHouse answers only where its gate header is set.
    pub headers: Vec<(String, String)>,
    /// Days that a verdict is kept after its day by the server's clock; `None`: for ever.
    pub verdict_days_kept: Option<u32>,
    /// An insert ends by itself after so long, so that a former owner's cannot come much later. Range 1 to 60.
    pub insert_secs_max: u32,
    /// How long a range is retried before the caller hears of it. Range 0 to 60.
    pub retry_secs_max: u32,
}

impl ClickHouseConfig {
    /// The defaults: verdicts for 90 days, inserts of at most 10 s, retries for 5 s.
    #[must_use]
    pub fn new(url: &str, user: &str, password: &str) -> Self {
        Self {
            url: url.to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
            headers: Vec::new(),
            verdict_days_kept: Some(90),
            insert_secs_max: 10,
            retry_secs_max: 5,
        }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Is it usable? No I/O.
    pub fn validate(&self) -> Result<()> {
        let wrong = |setting, reason: &str| {
            Err(SinkError::Setting {
                sink: NAME,
                setting,
                reason: reason.to_owned(),
            })
        };
        if !self.url.starts_with("http://") {
            return wrong("url", "it begins with http://");
        }
        if !(1..=60).contains(&self.insert_secs_max) {
            return wrong("insert_secs_max", "the range is 1 to 60");
        }
        if self.retry_secs_max > 60 {
            return wrong("retry_secs_max", "the range is 0 to 60");
        }
        if self.verdict_days_kept == Some(0) {
            return wrong("verdict_days_kept", "at least one day is kept");
        }
        Ok(())
    }
}

impl std::fmt::Debug for ClickHouseConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClickHouseConfig")
            .field("url", &self.url)
            .field("verdict_days_kept", &self.verdict_days_kept)
            .finish_non_exhaustive()
    }
}
