//! What is known of addresses: their class by ranges, network operator and country by databases, and how old that knowledge is.
//! Promises: the class is that of the ranges; a database says of operator and country what no earlier one said.
//! Leaves out: opening files.

use std::net::IpAddr;

use hostread_schemas::event::IpFacts;
use jiff::civil::Date;

use crate::ip::IpRanges;
use crate::ip_database::IpDatabase;

/// See the module.
#[derive(Debug, Default)]
pub struct Addresses {
    ranges: IpRanges,
    databases: Vec<IpDatabase>,
    dated: String,
}

impl From<IpRanges> for Addresses {
    fn from(ranges: IpRanges) -> Self {
        Self {
            ranges,
            ..Self::default()
        }
    }
}

impl Addresses {
    /// Ranges, databases in the order in which they are asked, and the dates of the files that ranges came from.
    #[must_use]
    pub fn new(ranges: IpRanges, databases: Vec<IpDatabase>, files: &[Date]) -> Self {
        let built = databases.iter().map(IpDatabase::built);
        let oldest = built.chain(files.iter().copied()).min();
        Self {
            dated: oldest.map(|date| date.to_string()).unwrap_or_default(),
            ranges,
            databases,
        }
    }

    /// The date of the oldest database or file of ranges; empty when there is none.
    #[must_use]
    pub fn dated(&self) -> &str {
        &self.dated
    }

    /// Adds to the hashes of an address what is known of it.
    pub(crate) fn say(&self, address: IpAddr, facts: IpFacts) -> IpFacts {
        let mut facts = IpFacts {
            class: self.ranges.class(address),
            dated: self.dated.clone(),
            ..facts
        };
        for database in &self.databases {
            if facts.asn != 0 && !facts.country.is_empty() {
                break;
            }
            let said = database.say(address);
            if facts.asn == 0 {
                facts.asn = said.asn;
            }
            if facts.country.is_empty() {
                facts.country = said.country;
            }
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;
    use crate::ip_database::tests::{EPOCH, Value, database};
    use hostread_schemas::event::IpClass;
    use jiff::civil::date;

    #[test]
    fn the_first_that_knows_says_it_and_the_oldest_dates_it() {
        let country = |code| Value::Map(vec![("country_code", Value::Text(code))]);
        let asn = |asn| ("asn", Value::Number(asn));
        let both = Value::Map(vec![asn(64_501), ("country_code", Value::Text("FR"))]);
        let first = database(&[(1, country("DE"))], EPOCH);
        let second = database(
            &[(1, both), (2, Value::Map(vec![asn(64_502)]))],
            EPOCH + 86_400,
        );
        let databases = [first, second].map(|bytes| IpDatabase::read(bytes).unwrap());
        let ranges = IpRanges::new([(IpClass::Vpn, "1.0.0.0/8")]).unwrap();
        let known = Addresses::new(ranges.clone(), databases.into(), &[date(2026, 11, 20)]);
        assert_eq!(known.dated(), "2026-11-01");
        let said = |first: u8| {
            let facts = known.say(IpAddr::from([first, 0, 2, 1]), IpFacts::default());
            (facts.class, facts.asn, facts.country, facts.dated)
        };
        let dated = || "2026-11-01".to_owned();
        assert_eq!(said(1), (IpClass::Vpn, 64_501, "DE".to_owned(), dated()));
        assert_eq!(
            said(2),
            (IpClass::Residential, 64_502, String::new(), dated())
        );
        let of_file = Addresses::new(ranges.clone(), Vec::new(), &[date(2026, 11, 20)]);
        assert_eq!(of_file.dated(), "2026-11-20");
        assert_eq!(Addresses::from(ranges).dated(), "");
    }
}
