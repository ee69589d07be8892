//! Addresses in their many spellings, and ranges with a class.
//! Promises: an address has one canonical form (an IPv4-mapped IPv6 address is the IPv4 address); the class of an address is that
//! of the first class, in order of precedence, with a range that holds it, however wide the range is.

use std::net::{IpAddr, Ipv6Addr};

use hostread_schemas::event::IpClass;
use ipnet::IpNet;

/// Ranges of one class at most; more would be a database, which has another format.
const RANGES_MAX: usize = 1_000_000;

/// The networks of one range that can be named one by one: as many as are in a /8.
const NETS_MAX: usize = 1 << 16;

/// The /24 networks (IPv6: /48) of a range, by their first addresses: what is kept of an address, beside itself.
pub fn nets(text: &str) -> Result<Vec<IpAddr>, IpRangeError> {
    let unreadable = |text: &str| IpRangeError::Unreadable {
        text: text.to_owned(),
    };
    let too_fine = || IpRangeError::TooFine {
        text: text.to_owned(),
    };
    let (net, bits): (IpNet, u8) = match text.trim().parse().map_err(|_| unreadable(text)) {
        Ok(net @ IpNet::V4(_)) => (net, 24),
        Ok(net @ IpNet::V6(_)) => (net, 48),
        Err(error) => {
            // A single address is a range too, of one.
            return Err(parse_address(text).map_or(error, |_| too_fine()));
        }
    };
    if bits.saturating_sub(net.prefix_len()) > NETS_MAX.trailing_zeros() as u8 {
        return Err(IpRangeError::TooWide {
            text: text.to_owned(),
        });
    }
    let subnets = net.trunc().subnets(bits).map_err(|_| too_fine())?;
    Ok(subnets.map(|net| net.network()).collect())
}

/// Reads an address in any spelling: IPv4, IPv6, mapped, in brackets, with a zone (`%eth0`).
#[must_use]
pub fn parse_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let text = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let text = match text.split_once('%') {
        // A zone only ever follows an IPv6 address.
        Some((address, zone)) if !zone.is_empty() && address.contains(':') => address,
        Some(_) => return None,
        None => text,
    };
    text.parse::<IpAddr>().ok().map(canonical)
}

/// IPv4-mapped IPv6 becomes IPv4.
pub(crate) fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
    }
}

/// An address as a number on one line: IPv4 at its mapped place.
fn position(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// A range that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IpRangeError {
    /// Neither an address nor a network.
    #[error("\"{text}\" is not an address or a network such as 192.0.2.0/24")]
    Unreadable {
        /// What was given.
        text: String,
    },
    /// More ranges than a list may have.
    #[error("more than {RANGES_MAX} ranges in one class")]
    TooMany,
    /// Not whole networks of those that are kept of an address.
    #[error(
        "\"{text}\" is not of whole /24 (IPv6: /48) networks, which is what the pipeline knows of an address"
    )]
    TooFine {
        /// What was given.
        text: String,
    },
    /// Too many networks to name each.
    #[error("\"{text}\" holds more than {NETS_MAX} networks")]
    TooWide {
        /// What was given.
        text: String,
    },
}

/// Ranges by class, in order of precedence.
#[derive(Clone, Debug, Default)]
pub struct IpRanges {
    /// Per class: sorted, disjoint, half-open would lose the last address, so both ends belong to it.
    classes: Vec<(IpClass, Vec<(u128, u128)>)>,
}

impl IpRanges {
    /// Builds from networks (`192.0.2.0/24`, `2001:db8::/32`) and single addresses.
    pub fn new<'a>(
        ranges: impl IntoIterator<Item = (IpClass, &'a str)>,
    ) -> Result<Self, IpRangeError> {
        let mut built = Self::default();
        for (class, text) in ranges {
            built.of(class).push(read_range(text)?);
        }
        for (_, ranges) in &mut built.classes {
            if ranges.len() > RANGES_MAX {
                return Err(IpRangeError::TooMany);
            }
            merge(ranges);
        }
        built.classes.sort_by_key(|(class, _)| *class);
        Ok(built)
    }

    fn of(&mut self, class: IpClass) -> &mut Vec<(u128, u128)> {
        let index = self.classes.iter().position(|(there, _)| *there == class);
        let index = index.unwrap_or_else(|| {
            self.classes.push((class, Vec::new()));
            self.classes.len() - 1
        });
        &mut self.classes[index].1
    }

    /// The class of an address; residential when no range holds it.
    #[must_use]
    pub fn class(&self, address: IpAddr) -> IpClass {
        let at = position(canonical(address));
        self.classes
            .iter()
            .find(|(_, ranges)| {
                let after = ranges.partition_point(|(first, _)| *first <= at);
                after
                    .checked_sub(1)
                    .and_then(|index| ranges.get(index))
                    .is_some_and(|(_, last)| at <= *last)
            })
            .map_or(IpClass::Residential, |(class, _)| *class)
    }
}

