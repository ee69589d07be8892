//! Addresses in their many spellings, and ranges with a class.
//! Promises: an address has one canonical form (an IPv4-mapped IPv6 address is the IPv4 address); the class of an address is that
//! of the first class, in order of precedence, with a range that holds it, however wide the range is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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

/// What is kept of the addresses of a range, each by one address: whole networks, and IP* where the range is finer.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Of /24 networks (IPv6: /48).
    pub nets: Vec<IpAddr>,
    /// Of addresses (IPv6: /64).
    pub addresses: Vec<IpAddr>,
}

/// What is kept of the addresses of a range: a request's address is in the range when its network or its IP* is among these, and
/// only then.
pub fn kept(text: &str) -> Result<Kept, IpRangeError> {
    let net = match parse_address(text) {
        Some(address) => IpNet::from(address),
        None => canonical_net(text)?,
    };
    let (whole, single) = match net {
        IpNet::V4(_) => (24, 32),
        IpNet::V6(_) => (48, 64),
    };
    if net.prefix_len() <= whole {
        let nets = nets(&net.to_string())?;
        return Ok(Kept {
            nets,
            ..Kept::default()
        });
    }
    let finer = |_| IpRangeError::Finer {
        text: text.to_owned(),
    };
    let addresses = net.trunc().subnets(single).map_err(finer)?;
    Ok(Kept {
        addresses: addresses.map(|net| net.network()).collect(),
        ..Kept::default()
    })
}

/// A network; one of IPv4-mapped addresses is that of the IPv4 addresses.
fn canonical_net(text: &str) -> Result<IpNet, IpRangeError> {
    const MAPPED_BITS: u8 = 96;
    let net: IpNet = text.trim().parse().map_err(|_| IpRangeError::Unreadable {
        text: text.to_owned(),
    })?;
    let first = canonical(net.network());
    match net {
        IpNet::V6(v6) if first.is_ipv4() && v6.prefix_len() >= MAPPED_BITS => {
            let bits = v6.prefix_len() - MAPPED_BITS;
            Ok(IpNet::new_assert(first, bits))
        }
        // All of IPv4 lies in it.
        IpNet::V6(v6) if v6.contains(&Ipv4Addr::UNSPECIFIED.to_ipv6_mapped()) => {
            Err(IpRangeError::TooWide {
                text: text.to_owned(),
            })
        }
        net => Ok(net),
    }
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
    /// Of an IPv6 address no more than its first 64 bits are kept.
    #[error(
        "\"{text}\" is finer than a /64, which is what the pipeline knows of an IPv6 address: name the whole /64"
    )]
    Finer {
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
    fn what_is_kept_of_a_range() {
        let of = |text: &str| {
            let kept = kept(text).unwrap();
            let texts = |of: Vec<IpAddr>| of.iter().map(ToString::to_string).collect::<Vec<_>>();
            (texts(kept.nets), texts(kept.addresses))
        };
        let nets = |nets: &[&str]| (nets.iter().map(ToString::to_string).collect(), Vec::new());
        let addresses = |addresses: &[&str]| {
            let addresses = addresses.iter().map(ToString::to_string);
            (Vec::new(), addresses.collect())
        };
        assert_eq!(of("192.0.3.7/23"), nets(&["192.0.2.0", "192.0.3.0"]));
        assert_eq!(of("::ffff:192.0.2.0/120"), nets(&["192.0.2.0"]));
        assert_eq!(of("192.0.2.7/31"), addresses(&["192.0.2.6", "192.0.2.7"]));
        assert_eq!(of(" ::ffff:192.0.2.7 "), addresses(&["192.0.2.7"]));
        assert_eq!(of("192.0.2.128/25").1.len(), 128);
        assert_eq!(of("2001:db8::/47"), nets(&["2001:db8::", "2001:db8:1::"]));
        let halves = addresses(&["2001:db8:0:2::", "2001:db8:0:3::"]);
        assert_eq!(of("2001:db8:0:2::/63"), halves);
        assert_eq!(of("2001:db8::/49").1.len(), 1 << 15);
        for fine in ["2001:db8::1", "2001:db8::/65"] {
            assert!(
                matches!(kept(fine), Err(IpRangeError::Finer { .. })),
                "{fine}"
            );
        }
        for wide in ["8.0.0.0/7", "::/80", "2001::/16"] {
            assert!(
                matches!(kept(wide), Err(IpRangeError::TooWide { .. })),
                "{wide}"
            );
        }
        assert!(matches!(kept("here"), Err(IpRangeError::Unreadable { .. })));
    }

    #[test]
    fn neighbours_merge() {
        let mut ranges = vec![(5, 9), (1, 4), (20, 30), (22, 25), (31, 31), (40, 40)];
        merge(&mut ranges);
        assert_eq!(ranges, [(1, 9), (20, 31), (40, 40)]);
    }
}
