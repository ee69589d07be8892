//! Personal data to keyed hashes, under the tenant's own key.
//! Promises: the same address gives the same hash within a tenant and an unrelated one in another tenant; without the key a hash
//! cannot be tried against all addresses.    Leaves out: what is known of addresses (`addresses`).
//! Invariant 1: IP* is IPv4 whole, IPv6 its first 64 bits, an IPv4-mapped IPv6 address the IPv4 address.
//! Invariant 2: no hash is 0, which means "none".

use std::fmt;
use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use hostread_schemas::event::{Hash64, IpFacts};
use sha2::Sha256;

use crate::addresses::Addresses;
use crate::ip::{canonical, first_64, parse_address};
use crate::signature::{hmac_sha256, unhex};

/// A tenant's secret. Never shown, never logged; hashes made under another key match nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct TenantKey([u8; 32]);

/// A key that is not 64 hexadecimal digits.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a tenant key is 64 hexadecimal digits (32 bytes)")]
pub struct TenantKeyError;

impl TenantKey {
    /// From raw bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// From 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, TenantKeyError> {
        let bytes = unhex(text.trim()).ok_or(TenantKeyError)?;
        bytes.try_into().map(Self).map_err(|_| TenantKeyError)
    }

    /// A key for another purpose, so that no two purposes share one.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        hmac_sha256(&self.0, &[b"hostread derive v1 ", purpose.as_bytes()])
    }
}

impl fmt::Debug for TenantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TenantKey")
    }
}

/// Hashes the personal data of one tenant.
#[derive(Clone)]
pub struct Pseudonymizer {
    mac: Hmac<Sha256>,
    addresses: std::sync::Arc<Addresses>,
}

impl fmt::Debug for Pseudonymizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pseudonymizer")
    }
}

impl Pseudonymizer {
    /// Under a tenant's key, with what is known of addresses.
    #[must_use]
    pub fn new(key: &TenantKey, addresses: std::sync::Arc<Addresses>) -> Self {
        let mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("HMAC takes a key of any length");
        Self { mac, addresses }
    }

    fn hash(&self, tag: &[u8], bytes: &[u8]) -> Hash64 {
        let mut mac = self.mac.clone();
        mac.update(tag);
        mac.update(bytes);
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Hash64(u64::from_be_bytes(first).max(1))
    }

    /// What is kept of an address.
    #[must_use]
    pub fn address(&self, address: IpAddr) -> IpFacts {
        let address = canonical(address);
        let (star, net) = match address {
            IpAddr::V4(v4) => {
                let octets = v4.octets();
                (
                    self.hash(b"ip4*", &octets),
                    self.hash(b"ip4/24", &octets[..3]),
                )
            }
            IpAddr::V6(v6) => {
                let first = first_64(v6);
                (
                    self.hash(b"ip6*", &first),
                    self.hash(b"ip6/48", &first[..6]),
                )
            }
        };
        let hashes = IpFacts {
            star,
            net,
            ..IpFacts::default()
        };
        self.addresses.say(address, hashes)
    }

    /// What is kept of an address given as text; `None` when it is none.
    #[must_use]
    pub fn address_text(&self, text: &str) -> Option<IpFacts> {
        parse_address(text).map(|address| self.address(address))
    }

    /// A shop's customer by its own id, or by an e-mail address, whose case says nothing.
    #[must_use]
    pub fn customer(&self, text: &str) -> Option<Hash64> {
        let text = text.trim();
        if text.contains('@') {
            return Some(self.hash(b"email", text.to_lowercase().as_bytes()));
        }
        (!text.is_empty()).then(|| self.hash(b"customer", text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;
    use std::sync::Arc;

    fn under(byte: u8) -> Pseudonymizer {
        Pseudonymizer::new(&TenantKey::new([byte; 32]), Arc::new(Addresses::default()))
    }

    #[test]
    fn ip_star() {
        let tenant = under(1);
        let of = |text: &str| tenant.address_text(text).unwrap();
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1").star, of("192.0.2.2").star);
        assert_eq!(of("192.0.2.1").net, of("192.0.2.2").net);
        assert_ne!(of("192.0.2.1").net, of("192.0.3.1").net);
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1").star, of("2001:db8:1:3::1").star);
        assert_eq!(of("2001:db8:1:2::1").net, of("2001:db8:1:3::1").net);
        assert_ne!(of("2001:db8:1::1").net, of("2001:db8:2::1").net);
    }

    #[test]
    fn customers() {
        let tenant = under(1);
        let of = |text: &str| tenant.customer(text);
        assert_eq!(of(" Ana@Example.com"), of("ana@example.com"));
        assert_eq!(of(" cus_Ab\n"), of("cus_Ab"));
        assert_ne!(of("cus_Ab"), of("cus_aB"), "an id is not an address");
        assert_eq!(of(" "), None);
    }

    #[test]
    fn tenants_are_unrelated() {
        assert_ne!(
            under(1).address_text("192.0.2.1"),
            under(2).address_text("192.0.2.1")
        );
        assert_ne!(under(1).customer("a@b.c"), under(2).customer("a@b.c"));
    }

    #[test]
    fn hashes_stay_as_released() {
        // A change here would part every household from its past.
        let facts = under(1).address_text("192.0.2.1").unwrap();
        assert_eq!(
            format!("{:016x} {:016x}", facts.star.0, facts.net.0),
            "590302746dfca526 551e7269c6724ce8"
        );
    }

    #[test]
    fn keys() {
        assert_eq!(
            TenantKey::from_hex(&"0a".repeat(32)).unwrap(),
            TenantKey::new([10; 32])
        );
        assert!(
            TenantKey::from_hex("0a").is_err() && TenantKey::from_hex(&"zz".repeat(32)).is_err()
        );
        assert_eq!(format!("{:?}", TenantKey::new([7; 32])), "TenantKey");
    }
}
