//! How to reach PostgreSQL.

use hostread_sink_kit::{Result, SinkError};
use sqlx::postgres::PgConnectOptions;

use crate::NAME;

/// How to reach PostgreSQL.
#[derive(Clone)]
pub struct PostgresConfig {
    /// URL of the role that owns the database and runs migrations.
    pub url_owner: String,
    /// URL of the role `hostread_sink`, which writes rows.
    pub url_sink: String,
    /// How long a statement may take. Range 1 to 60.
    pub statement_secs_max: u32,
    /// How long a range is retried before the caller hears of it. Range 0 to 60.
    pub retry_secs_max: u32,
}

impl PostgresConfig {
    /// The defaults: statements of at most 10 s, retries for 5 s.
    #[must_use]
    pub fn new(url_owner: &str, url_sink: &str) -> Self {
        Self {
            url_owner: url_owner.to_owned(),
            url_sink: url_sink.to_owned(),
            statement_secs_max: 10,
            retry_secs_max: 5,
        }
    }

    /// Is it usable? No I/O.
    pub fn validate(&self) -> Result<()> {
        self.options("url_owner", &self.url_owner)?;
        self.options("url_sink", &self.url_sink)?;
        if !(1..=60).contains(&self.statement_secs_max) {
            return Err(wrong(
                "statement_secs_max",
                "the range is 1 to 60".to_owned(),
            ));
        }
        if self.retry_secs_max > 60 {
            return Err(wrong("retry_secs_max", "the range is 0 to 60".to_owned()));
        }
        Ok(())
    }

    pub(crate) fn options(&self, setting: &'static str, url: &str) -> Result<PgConnectOptions> {
        // The parser's own words may hold the URL and so the password.
        let options: PgConnectOptions = url
            .parse()
            .map_err(|_| wrong(setting, "it is not a URL of PostgreSQL".to_owned()))?;
        let seconds = self.statement_secs_max;
        Ok(options.application_name("hostread sink").options([
            ("statement_timeout", format!("{seconds}s")),
            // A former owner's transaction must not hold the progress for long.
            ("lock_timeout", format!("{seconds}s")),
            ("idle_in_transaction_session_timeout", format!("{seconds}s")),
        ]))
    }
}

fn wrong(setting: &'static str, reason: String) -> SinkError {
    SinkError::Setting {
        sink: NAME,
        setting,
        reason,
    }
}

impl std::fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresConfig").finish_non_exhaustive()
    }
}
