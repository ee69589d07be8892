//! Everything that `hostread up` runs in one process tree: engines, log, pipeline, doors.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use hostread_engines::Engines;
use hostread_engines::sql_door::{SqlDoorLimits, TenantOfKey, sql_door};
use hostread_job::{Clock, Running, Status};

use crate::config::Config;
use crate::demo::{SampleClock, sha256_hex};
use crate::parts::{self, Targets, doors};
use crate::say;
use crate::serve::{self, Servers};

/// Checks API keys by their hash.
pub(crate) struct Keys(Vec<(String, String)>);

impl Keys {
    /// Of every tenant.
    pub(crate) fn of(config: &Config) -> Self {
        let of_tenant = |tenant: &hostread_gateway::TenantConfig| {
            let name = tenant.name.clone();
            let hashes = tenant.api_key_sha256.clone();
            hashes.into_iter().map(move |hash| (hash, name.clone()))
        };
        Self(config.tenants.iter().flat_map(of_tenant).collect())
    }
}

impl TenantOfKey for Keys {
    fn tenant(&self, api_key: &str) -> Option<String> {
        let hash = sha256_hex(api_key);
        // Hashes are compared, so timing says nothing about a key.
        self.0
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(&hash))
            .map(|(_, tenant)| tenant.clone())
    }
}

/// Everything that runs.
pub(crate) struct Tree {
    pub(crate) gateway: String,
    pub(crate) sql: Option<String>,
    pub(crate) targets: Targets,
    pub(crate) status: Arc<Status>,
    engines: Option<Engines>,
    job: Running,
    servers: Servers,
    data_dir: PathBuf,
}

impl Tree {
    /// Starts it all. With a samples' clock, doors whose ports are taken move to free ones.
    pub(crate) async fn start(
        config: &Config,
        clock: Option<Arc<SampleClock>>,
        metrics: crate::Metrics,
    ) -> Result<Self> {
        let (gateway_listener, sql_listener) = if clock.is_some() {
            (
                serve::listen_or_move("gateway.listen", &config.gateway.listen).await?,
                serve::listen_or_move("sql.listen", &config.sql.listen).await?,
            )
        } else {
            (
                serve::listen("gateway.listen", &config.gateway.listen).await?,
                serve::listen("sql.listen", &config.sql.listen).await?,
            )
        };
        let log = parts::open_log(config).await?;
        let engines = parts::start_engines(config).await?;
        let targets = Targets::with(config, engines.as_ref())?;
        let job_clock = clock
            .clone()
            .map(|clock| Clock::Running(Arc::new(move || clock.now_ms())));
        let job = hostread_job::start(
            parts::job_config(config, job_clock),
            parts::job_parts(config, &log, &targets)?,
        )
        .await
        .context("starting the pipeline")?;
        let status = Arc::clone(&job.status);
        let door_clock = clock.map_or_else(doors::wall_clock, |clock| {
            Arc::new(move || clock.now_ms()) as hostread_gateway::Clock
        });
        let mut servers = Servers::new();
        let opened = doors::open(config, &log, door_clock, metrics, Some(Arc::clone(&status)));
        let gateway = serve::address(&gateway_listener)?;
        let (doors, stopped) = (opened.await?, servers.stopped());
        servers.spawn(async move { Ok(doors.serve(gateway_listener, stopped.wait()).await?) });
        let mut sql = None;
        if let Some(engines) = &engines {
            sql = Some(format!("{}/sql", serve::address(&sql_listener)?));
            let router = sql_door(
                engines.clickhouse.clone(),
                Arc::new(Keys::of(config)),
                SqlDoorLimits::default(),
            )?;
            servers.serve(sql_listener, router);
        }
        Ok(Self {
            gateway,
            sql,
            targets,
            status,
            engines,
            job,
            servers,
            data_dir: config.data_dir.clone(),
        })
    }

    /// Where everything is, ready to paste. `example`: a tenant and its API key.
    pub(crate) fn print_addresses(&self, example: Option<(&str, &str)>) {
        let (tenant, key) = example.unwrap_or(("TENANT", "YOUR_API_KEY"));
        say!(
            "\nRunning. Ctrl-C stops everything and loses nothing; the next start goes on where this one was.\n"
        );
        say!("  data         {}", self.data_dir.display());
        say!("  gateway      {}", self.gateway);
        say!("  health       {}/readyz/pipeline", self.gateway);
        say!("  metrics      {}/metrics", self.gateway);
        if let Some(sql) = &self.sql {
            say!("  ClickHouse   {sql}   (read-only, a tenant's own rows)");
            say!(
                "    curl -H 'Authorization: Bearer {key}' {sql} -d 'SELECT show, sum(downloads) FROM hostread.downloads_daily GROUP BY show FORMAT PrettyCompact'"
            );
        }
        if let Some(engines) = &self.engines {
            let url = &engines.postgres.url_reader;
            say!("  PostgreSQL   read-only, a tenant's own rows");
            say!(
                "    psql '{url}&options=-c%20hostread.tenant%3D{tenant}' -c 'SELECT * FROM hostread.pacing'"
            );
        }
    }

    /// Lets what is under way finish, then stops doors, pipeline and engines in this order.
    pub(crate) async fn stop(self) -> Result<()> {
        self.servers.stop().await;
        let stopped = self.job.stop().await;
        if let Some(engines) = self.engines {
            engines.stop().await;
        }
        stopped.map_err(|reason| anyhow::anyhow!("the pipeline stopped: {reason}"))
    }
}
