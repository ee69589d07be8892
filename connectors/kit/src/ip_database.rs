//! Databases of addresses in MaxMind's format, as an operator mounts them: which network operator an address is of, and where.
//! Needs: a database as bytes, with records nested as MaxMind's own (`country.iso_code`, `autonomous_system_number`) or flat
//! (`country_code`, `asn`). Promises: a record that is damaged says nothing; no input makes it panic.
//! Leaves out: classes of addresses, which ranges say (`ip`).

use std::net::IpAddr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use maxminddb::{MaxMindDbError, Reader};
use serde::Deserialize;

/// A file that is no such database.
#[derive(Debug, thiserror::Error)]
pub enum IpDatabaseError {
    /// It cannot be read.
    #[error("is no database in MaxMind's format")]
    Format(#[from] MaxMindDbError),
    /// It does not say when it was built, so that no event could say what its facts rest on.
    #[error("says no date on which it was built")]
    Undated,
}

/// A database, by its bytes.
#[derive(Debug)]
pub struct IpDatabase {
    reader: Reader<Vec<u8>>,
    built: Date,
}

/// What one database says of an address; what it does not say is 0 or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) asn: u32,
    pub(crate) country: String,
}

/// The fields of either form; every other field is passed over.
#[derive(Deserialize)]
struct Record<'a> {
    autonomous_system_number: Option<Asn<'a>>,
    asn: Option<Asn<'a>>,
    #[serde(borrow)]
    country: Option<Country<'a>>,
    #[serde(borrow)]
    registered_country: Option<Country<'a>>,
    country_code: Option<&'a str>,
    country_iso_code: Option<&'a str>,
}

/// Nested, or the code itself.
#[derive(Deserialize)]
#[serde(untagged)]
enum Country<'a> {
    Nested { iso_code: Option<&'a str> },
    Code(&'a str),
}

/// A number, or text such as `AS64500`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Asn<'a> {
    Number(u32),
    Text(&'a str),
}

impl Asn<'_> {
    fn number(&self) -> Option<u32> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.strip_prefix("AS").unwrap_or(text).parse().ok(),
        }
    }
}

impl IpDatabase {
    /// Reads a database.
    pub fn read(bytes: Vec<u8>) -> Result<Self, IpDatabaseError> {
        let reader = Reader::from_source(bytes)?;
        let epoch = i64::try_from(reader.metadata().build_epoch).unwrap_or(i64::MAX);
        let built = Timestamp::from_second(epoch).ok().filter(|_| epoch > 0);
        let built = built.ok_or(IpDatabaseError::Undated)?;
        let built = built.to_zoned(TimeZone::UTC).date();
        Ok(Self { reader, built })
    }

    /// The date on which it was built.
    #[must_use]
    pub const fn built(&self) -> Date {
        self.built
    }

    /// What it says of an address.
    pub(crate) fn say(&self, address: IpAddr) -> Said {
        let record = self.reader.lookup(address).ok();
        let record = record.and_then(|found| found.decode::<Record<'_>>().ok().flatten());
        let Some(record) = record else {
            return Said::default();
        };
        let asn = record.autonomous_system_number.or(record.asn);
        let nested = |country: Option<Country<'_>>| match country {
            Some(Country::Nested { iso_code }) => iso_code.map(str::to_owned),
            Some(Country::Code(code)) => Some(code.to_owned()),
            None => None,
        };
        let flat = record.country_code.or(record.country_iso_code);
        let country = nested(record.country)
            .or_else(|| flat.map(str::to_owned))
            .or_else(|| nested(record.registered_country));
        Said {
            asn: asn.and_then(|asn| asn.number()).unwrap_or(0),
            country: country.filter(|code| is_code(code)).unwrap_or_default(),
        }
    }
}

/// As events have it: two upper-case letters.
fn is_code(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
pub(crate) mod tests;
