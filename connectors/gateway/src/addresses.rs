//! Opens what the settings name of addresses: files of networks, databases.
//! Promises: a file that cannot be used is named with its line; nothing of it is used then.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use hostread_connectors_kit::{Addresses, IpDatabase, IpDatabaseError, IpRangeError, IpRanges};
use hostread_schemas::event::IpClass;
use hostread_schemas::unit::EventTimeMs;
use jiff::Timestamp;
use jiff::civil::Date;

use crate::config::{GatewayConfig, class};
use crate::server::GatewayError;

/// Bytes of a database, which is held in memory.
const DATABASE_BYTES_MAX: u64 = 1 << 30;
/// Bytes of a file of networks.
const RANGES_BYTES_MAX: u64 = 64 << 20;

/// Why a file of networks, or a database, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AddressesError {
    /// It cannot be read.
    #[error("could not read it")]
    Read(#[from] io::Error),
    /// More than is held in memory.
    #[error("it is larger than {max} bytes")]
    TooLarge {
        /// How many it may have.
        max: u64,
    },
    /// Not text.
    #[error("it is not UTF-8")]
    Text,
    /// A line that is no network.
    #[error("line {line}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong.
        source: IpRangeError,
    },
    /// Too many networks.
    #[error("its networks cannot be used")]
    Ranges(#[from] IpRangeError),
    /// No database.
    #[error("it {0}")]
    Database(#[from] IpDatabaseError),
}

/// Reads the files of networks and the databases that the settings name. Blocks.
pub fn open(config: &GatewayConfig) -> Result<Addresses, GatewayError> {
    let mut files = Vec::new();
    for (word, paths) in &config.ip_range_files {
        let class = class(word)?;
        for path in paths {
            let (text, date) = networks(path).map_err(|source| named(path, source))?;
            files.push((class, path, text, date));
        }
    }
    let mut databases = Vec::new();
    for path in &config.ip_databases {
        databases.push(database(path).map_err(|source| named(path, source))?);
    }
    let mut all: Vec<(IpClass, &str)> = config.ranges()?;
    for (class, path, text, _) in &files {
        for (line, network) in lines(text) {
            // Each by itself first, so that the line can be told.
            let checked = IpRanges::new([(*class, network)]);
            checked.map_err(|source| named(path, AddressesError::Line { line, source }))?;
            all.push((*class, network));
        }
    }
    let ranges = IpRanges::new(all).map_err(crate::ConfigError::from)?;
    let dates: Vec<Date> = files.iter().map(|(.., date)| *date).collect();
    Ok(Addresses::new(ranges, databases, &dates))
}

fn named(path: &Path, source: AddressesError) -> GatewayError {
    let path = path.display().to_string();
    GatewayError::Addresses { path, source }
}

/// The first field of each line that is neither empty nor a comment, with the line's number.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(text.lines());
    let fields = lines.map(|(number, line)| {
        let line = line.split('#').next().unwrap_or_default();
        (number, line.split(',').next().unwrap_or_default().trim())
    });
    fields.filter(|(_, network)| !network.is_empty())
}

fn networks(path: &Path) -> Result<(String, Date), AddressesError> {
    let file = File::open(path)?;
    let changed = Timestamp::try_from(file.metadata()?.modified()?).unwrap_or_default();
    let text =
        String::from_utf8(read(file, RANGES_BYTES_MAX)?).map_err(|_| AddressesError::Text)?;
    let date = EventTimeMs(changed.as_millisecond()).day().date();
    Ok((text, date))
}

fn database(path: &Path) -> Result<IpDatabase, AddressesError> {
    let bytes = read(File::open(path)?, DATABASE_BYTES_MAX)?;
    Ok(IpDatabase::read(bytes)?)
}

fn read(file: File, max: u64) -> Result<Vec<u8>, AddressesError> {
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(AddressesError::TooLarge { max });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;
    use std::collections::BTreeMap;
    use std::error::Error;
    use std::path::PathBuf;

    fn database_file() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../kit/fixtures/addresses.mmdb")
    }

    fn config(files: &[&Path], databases: &[&Path]) -> GatewayConfig {
        let owned = |paths: &[&Path]| paths.iter().map(|path| path.to_path_buf()).collect();
        GatewayConfig {
            ip_range_files: BTreeMap::from([("relay".to_owned(), owned(files))]),
            ip_databases: owned(databases),
            ..GatewayConfig::default()
        }
    }

    /// The message with its causes.
    fn why(config: &GatewayConfig) -> String {
        let error = open(config).unwrap_err();
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }

    #[test]
    fn the_oldest_file_dates_what_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let relays = dir.path().join("relays.csv");
        let lines = "# exits\n\n192.0.2.0/25,DE,DE-BE,Berlin,\n2001:db8::/32 # all\n";
        std::fs::write(&relays, lines).unwrap();
        let known = open(&config(&[&relays], &[&database_file()])).unwrap();
        assert_eq!(known.dated(), "2026-11-01", "the database is older");
        let known = open(&config(&[&relays], &[])).unwrap();
        assert!(known.dated() > "2026-11-01", "{}", known.dated());
        assert_eq!(open(&config(&[], &[])).unwrap().dated(), "");
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let bad = dir.path().join("bad.txt");
        std::fs::write(&bad, "192.0.2.0/24\nnowhere\n").unwrap();
        let said = why(&config(&[&bad], &[]));
        assert!(
            said.contains("bad.txt cannot be used: line 2: \"nowhere\""),
            "{said}"
        );
        let said = why(&config(&[], &[&bad]));
        assert!(
            said.contains("bad.txt cannot be used: it is no database"),
            "{said}"
        );
        let said = why(&config(&[], &[&dir.path().join("none.mmdb")]));
        assert!(
            said.contains("none.mmdb cannot be used: could not read it"),
            "{said}"
        );
        std::fs::write(&bad, [0xFF, 0xFE]).unwrap();
        assert!(why(&config(&[&bad], &[])).contains("not UTF-8"));
    }
}