fn read_range(text: &str) -> Result<(u128, u128), IpRangeError> {
    let trimmed = text.trim();
    if let Some(address) = parse_address(trimmed) {
        return Ok((position(address), position(address)));
    }
    let net: IpNet = trimmed.parse().map_err(|_| IpRangeError::Unreadable {
        text: text.to_owned(),
    })?;
    Ok((position(net.network()), position(net.broadcast())))
}

fn merge(ranges: &mut Vec<(u128, u128)>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let joined = next.0 <= kept.1.saturating_add(1);
        if joined {
            kept.1 = kept.1.max(next.1);
        }
        joined
    });
}

/// IP* as a number: IPv4 whole, at its mapped place, IPv6 its first 64 bits.
#[must_use]
pub fn star(address: IpAddr) -> u128 {
    match canonical(address) {
        IpAddr::V6(v6) => u128::from(v6) >> 64 << 64,
        v4 @ IpAddr::V4(_) => position(v4),
    }
}

/// The first 64 bits of an IPv6 address.
pub(crate) fn first_64(address: Ipv6Addr) -> [u8; 8] {
    let octets = address.octets();
    let mut first = [0; 8];
    first.copy_from_slice(&octets[..8]);
    first
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;

    #[test]
    fn the_star_of_an_address() {
        let of = |text: &str| star(parse_address(text).unwrap());
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }

    #[test]
    fn spellings_of_one_address() {
        for text in [
            "192.0.2.1",
            "::ffff:192.0.2.1",
            "::FFFF:c000:0201",
            "[::ffff:192.0.2.1]",
            " 192.0.2.1 ",
        ] {
            assert_eq!(
                parse_address(text),
                Some("192.0.2.1".parse().unwrap()),
                "{text}"
            );
        }
        assert_eq!(parse_address("fe80::1%eth0"), parse_address("FE80:0:0::1"));
        for text in [
            "",
            "1.2.3",
            "256.0.0.1",
            "01.2.3.4",
            "1.2.3.4:80",
            "1.2.3.4%x",
            "localhost",
            "::1::",
        ] {
            assert_eq!(parse_address(text), None, "{text}");
        }
    }

    #[test]
    fn precedence_beats_width() {
        let ranges = IpRanges::new([
            (IpClass::DataCentre, "192.0.2.0/24"),
            (IpClass::Vpn, "192.0.2.7"),
            (IpClass::Included, "192.0.2.128/25"),
            (IpClass::DataCentre, "2001:db8:dc::/48"),
            (IpClass::Cellular, "0.0.0.0/0"),
        ])
        .unwrap();
        for (text, class) in [
            ("192.0.2.1", IpClass::DataCentre),
            ("192.0.2.7", IpClass::DataCentre),
            ("192.0.2.200", IpClass::Included),
            ("::ffff:192.0.2.127", IpClass::DataCentre),
            ("192.0.3.0", IpClass::Cellular),
            ("255.255.255.255", IpClass::Cellular),
            ("2001:db8:dc:ffff::1", IpClass::DataCentre),
            ("2001:db8:dd::1", IpClass::Residential),
        ] {
            assert_eq!(ranges.class(parse_address(text).unwrap()), class, "{text}");
        }
        assert!(matches!(
            IpRanges::new([(IpClass::Vpn, "192.0.2.0/33")]),
            Err(IpRangeError::Unreadable { .. })
        ));
    }

    #[test]
    fn networks_of_a_range() {
        let of = |text: &str| {
            nets(text).map(|nets| nets.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(of("192.0.2.0/24").unwrap(), ["192.0.2.0"]);
        assert_eq!(of(" 192.0.3.7/23 ").unwrap(), ["192.0.2.0", "192.0.3.0"]);
        assert_eq!(
            of("2001:db8:dc::/47").unwrap(),
            ["2001:db8:dc::", "2001:db8:dd::"]
        );
        assert_eq!(nets("10.0.0.0/8").unwrap().len(), NETS_MAX);
        for fine in ["192.0.2.0/25", "192.0.2.1", "2001:db8::/64"] {
            assert!(
                matches!(nets(fine), Err(IpRangeError::TooFine { .. })),
                "{fine}"
            );
        }
        assert!(matches!(
            nets("8.0.0.0/7"),
            Err(IpRangeError::TooWide { .. })
        ));
        assert!(matches!(nets("::/0"), Err(IpRangeError::TooWide { .. })));
        assert!(matches!(
            nets("somewhere"),
            Err(IpRangeError::Unreadable { .. })
        ));
    }

    #[test]
    fn neighbours_merge() {
        let mut ranges = vec![(5, 9), (1, 4), (20, 30), (22, 25), (31, 31), (40, 40)];
        merge(&mut ranges);
        assert_eq!(ranges, [(1, 9), (20, 31), (40, 40)]);
    }
}
