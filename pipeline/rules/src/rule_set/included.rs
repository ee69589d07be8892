//! The inclusion list of a rule set: which networks of many people are let in on which days.
//!
//! Promises: an entry holds from its first day to the day before it expires; lookups are binary searches. Leaves out: what else is
//! known of an address. Invariant 1: no network and no address is in no list.

use hostread_schemas::fact::IncludedFact;
use hostread_schemas::{Day, HouseholdId, NetId};

/// Days of a network or an address, half-open, in order.
type Spans<T> = Vec<(T, Day, Day)>;

/// See the module.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Inclusion {
    nets: Spans<NetId>,
    addresses: Spans<HouseholdId>,
}

impl Inclusion {
    pub(super) fn of(facts: &[IncludedFact]) -> Self {
        let nets = facts.iter().flat_map(|fact| {
            let named = fact.nets.iter().filter(|net| net.is_some());
            named.map(|net| (*net, fact.from, fact.expires))
        });
        let addresses = facts.iter().flat_map(|fact| {
            let named = fact.addresses.iter().filter(|address| address.is_some());
            named.map(|address| (*address, fact.from, fact.expires))
        });
        Self {
            nets: in_order(nets),
            addresses: in_order(addresses),
        }
    }

    /// Is an address let in on a day?
    pub(super) fn holds(&self, day: Day, net: NetId, address: HouseholdId) -> bool {
        hold(&self.nets, net, day) || hold(&self.addresses, address, day)
    }
}

fn in_order<T: Ord>(spans: impl Iterator<Item = (T, Day, Day)>) -> Spans<T> {
    let mut spans: Spans<T> = spans.collect();
    spans.sort_unstable();
    spans.dedup();
    spans
}

fn hold<T: Ord + Copy>(spans: &Spans<T>, key: T, day: Day) -> bool {
    let after = spans.partition_point(|(of, ..)| *of < key);
    let rest = spans.get(after..).unwrap_or_default().iter();
    let mut of_key = rest.take_while(|(of, ..)| *of == key);
    of_key.any(|(_, from, expires)| *from <= day && day < *expires)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_holds_from_its_first_day_to_the_day_before_it_expires() {
        let of = |from, expires, nets: &[u64], addresses: &[u64]| IncludedFact {
            from: Day(from),
            expires: Day(expires),
            nets: nets.iter().map(|net| NetId(*net)).collect(),
            addresses: addresses.iter().map(|star| HouseholdId(*star)).collect(),
        };
        let list = Inclusion::of(&[
            of(10, 12, &[5, 0], &[70, 0]),
            of(20, 21, &[5, 4], &[]),
            of(11, 13, &[5], &[]),
        ]);
        let days = |net, address| -> Vec<i32> {
            let held = |day: &i32| list.holds(Day(*day), NetId(net), HouseholdId(address));
            (0..30).filter(held).collect()
        };
        assert_eq!(days(5, 1), [10, 11, 12, 20]);
        assert_eq!(days(4, 1), [20]);
        assert_eq!(days(1, 70), [10, 11]);
        assert_eq!(days(4, 70), [10, 11, 20]);
        assert_eq!(days(70, 5), [0; 0], "a network is no address");
        assert_eq!(days(0, 0), [0; 0], "none is on no list");
        assert_eq!(Inclusion::default(), Inclusion::of(&[of(1, 9, &[], &[])]));
    }
}
