//! How to reach the engines, and the secrets behind it.
//! Needs: a data folder of the owner.    Promises: secrets are random, made once, kept in a file only the owner reads.
//! Leaves out: handing anything to a tenant; people use the SQL door.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::EngineError;

const FILE_NAME: &str = "access.json";

/// How our own processes reach ClickHouse.
#[derive(Clone, Serialize, Deserialize)]
pub struct ClickHouseAccess {
    /// Base URL of the HTTP interface, on loopback.
    pub url: String,
    /// Header name and value without which every request is a 404.
    pub gate_header: (String, String),
    /// The user with full rights on `serving`, `hostread` and `internal`.
    pub user: String,
    /// Its password.
    pub password: String,
    /// From this secret the passwords of the read-only users are derived.
    pub(crate) reader_secret: String,
}

/// How our own processes reach PostgreSQL.
#[derive(Clone, Serialize, Deserialize)]
pub struct PostgresAccess {
    /// Loopback address.
    pub host: String,
    /// Port; the same after a restart when it is still free.
    pub port: u16,
    /// Owns the database and runs migrations.
    pub url_owner: String,
    /// Writes rows; subject to row-level security.
    pub url_sink: String,
    /// Reads rows of one tenant at a time.
    pub url_reader: String,
}

impl std::fmt::Debug for ClickHouseAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClickHouseAccess")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for PostgresAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresAccess")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl ClickHouseAccess {
    /// Name and password of a tenant's read-only user.
    pub fn reader(&self, tenant: &str) -> (String, String) {
        (reader_user(tenant), derive(&self.reader_secret, tenant))
    }
}

/// The access data of one data folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Access {
    /// ClickHouse.
    pub clickhouse: ClickHouseAccess,
    /// PostgreSQL.
    pub postgres: PostgresAccess,
}

impl Access {
    /// Reads what the process that runs the engines of `data_dir` wrote, for another process of the same owner.
    pub fn load(data_dir: &Path) -> Result<Self, EngineError> {
        Ok(Secrets::load(data_dir)?.access())
    }
}

/// Everything that is random or chosen once per data folder.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Secrets {
    pub(crate) gate: String,
    pub(crate) clickhouse_app: String,
    pub(crate) clickhouse_readers: String,
    pub(crate) clickhouse_port: u16,
    pub(crate) postgres_super: String,
    pub(crate) postgres_owner: String,
    pub(crate) postgres_sink: String,
    pub(crate) postgres_reader: String,
    pub(crate) postgres_port: u16,
}

pub(crate) const GATE_HEADER: &str = "x-hostread-gate";
pub(crate) const CLICKHOUSE_APP: &str = "hostread_app";
pub(crate) const POSTGRES_DATABASE: &str = "hostread";

pub(crate) fn reader_user(tenant: &str) -> String {
    format!("reader_{tenant}")
}

impl Secrets {
    fn load(data_dir: &Path) -> Result<Self, EngineError> {
        let path = data_dir.join(FILE_NAME);
        let text = fs::read(&path).map_err(EngineError::file("read", &path))?;
        serde_json::from_slice(&text).map_err(|source| EngineError::Access { path, source })
    }

    /// The stored secrets, or new ones; ports that are taken are replaced. True if they are new.
    pub(crate) fn load_or_create(data_dir: &Path) -> Result<(Self, bool), EngineError> {
        let new = !data_dir.join(FILE_NAME).exists();
        let mut secrets = if new {
            Self::random()?
        } else {
            Self::load(data_dir)?
        };
        secrets.postgres_port = keep_or_choose_port(secrets.postgres_port)?;
        secrets.clickhouse_port = loop {
            let port = keep_or_choose_port(secrets.clickhouse_port)?;
            if port != secrets.postgres_port {
                break port;
            }
            secrets.clickhouse_port = 0;
        };
        secrets.save(data_dir)?;
        Ok((secrets, new))
    }

