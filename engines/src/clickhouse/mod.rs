//! The embedded ClickHouse: `clickhouse-local` from a shared library, in a confined child, HTTP behind a gate.
//! Needs: the npm package, secrets, a folder.    Promises: no TCP port; every request without the gate header is a 404;
//! acknowledged inserts are on disk.
//! Leaves out: tables (the sinks' migrations), people's queries (`sql_door`).

mod settings;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::access::{CLICKHOUSE_APP, GATE_HEADER, Secrets, write_private};
use crate::child::{ChildSpec, Death, Program, command};
use crate::error::EngineError;
use crate::http;
use crate::place::{Place, create_dir};
use crate::supervise::{Engine, last_lines, open_output, send};

pub(crate) use settings::{QUERY_BYTES_MAX, READER_SECONDS_MAX, Reader, Settings};

const NAME: &str = "ClickHouse";
const PACKAGE: &str = "@chdb/lib-linux-x64-gnu";
const LIBRARY: &str = "libchdb.so";
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
const PING_LIMIT: Duration = Duration::from_millis(500);

/// Keeps the server up; the clean stop ends it.
const KEEP_ALIVE: &str = "SELECT sleepEachRow(3) FROM numbers(1000000000) FORMAT Null SETTINGS max_block_size=1, max_threads=1";
const STOP: &str = "KILL QUERY WHERE user = '' AND query LIKE 'SELECT sleepEachRow(3)%' ASYNC";

/// Our databases: tables of the sinks, views for readers, progress and migrations.
pub const DATABASES: [&str; 3] = ["serving", "hostread", "internal"];

pub(crate) struct ClickHouse {
    pub(crate) launcher: PathBuf,
    pub(crate) library: PathBuf,
    pub(crate) place: Place,
    pub(crate) secrets: Secrets,
    pub(crate) settings: Settings,
}

/// The shared library in the npm package.
pub(crate) fn library(packages_dir: &Path) -> Result<PathBuf, EngineError> {
    let path = packages_dir
        .join("node_modules")
        .join(PACKAGE)
        .join(LIBRARY);
    if path.is_file() {
        Ok(path)
    } else {
        Err(EngineError::PackageMissing {
            package: PACKAGE,
            path,
        })
    }
}

impl ClickHouse {
    fn dir(&self) -> PathBuf {
        self.place.root.join("clickhouse")
    }

    fn config_dir(&self) -> PathBuf {
        self.place.root.join("clickhouse-config")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir().join("log/clickhouse.err.log")
    }

    /// Folders and configuration; written anew at every start.
    fn write_files(&self) -> Result<(), EngineError> {
        self.place.own_dir(&self.dir())?;
        for folder in ["data", "tmp", "user_files", "backups", "log"] {
            self.place.own_dir(&self.dir().join(folder))?;
        }
        self.place.own_dir(&self.config_dir())?;
        let users = self.config_dir().join("users.xml");
        let config = self.config_dir().join("config.xml");
        let text = settings::config_xml(&self.settings, &self.secrets, &self.dir(), &users);
        write_private(&config, text.as_bytes())?;
        let text = settings::users_xml(&self.settings, &self.secrets)?;
        write_private(&users, text.as_bytes())?;
        self.place.give(&config)?;
        self.place.give(&users)
    }

    /// Ends a server that outlived its parent; its lock on `status` goes with it.
    fn end_orphan(&self) {
        let Ok(status) = fs::read_to_string(self.dir().join("data/status")) else {
            return;
        };
        let pid = status.lines().find_map(|line| line.strip_prefix("PID: "));
        let Some(pid) = pid.and_then(|pid| pid.trim().parse::<i32>().ok()) else {
            return;
        };
        let config = self.config_dir().display().to_string();
        let its_command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if its_command.contains(&config) {
            tracing::warn!(pid, "ending a ClickHouse that outlived its parent");
            send(pid, Signal::SIGKILL);
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn query(&self, query: &str, limit: Duration) -> std::io::Result<(u16, String)> {
        let headers = [
            (GATE_HEADER, self.secrets.gate.as_str()),
            ("X-ClickHouse-User", CLICKHOUSE_APP),
            ("X-ClickHouse-Key", self.secrets.clickhouse_app.as_str()),
        ];
        http::request(self.secrets.clickhouse_port, "/", &headers, query, limit)
    }

    fn create_databases(&self) -> Result<(), EngineError> {
        for database in DATABASES {
            let statement = format!("CREATE DATABASE IF NOT EXISTS {database} ENGINE = Atomic");
            let refused = |reason| EngineError::Refused {
                engine: NAME,
                action: "to create a database",
                reason,
            };
            match self.query(&statement, REQUEST_LIMIT) {
                Ok((200, _)) => {}
                Ok((_, reason)) => return Err(refused(reason)),
                Err(error) => return Err(refused(error.to_string())),
            }
        }
        Ok(())
    }
}

impl Engine for ClickHouse {
    fn name(&self) -> &'static str {
        NAME
    }

    fn prepare(&mut self) -> Result<Command, EngineError> {
        self.end_orphan();
        self.write_files()?;
        let arguments = [
            "--config-file",
            &self.config_dir().join("config.xml").display().to_string(),
            "--log-level",
            "warning",
            "--query",
            "SYSTEM START LISTEN HTTP",
            "--query",
            KEEP_ALIVE,
        ];
        let spec = ChildSpec {
            parent: i32::try_from(std::process::id()).unwrap_or(i32::MAX),
            user: ChildSpec::user(self.place.run_as),
            death: Death::Kill,
            read_write: vec![self.dir()],
            read_only: [ChildSpec::system_files(), vec![self.config_dir()]].concat(),
            port: self.secrets.clickhouse_port,
            program: Program::ClickHouse {
                library: self.library.clone(),
                arguments: arguments.map(str::to_owned).to_vec(),
            },
        };
        create_dir(&self.place.root, 0o755)?;
        let (out, err) = open_output(&self.output())?;
        let mut command = command(&self.launcher, &spec).map_err(|source| EngineError::Spawn {
            engine: NAME,
            source,
        })?;
        command
            .current_dir(self.dir())
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err);
        Ok(command)
    }

    fn ready(&self, _pid: i32) -> bool {
        let ping = http::request(self.secrets.clickhouse_port, "/ping", &[], "", PING_LIMIT);
        if !matches!(ping, Ok((200, _))) {
            return false;
        }
        match self.create_databases() {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, "ClickHouse answers but is not ready");
                false
            }
        }
    }

    fn start_limit(&self) -> Duration {
        Duration::from_mins(1)
    }

    fn ask_to_stop(&self, _pid: i32) {
        if let Err(error) = self.query(STOP, REQUEST_LIMIT) {
            tracing::debug!(%error, "ClickHouse did not take the request to stop");
        }
    }

    fn stop_limit(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn output(&self) -> PathBuf {
        self.place.root.join("clickhouse.out")
    }

    fn not_ready(&self, reason: String) -> EngineError {
        let reason = format!("{reason}; {}", last_lines(&self.output()));
        EngineError::NotReady {
            engine: NAME,
            reason,
            log: self.log(),
        }
    }
}
