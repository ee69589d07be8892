//! Networks of lists as a tenant's requests have them: hashes under its key.
//! Promises: a request's address is in a network exactly when its hashes are among these. Leaves out: days, which a request has.

use std::sync::Arc;

use anyhow::{Result, bail};
use hostread_connectors_kit::{
    Addresses, IpRangeError, Kept, Pseudonymizer, TenantKey, kept, nets,
};
use hostread_gateway::TenantConfig;
use hostread_rules::Document;
use hostread_rules::document::DocumentError;
use hostread_schemas::event::{Hash64, Included};

fn pseudonyms(parameter: &str, tenant: Option<&TenantConfig>) -> Result<Pseudonymizer> {
    let Some(tenant) = tenant else {
        let why =
            "networks are hashed under the tenant's key, and the settings hold none of this tenant";
        bail!(DocumentError::of(parameter, why));
    };
    let key = TenantKey::from_hex(&tenant.hash_key)?;
    Ok(Pseudonymizer::new(&key, Arc::new(Addresses::default())))
}

/// Networks that no person listens from.
pub(crate) fn nonhuman(ranges: &[String], tenant: Option<&TenantConfig>) -> Result<Vec<Hash64>> {
    const PARAMETER: &str = "data_centres";
    if ranges.is_empty() {
        return Ok(Vec::new());
    }
    let pseudonyms = pseudonyms(PARAMETER, tenant)?;
    let mut hashes = Vec::new();
    for range in ranges {
        let of = nets(range).map_err(|error| DocumentError::of(PARAMETER, error.to_string()))?;
        hashes.extend(of.into_iter().map(|first| pseudonyms.address(first).net));
    }
    Ok(hashes)
}

fn told(error: &IpRangeError) -> DocumentError {
    DocumentError::of("inclusion", error.to_string())
}

/// Can each network of the inclusion list be told by what is kept of an address?
pub(crate) fn check_inclusion(document: &Document) -> Result<(), DocumentError> {
    let mut entries = document.inclusion.iter();
    entries.try_for_each(|entry| kept(&entry.range).map(drop).map_err(|error| told(&error)))
}

/// The inclusion list, entry by entry.
pub(crate) fn included(
    document: &Document,
    tenant: Option<&TenantConfig>,
) -> Result<Vec<Included>> {
    if document.inclusion.is_empty() {
        return Ok(Vec::new());
    }
    let pseudonyms = pseudonyms("inclusion", tenant)?;
    let mut included = Vec::new();
    for entry in &document.inclusion {
        let Kept { nets, addresses } = kept(&entry.range).map_err(|error| told(&error))?;
        let nets = nets.into_iter().map(|first| pseudonyms.address(first).net);
        let addresses = addresses.into_iter();
        included.push(Included {
            from: entry.when.clone(),
            expires: entry.expires.clone(),
            nets: nets.collect(),
            addresses: addresses
                .map(|address| pseudonyms.address(address).star)
                .collect(),
        });
    }
    Ok(included)
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use std::collections::BTreeMap;

    use hostread_rules::document::{Inclusion, shipped};

    use super::*;

    pub(crate) fn tenant() -> TenantConfig {
        TenantConfig {
            name: "north".to_owned(),
            api_key_sha256: Vec::new(),
            public_key: String::new(),
            hash_key: "0b".repeat(32),
            connections: BTreeMap::new(),
            prefixes: BTreeMap::new(),
        }
    }

    fn of_door() -> impl Fn(&str) -> hostread_schemas::event::IpFacts {
        let key = TenantKey::from_hex(&tenant().hash_key).unwrap();
        let pseudonyms = Pseudonymizer::new(&key, Arc::new(Addresses::default()));
        move |address| pseudonyms.address_text(address).unwrap()
    }

    #[test]
    fn networks_are_hashed_as_those_of_requests() {
        let (tenant, of) = (tenant(), of_door());
        let ranges = ["192.0.2.0/23".to_owned(), "2001:db8:dc::/48".to_owned()];
        let hashes = nonhuman(&ranges, Some(&tenant)).unwrap();
        let expected = ["192.0.2.9", "192.0.3.1", "2001:db8:dc:1::1"];
        assert_eq!(hashes, expected.map(|address| of(address).net));
        assert_eq!(nonhuman(&[], None).unwrap(), []);
        let why = nonhuman(&ranges, None).unwrap_err().to_string();
        assert!(
            why.starts_with("parameters.data_centres: networks are hashed"),
            "{why}"
        );
        let fine = nonhuman(&["192.0.2.0/25".to_owned()], Some(&tenant));
        let fine = fine.unwrap_err().to_string();
        assert!(fine.contains("whole /24"), "{fine}");
    }

    #[test]
    fn an_inclusion_is_hashed_whole_or_address_by_address() {
        let (tenant, of) = (tenant(), of_door());
        let with = |ranges: &[&str]| {
            let mut document = shipped("2.3").unwrap();
            let entry = |range: &&str| Inclusion {
                range: (*range).to_owned(),
                who: "A. Example".to_owned(),
                when: "2026-11-01".to_owned(),
                evidence: "a letter".to_owned(),
                expires: "2026-12-01".to_owned(),
            };
            document.inclusion = ranges.iter().map(entry).collect();
            document
        };
        let document = with(&["192.0.2.0/24", "198.51.100.6/31"]);
        check_inclusion(&document).unwrap();
        let made = included(&document, Some(&tenant)).unwrap();
        let dated = |nets: Vec<Hash64>, addresses: Vec<Hash64>| Included {
            from: "2026-11-01".to_owned(),
            expires: "2026-12-01".to_owned(),
            nets,
            addresses,
        };
        let (six, seven) = (of("198.51.100.6").star, of("198.51.100.7").star);
        let expected = [
            dated(vec![of("192.0.2.77").net], Vec::new()),
            dated(Vec::new(), vec![six, seven]),
        ];
        assert_eq!(made, expected);
        assert_eq!(included(&with(&[]), None).unwrap(), []);
        let why = included(&document, None).unwrap_err().to_string();
        assert!(why.starts_with("parameters.inclusion: networks"), "{why}");
        let fine = with(&["192.0.2.0/24", "2001:db8::1"]);
        let why = check_inclusion(&fine).unwrap_err().to_string();
        assert!(why.contains("finer than a /64"), "{why}");
        assert!(included(&fine, Some(&tenant)).is_err());
    }
}