    fn random() -> Result<Self, EngineError> {
        Ok(Self {
            gate: random_hex()?,
            clickhouse_app: random_hex()?,
            clickhouse_readers: random_hex()?,
            clickhouse_port: 0,
            postgres_super: random_hex()?,
            postgres_owner: random_hex()?,
            postgres_sink: random_hex()?,
            postgres_reader: random_hex()?,
            postgres_port: 0,
        })
    }

    fn save(&self, data_dir: &Path) -> Result<(), EngineError> {
        let path = data_dir.join(FILE_NAME);
        let text = serde_json::to_vec_pretty(self).map_err(|source| EngineError::Access {
            path: path.clone(),
            source,
        })?;
        write_private(&path, &text)
    }

    pub(crate) fn access(&self) -> Access {
        let url = |user: &str, password: &str| {
            format!(
                "postgres://{user}:{password}@127.0.0.1:{}/{POSTGRES_DATABASE}?sslmode=disable",
                self.postgres_port
            )
        };
        Access {
            clickhouse: ClickHouseAccess {
                url: format!("http://127.0.0.1:{}", self.clickhouse_port),
                gate_header: (GATE_HEADER.to_owned(), self.gate.clone()),
                user: CLICKHOUSE_APP.to_owned(),
                password: self.clickhouse_app.clone(),
                reader_secret: self.clickhouse_readers.clone(),
            },
            postgres: PostgresAccess {
                host: "127.0.0.1".to_owned(),
                port: self.postgres_port,
                url_owner: url("hostread_owner", &self.postgres_owner),
                url_sink: url("hostread_sink", &self.postgres_sink),
                url_reader: url("hostread_reader", &self.postgres_reader),
            },
        }
    }

    pub(crate) fn reader_password(&self, tenant: &str) -> String {
        derive(&self.clickhouse_readers, tenant)
    }
}

/// Writes a file that only its owner can read, whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    let partial = path.with_extension("partial");
    if let Err(error) = fs::remove_file(&partial)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(EngineError::file("remove", &partial)(error));
    }
    let write = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().map_err(EngineError::file("write", path))
}

fn keep_or_choose_port(wanted: u16) -> Result<u16, EngineError> {
    let bound = TcpListener::bind(("127.0.0.1", wanted))
        .or_else(|_| TcpListener::bind(("127.0.0.1", 0)))
        .and_then(|listener| listener.local_addr());
    bound
        .map(|address| address.port())
        .map_err(EngineError::file("bind a port for", "127.0.0.1"))
}

pub(crate) fn random_hex() -> Result<String, EngineError> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0_u8; 32];
    fs::File::open(path)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(EngineError::file("read", path))?;
    Ok(hex(&bytes))
}

pub(crate) fn sha256_hex(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

fn derive(secret: &str, tenant: &str) -> String {
    sha256_hex(&format!("{secret}\0{tenant}"))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn secrets_are_private_and_survive() {
        let dir = tempfile::tempdir().unwrap();
        let (first, new) = Secrets::load_or_create(dir.path()).unwrap();
        assert!(new);
        let mode = fs::metadata(dir.path().join(FILE_NAME))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let (second, new) = Secrets::load_or_create(dir.path()).unwrap();
        assert!(!new);
        assert_eq!(first.gate, second.gate);
        assert_eq!(first.postgres_port, second.postgres_port);
        assert_eq!(
            Access::load(dir.path()).unwrap().clickhouse.url,
            first.access().clickhouse.url
        );
    }

    #[test]
    fn a_taken_port_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (first, _) = Secrets::load_or_create(dir.path()).unwrap();
        let held = TcpListener::bind(("127.0.0.1", first.postgres_port)).unwrap();
        let (second, _) = Secrets::load_or_create(dir.path()).unwrap();
        assert_ne!(second.postgres_port, first.postgres_port);
        drop(held);
    }

    #[test]
    fn readers_of_two_tenants_have_two_passwords_and_debug_shows_none() {
        let access = Secrets::random().unwrap().access();
        let (one, two) = (access.clickhouse.reader("a"), access.clickhouse.reader("b"));
        assert_ne!(one, two);
        let shown = format!("{access:?}");
        assert!(!shown.contains(&access.clickhouse.password) && !shown.contains(&one.1));
    }
}
